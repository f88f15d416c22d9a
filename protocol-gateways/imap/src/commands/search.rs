//! SEARCH and UID SEARCH: RFC 3501 §6.4.4; MODSEQ: RFC 7162 §3.1.5.
//!
//! Rows decide what they can, page by page. What is left is asked of the service by its text, all of it at once, and only
//! where other keys hang on the text the rows are looked at again.

use super::{Args, done};
use crate::limits::{PAGE_ROWS, SEARCH_INLINE_BYTES_MAX};
use crate::refusal::{Ending, Fail};
use crate::render::{self, charset};
use crate::state::{Selected, Session};
use crate::wire::cursor::Malformed;
use crate::wire::date::day_in_zone;
use crate::wire::search::{Key, When, parse};
use engine_service::{Content, MessageRow, Refusal, TextQuery};
use engine_types::{Flag, MailboxId, ModSeq, Uid, UidSet, UnixMillis};
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
    Saved(When, i64),
    /// INTERNALDATE is at most this.
    Upto(u64),
    Sent(When, i64),
    Larger(u64),
    Smaller(u64),
    ModSeq(ModSeq),
    Text(TextQuery),
    /// A text that is being looked for.
    Awaited,
    /// A text that was looked for: the UIDs that have it, ascending.
    Found(Vec<Uid>),
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
    let now = session.mail.now();
    let selected = session.selected()?;
    let (mailbox, uids) = (selected.mailbox, selected.uids.clone());
    let test = together(resolve(request.key, selected, now)?);
    let mut found = Vec::new();
    let mut highest = ModSeq(0);
    let (test, uids) = match texts(&test) {
        0 => (test, uids),
        _ => {
            let left = match test {
                Test::Text(_) => uids,
                _ => undecided(session, &test, &uids).await?,
            };
            let test = look_for(session, mailbox, test, &left).await?;
            (settled(test), left)
        }
    };
    match test {
        // Nothing hangs on the rows any more.
        Test::Found(those) if !request.mod_seq => found = those,
        test => {
            let test = Arc::new(test);
            for page in uids.chunks(PAGE_ROWS) {
                session.between_pages().await?;
                for row in session.rows(page)? {
                    if matches(session, &test, &row).await? {
                        highest = highest.max(row.mod_seq);
                        found.push(row.uid);
                    }
                }
            }
        }
    }
    answer(
        session,
        args.uid,
        &found,
        request.mod_seq.then_some(highest),
    )
}

fn answer(
    session: &mut Session,
    by_uid: bool,
    found: &[Uid],
    highest: Option<ModSeq>,
) -> Result<Ending, Fail> {
    let mut line = "* SEARCH".to_owned();
    for uid in found {
        let shown = match by_uid {
            true => Some(uid.0),
            false => session.selected()?.number(*uid),
        };
        if let Some(shown) = shown {
            let _ = write!(line, " {shown}");
        }
    }
    if let Some(highest) = highest.filter(|highest| *highest > ModSeq(0)) {
        let _ = write!(line, " (MODSEQ {highest})");
    }
    session.connection.line(&line);
    done("SEARCH done")
}

/// Those that their rows do not rule out.
async fn undecided(session: &mut Session, test: &Test, uids: &[Uid]) -> Result<Vec<Uid>, Fail> {
    let mut left = Vec::new();
    for page in uids.chunks(PAGE_ROWS) {
        session.between_pages().await?;
        for row in session.rows(page)? {
            if decide(test, &row, None) != Some(false) {
                left.push(row.uid);
            }
        }
    }
    Ok(left)
}

/// Asks for each text that is left.
async fn look_for(
    session: &mut Session,
    mailbox: MailboxId,
    mut test: Test,
    uids: &[Uid],
) -> Result<Test, Fail> {
    let who = session.who()?;
    while let Some(query) = take_text(&mut test) {
        session.between_pages().await?;
        let looking = session.mail.find_text(&who, mailbox, query, uids.to_vec());
        let found = looking.await?;
        put_found(&mut test, &mut Some(found));
    }
    Ok(test)
}

/// The next text, and a place for what is found in its place.
fn take_text(test: &mut Test) -> Option<TextQuery> {
    match test {
        Test::Text(_) => text(std::mem::replace(test, Test::Awaited)),
        Test::And(tests) => tests.iter_mut().find_map(take_text),
        Test::Or(both) => take_text(&mut both.0).or_else(|| take_text(&mut both.1)),
        Test::Not(test) => take_text(test),
        _ => None,
    }
}

fn put_found(test: &mut Test, found: &mut Option<Vec<Uid>>) {
    match test {
        Test::Awaited => *test = Test::Found(found.take().unwrap_or_default()),
        Test::And(tests) => tests.iter_mut().for_each(|test| put_found(test, found)),
        Test::Or(both) => {
            put_found(&mut both.0, found);
            put_found(&mut both.1, found);
        }
        Test::Not(test) => put_found(test, found),
        _ => {}
    }
}

/// Texts side by side are one question: the rarest one decides how many messages are looked into.
fn together(test: Test) -> Test {
    match test {
        Test::And(tests) => {
            let (texts, mut others): (Vec<Test>, Vec<Test>) = tests
                .into_iter()
                .map(together)
                .partition(|test| matches!(test, Test::Text(_)));
            let mut queries: Vec<TextQuery> = texts.into_iter().filter_map(text).collect();
            let text = match queries.len() {
                0 | 1 => queries.pop(),
                _ => Some(TextQuery::And(queries)),
            };
            match (text, others.is_empty()) {
                (Some(query), true) => Test::Text(query),
                (text, _) => {
                    others.extend(text.map(Test::Text));
                    Test::And(others)
                }
            }
        }
        Test::Or(both) => match (together(both.0), together(both.1)) {
            (Test::Text(one), Test::Text(other)) => Test::Text(TextQuery::Or(vec![one, other])),
            both => Test::Or(Box::new(both)),
        },
        Test::Not(test) => match together(*test) {
            Test::Text(query) => Test::Text(TextQuery::Not(Box::new(query))),
            test => Test::Not(Box::new(test)),
        },
        other => other,
    }
}

fn text(test: Test) -> Option<TextQuery> {
    match test {
        Test::Text(query) => Some(query),
        _ => None,
    }
}

/// How many texts there are to look for.
fn texts(test: &Test) -> usize {
    match test {
        Test::Text(_) => 1,
        Test::And(tests) => tests.iter().map(texts).sum(),
        Test::Or(both) => texts(&both.0) + texts(&both.1),
        Test::Not(test) => texts(test),
        _ => 0,
    }
}

/// Where rows have decided all but one text, its answer is the answer.
fn settled(test: Test) -> Test {
    let Test::And(mut tests) = test else {
        return test;
    };
    let is_found = |test: &Test| matches!(test, Test::Found(_));
    let others_are_decided = tests
        .iter()
        .all(|test| is_found(test) || (!reads_content(test) && !has_found(test)));
    if others_are_decided && tests.iter().filter(|test| is_found(test)).count() == 1 {
        tests.retain(is_found);
        return tests.pop().unwrap_or(Test::Found(Vec::new()));
    }
    Test::And(tests)
}

fn has_found(test: &Test) -> bool {
    match test {
        Test::Found(_) => true,
        Test::And(tests) => tests.iter().any(has_found),
        Test::Or(both) => has_found(&both.0) || has_found(&both.1),
        Test::Not(test) => has_found(test),
        _ => false,
    }
}

fn seconds_ago(now: UnixMillis, seconds: u64) -> u64 {
    now.0.saturating_sub(seconds.saturating_mul(1_000))
}

fn resolve(key: Key, selected: &Selected, now: UnixMillis) -> Result<Test, Malformed> {
    let uids = &selected.uids;
    Ok(match key {
        Key::All => Test::And(Vec::new()),
        Key::And(keys) => {
            let tests: Result<Vec<Test>, Malformed> = keys
                .into_iter()
                .map(|key| resolve(key, selected, now))
                .collect();
            let mut tests = tests?;
            // What needs no content first.
            tests.sort_by_key(reads_content);
            Test::And(tests)
        }
        Key::Or(both) => {
            let (one, other) = (
                resolve(both.0, selected, now)?,
                resolve(both.1, selected, now)?,
            );
            Test::Or(Box::new(match reads_content(&one) {
                true => (other, one),
                false => (one, other),
            }))
        }
        Key::Not(key) => Test::Not(Box::new(resolve(*key, selected, now)?)),
        Key::Flag(flag) => Test::Flag(flag),
        // An empty mailbox has no numbers, and still `SEARCH 1:*` is what clients send.
        Key::Numbers(_) if uids.is_empty() => Test::Uids(UidSet::new()),
        Key::Numbers(set) => Test::Uids(
            set.by_number(uids)
                .ok_or(Malformed("there is no message of this number"))?,
        ),
        Key::Uids(set) => Test::Uids(set.by_uid(uids)),
        Key::Arrived(when, day) => Test::Arrived(when, day),
        Key::Saved(when, day) => Test::Saved(when, day),
        Key::Older(seconds) => Test::Upto(seconds_ago(now, seconds)),
        // RFC 5032 §3: a message of just that age is older and not younger.
        Key::Younger(seconds) => Test::Not(Box::new(Test::Upto(seconds_ago(now, seconds)))),
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
        Test::Saved(when, day) => is_on(*when, day_in_zone(row.saved_at, 0), *day),
        Test::Upto(at) => row.internal_date.0 <= *at,
        Test::Larger(size) => row.size > *size,
        Test::Smaller(size) => row.size < *size,
        Test::ModSeq(mod_seq) => row.mod_seq >= *mod_seq,
        Test::Sent(when, day) => {
            render::sent_day(content?).is_some_and(|sent| is_on(*when, sent, *day))
        }
        // Looked for by then, except where its row decides a message before.
        Test::Text(_) | Test::Awaited => return None,
        Test::Found(uids) => uids.binary_search(&row.uid).is_ok(),
    })
}

fn is_on(when: When, there: i64, asked: i64) -> bool {
    match when {
        When::Before => there < asked,
        When::On => there == asked,
        When::Since => there >= asked,
    }
}
