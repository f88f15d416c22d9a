//! The event catalogue: what can happen to mail, its bytes, and the outcomes that a fold decides.
//! Enters: values of `engine-types`. Leaves: `Command`, `Event`, `Outcome`, `Facts`, body blocks, and their encodings.
//! It must never know how events are stored or agreed on, or what a fold makes of them.
//! Every encoding is protobuf with numbers that are never reused; golden bytes in `tests/golden.rs` hold them.
//! Read first: `command.rs`, then `catalogue.rs`.

mod block;
mod catalogue;
mod command;
mod convert;
mod facts;
pub mod limits;
mod outcome;

pub use block::{Block, BlockError, Codec, compress, decompress};
pub use catalogue::*;
pub use command::{Command, DecodeError, Event, Payload, event::Kind};
pub use convert::{flags_from, flags_into, ranges_from, ranges_into};
pub use facts::{Addr, BodyPart, Disposition, Envelope, Facts, Param, PartKind};
pub use outcome::{Appended, Copied, Done, Expunged, FlagsStored, MailboxMade};
pub use outcome::{EventOutcome, Outcome, Refusal, event_outcome::Result as OutcomeKind};
