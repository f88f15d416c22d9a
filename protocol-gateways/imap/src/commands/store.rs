//! STORE and UID STORE: RFC 3501 §6.4.6; UNCHANGEDSINCE: RFC 7162 §3.1.3.

use super::append::{flag_names, flags};
use super::copy::resolve;
use super::{Args, done};
use crate::limits::PAGE_ROWS;
use crate::refusal::{Ending, Fail};
use crate::state::Session;
use crate::wire::cursor::{Cursor, Malformed};
use crate::wire::set::SequenceSet;
use engine_service::{FlagMode, Stored};
use engine_types::{Flags, ModSeq, Uid, UidSet};

pub struct Request {
    set: SequenceSet,
    unchanged_since: Option<ModSeq>,
    mode: FlagMode,
    silent: bool,
    flags: Vec<String>,
}

pub fn parse(mut cursor: Cursor<'_>) -> Result<Request, Malformed> {
    cursor.space()?;
    let set = SequenceSet::parse(&mut cursor)?;
    cursor.space()?;
    let mut unchanged_since = None;
    if cursor.peek() == Some(b'(') {
        cursor.list(|c| {
            if !c.eat_word("UNCHANGEDSINCE") {
                return Err(Malformed("STORE takes UNCHANGEDSINCE"));
            }
            c.space()?;
            unchanged_since = Some(ModSeq(c.number()?));
            Ok(())
        })?;
        cursor.space()?;
    }
    let mode = match cursor.peek() {
        Some(b'+') => FlagMode::Add,
        Some(b'-') => FlagMode::Remove,
        _ => FlagMode::Replace,
    };
    let _ = cursor.eat(b'+') || cursor.eat(b'-');
    let silent = match cursor.eat_word("FLAGS.SILENT") {
        true => true,
        false if cursor.eat_word("FLAGS") => false,
        false => return Err(Malformed("STORE changes FLAGS")),
    };
    cursor.space()?;
    let flags = if cursor.peek() == Some(b'(') {
        flag_names(&mut cursor)?
    } else {
        let mut bare = vec![cursor.flag()?];
        while cursor.eat(b' ') {
            bare.push(cursor.flag()?);
        }
        bare
    };
    cursor.end()?;
    Ok(Request {
        set,
        unchanged_since,
        mode,
        silent,
        flags,
    })
}

pub async fn run(session: &mut Session, args: Args<'_>) -> Result<Ending, Fail> {
    let request = parse(args.cursor)?;
    let flags: Flags = flags(&request.flags)?;
    let uids = resolve(session, &request.set, args.uid)?;
    let who = session.who()?;
    let mailbox = session.selected_for_change()?.mailbox;
    // RFC 7162 §3.1: an enabling command.
    session.condstore |= request.unchanged_since.is_some();
    if uids.is_empty() {
        return done("nothing to store");
    }
    let stored = session
        .mail
        .store_flags(
            &session.peer,
            &who,
            mailbox,
            &uids,
            request.mode,
            &flags,
            request.unchanged_since,
        )
        .await?;
    answer(session, &uids, &stored, request.silent, args.uid).await?;
    if stored.modified.is_empty() {
        return done(&format!("STORE done {}", stored.receipt));
    }
    let selected = session.selected()?;
    let left_alone = match args.uid {
        true => stored.modified.to_string(),
        false => stored
            .modified
            .iter()
            .filter_map(|uid| selected.number(uid).map(Uid))
            .collect::<UidSet>()
            .to_string(),
    };
    Ok(Ending::Ok(format!(
        "[MODIFIED {left_alone}] some were changed meanwhile"
    )))
}

/// One FETCH for each message that was stored to; `.SILENT` leaves MODSEQ alone in it, if the client knows of those.
async fn answer(
    session: &mut Session,
    uids: &UidSet,
    stored: &Stored,
    silent: bool,
    uid: bool,
) -> Result<(), Fail> {
    let condstore = session.condstore;
    let known: Vec<Uid> = uids
        .iter()
        .filter(|&uid| !stored.modified.contains(uid))
        .filter(|&uid| !silent || stored.changed.contains(uid))
        .collect();
    if silent && !condstore {
        // Nothing is shown, so nothing is read. What somebody changed behind our STORE has a higher MODSEQ than it.
        let selected = session.selected()?;
        for uid in known {
            if let (Some(mod_seq), Some(_)) = (stored.mod_seq, selected.number(uid)) {
                selected.told(uid, mod_seq);
            }
        }
        return Ok(());
    }
    for page in known.chunks(PAGE_ROWS) {
        let rows = session.rows(page)?;
        if !silent {
            session.announce_keywords(&rows);
        }
        for row in rows {
            // Somebody else changed it behind our STORE: the announcement at the command's end shows it.
            let ours = stored.mod_seq.is_none_or(|m| row.mod_seq <= m);
            let selected = session.selected()?;
            let Some(number) = selected.number(row.uid) else {
                continue;
            };
            if silent && !ours {
                continue;
            }
            selected.told(row.uid, row.mod_seq);
            let mut items = Vec::new();
            if uid {
                items.push(format!("UID {}", row.uid));
            }
            if condstore {
                items.push(format!("MODSEQ ({})", row.mod_seq));
            }
            if !silent {
                items.push(format!("FLAGS ({})", row.flags));
            }
            if !silent || condstore {
                let line = format!("* {number} FETCH ({})", items.join(" "));
                session.connection.line(&line);
            }
        }
        session.connection.drain().await?;
    }
    Ok(())
}
