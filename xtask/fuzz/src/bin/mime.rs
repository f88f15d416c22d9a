//! The message parser on any octets: offsets lie in the message and in each other, and facts keep their bounds.
#![no_main]

use engine_events::{BodyPart, Facts, PartKind};
use engine_message::limits::{DEPTH_MAX, FACTS_BYTES_MAX, PARTS_MAX, THREAD_KEYS_MAX};
use engine_message::{facts, thread_keys};
use prost::Message as _;

/// Octets that facts may have for each of the message's, and at all. A header of few octets names a default type,
/// and an address of none has its tags; both are a small multiple of what the message spent on them.
const FACTS_PER_OCTET: usize = 64;
const FACTS_AT_LEAST: usize = 128;
/// Of what is repeated.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

fn hold(message: &[u8], part: &BodyPart, depth: usize, parts: &mut usize) {
    *parts += 1;
    assert!(depth <= DEPTH_MAX, "nested {depth} deep");
    assert!(part.header_start <= part.body_start && part.body_start <= part.body_end);
    let body = &message[part.body_start as usize..part.body_end as usize];
    let lines = body.iter().filter(|&&octet| octet == b'\n').count();
    assert_eq!(part.lines, lines as u64);
    let mut from = part.body_start;
    for child in &part.children {
        assert!(child.header_start >= from && child.body_end <= part.body_end);
        from = child.body_end;
        hold(message, child, depth + 1, parts);
    }
    match part.kind() {
        PartKind::Message => assert!(part.children.len() == 1 && part.envelope.is_some()),
        PartKind::Multipart => assert!(!part.children.is_empty()),
        PartKind::Basic | PartKind::Text => assert!(part.children.is_empty()),
    }
}

fn check(message: &[u8]) {
    let found = facts(message);
    let encoded = found.encode_to_vec();
    assert!(encoded.len() <= FACTS_BYTES_MAX);
    assert!(
        encoded.len() <= FACTS_AT_LEAST + message.len() * FACTS_PER_OCTET,
        "{} octets make {} of facts",
        message.len(),
        encoded.len()
    );
    assert_eq!(Facts::decode(&encoded[..]).as_ref(), Ok(&found));

    let root = found.body.expect("every message has a root");
    assert_eq!(root.header_start, 0);
    assert_eq!(root.body_end, message.len() as u64);
    let mut parts = 0;
    hold(message, &root, 0, &mut parts);
    assert!(parts <= PARTS_MAX + DEPTH_MAX);

    let mut keys = thread_keys(message);
    assert!(keys.len() <= THREAD_KEYS_MAX);
    keys.sort_unstable();
    assert!(keys.is_sorted_by(|a, b| a < b), "a thread key twice");
}

// A first octet of 0xf0 or more stands for the rest many times over: the bounds of parts, depth and copied values are
// met by large messages only, and work that is not linear shows as a hang.
libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    match input.split_first() {
        Some((first @ 0xf0.., piece)) if !piece.is_empty() => {
            let times = (usize::from(first - 0xef) * 256).min(MESSAGE_BYTES_MAX / piece.len());
            check(&piece.repeat(times));
        }
        _ => check(input),
    }
});
