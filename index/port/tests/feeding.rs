//! The index beside real folds: what comes, goes, is damaged and made anew; always held against a scan.

use engine_service::{
    Administration, AppendRequest, FacetKind, FlagMode, Mail, Peer, Principal, RankedQuery,
    Refusal, Service,
};
use engine_types::{Flag, Flags, MailboxName, SystemFlag, Uid, UidSet};
use index_port::{Feeder, Indexes, Verdict};
use raft_api::ShardId;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use testkit::{Solo, solo_service_on};

struct Node {
    solo: Solo,
    service: Arc<Service>,
    who: Principal,
    folder: tempfile::TempDir,
}

fn peer() -> Peer {
    Peer {
        session: Arc::from("test"),
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        tls: None,
        protocol: "imap",
    }
}

fn name(text: &str) -> MailboxName {
    MailboxName::new(text).unwrap()
}

fn one(uid: Uid) -> UidSet {
    [uid].into_iter().collect()
}

impl Node {
    async fn new() -> Node {
        let solo = Solo::new();
        let service = solo_service_on(&solo);
        let who = service.principal("bob@example.org").await.unwrap();
        Node {
            solo,
            service,
            who,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn feeder(&self) -> Feeder {
        let indexes = Indexes::open(self.folder.path(), &self.solo.shards()).unwrap();
        Feeder::start(indexes, self.solo.entries()).unwrap()
    }

    async fn append(&self, text: &str) -> Uid {
        let message = format!("Subject: about {text}\r\n\r\nThe body says {text}.\r\n");
        let request = AppendRequest {
            mailbox: name("INBOX"),
            flags: Flags::default(),
            internal_date: None,
            message: message.into(),
            uid: None,
            check_quota: false,
        };
        let appended = self.service.append(&peer(), &self.who, request).await;
        appended.unwrap().uid
    }

    async fn expunge(&self, uid: Uid) {
        let deleted: Flags = [Flag::System(SystemFlag::Deleted)].into_iter().collect();
        let status = self.service.status(&self.who, &name("INBOX")).await;
        let inbox = status.unwrap().0.id;
        let (service, who) = (&self.service, &self.who);
        let (peer, uids) = (peer(), one(uid));
        let stored = service.store_flags(&peer, who, inbox, &uids, FlagMode::Add, &deleted, None);
        stored.await.unwrap();
        service
            .expunge(&peer, who, inbox, Some(&uids))
            .await
            .unwrap();
    }

    fn home(&self) -> (ShardId, engine_types::AccountId) {
        let (shard, account, _) = self.service.position(&self.who).unwrap();
        (shard, account)
    }

    fn verify(&self, feeder: &Feeder) -> Verdict {
        let (shard, account) = self.home();
        let entries = self.solo.entries();
        let verdict = feeder.verify(entries.as_ref(), shard, account, 120);
        verdict.unwrap().unwrap()
    }

    /// Waits until nothing needs to be scanned: the feeder is a thread of its own, and tells nobody.
    async fn check(&self, feeder: &Feeder, messages: usize) {
        for _ in 0..500 {
            let verdict = self.verify(feeder);
            assert_eq!(verdict.differences, Vec::<String>::new());
            if verdict.scanned == 0 && verdict.messages == messages {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the index does not get level: {:?}", self.verify(feeder));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_and_goes() {
    let node = Node::new().await;
    node.append("what was there before").await;
    let feeder = node.feeder();
    node.check(&feeder, 1).await;
    let second = node.append("Übergrößen").await;
    for number in 0..30 {
        node.append(&format!("number {number}")).await;
    }
    node.check(&feeder, 32).await;
    let archive = name("Archive");
    let inbox = node.service.status(&node.who, &name("INBOX")).await;
    let inbox = inbox.unwrap().0.id;
    let (peer, uids) = (peer(), one(second));
    let copied = node.service.copy(&peer, &node.who, inbox, &uids, &archive);
    copied.await.unwrap();
    // Still in the other mailbox.
    node.expunge(second).await;
    node.check(&feeder, 32).await;
    // In none any more.
    node.expunge(Uid(1)).await;
    node.check(&feeder, 31).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_finds_what_came_and_went_meanwhile() {
    let node = Node::new().await;
    for number in 0..20 {
        node.append(&format!("number {number}")).await;
    }
    let feeder = node.feeder();
    node.check(&feeder, 20).await;
    feeder.stop();
    drop(feeder);
    node.append("came while nobody looked").await;
    node.expunge(Uid(3)).await;
    // Shards tell one follower only: another node over the same rows.
    let folder = node.folder.path().to_owned();
    let indexes = Indexes::open(&folder, &node.solo.shards()).unwrap();
    let feeder = Feeder::start(indexes, node.solo.entries()).unwrap();
    node.check(&feeder, 20).await;
}

fn runs(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => found.extend(runs(&path)),
            false if path.extension().is_some_and(|end| end == "run") => found.push(path),
            false => {}
        }
    }
    found
}

/// A byte of each file of the index in turn: the answers stay those of a scan, and the index gets whole again.
#[tokio::test(flavor = "multi_thread")]
async fn damage_is_named_answered_around_and_made_good() {
    let node = Node::new().await;
    for number in 0..20 {
        node.append(&format!("number {number}")).await;
    }
    let feeder = node.feeder();
    node.check(&feeder, 20).await;
    feeder.stop();
    drop(feeder);
    let mut caught = 0;
    for share in [0, 1, 2, 3, 5, 8, 13, 17, 18, 19] {
        let files = runs(node.folder.path());
        assert!(!files.is_empty(), "a stop flushes");
        for path in files {
            let mut octets = fs::read(&path).unwrap();
            let at = (octets.len() - 1) * share / 19;
            octets[at] ^= 0x55;
            fs::write(&path, octets).unwrap();
        }
        let indexes = Indexes::open(node.folder.path(), &node.solo.shards()).unwrap();
        let at_open = !indexes.damages().is_empty();
        let feeder = Feeder::start(indexes.clone(), node.solo.entries()).unwrap();
        // The first search may find it, and then the next one is whole.
        assert_eq!(node.verify(&feeder).differences, Vec::<String>::new());
        caught += usize::from(at_open || !indexes.damages().is_empty());
        node.check(&feeder, 20).await;
        feeder.stop();
    }
    assert!(caught > 0, "no damage was seen");
}

#[tokio::test(flavor = "multi_thread")]
async fn made_anew_while_mail_comes() {
    let node = Node::new().await;
    for number in 0..40 {
        node.append(&format!("number {number}")).await;
    }
    let feeder = node.feeder();
    node.check(&feeder, 40).await;
    let (shard, _) = node.home();
    assert!(feeder.rebuild(shard));
    assert!(!feeder.rebuild(ShardId(99)));
    for number in 40..60 {
        node.append(&format!("number {number}")).await;
    }
    node.check(&feeder, 60).await;
    feeder.stop();
    let generations = fs::read_dir(node.folder.path().join(format!("shard-{:04}", shard.0)));
    let names: Vec<String> = generations
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("gen-"))
        .collect();
    assert_eq!(names, ["gen-0002"], "the old one is gone");
}

/// Through the service: mailboxes, snippets of decoded text, labels; a message in two mailboxes is told once.
#[tokio::test(flavor = "multi_thread")]
async fn ranked() {
    let node = Node::new().await;
    for number in 0..5 {
        node.append(&format!("number {number}")).await;
    }
    let best = node.append("Übergrößen").await;
    let inbox = node.service.status(&node.who, &name("INBOX")).await;
    let inbox = inbox.unwrap().0.id;
    let (peer, uids) = (peer(), one(best));
    let archive = name("Archive");
    let copied = node.service.copy(&peer, &node.who, inbox, &uids, &archive);
    copied.await.unwrap();
    let ask = |text: &str, limit: usize| {
        let query = RankedQuery {
            text: text.to_owned(),
            limit,
            facets: true,
            ..RankedQuery::default()
        };
        node.service.rank(&node.who, None, query)
    };
    let found = ask("ubergrossen absent", 10).await.unwrap();
    assert_eq!((found.count, found.best.len()), (0, 0));
    let found = ask("übergrösen body", 10).await.unwrap();
    assert_eq!((found.count, found.faceted), (1, 1));
    let hit = &found.best[0];
    assert!(hit.score > 0.0 && hit.row.uid == best);
    let shown: Vec<&str> = hit
        .snippet
        .marks
        .iter()
        .map(|mark| &hit.snippet.text[mark.clone()])
        .collect();
    assert_eq!(hit.snippet.text, "The body says Übergrößen.");
    assert_eq!(shown, ["body", "Übergrößen"]);
    let mut mailboxes: Vec<&str> = found
        .facets
        .iter()
        .filter(|facet| facet.kind == FacetKind::Mailbox)
        .map(|facet| &facet.label[..])
        .collect();
    mailboxes.sort_unstable();
    assert_eq!(mailboxes, ["Archive", "INBOX"]);
    let found = ask("about", 2).await.unwrap();
    assert_eq!((found.count, found.best.len(), found.faceted), (6, 2, 6));
    assert!(matches!(ask("!", 2).await, Err(Refusal::Invalid(_))));
}
