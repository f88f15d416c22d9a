//! APPEND: RFC 3501 §6.3.11, with APPENDUID (RFC 4315 §3).

use super::Args;
use crate::refusal::{Ending, Fail};
use crate::state::Session;
use crate::wire::cursor::{Cursor, Malformed};
use crate::wire::date::parse_date_time;
use engine_service::{AppendRequest, Refusal};
use engine_types::{Flag, Flags};

pub async fn run(session: &mut Session, args: Args<'_>) -> Result<Ending, Fail> {
    let mut cursor = args.cursor;
    cursor.space()?;
    let name = cursor.mailbox()?;
    cursor.space()?;
    let mut listed = Vec::new();
    if cursor.peek() == Some(b'(') {
        listed = flag_names(&mut cursor)?;
        cursor.space()?;
    }
    let mut internal_date = None;
    if cursor.peek() == Some(b'"') {
        let text = cursor.string()?;
        let date = std::str::from_utf8(&text).ok().and_then(parse_date_time);
        internal_date = Some(date.ok_or(Malformed("this is not a date and time"))?);
        cursor.space()?;
    }
    let message = cursor.message()?;
    cursor.end()?;
    let flags = flags(&settable(listed))?;
    let mailbox = name.ok_or(Fail::Target(Refusal::NoSuchMailbox))?;
    let who = session.who()?;
    let request = AppendRequest {
        mailbox,
        flags,
        internal_date,
        message,
        uid: None,
        check_quota: true,
    };
    let to = session
        .mail
        .append(&session.peer, &who, request)
        .await
        .map_err(Fail::Target)?;
    Ok(Ending::Ok(format!(
        "[APPENDUID {} {}] APPEND done {}",
        to.uid_validity, to.uid, to.receipt
    )))
}

/// `(\Seen $Junk)`
pub fn flag_names(cursor: &mut Cursor<'_>) -> Result<Vec<String>, Malformed> {
    let mut listed = Vec::new();
    cursor.list(|c| {
        listed.push(c.flag()?);
        Ok(())
    })?;
    Ok(listed)
}

/// `\Recent` is the server's to give (RFC 3501 §2.3.2). Clients that carry a message from another server send it along
/// with the others, and are not refused.
fn settable(listed: Vec<String>) -> Vec<String> {
    let recent = |name: &String| name.eq_ignore_ascii_case("\\Recent");
    listed.into_iter().filter(|name| !recent(name)).collect()
}

pub fn flags(listed: &[String]) -> Result<Flags, Fail> {
    listed
        .iter()
        .map(|name| Flag::parse(name).map_err(|_| Fail::No("[CANNOT] this flag cannot be set")))
        .collect()
}
