//! Frames: a head of 56 bytes with its own checksum, then extension, payload and padding under another one.

use super::bytes::{u16_at, u32_at, u64_at};
use crate::Identity;
use raft_api::ShardId;

pub(crate) const MAGIC: u32 = u32::from_le_bytes(*b"GoFr");
pub(crate) const FRAME_HEAD_BYTES: usize = 56;
const FORMAT: u8 = 1;
/// Where the head's checksum lies: it covers everything before it.
const HEAD_CRC_AT: usize = 52;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameKind {
    BatchHead,
    Seal,
    Entry,
    Vote,
    Truncate,
    Purge,
    Footer,
    Adopted,
    Part,
}

impl FrameKind {
    pub const ALL: [FrameKind; 9] = [
        FrameKind::BatchHead,
        FrameKind::Seal,
        FrameKind::Entry,
        FrameKind::Vote,
        FrameKind::Truncate,
        FrameKind::Purge,
        FrameKind::Footer,
        FrameKind::Adopted,
        FrameKind::Part,
    ];

    pub fn code(self) -> u8 {
        match self {
            FrameKind::BatchHead => 1,
            FrameKind::Seal => 2,
            FrameKind::Entry => 3,
            FrameKind::Vote => 4,
            FrameKind::Truncate => 5,
            FrameKind::Purge => 6,
            FrameKind::Footer => 7,
            FrameKind::Adopted => 8,
            FrameKind::Part => 9,
        }
    }

    pub fn from_code(code: u8) -> Option<FrameKind> {
        FrameKind::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// Kinds that begin a batch; all others are within one.
    pub fn opens_batch(self) -> bool {
        matches!(
            self,
            FrameKind::BatchHead | FrameKind::Seal | FrameKind::Footer
        )
    }
}

/// `index` and `term` mean: of an entry (adopted or not), a purge or a checkpoint's part, its log id; of a vote, its number and its copy (1 or 2); of a
/// truncation, the first index removed and the term of the last entry kept. They are 0 in the other kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHead {
    pub kind: FrameKind,
    /// What the caller says an entry is (blank, normal, membership, mode); of a checkpoint's part, bit 0 if it is the first
    /// one and bit 1 if it is the last; 0 in the other kinds.
    pub entry_kind: u8,
    pub shard: ShardId,
    /// Position in the batch; the frame that opens it has 0.
    pub ordinal: u32,
    pub batch: u64,
    pub term: u64,
    pub index: u64,
    /// Payload without padding.
    pub length: u32,
    pub payload_crc: u32,
}

/// Why bytes are not a frame's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeadFault {
    /// Damaged, or no frame begins here.
    NotAFrame,
    /// The checksum holds, so a newer version wrote it: nothing here may be guessed at.
    Newer(&'static str),
}

/// Start of every checksum in one segment: its owner and its sequence, so that a frame which is stale, misplaced, or
/// of another segment or node does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seed(u32);

impl Seed {
    pub fn new(identity: &Identity, sequence: u64) -> Seed {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&identity.cluster);
        hasher.update(&identity.incarnation.to_le_bytes());
        hasher.update(&identity.node.0.to_le_bytes());
        hasher.update(&sequence.to_le_bytes());
        Seed(hasher.finalize())
    }

    /// CRC-32 (IEEE) of `bytes`, which belong to the frame at `offset`.
    pub fn crc(self, offset: u64, bytes: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new_with_initial(self.0);
        hasher.update(&offset.to_le_bytes());
        hasher.update(bytes);
        hasher.finalize()
    }
}

/// Payload and padding: frames begin at multiples of 8 bytes.
pub(crate) fn body_bytes(payload: usize) -> usize {
    payload.next_multiple_of(8)
}

pub(crate) fn frame_bytes(payload: usize) -> u64 {
    (FRAME_HEAD_BYTES + body_bytes(payload)) as u64
}

impl FrameHead {
    /// Head, payload and padding.
    pub fn frame_bytes(&self) -> u64 {
        frame_bytes(self.length as usize)
    }

    fn encode(&self, seed: Seed, offset: u64) -> [u8; FRAME_HEAD_BYTES] {
        let mut head = [0; FRAME_HEAD_BYTES];
        head[0..4].copy_from_slice(&MAGIC.to_le_bytes());
        head[4] = FORMAT;
        head[5] = self.kind.code();
        // 6..8 flags, 44..46 length of the sealing extension: none in format 1 as written here.
        head[8..12].copy_from_slice(&self.shard.0.to_le_bytes());
        head[12..16].copy_from_slice(&self.ordinal.to_le_bytes());
        head[16..24].copy_from_slice(&self.batch.to_le_bytes());
        head[24..32].copy_from_slice(&self.term.to_le_bytes());
        head[32..40].copy_from_slice(&self.index.to_le_bytes());
        head[40..44].copy_from_slice(&self.length.to_le_bytes());
        head[46] = self.entry_kind;
        head[48..52].copy_from_slice(&self.payload_crc.to_le_bytes());
        let crc = seed.crc(offset, &head[..HEAD_CRC_AT]);
        head[HEAD_CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        head
    }

    pub fn decode(seed: Seed, offset: u64, head: &[u8]) -> Result<FrameHead, HeadFault> {
        if head.len() < FRAME_HEAD_BYTES || u32_at(head, 0) != MAGIC {
            return Err(HeadFault::NotAFrame);
        }
        if seed.crc(offset, &head[..HEAD_CRC_AT]) != u32_at(head, HEAD_CRC_AT) {
            return Err(HeadFault::NotAFrame);
        }
        if head[4] != FORMAT {
            return Err(HeadFault::Newer("frame format"));
        }
        if u16_at(head, 6) != 0 || u16_at(head, 44) != 0 || head[47] != 0 {
            return Err(HeadFault::Newer("frame flags (sealed payload)"));
        }
        let kind = FrameKind::from_code(head[5]).ok_or(HeadFault::Newer("frame kind"))?;
        Ok(FrameHead {
            kind,
            entry_kind: head[46],
            shard: ShardId(u32_at(head, 8)),
            ordinal: u32_at(head, 12),
            batch: u64_at(head, 16),
            term: u64_at(head, 24),
            index: u64_at(head, 32),
            length: u32_at(head, 40),
            payload_crc: u32_at(head, 48),
        })
    }

    /// `body` is payload and padding.
    pub fn body_is_sound(&self, seed: Seed, offset: u64, body: &[u8]) -> bool {
        #[cfg(any(test, feature = "testing"))]
        if crate::faulty_disk::torn_frames_are_trusted() {
            return true;
        }
        body.len() == body_bytes(self.length as usize) && seed.crc(offset, body) == self.payload_crc
    }
}

/// Appends a whole frame to `into`, to lie at `offset` in its segment. Fills in length and payload checksum.
pub(crate) fn encode_frame(
    into: &mut Vec<u8>,
    seed: Seed,
    offset: u64,
    mut head: FrameHead,
    payload: &[u8],
) {
    head.length = payload.len() as u32;
    let start = into.len();
    into.extend_from_slice(&[0; FRAME_HEAD_BYTES]);
    into.extend_from_slice(payload);
    into.resize(start + FRAME_HEAD_BYTES + body_bytes(payload.len()), 0);
    head.payload_crc = seed.crc(offset, &into[start + FRAME_HEAD_BYTES..]);
    let bytes = head.encode(seed, offset);
    into[start..start + FRAME_HEAD_BYTES].copy_from_slice(&bytes);
}
