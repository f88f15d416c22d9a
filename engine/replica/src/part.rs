//! The bytes of one part of a snapshot: `docs/formats/snapshot.md`. Frozen by `tests/parts.rs`: they lie in journals.
//!
//! `"GTTHSNP2"`, be_u32 shard, be_u64 term, be_u64 log index, 16 bytes digest, be_u32 number, one byte flags (bit 0: the
//! last part); for each row in order of keys be_u32 length and key, be_u32 length and value; 16 bytes XXH3-128 of
//! all before.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use raft_api::{LogId, ShardId};
use xxhash_rust::xxh3::xxh3_128;

const MAGIC: &[u8; 8] = b"GTTHSNP2";
const HEAD_BYTES: usize = 8 + 4 + 8 + 8 + 16 + 4 + 1;
const FLAGS_AT: usize = HEAD_BYTES - 1;
const IS_LAST: u8 = 1;
const HASH_BYTES: usize = 16;

/// What each part says of the snapshot that it belongs to, and of its own place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub shard: ShardId,
    pub log_id: LogId,
    /// Of all rows of the snapshot, as its sender kept it.
    pub digest: u128,
    /// From 0, without a gap.
    pub number: u32,
    pub is_last: bool,
}

/// Collects rows behind a head.
pub struct PartWriter {
    out: BytesMut,
}

impl PartWriter {
    /// `head.is_last` is set by `finish`.
    pub fn new(head: &Head) -> PartWriter {
        let mut out = BytesMut::new();
        out.put_slice(MAGIC);
        out.put_u32(head.shard.0);
        out.put_u64(head.log_id.term.0);
        out.put_u64(head.log_id.index.0);
        out.put_u128(head.digest);
        out.put_u32(head.number);
        out.put_u8(0);
        PartWriter { out }
    }

    pub fn is_empty(&self) -> bool {
        self.out.len() == HEAD_BYTES
    }

    /// The part's length if `key` and `value` were its last row.
    pub fn len_with(&self, key: &[u8], value: &[u8]) -> usize {
        self.out.len() + 8 + key.len() + value.len() + HASH_BYTES
    }

    /// Rows in order of keys. False, and nothing is added, where a length has no place in four bytes.
    pub fn push(&mut self, key: &[u8], value: &[u8]) -> bool {
        let (Ok(key_len), Ok(value_len)) = (u32::try_from(key.len()), u32::try_from(value.len()))
        else {
            return false;
        };
        self.out.put_u32(key_len);
        self.out.put_slice(key);
        self.out.put_u32(value_len);
        self.out.put_slice(value);
        true
    }

    pub fn finish(mut self, is_last: bool) -> Bytes {
        self.out[FLAGS_AT] = if is_last { IS_LAST } else { 0 };
        let hash = xxh3_128(&self.out);
        self.out.put_u128(hash);
        self.out.freeze()
    }
}

/// A sound part's head and its rows, which are still to be read one by one.
#[derive(Debug)]
pub struct Part {
    pub head: Head,
    pub rows: PartRows,
}

#[derive(Debug)]
pub struct PartRows(Bytes);

/// Refuses anything but a whole, undamaged part; says what is wrong.
pub fn decode(mut bytes: Bytes) -> Result<Part, &'static str> {
    if bytes.len() < HEAD_BYTES + HASH_BYTES {
        return Err("a part is too short");
    }
    let mut tail = bytes.split_off(bytes.len() - HASH_BYTES);
    if xxh3_128(&bytes) != tail.get_u128() {
        return Err("a part's hash differs");
    }
    if bytes.split_to(MAGIC.len()).as_ref() != MAGIC {
        return Err("not a part of this format");
    }
    let mut head = Head {
        shard: ShardId(bytes.get_u32()),
        log_id: LogId::new(bytes.get_u64(), bytes.get_u64()),
        digest: bytes.get_u128(),
        number: bytes.get_u32(),
        is_last: false,
    };
    head.is_last = match bytes.get_u8() {
        0 => false,
        IS_LAST => true,
        _ => return Err("a part has unknown flags"),
    };
    Ok(Part {
        head,
        rows: PartRows(bytes),
    })
}

impl PartRows {
    /// `None` behind the last row.
    pub fn next_row(&mut self) -> Result<Option<(Bytes, Bytes)>, &'static str> {
        if self.0.is_empty() {
            return Ok(None);
        }
        Ok(Some((self.take()?, self.take()?)))
    }

    fn take(&mut self) -> Result<Bytes, &'static str> {
        let len = self.0.try_get_u32().map_err(|_| "a row is cut")? as usize;
        if self.0.len() < len {
            return Err("a row is cut");
        }
        Ok(self.0.split_to(len))
    }
}
