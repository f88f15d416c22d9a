//! Where mail for an address goes, and addresses with several targets.

use crate::{MESSAGE, name, peer, send, send_all};
use engine_service::*;
use raft_api::ShardId;
use std::sync::Arc;
use testkit::{Solo, Trouble};

fn shown(recipient: &Recipient) -> String {
    let each = recipient.targets.iter();
    let each: Vec<String> = each.map(|t| format!("{} {}", t.name, t.folder)).collect();
    each.join(", ")
}

#[tokio::test]
async fn recipients() {
    let service = testkit::solo_service();
    let target = |account: &str, folder: &str| vec![(account.to_owned(), folder.to_owned())];
    let bob = service.principal("bob@example.org").await.unwrap();
    service
        .create_mailbox(&peer(), &bob, &name("Work/Élan"), None)
        .await
        .unwrap();
    for (address, account, folder) in [
        ("info@example.org", "bob@example.org", "Work"),
        ("*@example.com", "carol@example.org", ""),
    ] {
        let added = service.add_address(address, target(account, folder), None, false);
        added.await.unwrap();
    }
    let text = Some("moved away".to_owned());
    let refused = service.add_address("old@example.com", Vec::new(), text, false);
    refused.await.unwrap();
    service
        .set_state("alice@example.org", AccountState::Deferred)
        .await
        .unwrap();
    let mut failures = Vec::new();
    for (address, expect) in [
        ("bob@example.org", "bob@example.org INBOX"),
        ("bob+work/élan@example.org", "bob@example.org Work/Élan"),
        ("bob+SENT@example.org", "bob@example.org Sent"),
        ("bob+none@example.org", "bob@example.org INBOX"),
        ("info@example.org", "bob@example.org Work"),
        ("any@example.com", "carol@example.org INBOX"),
        ("old@example.com", "Refused(\"moved away\")"),
        ("any@example.org", "Unknown"),
        ("*@example.com", "Unknown"),
        ("bob", "Unknown"),
        ("Postmaster", "NoPostmaster"),
        ("alice@example.org", "Deferred"),
    ] {
        let shown = match service.resolve_recipient(address).await {
            Ok(recipient) => shown(&recipient),
            Err(error) => format!("{error:?}"),
        };
        if shown != expect {
            failures.push(format!("{address}: {shown}, not {expect}"));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
    let stored = send(&service, &["info@example.org"], MESSAGE).await;
    assert_eq!(stored[0].as_ref().unwrap().mailbox_name, name("Work"));
}

async fn add_list(service: &Service, address: &str) {
    let to = |account: &str, folder: &str| (account.to_owned(), folder.to_owned());
    let targets = vec![
        to("alice@example.org", "Archive"),
        to("bob@example.org", ""),
        to("carol@example.org", "None"),
    ];
    let added = service.add_address(address, targets, None, false);
    added.await.unwrap();
}

async fn messages(service: &Service, account: &str, mailbox: &str) -> u32 {
    let who = service.principal(account).await.unwrap();
    let (status, _) = service.status(&who, &name(mailbox)).await.unwrap();
    status.messages
}

/// How many messages alice, bob and carol have of the list.
async fn of_the_list(service: &Service) -> [u32; 3] {
    [
        messages(service, "alice@example.org", "Archive").await,
        messages(service, "bob@example.org", "INBOX").await,
        messages(service, "carol@example.org", "INBOX").await,
    ]
}

#[tokio::test]
async fn mail_for_a_list_goes_to_all_its_targets() {
    let service = testkit::solo_service();
    add_list(&service, "team@example.org").await;
    add_list(&service, "*@example.com").await;
    let to = ["team@example.org", "team+x@example.org", "any@example.com"];
    for (delivered, to) in send_all(&service, &to, MESSAGE).await.iter().zip(to) {
        let folders: Vec<&str> = delivered
            .iter()
            .map(|result| result.as_ref().unwrap().mailbox_name.as_str())
            .collect();
        assert_eq!(folders, ["Archive", "INBOX", "INBOX"], "{to}");
    }
    assert_eq!(of_the_list(&service).await, [3; 3]);
}

/// A sender that was not answered, or not with 250, tries again: each target has the message once.
#[tokio::test]
async fn a_second_try_reaches_only_who_lacks_the_message() {
    let service = testkit::solo_service();
    add_list(&service, "team@example.org").await;
    let list = ["team@example.org"];
    let set_quota = service.set_quota("bob@example.org", Some(10));
    set_quota.await.unwrap();
    let first = send_all(&service, &list, MESSAGE).await.remove(0);
    assert_eq!(first[1], Err(Refusal::OverQuota));
    assert!(first[0].is_ok() && first[2].is_ok());
    let set_quota = service.set_quota("bob@example.org", None);
    set_quota.await.unwrap();
    for _ in 0..2 {
        let again = send_all(&service, &list, MESSAGE).await.remove(0);
        assert!(again.iter().all(Result::is_ok), "{again:?}");
        assert_eq!(
            again[0].as_ref().unwrap().uid,
            first[0].as_ref().unwrap().uid
        );
    }
    assert_eq!(of_the_list(&service).await, [1; 3]);
    // Another message, and the same one by another way, are further deliveries.
    send_all(&service, &list, &[MESSAGE, b"x"].concat()).await;
    send_all(&service, &["team+x@example.org"], MESSAGE).await;
    assert_eq!(of_the_list(&service).await, [3; 3]);
}

/// The broken twin of the above: mail for one account has no name, and a second try is a second message.
#[tokio::test]
async fn mail_for_one_account_is_as_many_messages_as_were_sent() {
    let service = testkit::solo_service();
    for _ in 0..2 {
        send(&service, &["bob@example.org"], MESSAGE).await;
    }
    assert_eq!(messages(&service, "bob@example.org", "INBOX").await, 2);
}

#[tokio::test]
async fn a_list_is_not_delivered_while_one_of_its_shards_is_away() {
    let solo = Solo::new();
    let service = testkit::solo_service_on(&solo);
    add_list(&service, "team@example.org").await;
    // Large: chunks go ahead of what names them.
    let large = [MESSAGE, &vec![b'x'; 400_000]].concat();
    let away = service.accounts("alice@example.org").await.unwrap()[0].clone();
    assert_eq!(away.address, "bob@example.org");
    solo.set_trouble(ShardId(away.shard), Trouble::AnswerLost);
    let first = send_all(&service, &["team@example.org"], &large).await;
    assert!(first[0][1].is_err());
    solo.set_trouble(ShardId(away.shard), Trouble::None);
    for _ in 0..2 {
        let again = send_all(&service, &["team@example.org"], &large).await;
        assert!(again[0].iter().all(Result::is_ok), "{again:?}");
    }
    assert_eq!(of_the_list(&service).await, [1; 3]);
}

#[tokio::test]
async fn one_full_or_suspended_target() {
    let service = testkit::solo_service();
    add_list(&service, "team@example.org").await;
    let resolve = || service.resolve_recipient("team@example.org");
    for account in ["alice", "bob", "carol"] {
        let address = format!("{account}@example.org");
        assert!(resolve().await.is_ok(), "those with room get it");
        send(&service, &[&address], MESSAGE).await;
        service.set_quota(&address, Some(1)).await.unwrap();
    }
    assert_eq!(resolve().await, Err(RecipientError::OverQuota));
    service.set_quota("bob@example.org", None).await.unwrap();
    let suspended = AccountState::Suspended;
    service
        .set_state("carol@example.org", suspended)
        .await
        .unwrap();
    assert_eq!(resolve().await, Err(RecipientError::Deferred));
    service.remove_account("carol@example.org").await.unwrap();
    assert_eq!(
        shown(&resolve().await.unwrap()),
        "alice@example.org Archive, bob@example.org INBOX"
    );
}

#[tokio::test]
async fn lists_that_make_no_sense_are_refused() {
    let service = testkit::solo_service();
    let bob = || ("bob@example.org".to_owned(), String::new());
    let twice = service.add_address("team@example.org", vec![bob(), bob()], None, false);
    assert!(matches!(twice.await, Err(Refusal::Invalid(_))));
    let carol = ("carol@example.org".to_owned(), String::new());
    let login = service.add_address("team@example.org", vec![bob(), carol], None, true);
    assert!(matches!(login.await, Err(Refusal::Invalid(_))));
    let nobody = ("nobody@example.org".to_owned(), String::new());
    let nobody = service.add_address("team@example.org", vec![bob(), nobody], None, false);
    assert_eq!(nobody.await, Err(Refusal::NoSuchAddress));
}

/// RFC 5321 §4.5.1. The stand's host is `mail.example.org`.
#[tokio::test]
async fn postmaster_without_a_domain() {
    let service = testkit::solo_service();
    let resolve = || service.resolve_recipient("PostMaster");
    assert_eq!(resolve().await, Err(RecipientError::NoPostmaster));
    let to = |account: &str| vec![(account.to_owned(), String::new())];
    for (address, account) in [
        ("postmaster@example.org", "alice@example.org"),
        ("postmaster@mail.example.org", "bob@example.org"),
    ] {
        let added = service.add_address(address, to(account), None, false);
        added.await.unwrap();
        let found = resolve().await.unwrap();
        assert_eq!(shown(&found), format!("{account} INBOX"));
        assert_eq!(found.as_given, Arc::from("PostMaster"));
    }
    let stored = send(&service, &["postmaster"], MESSAGE).await;
    assert!(stored[0].is_ok(), "{stored:?}");
    let detail = service.resolve_recipient("postmaster+x").await;
    assert_eq!(detail, Err(RecipientError::Unknown));
}

/// Nobody is told *no* by a node that may only not know it yet.
#[tokio::test]
async fn what_cannot_be_confirmed_is_not_denied() {
    let solo = Solo::new();
    let service = testkit::solo_service_on(&solo);
    let alice = "alice@example.org";
    let first = service.accounts("").await.unwrap().remove(0);
    assert_eq!(first.address, alice);
    let shard = ShardId(first.shard);
    let check = async |address: &str, expect: &str| {
        let shown = match service.resolve_recipient(address).await {
            Ok(recipient) => shown(&recipient),
            Err(error) => format!("{error:?}"),
        };
        assert_eq!(shown, expect, "{address}");
    };
    let known = "alice@example.org INBOX";
    for (trouble, none, detail) in [
        (ShardId::CONTROL, "Unavailable", "Unavailable"),
        (shard, "Unknown", "Unavailable"),
    ] {
        solo.set_trouble(trouble, Trouble::NoQuorum);
        check(alice, known).await;
        // Another address of that very name might exist.
        check("alice+sent@example.org", "Unavailable").await;
        check("nobody@example.org", none).await;
        check("alice+none@example.org", detail).await;
        check("no address", "Unknown").await;
        solo.set_trouble(trouble, Trouble::None);
        check("nobody@example.org", "Unknown").await;
        check("alice+none@example.org", known).await;
        check("alice+sent@example.org", "alice@example.org Sent").await;
    }
}
