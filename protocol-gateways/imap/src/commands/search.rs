//! SEARCH and UID SEARCH: RFC 3501 §6.4.4, by a scan; MODSEQ: RFC 7162 §3.1.5.

use super::{Args, done};
use crate::limits::{PAGE_ROWS, SEARCH_INLINE_BYTES_MAX};
use crate::refusal::{Ending, Fail};
use crate::render::{self, TextKey, charset};
use crate::state::{Selected, Session};
use crate::wire::cursor::Malformed;
use crate::wire::date::day_in_zone;
use crate::wire::search::{Key, When, parse};
use engine_service::{Content, MessageRow, Refusal};
use engine_types::{Flag, ModSeq, UidSet};
use std::fmt::Write as _;
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// A key with its sets resolved to UIDs.
enum Test {
    And(Vec<Test>),
    Or(Box<(Test, Test)>),
    Not(Box<Test>),
    Flag(Flag),
    Uids(UidSet),
    Arrived(When, i64),
    Sent(When, i64),
    Larger(u64),
    Smaller(u64),
    ModSeq(ModSeq),
    Text(TextKey),
}

pub async fn run(session: &mut Session, args: Args<'_>) -> Result<Ending, Fail> {
    let request = parse(args.cursor)?;
    if !request.charset_known {
        let known = charset::NAMES.join(" ");
        return Ok(Ending::No(format!(
            "[BADCHARSET ({known})] this charset is not known"
        )));
    }
    // RFC 7162 §3.1: an enabling command.
    session.condstore |= request.mod_seq;
    let uids = session.selected()?.uids.clone();
    let test = Arc::new(resolve(request.key, session.selected()?)?);
    let mut found = "* SEARCH".to_owned();
    let mut highest = ModSeq(0);
    for page in uids.chunks(PAGE_ROWS) {
        session.between_pages().await?;
        for row in session.rows(page)? {
            if !matches(session, &test, &row).await? {
                continue;
            }
            highest = highest.max(row.mod_seq);
            let shown = match args.uid {
                true => Some(row.uid.0),
                false => session.selected()?.number(row.uid),
            };
            if let Some(shown) = shown {
                let _ = write!(found, " {shown}");
            }
        }
    }
    if request.mod_seq && highest > ModSeq(0) {
        let _ = write!(found, " (MODSEQ {highest})");
    }
    session.connection.line(&found);
    done("SEARCH done")
}

fn resolve(key: Key, selected: &Selected) -> Result<Test, Malformed> {
    let uids = &selected.uids;
    Ok(match key {
        Key::All => Test::And(Vec::new()),
        Key::And(keys) => {
            let tests: Result<Vec<Test>, Malformed> =
                keys.into_iter().map(|key| resolve(key, selected)).collect();
            let mut tests = tests?;
            // What needs no content first.
            tests.sort_by_key(reads_content);
            Test::And(tests)
        }
        Key::Or(both) => {
            let (one, other) = (resolve(both.0, selected)?, resolve(both.1, selected)?);
            Test::Or(Box::new(match reads_content(&one) {
                true => (other, one),
                false => (one, other),
            }))
        }
        Key::Not(key) => Test::Not(Box::new(resolve(*key, selected)?)),
        Key::Flag(flag) => Test::Flag(flag),
        // An empty mailbox has no numbers, and still `SEARCH 1:*` is what clients send.
        Key::Numbers(_) if uids.is_empty() => Test::Uids(UidSet::new()),
        Key::Numbers(set) => Test::Uids(
            set.by_number(uids)
                .ok_or(Malformed("there is no message of this number"))?,
        ),
        Key::Uids(set) => Test::Uids(set.by_uid(uids)),
        Key::Arrived(when, day) => Test::Arrived(when, day),
        Key::Sent(when, day) => Test::Sent(when, day),
        Key::Larger(size) => Test::Larger(size),
        Key::Smaller(size) => Test::Smaller(size),
        Key::ModSeq(mod_seq) => Test::ModSeq(selected.lost.known(mod_seq)),
        Key::Text(key) => Test::Text(key),
    })
}

fn reads_content(test: &Test) -> bool {
    match test {
        Test::Sent(..) | Test::Text(_) => true,
        Test::And(tests) => tests.iter().any(reads_content),
        Test::Or(both) => reads_content(&both.0) || reads_content(&both.1),
        Test::Not(test) => reads_content(test),
        _ => false,
    }
}

async fn matches(session: &mut Session, test: &Arc<Test>, row: &MessageRow) -> Result<bool, Fail> {
    // Without content first: most messages are decided by their row.
    if let Some(decided) = decide(test, row, None) {
        return Ok(decided);
    }
    session.between_pages().await?;
    match session.mail.content(&row.body).await {
        Ok(content) => look(test, row, content).await,
        // A message that cannot be read is not found; the others still are.
        Err(Refusal::Damaged(_)) => Ok(false),
        Err(refusal) => Err(refusal.into()),
    }
}

/// Decoding a large message would keep a thread of the server's from all its other sessions.
async fn look(test: &Arc<Test>, row: &MessageRow, content: Content) -> Result<bool, Fail> {
    if row.size <= SEARCH_INLINE_BYTES_MAX {
        return Ok(decide(test, row, Some(&content)).unwrap_or(false));
    }
    let (test, row) = (test.clone(), row.clone());
    let looking = spawn_blocking(move || decide(&test, &row, Some(&content)));
    match looking.await {
        Ok(found) => Ok(found.unwrap_or(false)),
        // The runtime ends.
        Err(_) => Err(Refusal::Unavailable("the message could not be searched").into()),
    }
}

/// `None`: the content must be read.
fn decide(test: &Test, row: &MessageRow, content: Option<&Content>) -> Option<bool> {
    Some(match test {
        Test::And(tests) => {
            let mut unknown = false;
            for test in tests {
                match decide(test, row, content) {
                    Some(false) => return Some(false),
                    Some(true) => {}
                    None => unknown = true,
                }
            }
            return (!unknown).then_some(true);
        }
        Test::Or(both) => match decide(&both.0, row, content) {
            Some(true) => true,
            Some(false) => return decide(&both.1, row, content),
            None => {
                let other = decide(&both.1, row, content);
                return other.filter(|&found| found);
            }
        },
        Test::Not(test) => !decide(test, row, content)?,
        Test::Flag(Flag::System(flag)) => row.flags.has(*flag),
        Test::Flag(Flag::Keyword(keyword)) => row.flags.has_keyword(keyword),
        Test::Uids(uids) => uids.contains(row.uid),
        Test::Arrived(when, day) => is_on(
            *when,
            day_in_zone(row.internal_date, row.internal_date_zone),
            *day,
        ),
        Test::Larger(size) => row.size > *size,
        Test::Smaller(size) => row.size < *size,
        Test::ModSeq(mod_seq) => row.mod_seq >= *mod_seq,
        Test::Sent(when, day) => {
            render::sent_day(content?).is_some_and(|sent| is_on(*when, sent, *day))
        }
        Test::Text(key) => render::contains(content?, key),
    })
}

fn is_on(when: When, there: i64, asked: i64) -> bool {
    match when {
        When::Before => there < asked,
        When::On => there == asked,
        When::Since => there >= asked,
    }
}
