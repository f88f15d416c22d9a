//! The door for fuzz targets: any octets as what a client sends. Nothing may panic, and what is taken keeps its bounds.

use crate::commands::{append, find, list, status, store};
use crate::limits::{ITEMS_MAX, ImapLimits, LINE_BYTES_MAX, LITERALS_MAX, RANGES_MAX};
use crate::wire::connection::{Connection, NoCommand, Socket};
use crate::wire::cursor::{Command, Cursor, Malformed};
use crate::wire::set::SequenceSet;
use crate::wire::{date, fetch, search, utf7};
use engine_types::{Uid, UnixMillis};
use futures_util::future::BoxFuture;
use gateway_session::TlsServer;
use std::io;
use std::sync::Arc;
use tokio::io::{Join, Sink};

/// The bound of an APPEND's literal, small enough that a target meets it.
pub const MESSAGE_BYTES_MAX: u64 = 4_096;
/// 1 January 10000: dates from there on have no form in the protocol.
const YEAR_10000: UnixMillis = UnixMillis(253_402_300_800_000);
/// One mailbox's UIDs, with gaps.
const UIDS: [Uid; 6] = [Uid(1), Uid(2), Uid(5), Uid(6), Uid(900), Uid(u32::MAX)];

/// Octets that came all at once and then end; answers go nowhere.
type Octets = Join<io::Cursor<Vec<u8>>, Sink>;

impl Socket for Octets {
    fn is_tls(&self) -> bool {
        false
    }

    fn tls_name(&self) -> Option<Arc<str>> {
        None
    }

    fn start_tls(self: Box<Self>, _: TlsServer) -> BoxFuture<'static, io::Result<Box<dyn Socket>>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }
}

/// Reads `octets` as a connection's whole input. Every command that comes out is given to every argument parser.
/// Returns how many commands that were.
pub fn read_all(octets: &[u8]) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime without input and output needs nothing of the system");
    let input = io::Cursor::new(octets.to_vec());
    let socket = tokio::io::join(input, tokio::io::sink());
    let mut connection = Connection::new(Box::new(socket), ImapLimits::default());
    let mut commands = 0;
    loop {
        match runtime.block_on(connection.read_command(Some(MESSAGE_BYTES_MAX))) {
            Ok(command) => parse(&command),
            Err(NoCommand::Refused { reply, .. }) => {
                assert!(reply.starts_with("BAD ") || reply.starts_with("NO "));
                continue;
            }
            Err(NoCommand::Closed(_) | NoCommand::TimedOut | NoCommand::TooLong) => {
                return commands;
            }
        }
        commands += 1;
        assert!(commands <= octets.len(), "a command without octets");
    }
}

fn parse(command: &Command) {
    assert!(command.text.len() <= LINE_BYTES_MAX);
    assert!(command.literals.len() <= LITERALS_MAX);
    assert!(command.literals.is_sorted_by_key(|(place, _)| *place));
    let in_text = |place: usize| place <= command.text.len();
    assert!(command.literals.iter().all(|(place, _)| in_text(*place)));

    let mut cursor = Cursor::new(command);
    arguments(cursor);
    if cursor.tag().is_err() {
        return;
    }
    arguments(cursor);
    let mut ahead = cursor;
    if let Ok((row, uid)) = find(&mut ahead) {
        assert!(row.takes_uid || !uid);
        arguments(ahead);
    }
    // Each argument in turn, as commands of several take them.
    while cursor.space().is_ok() && words(cursor).is_ok() {
        if cursor.astring().is_err() && cursor.list(|c| c.astring().map(drop)).is_err() {
            return;
        }
    }
}

/// What stands behind a command's name, with its space.
fn arguments(cursor: Cursor<'_>) {
    if let Ok(request) = fetch::parse(cursor) {
        assert!((1..=ITEMS_MAX).contains(&request.items.len()));
        resolve(&request.set);
    }
    let _ = search::parse(cursor);
    let _ = store::parse(cursor);
    if let Ok(request) = list::parse(cursor) {
        for pattern in &request.patterns {
            list::matches(pattern, "INBOX/a/b");
        }
    }
    let mut set = cursor;
    if set.space().is_ok()
        && let Ok(set) = SequenceSet::parse(&mut set)
    {
        resolve(&set);
    }
}

fn resolve(set: &SequenceSet) {
    assert!((1..=RANGES_MAX).contains(&set.0.len()));
    for uids in [&UIDS[..], &[]] {
        let found = set.by_uid(uids);
        assert!(found.iter().all(|uid| uids.contains(&uid)));
        if let Some(found) = set.by_number(uids) {
            assert!(found.iter().all(|uid| uids.contains(&uid)));
        }
    }
}

/// One argument, read in every way that there is. Fails only where the text ends.
fn words(cursor: Cursor<'_>) -> Result<(), Malformed> {
    let start = || cursor;
    let _ = start().flag();
    let _ = start().number();
    let _ = start().utf8();
    let _ = start().nstring();
    let _ = start().message();
    let _ = start().list_pattern();
    let _ = start().mailbox();
    let _ = append::flag_names(&mut start());
    let _ = status::items(&mut start());
    if let Ok(name) = start().mailbox_text() {
        let again = utf7::encode(&name);
        assert_eq!(utf7::decode(again.as_bytes()), Some(name), "{again}");
    }
    if let Ok(text) = start().utf8() {
        let _ = date::parse_date(&text);
        if let Some((at, zone)) = date::parse_date_time(&text)
            && at < UnixMillis(YEAR_10000.0 - 86_400_000)
        {
            let shown = date::show_date_time(at, zone);
            assert_eq!(date::parse_date_time(&shown), Some((at, zone)), "{shown}");
        }
    }
    match start().at_end() {
        true => Err(Malformed("nothing is left")),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(octets: &str, commands: usize) {
        assert_eq!(read_all(octets.as_bytes()), commands, "{octets:?}");
    }

    #[test]
    fn commands_are_found() {
        check("", 0);
        check("a NOOP", 0);
        check("a NOOP\r\nb UID FETCH 1:* (FLAGS BODY[1.MIME]<0.9>)\n", 2);
        check("a LOGIN {1}\r\nx {2+}\r\nyz\r\nb NOOP\r\n", 2);
        check(
            "a APPEND x (\\Seen) \"01-Jan-1970 00:00:00 +0000\" {1}\r\nx\r\n",
            1,
        );
        check("a SEARCH OR ((NOT SEEN)) 1:2,* CHARSET\r\n", 1);
        check(
            "a LIST (SUBSCRIBED) \"\" (% *&AOk-) RETURN (STATUS (UIDNEXT))\r\n",
            1,
        );
        // Refused before its literal comes; the connection goes on.
        check("a APPEND x {4097}\r\nb NOOP\r\n", 1);
        check("a APPEND x {4097+}\r\nb NOOP\r\n", 0);
    }
}
