//! Ids and counters. Each number has its own type, so that two of them cannot be swapped in a call.

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(/// An account, opaque and never reused. 0 stands for "none" (the control group's own rows).
    AccountId(u64));
number!(/// A mailbox, unique in its account, kept when it is renamed (RFC 8474 MAILBOXID).
    MailboxId(u64));
number!(/// A message, unique in its account, kept by COPY and MOVE (RFC 8474 EMAILID).
    EmailId(u64));
number!(/// Unique identifier of a message in a mailbox (RFC 9051 §2.3.1.1). 1 to 2³²−1; 0 is never given.
    Uid(u32));
number!(/// A session's own numbering of a mailbox, from 1, without gaps (RFC 9051 §2.3.1.2).
    SeqNum(u32));
number!(/// UIDVALIDITY (RFC 9051 §2.3.1.1). Never 0; rises within an account, also over deletes and renames.
    UidValidity(u32));
number!(/// Modification sequence, one counter per account (RFC 7162 §3.1). Fits 63 bits.
    ModSeq(u64));
number!(/// A size in octets.
    ByteCount(u64));
number!(/// Milliseconds since 1970-01-01 UTC; in events, the leader's clock at the proposal ("log time").
    UnixMillis(u64));

/// Names one command of one client for ever: repeating it applies it once (promise P8).
/// The upper 64 bits name the gateway's run, the lower count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u128);

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Uid {
    pub const MIN: Uid = Uid(1);
    pub const MAX: Uid = Uid(u32::MAX);
}

/// MODSEQs that a lost site may have given, above `after` and up to `upto`; equal if there are none. Clients may hold
/// them, and no state that is here belongs to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LostModSeqs {
    pub after: ModSeq,
    pub upto: ModSeq,
}

impl LostModSeqs {
    /// What a client that holds `mod_seq` can be taken to know: nothing, if it was lost.
    pub fn known(&self, mod_seq: ModSeq) -> ModSeq {
        match self.after < mod_seq && mod_seq < self.upto {
            true => ModSeq(0),
            false => mod_seq,
        }
    }
}
