//! The door over real shards and a log in memory: mail in, mailboxes, flags, the directory.

mod logins;
mod recipients;

use bytes::Bytes;
use engine_service::*;
use engine_types::{Flag, Flags, MailboxName, ModSeq, SpecialUse, Uid, UidSet};
use raft_api::ShardId;
use std::sync::Arc;
use testkit::{Solo, Trouble};

fn peer() -> Peer {
    Peer {
        session: Arc::from("test-1"),
        address: "192.0.2.1".parse().unwrap(),
        tls: None,
        protocol: "lmtp",
    }
}

fn name(text: &str) -> MailboxName {
    MailboxName::new(text).unwrap()
}

fn flags(words: &[&str]) -> Flags {
    words
        .iter()
        .map(|word| Flag::parse(word).unwrap())
        .collect()
}

fn one(uid: u32) -> UidSet {
    [Uid(uid)].into_iter().collect()
}

async fn send_all(service: &Service, to: &[&str], message: &[u8]) -> Vec<Delivered> {
    let mut recipients = Vec::new();
    for address in to {
        recipients.push(service.resolve_recipient(address).await.unwrap());
    }
    let delivery = Delivery {
        sender: "from@example.net".to_owned(),
        recipients,
        message: Bytes::copy_from_slice(message),
        helo: "mail.example.net".to_owned(),
        with: "LMTP",
    };
    service.deliver(&peer(), delivery).await
}

/// To addresses of one target each.
async fn send(service: &Service, to: &[&str], message: &[u8]) -> Vec<Result<AppendedTo, Refusal>> {
    let delivered = send_all(service, to, message).await;
    delivered.into_iter().flatten().collect()
}

async fn append(
    service: &Service,
    who: &Principal,
    mailbox: &str,
    message: &[u8],
) -> Result<AppendedTo, Refusal> {
    let request = AppendRequest {
        mailbox: name(mailbox),
        flags: flags(&["\\Seen", "$Label1"]),
        internal_date: None,
        message: Bytes::copy_from_slice(message),
        uid: None,
        check_quota: true,
    };
    service.append(&peer(), who, request).await
}

const MESSAGE: &[u8] = b"Subject: hello\r\nMessage-ID: <1@example.net>\r\n\r\nbody\r\n";

#[tokio::test]
async fn what_was_acknowledged_is_there_octet_by_octet() {
    let service = testkit::solo_service();
    let large = [MESSAGE, &vec![b'x'; 700_000]].concat();
    for message in [MESSAGE, large.as_slice()] {
        let to = [
            "Bob@Example.org",
            "carol@example.org",
            "alice+x@example.org",
        ];
        for (answer, to) in send(&service, &to, message).await.into_iter().zip(to) {
            let stored = answer.unwrap();
            assert!(stored.mailbox_name.is_inbox());
            let account = to.replace("+x", "");
            let who = service.principal(&account).await.unwrap();
            let rows = service
                .messages(&who, stored.mailbox, &one(stored.uid.0))
                .unwrap();
            let content = service.content(&rows[0].body).await.unwrap();
            assert!(content.message.to_bytes() == message);
            let trace = String::from_utf8(content.trace.to_vec()).unwrap();
            assert!(
                trace.contains(&format!("Delivered-To: {to}\r\n")),
                "{trace}"
            );
            assert_eq!(rows[0].size, (trace.len() + message.len()) as u64);
        }
    }
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_and_applied_once() {
    let solo = Solo::new();
    let service = testkit::solo_service_on(&solo);
    let bob = service.principal("bob@example.org").await.unwrap();
    let after = "alice@example.org";
    let shard = ShardId(service.accounts(after).await.unwrap()[0].shard);
    solo.set_trouble(shard, Trouble::AnswerLost);
    let mut folded = solo.groups()[&shard].folded();
    folded.mark_unchanged();
    let heal = async {
        // The first chunk is in the log, and whoever proposed it was told nothing.
        folded.changed().await.unwrap();
        solo.set_trouble(shard, Trouble::None);
    };
    let large = [MESSAGE, &vec![b'x'; 700_000]].concat();
    let to = ["bob@example.org"];
    let (answers, ()) = tokio::join!(send(&service, &to, &large), heal);
    let stored = answers[0].as_ref().unwrap();
    let opened = service.open_mailbox(&bob, &name("INBOX")).await.unwrap();
    assert_eq!(opened.uids, vec![stored.uid]);
    let rows = service.messages(&bob, stored.mailbox, &one(stored.uid.0));
    let content = service.content(&rows.unwrap()[0].body).await.unwrap();
    assert!(content.message.to_bytes() == large);
}

#[tokio::test]
async fn what_cannot_be_confirmed_is_called_stale() {
    let solo = Solo::new();
    let service = testkit::solo_service_on(&solo);
    let bob = service.principal("bob@example.org").await.unwrap();
    for shard in [1, 2] {
        solo.set_trouble(ShardId(shard), Trouble::NoQuorum);
    }
    let opened = service.open_mailbox(&bob, &name("INBOX")).await.unwrap();
    let stale = |freshness| matches!(freshness, Freshness::Stale { as_of } if as_of.0 > 0);
    assert!(stale(opened.freshness), "{:?}", opened.freshness);
    assert!(stale(service.catch_up(&bob).await));
}

#[tokio::test]
async fn what_cannot_be_stored_is_refused_for_each_recipient() {
    let service = testkit::solo_service();
    let to = ["bob@example.org", "carol@example.org"];
    let nul = send(&service, &to, b"a\0b").await;
    assert_eq!(nul, vec![Err(Refusal::NulOctet); 2]);
    let size = service.message_bytes_max() as usize + 1;
    let big = send(&service, &to, &vec![b'x'; size]).await;
    assert_eq!(big, vec![Err(Refusal::TooBig); 2]);
    let bob = service.principal("bob@example.org").await.unwrap();
    let (status, freshness) = service.status(&bob, &name("INBOX")).await.unwrap();
    assert_eq!((status.messages, freshness), (0, Freshness::Current));
}

#[tokio::test]
async fn the_quota_is_kept() {
    let service = testkit::solo_service();
    let bob = service.principal("bob@example.org").await.unwrap();
    service
        .set_quota("bob@example.org", Some(MESSAGE.len() as u64))
        .await
        .unwrap();
    append(&service, &bob, "INBOX", MESSAGE).await.unwrap();
    let more = append(&service, &bob, "INBOX", MESSAGE).await;
    assert_eq!(more, Err(Refusal::OverQuota));
    let known = service.resolve_recipient("bob@example.org").await;
    assert_eq!(known, Err(RecipientError::OverQuota));
    let size = MESSAGE.len() as u64;
    assert_eq!(service.quota(&bob).await, Ok((size, Some(size))));
}

#[tokio::test]
async fn flags_copies_and_expunge() {
    let service = testkit::solo_service();
    let (bob, peer) = (service.principal("bob@example.org").await.unwrap(), peer());
    let mut watch = service.watch(&bob);
    watch.mark_unchanged();
    let first = append(&service, &bob, "INBOX", MESSAGE).await.unwrap();
    let second = append(&service, &bob, "INBOX", MESSAGE).await.unwrap();
    assert!(watch.has_changed().unwrap());
    let none = append(&service, &bob, "None", MESSAGE).await;
    assert_eq!(none, Err(Refusal::NoSuchMailbox));
    assert!(second.uid > first.uid && second.receipt != first.receipt);
    let inbox = first.mailbox;
    let before = service.open_mailbox(&bob, &name("INBOX")).await.unwrap();
    assert_eq!(before.uids, vec![first.uid, second.uid]);
    assert_eq!(before.keywords, vec!["$Label1".to_owned()]);
    assert_eq!(before.first_unseen, None);

    let both = UidSet::from_ranges([(first.uid, second.uid)]);
    let deleted = flags(&["\\Deleted"]);
    let (uids, add) = (one(first.uid.0), FlagMode::Add);
    let stored = service.store_flags(&peer, &bob, inbox, &uids, add, &deleted, None);
    let stored = stored.await.unwrap();
    assert_eq!(stored.changed, uids);
    let since = Some(before.status.highest_mod_seq);
    let answered = flags(&["\\Answered"]);
    let later = service.store_flags(&peer, &bob, inbox, &both, add, &answered, since);
    let later = later.await.unwrap();
    assert_eq!((later.modified, later.changed), (uids, one(second.uid.0)));

    let (archive, trash, uids) = (name("Archive"), name("Trash"), one(second.uid.0));
    let archived = service.copy(&peer, &bob, inbox, &both, &archive);
    assert_eq!(archived.await.unwrap().uids.len(), 2);
    let moved = service.move_messages(&peer, &bob, inbox, &uids, &trash);
    assert_eq!(moved.await.unwrap().uids[0].0, second.uid);
    let gone = service.expunge(&peer, &bob, inbox, None).await.unwrap();
    assert_eq!(gone.uids, one(first.uid.0));

    let since = before.status.highest_mod_seq;
    let changes = service.changes(&bob, inbox, since).unwrap();
    assert_eq!((changes.changed.len(), changes.vanished), (0, both));
    assert!(changes.highest_mod_seq > since && !changes.gone);
    assert_eq!(service.catch_up(&bob).await, Freshness::Current);
}

/// A refusal for a bound names what it bounds.
#[tokio::test]
async fn a_message_has_so_many_keywords() {
    let service = testkit::solo_service();
    let (bob, peer) = (service.principal("bob@example.org").await.unwrap(), peer());
    let to = append(&service, &bob, "INBOX", MESSAGE).await.unwrap();
    let add = async |words: std::ops::Range<usize>| {
        let words: Vec<String> = words.map(|number| format!("k{number}")).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (uids, flags) = (one(to.uid.0), flags(&words));
        let stored =
            service.store_flags(&peer, &bob, to.mailbox, &uids, FlagMode::Add, &flags, None);
        stored.await.map(|stored| stored.changed)
    };
    // APPEND gave it one.
    assert_eq!(add(0..63).await, Ok(one(to.uid.0)));
    let limit = Err(Refusal::Limit("keywords on one message"));
    assert_eq!(add(63..64).await, limit, "decided in the fold");
    assert_eq!(add(0..65).await, limit, "decided at the door");
}

#[tokio::test]
async fn mailboxes_as_a_client_lists_them() {
    let service = testkit::solo_service();
    let (bob, peer) = (service.principal("bob@example.org").await.unwrap(), peer());
    let work = name("Work/2026");
    let made = service.create_mailbox(&peer, &bob, &work, None);
    let (made, _) = made.await.unwrap();
    let again = service.create_mailbox(&peer, &bob, &work, None);
    assert_eq!(again.await, Err(Refusal::MailboxExists));
    service
        .subscribe(&peer, &bob, &name("Absent"), true)
        .await
        .unwrap();
    service
        .delete_mailbox(&peer, &bob, &name("Work"))
        .await
        .unwrap();
    let inbox = service.delete_mailbox(&peer, &bob, &name("INBOX")).await;
    assert!(matches!(inbox, Err(Refusal::Cannot(_))));
    let shown: Vec<String> = service
        .mailboxes(&bob)
        .await
        .unwrap()
        .into_iter()
        .map(|entry| {
            let mark = |is: bool, text: &'static str| if is { text } else { "" };
            format!(
                "{}{}{}{}{}",
                entry.name,
                mark(entry.id.is_some(), " real"),
                mark(entry.subscribed, " subscribed"),
                mark(entry.has_children, " parent"),
                entry.special_use.map_or("", SpecialUse::as_str)
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            "INBOX real subscribed",
            "Absent subscribed",
            "Archive real subscribed\\Archive",
            "Drafts real subscribed\\Drafts",
            "Junk real subscribed\\Junk",
            "Sent real subscribed\\Sent",
            "Trash real subscribed\\Trash",
            "Work parent",
            "Work/2026 real",
        ]
    );
    let to = name("Private/2026");
    service
        .rename_mailbox(&peer, &bob, &name("Work/2026"), &to)
        .await
        .unwrap();
    let (status, _) = service.status(&bob, &to).await.unwrap();
    assert_eq!(status.id, made);
    service.delete_mailbox(&peer, &bob, &to).await.unwrap();
    assert!(service.changes(&bob, made, ModSeq(0)).unwrap().gone);
}

#[tokio::test]
async fn accounts_come_and_go() {
    let service = testkit::solo_service();
    let demo = || NewCredential::Password("demo".to_owned());
    let taken = service.add_account("BOB@example.org", demo(), None).await;
    assert_eq!(taken, Err(Refusal::AddressTaken));
    let plain = NewCredential::Hash("{PLAIN}demo".to_owned());
    let plain = service.add_account("dora@example.org", plain, None).await;
    assert!(matches!(plain, Err(Refusal::Invalid(_))));
    let dora = service.add_account("dora@example.org", demo(), Some(1_000));
    let dora = dora.await.unwrap();
    let list = service.accounts("carol@example.org").await.unwrap();
    assert_eq!(list.len(), 1);
    assert_eq!((list[0].account, list[0].quota_max), (dora, Some(1_000)));
    let own = service.remove_address("dora@example.org").await;
    assert!(matches!(own, Err(Refusal::Cannot(_))));
    let who = service.principal("dora@example.org").await.unwrap();
    service.remove_account("dora@example.org").await.unwrap();
    assert_eq!(
        service.mailboxes(&who).await,
        Err(Refusal::AccountUnavailable)
    );
    let gone = service.resolve_recipient("dora@example.org").await;
    assert_eq!(gone, Err(RecipientError::Unknown));
    let again = service.remove_account("dora@example.org").await;
    assert_eq!(again, Err(Refusal::NoSuchAddress));
    let addresses = service.addresses("").await.unwrap();
    assert!(
        addresses
            .iter()
            .all(|row| row.address != "dora@example.org")
    );
}
