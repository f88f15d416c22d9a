//! The values of mail with their rules: ids, UIDs, flags, names, addresses, sizes.
//! Enters: strings and numbers from events and from the wire. Leaves: values that cannot break their rule.
//! It must never know how a value is stored, sent or shown to a client.
//! Constructors refuse; nothing here reads a clock, draws chance or does I/O.
//! Read first: `ids.rs`, then `uid_set.rs`.

mod address;
mod flags;
mod ids;
pub mod limits;
mod mailbox_name;
mod uid_set;

pub use address::{Address, AddressError, Domain};
pub use flags::{Flag, FlagError, Flags, Keyword, SystemFlag};
pub use ids::{
    AccountId, ByteCount, CommandId, EmailId, LostModSeqs, MailboxId, ModSeq, SeqNum, Uid,
    UidValidity, UnixMillis,
};
pub use mailbox_name::{MailboxName, MailboxNameError, SpecialUse};
pub use uid_set::UidSet;
