//! One command's octets, read from left to right by the rules of RFC 3501 §9. Never panics, never goes back.

use super::utf7;
use bytes::Bytes;
use engine_types::MailboxName;
use thiserror::Error;

/// Why a command is `BAD`. The text is for the client's author.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// A command as it came: its text, and its literals with the place in the text where each stands.
#[derive(Clone, Debug, Default)]
pub struct Command {
    pub text: Vec<u8>,
    /// Ascending by place.
    pub literals: Vec<(usize, Bytes)>,
}

#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    text: &'a [u8],
    literals: &'a [(usize, Bytes)],
    at: usize,
}

pub fn is_atom_char(b: u8) -> bool {
    b.is_ascii_graphic() && !matches!(b, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']')
}

impl<'a> Cursor<'a> {
    pub fn new(command: &'a Command) -> Cursor<'a> {
        Cursor {
            text: &command.text,
            literals: &command.literals,
            at: 0,
        }
    }

    fn at_literal(&self) -> Option<&'a Bytes> {
        self.literals
            .first()
            .filter(|(place, _)| *place == self.at)
            .map(|(_, bytes)| bytes)
    }

    /// The next octet, unless the text ends or a literal stands here.
    pub fn peek(&self) -> Option<u8> {
        match self.at_literal() {
            Some(_) => None,
            None => self.text.get(self.at).copied(),
        }
    }

    pub fn at_end(&self) -> bool {
        self.at >= self.text.len() && self.literals.is_empty()
    }

    pub fn end(&self) -> Result<(), Malformed> {
        match self.at_end() {
            true => Ok(()),
            false => Err(Malformed("more than the command takes")),
        }
    }

    /// Takes `b` if it is next.
    pub fn eat(&mut self, b: u8) -> bool {
        let here = self.peek() == Some(b);
        self.at += usize::from(here);
        here
    }

    pub fn expect(&mut self, b: u8, missing: &'static str) -> Result<(), Malformed> {
        match self.eat(b) {
            true => Ok(()),
            false => Err(Malformed(missing)),
        }
    }

    pub fn space(&mut self) -> Result<(), Malformed> {
        self.expect(b' ', "a space is missing")
    }

    /// Takes `word` in any case if it is next and no atom goes on behind it.
    pub fn eat_word(&mut self, word: &str) -> bool {
        let mut ahead = *self;
        let found = ahead.take_while(|b| is_atom_char(b) && b != b'[' && b != b'<');
        let same = found.eq_ignore_ascii_case(word.as_bytes());
        if same {
            *self = ahead;
        }
        same
    }

    pub fn take_while(&mut self, good: impl Fn(u8) -> bool) -> &'a [u8] {
        let stop = self
            .literals
            .first()
            .map_or(self.text.len(), |(place, _)| *place);
        let rest = self.text.get(self.at..stop).unwrap_or_default();
        let len = rest.iter().position(|&b| !good(b)).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    /// RFC 3501 `tag`.
    pub fn tag(&mut self) -> Result<&'a str, Malformed> {
        let tag = self.take_while(|b| b != b'+' && (is_atom_char(b) || b == b']'));
        match tag.is_empty() || tag.len() > 256 {
            false => Ok(std::str::from_utf8(tag).unwrap_or_default()),
            true => Err(Malformed("no tag")),
        }
    }

    pub fn atom(&mut self) -> Result<&'a str, Malformed> {
        match self.take_while(is_atom_char) {
            [] => Err(Malformed("an atom is missing")),
            atom => Ok(std::str::from_utf8(atom).unwrap_or_default()),
        }
    }

    /// A flag: `\Seen` or a keyword.
    pub fn flag(&mut self) -> Result<String, Malformed> {
        let slash = if self.eat(b'\\') { "\\" } else { "" };
        Ok(format!("{slash}{}", self.atom()?))
    }

    pub fn number(&mut self) -> Result<u64, Malformed> {
        let digits = self.take_while(|b| b.is_ascii_digit());
        std::str::from_utf8(digits)
            .ok()
            .and_then(|d| d.parse().ok())
            .ok_or(Malformed("a number is missing or too large"))
    }

    fn literal(&mut self) -> Option<Bytes> {
        let bytes = self.at_literal()?.clone();
        self.literals = &self.literals[1..];
        Some(bytes)
    }

    /// RFC 3501 `string`.
    pub fn string(&mut self) -> Result<Bytes, Malformed> {
        if let Some(literal) = self.literal() {
            return Ok(literal);
        }
        self.expect(b'"', "a string is missing")?;
        let mut out = Vec::new();
        loop {
            out.extend_from_slice(self.take_while(|b| b != b'"' && b != b'\\'));
            if self.eat(b'"') {
                return Ok(out.into());
            }
            if !self.eat(b'\\') {
                return Err(Malformed("a quoted string does not end"));
            }
            match self.peek() {
                Some(b @ (b'"' | b'\\')) => {
                    out.push(b);
                    self.at += 1;
                }
                _ => return Err(Malformed("a backslash in a string quotes \" and \\ only")),
            }
        }
    }

    /// The message of APPEND: a literal and nothing else.
    pub fn message(&mut self) -> Result<Bytes, Malformed> {
        self.literal().ok_or(Malformed("a literal is missing"))
    }

    fn string_or(&mut self, good: impl Fn(u8) -> bool) -> Result<Bytes, Malformed> {
        if self.at_literal().is_some() || self.peek() == Some(b'"') {
            return self.string();
        }
        match self.take_while(good) {
            [] => Err(Malformed("an argument is missing")),
            found => Ok(Bytes::copy_from_slice(found)),
        }
    }

    /// RFC 3501 `astring`. Octets above 127, which some clients send bare, are taken too.
    pub fn astring(&mut self) -> Result<Bytes, Malformed> {
        self.string_or(|b| is_atom_char(b) || b == b']' || b >= 0x80)
    }

    /// `astring` as UTF-8, for names of users and passwords.
    pub fn utf8(&mut self) -> Result<String, Malformed> {
        String::from_utf8(self.astring()?.to_vec()).map_err(|_| Malformed("not UTF-8"))
    }

    /// RFC 3501 `nstring`, of ID.
    pub fn nstring(&mut self) -> Result<Option<Bytes>, Malformed> {
        if self.eat_word("NIL") {
            return Ok(None);
        }
        self.string().map(Some)
    }

    /// RFC 3501 `list-mailbox`: with wildcards; decoded from modified UTF-7.
    pub fn list_pattern(&mut self) -> Result<String, Malformed> {
        let raw =
            self.string_or(|b| is_atom_char(b) || matches!(b, b'%' | b'*' | b']') || b >= 0x80)?;
        utf7::decode(&raw).ok_or(Malformed("a name that is not modified UTF-7"))
    }

    /// RFC 3501 `mailbox` as text: the rules of names are the caller's, since a bad name is `NO`, not `BAD`.
    pub fn mailbox_text(&mut self) -> Result<String, Malformed> {
        let raw = self.astring()?;
        utf7::decode(&raw).ok_or(Malformed("a name that is not modified UTF-7"))
    }

    /// A mailbox that cannot exist by its name is `Ok(None)`.
    pub fn mailbox(&mut self) -> Result<Option<MailboxName>, Malformed> {
        Ok(MailboxName::new(&self.mailbox_text()?).ok())
    }

    /// `(a b c)`: calls `item` for each element.
    pub fn list(
        &mut self,
        mut item: impl FnMut(&mut Cursor<'a>) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.expect(b'(', "( is missing")?;
        if self.eat(b')') {
            return Ok(());
        }
        for _ in 0..crate::limits::ITEMS_MAX {
            item(self)?;
            if self.eat(b')') {
                return Ok(());
            }
            self.space()?;
        }
        Err(Malformed("too many items in a list"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(text: &str, literals: &[(usize, &str)]) -> Command {
        Command {
            text: text.as_bytes().to_vec(),
            literals: literals
                .iter()
                .map(|(at, t)| (*at, Bytes::copy_from_slice(t.as_bytes())))
                .collect(),
        }
    }

    #[track_caller]
    fn check(text: &str, literals: &[(usize, &str)], expect: &str) {
        let command = command(text, literals);
        let mut cursor = Cursor::new(&command);
        let mut found = Vec::new();
        let shown = loop {
            match cursor.astring() {
                Ok(s) => found.push(String::from_utf8_lossy(&s).into_owned()),
                Err(e) => break e.to_string(),
            }
            if cursor.at_end() {
                break found.join("|");
            }
            if let Err(e) = cursor.space() {
                break e.to_string();
            }
        };
        assert_eq!(shown, expect, "{text:?}");
    }

    #[test]
    fn astrings() {
        check("a b]c", &[], "a|b]c");
        check(r#""a \"b\\" c"#, &[], r#"a "b\|c"#);
        check("a ", &[(2, "x\r\ny")], "a|x\r\ny");
        check("a  b", &[(2, "")], "a||b");
        check("", &[(0, "x")], "x");
        check(r#""a"#, &[], "a quoted string does not end");
        check(
            r#""a\n""#,
            &[],
            "a backslash in a string quotes \" and \\ only",
        );
        check("a  b", &[], "an argument is missing");
        check("(a", &[], "an argument is missing");
        check("a\"b\"", &[], "a space is missing");
        check("ab", &[(1, "x")], "a space is missing");
    }

    #[test]
    fn words_end_where_atoms_end() {
        let command = command("RFC822.SIZE BODY[1]", &[]);
        let mut cursor = Cursor::new(&command);
        assert!(!cursor.eat_word("RFC822"));
        assert!(cursor.eat_word("rfc822.size"));
        assert!(cursor.eat(b' '));
        assert!(cursor.eat_word("BODY"));
        assert_eq!(cursor.peek(), Some(b'['));
    }
}
