//! Search over text: UIDs to messages, the question to the finder, messages back to UIDs.

use crate::emails::{Emails, Which};
use crate::service::{Home, rows_failed};
use crate::{BodyHandle, Content, Contents, Principal, Refusal, Service, TextQuery, TooMuch, body};
use engine_domain::read;
use engine_replica::View;
use engine_types::{AccountId, EmailId, MailboxId, Uid, UidSet};
use raft_api::{LogIndex, ShardId};
use std::collections::HashMap;
use std::sync::Arc;

impl Service {
    /// Where the principal's account lives, and the last entry whose effects a read on this node shows now.
    pub fn position(&self, who: &Principal) -> Option<(ShardId, AccountId, LogIndex)> {
        let Home { shard, account, .. } = self.home(who).ok()?;
        let position = self.parts.shards.get(&shard)?.digest().position?;
        Some((shard, account, position.index))
    }

    pub(crate) async fn find_in_mailbox(
        &self,
        who: &Principal,
        mailbox: MailboxId,
        query: TextQuery,
        uids: Vec<Uid>,
    ) -> Result<Vec<Uid>, Refusal> {
        let Home { shard, account, .. } = self.home(who)?;
        let this = self
            .this
            .upgrade()
            .ok_or(Refusal::Unavailable("the node stops"))?;
        let view = self.view(shard)?;
        let which = Which {
            shard,
            account,
            mailbox,
        };
        let looking = tokio::task::spawn_blocking(move || {
            let emails = this.emails.get(&view, which).map_err(rows_failed)?;
            let emails = emails.ok_or(Refusal::NoSuchMailbox)?;
            let asked = emails.of(&uids);
            let mut ids: Vec<EmailId> = asked.iter().map(|(_, id)| *id).collect();
            ids.sort_unstable();
            ids.dedup();
            let contents = InMailbox::new(&this, view, which, &emails);
            let found = this
                .parts
                .finder
                .find(shard, account, &query, &ids, &contents);
            let found = found.map_err(|TooMuch(text)| Refusal::Invalid(text))?;
            let is_found = |(_, id): &(Uid, EmailId)| found.emails.binary_search(id).is_ok();
            Ok(asked
                .into_iter()
                .filter(is_found)
                .map(|(uid, _)| uid)
                .collect())
        });
        looking
            .await
            .map_err(|_| Refusal::Unavailable("the messages could not be searched"))?
    }
}

/// What the index does not hold, by the mailbox's rows.
struct InMailbox<'a> {
    service: &'a Arc<Service>,
    view: View,
    which: Which,
    emails: &'a Emails,
    /// Made when the first message is asked for.
    uids: std::sync::OnceLock<HashMap<EmailId, Uid>>,
}

impl<'a> InMailbox<'a> {
    fn new(
        service: &'a Arc<Service>,
        view: View,
        which: Which,
        emails: &'a Emails,
    ) -> InMailbox<'a> {
        InMailbox {
            service,
            view,
            which,
            emails,
            uids: std::sync::OnceLock::new(),
        }
    }
}

impl Contents for InMailbox<'_> {
    fn content(&self, email: EmailId) -> Option<Content> {
        let uids = self
            .uids
            .get_or_init(|| self.emails.iter().map(|(uid, id)| (id, uid)).collect());
        let uid = *uids.get(&email)?;
        let one = UidSet::from_ranges(vec![(uid, uid)]);
        let Which {
            shard,
            account,
            mailbox,
        } = self.which;
        let rows = read::messages(&self.view, shard.0, account, mailbox, &one, 1).ok()?;
        let handle = BodyHandle::of(shard, &rows.first()?.1);
        body::read(self.service.parts.entries.as_ref(), &handle).ok()
    }
}
