//! The text that HTML shows, by the states of the standard's tokenizer (§13.2.5), a character at a time.

use encoding_rs::WINDOWS_1252;

const WITHIN_A_LINE: &str = " a abbr acronym b bdi bdo big cite code del dfn em font i ins kbd label mark nobr q s samp \
                             small span strike strong sub sup tt u var wbr ";

struct Page {
    chars: Vec<char>,
    at: usize,
    out: String,
}

pub fn shown(html: &str) -> String {
    let mut page = Page {
        chars: html.chars().collect(),
        at: 0,
        out: String::new(),
    };
    while page.at < page.chars.len() {
        match page.chars[page.at] {
            '<' => page.markup(),
            '&' => page.reference(),
            other => {
                page.out.push(other);
                page.at += 1;
            }
        }
    }
    page.out
}

impl Page {
    fn peek(&self, ahead: usize) -> char {
        // U+0000 stands for the end; it is no letter and no mark.
        self.chars.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn stands(&self, at: usize, text: &str) -> bool {
        text.chars().enumerate().all(|(n, c)| {
            self.chars
                .get(at + n)
                .is_some_and(|have| have.eq_ignore_ascii_case(&c))
        })
    }

    /// Goes behind the next `text` from `from` on.
    fn go_behind(&mut self, from: usize, text: &str) {
        let mut at = from;
        while at < self.chars.len() {
            if self.stands(at, text) {
                self.at = at + text.len();
                return;
            }
            at += 1;
        }
        self.at = self.chars.len();
    }

    fn markup(&mut self) {
        let next = self.peek(1);
        if self.stands(self.at, "<!--") {
            self.go_behind(self.at + 2, "-->");
        } else if next.is_ascii_alphabetic() {
            let name = self.tag(1);
            if name == "script" || name == "style" {
                self.skip_raw(&name);
            }
        } else if next == '/' && self.peek(2).is_ascii_alphabetic() {
            self.tag(2);
        } else if next == '!' || next == '?' || (next == '/' && self.at + 2 < self.chars.len()) {
            self.go_behind(self.at, ">");
        } else {
            self.out.push('<');
            self.at += 1;
        }
    }

    fn tag(&mut self, skip: usize) -> String {
        self.at += skip;
        let mut name = String::new();
        while self.at < self.chars.len() && !self.ends_name(self.at) {
            name.push(self.chars[self.at].to_ascii_lowercase());
            self.at += 1;
        }
        if !WITHIN_A_LINE.contains(&format!(" {name} ")) {
            self.out.push(' ');
        }
        let mut behind_equals = false;
        while self.at < self.chars.len() {
            let c = self.chars[self.at];
            self.at += 1;
            if c == '>' {
                break;
            } else if behind_equals && (c == '"' || c == '\'') {
                while self.at < self.chars.len() && self.chars[self.at] != c {
                    self.at += 1;
                }
                self.at += 1;
                behind_equals = false;
            } else if c == '=' {
                behind_equals = true;
            } else if !c.is_ascii_whitespace() {
                behind_equals = false;
            }
        }
        self.at = self.at.min(self.chars.len());
        name
    }

    fn ends_name(&self, at: usize) -> bool {
        self.chars
            .get(at)
            .is_none_or(|c| c.is_ascii_whitespace() || *c == '/' || *c == '>')
    }

    fn skip_raw(&mut self, name: &str) {
        let end = format!("</{name}");
        while self.at < self.chars.len() {
            if self.stands(self.at, &end) && self.ends_name(self.at + end.len()) {
                return;
            }
            self.at += 1;
        }
    }

    fn reference(&mut self) {
        let rest: String = self.chars[self.at + 1..].iter().take(40).collect();
        if let Some(number) = rest.strip_prefix('#') {
            let is_hex = number.starts_with(['x', 'X']);
            let radix = if is_hex { 16 } else { 10 };
            let skip = 2 + usize::from(is_hex);
            let mut digits = String::new();
            while self.peek(skip + digits.len()).is_digit(radix) {
                digits.push(self.peek(skip + digits.len()));
            }
            if !digits.is_empty() {
                let semicolon = usize::from(self.peek(skip + digits.len()) == ';');
                self.at += skip + digits.len() + semicolon;
                let code = digits.chars().fold(0_u32, |sum, digit| {
                    sum.saturating_mul(radix)
                        .saturating_add(digit.to_digit(radix).unwrap())
                });
                let octets = [code as u8];
                match code {
                    0 => self.out.push('\u{fffd}'),
                    128..=159 => self
                        .out
                        .push_str(&WINDOWS_1252.decode_without_bom_handling(&octets).0),
                    _ => self.out.push(char::from_u32(code).unwrap_or('\u{fffd}')),
                }
                return;
            }
        } else {
            let name: String = rest
                .chars()
                .take_while(char::is_ascii_alphanumeric)
                .collect();
            let with = format!("&{name};");
            let without = format!("&{name}");
            let known = |wanted: &str| {
                entities::ENTITIES
                    .iter()
                    .find(|entity| entity.entity == wanted)
            };
            let semicolon = rest[name.len()..].starts_with(';');
            let found = known(&with)
                .filter(|_| semicolon)
                .or_else(|| known(&without));
            if let Some(entity) = found.filter(|_| !name.is_empty()) {
                self.out.push_str(entity.characters);
                self.at += 1 + name.len() + usize::from(semicolon);
                return;
            }
        }
        self.out.push('&');
        self.at += 1;
    }
}
