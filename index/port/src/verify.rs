//! The index held against a look into each message.

use crate::feeder::Feeder;
use crate::finder::{Scanner, folded};
use crate::level::live;
use crate::limits::VERIFIED_MESSAGES_MAX;
use engine_domain::RowsError;
use engine_domain::read::each_of_account;
use engine_replica::View;
use engine_service::{BodyHandle, Content, Contents, Finder, TextQuery, read_body};
use engine_types::{AccountId, EmailId};
use raft_api::{Entries, ShardId};
use std::collections::BTreeMap;

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    pub messages: usize,
    pub queries: usize,
    /// Messages that the index did not hold, and that were looked into.
    pub scanned: usize,
    /// One text each; empty: the index answers as a scan does.
    pub differences: Vec<String>,
}

struct Bodies<'a> {
    entries: &'a dyn Entries,
    handles: &'a BTreeMap<EmailId, BodyHandle>,
}

impl Contents for Bodies<'_> {
    fn content(&self, email: EmailId) -> Option<Content> {
        read_body(self.entries, self.handles.get(&email)?).ok()
    }
}

impl Feeder {
    /// Asks for pieces of the account's own messages, of every length, through the index and by a scan. At most
    /// `VERIFIED_MESSAGES_MAX` messages, evenly spread. `None`: the shard is not here.
    pub fn verify(
        &self,
        entries: &dyn Entries,
        shard: ShardId,
        account: AccountId,
        queries: usize,
    ) -> Option<Result<Verdict, RowsError>> {
        let index = self.indexes.by_shard.get(&shard)?;
        let view = index.shard.view();
        let handles = match some_handles(&view, shard, account) {
            Ok(handles) => handles,
            Err(error) => return Some(Err(error)),
        };
        let emails: Vec<EmailId> = handles.keys().copied().collect();
        let bodies = Bodies {
            entries,
            handles: &handles,
        };
        let mut verdict = Verdict {
            messages: emails.len(),
            ..Verdict::default()
        };
        for number in 0..queries {
            let Some(query) = needle(number, &emails, &bodies) else {
                continue;
            };
            let ask = |finder: &dyn Finder| finder.find(shard, account, &query, &emails, &bodies);
            let (indexed, scanned) = (ask(&self.searcher()), ask(&Scanner));
            verdict.queries += 1;
            let (Ok(indexed), Ok(scanned)) = (indexed, scanned) else {
                continue;
            };
            verdict.scanned += indexed.scanned;
            if indexed.emails != scanned.emails {
                let (by_index, by_scan) = (indexed.emails.len(), scanned.emails.len());
                verdict.differences.push(format!(
                    "{query:?}: {by_index} by the index, {by_scan} by a scan"
                ));
            }
        }
        Some(Ok(verdict))
    }
}

/// Of at most `VERIFIED_MESSAGES_MAX` messages, evenly spread.
fn some_handles(
    view: &View,
    shard: ShardId,
    account: AccountId,
) -> Result<BTreeMap<EmailId, BodyHandle>, RowsError> {
    let all = live(view, shard, account)?;
    let step = all.len().div_ceil(VERIFIED_MESSAGES_MAX).max(1);
    let some: Vec<EmailId> = all.into_iter().step_by(step).collect();
    let mut handles = BTreeMap::new();
    each_of_account(view, shard.0, account, &mut |row| {
        if some.binary_search(&row.email).is_ok() {
            handles.insert(row.email, BodyHandle::of(shard, &row));
        }
        true
    })?;
    Ok(handles)
}

/// A piece of a message, the same at each check.
fn needle(number: usize, emails: &[EmailId], bodies: &Bodies<'_>) -> Option<TextQuery> {
    let drawn = number.wrapping_mul(0x9e37_79b9).wrapping_add(number >> 3);
    let email = emails.get(drawn % emails.len().max(1))?;
    let text = folded(&bodies.content(*email)?);
    let in_body = !text.body.is_empty() && !number.is_multiple_of(3);
    let from = if in_body { &text.body } else { &text.head };
    let chars: Vec<char> = from.chars().collect();
    let length = 1 + number % 32;
    let start = (drawn / 7) % chars.len().max(1);
    let piece: String = chars.iter().skip(start).take(length).collect();
    let piece = piece.split('\n').next().unwrap_or_default().to_owned();
    Some(match in_body {
        true => TextQuery::Body(piece),
        false => TextQuery::Text(piece),
    })
}
