//! The head of a segment file: whose it is and which one it is, twice.

use super::bytes::{array_at, u32_at, u64_at};
use crate::Identity;
use raft_api::NodeId;

/// Two copies of the head; frames begin after them.
pub(crate) const HEAD_AREA_BYTES: u64 = 4096;
pub(crate) const HEAD_COPY_BYTES: usize = 2048;
const MAGIC: [u8; 8] = *b"GoJrnl\r\n";
const FORMAT: u32 = 1;
const CRC_AT: usize = HEAD_COPY_BYTES - 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHead {
    pub identity: Identity,
    /// Rises by one with each segment, from 1. Also in the file's name. Never reused.
    pub sequence: u64,
    /// Preallocated length of the file in bytes; a sealed segment is cut to what it uses.
    pub capacity: u64,
}

/// What the head area of a file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeadCopies {
    /// With the offsets of the copies that are damaged.
    Sound(SegmentHead, [bool; 2]),
    Damaged,
    Newer,
}

impl SegmentHead {
    pub fn encode(&self) -> Vec<u8> {
        let mut area = Vec::with_capacity(HEAD_AREA_BYTES as usize);
        for copy in 0..2_u32 {
            let start = area.len();
            area.extend_from_slice(&MAGIC);
            area.extend_from_slice(&FORMAT.to_le_bytes());
            area.extend_from_slice(&self.identity.incarnation.to_le_bytes());
            area.extend_from_slice(&self.identity.cluster);
            area.extend_from_slice(&self.identity.node.0.to_le_bytes());
            area.extend_from_slice(&self.sequence.to_le_bytes());
            area.extend_from_slice(&self.capacity.to_le_bytes());
            area.extend_from_slice(&copy.to_le_bytes());
            area.resize(start + CRC_AT, 0);
            let crc = crc32fast::hash(&area[start..]);
            area.extend_from_slice(&crc.to_le_bytes());
        }
        area
    }

    pub fn decode(area: &[u8]) -> HeadCopies {
        let mut damaged = [true; 2];
        let mut found = None;
        for (copy, bytes) in area.chunks_exact(HEAD_COPY_BYTES).take(2).enumerate() {
            let sound =
                bytes[..8] == MAGIC && u32_at(bytes, CRC_AT) == crc32fast::hash(&bytes[..CRC_AT]);
            if !sound {
                continue;
            }
            if u32_at(bytes, 8) != FORMAT {
                return HeadCopies::Newer;
            }
            damaged[copy] = false;
            found = Some(SegmentHead {
                identity: Identity {
                    cluster: array_at(bytes, 16),
                    incarnation: u32_at(bytes, 12),
                    node: NodeId(u64_at(bytes, 32)),
                },
                sequence: u64_at(bytes, 40),
                capacity: u64_at(bytes, 48),
            });
        }
        found.map_or(HeadCopies::Damaged, |head| HeadCopies::Sound(head, damaged))
    }
}

pub(crate) fn segment_name(sequence: u64) -> String {
    format!("{sequence:016x}.segment")
}

pub(crate) fn parse_segment_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".segment")?;
    let sequence = u64::from_str_radix(digits, 16).ok()?;
    // Only the spelling that we write: `+1` and upper case would give two files one sequence.
    (segment_name(sequence) == name && sequence > 0).then_some(sequence)
}
