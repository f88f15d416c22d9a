//! openraft's own suite for stores, against our log store on a real journal.
//!
//! The state machine beside it is this file's own, since the suite wants `apply` to be visible at once, and ours
//! hands over to the fold (design §3). What ours promises is in the other tests.

use super::SHARD;
use crate::log_store::LogStore;
use crate::types::{Outcome, RaftLogId, RaftStoredMembership, TypeConfig};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use openraft::alias::{SnapshotMetaOf, SnapshotOf};
use openraft::entry::RaftPayload as _;
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::{OptionalSend, StorageError};
use parking_lot::Mutex;
use raft_api::NodeId;
use raft_log::faulty_disk::FaultyDisk;
use raft_log::{Identity, Journal, Options};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Applies at once, and can be copied as a snapshot.
#[derive(Clone, Default)]
struct Positions(Arc<Mutex<State>>);

#[derive(Clone, Default)]
struct State {
    applied: Option<RaftLogId>,
    membership: RaftStoredMembership,
    snapshot: Option<SnapshotMetaOf<TypeConfig>>,
}

impl RaftSnapshotBuilder<TypeConfig> for Positions {
    type SnapshotData = Vec<u8>;

    async fn build_snapshot(&mut self) -> Result<SnapshotOf<TypeConfig, Vec<u8>>, io::Error> {
        let mut state = self.0.lock();
        let meta = SnapshotMetaOf::<TypeConfig> {
            last_log_id: state.applied,
            last_membership: state.membership.clone(),
        };
        state.snapshot = Some(meta.clone());
        let snapshot = Vec::new();
        Ok(SnapshotOf::<TypeConfig, Vec<u8>> { meta, snapshot })
    }
}

impl RaftStateMachine<TypeConfig> for Positions {
    type SnapshotData = Vec<u8>;
    type SnapshotBuilder = Positions;

    async fn applied_state(
        &mut self,
    ) -> Result<(Option<RaftLogId>, RaftStoredMembership), io::Error> {
        let state = self.0.lock();
        Ok((state.applied, state.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            let mut state = self.0.lock();
            state.applied = Some(entry.log_id);
            if let Some(membership) = entry.payload.get_membership() {
                state.membership = RaftStoredMembership::new(Some(entry.log_id), membership);
            }
            if let Some(responder) = responder {
                responder.send(Outcome(Bytes::new()));
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Positions {
        self.clone()
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMetaOf<TypeConfig>,
        _snapshot: Vec<u8>,
    ) -> Result<(), io::Error> {
        let mut state = self.0.lock();
        state.applied = meta.last_log_id;
        state.membership = meta.last_membership.clone();
        state.snapshot = Some(meta.clone());
        Ok(())
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> Result<Option<SnapshotOf<TypeConfig, Vec<u8>>>, io::Error> {
        let meta = self.0.lock().snapshot.clone();
        Ok(meta.map(|meta| SnapshotOf::<TypeConfig, Vec<u8>> {
            meta,
            snapshot: Vec::new(),
        }))
    }
}

struct Builder;

impl StoreBuilder<TypeConfig, LogStore, Positions, Journal> for Builder {
    /// The journal is given back as the guard that keeps it open.
    async fn build(&self) -> Result<(Journal, LogStore, Positions), StorageError<TypeConfig>> {
        let identity = Identity {
            cluster: [9; 16],
            incarnation: 1,
            node: NodeId(1),
        };
        let options = Options {
            segment_bytes: 4 << 20,
            reserve_bytes: 1 << 20,
            ..Options::default()
        };
        let disk = Arc::new(FaultyDisk::new(4096));
        let (journal, _) = Journal::open(disk, Path::new("/journal"), identity, options).unwrap();
        let log = LogStore {
            journal: journal.clone(),
            shard: SHARD,
        };
        Ok((journal, log, Positions::default()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_log_store_passes_openrafts_suite() {
    Suite::test_all(Builder).await.unwrap();
}
