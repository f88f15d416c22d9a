//! Messages enter, are copied or moved, and leave: APPEND and delivery, COPY, MOVE, EXPUNGE.

use crate::account::check_quota;
use crate::chunks;
use crate::context::{Context, Step, name};
use crate::flags::{check_keywords, count_keywords};
use crate::limits::{MESSAGE_BYTES_MAX, THREAD_KEYS_MAX, TRACE_BYTES_MAX, ZONE_MINUTES_MAX};
use crate::read;
use crate::records::{MailboxRecord, MessageRecord};
use crate::rows::RowsError;
use crate::tombstones;
use engine_events::{
    Appended, BodyStored, Copied, EventOutcome, Expunged, FlagSet, Kind, MessageAppended,
    MessagesCopied, MessagesExpunged, OutcomeKind, Refusal, UidRanges, flags_from, ranges_from,
    ranges_into,
};
use engine_types::{MailboxName, SystemFlag, Uid, UidSet};

/// `earlier`: the command's events before this one.
pub(crate) fn append(
    cx: &mut Context<'_>,
    event: &MessageAppended,
    earlier: &[engine_events::Event],
) -> Step<EventOutcome> {
    let name = name(&event.mailbox)?;
    let mailbox = match cx.find(&name)? {
        Some(mailbox) => mailbox,
        None if event.or_inbox => cx
            .find(&MailboxName::inbox())?
            .ok_or(Refusal::NoSuchMailbox)?,
        None => return Err(Refusal::NoSuchMailbox.into()),
    };
    let body = match earlier.get(event.body as usize).map(|event| &event.kind) {
        Some(Some(Kind::BodyStored(body))) => body,
        _ => return Err(Refusal::Invalid.into()),
    };
    check_append(event, body)?;
    let flags = flags_from(event.flags.as_ref().unwrap_or(&FlagSet::default()));
    check_keywords(&flags)?;
    if event.check_quota {
        check_quota(&cx.account, body.size + event.trace.len() as u64)?;
    }
    chunks::check(cx, &body.chunks)?;
    let mut record = cx.mailbox(mailbox)?;
    let uid = match event.uid {
        0 => record.uid_next,
        given if given < record.uid_next => return Err(Refusal::NotAllowed.into()),
        given => given,
    };
    if uid == u32::MAX {
        return Err(Refusal::UidsExhausted.into());
    }
    let mod_seq = cx.next_mod_seq();
    cx.account.last_email += 1;
    let message = MessageRecord {
        email: cx.account.last_email,
        mod_seq,
        system: u32::from(flags.system_bits()),
        keywords: flags.keywords().map(|k| k.as_str().to_owned()).collect(),
        internal_date: match event.internal_date {
            0 => i64::try_from(cx.log_time_ms).unwrap_or(i64::MAX),
            given => given,
        },
        zone: event.internal_date_zone,
        saved_at: cx.log_time_ms,
        size: body.size,
        trace: event.trace.clone(),
        body_index: cx.log_index,
        body_ordinal: event.body,
        hash: body.hash.clone(),
        thread_keys: event.thread_keys.clone(),
        chunks: body.chunks.clone(),
    };
    let email = message.email;
    insert(cx, mailbox, &mut record, uid, &message)?;
    cx.put_mailbox(mailbox, &record);
    Ok(EventOutcome {
        result: Some(OutcomeKind::Appended(Appended {
            mailbox,
            uid_validity: record.uid_validity,
            uid,
            mod_seq,
            email,
            mailbox_name: record.name,
        })),
    })
}

fn check_append(event: &MessageAppended, body: &BodyStored) -> Step<()> {
    let zone_ok = event.internal_date_zone.unsigned_abs() <= ZONE_MINUTES_MAX;
    let once_ok = matches!(event.once.len(), 0 | 16);
    if body.size > MESSAGE_BYTES_MAX || body.hash.len() > 16 || !zone_ok || !once_ok {
        return Err(Refusal::Invalid.into());
    }
    if event.trace.len() > TRACE_BYTES_MAX || event.thread_keys.len() > THREAD_KEYS_MAX {
        return Err(Refusal::Limit.into());
    }
    Ok(())
}

pub(crate) fn copy(cx: &mut Context<'_>, event: &MessagesCopied) -> Step<EventOutcome> {
    let to = name(&event.to)?;
    let uids = given_uids(event.uids.as_ref())?;
    cx.mailbox(event.from)?;
    let target = cx.find(&to)?.ok_or(Refusal::NoSuchMailbox)?;
    let record = cx.mailbox(target)?;
    let found = existing(cx, event.from, &uids)?;
    if found.len() as u64 >= u64::from(u32::MAX - record.uid_next) {
        return Err(Refusal::UidsExhausted.into());
    }
    if !event.remove {
        check_quota(&cx.account, found.iter().map(|(_, m)| m.octets()).sum())?;
    }
    let mut mod_seq = 0;
    let mut into = UidSet::new();
    if !found.is_empty() {
        mod_seq = cx.next_mod_seq();
        into = copy_rows(cx, target, &found, mod_seq)?;
        if event.remove {
            remove_rows(cx, event.from, &found, mod_seq)?;
        }
    }
    Ok(EventOutcome {
        result: Some(OutcomeKind::Copied(Copied {
            mailbox: target,
            uid_validity: record.uid_validity,
            from: Some(ranges_into(&uid_set(&found))),
            to: Some(ranges_into(&into)),
            mod_seq,
        })),
    })
}

pub(crate) fn expunge(cx: &mut Context<'_>, event: &MessagesExpunged) -> Step<EventOutcome> {
    let uids = given_uids(event.uids.as_ref())?;
    let record = cx.mailbox(event.mailbox)?;
    let mut found = Vec::new();
    if !event.only_deleted || record.deleted > 0 {
        found = existing(cx, event.mailbox, &uids)?;
    }
    if event.only_deleted {
        found.retain(|(_, message)| message.system & SystemFlag::Deleted as u32 != 0);
    }
    let mut mod_seq = 0;
    if !found.is_empty() {
        mod_seq = cx.next_mod_seq();
        remove_rows(cx, event.mailbox, &found, mod_seq)?;
    }
    Ok(EventOutcome {
        result: Some(OutcomeKind::Expunged(Expunged {
            uids: Some(ranges_into(&uid_set(&found))),
            mod_seq,
        })),
    })
}

/// Those of `uids` that exist, ascending.
pub(crate) fn existing(
    cx: &Context<'_>,
    mailbox: u64,
    uids: &UidSet,
) -> Result<Vec<(u32, MessageRecord)>, RowsError> {
    let mut found = Vec::new();
    read::each_message(cx.rows, cx.scope, mailbox, uids, &mut |uid, message| {
        found.push((uid, message));
        true
    })?;
    Ok(found)
}

/// Copies under the next UIDs of `target`, in order; the email ids stay (RFC 8474 §5.1).
pub(crate) fn copy_rows(
    cx: &mut Context<'_>,
    target: u64,
    found: &[(u32, MessageRecord)],
    mod_seq: u64,
) -> Step<UidSet> {
    let mut record = cx.mailbox(target)?;
    let mut into = UidSet::new();
    for (_, message) in found {
        let copy = MessageRecord {
            mod_seq,
            saved_at: cx.log_time_ms,
            ..message.clone()
        };
        let uid = record.uid_next;
        insert(cx, target, &mut record, uid, &copy)?;
        into.insert(Uid(uid));
    }
    cx.put_mailbox(target, &record);
    Ok(into)
}

pub(crate) fn remove_rows(
    cx: &mut Context<'_>,
    mailbox: u64,
    found: &[(u32, MessageRecord)],
    mod_seq: u64,
) -> Step<()> {
    if found.is_empty() {
        return Ok(());
    }
    let mut record = cx.mailbox(mailbox)?;
    for (uid, message) in found {
        cx.rows.delete(cx.scope.message(mailbox, *uid));
        cx.rows
            .delete(cx.scope.change(mailbox, message.mod_seq, *uid));
        let flags = read::record_flags(message);
        record.messages -= 1;
        record.unseen -= u32::from(!flags.has(SystemFlag::Seen));
        record.deleted -= u32::from(flags.has(SystemFlag::Deleted));
        record.size -= message.octets();
        cx.account.used_bytes -= message.octets();
        count_keywords(cx, mailbox, &flags, &Default::default())?;
    }
    record.highest_mod_seq = mod_seq;
    #[cfg(feature = "testing")]
    if crate::twin::is(crate::twin::Twin::ReuseUid) {
        record.uid_next = found.first().map_or(record.uid_next, |(uid, _)| *uid);
    }
    tombstones::add(cx, mailbox, &mut record, mod_seq, &uid_set(found))?;
    cx.put_mailbox(mailbox, &record);
    Ok(())
}

/// `uid` is not below UIDNEXT. The caller writes `record`.
fn insert(
    cx: &mut Context<'_>,
    mailbox: u64,
    record: &mut MailboxRecord,
    uid: u32,
    message: &MessageRecord,
) -> Result<(), RowsError> {
    let flags = read::record_flags(message);
    record.uid_next = uid + 1;
    record.messages += 1;
    record.unseen += u32::from(!flags.has(SystemFlag::Seen));
    record.deleted += u32::from(flags.has(SystemFlag::Deleted));
    record.size += message.octets();
    record.highest_mod_seq = message.mod_seq;
    cx.account.used_bytes += message.octets();
    cx.put(cx.scope.message(mailbox, uid), message);
    cx.rows
        .put(cx.scope.change(mailbox, message.mod_seq, uid), Vec::new());
    count_keywords(cx, mailbox, &Default::default(), &flags)
}

/// An event that names no UIDs is invalid.
pub(crate) fn given_uids(ranges: Option<&UidRanges>) -> Step<UidSet> {
    let uids = ranges.map(ranges_from).unwrap_or_default();
    if uids.is_empty() {
        return Err(Refusal::Invalid.into());
    }
    Ok(uids)
}

fn uid_set(found: &[(u32, MessageRecord)]) -> UidSet {
    found.iter().map(|(uid, _)| Uid(*uid)).collect()
}
