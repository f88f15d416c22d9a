//! The row at `position_key`: how far the rows beside it have come, and their digest.

use prost::Message;
use raft_api::LogId;
use thiserror::Error;

/// Written in the batch of the rows that it speaks of. Its absence means that nothing was folded.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PositionRow {
    #[prost(uint64, tag = "1")]
    pub term: u64,
    #[prost(uint64, tag = "2")]
    pub index: u64,
    /// 16 bytes, big endian: see `digest.rs`. Can be recomputed from the rows.
    #[prost(bytes = "vec", tag = "3")]
    pub digest: Vec<u8>,
}

#[derive(Debug, Error)]
#[error("the row of the applied position cannot be read")]
pub struct BadPosition;

impl PositionRow {
    pub fn new(log_id: LogId, digest: u128) -> PositionRow {
        PositionRow {
            term: log_id.term.0,
            index: log_id.index.0,
            digest: digest.to_be_bytes().to_vec(),
        }
    }

    pub fn encode_row(&self) -> Vec<u8> {
        self.encode_to_vec()
    }

    pub fn decode_row(bytes: &[u8]) -> Result<(LogId, u128), BadPosition> {
        let row = PositionRow::decode(bytes).map_err(|_| BadPosition)?;
        let digest: [u8; 16] = row.digest.try_into().map_err(|_| BadPosition)?;
        Ok((LogId::new(row.term, row.index), u128::from_be_bytes(digest)))
    }
}
