//! Address lists (RFC 5322 §3.4, with the obsolete forms of §4.4), from fields that need not follow it.

use crate::limits::ADDRESSES_MAX;
use bytes::Bytes;
use engine_events::Addr;

/// All that looks like an address, in order; groups as RFC 9051 §7.5.2 marks them. A word without a domain has an
/// empty host, since an absent one would be a group.
pub fn addresses(value: &[u8]) -> Vec<Addr> {
    let mut list = List {
        text: value,
        at: 0,
        comment: None,
    };
    let mut found = Vec::new();
    let mut in_group = false;
    while found.len() < ADDRESSES_MAX {
        list.comment = None;
        let words = list.words(b",;:<@");
        match list.take() {
            Some(b':') if !in_group => {
                in_group = true;
                found.push(Addr {
                    mailbox: Some(words.phrase()),
                    ..Addr::default()
                });
                continue;
            }
            Some(b'<') => found.push(list.angle(words)),
            Some(b'@') => {
                let host = list.words(b",;<").joined();
                // `a@b <c@d>`: the first was meant as a name.
                if list.peek() == Some(b'<') {
                    list.at += 1;
                    let mut name = words.joined().to_vec();
                    name.push(b'@');
                    name.extend_from_slice(&host);
                    found.push(list.angle(Words::one(name)));
                } else {
                    found.push(Addr {
                        name: list.comment.take(),
                        mailbox: Some(words.joined()),
                        host: Some(host),
                        ..Addr::default()
                    });
                    list.finish(&mut in_group, &mut found);
                    continue;
                }
            }
            Some(mark) => {
                if !words.is_empty() {
                    found.push(words.bare());
                }
                if mark == b';' && in_group {
                    in_group = false;
                    found.push(Addr::default());
                }
                continue;
            }
            None => {
                if !words.is_empty() {
                    found.push(words.bare());
                }
                break;
            }
        }
        list.finish(&mut in_group, &mut found);
    }
    if in_group {
        found.push(Addr::default());
    }
    found
}

/// Atoms and quoted strings as they came.
#[derive(Default)]
struct Words {
    words: Vec<Vec<u8>>,
}

impl Words {
    fn one(word: Vec<u8>) -> Words {
        Words { words: vec![word] }
    }

    fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    fn phrase(&self) -> Bytes {
        Bytes::from(self.words.join(&b' '))
    }

    /// A local part or a domain: white space within is folding (obsolete syntax).
    fn joined(&self) -> Bytes {
        Bytes::from(self.words.concat())
    }

    fn bare(&self) -> Addr {
        Addr {
            mailbox: Some(self.phrase()),
            host: Some(Bytes::new()),
            ..Addr::default()
        }
    }
}

struct List<'a> {
    text: &'a [u8],
    at: usize,
    /// The last comment seen: `user@host (Full Name)`.
    comment: Option<Bytes>,
}

impl List<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn take(&mut self) -> Option<u8> {
        let next = self.peek()?;
        self.at += 1;
        Some(next)
    }

    /// Words up to one of `stops` or the end. Stray brackets are passed over.
    fn words(&mut self, stops: &[u8]) -> Words {
        let mut found = Words::default();
        while let Some(next) = self.peek() {
            match next {
                _ if stops.contains(&next) => break,
                b'(' => self.comment = Some(self.skip_comment()),
                b'"' => {
                    let word = self.quoted();
                    found.words.push(word);
                }
                _ if next.is_ascii_whitespace() || b")>".contains(&next) => self.at += 1,
                _ => {
                    let start = self.at;
                    self.at += 1;
                    while self.peek().is_some_and(|next| {
                        !stops.contains(&next)
                            && !next.is_ascii_whitespace()
                            && !b"()\"<>".contains(&next)
                    }) {
                        self.at += 1;
                    }
                    found.words.push(self.text[start..self.at].to_vec());
                }
            }
        }
        found
    }

    /// Behind `<`, up to and behind `>`.
    fn angle(&mut self, name: Words) -> Addr {
        let mut adl = None;
        let mut local = self.words(b"@>,:");
        // Source route, `<@a,@b:user@host>`: RFC 5322 §4.4.
        if local.is_empty() && self.peek() == Some(b'@') {
            let start = self.at;
            let route = self.text[start..].iter().position(|o| b":>".contains(o));
            if let Some(length) = route.filter(|length| self.text[start + length] == b':') {
                adl = Some(Bytes::copy_from_slice(
                    self.text[start..start + length].trim_ascii(),
                ));
                self.at = start + length + 1;
                local = self.words(b"@>,:");
            }
        }
        let mut host = Bytes::new();
        if self.peek() == Some(b'@') {
            self.at += 1;
            host = self.words(b">,").joined();
        }
        if self.peek() == Some(b'>') {
            self.at += 1;
        }
        let name = if name.is_empty() {
            self.comment.take()
        } else {
            Some(name.phrase())
        };
        Addr {
            name,
            adl,
            mailbox: Some(local.joined()),
            host: Some(host),
        }
    }

    /// Goes behind the comma or semicolon that ends an address; what stands between is dropped.
    fn finish(&mut self, in_group: &mut bool, found: &mut Vec<Addr>) {
        self.words(b",;");
        if let Some(last) = found.last_mut()
            && last.name.is_none()
            && last.host.is_some()
        {
            last.name = self.comment.take();
        }
        if self.take() == Some(b';') && *in_group {
            *in_group = false;
            found.push(Addr::default());
        }
    }

    /// The comment's text, nested ones included.
    fn skip_comment(&mut self) -> Bytes {
        self.at += 1;
        let mut text = Vec::new();
        let mut depth = 1_usize;
        while let Some(next) = self.take() {
            match next {
                b'(' => depth += 1,
                b')' => {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                }
                b'\\' => {
                    text.extend(self.take());
                    continue;
                }
                _ => {}
            }
            text.push(next);
        }
        Bytes::copy_from_slice(text.trim_ascii())
    }

    fn quoted(&mut self) -> Vec<u8> {
        self.at += 1;
        let mut value = Vec::new();
        while let Some(next) = self.take() {
            match next {
                b'"' => break,
                b'\\' => value.extend(self.take()),
                _ => value.push(next),
            }
        }
        value
    }
}
