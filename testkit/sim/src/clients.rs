//! Clients: each speaks to whichever node is up, as a gateway would, and keeps what it was told.

use crate::chance::{is_lucky, millis, pick};
use crate::mail::{marker_in, message};
use crate::run::{Access, Run};
use crate::world::{ACCOUNTS, Copy, MAILBOXES, Owned, value_of};
use bytes::Bytes;
use engine_service::{
    Delivery, FlagMode, Freshness, Mail, MessageRow, Opened, Peer, Principal, Refusal, Service,
};
use engine_types::{Flag, Flags, MailboxId, MailboxName, Uid, UidSet};
use raft_log::faulty_disk::Chance;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use tokio::time::sleep;

/// What a client needs to know of the cluster.
pub struct Known {
    pub principals: Vec<Principal>,
    /// By account and mailbox.
    pub mailboxes: Vec<Vec<MailboxId>>,
}

pub fn peer(client: usize) -> Peer {
    Peer {
        session: Arc::from(format!("sim-{client}")),
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        tls: None,
        protocol: "imap",
    }
}

pub fn names() -> [MailboxName; 3] {
    MAILBOXES.map(|name| MailboxName::new(name).unwrap_or_else(|_| MailboxName::inbox()))
}

pub struct Client {
    pub run: Arc<Run>,
    pub number: usize,
    pub chance: Chance,
    pub known: Arc<Known>,
    pub values: u32,
}

impl Client {
    pub async fn work(mut self) {
        let home = self.number % self.run.access.lock().len();
        while !self.run.is_over() {
            sleep(millis(&mut self.chance, 20, 140)).await;
            let at = match is_lucky(&mut self.chance, 80) {
                true => home,
                false => self.chance.below(self.run.access.lock().len() as u64) as usize,
            };
            let Some(access) = self.run.access(at) else {
                continue;
            };
            let mut alive = access.alive.clone();
            // A node that dies takes the answer with it: what it would have been stays open.
            tokio::select! {
                biased;
                _ = alive.wait_for(|alive| !alive) => {}
                () = self.one(at, &access) => {}
            }
            self.run.world.lock().operations += 1;
        }
    }

    async fn one(&mut self, at: usize, access: &Access) {
        match self.chance.below(100) {
            0..35 => self.deliver(at, access).await,
            35..55 => self.flag(access).await,
            55..63 => self.copy_or_move(access, true).await,
            63..68 => self.copy_or_move(access, false).await,
            68..75 => self.expunge(access).await,
            _ => self.read(at, access).await,
        }
    }

    async fn deliver(&mut self, at: usize, access: &Access) {
        let account = self.chance.below(ACCOUNTS.len() as u64) as usize;
        let marker = self.run.world.lock().new_marker(self.number, account);
        let outcome = deliver(&access.service, self.number, account, marker).await;
        let outcome_text = match &outcome {
            Ok((uid, receipt)) => format!("UID {uid} {receipt}"),
            Err(refusal) => refusal.to_string(),
        };
        self.run.note(&format!(
            "client {} delivers {marker} to {account} at {}: {outcome_text}",
            self.number,
            at + 1
        ));
        self.arrived(account, marker, outcome);
    }

    fn arrived(&self, account: usize, marker: u64, outcome: Result<(u32, String), Refusal>) {
        let validity = self.run.validity(account, 0);
        match outcome {
            Ok((uid, receipt)) => {
                self.run.check_acknowledged(&receipt);
                let mut world = self.run.world.lock();
                let arrived = vec![Copy {
                    mailbox: 0,
                    value: 0,
                }];
                world.settle(marker, arrived, Some(uid));
                if let Some(validity) = validity {
                    let id = self.known.mailboxes[account][0].0;
                    world.uid_is(account, (id, validity), uid, marker);
                }
            }
            Err(Refusal::OutcomeUnknown) => {}
            Err(_) => self.run.world.lock().settle(marker, Vec::new(), None),
        }
    }

    fn own(&mut self) -> Option<Owned> {
        let choice = self.chance.draw();
        self.run.world.lock().owned(self.number, choice)
    }

    async fn flag(&mut self, access: &Access) {
        let Some(Owned {
            number,
            account,
            uid,
            copy,
        }) = self.own()
        else {
            return;
        };
        self.values += 1;
        let after = Copy {
            value: self.values,
            ..copy
        };
        let mut flags = Flags::new();
        if let Ok(keyword) = Flag::parse(&format!("v{}", self.values)) {
            flags.insert(keyword);
        }
        self.run.world.lock().begin(number, vec![after]);
        let stored = access
            .service
            .store_flags(
                &peer(self.number),
                &self.known.principals[account],
                self.known.mailboxes[account][copy.mailbox],
                &one(uid),
                FlagMode::Replace,
                &flags,
                None,
            )
            .await;
        let text = match &stored {
            Ok(stored) => format!("changed {}", stored.changed),
            Err(refusal) => refusal.to_string(),
        };
        self.run.note(&format!(
            "client {} flags {number} v{}: {text}",
            self.number, self.values
        ));
        let mut world = self.run.world.lock();
        match stored {
            Ok(stored) if stored.changed.contains(Uid(uid)) => {
                world.settle(number, vec![after], Some(uid));
            }
            Ok(_) => world.breach(
                "lost",
                format!("message {number} was acknowledged, and STORE does not find it"),
            ),
            Err(Refusal::OutcomeUnknown) => {}
            Err(_) => world.settle(number, vec![copy], Some(uid)),
        }
    }

    async fn copy_or_move(&mut self, access: &Access, remove: bool) {
        let Some(Owned {
            number,
            account,
            uid,
            copy,
        }) = self.own()
        else {
            return;
        };
        let to = *pick(&mut self.chance, &[1, 2]);
        if to == copy.mailbox {
            return;
        }
        let there = Copy {
            mailbox: to,
            ..copy
        };
        let mut after = vec![there];
        if !remove {
            after.push(copy);
            after.sort_unstable();
        }
        self.run.world.lock().begin(number, after.clone());
        let who = &self.known.principals[account];
        let from = self.known.mailboxes[account][copy.mailbox];
        let name = &names()[to];
        let (service, peer) = (&access.service, peer(self.number));
        let done = match remove {
            true => {
                service
                    .move_messages(&peer, who, from, &one(uid), name)
                    .await
            }
            false => service.copy(&peer, who, from, &one(uid), name).await,
        };
        let text = match &done {
            Ok(done) => format!("{:?}", done.uids),
            Err(refusal) => refusal.to_string(),
        };
        self.run.note(&format!(
            "client {} {} {number} to {}: {text}",
            self.number,
            if remove { "moves" } else { "copies" },
            MAILBOXES[to]
        ));
        let mut world = self.run.world.lock();
        match done {
            Ok(done) => match done.uids.first() {
                Some((_, new)) => {
                    let place = (done.mailbox.0, done.uid_validity.0);
                    world.uid_is(account, place, new.0, number);
                    // Of two copies none is changed again.
                    world.settle(number, after, remove.then_some(new.0));
                }
                None => world.breach(
                    "lost",
                    format!("message {number} was acknowledged, and COPY does not find it"),
                ),
            },
            Err(Refusal::OutcomeUnknown) => {}
            Err(_) => world.settle(number, vec![copy], Some(uid)),
        }
    }

    /// `\Deleted` first: its own change, which takes the register with it.
    async fn expunge(&mut self, access: &Access) {
        let Some(Owned {
            number,
            account,
            uid,
            copy,
        }) = self.own()
        else {
            return;
        };
        let who = &self.known.principals[account];
        let mailbox = self.known.mailboxes[account][copy.mailbox];
        let mut flags = Flags::new();
        if let Ok(deleted) = Flag::parse("\\Deleted") {
            flags.insert(deleted);
        }
        self.run.world.lock().begin(number, vec![copy]);
        let peer = peer(self.number);
        let (service, uids) = (&access.service, one(uid));
        let stored = service
            .store_flags(&peer, who, mailbox, &uids, FlagMode::Add, &flags, None)
            .await;
        if stored.is_err() {
            // Nothing that is compared has changed, but nobody touches it again.
            return;
        }
        self.run.world.lock().begin(number, Vec::new());
        let gone = service.expunge(&peer, who, mailbox, Some(&uids)).await;
        let gone = gone.map(|gone| gone.uids);
        let text = match &gone {
            Ok(gone) => format!("gone {gone}"),
            Err(refusal) => refusal.to_string(),
        };
        self.run
            .note(&format!("client {} expunges {number}: {text}", self.number));
        let mut world = self.run.world.lock();
        match gone {
            Ok(gone) if gone.contains(Uid(uid)) => world.settle(number, Vec::new(), None),
            Ok(_) => world.breach(
                "lost",
                format!("message {number} was acknowledged, and EXPUNGE does not find it"),
            ),
            Err(Refusal::OutcomeUnknown) => {}
            Err(_) => world.settle(number, vec![copy], None),
        }
    }

    async fn read(&mut self, at: usize, access: &Access) {
        let account = self.chance.below(ACCOUNTS.len() as u64) as usize;
        let mailbox = self.chance.below(MAILBOXES.len() as u64) as usize;
        let before = self.run.world.lock().before_read(account);
        let who = &self.known.principals[account];
        let opened = access.service.open_mailbox(who, &names()[mailbox]).await;
        let Ok(opened) = opened else {
            return;
        };
        let id = opened.status.id;
        let seen = look(&self.run, &access.service, account, who, id, &opened).await;
        let is_current = opened.freshness == Freshness::Current;
        self.run.note(&format!(
            "client {} reads {} of {account} at {}: {} messages, current: {is_current}",
            self.number,
            MAILBOXES[mailbox],
            at + 1,
            opened.uids.len()
        ));
        let Some(seen) = seen else {
            return;
        };
        let mut world = self.run.world.lock();
        let mod_seq = opened.status.highest_mod_seq.0;
        if is_current {
            let what = format!("client {} at node {}", self.number, at + 1);
            world.after_read(account, mailbox, &before, &seen, &what);
            world.mod_seq_shown(self.number, account, mailbox, mod_seq);
        }
    }
}

fn one(uid: u32) -> UidSet {
    UidSet::from_ranges([(Uid(uid), Uid(uid))])
}

/// The answer's UID and receipt.
pub async fn deliver(
    service: &Service,
    client: usize,
    account: usize,
    marker: u64,
) -> Result<(u32, String), Refusal> {
    let address = ACCOUNTS[account];
    let recipient = service.resolve_recipient(address).await;
    let recipient = recipient.map_err(|_| Refusal::Unavailable("the recipient"))?;
    let message = message(marker);
    let delivery = Delivery {
        sender: "sender@example.net".to_owned(),
        recipients: vec![recipient],
        message: Bytes::from(message),
        helo: "mx.example.net".to_owned(),
        with: "LMTP",
    };
    let mut delivered = service.deliver(&peer(client), delivery).await;
    let answer = delivered.pop().and_then(|mut targets| targets.pop());
    let appended = answer.unwrap_or(Err(Refusal::OutcomeUnknown))?;
    Ok((appended.uid.0, appended.receipt.id))
}

/// Markers and registers of all messages that the opened mailbox had, as far as they are still there; `None`: some of
/// them could not be read now.
pub async fn look(
    run: &Run,
    service: &Service,
    account: usize,
    who: &Principal,
    id: MailboxId,
    opened: &Opened,
) -> Option<Vec<(u64, u32)>> {
    let rows = service.messages(who, id, &UidSet::all()).ok()?;
    let rows: BTreeMap<Uid, MessageRow> = rows.into_iter().map(|row| (row.uid, row)).collect();
    let mut seen = Vec::new();
    for uid in &opened.uids {
        // Gone since: its owner has begun to expunge it, and it is not compared.
        let Some(row) = rows.get(uid) else {
            continue;
        };
        let known = run.world.lock().marker_of(account, row.email.0);
        let marker = match known {
            Some(marker) => marker,
            None => {
                let content = match service.content(&row.body).await {
                    Ok(content) => content,
                    // Its disk is failing, or the node has just died: nothing is said of the message.
                    Err(Refusal::Unavailable(_)) => return None,
                    Err(refusal) => {
                        let text = format!("{}: UID {}: {refusal}", ACCOUNTS[account], uid.0);
                        run.world.lock().breach("lost", text);
                        return None;
                    }
                };
                let marker = marker_in(&content.message.to_bytes())?;
                run.world.lock().learn_body(account, row.email.0, marker);
                marker
            }
        };
        let place = (id.0, opened.status.uid_validity.0);
        run.world.lock().uid_is(account, place, uid.0, marker);
        seen.push((marker, value_of(row)));
    }
    Some(seen)
}
