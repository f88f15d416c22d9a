//! STATUS: RFC 3501 §6.3.10; SIZE: RFC 8438; HIGHESTMODSEQ: RFC 7162 §3.1.7.

use super::{Args, done};
use crate::refusal::{Ending, Fail};
use crate::state::Session;
use crate::wire::cursor::{Cursor, Malformed};
use crate::wire::utf7;
use engine_service::{MailboxStatus, Refusal};
use engine_types::MailboxName;
use std::fmt::Write as _;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    Messages,
    Recent,
    UidNext,
    UidValidity,
    Unseen,
    Deleted,
    Size,
    HighestModSeq,
}

const NAMES: [(&str, Item); 8] = [
    ("MESSAGES", Item::Messages),
    ("RECENT", Item::Recent),
    ("UIDNEXT", Item::UidNext),
    ("UIDVALIDITY", Item::UidValidity),
    ("UNSEEN", Item::Unseen),
    ("DELETED", Item::Deleted),
    ("SIZE", Item::Size),
    ("HIGHESTMODSEQ", Item::HighestModSeq),
];

/// `(MESSAGES UNSEEN)`
pub fn items(cursor: &mut Cursor<'_>) -> Result<Vec<Item>, Malformed> {
    let mut items = Vec::new();
    cursor.list(|c| {
        let name = c.atom()?;
        let known = NAMES.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        let (_, item) = known.ok_or(Malformed("this STATUS item is not known"))?;
        if !items.contains(item) {
            items.push(*item);
        }
        Ok(())
    })?;
    match items.is_empty() {
        true => Err(Malformed("STATUS takes at least one item")),
        false => Ok(items),
    }
}

pub fn line(status: &MailboxStatus, items: &[Item]) -> String {
    let mut text = format!("* STATUS {} (", astring(status.name.as_str()));
    for (at, item) in items.iter().enumerate() {
        let name = NAMES.iter().find(|(_, i)| i == item).map_or("", |(n, _)| n);
        let value = match item {
            Item::Messages => u64::from(status.messages),
            Item::Recent => 0,
            Item::UidNext => u64::from(status.uid_next.0),
            Item::UidValidity => u64::from(status.uid_validity.0),
            Item::Unseen => u64::from(status.unseen),
            Item::Deleted => u64::from(status.deleted),
            Item::Size => status.size,
            Item::HighestModSeq => status.highest_mod_seq.0,
        };
        let space = if at == 0 { "" } else { " " };
        let _ = write!(text, "{space}{name} {value}");
    }
    text.push(')');
    text
}

/// A mailbox name as clients get it: modified UTF-7, quoted unless it is a plain atom.
pub fn astring(name: &str) -> String {
    let wire = utf7::encode(name);
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'-' | b'_' | b'&');
    match !wire.is_empty() && wire.bytes().all(plain) && !wire.eq_ignore_ascii_case("NIL") {
        true => wire,
        false => format!("\"{}\"", wire.replace('\\', "\\\\").replace('"', "\\\"")),
    }
}

pub async fn run(session: &mut Session, args: Args<'_>) -> Result<Ending, Fail> {
    let mut cursor = args.cursor;
    cursor.space()?;
    let name = cursor.mailbox()?;
    cursor.space()?;
    let items = items(&mut cursor)?;
    cursor.end()?;
    let name = name.ok_or(Refusal::NoSuchMailbox)?;
    show(session, &name, &items).await?;
    done("STATUS done")
}

pub async fn show(session: &mut Session, name: &MailboxName, items: &[Item]) -> Result<(), Fail> {
    let who = session.who()?;
    let (status, freshness) = session.mail.status(&who, name).await?;
    // RFC 7162 §3.1: an enabling command.
    session.condstore |= items.contains(&Item::HighestModSeq);
    session.say_freshness(freshness);
    let text = line(&status, items);
    session.connection.line(&text);
    Ok(())
}
