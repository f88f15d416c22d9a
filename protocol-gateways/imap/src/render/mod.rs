//! What FETCH shows of a message and what SEARCH finds in it. Pure: facts and content in, octets or answers out.

pub mod charset;
mod decode;
mod header;
mod matching;
mod section;
mod sent;
mod structure;
#[cfg(test)]
mod tests;

pub use matching::{TextKey, contains};
pub use section::{Section, SectionText, section};
pub use sent::sent_day;
pub use structure::{body_structure, envelope, nstring};
