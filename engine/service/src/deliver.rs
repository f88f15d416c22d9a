//! Mail in: a delivery to its recipients' shards, and APPEND. The bytes are stored once per shard.

use crate::body::Body;
use crate::limits::{INLINE_BYTES_MAX, RECIPIENTS_PER_COMMAND_MAX, TRACES_BYTES_MAX};
use crate::outcome::{Submitted, mismatch};
use crate::service::rows_failed;
use crate::trace::{TraceHead, trace};
use crate::{
    AppendRequest, AppendedTo, Delivered, Delivery, Peer, Principal, Recipient, Refusal, Service,
    Target,
};
use bytes::Bytes;
use engine_domain::read;
use engine_events::{Event, Kind, MessageAppended, OutcomeKind, flags_into};
use engine_types::limits::KEYWORDS_PER_MESSAGE_MAX;
use engine_types::{AccountId, MailboxId, MailboxName, Uid, UidValidity};
use futures_util::future::join_all;
use raft_api::ShardId;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A target's place in the answer, and its trace.
struct Stop<'a> {
    position: Position,
    target: &'a Target,
    trace: Bytes,
    /// `MessageAppended::once`.
    once: Bytes,
}

#[derive(Clone, Copy)]
struct Position {
    recipient: usize,
    target: usize,
}

type Answer = (Position, Result<AppendedTo, Refusal>);

impl Service {
    pub(crate) async fn deliver_to_all(&self, peer: &Peer, delivery: Delivery) -> Vec<Delivered> {
        if let Err(refusal) = self.check_message(&delivery.message) {
            return for_all(&delivery, &refusal);
        }
        let body = match pack(delivery.message.clone()).await {
            Ok(body) => body,
            Err(refusal) => return for_all(&delivery, &refusal),
        };
        // For whom nothing below finds an answer.
        let mut answers = for_all(&delivery, &Refusal::AccountUnavailable);
        // Stands in the Received line, and on every line of the log about this delivery.
        let id = self.next_command().to_string();
        let digest = match digest_for_lists(&delivery).await {
            Ok(digest) => digest,
            Err(refusal) => return for_all(&delivery, &refusal),
        };
        let (by_shard, lost) = self.stops(peer, &delivery, &id, &digest);
        let shards = by_shard
            .into_iter()
            .map(|(shard, stops)| self.deliver_in(peer, shard, &body, stops));
        let found = join_all(shards).await;
        for (at, answer) in found.into_iter().flatten().chain(lost) {
            answers[at.recipient][at.target] = answer;
        }
        log_delivery(peer, &id, &body, &delivery, &answers);
        answers
    }

    /// Where the message has to go, by shard, and what has no place to go to.
    fn stops<'a>(
        &self,
        peer: &Peer,
        delivery: &'a Delivery,
        id: &str,
        digest: &[u8],
    ) -> (BTreeMap<ShardId, Vec<Stop<'a>>>, Vec<Answer>) {
        let head = TraceHead {
            sender: &delivery.sender,
            helo: &delivery.helo,
            peer: peer.address,
            hostname: &self.parts.hostname,
            with: delivery.with,
            id,
            at: self.now(),
        };
        let mut by_shard: BTreeMap<ShardId, Vec<Stop<'_>>> = BTreeMap::new();
        let mut lost = Vec::new();
        for (number, recipient) in delivery.recipients.iter().enumerate() {
            let trace = trace(&head, &recipient.as_given);
            // One target is answered for by its own reply; several share one, and its sender may try again for the
            // sake of one of them.
            let once = |target: &Target| match recipient.targets.len() {
                1 => Bytes::new(),
                _ => delivery_name(delivery, recipient, target, digest),
            };
            for (target_number, target) in recipient.targets.iter().enumerate() {
                let position = Position {
                    recipient: number,
                    target: target_number,
                };
                match self.shard_of(target.account) {
                    Ok(shard) => by_shard.entry(shard).or_default().push(Stop {
                        position,
                        target,
                        trace: trace.clone(),
                        once: once(target),
                    }),
                    Err(refusal) => lost.push((position, Err(refusal))),
                }
            }
        }
        (by_shard, lost)
    }

    fn shard_of(&self, account: AccountId) -> Result<ShardId, Refusal> {
        read::directory_account(&self.control()?, account)
            .map_err(rows_failed)?
            .map(|row| ShardId(row.shard))
            .ok_or(Refusal::NoSuchAddress)
    }

    /// All targets of one shard: the chunks once, then one command, or more where the traces do not fit in one.
    async fn deliver_in(
        &self,
        peer: &Peer,
        shard: ShardId,
        body: &Body,
        stops: Vec<Stop<'_>>,
    ) -> Vec<Answer> {
        let chunks = match self.store_chunks(shard, AccountId(0), peer, body).await {
            Ok(chunks) => chunks,
            Err(refusal) => {
                return stops
                    .iter()
                    .map(|stop| (stop.position, Err(refusal.clone())))
                    .collect();
            }
        };
        let mut answers = Vec::with_capacity(stops.len());
        for group in in_commands(stops) {
            let mut events = vec![body.stored(chunks.clone())];
            events.extend(group.iter().map(|stop| arrival(stop, body)));
            let submitted = self
                .submit(shard, AccountId(0), &peer.session, events)
                .await;
            answers.extend(group.iter().enumerate().map(|(at, stop)| {
                let answer = submitted
                    .as_ref()
                    .map_err(Clone::clone)
                    .and_then(|submitted| self.appended(shard, submitted, at + 1));
                (stop.position, answer)
            }));
        }
        answers
    }

    /// Each chunk is an entry of its own, ahead of the one that names them. A chunk that no body names is garbage for
    /// the journal, so an unknown outcome of a chunk is a true refusal of the message.
    async fn store_chunks(
        &self,
        shard: ShardId,
        actor: AccountId,
        peer: &Peer,
        body: &Body,
    ) -> Result<Vec<u64>, Refusal> {
        let mut chunks = Vec::with_capacity(body.chunk_count());
        for number in 0..body.chunk_count() {
            let events = vec![body.chunk(number)];
            let submitted = self
                .submit_as(self.next_command(), shard, actor, &peer.session, events)
                .await
                .and_then(|submitted| submitted.done(1).map(|()| submitted))
                .map_err(|refusal| match refusal {
                    Refusal::OutcomeUnknown => {
                        Refusal::Unavailable("a part of the message was not confirmed")
                    }
                    other => other,
                })?;
            chunks.push(submitted.log_id.index.0);
        }
        Ok(chunks)
    }

    pub(crate) async fn append_one(
        &self,
        peer: &Peer,
        who: &Principal,
        request: AppendRequest,
    ) -> Result<AppendedTo, Refusal> {
        self.check_message(&request.message)?;
        if request.flags.keywords().len() > KEYWORDS_PER_MESSAGE_MAX {
            return Err(Refusal::Limit("keywords on one message"));
        }
        let home = self.home(who)?;
        let view = self.view(home.shard)?;
        let known = read::mailbox_by_name(&view, home.shard.0, home.account, &request.mailbox)
            .map_err(rows_failed)?;
        drop(view);
        // Spares the bytes; the fold decides. A mailbox that this node does not show yet may be new on another node.
        if known.is_none() {
            self.refresh(home.shard).await?;
            let view = self.view(home.shard)?;
            read::mailbox_by_name(&view, home.shard.0, home.account, &request.mailbox)
                .map_err(rows_failed)?
                .ok_or(Refusal::NoSuchMailbox)?;
        }
        let body = pack(request.message.clone()).await?;
        let chunks = self
            .store_chunks(home.shard, home.account, peer, &body)
            .await?;
        let (internal_date, internal_date_zone) = match request.internal_date {
            Some((at, zone)) => (i64::try_from(at.0).unwrap_or(i64::MAX), zone),
            None => (0, 0),
        };
        let message = MessageAppended {
            mailbox: request.mailbox.as_str().to_owned(),
            or_inbox: false,
            body: 0,
            trace: Bytes::new(),
            internal_date,
            flags: Some(flags_into(&request.flags)),
            uid: request.uid.map_or(0, |uid| uid.0),
            thread_keys: body.thread_keys.clone(),
            check_quota: request.check_quota,
            internal_date_zone,
            once: Bytes::new(),
        };
        let event = Event::new(home.account, home.epoch, Kind::MessageAppended(message));
        let events = vec![body.stored(chunks), event];
        let submitted = self
            .submit(home.shard, home.account, &peer.session, events)
            .await?;
        self.appended(home.shard, &submitted, 1)
    }

    fn appended(
        &self,
        shard: ShardId,
        submitted: &Submitted,
        ordinal: usize,
    ) -> Result<AppendedTo, Refusal> {
        submitted.event(0)?;
        let OutcomeKind::Appended(appended) = submitted.event(ordinal)? else {
            return mismatch();
        };
        Ok(AppendedTo {
            mailbox: MailboxId(appended.mailbox),
            mailbox_name: MailboxName::new(&appended.mailbox_name)
                .map_err(|_| Refusal::OutcomeUnknown)?,
            uid_validity: UidValidity(appended.uid_validity),
            uid: Uid(appended.uid),
            receipt: self.receipt(shard, submitted),
        })
    }
}

/// Parses and hashes, off the async threads where that takes long.
async fn pack(message: Bytes) -> Result<Arc<Body>, Refusal> {
    if message.len() as u64 <= INLINE_BYTES_MAX {
        return Ok(Arc::new(Body::new(message)));
    }
    tokio::task::spawn_blocking(move || Arc::new(Body::new(message)))
        .await
        .map_err(|_| Refusal::Unavailable("the message could not be prepared"))
}

fn arrival(stop: &Stop<'_>, body: &Body) -> Event {
    let message = MessageAppended {
        mailbox: stop.target.folder.as_str().to_owned(),
        or_inbox: true,
        body: 0,
        trace: stop.trace.clone(),
        internal_date: 0,
        flags: None,
        uid: 0,
        thread_keys: body.thread_keys.clone(),
        check_quota: true,
        internal_date_zone: 0,
        once: stop.once.clone(),
    };
    Event::new(
        stop.target.account,
        stop.target.epoch,
        Kind::MessageAppended(message),
    )
}

/// Splits so that no command breaks a bound of `limits.rs`.
fn in_commands(stops: Vec<Stop<'_>>) -> Vec<Vec<Stop<'_>>> {
    let mut commands: Vec<Vec<Stop<'_>>> = Vec::new();
    let mut octets = 0;
    for stop in stops {
        let fits = octets + stop.trace.len() <= TRACES_BYTES_MAX
            && commands
                .last()
                .is_some_and(|command| command.len() < RECIPIENTS_PER_COMMAND_MAX);
        if !fits {
            commands.push(Vec::new());
            octets = 0;
        }
        octets += stop.trace.len();
        if let Some(command) = commands.last_mut() {
            command.push(stop);
        }
    }
    commands
}

fn for_all(delivery: &Delivery, refusal: &Refusal) -> Vec<Delivered> {
    let of_one = |recipient: &Recipient| vec![Err(refusal.clone()); recipient.targets.len()];
    delivery.recipients.iter().map(of_one).collect()
}

/// Of the message, where a recipient has several targets; otherwise empty, for nothing asks for it.
async fn digest_for_lists(delivery: &Delivery) -> Result<Vec<u8>, Refusal> {
    if delivery.recipients.iter().all(|to| to.targets.len() == 1) {
        return Ok(Vec::new());
    }
    let message = delivery.message.clone();
    if message.len() as u64 <= INLINE_BYTES_MAX {
        return Ok(Sha256::digest(&message).to_vec());
    }
    tokio::task::spawn_blocking(move || Sha256::digest(&message).to_vec())
        .await
        .map_err(|_| Refusal::Unavailable("the message could not be prepared"))
}

/// 16 octets of what a sender's second try has in common with its first: who sends what to which address, and for whom.
/// SHA-256, since a name that somebody else could find would make a message vanish.
fn delivery_name(
    delivery: &Delivery,
    recipient: &Recipient,
    target: &Target,
    digest: &[u8],
) -> Bytes {
    let mut name = Sha256::new();
    for part in [delivery.sender.as_bytes(), recipient.as_given.as_bytes()] {
        name.update((part.len() as u64).to_be_bytes());
        name.update(part);
    }
    name.update(digest);
    name.update(target.account.0.to_be_bytes());
    Bytes::copy_from_slice(&name.finalize()[..16])
}

/// At DEBUG, with the id of the Received line; the gateway writes the line that operators read.
fn log_delivery(peer: &Peer, id: &str, body: &Body, delivery: &Delivery, answers: &[Delivered]) {
    let session = &peer.session;
    for (recipient, results) in delivery.recipients.iter().zip(answers) {
        for (target, result) in recipient.targets.iter().zip(results) {
            let receipt = result.as_ref().map_or("", |to| to.receipt.id.as_str());
            let refusal = result.as_ref().err().map(ToString::to_string);
            tracing::debug!(
                event = "delivery", %session, id, receipt, message_id = ?body.message_id, account = %target.name, refusal
            );
        }
    }
}
