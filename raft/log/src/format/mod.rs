//! The bytes on disk, one file for each kind. `docs/formats/journal.md` describes every one; all numbers are
//! little endian.

mod batch;
mod bytes;
mod footer;
mod frame;
mod segment;

pub(crate) use batch::{BatchHead, BatchRow};
pub(crate) use footer::{
    Footer, FooterMark, Row, TRAILER_BYTES, decode_trailer, encode_trailer, footer_room,
};
pub(crate) use frame::{
    FRAME_HEAD_BYTES, FrameHead, FrameKind, HeadFault, MAGIC, Seed, body_bytes, encode_frame,
    frame_bytes,
};
pub(crate) use segment::{
    HEAD_AREA_BYTES, HeadCopies, SegmentHead, parse_segment_name, segment_name,
};
