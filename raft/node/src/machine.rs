//! openraft's state machine: it hands positions and responders to the fold task and never waits (design §3).

use crate::shared::Shared;
use crate::types::{
    Outcome, Payload, RaftLogId, RaftPayload, RaftStoredMembership, TypeConfig, from_raft, to_raft,
};
use crate::{mode, off_thread, snapshot_in, start};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use openraft::OptionalSend;
use openraft::alias::{SnapshotMetaOf, SnapshotOf};
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use raft_api::{LogId, LogIndex, SnapshotSource};
use std::io;
use std::sync::Arc;

#[derive(Clone)]
pub(crate) struct Machine(pub Arc<Shared>);

/// What openraft carries from one of our calls to another.
#[derive(Clone)]
pub(crate) enum SnapshotData {
    /// To be fetched from us.
    Pinned(Arc<dyn SnapshotSource>),
    /// The journal's checkpoint, complete and flushed.
    InJournal,
    /// Only its position counts: what may be purged.
    Position,
}

impl RaftSnapshotBuilder<TypeConfig> for Machine {
    type SnapshotData = SnapshotData;

    /// Builds nothing: the views on stable storage are the snapshot.
    async fn build_snapshot(&mut self) -> Result<SnapshotOf<TypeConfig, SnapshotData>, io::Error> {
        let shared = self.0.clone();
        // Nothing is folded or installed meanwhile, so what is flushed is the fold's position.
        let _one_at_a_time = self.0.hold_fold().await;
        let built = off_thread::run(move || {
            shared.machine.flush().map_err(io::Error::other)?;
            let position = *shared.position.lock();
            let log_id = position.ok_or_else(|| io::Error::other("nothing is folded yet"))?;
            let membership = start::membership_at(&shared.journal, shared.shard, log_id.index);
            let membership = membership.map_err(io::Error::other)?;
            Ok::<_, io::Error>((log_id, membership.unwrap_or_default()))
        });
        let (log_id, membership) = built.await.map_err(io::Error::other)??;
        Ok(snapshot_of(log_id, membership, SnapshotData::Position))
    }
}

fn snapshot_of(
    log_id: LogId,
    last_membership: RaftStoredMembership,
    snapshot: SnapshotData,
) -> SnapshotOf<TypeConfig, SnapshotData> {
    let meta = SnapshotMetaOf::<TypeConfig> {
        last_log_id: Some(to_raft(log_id)),
        last_membership,
    };
    SnapshotOf::<TypeConfig, SnapshotData> { meta, snapshot }
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
                (RaftPayload::Normal(Payload::Command(_)), Some(responder)) => {
                    let mut responders = shared.responders.lock();
                    responders.push_back((entry.log_id.index, responder));
                }
                (RaftPayload::Normal(Payload::Command(_)), None) => {}
                // Consensus' own business does not wait for the mark, or membership changes hang.
                (own, responder) => {
                    if let RaftPayload::Membership(membership) = own {
                        let log_id = Some(entry.log_id);
                        let membership = RaftStoredMembership::new(log_id, membership);
                        shared.memberships.lock().push_back(membership);
                        shared.tell_members();
                    } else if let RaftPayload::Normal(Payload::Mode(payload)) = own {
                        let at = LogIndex(entry.log_id.index);
                        let mode = mode::decode(payload, at).map_err(io::Error::other)?;
                        shared.mode.send_replace(mode);
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

    /// Later, while nothing is folded.
    async fn try_create_snapshot_builder(&mut self, _force: bool) -> Option<Machine> {
        self.0.position.lock().map(|_| self.clone())
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMetaOf<TypeConfig>,
        _snapshot: SnapshotData,
    ) -> Result<(), io::Error> {
        snapshot_in::install(&self.0, meta).await
    }

    /// The views of this moment, pinned for whoever will fetch them.
    async fn get_current_snapshot(
        &mut self,
    ) -> Result<Option<SnapshotOf<TypeConfig, SnapshotData>>, io::Error> {
        let shared = self.0.clone();
        let _one_at_a_time = self.0.hold_fold().await;
        if shared.position.lock().is_none() {
            return Ok(None);
        }
        let membership = shared.folded_membership();
        let pinned = off_thread::run(move || shared.machine.snapshot());
        let source = pinned
            .await
            .map_err(io::Error::other)?
            .map_err(io::Error::other)?;
        let data = SnapshotData::Pinned(source.clone());
        Ok(Some(snapshot_of(source.log_id(), membership, data)))
    }
}
