//! A message's octets, in pieces where they are many.

use bytes::Bytes;

/// The message's octets as pieces in order (one piece unless it is large).
#[derive(Clone, Debug)]
pub struct MessageBytes {
    pub pieces: Vec<Bytes>,
    pub len: u64,
}

impl MessageBytes {
    pub fn whole(bytes: Bytes) -> MessageBytes {
        MessageBytes {
            len: bytes.len() as u64,
            pieces: vec![bytes],
        }
    }

    /// The octets `start..end`, clamped to what there is; copies only across pieces.
    pub fn slice(&self, start: u64, end: u64) -> Vec<Bytes> {
        let mut out = Vec::new();
        let mut at = 0u64;
        for piece in &self.pieces {
            let next = at + piece.len() as u64;
            let from = start.max(at);
            let to = end.min(next);
            if from < to {
                out.push(piece.slice((from - at) as usize..(to - at) as usize));
            }
            at = next;
        }
        out
    }

    /// All octets in one buffer.
    pub fn to_bytes(&self) -> Bytes {
        match self.pieces.as_slice() {
            [] => Bytes::new(),
            [one] => one.clone(),
            many => many.concat().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(start: u64, end: u64, expect: &[&str]) {
        let pieces: Vec<Bytes> = ["abc", "", "de", "f"].map(Bytes::from).to_vec();
        let bytes = MessageBytes { pieces, len: 6 };
        assert_eq!(bytes.slice(start, end), expect, "{start}..{end}");
    }

    #[test]
    fn slices_are_clamped() {
        check(0, 6, &["abc", "de", "f"]);
        check(1, 4, &["bc", "d"]);
        check(3, 5, &["de"]);
        check(4, u64::MAX, &["e", "f"]);
        check(6, 9, &[]);
        check(4, 2, &[]);
    }
}
