//! What FETCH shows of a message and what SEARCH finds in it. Pure: facts and content in, octets or answers out.

pub mod charset;
mod header;
mod section;
mod sent;
mod structure;
#[cfg(test)]
mod tests;

pub use section::{Section, SectionText, section};
pub use sent::sent_day;
pub use structure::{body_structure, envelope, nstring};
