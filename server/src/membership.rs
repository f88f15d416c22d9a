//! Adds and removes nodes and moves leaders: one step in every shard at each call, so that a call ends soon and may be
//! repeated at any time.
//!
//! MEMBER-1: a learner votes only once it has nearly all of the log, so that a majority never waits for it.
//! MEMBER-2: nobody is removed while fewer than a majority of those that stay answer: the shard would stand still.

use crate::health::{ASK_MAX, CONTACT_MS_MAX, NodeHealth, QUESTION};
use crate::node_folder::port_of;
use futures_util::StreamExt;
use futures_util::stream;
use gateway_http::{
    ClusterView, Member, MemberState, Membership, NotChanged, OnSiteLoss, Progress, ReplicaHealth,
    ShardHealth, ShardProgress,
};
use raft_api::{NodeId, NodeInfo, ShardId, SiteName};
use raft_node::{Change, ChangeError};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A learner this close votes: at a busy shard's rate the rest is there within a second.
const PROMOTE_BEHIND_MAX: u64 = 1_000;
/// Shards that are changed at once: a change is two small entries, and a call should end within seconds.
const CHANGES_AT_ONCE: usize = 16;

pub struct NodeMembership {
    pub node: Arc<raft_node::Node>,
    pub health: Arc<NodeHealth>,
    pub mail_shards: u32,
}

/// What a step led to: how the shard stands now, or a refusal.
type Step = Result<ShardProgress, NotChanged>;

fn refused(text: impl Into<String>) -> NotChanged {
    NotChanged::Refused(text.into())
}

fn is_heard(replica: &ReplicaHealth) -> bool {
    let contact = replica.last_contact_ms;
    contact.is_some_and(|ms| ms <= CONTACT_MS_MAX)
}

fn votes(replica: &ReplicaHealth) -> bool {
    replica.role != "learner"
}

fn row(shard: &ShardHealth, node: u64) -> Option<&ReplicaHealth> {
    shard.replicas.iter().find(|replica| replica.node == node)
}

/// How the node stands in the shard before anything is done.
fn standing(shard: &ShardHealth, node: u64) -> ShardProgress {
    let row = row(shard, node);
    let behind = row.and_then(|row| Some((shard.committed?, row.durable?)));
    ShardProgress {
        shard: shard.shard,
        leader: shard.leader,
        state: match row {
            None => MemberState::Absent,
            Some(row) if votes(row) => MemberState::Voter,
            Some(_) => MemberState::Learner,
        },
        behind: behind.map(|(committed, durable)| committed.saturating_sub(durable)),
        on_site_loss: None,
        obstacle: None,
    }
}

/// Why the node cannot be removed now, or ever.
fn removal(shard: &ShardHealth, node: &ReplicaHealth, leave_site: bool) -> Result<(), NotChanged> {
    let others = || {
        shard
            .replicas
            .iter()
            .filter(|other| other.node != node.node)
    };
    let is_last_of_site = others().all(|other| other.site != node.site);
    if is_last_of_site && others().count() > 0 && !leave_site {
        return Err(refused(format!(
            "node {} is the last one of site {}: add another there first, or give the site up with --leave-site",
            node.node, node.site
        )));
    }
    let voters = others().filter(|other| votes(other)).count();
    let heard = others().filter(|o| votes(o) && is_heard(o)).count();
    if votes(node) && heard * 2 <= voters {
        return Err(NotChanged::Unavailable(format!(
            "only {heard} of the {voters} voters that would remain answer"
        )));
    }
    Ok(())
}

/// Who takes a shard over from its leader: in the site that is then the largest, another one for each shard.
fn successor(shard: &ShardHealth, leader: u64) -> Option<NodeId> {
    let others = || {
        let others = shard.replicas.iter();
        others.filter(|other| other.node != leader && votes(other))
    };
    let in_site = |site: &str| others().filter(|other| other.site == site).count();
    let is_close = |other: &ReplicaHealth| {
        let behind = shard.committed.zip(other.durable);
        behind.is_some_and(|(committed, durable)| committed <= durable + PROMOTE_BEHIND_MAX)
    };
    let fit = || others().filter(|other| is_heard(other) && is_close(other));
    let most = fit().map(|other| in_site(&other.site)).max()?;
    let best: Vec<u64> = fit()
        .filter(|other| in_site(&other.site) == most)
        .map(|other| other.node)
        .collect();
    best.get(shard.shard as usize % best.len())
        .map(|node| NodeId(*node))
}

impl NodeMembership {
    /// The step's own obstacle goes into `standing`; what would be refused again is an error.
    async fn change(
        &self,
        standing: &mut ShardProgress,
        change: Change,
    ) -> Result<bool, NotChanged> {
        let changed = self.node.change(ShardId(standing.shard), change).await;
        match changed {
            Ok(()) => Ok(true),
            Err(
                error @ (ChangeError::NotRunning(_)
                | ChangeError::NoLeader
                | ChangeError::InProgress
                | ChangeError::NotInSync
                | ChangeError::SecondSiteAway
                | ChangeError::Unknown),
            ) => {
                standing.obstacle = Some(error.to_string());
                Ok(false)
            }
            Err(error) => Err(refused(format!("shard {}: {error}", standing.shard))),
        }
    }

    /// The new node answers at its address, belongs to this cluster, and has the same shards.
    async fn greet(&self, node: &NodeInfo, shards: &[ShardHealth]) -> Result<(), NotChanged> {
        let question = bytes::Bytes::from_static(QUESTION);
        let answer = self.health.asker.ask_at(node.clone(), question, ASK_MAX);
        let answer = answer.await.map_err(|error| {
            NotChanged::Unavailable(format!("{error} (its address is {})", node.peer_addr))
        })?;
        let theirs: Vec<ShardHealth> = serde_json::from_slice(&answer)
            .map_err(|_| refused(format!("node {} is of another version", node.id)))?;
        let ids = |shards: &[ShardHealth]| shards.iter().map(|s| s.shard).collect::<BTreeSet<_>>();
        if !ids(&theirs).is_superset(&ids(shards)) {
            let text = format!("node {} has fewer shards: see cluster.mail_shards", node.id);
            return Err(refused(text));
        }
        Ok(())
    }

    async fn add_step(&self, shard: &ShardHealth, node: &NodeInfo) -> Step {
        let mut standing = standing(shard, node.id.0);
        match standing.state {
            MemberState::Voter => {}
            MemberState::Absent => {
                let change = Change::AddLearner(node.clone());
                if self.change(&mut standing, change).await? {
                    standing.state = MemberState::Learner;
                }
            }
            MemberState::Learner if !row(shard, node.id.0).is_some_and(is_heard) => {
                standing.obstacle = Some(format!("node {} does not answer the leader", node.id));
            }
            MemberState::Learner => {
                let is_close = standing.behind.is_some_and(|b| b <= PROMOTE_BEHIND_MAX);
                if is_close && self.change(&mut standing, Change::Promote(node.id)).await? {
                    standing.state = MemberState::Voter;
                }
            }
        }
        Ok(standing)
    }

    async fn remove_step(&self, shard: &ShardHealth, node: u64, leave_site: bool) -> Step {
        let mut standing = standing(shard, node);
        let Some(row) = row(shard, node) else {
            return Ok(standing);
        };
        match removal(shard, row, leave_site) {
            Err(NotChanged::Unavailable(text)) => {
                standing.obstacle = Some(text);
                return Ok(standing);
            }
            other => other?,
        }
        if shard.leader == Some(node) {
            // First it hands the shard over; the next call removes it.
            if let Some(to) = successor(shard, node) {
                self.change(&mut standing, Change::Transfer(to)).await?;
            }
            return Ok(standing);
        }
        let change = Change::Remove {
            node: NodeId(node),
            leave_site,
        };
        if self.change(&mut standing, change).await? {
            standing.state = MemberState::Absent;
        }
        Ok(standing)
    }

    async fn policy_step(&self, shard: &ShardHealth, policy: OnSiteLoss) -> Step {
        let mut standing = standing(shard, self.health.node.id);
        let change = Change::Policy(match policy {
            OnSiteLoss::Strict => raft_api::OnSiteLoss::Strict,
            OnSiteLoss::Degrade => raft_api::OnSiteLoss::Degrade,
        });
        if self.change(&mut standing, change).await? {
            standing.on_site_loss = Some(policy);
        }
        Ok(standing)
    }

    async fn transfer_step(&self, shard: &ShardHealth, to: u64) -> Step {
        let mut standing = standing(shard, to);
        if standing.state != MemberState::Voter {
            let text = format!("node {to} does not vote in shard {}", shard.shard);
            return Err(refused(text));
        }
        let change = Change::Transfer(NodeId(to));
        if shard.leader != Some(to) && self.change(&mut standing, change).await? {
            standing.leader = Some(to);
        }
        Ok(standing)
    }
}

/// Takes the step in all shards, some at a time; a refusal in one of them is the answer.
async fn steps(
    steps: Vec<impl Future<Output = Step>>,
    is_done: impl Fn(&ShardProgress) -> bool,
) -> Result<Progress, NotChanged> {
    let steps = stream::iter(steps).buffered(CHANGES_AT_ONCE);
    let steps: Vec<Step> = steps.collect().await;
    let shards = steps.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(Progress {
        done: shards.iter().all(is_done),
        shards,
    })
}

#[async_trait::async_trait]
impl Membership for NodeMembership {
    fn cluster(&self) -> ClusterView {
        let member = |info: NodeInfo| Member {
            node: info.id.0,
            site: info.site.to_string(),
            peer: info.peer_addr,
        };
        ClusterView {
            id: self.health.cluster_id.clone(),
            incarnation: self.health.incarnation,
            mail_shards: self.mail_shards,
            nodes: self.health.members().into_values().map(member).collect(),
        }
    }

    async fn add(&self, member: Member) -> Result<Progress, NotChanged> {
        if member.node == 0 || member.site.is_empty() || port_of(&member.peer).is_none() {
            return Err(refused(
                "a node has an id from 1, a site, and a peer address HOST:PORT",
            ));
        }
        let node = NodeInfo {
            id: NodeId(member.node),
            site: SiteName::new(&member.site),
            peer_addr: member.peer,
        };
        let known = self.health.members();
        if let Some(other) = known.get(&node.id).filter(|known| **known != node) {
            return Err(refused(format!(
                "node {} is a member already, in site {} at {}",
                node.id, other.site, other.peer_addr
            )));
        }
        if let Some(other) = known
            .values()
            .find(|o| o.id != node.id && o.peer_addr == node.peer_addr)
        {
            return Err(refused(format!("{} is node {}", node.peer_addr, other.id)));
        }
        let (_, shards) = self.health.all_shards().await;
        if shards.iter().any(|shard| row(shard, node.id.0).is_none()) {
            self.greet(&node, &shards).await?;
        }
        let is_done = |s: &ShardProgress| s.state == MemberState::Voter;
        steps(
            shards
                .iter()
                .map(|shard| self.add_step(shard, &node))
                .collect(),
            is_done,
        )
        .await
    }

    async fn remove(&self, node: u64, leave_site: bool) -> Result<Progress, NotChanged> {
        if node == self.health.node.id {
            return Err(refused(format!(
                "this is node {node}: ask another one (--server)"
            )));
        }
        let (_, shards) = self.health.all_shards().await;
        for shard in &shards {
            if let Some(row) = row(shard, node)
                && let Err(error @ NotChanged::Refused(_)) = removal(shard, row, leave_site)
            {
                return Err(error);
            }
        }
        let is_done = |s: &ShardProgress| s.state == MemberState::Absent;
        steps(
            shards
                .iter()
                .map(|shard| self.remove_step(shard, node, leave_site))
                .collect(),
            is_done,
        )
        .await
    }

    async fn transfer(&self, shard: Option<u32>, to: u64) -> Result<Progress, NotChanged> {
        let (_, mut shards) = self.health.all_shards().await;
        if let Some(only) = shard {
            shards.retain(|shard| shard.shard == only);
            if shards.is_empty() {
                return Err(refused(format!("there is no shard {only}")));
            }
        }
        let is_done = |s: &ShardProgress| s.leader == Some(to);
        steps(
            shards
                .iter()
                .map(|shard| self.transfer_step(shard, to))
                .collect(),
            is_done,
        )
        .await
    }

    async fn set_policy(&self, policy: OnSiteLoss) -> Result<Progress, NotChanged> {
        let (_, shards) = self.health.all_shards().await;
        let is_done = |s: &ShardProgress| s.on_site_loss == Some(policy);
        steps(
            shards
                .iter()
                .map(|shard| self.policy_step(shard, policy))
                .collect(),
            is_done,
        )
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_http::Digest;

    /// Rows as `1a`, `2b-` (not heard from) or `3c?` (a learner).
    fn shard(leader: u64, rows: &str) -> ShardHealth {
        let replica = |row: &str| ReplicaHealth {
            node: u64::from(row.as_bytes()[0] - b'0'),
            site: row[1..2].to_owned(),
            role: match row.contains('?') {
                true => "learner".to_owned(),
                false => "follower".to_owned(),
            },
            durable: Some(10),
            applied: Some(10),
            indexed: None,
            lag_events: Some(0),
            last_contact_ms: (!row.contains('-')).then_some(12),
        };
        ShardHealth {
            shard: 1,
            leader: Some(leader),
            term: 1,
            committed: Some(10),
            visible: Some(10),
            digest: Digest {
                position: None,
                value: None,
                agrees: None,
            },
            replicas: rows.split(' ').map(replica).collect(),
        }
    }

    #[test]
    fn removals() {
        let check = |rows: &str, node: u64, leave_site: bool, expect: &str| {
            let shard = shard(1, rows);
            let result = removal(&shard, row(&shard, node).unwrap(), leave_site);
            let shown = result.map_or_else(|error| format!("{error:?}"), |()| "Ok".to_owned());
            assert!(shown.starts_with(expect), "{rows} without {node}: {shown}");
        };
        check("1a 2a 3b", 2, false, "Ok");
        check("1a 2a 3b", 3, false, "Refused");
        check("1a 2a 3b-", 3, true, "Ok");
        check("1a 2a 3b- 4b", 3, false, "Ok");
        check("1a 2a 3b- 4b-", 3, false, "Ok");
        check("1a 2a- 3b- 4b", 1, false, "Unavailable");
        check("1a 2a 3b-", 2, false, "Unavailable");
        check("1a 2a 3a", 3, false, "Ok");
        check("1a 2a 3b 4b-?", 4, false, "Ok");
        check("1a", 1, false, "Unavailable");
    }

    #[test]
    fn successors() {
        let check = |rows: &str, leader: u64, expect: Option<u64>| {
            let found = successor(&shard(leader, rows), leader);
            assert_eq!(found.map(|node| node.0), expect, "{rows} without {leader}");
        };
        check("1a 2a 3b", 3, Some(2));
        check("1a 2a 3b 4b", 4, Some(2));
        check("1a 2a- 3b", 1, Some(3));
        check("1a 2a- 3b?", 1, None);
    }
}
