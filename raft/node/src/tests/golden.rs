//! Nodes of two versions talk to each other while a cluster is upgraded, and journals keep votes, memberships and modes:
//! the bytes of all messages (`docs/formats/peers.md`), frozen.

use crate::change::{Change, ChangeError, change_in, change_out, changed_out};
use crate::group::{proposed_out, read_mark_out};
use crate::refetch::{WireRefetch, WireRefetched, WireRefetchedEntry};
use crate::wire::{self, *};
use bytes::Bytes;
use prost::Message;
use raft_api::{
    LogId, LogIndex, NodeId, NodeInfo, OnSiteLoss, ProposeError, Proposed, ReadError, ReadMark,
    Refused, SiteName,
};
use std::fmt::Debug;

/// Both ways.
#[track_caller]
fn check<M: Message + Default + PartialEq + Debug>(message: M, expect: &str) {
    let bytes = message.encode_to_vec();
    let shown: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(shown, expect);
    assert_eq!(M::decode(&bytes[..]), Ok(message));
}

fn at(term: u64, index: u64) -> WireLogId {
    WireLogId { term, index }
}

fn vote(term: u64, node: u64, committed: bool) -> WireVote {
    WireVote {
        term,
        node,
        committed,
    }
}

fn normal() -> WireEntry {
    WireEntry {
        log_id: at(3, 300),
        kind: 1,
        payload: Bytes::from_static(&[0xaa, 0xbb]),
    }
}

fn membership() -> WireMembership {
    let voters = |nodes: &[u64]| WireVoters {
        nodes: nodes.to_vec(),
    };
    let node = |id, site: &str, peer_addr: &str| WireNode {
        id,
        site: site.to_owned(),
        peer_addr: peer_addr.to_owned(),
    };
    WireMembership {
        configs: vec![voters(&[1, 2]), voters(&[1])],
        nodes: vec![node(1, "a", "h:1"), node(2, "b", "h:2")],
    }
}

#[test]
fn kinds_keep_their_numbers() {
    use wire::kind::*;
    let all = [
        APPEND, VOTE, PRE_VOTE, TRANSFER, PROPOSE, READ_MARK, MARK, ASK, OFFER, PART, PAYLOADS,
        CHANGE, HOLD, LEASE, REFETCH,
    ];
    assert!(all.into_iter().eq(1..=15));
}

#[test]
fn append() {
    let blank = WireEntry {
        log_id: at(3, 301),
        kind: 0,
        payload: Bytes::new(),
    };
    let full = WireAppend {
        vote: vote(3, 1, true),
        previous: Some(at(2, 299)),
        entries: vec![normal(), blank],
        committed: Some(at(2, 298)),
        mark: Some(297),
    };
    check(
        full,
        "0a060803100118011205080210ab021a0d0a05080310ac0210011a02aabb1a070a05080310ad022205080210aa0228a902",
    );
    let heartbeat = WireAppend {
        vote: vote(3, 1, true),
        ..WireAppend::default()
    };
    check(heartbeat, "0a06080310011801");
    let answer = |result, matching, vote| WireAppendAnswer {
        full: false,
        clock_ms: 0,
        result,
        matching,
        vote,
    };
    check(answer(1, None, None), "0801");
    check(answer(2, Some(at(2, 9)), None), "0802120408021009");
    check(answer(3, None, None), "0803");
    check(answer(4, None, Some(vote(5, 2, false))), "08041a0408051002");
}

#[test]
fn votes_and_transfers() {
    let request = WireVoteRequest {
        vote: vote(4, 2, false),
        last: Some(at(3, 300)),
        transfer: true,
    };
    check(request, "0a04080410021205080310ac021801");
    let answer = WireVoteAnswer {
        vote: vote(4, 2, false),
        granted: true,
        last: Some(at(3, 300)),
    };
    check(answer, "0a040804100210011a05080310ac02");
    let transfer = WireTransfer {
        from: vote(4, 2, true),
        to: 3,
        last: Some(at(3, 300)),
    };
    check(transfer, "0a0608041002180110031a05080310ac02");
    let answer = |result, actual_vote, actual_last| WireTransferAnswer {
        result,
        actual_vote,
        actual_last,
    };
    check(answer(1, None, None), "0801");
    check(answer(2, Some(vote(5, 1, false)), None), "0802120408051001");
    check(answer(3, None, Some(at(3, 299))), "08031a05080310ab02");
}

#[test]
fn proposals_and_marks() {
    let done = Proposed {
        sites: vec![SiteName::new("a"), SiteName::new("b")],
        log_id: LogId::new(3, 300),
        outcome: Bytes::from_static(b"done"),
    };
    let refused = |why| Err(ProposeError::Refused(why));
    let leader = Some(NodeId(2));
    for (answer, expect) in [
        (Ok(done), "08011205080310ac021a04646f6e65320161320162"),
        (Err(ProposeError::NotLeader { leader: None }), "0802"),
        (Err(ProposeError::NotLeader { leader }), "08022002"),
        (Err(ProposeError::SiteGateClosed), "0803"),
        (Err(ProposeError::NoQuorum), "0804"),
        (refused(Refused::TooBusy), "08052801"),
        (refused(Refused::DiskFull), "08052802"),
        (refused(Refused::ClockSkew), "08052803"),
        (refused(Refused::Malformed), "08052804"),
        (Err(ProposeError::Unknown), "0806"),
    ] {
        check(proposed_out(answer), expect);
    }
    let mark = |index: Option<u64>| {
        let index = index.map(LogIndex);
        read_mark_out(Ok(ReadMark { index }))
    };
    check(mark(None), "");
    check(mark(Some(0)), "1000");
    check(read_mark_out(Err(ReadError::NoQuorum)), "0801");
    check(read_mark_out(Err(ReadError::NotYet)), "0802");
    check(WireLease { length_ms: 6_000 }, "08f02e");
}

#[test]
fn snapshots() {
    let offer = WireOffer {
        vote: vote(4, 2, true),
        number: 7,
        position: at(3, 300),
        head: Bytes::from_static(&[0xcc]),
    };
    check(offer, "0a0608041002180110071a05080310ac022201cc");
    let answer = |result, vote, reason: &str| WireOffered {
        result,
        vote,
        reason: reason.to_owned(),
    };
    check(answer(1, None, ""), "0801");
    check(
        answer(2, Some(vote(4, 2, true)), ""),
        "08021206080410021801",
    );
    check(answer(3, None, "no"), "08031a026e6f");
    let wanted = WirePartWanted {
        number: 7,
        cursor: Bytes::from_static(&[1]),
    };
    check(wanted, "0807120101");
    let part = WirePart {
        bytes: Bytes::from_static(&[2, 3]),
        needs: vec![5, 300],
        next: Some(Bytes::from_static(&[4])),
    };
    check(part, "0a020203120305ac021a0104");
    let last = WirePart {
        bytes: Bytes::from_static(&[2]),
        ..WirePart::default()
    };
    check(last, "0a0102");
    let wanted = vec![5, 300];
    check(WirePayloadsWanted { wanted }, "0a0305ac02");
    let entries = vec![normal()];
    check(WirePayloads { entries }, "0a0d0a05080310ac0210011a02aabb");
}

#[test]
fn changes() {
    let node = NodeInfo {
        id: NodeId(3),
        site: SiteName::new("b"),
        peer_addr: "h:1".to_owned(),
    };
    let remove = Change::Remove {
        node: NodeId(3),
        leave_site: true,
    };
    for (change, expect) in [
        (Change::AddLearner(node), "0801120a08031201621a03683a31"),
        (Change::Promote(NodeId(3)), "080212020803"),
        (remove, "0803120208031801"),
        (Change::Transfer(NodeId(3)), "080412020803"),
        (Change::Policy(OnSiteLoss::Degrade), "080512002002"),
    ] {
        let sent = change_out(&change);
        assert_eq!(change_in(wire::bytes(&sent)), Ok(change));
        check(sent, expect);
    }
    let node = NodeId(3);
    let site = SiteName::new("b");
    for (answer, expect) in [
        (Ok(()), "0801"),
        (Err(ChangeError::NoLeader), "0802"),
        (Err(ChangeError::NotAMember(node)), "0803"),
        (Err(ChangeError::NotAVoter(node)), "0804"),
        (Err(ChangeError::AnotherAddress(node)), "0805"),
        (Err(ChangeError::LastOfSite { node, site }), "0806120162"),
        (Err(ChangeError::LastVoter(node)), "0807"),
        (Err(ChangeError::InProgress), "0808"),
        (Err(ChangeError::Unknown), "0809"),
        (Err(ChangeError::NotInSync), "080a"),
        (Err(ChangeError::SecondSiteAway), "080b"),
    ] {
        check(changed_out(&answer), expect);
    }
}

/// These stand in journals too.
#[test]
fn memberships_and_modes() {
    let bytes = "0a040a0201020a030a0101120a08011201611a03683a31120a08021201621a03683a32";
    check(membership(), bytes);
    let mode = WireMode {
        mode: 2,
        decided_at_ms: 1_000,
        ..WireMode::default()
    };
    check(mode, "080210e807");
    let with_policy = WireMode {
        policy: 2,
        policy_at: Some(7),
        ..mode
    };
    check(with_policy, "080210e80718022007");
    let stored = WireStoredMembership {
        log_id: Some(at(3, 300)),
        membership: wire::bytes(&membership()),
        mode: Some(mode),
        mode_at: 299,
    };
    check(
        stored,
        &format!("0a05080310ac021223{bytes}1a05080210e80720ab02"),
    );
}

#[test]
fn refetch() {
    let wanted = vec![at(3, 300), at(3, 301)];
    check(WireRefetch { wanted }, "0a05080310ac020a05080310ad02");
    let answer = |entry, checksum, other| WireRefetchedEntry {
        entry,
        checksum,
        other,
    };
    let answers = vec![
        answer(Some(normal()), 0xcbf4_3926, None),
        answer(None, 0, Some(at(4, 301))),
        answer(None, 0, None),
    ];
    check(
        WireRefetched { answers },
        "0a150a0d0a05080310ac0210011a02aabb10a6f2d0df0c0a071a05080410ad020a00",
    );
}
