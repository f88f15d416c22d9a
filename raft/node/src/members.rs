//! Who belongs to a group, as its membership changes: peers are told their addresses, and each gets the mark.

use crate::mark;
use crate::shared::Shared;
use crate::types::Raft;
use raft_api::NodeId;
use raft_transport::Peers;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::task::{AbortHandle, JoinSet};

/// Follows the membership until the group ends.
pub(crate) async fn run(shared: Arc<Shared>, raft: Raft, peers: Arc<Peers>) {
    let mut members = shared.members.subscribe();
    let mut tasks = JoinSet::new();
    let mut pushing: HashMap<NodeId, AbortHandle> = HashMap::new();
    loop {
        let now = members.borrow_and_update().clone();
        let others = || now.iter().filter(|member| member.id != shared.own);
        for member in others() {
            peers.know(member.clone());
            pushing.entry(member.id).or_insert_with(|| {
                let (shared, raft, peers) = (shared.clone(), raft.clone(), peers.clone());
                tasks.spawn(mark::push(shared, raft, peers, member.id))
            });
        }
        pushing.retain(|id, task| {
            let stays = others().any(|member| member.id == *id);
            if !stays {
                task.abort();
            }
            stays
        });
        while tasks.try_join_next().is_some() {}
        if members.changed().await.is_err() {
            return;
        }
    }
}
