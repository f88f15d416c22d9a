//! The IMAP client (RFC 3501, UIDPLUS, MOVE, CONDSTORE).

use super::wire::Wire;
use crate::history::{Listing, Marker, UidAt};
use std::io;
use std::net::SocketAddr;

pub struct Session {
    wire: Wire,
    /// The mailbox, once it is selected.
    pub selected: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Ok,
    No,
    Bad,
}

#[derive(Debug)]
pub struct Reply {
    pub status: Status,
    /// The tagged line behind its status.
    pub text: String,
    pub untagged: Vec<String>,
}

impl Reply {
    /// `* NO` warns that what is shown may be old.
    pub fn is_stale(&self) -> bool {
        self.untagged.iter().any(|line| line.starts_with("NO "))
    }

    /// APPENDUID or COPYUID (RFC 4315): the place in the mailbox that got the message.
    pub fn uid_at(&self) -> Option<UidAt> {
        let all = self.untagged.iter().chain([&self.text]);
        all.filter_map(|line| uid_code(line)).next()
    }
}

impl Session {
    pub fn open(address: SocketAddr, user: &str) -> io::Result<Session> {
        let mut session = Session {
            wire: Wire::open(address)?,
            selected: None,
        };
        session.wire.line()?;
        let reply = session.command(&format!("LOGIN {user} trial"))?;
        match reply.status {
            Status::Ok => Ok(session),
            _ => Err(io::Error::other(reply.text)),
        }
    }

    pub fn command(&mut self, text: &str) -> io::Result<Reply> {
        self.wire.send(format!("a {text}\r\n").as_bytes())?;
        self.reply()
    }

    pub fn append(&mut self, mailbox: &str, message: &str) -> io::Result<Reply> {
        let size = message.len();
        self.command(&format!("APPEND {mailbox} {{{size}+}}\r\n{message}"))
    }

    /// SELECT; what it says is in the listing, which has no rows yet.
    pub fn select(&mut self, mailbox: &str) -> io::Result<(Reply, Listing)> {
        self.selected = None;
        let reply = self.command(&format!("SELECT {mailbox}"))?;
        // An old copy is open for reading only, and stays so.
        if reply.status == Status::Ok && !reply.is_stale() {
            self.selected = Some(mailbox.to_owned());
        }
        let listing = selected(&reply.untagged);
        Ok((reply, listing))
    }

    fn reply(&mut self) -> io::Result<Reply> {
        let mut untagged = Vec::new();
        loop {
            let line = self.logical_line()?;
            if let Some(rest) = line.strip_prefix("* ") {
                if rest.starts_with("BYE") {
                    return Err(io::Error::other(rest.to_owned()));
                }
                untagged.push(rest.to_owned());
            } else if let Some(rest) = line.strip_prefix("a ") {
                let (status, text) = rest.split_once(' ').unwrap_or((rest, ""));
                let status = match status {
                    "OK" => Status::Ok,
                    "NO" => Status::No,
                    _ => Status::Bad,
                };
                return Ok(Reply {
                    status,
                    text: text.to_owned(),
                    untagged,
                });
            }
        }
    }

    /// With the literals that belong to it.
    fn logical_line(&mut self) -> io::Result<String> {
        let mut line = self.wire.line()?;
        while let Some(count) = literal(&line) {
            line += &String::from_utf8_lossy(&self.wire.octets(count)?);
            line += &self.wire.line()?;
        }
        Ok(line)
    }
}

fn literal(line: &str) -> Option<usize> {
    line.strip_suffix('}')?.rsplit_once('{')?.1.parse().ok()
}

/// The last number of `[APPENDUID v u]` or `[COPYUID v from to]`.
fn uid_code(line: &str) -> Option<UidAt> {
    let (_, rest) = line
        .split_once("APPENDUID ")
        .or_else(|| line.split_once("COPYUID "))?;
    let code = rest.split(']').next()?;
    let mut words = code.split(' ');
    let validity = words.next()?.parse().ok()?;
    let uid = words.next_back()?.parse().ok()?;
    Some(UidAt { validity, uid })
}

fn selected(untagged: &[String]) -> Listing {
    let code = |name: &str| {
        let found = untagged.iter().find_map(|line| line.split_once(name));
        let number = found.and_then(|(_, rest)| rest.split([']', ' ']).next());
        number
            .and_then(|text| text.parse::<u64>().ok())
            .unwrap_or(0)
    };
    let exists = untagged
        .iter()
        .find_map(|line| line.strip_suffix(" EXISTS"));
    Listing {
        validity: code("[UIDVALIDITY ") as u32,
        uid_next: code("[UIDNEXT ") as u32,
        mod_seq: code("[HIGHESTMODSEQ "),
        exists: exists.and_then(|text| text.parse().ok()).unwrap_or(0),
        rows: Vec::new(),
    }
}

/// UID and marker of a `FETCH (UID n ENVELOPE (date "m123" …`.
pub fn marked(line: &str) -> Option<(u32, Marker)> {
    let uid = number_after(line, "(UID ")?;
    let marker = line.split_once(" \"m")?.1.split('"').next()?.parse().ok()?;
    Some((uid, marker))
}

/// UID and value of a `FETCH (UID n FLAGS (b0 b3))`: the keywords are the bits of the value.
pub fn register(line: &str) -> Option<(u32, u32)> {
    let uid = number_after(line, "(UID ")?;
    let flags = line.split_once("FLAGS (")?.1.split(')').next()?;
    let bits = flags
        .split(' ')
        .filter_map(|flag| flag.strip_prefix('b')?.parse::<u32>().ok());
    Some((uid, bits.fold(0, |value, bit| value | 1 << (bit % 32))))
}

/// The keywords of a value.
pub fn keywords(value: u32) -> String {
    let bits = (0..32).filter(|bit| value >> bit & 1 == 1);
    bits.map(|bit| format!("b{bit}"))
        .collect::<Vec<_>>()
        .join(" ")
}

fn number_after(line: &str, head: &str) -> Option<u32> {
    let rest = line.split_once(head)?.1;
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_name_the_new_place() {
        let check = |line, expect: Option<(u32, u32)>| {
            let at = uid_code(line).map(|at| (at.validity, at.uid));
            assert_eq!(at, expect, "{line}");
        };
        check("[APPENDUID 17 4] APPEND done", Some((17, 4)));
        check("OK [COPYUID 17 4 9] moved", Some((17, 9)));
        check("OK nothing to copy", None);
    }

    #[test]
    fn fetches_are_read() {
        let envelope = "2 FETCH (UID 7 ENVELOPE (NIL \"m31\" NIL NIL NIL NIL NIL NIL NIL NIL))";
        assert_eq!(marked(envelope), Some((7, 31)));
        let dated = "2 FETCH (UID 7 ENVELOPE (\"Mon, 1 Jan 2024 00:00:00 +0000\" \"m31\" NIL))";
        assert_eq!(marked(dated), Some((7, 31)));
        assert_eq!(
            register("1 FETCH (UID 3 FLAGS (\\Seen b0 b4))"),
            Some((3, 17))
        );
        assert_eq!(keywords(17), "b0 b4");
    }

    #[test]
    fn select_is_read() {
        let lines = [
            "3 EXISTS",
            "OK [UIDVALIDITY 5] valid",
            "OK [UIDNEXT 4] next",
            "OK [HIGHESTMODSEQ 14] highest",
        ];
        let listing = selected(&lines.map(str::to_owned));
        let expect = Listing {
            validity: 5,
            uid_next: 4,
            mod_seq: 14,
            exists: 3,
            rows: Vec::new(),
        };
        assert_eq!(listing, expect);
    }
}
