//! SELECT and EXAMINE: RFC 3501 §6.3.1, §6.3.2; CONDSTORE: RFC 7162 §3.1.8.

use super::Args;
use crate::refusal::{Ending, Fail};
use crate::state::selected::flag_list;
use crate::state::{Phase, Selected, Session};
use crate::wire::cursor::Malformed;
use engine_service::{Freshness, Refusal};

pub async fn run(session: &mut Session, args: Args<'_>, examine: bool) -> Result<Ending, Fail> {
    let mut cursor = args.cursor;
    cursor.space()?;
    let name = cursor.mailbox()?;
    let mut condstore = false;
    if !cursor.at_end() {
        cursor.space()?;
        cursor.list(|c| match c.eat_word("CONDSTORE") {
            true => {
                condstore = true;
                Ok(())
            }
            false => Err(Malformed("SELECT takes CONDSTORE")),
        })?;
        cursor.end()?;
    }
    let who = session.who()?;
    // RFC 3501 §6.3.1: the open mailbox is left even if the new one cannot be opened.
    if session.deselect() {
        session.connection.line("* OK [CLOSED] left the mailbox");
    }
    session.condstore |= condstore;
    let name = name.ok_or(Refusal::NoSuchMailbox)?;
    let opened = session.mail.open_mailbox(&who, &name).await?;
    session.say_freshness(opened.freshness);
    let stale = matches!(opened.freshness, Freshness::Stale { .. });
    let read_only = examine || stale;
    let status = &opened.status;
    let flags = flag_list(&opened.keywords);
    let permanent = match read_only {
        true => String::new(),
        false => format!("{flags} \\*"),
    };
    let mut lines = vec![
        format!("* FLAGS ({flags})"),
        format!("* OK [PERMANENTFLAGS ({permanent})] kept"),
        format!("* {} EXISTS", opened.uids.len()),
        "* 0 RECENT".to_owned(),
        format!("* OK [UIDVALIDITY {}] valid", status.uid_validity),
        format!("* OK [UIDNEXT {}] next", status.uid_next),
        // RFC 7162 §3.1.2.1: 1 is the least that a client may be told.
        format!(
            "* OK [HIGHESTMODSEQ {}] highest",
            status.highest_mod_seq.0.max(1)
        ),
    ];
    let unseen = opened
        .first_unseen
        .and_then(|uid| opened.uids.binary_search(&uid).ok());
    if let Some(at) = unseen {
        lines.push(format!("* OK [UNSEEN {}] first unseen", at + 1));
    }
    for line in lines {
        session.connection.line(&line);
    }
    let selected = Selected::new(opened, read_only);
    session.phase = Phase::Selected(who, Box::new(selected));
    let code = if read_only { "READ-ONLY" } else { "READ-WRITE" };
    let verb = if examine { "EXAMINE" } else { "SELECT" };
    Ok(Ending::Ok(format!("[{code}] {verb} done")))
}
