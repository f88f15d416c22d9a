use crate::group::{proposed_bytes, proposed_in};
use crate::mark::{Durable, durable_in_two_sites};
use crate::wire;
use bytes::Bytes;
use raft_api::{LogId, LogIndex, NodeId, ProposeError, Proposed, Refused, ShardId, SiteName};
use raft_log::faulty_disk::Chance;

#[test]
fn durable_means_in_two_sites_or_in_the_only_one() {
    let check = |members: &[(&str, Option<u64>)], expected: Option<u64>| {
        let members: Vec<Durable> = members
            .iter()
            .map(|(site, upto)| Durable {
                site: SiteName::new(site),
                upto: upto.map(LogIndex),
            })
            .collect();
        let durable = durable_in_two_sites(&members);
        assert_eq!(durable, expected.map(LogIndex));
    };
    check(&[], None);
    check(&[("a", None)], None);
    check(&[("a", Some(5))], Some(5));
    check(&[("a", Some(5)), ("a", Some(9)), ("a", None)], Some(9));
    check(&[("a", Some(5)), ("a", Some(9)), ("b", None)], None);
    check(&[("a", Some(5)), ("a", Some(9)), ("b", Some(0))], Some(0));
    check(&[("a", Some(5)), ("a", Some(9)), ("b", Some(7))], Some(7));
    check(&[("a", Some(5)), ("b", Some(9)), ("b", Some(7))], Some(5));
    check(&[("a", Some(9)), ("b", Some(7)), ("c", Some(8))], Some(8));
    check(&[("a", Some(9)), ("b", Some(7)), ("c", None)], Some(7));
}

#[test]
fn no_bytes_from_a_peer_make_us_panic() {
    use prost::Message;
    let mut chance = Chance(11);
    let whole = wire::bytes(&wire::WireAppend {
        vote: wire::WireVote {
            term: 3,
            node: 2,
            committed: true,
        },
        previous: Some(wire::WireLogId { term: 3, index: 8 }),
        entries: vec![wire::WireEntry {
            log_id: wire::WireLogId { term: 3, index: 9 },
            kind: 1,
            payload: Bytes::from_static(b"payload"),
        }],
        committed: None,
        mark: Some(7),
    });
    let append = wire::WireAppend::decode(whole.clone()).unwrap();
    assert_eq!(wire::bytes(&append), whole);
    let request = wire::append_in(append.clone()).unwrap();
    assert_eq!(wire::append_out(&request, Some(7)), append);
    for _ in 0..20_000 {
        let mut bytes = whole.to_vec();
        bytes.truncate(chance.below(bytes.len() as u64 + 1) as usize);
        if !bytes.is_empty() {
            let at = chance.below(bytes.len() as u64) as usize;
            bytes[at] = chance.draw() as u8;
        }
        let bytes = Bytes::from(bytes);
        if let Ok(append) = wire::WireAppend::decode(bytes.clone()) {
            let _ = wire::append_in(append);
        }
        let _ = wire::append_answer_in(bytes.clone());
        let _ = wire::vote_request_in(bytes.clone());
        let _ = wire::vote_answer_in(bytes.clone());
        let _ = wire::transfer_in(bytes.clone());
        let _ = wire::membership_in(bytes);
    }
}

#[test]
fn every_answer_to_a_proposal_comes_back_as_it_was() {
    let check = |answer: Result<Proposed, ProposeError>| {
        assert_eq!(proposed_in(proposed_bytes(answer.clone())), Ok(answer));
    };
    check(Ok(Proposed {
        sites: vec![SiteName::new("a"), SiteName::new("b")],
        log_id: LogId::new(4, 9),
        outcome: Bytes::from_static(b"done"),
    }));
    check(Err(ProposeError::NotLeader { leader: None }));
    let leader = Some(NodeId(0));
    check(Err(ProposeError::NotLeader { leader }));
    check(Err(ProposeError::SiteGateClosed));
    check(Err(ProposeError::NoQuorum));
    check(Err(ProposeError::Unknown));
    for refused in [
        Refused::TooBusy,
        Refused::DiskFull,
        Refused::ClockSkew,
        Refused::Malformed,
    ] {
        check(Err(ProposeError::Refused(refused)));
    }
    let newer = wire::bytes(&wire::WireProposed {
        result: 77,
        ..Default::default()
    });
    assert_eq!(proposed_in(newer), Ok(Err(ProposeError::Unknown)));
    assert!(proposed_in(Bytes::from_static(b"\xff")).is_err());
}

#[test]
fn leaders_are_spread_over_the_larger_site() {
    #[track_caller]
    fn check(sites: &[&str], expect: &[u64]) {
        let sites: Vec<SiteName> = sites.iter().map(|site| SiteName::new(site)).collect();
        for (shard, wanted) in (0..).zip(expect) {
            let voters = (1..).map(NodeId).zip(&sites);
            let chosen = crate::prefer::preferred(voters, ShardId(shard));
            assert_eq!(chosen, Some(NodeId(*wanted)), "shard {shard}");
        }
    }
    check(&["a"], &[1, 1]);
    check(&["a", "a", "b"], &[1, 2, 1, 2]);
    check(&["b", "a", "a"], &[2, 3, 2]);
    check(&["a", "b", "c"], &[1, 2, 3, 1]);
    check(&["a", "a", "b", "b", "c"], &[1, 2, 3, 4, 1]);
}

#[test]
fn a_leader_changes_the_mode_when_it_is_due() {
    use crate::mode::{Situation, due};
    use raft_api::Mode::{CatchingUp, Degraded, InSync};
    use raft_api::OnSiteLoss::{Degrade, Strict};
    // Policy, now, second site heard, leases over, entries behind: what is proposed.
    let rows = [
        (Degrade, InSync, true, true, 0, None),
        (Degrade, InSync, false, false, 9, None),
        (Degrade, InSync, false, true, 9, Some(Degraded)),
        (Strict, InSync, false, true, 9, None),
        (Degrade, Degraded, false, true, 9, None),
        (Degrade, Degraded, true, true, 9999, Some(CatchingUp)),
        (Strict, Degraded, true, true, 9999, Some(CatchingUp)),
        (Degrade, CatchingUp, true, true, 9999, None),
        (Degrade, CatchingUp, true, true, 64, Some(InSync)),
        (Degrade, CatchingUp, false, false, 0, Some(Degraded)),
    ];
    for (policy, now, second_site_is_heard, leases_are_over, behind, expect) in rows {
        let situation = Situation {
            policy,
            now,
            second_site_is_heard,
            leases_are_over,
            behind,
        };
        assert_eq!(due(situation), expect, "{situation:?}");
    }
}

#[test]
fn no_lease_is_granted_once_a_leader_has_decided_to_degrade() {
    use crate::limits::{LEASE_DRIFT, LEASE_LENGTH};
    use crate::mode::Leases;
    let begun = tokio::time::Instant::now();
    let over = begun + LEASE_LENGTH + LEASE_DRIFT;
    let mut leases = Leases::default();
    // Leaders before us may have granted one up to our first moment.
    assert!(!leases.close(begun, begun));
    assert!(leases.close(begun, over));
    assert!(!leases.grant(over + LEASE_LENGTH), "closed");
    leases.open();
    assert!(leases.grant(over + LEASE_LENGTH));
    assert!(!leases.close(begun, over), "one was granted meanwhile");
    // A shorter one does not shorten it.
    assert!(leases.grant(over));
    assert!(!leases.close(begun, over + LEASE_LENGTH));
    assert!(leases.close(begun, over + LEASE_LENGTH + LEASE_DRIFT));
}
