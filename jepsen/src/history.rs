//! What clients did and what they were told, with monotonic times.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A message's unique name; it is its subject.
pub type Marker = u64;

/// `account/mailbox`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place(pub String);

impl Place {
    pub fn new(account: &str, mailbox: &str) -> Place {
        Place(format!("{account}/{mailbox}"))
    }

    pub fn account(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    pub fn mailbox(&self) -> &str {
        self.0.split('/').nth(1).unwrap_or_default()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UidAt {
    pub validity: u32,
    pub uid: u32,
}

/// What a client set out to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// By LMTP.
    Deliver {
        to: Place,
        marker: Marker,
    },
    Append {
        to: Place,
        marker: Marker,
    },
    /// COPY of a message in another mailbox.
    Copy {
        from: Place,
        to: Place,
        marker: Marker,
    },
    Move {
        from: Place,
        to: Place,
        marker: Marker,
    },
    /// `\Deleted`, then UID EXPUNGE.
    Expunge {
        from: Place,
        marker: Marker,
    },
    /// All keywords of a message are replaced by those that stand for the value.
    Write {
        of: Place,
        register: u32,
        value: u32,
    },
    /// NOOP or SELECT, then the flags of all registers.
    ReadRegisters {
        of: Place,
    },
    /// SELECT, then all UIDs and markers. `last`: after healing, from each node.
    Read {
        of: Place,
        last: bool,
    },
}

/// What a mailbox held.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listing {
    pub validity: u32,
    pub uid_next: u32,
    pub mod_seq: u64,
    pub exists: u32,
    /// In the order of the answer.
    pub rows: Vec<(u32, Marker)>,
}

/// What the answer held.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// The server's words, as a receipt.
    Text(String),
    /// APPENDUID or COPYUID: where the message is now.
    At(UidAt),
    /// COPY or MOVE of a message that is not there.
    Nothing,
    Registers(Vec<(u32, u32)>),
    Listing(Listing),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Ok(Seen),
    /// It did not happen, and never will.
    Fail(String),
    /// It may have happened, or happen later.
    Info(String),
}

impl Outcome {
    pub fn is_ok(&self) -> bool {
        matches!(self, Outcome::Ok(_))
    }

    pub fn seen(&self) -> Option<&Seen> {
        match self {
            Outcome::Ok(seen) => Some(seen),
            _ => None,
        }
    }

    pub fn listing(&self) -> Option<&Listing> {
        match self {
            Outcome::Ok(Seen::Listing(listing)) => Some(listing),
            _ => None,
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Outcome::Ok(_) => "ok",
            Outcome::Fail(_) => "fail",
            Outcome::Info(_) => "info",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// A thread of ours.
    pub client: u64,
    /// Another one after each unknown outcome: Jepsen's rule, since the old one may still be at work.
    pub process: u64,
    /// A connection.
    pub session: u64,
    pub node: u64,
    pub begin_ns: u64,
    pub end_ns: u64,
    pub action: Action,
    pub outcome: Outcome,
    /// The server said that its answer may be old.
    pub stale: bool,
}

impl Operation {
    /// The mailbox that the reply to a delivery names.
    pub fn stored_in(&self) -> Option<&str> {
        match self.outcome.seen() {
            Some(Seen::Text(text)) => Some(text.split_once(" stored in ")?.1.trim()),
            _ => None,
        }
    }
}

/// Something that we did to the cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    pub name: &'static str,
    pub text: String,
    /// Health had said so for a while, and no other fault was made at the same time.
    pub was_in_sync: bool,
    pub begin_ns: u64,
    pub end_ns: u64,
}

/// One clock for all threads, and what they record.
pub struct Recorder {
    begun: Instant,
    operations: Mutex<Vec<Operation>>,
}

impl Recorder {
    pub fn new() -> Recorder {
        Recorder {
            begun: Instant::now(),
            operations: Mutex::new(Vec::new()),
        }
    }

    pub fn now_ns(&self) -> u64 {
        self.begun.elapsed().as_nanos() as u64
    }

    pub fn record(&self, operation: Operation) {
        self.lock().push(operation);
    }

    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// In the order of their beginnings.
    pub fn operations(&self) -> Vec<Operation> {
        let mut operations = self.lock().clone();
        operations.sort_by_key(|operation| operation.begin_ns);
        operations
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Operation>> {
        self.operations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
