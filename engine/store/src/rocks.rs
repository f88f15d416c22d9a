//! Rows in RocksDB, with every option that matters said here.
//!
//! No write-ahead log: the applied position is in the same batch as the rows it stands for, there is one column
//! family, and a batch never spans two memtables. So whatever a crash leaves is the state after some batch, and the
//! journal replays from the position found in it. A log here would write every row twice for nothing.

use crate::limits::{
    BACKGROUND_JOBS, BLOCK_BYTES, BLOCK_CACHE_BYTES, LOG_FILE_BYTES_MAX, LOG_FILES_MAX,
    MEMTABLE_BLOOM_RATIO, MEMTABLE_BYTES, MEMTABLES_MAX, OPEN_FILES_MAX,
};
use crate::rocks_snapshot::RocksSnapshot;
use crate::{Batch, StoreError, ViewSnapshot, ViewStore, Visit};
use bytes::Bytes;
use rocksdb::{
    BlockBasedOptions, Cache, ChecksumType, DB, DBCompressionType, DBRawIterator, FlushOptions,
    Options, ReadOptions, WriteBatch, WriteOptions,
};
use std::path::Path;
use std::sync::Arc;

pub struct RocksStore {
    db: Arc<DB>,
}

impl RocksStore {
    /// Opens or creates the store in folder `path`. One process, and one `RocksStore` in it, at a time.
    pub fn open(path: &Path) -> Result<RocksStore, StoreError> {
        let db = DB::open(&options(), path).map_err(|error| StoreError::Open {
            detail: error.to_string(),
        })?;
        Ok(RocksStore { db: Arc::new(db) })
    }
}

fn options() -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(&Cache::new_lru_cache(BLOCK_CACHE_BYTES));
    table.set_block_size(BLOCK_BYTES);
    // Filters and indexes count against the cache, or memory would grow with the number of files.
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    table.set_bloom_filter(10.0, false);
    table.set_checksum_type(ChecksumType::XXH3);

    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_paranoid_checks(true);
    options.set_block_based_table_factory(&table);
    options.set_write_buffer_size(MEMTABLE_BYTES);
    // Most lookups of the fold are for rows that are not there, or not yet in a file.
    options.set_memtable_whole_key_filtering(true);
    options.set_memtable_prefix_bloom_ratio(MEMTABLE_BLOOM_RATIO);
    options.set_max_write_buffer_number(MEMTABLES_MAX);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_bottommost_compression_type(DBCompressionType::Zstd);
    options.set_max_open_files(OPEN_FILES_MAX);
    options.set_max_background_jobs(BACKGROUND_JOBS);
    options.set_keep_log_file_num(LOG_FILES_MAX);
    options.set_max_log_file_size(LOG_FILE_BYTES_MAX);
    options.set_stats_dump_period_sec(0);
    options
}

/// A damaged block must be an error, never a missing row.
fn reading() -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_verify_checksums(true);
    options
}

fn reading_range(from: &[u8], to: &[u8]) -> ReadOptions {
    let mut options = reading();
    options.set_iterate_lower_bound(from);
    options.set_iterate_upper_bound(to);
    options
}

fn read_error(error: rocksdb::Error) -> StoreError {
    StoreError::Read {
        detail: error.to_string(),
    }
}

fn walk(mut rows: DBRawIterator<'_>, visit: Visit<'_>) -> Result<(), StoreError> {
    rows.seek_to_first();
    while let Some((key, value)) = rows.item() {
        if !visit(key, value) {
            return Ok(());
        }
        rows.next();
    }
    // Without this, an unreadable block would look like the end of the range.
    rows.status().map_err(read_error)
}

fn walk_back(mut rows: DBRawIterator<'_>, visit: Visit<'_>) -> Result<(), StoreError> {
    rows.seek_to_last();
    while let Some((key, value)) = rows.item() {
        if !visit(key, value) {
            return Ok(());
        }
        rows.prev();
    }
    rows.status().map_err(read_error)
}

impl ViewStore for RocksStore {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let value = self.db.get_opt(key, &reading()).map_err(read_error)?;
        Ok(value.map(Bytes::from))
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), StoreError> {
        if from >= to {
            return Ok(());
        }
        walk(self.db.raw_iterator_opt(reading_range(from, to)), visit)
    }

    fn scan_back(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), StoreError> {
        if from >= to {
            return Ok(());
        }
        walk_back(self.db.raw_iterator_opt(reading_range(from, to)), visit)
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        let mut changes = WriteBatch::default();
        for (key, value) in batch {
            match value {
                Some(value) => changes.put(key, value),
                None => changes.delete(key),
            }
        }
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        self.db
            .write_opt(changes, &options)
            .map_err(|error| StoreError::Write {
                detail: error.to_string(),
            })
    }

    fn flush(&self) -> Result<(), StoreError> {
        let mut options = FlushOptions::default();
        options.set_wait(true);
        self.db
            .flush_opt(&options)
            .map_err(|error| StoreError::Flush {
                detail: error.to_string(),
            })
    }

    fn snapshot(&self) -> Box<dyn ViewSnapshot> {
        Box::new(RocksSnapshot::new(self.db.clone(), |db| db.snapshot()))
    }
}

impl ViewSnapshot for RocksSnapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let value = self
            .borrow_dependent()
            .get_opt(key, reading())
            .map_err(read_error)?;
        Ok(value.map(Bytes::from))
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), StoreError> {
        if from >= to {
            return Ok(());
        }
        let snapshot = self.borrow_dependent();
        walk(snapshot.raw_iterator_opt(reading_range(from, to)), visit)
    }

    fn scan_back(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), StoreError> {
        if from >= to {
            return Ok(());
        }
        let snapshot = self.borrow_dependent();
        walk_back(snapshot.raw_iterator_opt(reading_range(from, to)), visit)
    }
}
