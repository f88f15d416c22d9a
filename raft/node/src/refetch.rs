//! Asking another node for single entries by log id, and answering: what it knows to be committed, and nothing else.
//!
//! FETCH-1: an answer is about an index that consensus has handed over as committed, and comes from what was adopted or
//! from the log behind the checkpoint. What the log holds before that may be a tail that was never committed. Not the mark: it
//! may wait for just the node that asks.

use crate::limits::{MAX_APPEND_BYTES, REFETCH_MAX, REFETCH_TIMEOUT};
use crate::off_thread;
use crate::shared::Shared;
use crate::wire::{self, WireEntry, WireLogId, kind};
use bytes::Bytes;
use prost::Message;
use raft_api::{LogId, LogIndex, NodeId, ShardId};
use raft_log::{Journal, NewEntry, StoredEntry};
use raft_transport::{Class, Peers};

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct WireRefetch {
    #[prost(message, repeated, tag = "1")]
    pub wanted: Vec<WireLogId>,
}

/// Of the wanted ones the first, as many as fit.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct WireRefetched {
    #[prost(message, repeated, tag = "1")]
    pub answers: Vec<WireRefetchedEntry>,
}

/// Neither field: not known here, or not to be committed.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct WireRefetchedEntry {
    #[prost(message, optional, tag = "1")]
    pub entry: Option<WireEntry>,
    /// CRC-32 (IEEE) of the entry's payload.
    #[prost(uint32, tag = "2")]
    pub checksum: u32,
    /// What is committed at the index instead.
    #[prost(message, optional, tag = "3")]
    pub other: Option<WireLogId>,
}

/// What a node says of an entry that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refetched {
    Unknown,
    Entry(NewEntry),
    /// Another one is committed at this index.
    Other(LogId),
}

/// Asks for the first of `wanted`. Answers come in their order.
pub(crate) async fn ask(
    peers: &Peers,
    shard: ShardId,
    node: NodeId,
    wanted: &[LogId],
) -> Result<Vec<Refetched>, String> {
    let wanted = &wanted[..wanted.len().min(REFETCH_MAX)];
    let body = wire::bytes(&WireRefetch {
        wanted: wanted.iter().map(|log_id| (*log_id).into()).collect(),
    });
    let answer = peers.request(
        node,
        Class::Bulk,
        shard,
        kind::REFETCH,
        body,
        REFETCH_TIMEOUT,
    );
    let answer = answer.await.map_err(|error| error.to_string())?;
    let answer = WireRefetched::decode(answer).map_err(|error| error.to_string())?;
    let answers = wanted.iter().zip(answer.answers);
    answers
        .map(|(wanted, answer)| read(*wanted, answer))
        .collect()
}

/// One answer, held against what was asked.
pub(crate) fn read(wanted: LogId, answer: WireRefetchedEntry) -> Result<Refetched, String> {
    let other = answer.other.map(LogId::from);
    match (answer.entry, other) {
        (Some(entry), _) => {
            if LogId::from(entry.log_id) != wanted {
                return Err(format!(
                    "entry {wanted} was asked for, and another one came"
                ));
            }
            if crc32fast::hash(&entry.payload) != answer.checksum {
                return Err(format!("entry {wanted} came with a wrong checksum"));
            }
            Ok(Refetched::Entry(NewEntry {
                log_id: wanted,
                kind: wire::kind_in(entry.kind).map_err(|error| error.to_string())?,
                payload: entry.payload,
            }))
        }
        (None, Some(other)) if other.index == wanted.index && other != wanted => {
            Ok(Refetched::Other(other))
        }
        (None, Some(_)) => Err(format!("an answer about {wanted} makes no sense")),
        (None, None) => Ok(Refetched::Unknown),
    }
}

/// Answers `REFETCH`.
pub(crate) async fn answer(shared: &Shared, body: Bytes) -> Result<Bytes, String> {
    let asked = WireRefetch::decode(body).map_err(|error| error.to_string())?;
    if asked.wanted.len() > REFETCH_MAX {
        return Err("too many entries are asked for at once".into());
    }
    let source = Source {
        journal: shared.journal.clone(),
        shard: shared.shard,
        committed: shared.handed.borrow().map(|handed| handed.index),
        #[cfg(any(test, feature = "testing"))]
        gives_anything: shared.twin == Some(crate::node::Twin::MendWithAnything),
    };
    let read = move || {
        let mut answers = Vec::new();
        let mut bytes = 0;
        for wanted in asked.wanted {
            let answer = source.answer(wanted.into());
            bytes += answer.entry.as_ref().map_or(0, |entry| entry.payload.len());
            if bytes > MAX_APPEND_BYTES && !answers.is_empty() {
                break;
            }
            answers.push(answer);
        }
        wire::bytes(&WireRefetched { answers })
    };
    off_thread::run(read).await
}

struct Source {
    journal: Journal,
    shard: ShardId,
    committed: Option<LogIndex>,
    #[cfg(any(test, feature = "testing"))]
    gives_anything: bool,
}

impl Source {
    fn answer(&self, wanted: LogId) -> WireRefetchedEntry {
        let mut answer = WireRefetchedEntry::default();
        let Some(kept) = self.committed(wanted.index) else {
            return answer;
        };
        let is_it = kept.log_id == wanted;
        #[cfg(any(test, feature = "testing"))]
        let is_it = is_it || self.gives_anything;
        if !is_it {
            answer.other = Some(kept.log_id.into());
            return answer;
        }
        answer.checksum = crc32fast::hash(&kept.payload);
        answer.entry = Some(WireEntry {
            log_id: wanted.into(),
            kind: kept.kind as u32,
            payload: kept.payload,
        });
        answer
    }

    /// FETCH-1. What cannot be read here is not known here.
    fn committed(&self, index: LogIndex) -> Option<StoredEntry> {
        let (journal, shard) = (&self.journal, self.shard);
        let checkpoint = journal.checkpoint(shard);
        let is_behind = checkpoint.is_none_or(|checkpoint| index > checkpoint.log_id.index);
        let is_known = is_behind || journal.is_adopted(shard, index);
        let is_committed = is_known && Some(index) <= self.committed;
        #[cfg(any(test, feature = "testing"))]
        let is_committed = is_committed || self.gives_anything;
        is_committed.then(|| journal.kept(shard, index).ok())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raft_log::EntryKind;

    fn came(
        entry: Option<(u64, u64)>,
        checksum: u32,
        other: Option<(u64, u64)>,
    ) -> WireRefetchedEntry {
        let at = |(term, index)| WireLogId { term, index };
        WireRefetchedEntry {
            entry: entry.map(|log_id| WireEntry {
                log_id: at(log_id),
                kind: 1,
                payload: Bytes::from_static(b"123456789"),
            }),
            checksum,
            other: other.map(at),
        }
    }

    const CHECK: u32 = 0xcbf4_3926;

    #[test]
    fn an_answer_is_held_against_the_question() {
        let entry = NewEntry {
            log_id: LogId::new(2, 7),
            kind: EntryKind::Normal,
            payload: Bytes::from_static(b"123456789"),
        };
        for (answer, expect) in [
            (came(None, 0, None), Some(Refetched::Unknown)),
            (
                came(Some((2, 7)), CHECK, None),
                Some(Refetched::Entry(entry)),
            ),
            (came(Some((2, 7)), CHECK ^ 1, None), None),
            (came(Some((3, 7)), CHECK, None), None),
            (came(Some((2, 8)), CHECK, None), None),
            (
                came(None, 0, Some((3, 7))),
                Some(Refetched::Other(LogId::new(3, 7))),
            ),
            (came(None, 0, Some((2, 7))), None),
            (came(None, 0, Some((3, 8))), None),
        ] {
            let shown = format!("{answer:?}");
            assert_eq!(read(LogId::new(2, 7), answer).ok(), expect, "{shown}");
        }
    }
}
