//! Where an entry lies: 24 bytes of memory for each entry of each shard.

use raft_api::Term;

/// The place of an entry's frame, or the ticket of one that is not flushed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    term: u64,
    /// Sequence of the segment, which begins at 1; 0 while not flushed.
    segment: u32,
    /// In units of 8 bytes; while not flushed, the low half of the ticket.
    at: u32,
    /// Length of the payload; while not flushed, the high half of the ticket.
    length: u32,
    kind: u8,
}

/// Of an entry whose frame's head is gone.
pub(crate) const UNKNOWN_KIND: u8 = 0x7f;
/// The place is that of an adopted entry, which stands in for a rotten frame of the log's own.
const STAND_IN: u8 = 0x80;

const _: () = assert!(
    size_of::<Place>() <= 32,
    "a million entries must fit in 32 MB"
);

/// A frame in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Spot {
    pub segment: u32,
    /// Of the frame's head, in bytes.
    pub offset: u64,
    /// Of the payload, in bytes.
    pub length: u32,
}

impl Place {
    pub fn flushed(term: Term, kind: u8, spot: Spot) -> Place {
        debug_assert!(spot.segment > 0 && spot.offset.is_multiple_of(8));
        Place {
            term: term.0,
            segment: spot.segment,
            at: (spot.offset / 8) as u32,
            length: spot.length,
            kind,
        }
    }

    pub fn pending(term: Term, kind: u8, ticket: u64) -> Place {
        Place {
            term: term.0,
            segment: 0,
            at: ticket as u32,
            length: (ticket >> 32) as u32,
            kind,
        }
    }

    pub fn term(&self) -> Term {
        Term(self.term)
    }

    pub fn kind(&self) -> u8 {
        self.kind & !STAND_IN
    }

    /// The place of an adopted entry, as that of the log's own with the same log id.
    pub fn as_stand_in(self) -> Place {
        Place {
            kind: self.kind | STAND_IN,
            ..self
        }
    }

    pub fn is_stand_in(&self) -> bool {
        self.kind & STAND_IN != 0
    }

    /// `None`: not flushed yet, the payload is in memory.
    pub fn spot(&self) -> Option<Spot> {
        (self.segment > 0).then(|| Spot {
            segment: self.segment,
            offset: u64::from(self.at) * 8,
            length: self.length,
        })
    }

    pub fn ticket(&self) -> Option<u64> {
        (self.segment == 0).then(|| u64::from(self.at) | u64::from(self.length) << 32)
    }
}
