//! Ranked search: the messages of an account's mailboxes to the finder, its answer back to mailboxes and rows.

use crate::emails::Which;
use crate::rows::message;
use crate::service::{Home, rows_failed};
use crate::{
    BodyHandle, BodyPart, Content, Contents, FacetKind, MessageRow, PartKind, Principal,
    RankedMessage, RankedQuery, Ranking, Refusal, Service, TooMuch, body, date,
};
use engine_domain::{Rows, read};
use engine_replica::View;
use engine_types::{AccountId, EmailId, MailboxId, MailboxName, Uid, UidSet, UnixMillis};
use raft_api::ShardId;
use std::sync::Arc;

impl Service {
    pub(crate) async fn rank_in_account(
        &self,
        who: &Principal,
        mailbox: Option<MailboxId>,
        query: RankedQuery,
    ) -> Result<Ranking, Refusal> {
        let Home { shard, account, .. } = self.home(who)?;
        let this = self
            .this
            .upgrade()
            .ok_or(Refusal::Unavailable("the node stops"))?;
        let view = self.view(shard)?;
        let looking = tokio::task::spawn_blocking(move || {
            let places = Places::new(this, view, shard, account, mailbox)?;
            places.rank(&query)
        });
        looking
            .await
            .map_err(|_| Refusal::Unavailable("the messages could not be searched"))?
    }
}

struct Place {
    email: EmailId,
    /// By number.
    mailbox: usize,
    uid: Uid,
}

/// Where the messages are, at one moment.
struct Places {
    service: Arc<Service>,
    view: View,
    shard: ShardId,
    account: AccountId,
    mailboxes: Vec<(MailboxId, MailboxName)>,
    /// Ascending by message: one that is in several mailboxes stands here several times, INBOX first.
    places: Vec<Place>,
}

impl Places {
    fn new(
        service: Arc<Service>,
        view: View,
        shard: ShardId,
        account: AccountId,
        only: Option<MailboxId>,
    ) -> Result<Self, Refusal> {
        let rows = read::mailboxes(&view, shard.0, account).map_err(rows_failed)?;
        let wanted = rows
            .into_iter()
            .filter(|row| only.is_none_or(|only| only == row.id));
        let mut mailboxes: Vec<_> = wanted.map(|row| (row.id, row.name)).collect();
        mailboxes.sort_unstable_by_key(|(id, name)| (!name.is_inbox(), *id));
        if mailboxes.is_empty() {
            return Err(Refusal::NoSuchMailbox);
        }
        let mut places = Vec::new();
        for (number, (mailbox, _)) in mailboxes.iter().enumerate() {
            let which = Which {
                shard,
                account,
                mailbox: *mailbox,
            };
            let emails = service.emails.get(&view, which).map_err(rows_failed)?;
            for (uid, email) in emails.iter().flat_map(|emails| emails.iter()) {
                places.push(Place {
                    email,
                    mailbox: number,
                    uid,
                });
            }
        }
        places.sort_by_key(|place| place.email);
        Ok(Self {
            service,
            view,
            shard,
            account,
            mailboxes,
            places,
        })
    }

    fn rank(&self, query: &RankedQuery) -> Result<Ranking, Refusal> {
        let mut ids: Vec<EmailId> = self.places.iter().map(|place| place.email).collect();
        ids.dedup();
        let finder = &self.service.parts.finder;
        let ranked = finder
            .rank(self.shard, self.account, query, &ids, self)
            .map_err(|TooMuch(text)| Refusal::Invalid(text))?;
        let shown = ranked.best.into_iter().filter_map(|hit| {
            let place = self.of(hit.email).first()?;
            Some(RankedMessage {
                mailbox: self.mailboxes[place.mailbox].1.clone(),
                row: self.row(place)?,
                score: hit.score,
                snippet: hit.snippet,
            })
        });
        Ok(Ranking {
            best: shown.collect(),
            count: ranked.count,
            facets: ranked.facets,
            faceted: ranked.faceted,
        })
    }

    fn of(&self, email: EmailId) -> &[Place] {
        let start = self.places.partition_point(|place| place.email < email);
        let rest = &self.places[start..];
        &rest[..rest.partition_point(|place| place.email == email)]
    }

    fn read(&self, place: &Place) -> Option<read::MessageRow> {
        let (shard, account) = (self.shard.0, self.account);
        let (mailbox, _) = self.mailboxes[place.mailbox];
        let one = UidSet::from_ranges(vec![(place.uid, place.uid)]);
        let rows: &dyn Rows = &self.view;
        let found = read::messages(rows, shard, account, mailbox, &one, 1).ok()?;
        found.into_iter().next().map(|(_, row)| row)
    }

    fn row(&self, place: &Place) -> Option<MessageRow> {
        Some(message(self.shard.0, place.uid, self.read(place)?))
    }
}

impl Contents for Places {
    fn content(&self, email: EmailId) -> Option<Content> {
        let handle = BodyHandle::of(self.shard, &self.read(self.of(email).first()?)?);
        body::read(self.service.parts.entries.as_ref(), &handle).ok()
    }

    fn labels(&self, email: EmailId) -> Vec<(FacetKind, String)> {
        let places = self.of(email);
        let mut labels: Vec<(FacetKind, String)> = places
            .iter()
            .map(|place| (FacetKind::Mailbox, self.mailboxes[place.mailbox].1.as_str()))
            .map(|(kind, name)| (kind, name.to_owned()))
            .collect();
        if let Some(row) = places.first().and_then(|place| self.row(place)) {
            let year = date::year(UnixMillis(row.internal_date.0));
            labels.push((FacetKind::Year, year.to_string()));
        }
        if let Some(content) = self.content(email) {
            labels.extend(sender(&content).map(|sender| (FacetKind::Sender, sender)));
            let root = content.facts.body.as_ref();
            let has = if root.is_some_and(has_attachment) {
                "yes"
            } else {
                "no"
            };
            labels.push((FacetKind::HasAttachment, has.to_owned()));
        }
        labels
    }
}

/// The first From address, in lower case.
fn sender(content: &Content) -> Option<String> {
    let from = content.facts.envelope.as_ref()?.from.first()?;
    let text = |octets: &Option<bytes::Bytes>| {
        let octets = octets.as_deref().unwrap_or_default();
        String::from_utf8_lossy(octets).to_lowercase()
    };
    Some(format!("{}@{}", text(&from.mailbox), text(&from.host)))
}

/// What a sender calls one (RFC 2183 §2.2), and an attached message. Facts are of bounded depth.
fn has_attachment(part: &BodyPart) -> bool {
    let says = part.disposition.as_ref();
    says.is_some_and(|says| says.kind.eq_ignore_ascii_case("attachment"))
        || part.kind() == PartKind::Message
        || part.children.iter().any(has_attachment)
}
