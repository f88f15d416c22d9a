//! A shard's rows at one position, read part by part.

use crate::digest::row_hash;
use crate::keys::{is_own, shard_range};
use crate::part::{Head, PartWriter};
use crate::view::View;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use engine_domain::{Rows, RowsError, entries_named};
use parking_lot::Mutex;
use raft_api::{EntriesError, LogId, LogIndex, SnapshotPart, SnapshotSource};
use std::collections::BTreeMap;

/// Holds a view, and with it the space of rows that were overwritten since: not to be kept for longer than it is read.
pub struct Pinned {
    view: View,
    log_id: LogId,
    digest: u128,
    /// Sums of row hashes by part, of those that were read: a replica whose rows are not those of its digest must not
    /// hand them out as a whole.
    sums: Mutex<BTreeMap<u32, u128>>,
}

impl Pinned {
    /// `None`: nothing is folded yet.
    pub fn new(view: View) -> Result<Option<Pinned>, RowsError> {
        let position = view.position_row()?;
        Ok(position.map(|(log_id, digest)| Pinned {
            view,
            log_id,
            digest,
            sums: Mutex::default(),
        }))
    }

    /// A cursor is a part's number and the key of its first row.
    fn begin(&self, cursor: &[u8]) -> Result<(u32, Vec<u8>), EntriesError> {
        let (from, to) = shard_range(self.view.shard());
        if cursor.is_empty() {
            return Ok((0, from));
        }
        let mut key = cursor;
        match key.try_get_u32() {
            Ok(number)
                if (1..u32::MAX).contains(&number)
                    && key >= from.as_slice()
                    && key < to.as_slice() =>
            {
                Ok((number, key.to_vec()))
            }
            _ => Err(self.failed("not a cursor of this snapshot")),
        }
    }

    fn failed(&self, detail: impl ToString) -> EntriesError {
        EntriesError::Io {
            shard: self.view.shard(),
            detail: detail.to_string(),
        }
    }

    /// Where all parts were read, they must be what the digest says.
    fn check_digest(&self, last: u32) -> Result<(), EntriesError> {
        let sums = self.sums.lock();
        let read: Vec<u128> = sums.range(..=last).map(|(_, sum)| *sum).collect();
        let sum = read.iter().fold(0u128, |sum, part| sum.wrapping_add(*part));
        if read.len() as u64 == u64::from(last) + 1 && sum != self.digest {
            return Err(self.failed("the rows differ from their digest"));
        }
        Ok(())
    }
}

impl SnapshotSource for Pinned {
    fn log_id(&self) -> LogId {
        self.log_id
    }

    fn part(&self, cursor: &[u8], bytes_max: usize) -> Result<SnapshotPart, EntriesError> {
        let shard = self.view.shard();
        let (number, from) = self.begin(cursor)?;
        let mut part = PartWriter::new(&Head {
            shard,
            log_id: self.log_id,
            digest: self.digest,
            number,
            is_last: false,
        });
        let mut needs = Vec::new();
        let mut next = None;
        let mut sum = 0u128;
        let mut failed = None;
        let mut add = |key: &[u8], value: &[u8]| {
            if is_own(shard, key) {
                return true;
            }
            if !part.is_empty() && part.len_with(key, value) > bytes_max {
                next = Some(cursor_of(number + 1, key));
                return false;
            }
            let named = entries_named(key, value, &mut |index| needs.push(LogIndex(index)));
            if let Err(error) = named {
                failed = Some(error.to_string());
            } else if !part.push(key, value) {
                failed = Some("a row is too large".to_owned());
            }
            sum = sum.wrapping_add(row_hash(key, value));
            failed.is_none()
        };
        let to = shard_range(shard).1;
        let scanned = self.view.scan(&from, &to, &mut add);
        scanned.map_err(|error| self.failed(error))?;
        if let Some(detail) = failed {
            return Err(self.failed(detail));
        }
        self.sums.lock().insert(number, sum);
        if next.is_none() {
            self.check_digest(number)?;
        }
        needs.sort_unstable();
        needs.dedup();
        Ok(SnapshotPart {
            bytes: part.finish(next.is_none()),
            needs,
            next,
        })
    }
}

fn cursor_of(number: u32, key: &[u8]) -> Bytes {
    let mut cursor = BytesMut::with_capacity(4 + key.len());
    cursor.put_u32(number);
    cursor.put_slice(key);
    cursor.freeze()
}
