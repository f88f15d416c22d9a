//! Compressed bytes in the log. A block names its codec, so that every replica can read every frame for ever.

use bytes::Bytes;
use std::cell::RefCell;
use std::sync::LazyLock;
use thiserror::Error;

/// The default dictionary, trained on public mail: `dictionary/README.md`.
static DICTIONARY_V1: &[u8] = include_bytes!("../dictionary/default-v1.zdict");
/// Level 3: with the dictionary, 0.28 of real mail; higher levels gain little and cost much (design §3).
const LEVEL: i32 = 3;

static ENCODER_V1: LazyLock<zstd::dict::EncoderDictionary<'static>> =
    LazyLock::new(|| zstd::dict::EncoderDictionary::copy(DICTIONARY_V1, LEVEL));
static DECODER_V1: LazyLock<zstd::dict::DecoderDictionary<'static>> =
    LazyLock::new(|| zstd::dict::DecoderDictionary::copy(DICTIONARY_V1));

thread_local! {
    static COMPRESSOR: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Numbers never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum Codec {
    Plain = 0,
    /// zstd with the default dictionary, version 1.
    ZstdV1 = 1,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Block {
    #[prost(enumeration = "Codec", tag = "1")]
    pub codec: i32,
    /// Octets of the content.
    #[prost(uint32, tag = "2")]
    pub content_len: u32,
    #[prost(bytes = "bytes", tag = "3")]
    pub bytes: Bytes,
}

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BlockError {
    #[error("codec {0} is not known to this version")]
    UnknownCodec(i32),
    #[error("the block does not hold what it says: {0}")]
    Damaged(&'static str),
}

/// Compresses where that saves something.
pub fn compress(content: &[u8]) -> Block {
    let content_len = u32::try_from(content.len()).expect("callers hold to BODY_CHUNK_BYTES");
    let packed = COMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = zstd::bulk::Compressor::with_prepared_dictionary(&ENCODER_V1).ok();
        }
        slot.as_mut()
            .and_then(|compressor| compressor.compress(content).ok())
    });
    match packed {
        Some(bytes) if bytes.len() < content.len() => Block {
            codec: Codec::ZstdV1 as i32,
            content_len,
            bytes: bytes.into(),
        },
        _ => Block {
            codec: Codec::Plain as i32,
            content_len,
            bytes: Bytes::copy_from_slice(content),
        },
    }
}

/// The content, exactly `content_len` octets, or an error: never less, never more.
pub fn decompress(block: &Block) -> Result<Bytes, BlockError> {
    let expect = block.content_len as usize;
    let content = match Codec::try_from(block.codec) {
        Err(_) => return Err(BlockError::UnknownCodec(block.codec)),
        Ok(Codec::Plain) => block.bytes.clone(),
        Ok(Codec::ZstdV1) => {
            if expect > crate::limits::PAYLOAD_BYTES_MAX * 4 {
                return Err(BlockError::Damaged("its length is above the bound"));
            }
            DECOMPRESSOR.with_borrow_mut(|slot| {
                if slot.is_none() {
                    *slot = zstd::bulk::Decompressor::with_prepared_dictionary(&DECODER_V1).ok();
                }
                let Some(decompressor) = slot.as_mut() else {
                    return Err(BlockError::Damaged("no decompressor"));
                };
                decompressor
                    .decompress(&block.bytes, expect)
                    .map(Bytes::from)
                    .map_err(|_| BlockError::Damaged("zstd cannot read it"))
            })?
        }
    };
    if content.len() == expect {
        Ok(content)
    } else {
        Err(BlockError::Damaged("its length differs"))
    }
}
