//! What SEARCH asks for: RFC 3501 §6.4.4 and §9 `search-key`, MODSEQ of RFC 7162 §3.1.5.

use super::cursor::{Cursor, Malformed};
use super::date::parse_date;
use super::set::SequenceSet;
use crate::limits::{ITEMS_MAX, NESTING_MAX};
use crate::render::charset;
use encoding_rs::{Encoding, UTF_8};
use engine_service::TextQuery;
use engine_types::{Flag, Keyword, ModSeq, SystemFlag};

#[derive(Clone, Debug, PartialEq)]
pub enum Key {
    All,
    /// All of them.
    And(Vec<Key>),
    Or(Box<(Key, Key)>),
    Not(Box<Key>),
    Flag(Flag),
    Numbers(SequenceSet),
    Uids(SequenceSet),
    /// INTERNALDATE's day, as days since 1970.
    Arrived(When, i64),
    /// The day on which it came into this mailbox (RFC 8514).
    Saved(When, i64),
    /// INTERNALDATE lies further back than so many seconds (RFC 5032).
    Older(u64),
    /// It does not.
    Younger(u64),
    /// The Date field's day.
    Sent(When, i64),
    Larger(u64),
    Smaller(u64),
    ModSeq(ModSeq),
    /// Looks into the message.
    Text(TextQuery),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Before,
    On,
    Since,
}

#[derive(Clone, Debug, PartialEq)]
pub struct SearchRequest {
    pub key: Key,
    pub charset_known: bool,
    /// The answer then names the highest MODSEQ.
    pub mod_seq: bool,
}

pub fn parse(mut cursor: Cursor<'_>) -> Result<SearchRequest, Malformed> {
    cursor.space()?;
    let mut charset = UTF_8;
    if cursor.eat_word("CHARSET") {
        cursor.space()?;
        let Some(known) = charset::named(&cursor.astring()?) else {
            // The rest cannot be read.
            return Ok(SearchRequest {
                key: Key::All,
                charset_known: false,
                mod_seq: false,
            });
        };
        charset = known;
        cursor.space()?;
    }
    let mut parser = Parser {
        charset,
        keys_left: ITEMS_MAX,
        mod_seq: false,
    };
    let key = parser.keys(&mut cursor, 0)?;
    cursor.end()?;
    Ok(SearchRequest {
        key,
        charset_known: true,
        mod_seq: parser.mod_seq,
    })
}

struct Parser {
    charset: &'static Encoding,
    keys_left: usize,
    mod_seq: bool,
}

impl Parser {
    fn keys(&mut self, cursor: &mut Cursor<'_>, depth: usize) -> Result<Key, Malformed> {
        let mut all = vec![self.key(cursor, depth)?];
        while cursor.eat(b' ') {
            all.push(self.key(cursor, depth)?);
        }
        Ok(match all.len() {
            1 => all.remove(0),
            _ => Key::And(all),
        })
    }

    fn key(&mut self, cursor: &mut Cursor<'_>, depth: usize) -> Result<Key, Malformed> {
        if depth > NESTING_MAX {
            return Err(Malformed("the search is nested too deeply"));
        }
        self.keys_left = self
            .keys_left
            .checked_sub(1)
            .ok_or(Malformed("too many search keys"))?;
        if cursor.eat(b'(') {
            let inner = self.keys(cursor, depth + 1)?;
            cursor.expect(b')', ") is missing")?;
            return Ok(inner);
        }
        if cursor
            .peek()
            .is_some_and(|b| b.is_ascii_digit() || b == b'*')
        {
            return SequenceSet::parse(cursor).map(Key::Numbers);
        }
        let name = cursor.atom()?.to_ascii_uppercase();
        if let Some(key) = flag_key(&name) {
            return Ok(key);
        }
        match name.as_str() {
            "NOT" => {
                cursor.space()?;
                Ok(Key::Not(Box::new(self.key(cursor, depth + 1)?)))
            }
            "OR" => {
                cursor.space()?;
                let one = self.key(cursor, depth + 1)?;
                cursor.space()?;
                let other = self.key(cursor, depth + 1)?;
                Ok(Key::Or(Box::new((one, other))))
            }
            "MODSEQ" => {
                self.mod_seq = true;
                mod_seq(cursor)
            }
            _ => self.with_argument(&name, cursor),
        }
    }

    /// Keys that take arguments.
    fn with_argument(&self, name: &str, cursor: &mut Cursor<'_>) -> Result<Key, Malformed> {
        let when = match name {
            "BEFORE" | "SENTBEFORE" | "SAVEDBEFORE" => Some(When::Before),
            "ON" | "SENTON" | "SAVEDON" => Some(When::On),
            "SINCE" | "SENTSINCE" | "SAVEDSINCE" => Some(When::Since),
            _ => None,
        };
        let known = matches!(
            name,
            "KEYWORD"
                | "UNKEYWORD"
                | "UID"
                | "LARGER"
                | "SMALLER"
                | "OLDER"
                | "YOUNGER"
                | "HEADER"
                | "BODY"
                | "TEXT"
                | "FROM"
                | "TO"
                | "CC"
                | "BCC"
                | "SUBJECT"
        );
        if !known && when.is_none() {
            return Err(Malformed("this search key is not known"));
        }
        cursor.space()?;
        if let Some(when) = when {
            let text = cursor.utf8()?;
            let day = parse_date(&text).ok_or(Malformed("this is not a date"))?;
            return Ok(match name.get(..4) {
                Some("SENT") => Key::Sent(when, day),
                Some("SAVE") => Key::Saved(when, day),
                _ => Key::Arrived(when, day),
            });
        }
        Ok(match name {
            "KEYWORD" => keyword(cursor)?,
            "UNKEYWORD" => Key::Not(Box::new(keyword(cursor)?)),
            "UID" => Key::Uids(SequenceSet::parse(cursor)?),
            "LARGER" => Key::Larger(cursor.number()?),
            "SMALLER" => Key::Smaller(cursor.number()?),
            "OLDER" => Key::Older(interval(cursor)?),
            "YOUNGER" => Key::Younger(interval(cursor)?),
            "HEADER" => {
                let name = cursor.utf8()?;
                cursor.space()?;
                let value = self.text(cursor)?;
                Key::Text(TextQuery::Header { name, value })
            }
            _ => {
                let value = self.text(cursor)?;
                Key::Text(match name {
                    "BODY" => TextQuery::Body(value),
                    "TEXT" => TextQuery::Text(value),
                    field => TextQuery::Header {
                        name: field.to_owned(),
                        value,
                    },
                })
            }
        })
    }

    /// What is searched for, in the command's charset.
    fn text(&self, cursor: &mut Cursor<'_>) -> Result<String, Malformed> {
        charset::exact(&cursor.astring()?, self.charset)
            .ok_or(Malformed("text that is not of this charset"))
    }
}

/// Keys without arguments. `\Recent` is never set here.
fn flag_key(name: &str) -> Option<Key> {
    let is = |flag| Key::Flag(Flag::System(flag));
    let not = |key| Key::Not(Box::new(key));
    Some(match name {
        // RFC 8514 §4.3: every mailbox here knows when a message came into it.
        "ALL" | "OLD" | "SAVEDATESUPPORTED" => Key::All,
        "NEW" | "RECENT" => not(Key::All),
        "ANSWERED" => is(SystemFlag::Answered),
        "DELETED" => is(SystemFlag::Deleted),
        "DRAFT" => is(SystemFlag::Draft),
        "FLAGGED" => is(SystemFlag::Flagged),
        "SEEN" => is(SystemFlag::Seen),
        "UNANSWERED" => not(is(SystemFlag::Answered)),
        "UNDELETED" => not(is(SystemFlag::Deleted)),
        "UNDRAFT" => not(is(SystemFlag::Draft)),
        "UNFLAGGED" => not(is(SystemFlag::Flagged)),
        "UNSEEN" => not(is(SystemFlag::Seen)),
        _ => return None,
    })
}

/// Seconds, at least one (RFC 5032 §4).
fn interval(cursor: &mut Cursor<'_>) -> Result<u64, Malformed> {
    match cursor.number()? {
        0 => Err(Malformed("an interval has at least one second")),
        seconds => Ok(seconds),
    }
}

fn keyword(cursor: &mut Cursor<'_>) -> Result<Key, Malformed> {
    let keyword = Keyword::new(cursor.atom()?).map_err(|_| Malformed("this is not a keyword"))?;
    Ok(Key::Flag(Flag::Keyword(keyword)))
}

/// `[entry-name SP entry-type SP] mod-sequence`; metadata items all have the message's MODSEQ here.
fn mod_seq(cursor: &mut Cursor<'_>) -> Result<Key, Malformed> {
    cursor.space()?;
    if cursor.peek() == Some(b'"') {
        cursor.string()?;
        cursor.space()?;
        if !["all", "priv", "shared"].iter().any(|t| cursor.eat_word(t)) {
            return Err(Malformed("an entry type is missing"));
        }
        cursor.space()?;
    }
    Ok(Key::ModSeq(ModSeq(cursor.number()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::cursor::Command;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let command = Command {
            text: format!(" {text}").into_bytes(),
            literals: Vec::new(),
        };
        let shown = match parse(Cursor::new(&command)) {
            Err(e) => e.to_string(),
            Ok(request) => format!("{:?}", request.key),
        };
        assert_eq!(shown, expect, "{text}");
    }

    #[test]
    fn keys() {
        check("ALL", "All");
        check("seen", "Flag(System(Seen))");
        check(
            "NOT (UID 1 ALL)",
            "Not(And([Uids(SequenceSet([(Some(1), Some(1))])), All]))",
        );
        check(
            "OR 2 ALL",
            "Or((Numbers(SequenceSet([(Some(2), Some(2))])), All))",
        );
        check("SENTON 1-Jan-1970", "Sent(On, 0)");
        check("BEFORE \" 2-Jan-1970\"", "Arrived(Before, 1)");
        check("SAVEDSINCE 3-Jan-1970", "Saved(Since, 2)");
        check("OLDER 60 YOUNGER 3600", "And([Older(60), Younger(3600)])");
        check("YOUNGER 0", "an interval has at least one second");
        check(
            "FROM \"x y\"",
            "Text(Header { name: \"FROM\", value: \"x y\" })",
        );
        check("BODY x", "Text(Body(\"x\"))");
        check(
            "HEADER X-A \"\"",
            "Text(Header { name: \"X-A\", value: \"\" })",
        );
        check("MODSEQ \"/flags/\\\\draft\" all 7", "ModSeq(ModSeq(7))");
        check("MODSEQ 7", "ModSeq(ModSeq(7))");
    }

    #[test]
    fn text_is_in_the_charset_that_is_named() {
        let check = |charset: &str, octets: &'static [u8], expect: &str| {
            let text = format!(" CHARSET {charset} SUBJECT ").into_bytes();
            let literals = vec![(text.len(), octets.into())];
            let command = Command { text, literals };
            let shown = match parse(Cursor::new(&command)) {
                Err(e) => e.to_string(),
                Ok(request) if !request.charset_known => "unknown".to_owned(),
                Ok(request) => format!("{:?}", request.key),
            };
            assert_eq!(shown, expect, "{charset}");
        };
        check(
            "KOI8-R",
            b"\xf0",
            "Text(Header { name: \"SUBJECT\", value: \"П\" })",
        );
        check(
            "\"iso-8859-1\"",
            b"gr\xfc\xdf",
            "Text(Header { name: \"SUBJECT\", value: \"grüß\" })",
        );
        check(
            "ISO-2022-JP",
            b"\x1b$BF|K\\\x1b(B",
            "Text(Header { name: \"SUBJECT\", value: \"日本\" })",
        );
        check(
            "utf-8",
            "é".as_bytes(),
            "Text(Header { name: \"SUBJECT\", value: \"é\" })",
        );
        check("utf-8", b"\xe9", "text that is not of this charset");
        check("X-NONE", b"\xe9", "unknown");
        check("iso-2022-kr", b"a", "unknown");
    }

    #[test]
    fn broken_keys() {
        check("FROM", "a space is missing");
        check("NOSUCH x", "this search key is not known");
        check("(ALL", ") is missing");
        check("ALL)", "more than the command takes");
        check("ON 31-Feb-2020", "this is not a date");
        check(
            &format!("{}ALL", "NOT ".repeat(40)),
            "the search is nested too deeply",
        );
        check(
            &format!("{}ALL", "(".repeat(40)),
            "the search is nested too deeply",
        );
        check(&"ALL ".repeat(2_000), "too many search keys");
    }
}
