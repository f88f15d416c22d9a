//! STORE (RFC 9051 §6.4.6) with UNCHANGEDSINCE (RFC 7162 §3.1.3), and which keywords a mailbox uses.

use crate::context::{Context, Step};
use crate::keys::tag;
use crate::messages::{existing, given_uids};
use crate::read::record_flags;
use crate::records::{KeywordRecord, MessageRecord};
use crate::rows::{self, RowsError};
use engine_events::{
    EventOutcome, FlagMode, FlagSet, FlagsChanged, FlagsStored, OutcomeKind, Refusal, flags_from,
    ranges_into,
};
use engine_types::limits::KEYWORDS_PER_MESSAGE_MAX;
use engine_types::{Flags, ModSeq, SystemFlag, Uid, UidSet};

/// A message whose flags are already as asked is not changed and keeps its MODSEQ.
pub(crate) fn change(cx: &mut Context<'_>, event: &FlagsChanged) -> Step<EventOutcome> {
    let uids = given_uids(event.uids.as_ref())?;
    let mode = FlagMode::try_from(event.mode).map_err(|_| Refusal::Invalid)?;
    let given = flags_from(event.flags.as_ref().unwrap_or(&FlagSet::default()));
    let mut record = cx.mailbox(event.mailbox)?;
    let lost = record.lost();
    let since = event
        .unchanged_since
        .map(|since| lost.known(ModSeq(since)).0);
    let mut plan: Vec<(u32, MessageRecord, Flags, Flags)> = Vec::new();
    let mut modified = UidSet::new();
    for (uid, message) in existing(cx, event.mailbox, &uids)? {
        if since.is_some_and(|since| message.mod_seq > since) {
            modified.insert(Uid(uid));
            continue;
        }
        let old = record_flags(&message);
        let new = match mode {
            FlagMode::Replace => given.clone(),
            FlagMode::Add => old.union(&given),
            FlagMode::Remove => old.without(&given),
        };
        if new != old {
            check_keywords(&new)?;
            plan.push((uid, message, old, new));
        }
    }
    let mut changed = UidSet::new();
    let mut mod_seq = 0;
    if !plan.is_empty() {
        mod_seq = cx.next_mod_seq();
        record.highest_mod_seq = mod_seq;
    }
    for (uid, mut message, old, new) in plan {
        cx.rows
            .delete(cx.scope.change(event.mailbox, message.mod_seq, uid));
        message.mod_seq = mod_seq;
        message.system = u32::from(new.system_bits());
        message.keywords = new.keywords().map(|k| k.as_str().to_owned()).collect();
        cx.put(cx.scope.message(event.mailbox, uid), &message);
        cx.rows
            .put(cx.scope.change(event.mailbox, mod_seq, uid), Vec::new());
        recount(
            &mut record.unseen,
            !old.has(SystemFlag::Seen),
            !new.has(SystemFlag::Seen),
        );
        recount(
            &mut record.deleted,
            old.has(SystemFlag::Deleted),
            new.has(SystemFlag::Deleted),
        );
        count_keywords(cx, event.mailbox, &old, &new)?;
        changed.insert(Uid(uid));
    }
    if mod_seq > 0 {
        cx.put_mailbox(event.mailbox, &record);
    }
    Ok(EventOutcome {
        result: Some(OutcomeKind::Flags(FlagsStored {
            changed: Some(ranges_into(&changed)),
            modified: Some(ranges_into(&modified)),
            mod_seq,
        })),
    })
}

pub(crate) fn check_keywords(flags: &Flags) -> Step<()> {
    if flags.keywords().len() > KEYWORDS_PER_MESSAGE_MAX {
        return Err(Refusal::Limit.into());
    }
    Ok(())
}

/// One message of `mailbox` went from `old` to `new`.
pub(crate) fn count_keywords(
    cx: &mut Context<'_>,
    mailbox: u64,
    old: &Flags,
    new: &Flags,
) -> Result<(), RowsError> {
    for keyword in old.keywords().filter(|k| !new.has_keyword(k)) {
        count_keyword(cx, mailbox, keyword.as_str(), false)?;
    }
    for keyword in new.keywords().filter(|k| !old.has_keyword(k)) {
        count_keyword(cx, mailbox, keyword.as_str(), true)?;
    }
    Ok(())
}

fn count_keyword(
    cx: &mut Context<'_>,
    mailbox: u64,
    keyword: &str,
    gained: bool,
) -> Result<(), RowsError> {
    let lower = keyword.to_ascii_lowercase();
    let key = cx.scope.number_and_text(tag::KEYWORD, mailbox, &lower);
    let mut record = rows::get(cx.rows, &key)?.unwrap_or_else(|| KeywordRecord {
        spelling: keyword.to_owned(),
        messages: 0,
    });
    recount(&mut record.messages, !gained, gained);
    if record.messages == 0 {
        cx.rows.delete(key);
    } else {
        cx.put(key, &record);
    }
    Ok(())
}

fn recount(count: &mut u32, was: bool, is: bool) {
    *count = *count - u32::from(was) + u32::from(is);
}
