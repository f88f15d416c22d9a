//! openraft's log over the journal: one shard of it.

use crate::flushed;
use crate::limits::{MAX_APPEND_BYTES, MAX_READ_BYTES, MENDED_READ_PAUSE, MENDED_READ_TRIES};
use crate::off_thread;
use crate::types::{RaftEntry, RaftLogId, RaftVote, TypeConfig, from_raft, to_raft};
use crate::wire::{WireVote, bytes, payload_in, payload_out};
use futures_util::{Stream, TryStreamExt, stream};
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use openraft::{OptionalSend, alias::VoteOf};
use prost::Message;
use raft_api::{EntriesError, LogIndex, ShardId};
use raft_log::{AppendError, FlushDone, Journal, NewEntry, StoredEntry};
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};

#[derive(Clone)]
pub(crate) struct LogStore {
    pub journal: Journal,
    pub shard: ShardId,
}

fn bounds(range: &impl RangeBounds<u64>) -> std::ops::Range<u64> {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(start) => start.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(end) => end.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    start..end
}

pub(crate) fn entry_in(stored: StoredEntry) -> io::Result<RaftEntry> {
    let payload = payload_in(stored.kind, stored.payload).map_err(io::Error::other)?;
    Ok(RaftEntry {
        log_id: to_raft(stored.log_id),
        payload,
    })
}

impl LogStore {
    async fn read(&self, range: std::ops::Range<u64>, max: usize) -> io::Result<Vec<RaftEntry>> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let (journal, shard) = (self.journal.clone(), self.shard);
        let cached = journal.read_cached(shard, range.clone(), max);
        if let Some(stored) = cached.map_err(io::Error::other)? {
            return stored.into_iter().map(entry_in).collect();
        }
        let mut tries = 0;
        loop {
            let (journal, range) = (journal.clone(), range.clone());
            let read = move || journal.read(shard, range, max);
            let stored = off_thread::run(read).await.map_err(io::Error::other)?;
            tries += 1;
            match stored {
                Ok(stored) => return stored.into_iter().map(entry_in).collect(),
                // To consensus an error is the end of the shard on this node; `repair.rs` fetches the entry meanwhile.
                Err(EntriesError::Damaged { .. })
                    if tries < MENDED_READ_TRIES && !self.journal.missing(shard).is_empty() =>
                {
                    tokio::time::sleep(MENDED_READ_PAUSE).await;
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }

    /// Calls the journal and waits for the flush.
    async fn flushed(
        &self,
        call: impl FnOnce(FlushDone) -> Result<(), AppendError>,
    ) -> io::Result<()> {
        flushed::wait(call).await.map_err(io::Error::other)
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn entries_stream<RB>(
        &mut self,
        range: RB,
    ) -> impl Stream<Item = Result<RaftEntry, io::Error>> + OptionalSend
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        // In pieces: the range may hold far more bytes than fit into memory.
        let store = self.clone();
        let pieces = stream::try_unfold(bounds(&range), move |rest| {
            let store = store.clone();
            async move {
                let entries = store.read(rest.clone(), MAX_READ_BYTES).await?;
                let next = rest.start + entries.len() as u64;
                let piece = stream::iter(entries.into_iter().map(Ok::<_, io::Error>));
                let is_over = next == rest.start;
                Ok::<_, io::Error>((!is_over).then_some((piece, next..rest.end)))
            }
        });
        Box::pin(pieces.try_flatten())
    }

    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<RaftEntry>, io::Error> {
        self.read(bounds(&range), usize::MAX).await
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<RaftEntry>, io::Error> {
        self.read(start..end, MAX_APPEND_BYTES).await
    }

    async fn read_vote(&mut self) -> Result<Option<RaftVote>, io::Error> {
        let Some(vote) = self.journal.vote(self.shard) else {
            return Ok(None);
        };
        let vote = WireVote::decode(vote).map_err(io::Error::other)?;
        Ok(Some(vote.into()))
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = LogStore;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        let log = self.journal.log_state(self.shard);
        Ok(LogState {
            last_purged_log_id: log.purged.map(to_raft),
            last_log_id: log.last.map(to_raft),
        })
    }

    async fn get_log_reader(&mut self) -> LogStore {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &VoteOf<TypeConfig>) -> Result<(), io::Error> {
        let vote = bytes(&WireVote::from(vote));
        self.flushed(|done| self.journal.save_vote(self.shard, vote, done))
            .await
    }

    /// The mark kept in the journal is committed; it lets a node that is alone show what it had shown before.
    async fn read_committed(&mut self) -> Result<Option<RaftLogId>, io::Error> {
        let Some(LogIndex(mark)) = self.journal.log_state(self.shard).mark else {
            return Ok(None);
        };
        let at_mark = self.read(mark..mark + 1, MAX_READ_BYTES).await?;
        Ok(at_mark.into_iter().next().map(|entry| entry.log_id))
    }

    async fn append<I>(
        &mut self,
        entries: I,
        callback: IOFlushed<TypeConfig>,
    ) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = RaftEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries = entries.into_iter().map(|entry| {
            let (kind, payload) = payload_out(&entry.payload);
            NewEntry {
                log_id: from_raft(&entry.log_id),
                kind,
                payload,
            }
        });
        let done: FlushDone =
            Box::new(move |result| callback.io_completed(result.map_err(io::Error::other)));
        self.journal
            .append(self.shard, entries.collect(), done)
            .map_err(io::Error::other)
    }

    async fn truncate_after(&mut self, last: Option<RaftLogId>) -> Result<(), io::Error> {
        let after = last.as_ref().map(from_raft);
        self.flushed(|done| self.journal.truncate_after(self.shard, after, done))
            .await
    }

    async fn purge(&mut self, upto: RaftLogId) -> Result<(), io::Error> {
        let upto = from_raft(&upto);
        self.flushed(|done| self.journal.purge(self.shard, upto, done))
            .await
    }
}
