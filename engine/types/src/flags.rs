//! Flags of a message: system flags and keywords (RFC 9051 §2.3.2).

use crate::limits::KEYWORD_BYTES_MAX;
use std::collections::BTreeSet;
use std::fmt;
use thiserror::Error;

/// The flags that RFC 9051 §2.3.2 defines. `\Recent` is not stored: it is always 0 here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SystemFlag {
    Seen = 0x01,
    Answered = 0x02,
    Flagged = 0x04,
    Deleted = 0x08,
    Draft = 0x10,
}

impl SystemFlag {
    pub const ALL: [SystemFlag; 5] = [
        SystemFlag::Answered,
        SystemFlag::Flagged,
        SystemFlag::Deleted,
        SystemFlag::Seen,
        SystemFlag::Draft,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            SystemFlag::Seen => "\\Seen",
            SystemFlag::Answered => "\\Answered",
            SystemFlag::Flagged => "\\Flagged",
            SystemFlag::Deleted => "\\Deleted",
            SystemFlag::Draft => "\\Draft",
        }
    }
}

/// A keyword: an RFC 9051 `atom`. Compared without regard to ASCII case; the spelling first seen is kept.
#[derive(Clone, Debug)]
pub struct Keyword(String);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flag {
    System(SystemFlag),
    Keyword(Keyword),
}

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum FlagError {
    #[error("a keyword has 1 to {KEYWORD_BYTES_MAX} characters")]
    Length,
    #[error("a keyword is an atom: no spaces, control characters or any of ( ) {{ % * \" \\ ]")]
    NotAnAtom,
    #[error("\\{0} is not a flag that can be set")]
    UnknownSystemFlag(String),
}

impl Keyword {
    pub fn new(text: &str) -> Result<Keyword, FlagError> {
        if text.is_empty() || text.len() > KEYWORD_BYTES_MAX {
            return Err(FlagError::Length);
        }
        let atom_char = |b: u8| {
            b.is_ascii_graphic()
                && !matches!(b, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']')
        };
        if !text.bytes().all(atom_char) {
            return Err(FlagError::NotAnAtom);
        }
        Ok(Keyword(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Keyword {
    fn eq(&self, other: &Keyword) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}
impl Eq for Keyword {}
impl PartialOrd for Keyword {
    fn partial_cmp(&self, other: &Keyword) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Keyword {
    fn cmp(&self, other: &Keyword) -> std::cmp::Ordering {
        let lower = |k: &Keyword| k.0.to_ascii_lowercase();
        lower(self).cmp(&lower(other))
    }
}

impl Flag {
    /// Parses one `flag` of RFC 9051: a system flag in any case, or a keyword.
    pub fn parse(text: &str) -> Result<Flag, FlagError> {
        match text.strip_prefix('\\') {
            None => Keyword::new(text).map(Flag::Keyword),
            Some(name) => SystemFlag::ALL
                .into_iter()
                .find(|flag| flag.as_str()[1..].eq_ignore_ascii_case(name))
                .map(Flag::System)
                .ok_or_else(|| FlagError::UnknownSystemFlag(name.to_owned())),
        }
    }
}

/// A message's flags: a value, ordered, so that equal sets have equal bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    system: u8,
    keywords: BTreeSet<Keyword>,
}

impl Flags {
    pub fn new() -> Flags {
        Flags::default()
    }

    /// Bits above the defined ones are dropped.
    pub fn from_parts(system: u8, keywords: impl IntoIterator<Item = Keyword>) -> Flags {
        Flags {
            system: system & 0x1f,
            keywords: keywords.into_iter().collect(),
        }
    }

    pub fn system_bits(&self) -> u8 {
        self.system
    }

    pub fn keywords(&self) -> impl ExactSizeIterator<Item = &Keyword> {
        self.keywords.iter()
    }

    pub fn has(&self, flag: SystemFlag) -> bool {
        self.system & flag as u8 != 0
    }

    pub fn has_keyword(&self, keyword: &Keyword) -> bool {
        self.keywords.contains(keyword)
    }

    pub fn insert(&mut self, flag: Flag) {
        match flag {
            Flag::System(system) => self.system |= system as u8,
            Flag::Keyword(keyword) => {
                // `replace` would take the newer spelling; the first one stays.
                if !self.keywords.contains(&keyword) {
                    self.keywords.insert(keyword);
                }
            }
        }
    }

    /// `+FLAGS`
    pub fn union(&self, other: &Flags) -> Flags {
        let mut sum = self.clone();
        sum.system |= other.system;
        for keyword in &other.keywords {
            sum.insert(Flag::Keyword(keyword.clone()));
        }
        sum
    }

    /// `-FLAGS`
    pub fn without(&self, other: &Flags) -> Flags {
        Flags {
            system: self.system & !other.system,
            keywords: self
                .keywords
                .iter()
                .filter(|k| !other.keywords.contains(*k))
                .cloned()
                .collect(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.system == 0 && self.keywords.is_empty()
    }
}

impl FromIterator<Flag> for Flags {
    fn from_iter<I: IntoIterator<Item = Flag>>(flags: I) -> Flags {
        let mut set = Flags::new();
        for flag in flags {
            set.insert(flag);
        }
        set
    }
}

/// RFC 9051 `flag-list` without the parentheses: system flags first, then keywords in order.
impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let system = SystemFlag::ALL
            .iter()
            .filter(|flag| self.has(**flag))
            .map(|flag| flag.as_str());
        for (i, name) in system
            .chain(self.keywords.iter().map(|k| k.as_str()))
            .enumerate()
        {
            if i > 0 {
                f.write_str(" ")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let shown = match Flag::parse(text) {
            Ok(flag) => [flag].into_iter().collect::<Flags>().to_string(),
            Err(error) => format!("{error:?}"),
        };
        assert_eq!(shown, expect, "{text}");
    }

    #[test]
    fn parses_flags() {
        check("\\seen", "\\Seen");
        check("$Forwarded", "$Forwarded");
        check("\\Recent", "UnknownSystemFlag(\"Recent\")");
        check("", "Length");
        check("a b", "NotAnAtom");
        check("a]", "NotAnAtom");
        check("é", "NotAnAtom");
    }

    #[test]
    fn keywords_ignore_case_and_keep_the_first_spelling() {
        let set: Flags = ["$Junk", "$JUNK", "a"]
            .iter()
            .map(|k| Flag::parse(k).unwrap())
            .collect();
        assert_eq!(set.to_string(), "$Junk a");
        let gone: Flags = [Flag::parse("$junk").unwrap()].into_iter().collect();
        assert_eq!(set.without(&gone).to_string(), "a");
        assert_eq!(gone.union(&set).to_string(), "$junk a");
    }
}
