//! A message on its way in, bounded in size and in what all of them hold together.

use crate::config::MessageMemory;
use crate::limits::MEMORY_STEP_BYTES;
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

pub struct Body {
    bytes: Vec<u8>,
    bytes_max: u64,
    memory: MessageMemory,
    held: Option<OwnedSemaphorePermit>,
    overflow: Option<Overflow>,
}

/// Why the octets were thrown away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    TooBig,
    NoMemory,
}

/// A whole message; its share of the memory is given back when this is dropped.
#[derive(Debug)]
pub struct Whole {
    pub bytes: Bytes,
    _held: Option<OwnedSemaphorePermit>,
}

impl Body {
    pub fn new(bytes_max: u64, memory: MessageMemory) -> Body {
        Body {
            bytes: Vec::new(),
            bytes_max,
            memory,
            held: None,
            overflow: None,
        }
    }

    /// After an overflow everything is thrown away, also what came before.
    pub fn push(&mut self, piece: &[u8]) {
        if self.overflow.is_some() || piece.is_empty() {
            return;
        }
        let len = self.bytes.len() + piece.len();
        if len as u64 > self.bytes_max {
            self.overflow_by(Overflow::TooBig);
        } else if !self.hold(len) {
            self.overflow_by(Overflow::NoMemory);
        } else {
            self.bytes.extend_from_slice(piece);
        }
    }

    pub fn overflow(&self) -> Option<Overflow> {
        self.overflow
    }

    pub fn finish(self) -> Result<Whole, Overflow> {
        match self.overflow {
            Some(overflow) => Err(overflow),
            None => Ok(Whole {
                bytes: Bytes::from(self.bytes),
                _held: self.held,
            }),
        }
    }

    fn overflow_by(&mut self, overflow: Overflow) {
        self.overflow = Some(overflow);
        self.bytes = Vec::new();
        self.held = None;
    }

    fn hold(&mut self, len: usize) -> bool {
        let wanted = len.div_ceil(MEMORY_STEP_BYTES);
        let have = self.held.as_ref().map_or(0, |h| h.num_permits());
        if wanted <= have {
            return true;
        }
        let Some(more) = self.memory.take(wanted - have) else {
            return false;
        };
        match &mut self.held {
            Some(held) => held.merge(more),
            none => *none = Some(more),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_octet_too_many_throws_all_away() {
        let memory = MessageMemory::new(MEMORY_STEP_BYTES);
        let mut body = Body::new(4, memory.clone());
        body.push(b"abcd");
        assert_eq!(body.overflow(), None);
        body.push(b"e");
        body.push(b"f");
        assert!(memory.take(1).is_some(), "the memory is back");
        assert_eq!(body.finish().unwrap_err(), Overflow::TooBig);
    }

    #[test]
    fn memory_is_shared_and_given_back() {
        let memory = MessageMemory::new(2 * MEMORY_STEP_BYTES);
        let big = vec![b'x'; MEMORY_STEP_BYTES + 1];
        let mut first = Body::new(1 << 20, memory.clone());
        first.push(&big);
        let first = first.finish().unwrap();
        let mut second = Body::new(1 << 20, memory.clone());
        second.push(b"x");
        assert_eq!(second.finish().unwrap_err(), Overflow::NoMemory);
        assert_eq!(first.bytes.len(), big.len());
        drop(first);
        let mut third = Body::new(1 << 20, memory);
        third.push(&big);
        assert_eq!(third.finish().unwrap().bytes, big);
    }
}
