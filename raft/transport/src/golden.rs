//! Bytes of the handshake and of frames (`docs/formats/peers.md`), frozen.

use crate::frame::{Answer, Request};
use crate::handshake::Hello;
use bytes::Bytes;
use prost::Message;
use raft_api::ShardId;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn handshake() {
    let check = |refusal: &str, expect: &str| {
        let hello = Hello {
            cluster: (0..16).collect(),
            incarnation: 1,
            node: 2,
            protocol_lowest: 1,
            protocol_highest: 1,
            refusal: refusal.to_owned(),
        };
        let bytes = hello.encode_to_vec();
        assert_eq!(hex(&bytes), expect);
        assert_eq!(Hello::decode(&bytes[..]), Ok(hello));
    };
    let welcome = "0a10000102030405060708090a0b0c0d0e0f1001180220012801";
    check("", welcome);
    check("no", &format!("{welcome}32026e6f"));
}

#[test]
fn frames() {
    let request = Request {
        id: 258,
        kind: 5,
        shard: ShardId(7),
        body: Bytes::from_static(&[0xaa, 0xbb]),
    };
    let bytes = request.encode();
    assert_eq!(hex(&bytes), "0000000f00000000000001020500000007aabb");
    let read = Request::decode(bytes.slice(4..)).expect("bytes made here");
    let shown = (read.id, read.kind, read.shard, read.body);
    assert_eq!(shown, (258, 5, ShardId(7), request.body));

    let check = |result: Result<Bytes, String>, expect: &str| {
        let answer = Answer { id: 258, result };
        let bytes = answer.encode();
        assert_eq!(hex(&bytes), expect);
        let read = Answer::decode(bytes.slice(4..)).expect("bytes made here");
        assert_eq!((read.id, read.result), (258, answer.result));
    };
    let body = Bytes::from_static(&[0xaa, 0xbb]);
    check(Ok(body), "0000000b000000000000010200aabb");
    check(Err("no".to_owned()), "0000000b0000000000000102016e6f");
}
