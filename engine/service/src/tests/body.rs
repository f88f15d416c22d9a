//! Octet by octet: what was stored is what is read, whole or in chunks, or it is called damaged.

use crate::body::{Body, read};
use crate::{BodyHandle, Refusal};
use bytes::Bytes;
use engine_events::limits::{BODY_CHUNK_BYTES, PAYLOAD_BYTES_MAX};
use engine_events::{Command, Event, Payload};
use engine_types::{CommandId, UnixMillis};
use raft_api::{Entries, EntriesError, LogIndex, ShardId};

struct Log(Vec<Bytes>);

impl Entries for Log {
    fn payload(&self, shard: ShardId, index: LogIndex) -> Result<Bytes, EntriesError> {
        self.0
            .get(index.0 as usize)
            .cloned()
            .ok_or(EntriesError::Missing { shard, index })
    }
}

impl Log {
    fn add(&mut self, event: Event) -> u64 {
        let command = Command::new(CommandId(self.0.len() as u128 + 1), 0, "", vec![event]);
        let payload = Payload::stamp(UnixMillis(0), &command.encode_command());
        assert!(payload.len() <= PAYLOAD_BYTES_MAX, "{}", payload.len());
        self.0.push(payload);
        self.0.len() as u64 - 1
    }

    fn store(&mut self, message: &[u8]) -> BodyHandle {
        let body = Body::new(Bytes::copy_from_slice(message));
        let chunks = (0..body.chunk_count())
            .map(|number| self.add(body.chunk(number)))
            .collect();
        BodyHandle {
            shard: 1,
            log_index: self.add(body.stored(chunks)),
            ordinal: 0,
            trace: Bytes::from_static(b"Return-Path: <>\r\n"),
            size: message.len() as u64,
        }
    }
}

/// Octets that no compressor makes smaller.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    })
    .take(len)
    .collect()
}

#[track_caller]
fn check(message: &[u8], entries: usize) {
    let mut log = Log(Vec::new());
    let handle = log.store(message);
    assert_eq!(log.0.len(), entries);
    let content = read(&log, &handle).unwrap();
    assert_eq!(content.trace, handle.trace);
    assert_eq!(content.message.len, message.len() as u64);
    assert!(content.message.to_bytes() == message);
    let facts = engine_message::facts(message);
    assert_eq!(*content.facts, facts);
}

#[test]
fn what_is_stored_is_what_is_read() {
    let header = b"Subject: hello\r\nMessage-ID: <1@example.org>\r\n\r\n".as_slice();
    check(b"", 1);
    check(b"\r\n", 1);
    check(header, 1);
    check(&[header, b"bare \r and \n and \xff"].concat(), 1);
    check(&[header, &vec![b'a'; 200_000]].concat(), 1);
    check(&[header, &noise(BODY_CHUNK_BYTES - 2_000)].concat(), 1);
    check(
        &[header, &noise(BODY_CHUNK_BYTES - header.len())].concat(),
        2,
    );
    check(&[header, &noise(BODY_CHUNK_BYTES)].concat(), 3);
    check(&[header, &noise(3 * BODY_CHUNK_BYTES)].concat(), 5);
}

#[test]
fn any_other_octet_is_called_damaged() {
    let mut log = Log(Vec::new());
    let handle = log.store(&[b"A: b\r\n\r\n".as_slice(), &noise(BODY_CHUNK_BYTES)].concat());
    let sound = log.0.clone();
    for (entry, payload) in sound.iter().enumerate() {
        // The ends: of a chunk's octets, and of the list of chunks.
        for at in [payload.len() - 2, payload.len() - 1] {
            let mut bad = payload.to_vec();
            bad[at] ^= 1;
            log.0[entry] = bad.into();
            let result = read(&log, &handle);
            assert!(
                matches!(result, Err(Refusal::Damaged(_))),
                "entry {entry}, octet {at}: {:?}",
                result.map(|_| "read")
            );
        }
        log.0[entry] = payload.clone();
    }
    assert!(read(&log, &handle).is_ok());
    let elsewhere = BodyHandle {
        log_index: 99,
        ..handle.clone()
    };
    assert!(matches!(read(&log, &elsewhere), Err(Refusal::Damaged(_))));
    let shorter = BodyHandle {
        size: handle.size - 1,
        ..handle
    };
    assert!(matches!(read(&log, &shorter), Err(Refusal::Damaged(_))));
}

#[test]
fn a_message_of_a_great_many_parts_still_fits_an_entry() {
    let mut message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_vec();
    for part in 0..10_000 {
        message.extend(format!("--b\r\nContent-Description: part {part}\r\n\r\nx\r\n").bytes());
    }
    let mut log = Log(Vec::new());
    let handle = log.store(&message);
    assert!(read(&log, &handle).unwrap().message.to_bytes() == message);
    let header = [b"Subject: ".as_slice(), &[b'x'; 1_000_000], b"\r\n\r\n"].concat();
    let handle = log.store(&header);
    assert!(read(&log, &handle).unwrap().message.to_bytes() == header);
}
