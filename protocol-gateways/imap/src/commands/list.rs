//! LIST and LSUB: RFC 3501 §6.3.8, §6.3.9; LIST-EXTENDED: RFC 5258; LIST-STATUS: RFC 5819; SPECIAL-USE: RFC 6154.

use super::status::{self, Item, astring};
use super::{Args, done};
use crate::limits::{NAMES_AT_ONCE, PATTERN_BYTES_MAX, PATTERNS_MAX, WILDCARDS_MAX};
use crate::refusal::{Ending, Fail};
use crate::state::Session;
use crate::wire::cursor::{Cursor, Malformed};
use engine_service::MailboxEntry;
use std::collections::{BTreeSet, HashSet};

#[derive(Debug, Default)]
pub struct Request {
    pub patterns: Vec<String>,
    /// An empty pattern asks for the separator only.
    separator_only: bool,
    only_subscribed: bool,
    only_special: bool,
    recursive: bool,
    return_subscribed: bool,
    return_status: Vec<Item>,
}

pub fn parse(mut cursor: Cursor<'_>) -> Result<Request, Malformed> {
    let mut request = Request::default();
    cursor.space()?;
    if cursor.peek() == Some(b'(') {
        cursor.list(|c| {
            match c.atom()?.to_ascii_uppercase().as_str() {
                "SUBSCRIBED" => request.only_subscribed = true,
                "SPECIAL-USE" => request.only_special = true,
                "RECURSIVEMATCH" => request.recursive = true,
                // There are no remote mailboxes.
                "REMOTE" => {}
                _ => return Err(Malformed("this selection option is not known")),
            }
            Ok(())
        })?;
        cursor.space()?;
    }
    // RFC 5258 §3.1: RECURSIVEMATCH needs something to match recursively.
    if request.recursive && !request.only_subscribed && !request.only_special {
        return Err(Malformed("RECURSIVEMATCH alone selects nothing"));
    }
    let reference = cursor.mailbox_text()?;
    cursor.space()?;
    let mut patterns = Vec::new();
    if cursor.peek() == Some(b'(') {
        cursor.list(|c| {
            patterns.push(c.list_pattern()?);
            match patterns.len() > PATTERNS_MAX {
                true => Err(Malformed("too many patterns")),
                false => Ok(()),
            }
        })?;
    } else {
        let pattern = cursor.list_pattern()?;
        request.separator_only = pattern.is_empty();
        patterns.push(pattern);
    }
    if !cursor.at_end() {
        cursor.space()?;
        return_options(&mut cursor, &mut request)?;
    }
    cursor.end()?;
    for pattern in &patterns {
        request.patterns.push(joined(&reference, pattern)?);
    }
    Ok(request)
}

fn return_options(cursor: &mut Cursor<'_>, request: &mut Request) -> Result<(), Malformed> {
    if !cursor.eat_word("RETURN") {
        return Err(Malformed("RETURN is missing"));
    }
    cursor.space()?;
    cursor.list(|c| {
        match c.atom()?.to_ascii_uppercase().as_str() {
            "SUBSCRIBED" => request.return_subscribed = true,
            // Always returned.
            "CHILDREN" | "SPECIAL-USE" => {}
            "STATUS" => {
                c.space()?;
                request.return_status = status::items(c)?;
            }
            _ => return Err(Malformed("this return option is not known")),
        }
        Ok(())
    })
}

/// A pattern's full form, within its bounds.
fn joined(reference: &str, pattern: &str) -> Result<String, Malformed> {
    let whole = rooted(reference, pattern);
    let wild = whole.bytes().filter(|b| matches!(b, b'*' | b'%')).count();
    if wild > WILDCARDS_MAX {
        return Err(Malformed("too many wildcards"));
    }
    match whole.len() > PATTERN_BYTES_MAX {
        true => Err(Malformed("the pattern is longer than any name")),
        false => Ok(whole),
    }
}

fn rooted(reference: &str, pattern: &str) -> String {
    let whole = match pattern.strip_prefix('/') {
        Some(rooted) => rooted.to_owned(),
        None => format!("{reference}{pattern}"),
    };
    // INBOX in any case (RFC 3501 §5.1).
    match whole.get(..5) {
        Some(top)
            if top.eq_ignore_ascii_case("INBOX") && matches!(whole.get(5..6), None | Some("/")) =>
        {
            format!("INBOX{}", &whole[5..])
        }
        _ => whole,
    }
}

/// `*` matches anything, `%` anything but the separator. Time is pattern × name.
pub fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    // reached[i]: the first i characters of the pattern match what was read of the name.
    let mut reached = vec![false; pattern.len() + 1];
    let wild = |c: char| c == '*' || c == '%';
    let spread = |reached: &mut Vec<bool>| {
        for (i, &c) in pattern.iter().enumerate() {
            if reached[i] && wild(c) {
                reached[i + 1] = true;
            }
        }
    };
    reached[0] = true;
    spread(&mut reached);
    for c in name.chars() {
        let mut next = vec![false; pattern.len() + 1];
        for (i, &p) in pattern.iter().enumerate() {
            if !reached[i] {
                continue;
            }
            if p == '*' || (p == '%' && c != '/') {
                next[i] = true;
            } else if p == c {
                next[i + 1] = true;
            }
        }
        spread(&mut next);
        reached = next;
    }
    reached[pattern.len()]
}

fn attributes(entry: &MailboxEntry, show_subscribed: bool) -> String {
    let mut all = Vec::new();
    if entry.id.is_none() {
        all.push(if show_subscribed && entry.subscribed {
            "\\NonExistent"
        } else {
            "\\Noselect"
        });
    }
    all.push(if entry.has_children {
        "\\HasChildren"
    } else {
        "\\HasNoChildren"
    });
    if show_subscribed && entry.subscribed {
        all.push("\\Subscribed");
    }
    if let Some(special_use) = entry.special_use {
        all.push(special_use.as_str());
    }
    all.join(" ")
}

pub async fn run(session: &mut Session, args: Args<'_>) -> Result<Ending, Fail> {
    let request = parse(args.cursor)?;
    if request.separator_only {
        session.connection.line("* LIST (\\Noselect) \"/\" \"\"");
        return done("LIST done");
    }
    let who = session.who()?;
    let entries = session.mail.mailboxes(&who).await?;
    let wanted = |e: &MailboxEntry| {
        (!request.only_subscribed || e.subscribed)
            && (!request.only_special || e.special_use.is_some())
    };
    let named = |e: &MailboxEntry| request.patterns.iter().any(|p| matches(p, e.name.as_str()));
    let show_subscribed = request.only_subscribed || request.return_subscribed;
    let plain = !request.only_subscribed && !request.return_subscribed;
    for (at, entry) in entries.iter().enumerate() {
        if at % NAMES_AT_ONCE == 0 {
            session.between_pages().await?;
        }
        if !named(entry) {
            continue;
        }
        // A name that is only subscribed to is not listed unless subscriptions are asked for.
        let shown = wanted(entry) && (entry.id.is_some() || entry.has_children || !plain);
        let below = request.recursive
            && entries
                .iter()
                .skip(at)
                .any(|e| e.name.is_below(&entry.name) && wanted(e) && !named(e));
        if !shown && !below {
            continue;
        }
        let info = if below {
            " (CHILDINFO (\"SUBSCRIBED\"))"
        } else {
            ""
        };
        let line = format!(
            "* LIST ({}) \"/\" {}{info}",
            attributes(entry, show_subscribed),
            astring(entry.name.as_str())
        );
        session.connection.line(&line);
        if !request.return_status.is_empty() && entry.id.is_some() {
            match status::show(session, &entry.name, &request.return_status).await {
                // RFC 5819 §2: without a STATUS for names that cannot be asked any more.
                Ok(()) | Err(Fail::Refused(engine_service::Refusal::NoSuchMailbox)) => {}
                Err(fail) => return Err(fail),
            }
        }
        session.connection.drain().await?;
    }
    done("LIST done")
}

pub async fn run_lsub(session: &mut Session, args: Args<'_>) -> Result<Ending, Fail> {
    let mut cursor = args.cursor;
    cursor.space()?;
    let reference = cursor.mailbox_text()?;
    cursor.space()?;
    let pattern = joined(&reference, &cursor.list_pattern()?)?;
    cursor.end()?;
    let who = session.who()?;
    let entries = session.mail.mailboxes(&who).await?;
    let subscribed = || entries.iter().filter(|e| e.subscribed);
    let names: HashSet<&str> = subscribed().map(|e| e.name.as_str()).collect();
    let mut parents = BTreeSet::new();
    for (at, entry) in subscribed().enumerate() {
        if at % NAMES_AT_ONCE == 0 {
            session.between_pages().await?;
        }
        let name = entry.name.as_str();
        if matches(&pattern, name) {
            let line = format!("* LSUB () \"/\" {}", astring(name));
            session.connection.line(&line);
            continue;
        }
        // RFC 3501 §6.3.9: with `%`, a parent whose child is subscribed is shown as \Noselect.
        let mut parent = entry.name.parent();
        while let Some(above) = parent {
            let is_new = !names.contains(above.as_str()) && !parents.contains(above.as_str());
            if is_new && pattern.contains('%') && matches(&pattern, above.as_str()) {
                parents.insert(above.as_str().to_owned());
            }
            parent = above.parent();
        }
    }
    for parent in parents {
        let line = format!("* LSUB (\\Noselect) \"/\" {}", astring(&parent));
        session.connection.line(&line);
    }
    done("LSUB done")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, name: &str, expect: bool) {
        assert_eq!(
            matches(&joined("", pattern).unwrap(), name),
            expect,
            "{pattern} {name}"
        );
    }

    #[test]
    fn patterns() {
        check("*", "a/b/c", true);
        check("%", "a", true);
        check("%", "a/b", false);
        check("a/%", "a/b", true);
        check("a/%", "a/b/c", false);
        check("a/*c", "a/b/c", true);
        check("%/%", "a/b", true);
        check("inbox", "INBOX", true);
        check("inbox/%", "INBOX/x", true);
        check("Inboxes", "INBOXes", false);
        check("a*b*c", "aXbYc", true);
        check("a*b*c", "aXbY", false);
        check("", "a", false);
        check("é%", "éa", true);
    }

    #[track_caller]
    fn refused(arguments: &str, expect: &str) {
        let text = format!(" {arguments}").into_bytes();
        let literals = Vec::new();
        let command = crate::wire::cursor::Command { text, literals };
        let shown = parse(Cursor::new(&command)).map_err(|e| e.to_string());
        assert_eq!(shown.map(|_| ()), Err(expect.to_owned()));
    }

    #[test]
    fn work_is_bounded() {
        refused(&format!("\"\" {}", "*".repeat(17)), "too many wildcards");
        refused(
            &format!("{} *", "a".repeat(1_040)),
            "the pattern is longer than any name",
        );
        refused(
            &format!("\"\" ({})", "* ".repeat(32) + "*"),
            "too many patterns",
        );
        refused(
            "(RECURSIVEMATCH) \"\" *",
            "RECURSIVEMATCH alone selects nothing",
        );
    }
}
