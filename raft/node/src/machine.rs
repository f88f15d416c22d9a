//! openraft's state machine: it hands positions and responders to the fold task and never waits (design §3).

use crate::shared::Shared;
use crate::types::{
    Outcome, RaftLogId, RaftPayload, RaftStoredMembership, TypeConfig, from_raft, to_raft,
};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use openraft::OptionalSend;
use openraft::alias::{SnapshotMetaOf, SnapshotOf};
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use std::io;
use std::sync::Arc;

#[derive(Clone)]
pub(crate) struct Machine(pub Arc<Shared>);

/// There is none, yet.
pub(crate) type SnapshotData = Vec<u8>;

fn no_snapshots() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "this version neither makes nor installs snapshots",
    )
}

impl RaftSnapshotBuilder<TypeConfig> for Machine {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> Result<SnapshotOf<TypeConfig, SnapshotData>, io::Error> {
        Err(no_snapshots())
    }
}

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = Machine;

    /// The fold's position, not that of what was handed over.
    async fn applied_state(
        &mut self,
    ) -> Result<(Option<RaftLogId>, RaftStoredMembership), io::Error> {
        let position = *self.0.position.lock();
        Ok((position.map(to_raft), self.0.folded_membership()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        let shared = &self.0;
        while let Some((entry, responder)) = entries.try_next().await? {
            match (entry.payload, responder) {
                (RaftPayload::Normal(_), Some(responder)) => {
                    let mut responders = shared.responders.lock();
                    responders.push_back((entry.log_id.index, responder));
                }
                (RaftPayload::Normal(_), None) => {}
                // Consensus' own business does not wait for the mark, or membership changes hang.
                (own, responder) => {
                    if let RaftPayload::Membership(membership) = own {
                        let log_id = Some(entry.log_id);
                        let membership = RaftStoredMembership::new(log_id, membership);
                        shared.memberships.lock().push_back(membership);
                    }
                    if let Some(responder) = responder {
                        responder.send(Outcome(Bytes::new()));
                    }
                }
            }
            shared.handed.send_replace(Some(from_raft(&entry.log_id)));
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Machine {
        self.clone()
    }

    async fn install_snapshot(
        &mut self,
        _meta: &SnapshotMetaOf<TypeConfig>,
        _snapshot: SnapshotData,
    ) -> Result<(), io::Error> {
        Err(no_snapshots())
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> Result<Option<SnapshotOf<TypeConfig, SnapshotData>>, io::Error> {
        Ok(None)
    }
}
