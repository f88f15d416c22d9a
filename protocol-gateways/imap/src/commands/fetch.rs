//! FETCH and UID FETCH: RFC 3501 §6.4.5; CHANGEDSINCE: RFC 7162 §3.1.4. Answers stream, a page of rows at a time.

use super::copy::resolve;
use super::{Args, done};
use crate::limits::PAGE_ROWS;
use crate::refusal::{Ending, Fail};
use crate::render;
use crate::state::Session;
use crate::wire::date::show_date_time;
use crate::wire::fetch::{Item, TextItem, parse};
use engine_service::{Content, FlagMode, MessageRow, Refusal};
use engine_types::{Flag, Flags, SystemFlag, Uid, UidSet};
use std::fmt::Write as _;

/// How a FETCH shows its messages.
struct Plan {
    items: Vec<Item>,
    needs_content: bool,
    shows_flags: bool,
    marks_seen: bool,
}

pub async fn run(session: &mut Session, args: Args<'_>) -> Result<Ending, Fail> {
    let uid = args.uid;
    let request = parse(args.cursor)?;
    let uids = resolve(session, &request.set, uid)?;
    let mut items = request.items;
    if uid && !items.contains(&Item::Uid) {
        items.insert(0, Item::Uid);
    }
    if request.changed_since.is_some() && !items.contains(&Item::ModSeq) {
        items.push(Item::ModSeq);
    }
    // RFC 7162 §3.1: enabling commands.
    session.condstore |= items.contains(&Item::ModSeq);
    let plan = Plan {
        needs_content: items.iter().any(needs_content),
        shows_flags: items.contains(&Item::Flags),
        marks_seen: !session.selected()?.read_only
            && items.iter().any(|i| matches!(i, Item::Text(t) if !t.peek)),
        items,
    };
    let all: Vec<Uid> = uids.iter().collect();
    let mut missing = false;
    let mut damaged = None;
    for page in all.chunks(PAGE_ROWS) {
        session.between_pages().await?;
        let mut rows = session.rows(page)?;
        missing |= rows.len() < page.len();
        if let Some(since) = request.changed_since {
            let since = session.selected()?.lost.known(since);
            rows.retain(|row| row.mod_seq > since);
        }
        let newly_seen = match plan.marks_seen {
            true => mark_seen(session, &mut rows).await?,
            false => UidSet::new(),
        };
        if plan.shows_flags || !newly_seen.is_empty() {
            session.announce_keywords(&rows);
        }
        for row in &rows {
            match show(session, &plan, row, newly_seen.contains(row.uid)).await {
                Err(Fail::Refused(refusal @ Refusal::Damaged(_))) => damaged = Some(refusal),
                shown => shown?,
            }
        }
    }
    if let Some(refusal) = damaged {
        return Err(refusal.into());
    }
    match missing && !uid {
        // RFC 5530: somebody else's EXPUNGE may not be told yet.
        true => done("[EXPUNGEISSUED] some messages are gone"),
        false => done("FETCH done"),
    }
}

fn needs_content(item: &Item) -> bool {
    matches!(
        item,
        Item::Envelope | Item::Body | Item::BodyStructure | Item::Text(_)
    )
}

/// Reading sets `\Seen` (RFC 3501 §6.4.5 BODY[]). Where no change is possible now, reading goes on without.
async fn mark_seen(session: &mut Session, rows: &mut [MessageRow]) -> Result<UidSet, Fail> {
    let unseen: Vec<Uid> = rows
        .iter()
        .filter(|row| !row.flags.has(SystemFlag::Seen))
        .map(|row| row.uid)
        .collect();
    if unseen.is_empty() {
        return Ok(UidSet::new());
    }
    let who = session.who()?;
    let mailbox = session.selected()?.mailbox;
    let seen: Flags = [Flag::System(SystemFlag::Seen)].into_iter().collect();
    let uids: UidSet = unseen.iter().copied().collect();
    let stored = session
        .mail
        .store_flags(
            &session.peer,
            &who,
            mailbox,
            &uids,
            FlagMode::Add,
            &seen,
            None,
        )
        .await;
    match stored {
        Ok(stored) => {
            let fresh = session.rows(&unseen)?;
            for row in rows.iter_mut() {
                if let Ok(at) = fresh.binary_search_by_key(&row.uid, |r| r.uid) {
                    *row = fresh[at].clone();
                }
            }
            Ok(stored.changed)
        }
        // P8: the session must not go on as if nothing had been asked.
        Err(Refusal::OutcomeUnknown) => Err(Refusal::OutcomeUnknown.into()),
        Err(_) => Ok(UidSet::new()),
    }
}

async fn show(
    session: &mut Session,
    plan: &Plan,
    row: &MessageRow,
    newly_seen: bool,
) -> Result<(), Fail> {
    // Before the line begins: a message that cannot be read must not leave half a line.
    let content = match plan.needs_content {
        true => Some(session.mail.content(&row.body).await?),
        false => None,
    };
    let selected = session.selected()?;
    let Some(number) = selected.number(row.uid) else {
        return Ok(());
    };
    let shows_flags = newly_seen || plan.items.contains(&Item::Flags);
    if shows_flags {
        selected.told(row.uid, row.mod_seq);
    }
    let condstore = session.condstore;
    let mut head = format!("* {number} FETCH (");
    if newly_seen && !plan.items.contains(&Item::Flags) {
        let _ = write!(head, "FLAGS ({}) ", row.flags);
    }
    // RFC 7162 §3.2: a change of flags that is told names its MODSEQ.
    if newly_seen && condstore && !plan.items.contains(&Item::ModSeq) {
        let _ = write!(head, "MODSEQ ({}) ", row.mod_seq);
    }
    session.connection.out().extend_from_slice(head.as_bytes());
    for (at, item) in plan.items.iter().enumerate() {
        if at > 0 {
            session.connection.out().push(b' ');
        }
        match (item, &content) {
            (Item::Text(text), Some(content)) => show_text(session, text, content).await?,
            _ => show_item(item, row, content.as_ref(), session.connection.out()),
        }
    }
    session.connection.line(")");
    session.connection.drain().await?;
    Ok(())
}

fn show_item(item: &Item, row: &MessageRow, content: Option<&Content>, out: &mut Vec<u8>) {
    let facts = content.map(|content| &*content.facts);
    let text = match item {
        Item::Uid => format!("UID {}", row.uid),
        Item::Flags => format!("FLAGS ({})", row.flags),
        Item::Size => format!("RFC822.SIZE {}", row.size),
        Item::ModSeq => format!("MODSEQ ({})", row.mod_seq),
        Item::InternalDate => {
            let date = show_date_time(row.internal_date, row.internal_date_zone);
            format!("INTERNALDATE \"{date}\"")
        }
        Item::SaveDate => format!("SAVEDATE \"{}\"", show_date_time(row.saved_at, 0)),
        Item::Envelope => {
            out.extend_from_slice(b"ENVELOPE ");
            match facts {
                Some(facts) => render::envelope(facts, out),
                None => out.extend_from_slice(b"NIL"),
            }
            return;
        }
        Item::Body | Item::BodyStructure => {
            let extended = *item == Item::BodyStructure;
            let name: &[u8] = if extended {
                b"BODYSTRUCTURE "
            } else {
                b"BODY "
            };
            out.extend_from_slice(name);
            match facts.and_then(|facts| facts.body.as_ref()) {
                Some(body) => render::body_structure(body, extended, out),
                None => out.extend_from_slice(b"NIL"),
            }
            return;
        }
        Item::Text(text) => format!("{} NIL", text.label),
    };
    out.extend_from_slice(text.as_bytes());
}

async fn show_text(session: &mut Session, item: &TextItem, content: &Content) -> Result<(), Fail> {
    let out = session.connection.out();
    out.extend_from_slice(item.label.as_bytes());
    let Some(pieces) = render::section(content, &item.section, item.partial) else {
        out.extend_from_slice(b" NIL");
        return Ok(());
    };
    let len: usize = pieces.iter().map(|piece| piece.len()).sum();
    out.extend_from_slice(format!(" {{{len}}}\r\n").as_bytes());
    for piece in &pieces {
        session.connection.write_bytes(piece).await?;
    }
    Ok(())
}
