//! A message's bytes as events, and back: facts ‖ message in one block, or facts alone and chunks ahead of them.

use crate::limits::FACTS_BYTES_MAX;
use crate::{BodyHandle, Content, MessageBytes, Refusal};
use bytes::Bytes;
use engine_events::limits::{BODY_CHUNK_BYTES, CHUNKS_PER_BODY_MAX};
use engine_events::{
    Block, BodyChunkStored, BodyStored, Event, Facts, Kind, Payload, compress, decompress,
};
use engine_types::AccountId;
use prost::Message;
use raft_api::{Entries, EntriesError, LogIndex, ShardId};
use std::sync::Arc;
use xxhash_rust::xxh3::Xxh3Default;

/// A message made ready to be stored, in as many shards as it goes to.
pub(crate) struct Body {
    facts: Bytes,
    message: Bytes,
    hash: Bytes,
    pub thread_keys: Vec<u64>,
    /// For logs; empty if the message has none.
    pub message_id: String,
}

impl Body {
    /// Parses, bounds and hashes; linear in the message's size.
    pub(crate) fn new(message: Bytes) -> Body {
        let facts = engine_message::facts(&message);
        let thread_keys = engine_message::thread_keys(&message);
        let message_id = facts
            .envelope
            .as_ref()
            .and_then(|envelope| envelope.message_id.as_ref())
            .map(|id| String::from_utf8_lossy(&id[..id.len().min(256)]).into_owned())
            .unwrap_or_default();
        Body {
            facts: encode_facts(facts),
            hash: Bytes::copy_from_slice(&hash_of([&message]).to_be_bytes()),
            message,
            thread_keys,
            message_id,
        }
    }

    pub(crate) fn size(&self) -> u64 {
        self.message.len() as u64
    }

    /// How many chunks must go ahead; 0: the body fits into its own event.
    pub(crate) fn chunk_count(&self) -> usize {
        if self.facts.len() + self.message.len() <= BODY_CHUNK_BYTES {
            0
        } else {
            self.message.len().div_ceil(BODY_CHUNK_BYTES)
        }
    }

    pub(crate) fn chunk(&self, number: usize) -> Event {
        let start = number * BODY_CHUNK_BYTES;
        let end = self.message.len().min(start + BODY_CHUNK_BYTES);
        bare(Kind::BodyChunkStored(BodyChunkStored {
            block: Some(compress(&self.message[start..end])),
        }))
    }

    /// The body's own event; `chunks` are the log indexes of what went ahead, in order.
    pub(crate) fn stored(&self, chunks: Vec<u64>) -> Event {
        let block = if chunks.is_empty() {
            compress(&[self.facts.as_ref(), self.message.as_ref()].concat())
        } else {
            compress(&self.facts)
        };
        bare(Kind::BodyStored(BodyStored {
            block: Some(block),
            facts_len: self.facts.len() as u32,
            size: self.size(),
            hash: self.hash.clone(),
            chunks,
        }))
    }
}

/// Bodies belong to no account.
fn bare(kind: Kind) -> Event {
    Event::new(AccountId(0), 0, kind)
}

/// A message of ten thousand parts or with a megabyte of Subject is shown as far as `FACTS_BYTES_MAX` goes.
fn encode_facts(mut facts: Facts) -> Bytes {
    if facts.encoded_len() > FACTS_BYTES_MAX
        && let Some(root) = facts.body.take()
    {
        facts.body = Some(engine_events::BodyPart {
            kind: engine_events::PartKind::Text as i32,
            media_type: "TEXT".to_owned(),
            subtype: "PLAIN".to_owned(),
            encoding: "7BIT".to_owned(),
            header_start: root.header_start,
            body_start: root.body_start,
            body_end: root.body_end,
            lines: root.lines,
            ..Default::default()
        });
    }
    if facts.encoded_len() > FACTS_BYTES_MAX {
        facts.envelope = None;
    }
    facts.encode_to_vec().into()
}

fn hash_of<'a>(pieces: impl IntoIterator<Item = &'a Bytes>) -> u128 {
    let mut hasher = Xxh3Default::new();
    for piece in pieces {
        hasher.update(piece);
    }
    hasher.digest128()
}

/// Reads a body back and checks it against its hash: what leaves here is what came in, octet by octet.
pub fn read(entries: &dyn Entries, handle: &BodyHandle) -> Result<Content, Refusal> {
    let shard = ShardId(handle.shard);
    let place = |what: &str| {
        Refusal::Damaged(format!(
            "body {}:{}.{}: {what}",
            handle.shard, handle.log_index, handle.ordinal
        ))
    };
    let Kind::BodyStored(body) =
        event_at(entries, shard, LogIndex(handle.log_index), handle.ordinal)?
    else {
        return Err(place("the event is not a body"));
    };
    if body.chunks.len() > CHUNKS_PER_BODY_MAX {
        return Err(place("too many chunks"));
    }
    let head = unpack(body.block.as_ref(), &place)?;
    let facts_len = body.facts_len as usize;
    if facts_len > head.len() {
        return Err(place("facts are longer than their block"));
    }
    let facts = Facts::decode(head.slice(..facts_len)).map_err(|_| place("facts"))?;
    let mut pieces = Vec::with_capacity(body.chunks.len().max(1));
    if body.chunks.is_empty() {
        pieces.push(head.slice(facts_len..));
    }
    for &log_index in &body.chunks {
        let Kind::BodyChunkStored(chunk) = event_at(entries, shard, LogIndex(log_index), 0)? else {
            return Err(place("the event is not a chunk"));
        };
        pieces.push(unpack(chunk.block.as_ref(), &place)?);
    }
    let len: u64 = pieces.iter().map(|piece| piece.len() as u64).sum();
    if len != body.size || len != handle.size {
        return Err(place("its size differs"));
    }
    if hash_of(&pieces).to_be_bytes().as_slice() != body.hash.as_ref() {
        return Err(place("its hash differs"));
    }
    Ok(Content {
        trace: handle.trace.clone(),
        facts: Arc::new(facts),
        message: MessageBytes { pieces, len },
    })
}

fn unpack(block: Option<&Block>, place: &dyn Fn(&str) -> Refusal) -> Result<Bytes, Refusal> {
    let block = block.ok_or_else(|| place("no block"))?;
    decompress(block).map_err(|error| place(&error.to_string()))
}

fn event_at(
    entries: &dyn Entries,
    shard: ShardId,
    log_index: LogIndex,
    ordinal: u32,
) -> Result<Kind, Refusal> {
    let payload = entries
        .payload(shard, log_index)
        .map_err(|error| match error {
            EntriesError::Io { .. } => {
                tracing::error!(%error, "a body cannot be read");
                Refusal::Unavailable("the disk does not answer")
            }
            EntriesError::Missing { .. } | EntriesError::Damaged { .. } => {
                tracing::error!(%error, "a body cannot be read");
                Refusal::Damaged(error.to_string())
            }
        })?;
    let damaged = |what: String| Refusal::Damaged(format!("entry {shard}:{log_index}: {what}"));
    let payload = Payload::decode(payload).map_err(|error| damaged(error.to_string()))?;
    payload
        .command
        .events
        .into_iter()
        .nth(ordinal as usize)
        .and_then(|event| event.kind)
        .ok_or_else(|| damaged(format!("no event {ordinal}")))
}
