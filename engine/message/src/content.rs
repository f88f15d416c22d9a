//! Structured MIME fields (RFC 2045 §5.1, RFC 2183, RFC 3282). Parameters stay as given: RFC 2231 is for the reader.

use crate::limits::{LANGUAGES_MAX, PARAMS_MAX, TOKEN_BYTES_MAX};

/// Names and values, in order.
pub type Params = Vec<(Vec<u8>, Vec<u8>)>;

pub struct ContentType {
    pub media_type: String,
    pub subtype: String,
    pub params: Params,
}

/// `None` where it does not parse: RFC 2045 §5.2 then wants the default.
pub fn content_type(value: &[u8]) -> Option<ContentType> {
    let mut cursor = Cursor { text: value, at: 0 };
    let media_type = cursor.word()?;
    cursor.skip_space();
    if cursor.take() != Some(b'/') {
        return None;
    }
    let subtype = cursor.word()?;
    Some(ContentType {
        media_type,
        subtype,
        params: cursor.params(),
    })
}

/// `Content-Disposition`: its kind and parameters.
pub fn disposition(value: &[u8]) -> Option<(String, Params)> {
    let mut cursor = Cursor { text: value, at: 0 };
    let kind = cursor.word()?;
    Some((kind, cursor.params()))
}

/// A field that is one token, such as `Content-Transfer-Encoding`.
pub fn token(value: &[u8]) -> Option<String> {
    Cursor { text: value, at: 0 }.word()
}

/// `Content-Language`: tokens between commas.
pub fn languages(value: &[u8]) -> Vec<String> {
    let mut cursor = Cursor { text: value, at: 0 };
    let mut found = Vec::new();
    while found.len() < LANGUAGES_MAX {
        found.extend(cursor.word());
        if !cursor.skip_past(b',') {
            break;
        }
    }
    found
}

struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn take(&mut self) -> Option<u8> {
        let next = self.peek()?;
        self.at += 1;
        Some(next)
    }

    /// White space and comments; an open comment runs to the end.
    fn skip_space(&mut self) {
        let mut depth = 0_usize;
        while let Some(next) = self.peek() {
            match next {
                b'(' => depth += 1,
                b')' if depth > 0 => depth -= 1,
                b'\\' if depth > 0 => self.at += 1,
                _ if depth > 0 || next.is_ascii_whitespace() => {}
                _ => return,
            }
            self.at = (self.at + 1).min(self.text.len());
        }
    }

    /// A token (RFC 2045 §5.1) behind white space; `None` where there is none or it is too long.
    fn word(&mut self) -> Option<String> {
        self.skip_space();
        let start = self.at;
        while self.peek().is_some_and(is_token) {
            self.at += 1;
        }
        let word = &self.text[start..self.at];
        if word.is_empty() || word.len() > TOKEN_BYTES_MAX {
            return None;
        }
        Some(String::from_utf8_lossy(word).into_owned())
    }

    /// Goes behind the next `mark` outside of quotes and comments; false at the end.
    fn skip_past(&mut self, mark: u8) -> bool {
        loop {
            self.skip_space();
            match self.peek() {
                None => return false,
                Some(b'"') => drop(self.quoted()),
                Some(next) => {
                    self.at += 1;
                    if next == mark {
                        return true;
                    }
                }
            }
        }
    }

    fn quoted(&mut self) -> Vec<u8> {
        let mut value = Vec::new();
        self.at += 1;
        while let Some(next) = self.take() {
            match next {
                b'"' => break,
                b'\\' => value.extend(self.take()),
                _ => value.push(next),
            }
        }
        value
    }

    fn params(&mut self) -> Params {
        let mut params = Vec::new();
        while params.len() < PARAMS_MAX && self.skip_past(b';') {
            self.skip_space();
            let start = self.at;
            while self.peek().is_some_and(is_token) {
                self.at += 1;
            }
            let name = self.text[start..self.at].to_vec();
            self.skip_space();
            if name.is_empty() || self.peek() != Some(b'=') {
                continue;
            }
            self.at += 1;
            self.skip_space();
            let value = if self.peek() == Some(b'"') {
                self.quoted()
            } else {
                // Wider than a token: real mail leaves `name=a(1).pdf` and `boundary=a=b` unquoted.
                let start = self.at;
                while self
                    .peek()
                    .is_some_and(|next| next != b';' && !next.is_ascii_whitespace())
                {
                    self.at += 1;
                }
                self.text[start..self.at].to_vec()
            };
            params.push((name, value));
        }
        params
    }
}

/// Not one of the tspecials, not a control character. `=` ends a name. 8-bit octets are let through.
fn is_token(octet: u8) -> bool {
    octet > b' ' && octet != 0x7f && !b"()<>@,;:\\\"/[]?=".contains(&octet)
}
