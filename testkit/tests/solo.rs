//! `Solo` behaves as a group does: what is acknowledged is folded, what is refused is not.

use bytes::Bytes;
use engine_events::{AccountOpened, Command, Event, Kind, MailboxCreated, Outcome, Payload};
use engine_service::{Mail, Peer};
use engine_types::{AccountId, CommandId};
use raft_api::{LogIndex, ProposeError, ReadError, ShardId};
use std::net::{IpAddr, Ipv4Addr};
use testkit::{Solo, Trouble};

const MAIL: ShardId = ShardId(1);
const ACCOUNT: AccountId = AccountId(5);

fn open_account(number: u128) -> Bytes {
    let opened = Kind::AccountOpened(AccountOpened {
        mailboxes: vec![MailboxCreated {
            name: "INBOX".to_owned(),
            ..MailboxCreated::default()
        }],
        quota_bytes: 0,
    });
    Command::new(
        CommandId(number),
        0,
        "",
        vec![Event::new(ACCOUNT, 1, opened)],
    )
    .encode_command()
}

fn is_open(solo: &Solo) -> bool {
    let view = solo.shards()[&MAIL].view();
    engine_domain::read::account(&view, MAIL.0, ACCOUNT)
        .unwrap()
        .is_some()
}

#[tokio::test]
async fn what_is_acknowledged_is_folded() {
    let solo = Solo::new();
    let group = solo.groups()[&MAIL].clone();
    let proposed = group.propose(open_account(1)).await.unwrap();
    let outcome = Outcome::decode_outcome(&proposed.outcome).unwrap();
    assert_eq!(outcome.events[0].refusal(), None);
    assert!(is_open(&solo));
    assert_eq!(*group.folded().borrow(), Some(proposed.log_id.index));
    assert_eq!(
        group.read_mark().await.unwrap().index,
        Some(proposed.log_id.index)
    );
    let payload = solo.entries().payload(MAIL, proposed.log_id.index).unwrap();
    assert!(Payload::decode(payload).is_ok());
    assert!(solo.entries().payload(MAIL, LogIndex(9)).is_err());
    assert!(solo.entries().payload(ShardId(9), LogIndex(0)).is_err());
}

#[tokio::test]
async fn what_is_refused_is_not() {
    let solo = Solo::new();
    let group = solo.groups()[&MAIL].clone();
    for error in [
        ProposeError::SiteGateClosed,
        ProposeError::NotLeader { leader: None },
    ] {
        solo.set_trouble(MAIL, Trouble::Refuse(error.clone()));
        assert_eq!(group.propose(open_account(1)).await, Err(error));
    }
    solo.set_trouble(MAIL, Trouble::NoQuorum);
    assert_eq!(
        group.propose(open_account(1)).await,
        Err(ProposeError::NoQuorum)
    );
    assert_eq!(group.read_mark().await, Err(ReadError::NoQuorum));
    solo.set_trouble(MAIL, Trouble::None);
    assert!(group.propose(Bytes::from_static(b"x")).await.is_err());
    assert!(!is_open(&solo));
}

/// P8: the outcome is unknown, the repeat with the same id gets the first answer.
#[tokio::test]
async fn a_lost_answer_is_found_again() {
    let solo = Solo::new();
    let group = solo.groups()[&MAIL].clone();
    solo.set_trouble(MAIL, Trouble::AnswerLost);
    assert_eq!(
        group.propose(open_account(1)).await,
        Err(ProposeError::Unknown)
    );
    assert!(is_open(&solo));
    solo.set_trouble(MAIL, Trouble::None);
    let again = group.propose(open_account(1)).await.unwrap();
    let outcome = Outcome::decode_outcome(&again.outcome).unwrap();
    assert!(outcome.repeated);
    assert_eq!(outcome.events[0].refusal(), None);
}

#[tokio::test]
async fn the_demo_accounts_log_in() {
    let solo = Solo::new();
    let service = testkit::solo_service_on(&solo);
    let peer = Peer {
        session: "s1".into(),
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        tls: None,
        protocol: "imap",
    };
    for address in testkit::DEMO_ACCOUNTS {
        let good = service.login(&peer, address, testkit::DEMO_PASSWORD).await;
        assert!(good.is_ok(), "{address}: {good:?}");
        let bad = service.login(&peer, address, "other").await;
        assert!(bad.is_err(), "{address}");
    }
}
