//! What a session knows: who it is, which mailbox it has open, how it numbers the messages there.

pub mod selected;
pub mod session;

pub use selected::Selected;
pub use session::{Phase, Session};
