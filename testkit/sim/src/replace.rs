//! A machine loses its disk for good: another node takes its place, under a new id, while faults go on.

use crate::run::{Access, Run};
use raft_api::{NodeId, NodeInfo, Role, ShardId};
use raft_node::{Change, ChangeError};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Between two tries, in simulated time.
const AGAIN: Duration = Duration::from_millis(200);
/// As the server asks for it (MEMBER-1): a learner this close votes.
const PROMOTE_BEHIND_MAX: u64 = 1_000;

/// What an operator does, with patience: added, promoted, and the old one removed, shard by shard.
pub async fn replace(run: Arc<Run>, shards: Vec<ShardId>, slot: usize, old: NodeId, new: NodeInfo) {
    for shard in shards {
        while !ask(&run, slot, shard, Change::AddLearner(new.clone())).await {
            sleep(AGAIN).await;
        }
        while !(is_close(&run, shard, new.id)
            && ask(&run, slot, shard, Change::Promote(new.id)).await)
        {
            sleep(AGAIN).await;
        }
        let remove = Change::Remove {
            node: old,
            leave_site: false,
        };
        while !ask(&run, slot, shard, remove.clone()).await {
            sleep(AGAIN).await;
        }
        run.note(&format!(
            "node {old} has left shard {shard} to node {}",
            new.id
        ));
    }
}

/// Of any other node; true once it is so.
async fn ask(run: &Run, slot: usize, shard: ShardId, change: Change) -> bool {
    let others = (0..run.sites.len()).filter(|number| *number != slot);
    for number in others {
        let Some(access) = run.access(number) else {
            continue;
        };
        match access.node.change(shard, change.clone()).await {
            Ok(()) => return true,
            Err(
                ChangeError::NotRunning(_)
                | ChangeError::NoLeader
                | ChangeError::NotAMember(_)
                | ChangeError::InProgress
                | ChangeError::Unknown,
            ) => {}
            Err(error) => {
                run.breach(
                    "stopped",
                    format!("{change:?} of shard {shard} is refused: {error}"),
                );
                return true;
            }
        }
    }
    false
}

/// As the shard's leader sees it.
fn is_close(run: &Run, shard: ShardId, node: NodeId) -> bool {
    let all = (0..run.sites.len()).filter_map(|number| run.running(number));
    let statuses = all.filter_map(|access| access.node.group(shard).map(|group| group.status()));
    statuses
        .filter_map(|status| {
            let is_leader = |m: &&raft_api::MemberStatus| m.role == Role::Leader;
            let leads = status.members.iter().find(is_leader)?;
            // Only the leader knows what others have on stable storage.
            (leads.last_contact_ms == Some(0)).then_some(status)
        })
        .any(|status| {
            let row = status.members.iter().find(|member| member.node.id == node);
            let durable = row.and_then(|row| row.durable);
            durable
                .zip(status.committed)
                .is_some_and(|(durable, committed)| committed.0 <= durable.0 + PROMOTE_BEHIND_MAX)
        })
}

/// As the server does: a node that joins answers nobody before it shows all that was acknowledged.
pub async fn serve_once_joined(run: Arc<Run>, number: usize, access: Access) {
    while *access.alive.borrow() {
        if shows_all(&access).await {
            let mut all = run.access.lock();
            // Of this start, if it still runs.
            if let Some(slot) = all[number].as_mut()
                && Arc::ptr_eq(&slot.node, &access.node)
            {
                slot.serves = true;
            }
            drop(all);
            return run.note(&format!("node in place {} has joined", number + 1));
        }
        sleep(AGAIN).await;
    }
}

pub fn is_member(access: &Access) -> bool {
    access.shards.keys().all(|shard| {
        let status = access.node.group(*shard).map(|group| group.status());
        status.is_some_and(|s| s.members.iter().any(|m| m.node.id == access.id))
    })
}

async fn shows_all(access: &Access) -> bool {
    if !is_member(access) {
        return false;
    }
    for shard in access.shards.keys() {
        let Some(group) = access.node.group(*shard) else {
            return false;
        };
        let Ok(mark) = group.read_mark().await else {
            return false;
        };
        let mut folded = group.folded();
        let reached = folded.wait_for(|folded| *folded >= mark.index);
        if !matches!(timeout(AGAIN, reached).await, Ok(Ok(_))) {
            return false;
        }
    }
    true
}
