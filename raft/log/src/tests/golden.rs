//! The bytes of every kind of frame, frozen: whoever changes them makes old journals unreadable.

use crate::format::{
    BatchHead, BatchRow, Footer, FooterMark, FrameHead, FrameKind, HEAD_AREA_BYTES, HeadCopies,
    HeadFault, Row, Seed, SegmentHead, decode_trailer, encode_frame, encode_trailer, footer_room,
    parse_segment_name, segment_name,
};
use crate::tests::model::identity;
use crate::{CheckpointPart, EntryKind};
use raft_api::{LogId, LogIndex, ShardId};

fn hex(bytes: &[u8]) -> String {
    bytes
        .chunks(16)
        .map(|line| line.iter().map(|b| format!("{b:02x}")).collect::<String>() + "\n")
        .collect()
}

fn seed() -> Seed {
    Seed::new(&identity(), 5)
}

fn head(kind: FrameKind) -> FrameHead {
    FrameHead {
        kind,
        entry_kind: 0,
        shard: ShardId(0),
        ordinal: 0,
        batch: 9,
        term: 0,
        index: 0,
        length: 0,
        payload_crc: 0,
    }
}

/// Encodes at offset 4096 of segment 5, compares, and reads back.
fn check(head: FrameHead, payload: &[u8], expect: &str) {
    let mut bytes = Vec::new();
    encode_frame(&mut bytes, seed(), 4096, head, payload);
    assert_eq!(hex(&bytes), expect, "{:?}", head.kind);
    let read = FrameHead::decode(seed(), 4096, &bytes).unwrap();
    assert!(read.body_is_sound(seed(), 4096, &bytes[56..]));
    assert_eq!(
        FrameHead {
            length: 0,
            payload_crc: 0,
            ..read
        },
        head
    );
    // The same bytes elsewhere are not a frame: another offset, segment, or owner.
    assert_eq!(
        FrameHead::decode(seed(), 4104, &bytes),
        Err(HeadFault::NotAFrame)
    );
    assert_eq!(
        FrameHead::decode(Seed::new(&identity(), 6), 4096, &bytes),
        Err(HeadFault::NotAFrame)
    );
    let other = crate::Identity {
        incarnation: 2,
        ..identity()
    };
    assert_eq!(
        FrameHead::decode(Seed::new(&other, 5), 4096, &bytes),
        Err(HeadFault::NotAFrame)
    );
}

fn batch_head(frames: u32) -> BatchHead {
    let row = |shard, last, mark| BatchRow {
        shard: ShardId(shard),
        frames,
        last,
        mark,
    };
    BatchHead {
        bytes: 0x1234,
        frames,
        flushed_before: 8,
        previous_frames: 3,
        rows: vec![
            row(1, Some(LogId::new(4, 77)), Some(LogIndex(70))),
            row(16, None, None),
        ],
    }
}

fn footer() -> Footer {
    let row = |kind, offset, index| Row {
        kind,
        entry_kind: 1,
        shard: ShardId(1),
        offset,
        length: 11,
        term: 4,
        index,
    };
    Footer {
        first_batch: 6,
        first_previous_frames: 2,
        previous_frames: 1,
        rows: vec![
            row(FrameKind::Entry, 4200, 77),
            row(FrameKind::Purge, 4300 / 8 * 8, 70),
        ],
        marks: vec![FooterMark {
            shard: ShardId(1),
            mark: LogIndex(70),
        }],
    }
}

#[test]
fn frames() {
    let of = |kind, term, index| FrameHead {
        shard: ShardId(1),
        ordinal: 2,
        term,
        index,
        ..head(kind)
    };
    check(
        FrameHead {
            entry_kind: 1,
            ..of(FrameKind::Entry, 4, 77)
        },
        b"hello, world",
        GOLDEN[0],
    );
    check(of(FrameKind::Vote, 2, 12), b"a vote", GOLDEN[1]);
    check(of(FrameKind::Truncate, 4, 78), b"", GOLDEN[2]);
    check(of(FrameKind::Purge, 4, 70), b"", GOLDEN[3]);
    check(
        head(FrameKind::BatchHead),
        &batch_head(2).encode(),
        GOLDEN[4],
    );
    check(head(FrameKind::Seal), &batch_head(0).encode(), GOLDEN[5]);
    check(head(FrameKind::Footer), &footer().encode(), GOLDEN[6]);
    assert_eq!(hex(&encode_trailer(seed(), 4336, 4096)), GOLDEN[7]);
    check(
        FrameHead {
            entry_kind: 1,
            ..of(FrameKind::Adopted, 4, 77)
        },
        b"hello, world",
        GOLDEN[10],
    );
    check(
        FrameHead {
            entry_kind: 3,
            ..of(FrameKind::Part, 4, 90)
        },
        b"rows",
        GOLDEN[11],
    );
}

/// Written once, read for ever.
#[test]
fn codes() {
    let kinds: Vec<u8> = FrameKind::ALL.iter().map(|kind| kind.code()).collect();
    assert_eq!(kinds, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    use EntryKind::{Blank, Membership, Mode, Normal};
    for (code, kind) in [(0, Blank), (1, Normal), (2, Membership), (3, Mode)] {
        assert_eq!((kind as u8, EntryKind::from_code(code)), (code, Some(kind)));
    }
    assert_eq!(EntryKind::from_code(4), None);
    for (code, is_first, is_last) in [
        (0, false, false),
        (1, true, false),
        (2, false, true),
        (3, true, true),
    ] {
        let part = CheckpointPart { is_first, is_last };
        assert_eq!((part.code(), CheckpointPart::from_code(code)), (code, part));
    }
}

#[test]
fn payloads_are_read_back() {
    for frames in [0, 2] {
        assert_eq!(
            BatchHead::decode(&batch_head(frames).encode()),
            Some(batch_head(frames))
        );
    }
    assert_eq!(Footer::decode(&footer().encode()), Some(footer()));
    for kind in FrameKind::ALL {
        let mut footer = footer();
        footer.rows[0].kind = kind;
        let expect = (!kind.opens_batch()).then(|| footer.clone());
        assert_eq!(Footer::decode(&footer.encode()), expect, "{kind:?}");
    }
    // A footer that a newer version wrote is not believed: the segment is read, and the frame itself is refused.
    let mut newer = footer().encode();
    newer[32] = 10;
    assert_eq!(Footer::decode(&newer), None);
    let room = footer_room(2, 1);
    let mut bytes = Vec::new();
    encode_frame(
        &mut bytes,
        seed(),
        4096,
        head(FrameKind::Footer),
        &footer().encode(),
    );
    assert_eq!(bytes.len() as u64 + 32, room);
    assert_eq!(
        decode_trailer(seed(), 4336, &encode_trailer(seed(), 4336, 4096)),
        Some(4096)
    );
    assert_eq!(
        decode_trailer(seed(), 4344, &encode_trailer(seed(), 4336, 4096)),
        None
    );
}

#[test]
fn segment_heads() {
    let segment = SegmentHead {
        identity: identity(),
        sequence: 5,
        capacity: 64 << 20,
    };
    let bytes = segment.encode();
    assert_eq!(bytes.len() as u64, HEAD_AREA_BYTES);
    assert_eq!(hex(&bytes[..64]) + &hex(&bytes[2032..2048]), GOLDEN[8]);
    assert_eq!(hex(&bytes[2048..2112]) + &hex(&bytes[4080..]), GOLDEN[9]);
    assert_eq!(
        SegmentHead::decode(&bytes),
        HeadCopies::Sound(segment, [false; 2])
    );
}

/// Format, flags and kinds that this version does not know are refused, not guessed at.
#[test]
fn newer_is_not_damage() {
    let mut bytes = Vec::new();
    encode_frame(&mut bytes, seed(), 4096, head(FrameKind::Vote), b"");
    for (at, value) in [(4, 2), (5, 99), (6, 1), (44, 8), (47, 1)] {
        let mut newer = bytes.clone();
        newer[at] = value;
        let crc = seed().crc(4096, &newer[..52]);
        newer[52..56].copy_from_slice(&crc.to_le_bytes());
        assert!(
            matches!(
                FrameHead::decode(seed(), 4096, &newer),
                Err(HeadFault::Newer(_))
            ),
            "{at}"
        );
    }
}

#[test]
fn names() {
    assert_eq!(segment_name(0xabc), "0000000000000abc.segment");
    for (name, expect) in [
        ("0000000000000abc.segment", Some(0xabc)),
        ("0000000000000ABC.segment", None),
        ("abc.segment", None),
        ("+000000000000abc.segment", None),
        ("0000000000000000.segment", None),
        ("0000000000000abc.segment.tmp", None),
        ("lock", None),
    ] {
        assert_eq!(parse_segment_name(name), expect, "{name}");
    }
}

const GOLDEN: [&str; 12] = [
    // an entry
    "\
     476f4672010300000100000002000000\n\
     09000000000000000400000000000000\n\
     4d000000000000000c00000000000100\n\
     9b599e2d6c3a8c6b68656c6c6f2c2077\n\
     6f726c6400000000\n\
     ",
    // the second copy of a vote
    "\
     476f4672010400000100000002000000\n\
     09000000000000000200000000000000\n\
     0c000000000000000600000000000000\n\
     a6e3e7ba2e3dc4806120766f74650000\n\
     ",
    // a truncation
    "\
     476f4672010500000100000002000000\n\
     09000000000000000400000000000000\n\
     4e000000000000000000000000000000\n\
     9ca5b4817b451637\n\
     ",
    // a purge
    "\
     476f4672010600000100000002000000\n\
     09000000000000000400000000000000\n\
     46000000000000000000000000000000\n\
     9ca5b481668e4611\n\
     ",
    // the head of a batch
    "\
     476f4672010100000000000000000000\n\
     09000000000000000000000000000000\n\
     00000000000000005800000000000000\n\
     c44f9ed2a9f936c13412000002000000\n\
     08000000000000000300000002000000\n\
     01000000020000000400000000000000\n\
     4e000000000000004700000000000000\n\
     10000000020000000000000000000000\n\
     00000000000000000000000000000000\n\
     ",
    // a seal
    "\
     476f4672010200000000000000000000\n\
     09000000000000000000000000000000\n\
     00000000000000005800000000000000\n\
     3fef242b4a24e9283412000000000000\n\
     08000000000000000300000002000000\n\
     01000000000000000400000000000000\n\
     4e000000000000004700000000000000\n\
     10000000000000000000000000000000\n\
     00000000000000000000000000000000\n\
     ",
    // a footer
    "\
     476f4672010700000000000000000000\n\
     09000000000000000000000000000000\n\
     00000000000000007000000000000000\n\
     099416bd30ebc0580600000000000000\n\
     02000000010000000200000001000000\n\
     00000000000000000301000001000000\n\
     0d0200000b0000000400000000000000\n\
     4d000000000000000601000001000000\n\
     190200000b0000000400000000000000\n\
     46000000000000000100000000000000\n\
     4600000000000000\n\
     ",
    // a trailer
    "\
     476f547261696c0a0010000000000000\n\
     0000000000000000000000007a35dece\n\
     ",
    // first copy of a segment's head: its start and its checksum
    "\
     476f4a726e6c0d0a0100000001000000\n\
     6120636c75737465722773206e616d65\n\
     07000000000000000500000000000000\n\
     00000004000000000000000000000000\n\
     000000000000000000000000dc9bf0fa\n\
     ",
    // second copy
    "\
     476f4a726e6c0d0a0100000001000000\n\
     6120636c75737465722773206e616d65\n\
     07000000000000000500000000000000\n\
     00000004000000000100000000000000\n\
     000000000000000000000000722fe71a\n\
     ",
    // an adopted entry
    "\
     476f4672010800000100000002000000\n\
     09000000000000000400000000000000\n\
     4d000000000000000c00000000000100\n\
     9b599e2d69702d2d68656c6c6f2c2077\n\
     6f726c6400000000\n\
     ",
    // the only part of a checkpoint
    "\
     476f4672010900000100000002000000\n\
     09000000000000000400000000000000\n\
     5a000000000000000400000000000300\n\
     d8479d3efbca983e726f777300000000\n\
     ",
];
