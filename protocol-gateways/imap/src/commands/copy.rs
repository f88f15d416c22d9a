//! COPY and UID COPY: RFC 3501 §6.4.7, with COPYUID (RFC 4315 §3).

use super::{Args, done};
use crate::refusal::{Ending, Fail};
use crate::state::Session;
use crate::wire::cursor::Malformed;
use crate::wire::set::SequenceSet;
use engine_service::{CopiedTo, Refusal};
use engine_types::{MailboxName, UidSet};

/// `set SP mailbox`, resolved.
pub fn set_and_target(
    session: &mut Session,
    args: Args<'_>,
) -> Result<(UidSet, MailboxName), Fail> {
    let mut cursor = args.cursor;
    cursor.space()?;
    let set = SequenceSet::parse(&mut cursor)?;
    cursor.space()?;
    let name = cursor.mailbox()?;
    cursor.end()?;
    let uids = resolve(session, &set, args.uid)?;
    Ok((uids, name.ok_or(Fail::Target(Refusal::NoSuchMailbox))?))
}

pub fn resolve(session: &mut Session, set: &SequenceSet, uid: bool) -> Result<UidSet, Fail> {
    let uids = &session.selected()?.uids;
    match uid {
        true => Ok(set.by_uid(uids)),
        false => Ok(set
            .by_number(uids)
            .ok_or(Malformed("there is no message of this number"))?),
    }
}

/// `COPYUID 38505 304,319:320 3956:3958`; nothing was copied: `None`. The order of both lists is the same.
pub fn code(copied: &CopiedTo) -> Option<String> {
    if copied.uids.is_empty() {
        return None;
    }
    let from: UidSet = copied.uids.iter().map(|&(from, _)| from).collect();
    let targets = copied.uids.iter().map(|&(_, to)| to);
    let ascending = copied.uids.windows(2).all(|pair| pair[0].1 < pair[1].1);
    let to = match ascending {
        true => targets.collect::<UidSet>().to_string(),
        false => {
            let each: Vec<String> = targets.map(|uid| uid.to_string()).collect();
            each.join(",")
        }
    };
    Some(format!("COPYUID {} {from} {to}", copied.uid_validity))
}

pub async fn run(session: &mut Session, args: Args<'_>) -> Result<Ending, Fail> {
    let (uids, to) = set_and_target(session, args)?;
    let who = session.who()?;
    let from = session.selected()?.mailbox;
    if uids.is_empty() {
        return done("nothing to copy");
    }
    let copied = session
        .mail
        .copy(&session.peer, &who, from, &uids, &to)
        .await
        .map_err(Fail::Target)?;
    Ok(Ending::Ok(match code(&copied) {
        Some(code) => format!("[{code}] COPY done {}", copied.receipt),
        None => "nothing to copy".to_owned(),
    }))
}
