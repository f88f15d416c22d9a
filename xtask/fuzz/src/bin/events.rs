//! Log entries and body blocks on any bytes: what is accepted is written back as the same value, and a block gives
//! exactly what it says or an error.
#![no_main]

use bytes::Bytes;
use engine_events::{
    Block, Codec, Facts, Kind, Outcome, Payload, UidRanges, compress, decompress, flags_from,
    flags_into, ranges_from, ranges_into,
};
use prost::Message;

/// Lengths above what any block may hold are tried too.
const CONTENT_LEN_MAX: u32 = 4 << 20;

fn same_again<M: Message + Default + PartialEq>(bytes: &[u8]) -> Option<M> {
    let found = M::decode(bytes).ok()?;
    let again = M::decode(&found.encode_to_vec()[..]);
    assert!(again.is_ok_and(|again| again == found), "another value");
    Some(found)
}

fn open(block: &Block) {
    if let Ok(content) = decompress(block) {
        assert_eq!(content.len(), block.content_len as usize);
        assert_eq!(decompress(&compress(&content)).as_ref(), Ok(&content));
    }
}

fn payload(bytes: &[u8]) {
    let Ok(payload) = Payload::decode(Bytes::copy_from_slice(bytes)) else {
        return;
    };
    let written = Payload::stamp(payload.decided_at, &payload.command.encode_command());
    assert_eq!(Payload::decode(written).as_ref(), Ok(&payload));
    assert!(payload.command.command_id().is_ok());
    for event in &payload.command.events {
        match &event.kind {
            Some(Kind::BodyStored(body)) => body.block.iter().for_each(open),
            Some(Kind::BodyChunkStored(chunk)) => chunk.block.iter().for_each(open),
            Some(_) => {}
            None => panic!("an event of no known kind was accepted"),
        }
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    payload(bytes);
    same_again::<Outcome>(bytes);
    same_again::<Facts>(bytes);
    if let Some(ranges) = same_again::<UidRanges>(bytes) {
        let uids = ranges_from(&ranges);
        assert_eq!(ranges_from(&ranges_into(&uids)), uids);
    }
    if let Some(set) = same_again(bytes) {
        let flags = flags_from(&set);
        assert_eq!(flags_from(&flags_into(&flags)), flags);
    }
    if let Some(block) = same_again::<Block>(bytes) {
        open(&block);
    }
    if let Some((len, bytes)) = bytes.split_first_chunk::<4>() {
        open(&Block {
            codec: Codec::ZstdV1 as i32,
            content_len: u32::from_le_bytes(*len) % CONTENT_LEN_MAX,
            bytes: Bytes::copy_from_slice(bytes),
        });
    }
    assert_eq!(decompress(&compress(bytes)).as_deref(), Ok(bytes));
});
