use super::{Cluster, command};
use crate::{Change, ChangeError, NodeError};
use raft_api::{Group, NodeId, SiteName};

impl Cluster {
    /// Repeats what is refused only for now.
    pub async fn change(&self, node: usize, change: Change) -> Result<(), ChangeError> {
        loop {
            let changed = self.group(node).change(change.clone()).await;
            match changed {
                Err(ChangeError::NoLeader | ChangeError::InProgress | ChangeError::Unknown) => {
                    tokio::task::yield_now().await;
                }
                settled => return settled,
            }
        }
    }

    /// Proposes until the gate lets it in.
    pub async fn propose_soon(&self, node: usize, text: &str) {
        while self.group(node).propose(command(text)).await.is_err() {
            tokio::task::yield_now().await;
        }
    }

    fn voters(&self, node: usize) -> Vec<u64> {
        let status = self.group(node).status();
        let voters = status.members.iter();
        let voters = voters.filter(|member| member.role != raft_api::Role::Learner);
        voters.map(|member| member.node.id.0).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_node_is_replaced_while_the_gate_is_closed() {
    let mut cluster = Cluster::running(&["a", "a", "b"]).await;
    cluster.leader(&[0, 1, 2]).await;
    cluster.propose_soon(0, "before").await;
    // All of site b, and its disk.
    cluster.stop(2).await;
    let leader = cluster.leader(&[0, 1]).await;
    while !cluster.group(leader).status().gate_closed {
        tokio::task::yield_now().await;
    }
    assert!(
        cluster
            .group(leader)
            .propose(command("closed"))
            .await
            .is_err()
    );
    let fourth = cluster.machine("b").await;
    cluster.start(fourth).await;
    let added = cluster.members[fourth].clone();
    let ask = 1 - leader;
    cluster
        .change(ask, Change::AddLearner(added.clone()))
        .await
        .unwrap();
    // The new copy opens the gate.
    cluster.propose_soon(ask, "after").await;
    cluster
        .change(ask, Change::Promote(added.id))
        .await
        .unwrap();
    let gone = Change::Remove {
        node: NodeId(3),
        leave_site: false,
    };
    cluster.change(ask, gone.clone()).await.unwrap();
    // Each of them again: nothing to do.
    cluster
        .change(ask, Change::AddLearner(added.clone()))
        .await
        .unwrap();
    cluster
        .change(ask, Change::Promote(added.id))
        .await
        .unwrap();
    cluster.change(ask, gone).await.unwrap();
    cluster.propose_soon(fourth, "from the new one").await;
    let mark = cluster.group(leader).read_mark().await.unwrap();
    for node in [0, 1, fourth] {
        cluster.wait_folded(node, mark.index.unwrap()).await;
        assert_eq!(cluster.voters(node), [1, 2, 4]);
        let texts = cluster.machines[node].book.texts();
        for text in ["before", "after", "from the new one"] {
            assert!(texts.contains(&text.to_owned()), "{text} on {node}");
        }
        assert_eq!(texts, cluster.machines[0].book.texts());
    }
    // The new node finds its peers again by the membership alone.
    cluster.stop(fourth).await;
    cluster.start(fourth).await;
    cluster.propose_soon(fourth, "once more").await;
    for node in [0, 1, fourth] {
        cluster.stop(node).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_that_make_no_sense_are_refused() {
    let mut cluster = Cluster::running(&["a", "a", "b"]).await;
    let leader = cluster.leader(&[0, 1, 2]).await;
    let elsewhere = {
        let mut node = cluster.members[1].clone();
        node.peer_addr = "127.0.0.1:1".into();
        node
    };
    let remove = |node, leave_site| Change::Remove {
        node: NodeId(node),
        leave_site,
    };
    let last_of_b = ChangeError::LastOfSite {
        node: NodeId(3),
        site: SiteName::new("b"),
    };
    let rows = [
        (
            Change::Promote(NodeId(7)),
            Err(ChangeError::NotAMember(NodeId(7))),
        ),
        (
            Change::Transfer(NodeId(7)),
            Err(ChangeError::NotAVoter(NodeId(7))),
        ),
        (
            Change::AddLearner(elsewhere),
            Err(ChangeError::AnotherAddress(NodeId(2))),
        ),
        (remove(3, false), Err(last_of_b)),
        (remove(7, false), Ok(())),
        (remove(3, true), Ok(())),
    ];
    for (change, expect) in rows {
        for ask in [leader, (leader + 1) % 2] {
            assert_eq!(
                cluster.change(ask, change.clone()).await,
                expect,
                "{change:?}"
            );
        }
    }
    // One site is left: there is no gate any more.
    cluster.stop(2).await;
    cluster.propose_soon(0, "alone in a").await;
    for node in [0, 1] {
        cluster.stop(node).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_moves_where_it_is_told_to() {
    let mut cluster = Cluster::running(&["a", "b", "c"]).await;
    cluster.leader(&[0, 1, 2]).await;
    for to in [2, 0, 1, 1] {
        let target = cluster.members[to].id;
        cluster.change(0, Change::Transfer(target)).await.unwrap();
        assert_eq!(cluster.leader(&[0, 1, 2]).await, to);
        cluster.propose_soon(to, "led").await;
    }
    for node in 0..3 {
        cluster.stop(node).await;
    }
}

/// A configuration that was carried to another place: durability would count for the wrong site.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_under_another_site_does_not_start() {
    let mut cluster = Cluster::running(&["a", "a", "b"]).await;
    cluster.propose_soon(2, "first").await;
    cluster.stop(2).await;
    cluster.members[2].site = SiteName::new("c");
    let refused = cluster.try_start(2).await.unwrap_err();
    let expect = NodeError::AnotherSite {
        configured: SiteName::new("c"),
        agreed: SiteName::new("b"),
    };
    assert_eq!(refused, expect);
    cluster.members[2].site = SiteName::new("b");
    cluster.start(2).await;
    cluster.propose_soon(2, "second").await;
    for node in 0..3 {
        cluster.stop(node).await;
    }
}
