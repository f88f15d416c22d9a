//! A snapshot borrows its database, and a view must be free to outlive the call that made it: so both in one value.
#![allow(
    clippy::disallowed_methods,
    reason = "self_cell's expansion forgets a guard on purpose, once its fields are moved out"
)]

use rocksdb::DB;
use self_cell::self_cell;
use std::sync::Arc;

type DbSnapshot<'a> = rocksdb::Snapshot<'a>;

self_cell!(
    pub struct RocksSnapshot {
        owner: Arc<DB>,
        #[covariant]
        dependent: DbSnapshot,
    }
);
