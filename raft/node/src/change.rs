//! Changes of a group's membership and leadership, asked for on any node and made by the shard's leader.
//! Asking again for what is so already is a success: whoever was cut off simply repeats.

use crate::group::RaftGroup;
use crate::limits::{CHANGE_TIMEOUT, FORWARD_MARGIN, TRANSFER_HOLD};
use crate::mode;
use crate::types::{Place, RaftMembership, TypeConfig};
use crate::wire::{self, WireChange, WireChanged, WireNode, kind};
use bytes::Bytes;
use openraft::ChangeMembers;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{ChangeMembershipError, ClientWriteError, RaftError};
use prost::Message;
use raft_api::{NodeId, NodeInfo, OnSiteLoss, ShardId, SiteName};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;
use tokio::time::{Instant, timeout};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It gets the log, or a snapshot, and counts for its site's durability; it does not vote.
    AddLearner(NodeInfo),
    /// A learner votes from now on.
    Promote(NodeId),
    /// Without `leave_site` the last node of a site stays: the site gate would end with it.
    Remove { node: NodeId, leave_site: bool },
    /// What happens to changes when only one site is left.
    Policy(OnSiteLoss),
    /// Leadership stays there for ten minutes, if the node lives, before it may go to its preferred place again.
    Transfer(NodeId),
}

/// Why a change was not made. All but `Unknown` and `InProgress` are true refusals.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ChangeError {
    #[error("shard {0} does not run on this node")]
    NotRunning(ShardId),
    #[error("the shard has no leader that can be reached; try again")]
    NoLeader,
    #[error("node {0} is not a member of the shard; add it first")]
    NotAMember(NodeId),
    #[error("node {0} does not vote in the shard yet")]
    NotAVoter(NodeId),
    #[error("node {0} is a member already, under another address or site; remove it first")]
    AnotherAddress(NodeId),
    #[error("node {node} is the last one of site {site}; --leave-site gives the site up")]
    LastOfSite { node: NodeId, site: SiteName },
    #[error("node {0} is the last voter of the shard")]
    LastVoter(NodeId),
    #[error(
        "the shard is not in sync: a switch to degrade waits until the other site has caught up"
    )]
    NotInSync,
    #[error(
        "the other site cannot be reached, and a switch to degrade counts only once it holds it"
    )]
    SecondSiteAway,
    #[error("another change of the shard's membership is under way; try again")]
    InProgress,
    #[error("the change was proposed, and its outcome is unknown; try again")]
    Unknown,
}

impl RaftGroup {
    pub async fn change(&self, change: Change) -> Result<(), ChangeError> {
        match self.leader() {
            Some(leader) if leader == self.shared.own => self.change_here(change).await,
            Some(leader) => {
                let limit = CHANGE_TIMEOUT + FORWARD_MARGIN;
                let body = wire::bytes(&change_out(&change));
                match self.ask(leader, kind::CHANGE, body, limit).await {
                    Ok(answer) => changed_in(&change, answer),
                    Err(error) if error.is_unsent() => Err(ChangeError::NoLeader),
                    Err(_) => Err(ChangeError::Unknown),
                }
            }
            None => Err(ChangeError::NoLeader),
        }
    }

    pub async fn change_here(&self, change: Change) -> Result<(), ChangeError> {
        let membership = self.membership();
        let members = match change {
            Change::Transfer(to) => return self.transfer(to, &membership).await,
            Change::Policy(policy) => return self.switch(policy).await,
            Change::AddLearner(node) => match membership.get_node(&node.id.0) {
                Some(place) if *place == Place::from(&node) => return Ok(()),
                Some(_) => return Err(ChangeError::AnotherAddress(node.id)),
                None => ChangeMembers::AddNodes(BTreeMap::from([(node.id.0, Place::from(&node))])),
            },
            Change::Promote(node) => {
                if membership.get_node(&node.0).is_none() {
                    return Err(ChangeError::NotAMember(node));
                }
                if is_voter(&membership, node) {
                    return Ok(());
                }
                ChangeMembers::AddVoterIds(BTreeSet::from([node.0]))
            }
            Change::Remove { node, leave_site } => {
                let Some(place) = membership.get_node(&node.0) else {
                    return Ok(());
                };
                if !leave_site && is_last_of_site(&membership, node, &place.site) {
                    let site = place.site.clone();
                    return Err(ChangeError::LastOfSite { node, site });
                }
                match is_voter(&membership, node) {
                    true if membership.voter_ids().count() == 1 => {
                        return Err(ChangeError::LastVoter(node));
                    }
                    true => ChangeMembers::RemoveVoters(BTreeSet::from([node.0])),
                    false => ChangeMembers::RemoveNodes(BTreeSet::from([node.0])),
                }
            }
        };
        self.agree(members).await
    }

    fn membership(&self) -> RaftMembership {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        metrics.membership_config.membership().clone()
    }

    async fn agree(&self, members: ChangeMembers<u64, Place>) -> Result<(), ChangeError> {
        let raft = self.raft.clone();
        // A task of its own: a joint configuration is not left half way because somebody gave up waiting.
        let change = tokio::spawn(async move { raft.change_membership(members, false).await });
        type Changed = Result<(), RaftError<TypeConfig, ClientWriteError<TypeConfig>>>;
        let changed: Changed = match timeout(CHANGE_TIMEOUT, change).await {
            Ok(Ok(changed)) => changed.map(|_| ()),
            Ok(Err(_)) | Err(_) => return Err(ChangeError::Unknown),
        };
        match changed {
            Ok(()) => Ok(()),
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_))) => {
                Err(ChangeError::NoLeader)
            }
            Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(
                ChangeMembershipError::InProgress(_),
            ))) => Err(ChangeError::InProgress),
            Err(error) => {
                tracing::warn!(shard = %self.shared.shard, %error, "a change of the membership failed");
                Err(ChangeError::Unknown)
            }
        }
    }

    async fn switch(&self, policy: OnSiteLoss) -> Result<(), ChangeError> {
        // A task of its own, so that what was proposed is also followed to its end.
        let switch = mode::switch(self.shared.clone(), self.raft.clone(), policy);
        match timeout(CHANGE_TIMEOUT, tokio::spawn(switch)).await {
            Ok(Ok(switched)) => switched,
            Ok(Err(_)) | Err(_) => Err(ChangeError::Unknown),
        }
    }

    async fn transfer(&self, to: NodeId, membership: &RaftMembership) -> Result<(), ChangeError> {
        if !is_voter(membership, to) {
            return Err(ChangeError::NotAVoter(to));
        }
        self.hold();
        if to == self.shared.own {
            return Ok(());
        }
        let held = self.ask(to, kind::HOLD, Bytes::new(), crate::limits::RPC_TIMEOUT);
        held.await.map_err(|_| ChangeError::NoLeader)?;
        let triggered = self.raft.trigger().transfer_leader(to.0).await;
        triggered.map_err(|_| ChangeError::Unknown)?;
        let mut metrics = self.raft.metrics();
        let moved = async {
            while metrics.borrow_and_update().current_leader != Some(to.0) {
                if metrics.changed().await.is_err() {
                    return;
                }
            }
        };
        timeout(CHANGE_TIMEOUT, moved)
            .await
            .map_err(|_| ChangeError::Unknown)
    }

    /// Leadership is not moved away from here by preference for a while.
    pub fn hold(&self) {
        *self.shared.held_until.lock() = Some(Instant::now() + TRANSFER_HOLD);
    }
}

fn is_voter(membership: &RaftMembership, node: NodeId) -> bool {
    membership.voter_ids().any(|id| id == node.0)
}

fn is_last_of_site(membership: &RaftMembership, node: NodeId, site: &SiteName) -> bool {
    let others = || membership.nodes().filter(|(id, _)| **id != node.0);
    others().any(|(_, place)| place.site != *site)
        && !others().any(|(_, place)| place.site == *site)
}

pub(crate) fn change_out(change: &Change) -> WireChange {
    let (action, node, leave_site) = match change {
        Change::AddLearner(node) => {
            let node = WireNode {
                id: node.id.0,
                site: node.site.to_string(),
                peer_addr: node.peer_addr.clone(),
            };
            (1, node, false)
        }
        Change::Promote(node) => (2, only_id(*node), false),
        Change::Remove { node, leave_site } => (3, only_id(*node), *leave_site),
        Change::Transfer(node) => (4, only_id(*node), false),
        Change::Policy(_) => (5, WireNode::default(), false),
    };
    let policy = match change {
        Change::Policy(policy) => Some(*policy),
        _ => None,
    };
    WireChange {
        action,
        policy: wire::policy_out(policy),
        node,
        leave_site,
    }
}

fn only_id(node: NodeId) -> WireNode {
    WireNode {
        id: node.0,
        ..WireNode::default()
    }
}

pub(crate) fn change_in(body: Bytes) -> Result<Change, wire::Malformed> {
    let wire = WireChange::decode(body)?;
    let node = NodeId(wire.node.id);
    Ok(match wire.action {
        1 => Change::AddLearner(NodeInfo {
            id: node,
            site: SiteName::new(&wire.node.site),
            peer_addr: wire.node.peer_addr,
        }),
        2 => Change::Promote(node),
        3 => Change::Remove {
            node,
            leave_site: wire.leave_site,
        },
        4 => Change::Transfer(node),
        5 => match wire::policy_in(wire.policy)? {
            Some(policy) => Change::Policy(policy),
            None => return Err(wire::Malformed("no policy")),
        },
        _ => return Err(wire::Malformed("an unknown change")),
    })
}

pub(crate) fn changed_out(result: &Result<(), ChangeError>) -> WireChanged {
    let mut wire = WireChanged::default();
    wire.result = match result {
        Ok(()) => 1,
        Err(ChangeError::NotRunning(_) | ChangeError::NoLeader) => 2,
        Err(ChangeError::NotAMember(_)) => 3,
        Err(ChangeError::NotAVoter(_)) => 4,
        Err(ChangeError::AnotherAddress(_)) => 5,
        Err(ChangeError::LastOfSite { site, .. }) => {
            wire.site = site.to_string();
            6
        }
        Err(ChangeError::LastVoter(_)) => 7,
        Err(ChangeError::InProgress) => 8,
        Err(ChangeError::Unknown) => 9,
        Err(ChangeError::NotInSync) => 10,
        Err(ChangeError::SecondSiteAway) => 11,
    };
    wire
}

fn changed_in(change: &Change, answer: Bytes) -> Result<(), ChangeError> {
    let node = match change {
        Change::AddLearner(node) => node.id,
        // No refusal of it names a node.
        Change::Policy(_) => NodeId(0),
        Change::Promote(node) | Change::Remove { node, .. } | Change::Transfer(node) => *node,
    };
    let Ok(wire) = WireChanged::decode(answer) else {
        return Err(ChangeError::Unknown);
    };
    match wire.result {
        1 => Ok(()),
        2 => Err(ChangeError::NoLeader),
        3 => Err(ChangeError::NotAMember(node)),
        4 => Err(ChangeError::NotAVoter(node)),
        5 => Err(ChangeError::AnotherAddress(node)),
        6 => Err(ChangeError::LastOfSite {
            node,
            site: SiteName::new(&wire.site),
        }),
        7 => Err(ChangeError::LastVoter(node)),
        8 => Err(ChangeError::InProgress),
        10 => Err(ChangeError::NotInSync),
        11 => Err(ChangeError::SecondSiteAway),
        _ => Err(ChangeError::Unknown),
    }
}
