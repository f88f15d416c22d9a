//! Thread keys: which messages belong to one conversation (RFC 5256 §3, RFC 8474 §5.2).

use crate::header::{fields, unfold};
use crate::limits::{IDS_PER_FIELD_MAX, MIME_FIELD_BYTES_MAX, THREAD_KEYS_MAX};
use xxhash_rust::xxh3::xxh3_64;

/// XXH3-64, seed 0, of every message id without `<` and `>` and white space, as it stands (case counts). The hash is
/// frozen: keys are stored. Order: Message-ID, In-Reply-To, References; no key twice; at most `THREAD_KEYS_MAX`.
/// Of an overlong field the last `MIME_FIELD_BYTES_MAX` octets are read.
pub fn thread_keys(message: &[u8]) -> Vec<u64> {
    let (mut own, mut reply, mut references) = (None, None, None);
    for (name, value) in fields(message) {
        let place = if name.eq_ignore_ascii_case(b"Message-ID") {
            &mut own
        } else if name.eq_ignore_ascii_case(b"In-Reply-To") {
            &mut reply
        } else if name.eq_ignore_ascii_case(b"References") {
            &mut references
        } else {
            continue;
        };
        // The first field counts, as in the envelope.
        place.get_or_insert(value);
    }
    let mut keys = Vec::new();
    for value in [own, reply].into_iter().flatten() {
        let ids = ids_of(value);
        add(&mut keys, ids.iter().take(IDS_PER_FIELD_MAX).copied());
    }
    let ids = references.map(ids_of).unwrap_or_default();
    if let Some((root, rest)) = ids.split_first() {
        add(&mut keys, [*root].into_iter());
        let room = THREAD_KEYS_MAX - keys.len();
        add(
            &mut keys,
            rest[rest.len().saturating_sub(room)..].iter().copied(),
        );
    }
    keys
}

fn add(keys: &mut Vec<u64>, ids: impl Iterator<Item = u64>) {
    for id in ids {
        if keys.len() < THREAD_KEYS_MAX && !keys.contains(&id) {
            keys.push(id);
        }
    }
}

/// Hashes of the ids in a field. Without brackets, a single word is an id.
fn ids_of(value: &[u8]) -> Vec<u64> {
    let value = tail(value);
    let value = unfold(value, value.len());
    let mut found = Vec::new();
    let mut rest = &value[..];
    while let Some(open) = memchr::memchr(b'<', rest) {
        rest = &rest[open + 1..];
        let Some(close) = memchr::memchr(b'>', rest) else {
            break;
        };
        let id: Vec<u8> = rest[..close]
            .iter()
            .copied()
            .filter(|octet| !octet.is_ascii_whitespace())
            .collect();
        if !id.is_empty() {
            found.push(xxh3_64(&id));
        }
        rest = &rest[close + 1..];
    }
    if found.is_empty() && !value.is_empty() && !value.iter().any(|o| b" \t<>".contains(o)) {
        found.push(xxh3_64(&value));
    }
    found
}

/// The end of an overlong field: the newest references stand last.
fn tail(value: &[u8]) -> &[u8] {
    &value[value.len().saturating_sub(MIME_FIELD_BYTES_MAX)..]
}
