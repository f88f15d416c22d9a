//! `Mail`: each request to the file that does it; changes to existing messages and mailboxes are done here.

use crate::limits::INLINE_BYTES_MAX;
use crate::outcome::mismatch;
use crate::service::{Home, rows_failed};
use crate::{
    AppendRequest, AppendedTo, BodyHandle, Changes, Content, CopiedTo, Delivered, Delivery,
    Expunged, FlagMode, Freshness, LoginError, Mail, MailboxEntry, MailboxStatus, MessageRow,
    Opened, Peer, Principal, RankedQuery, Ranking, Receipt, Recipient, RecipientError, Refusal,
    Service, Stored, TextQuery, body,
};
use async_trait::async_trait;
use engine_domain::{log_time, read};
use engine_events as ev;
use engine_events::{Event, Kind, OutcomeKind};
use engine_types::limits::KEYWORDS_PER_MESSAGE_MAX;
use engine_types::{
    Flags, MailboxId, MailboxName, ModSeq, SpecialUse, Uid, UidSet, UidValidity, UnixMillis,
};
use std::sync::Arc;
use tokio::sync::watch;

impl Service {
    /// Submits one event on the principal's own account and returns what became of it.
    async fn change(
        &self,
        peer: &Peer,
        who: &Principal,
        kind: Kind,
    ) -> Result<(OutcomeKind, Receipt), Refusal> {
        let Home {
            shard,
            account,
            epoch,
        } = self.home(who)?;
        let limit = limit_of(&kind);
        let events = vec![Event::new(account, epoch, kind)];
        let submitted = self.submit(shard, account, &peer.session, events).await?;
        let outcome = submitted.event(0).cloned().map_err(|refusal| match limit {
            Some(limit) if matches!(refusal, Refusal::Limit(_)) => Refusal::Limit(limit),
            _ => refusal,
        })?;
        Ok((outcome, self.receipt(shard, &submitted)))
    }

    async fn copy_or_move(
        &self,
        peer: &Peer,
        who: &Principal,
        event: ev::MessagesCopied,
    ) -> Result<CopiedTo, Refusal> {
        let kind = Kind::MessagesCopied(event);
        let (OutcomeKind::Copied(copied), receipt) = self.change(peer, who, kind).await? else {
            return mismatch();
        };
        let from = uids(copied.from.as_ref());
        let to = uids(copied.to.as_ref());
        if from.count() != to.count() {
            return mismatch();
        }
        Ok(CopiedTo {
            mailbox: MailboxId(copied.mailbox),
            uid_validity: UidValidity(copied.uid_validity),
            uids: from.iter().zip(to.iter()).collect::<Vec<(Uid, Uid)>>(),
            receipt,
        })
    }
}

fn uids(ranges: Option<&ev::UidRanges>) -> UidSet {
    ranges.map(ev::ranges_from).unwrap_or_default()
}

/// The one bound that the fold may find an event of this kind to break, where there is only one.
fn limit_of(kind: &Kind) -> Option<&'static str> {
    match kind {
        Kind::FlagsChanged(_) => Some("keywords on one message"),
        Kind::MailboxRenamed(_) => Some("mailboxes of one account"),
        Kind::MailboxCreated(_) => Some("mailboxes or subscriptions of one account"),
        Kind::SubscriptionSet(_) => Some("subscriptions of one account"),
        _ => None,
    }
}

#[async_trait]
impl Mail for Service {
    async fn login(
        &self,
        peer: &Peer,
        name: &str,
        password: &str,
    ) -> Result<Principal, LoginError> {
        self.check_login(peer, name, password, None).await
    }

    async fn login_as(
        &self,
        peer: &Peer,
        authzid: &str,
        authcid: &str,
        password: &str,
    ) -> Result<Principal, LoginError> {
        // RFC 4616 §2: an empty authzid means the authcid's own identity.
        let acts_for = Some(authzid).filter(|authzid| !authzid.is_empty());
        self.check_login(peer, authcid, password, acts_for).await
    }

    async fn resolve_recipient(&self, address: &str) -> Result<Recipient, RecipientError> {
        self.current_recipient(address).await
    }

    async fn deliver(&self, peer: &Peer, delivery: Delivery) -> Vec<Delivered> {
        self.deliver_to_all(peer, delivery).await
    }

    async fn append(
        &self,
        peer: &Peer,
        who: &Principal,
        request: AppendRequest,
    ) -> Result<AppendedTo, Refusal> {
        self.append_one(peer, who, request).await
    }

    fn now(&self) -> UnixMillis {
        Service::now(self)
    }

    fn message_bytes_max(&self) -> u64 {
        // What the chunks of one body can hold is above every sensible configuration, but it is a bound.
        let held = ev::limits::CHUNKS_PER_BODY_MAX * ev::limits::BODY_CHUNK_BYTES;
        self.parts.message_bytes_max.min(held as u64)
    }

    async fn mailboxes(&self, who: &Principal) -> Result<Vec<MailboxEntry>, Refusal> {
        self.list(who)
    }

    async fn create_mailbox(
        &self,
        peer: &Peer,
        who: &Principal,
        name: &MailboxName,
        special_use: Option<SpecialUse>,
    ) -> Result<(MailboxId, Receipt), Refusal> {
        let kind = Kind::MailboxCreated(ev::MailboxCreated {
            name: name.as_str().to_owned(),
            special_use: special_use.map_or(0, |special_use| special_use as u32),
            uid_validity: 0,
            subscribed: false,
        });
        match self.change(peer, who, kind).await? {
            (OutcomeKind::Mailbox(made), receipt) => Ok((MailboxId(made.mailbox), receipt)),
            _ => mismatch(),
        }
    }

    async fn delete_mailbox(
        &self,
        peer: &Peer,
        who: &Principal,
        name: &MailboxName,
    ) -> Result<Receipt, Refusal> {
        let kind = Kind::MailboxDeleted(ev::MailboxDeleted {
            name: name.as_str().to_owned(),
        });
        let (_, receipt) = self.change(peer, who, kind).await?;
        tracing::debug!(event = "mailbox_deleted", session = %peer.session, user = %who.name, mailbox = ?name.as_str());
        Ok(receipt)
    }

    async fn rename_mailbox(
        &self,
        peer: &Peer,
        who: &Principal,
        from: &MailboxName,
        to: &MailboxName,
    ) -> Result<Receipt, Refusal> {
        let kind = Kind::MailboxRenamed(ev::MailboxRenamed {
            from: from.as_str().to_owned(),
            to: to.as_str().to_owned(),
        });
        Ok(self.change(peer, who, kind).await?.1)
    }

    async fn subscribe(
        &self,
        peer: &Peer,
        who: &Principal,
        name: &MailboxName,
        subscribed: bool,
    ) -> Result<Receipt, Refusal> {
        let kind = Kind::SubscriptionSet(ev::SubscriptionSet {
            name: name.as_str().to_owned(),
            subscribed,
        });
        Ok(self.change(peer, who, kind).await?.1)
    }

    async fn status(
        &self,
        who: &Principal,
        name: &MailboxName,
    ) -> Result<(MailboxStatus, Freshness), Refusal> {
        let freshness = self.refresh(self.home(who)?.shard).await?;
        Ok((self.status_now(who, name)?, freshness))
    }

    async fn open_mailbox(&self, who: &Principal, name: &MailboxName) -> Result<Opened, Refusal> {
        let freshness = self.refresh(self.home(who)?.shard).await?;
        self.opened_now(who, name, freshness)
    }

    async fn catch_up(&self, who: &Principal) -> Freshness {
        let Ok(home) = self.home(who) else {
            return Freshness::Stale {
                as_of: UnixMillis(0),
            };
        };
        match self.refresh(home.shard).await {
            Ok(freshness) => freshness,
            Err(_) => Freshness::Stale {
                as_of: self
                    .view(home.shard)
                    .and_then(|view| log_time(&view, home.shard.0).map_err(rows_failed))
                    .unwrap_or(UnixMillis(0)),
            },
        }
    }

    async fn quota(&self, who: &Principal) -> Result<(u64, Option<u64>), Refusal> {
        self.read(who, |rows, home| {
            read::account(rows, home.shard.0, home.account)
        })?
        .map(|row| {
            (
                row.used_bytes,
                (row.quota_bytes > 0).then_some(row.quota_bytes),
            )
        })
        .ok_or(Refusal::AccountUnavailable)
    }

    fn messages(
        &self,
        who: &Principal,
        mailbox: MailboxId,
        uids: &UidSet,
    ) -> Result<Vec<MessageRow>, Refusal> {
        self.page(who, mailbox, uids)
    }

    fn changes(
        &self,
        who: &Principal,
        mailbox: MailboxId,
        since: ModSeq,
    ) -> Result<Changes, Refusal> {
        self.changes_since(who, mailbox, since)
    }

    async fn content(&self, handle: &BodyHandle) -> Result<Content, Refusal> {
        let entries = Arc::clone(&self.parts.entries);
        if handle.size <= INLINE_BYTES_MAX {
            return body::read(entries.as_ref(), handle);
        }
        let handle = handle.clone();
        tokio::task::spawn_blocking(move || body::read(entries.as_ref(), &handle))
            .await
            .map_err(|_| Refusal::Unavailable("the message could not be read"))?
    }

    async fn find_text(
        &self,
        who: &Principal,
        mailbox: MailboxId,
        query: TextQuery,
        uids: Vec<Uid>,
    ) -> Result<Vec<Uid>, Refusal> {
        self.find_in_mailbox(who, mailbox, query, uids).await
    }

    async fn rank(
        &self,
        who: &Principal,
        mailbox: Option<MailboxId>,
        query: RankedQuery,
    ) -> Result<Ranking, Refusal> {
        self.rank_in_account(who, mailbox, query).await
    }

    fn watch(&self, who: &Principal) -> watch::Receiver<ModSeq> {
        self.watch_account(who)
    }

    async fn store_flags(
        &self,
        peer: &Peer,
        who: &Principal,
        mailbox: MailboxId,
        uids: &UidSet,
        mode: FlagMode,
        flags: &Flags,
        unchanged_since: Option<ModSeq>,
    ) -> Result<Stored, Refusal> {
        if flags.keywords().len() > KEYWORDS_PER_MESSAGE_MAX {
            return Err(Refusal::Limit("keywords on one message"));
        }
        let mode = match mode {
            FlagMode::Replace => ev::FlagMode::Replace,
            FlagMode::Add => ev::FlagMode::Add,
            FlagMode::Remove => ev::FlagMode::Remove,
        };
        let kind = Kind::FlagsChanged(ev::FlagsChanged {
            mailbox: mailbox.0,
            uids: Some(ev::ranges_into(uids)),
            mode: mode as i32,
            flags: Some(ev::flags_into(flags)),
            unchanged_since: unchanged_since.map(|since| since.0),
        });
        let (OutcomeKind::Flags(stored), receipt) = self.change(peer, who, kind).await? else {
            return mismatch();
        };
        Ok(Stored {
            changed: self::uids(stored.changed.as_ref()),
            modified: self::uids(stored.modified.as_ref()),
            mod_seq: (stored.mod_seq > 0).then_some(ModSeq(stored.mod_seq)),
            receipt,
        })
    }

    async fn copy(
        &self,
        peer: &Peer,
        who: &Principal,
        from: MailboxId,
        uids: &UidSet,
        to: &MailboxName,
    ) -> Result<CopiedTo, Refusal> {
        let event = ev::MessagesCopied {
            from: from.0,
            uids: Some(ev::ranges_into(uids)),
            to: to.as_str().to_owned(),
            remove: false,
        };
        self.copy_or_move(peer, who, event).await
    }

    async fn move_messages(
        &self,
        peer: &Peer,
        who: &Principal,
        from: MailboxId,
        uids: &UidSet,
        to: &MailboxName,
    ) -> Result<CopiedTo, Refusal> {
        let event = ev::MessagesCopied {
            from: from.0,
            uids: Some(ev::ranges_into(uids)),
            to: to.as_str().to_owned(),
            remove: true,
        };
        self.copy_or_move(peer, who, event).await
    }

    async fn expunge(
        &self,
        peer: &Peer,
        who: &Principal,
        mailbox: MailboxId,
        uids: Option<&UidSet>,
    ) -> Result<Expunged, Refusal> {
        let every = UidSet::all();
        let kind = Kind::MessagesExpunged(ev::MessagesExpunged {
            mailbox: mailbox.0,
            uids: Some(ev::ranges_into(uids.unwrap_or(&every))),
            only_deleted: true,
        });
        let (OutcomeKind::Expunged(expunged), receipt) = self.change(peer, who, kind).await? else {
            return mismatch();
        };
        let gone = self::uids(expunged.uids.as_ref());
        if !gone.is_empty() {
            tracing::debug!(
                event = "expunged", session = %peer.session, user = %who.name, mailbox = mailbox.0, count = gone.count()
            );
        }
        Ok(Expunged {
            uids: gone,
            receipt,
        })
    }
}
