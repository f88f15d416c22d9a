//! The search tree: RFC 9051 §6.4.4, as far as it is about text.

use crate::limits::{DEPTH_MAX, KEYS_MAX, NEEDLE_BYTES_MAX, NEEDLES_BYTES_MAX};
use engine_types::EmailId;
use index_text::{field_name, fold};
use std::sync::Arc;
use thiserror::Error;

/// Refused before any work; the client is told why.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum QueryError {
    #[error("a search has at most {KEYS_MAX} keys")]
    TooManyKeys,
    #[error("search keys nest at most {DEPTH_MAX} deep")]
    TooDeep,
    #[error("a search text has at most {NEEDLE_BYTES_MAX} octets")]
    NeedleTooLong,
    #[error("search texts have at most {NEEDLES_BYTES_MAX} octets together")]
    NeedlesTooLong,
}

#[derive(Clone, Debug)]
pub enum Key {
    All,
    And(Vec<Key>),
    Or(Vec<Key>),
    Not(Box<Key>),
    /// What is joined from elsewhere (flags, dates, UIDs …). Ascending.
    Ids(Arc<[EmailId]>),
    Text(TextKey),
}

/// Where a needle is looked for. What is found where: `index-extract`'s table.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Text,
    Body,
    /// The values of fields of this name.
    Field(String),
}

/// Text that a message must have, folded. An empty one is in every message, but in fields only if there is such a field.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TextKey {
    pub(crate) place: Place,
    pub(crate) needle: String,
}

impl TextKey {
    fn new(place: Place, needle: &str) -> Result<Self, QueryError> {
        if needle.len() > NEEDLE_BYTES_MAX {
            return Err(QueryError::NeedleTooLong);
        }
        let needle = fold(needle);
        Ok(Self { place, needle })
    }
}

impl Key {
    /// TEXT: anywhere.
    pub fn text(needle: &str) -> Result<Self, QueryError> {
        TextKey::new(Place::Text, needle).map(Key::Text)
    }

    /// BODY.
    pub fn body(needle: &str) -> Result<Self, QueryError> {
        TextKey::new(Place::Body, needle).map(Key::Text)
    }

    /// HEADER; with the fields' own names also FROM, TO, CC, BCC and SUBJECT.
    pub fn header(name: &str, needle: &str) -> Result<Self, QueryError> {
        TextKey::new(Place::Field(field_name(name)), needle).map(Key::Text)
    }
}

/// A tree within its bounds.
#[derive(Clone, Debug)]
pub struct Query {
    pub(crate) root: Key,
}

impl Query {
    pub fn new(root: Key) -> Result<Self, QueryError> {
        let mut left = Left {
            keys: KEYS_MAX,
            needle_bytes: NEEDLES_BYTES_MAX,
        };
        left.take(&root, DEPTH_MAX)?;
        Ok(Self { root })
    }
}

/// What a tree may still have.
struct Left {
    keys: usize,
    needle_bytes: usize,
}

impl Left {
    fn take(&mut self, key: &Key, depth: usize) -> Result<(), QueryError> {
        let depth = depth.checked_sub(1).ok_or(QueryError::TooDeep)?;
        self.keys = self.keys.checked_sub(1).ok_or(QueryError::TooManyKeys)?;
        match key {
            Key::And(keys) | Key::Or(keys) => keys.iter().try_for_each(|key| self.take(key, depth)),
            Key::Not(key) => self.take(key, depth),
            Key::Text(key) => {
                let left = self.needle_bytes.checked_sub(key.needle.len());
                self.needle_bytes = left.ok_or(QueryError::NeedlesTooLong)?;
                Ok(())
            }
            Key::All | Key::Ids(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds() {
        let check = |key: Key, expect: Option<QueryError>| {
            assert_eq!(Query::new(key).err(), expect);
        };
        check(Key::And(vec![Key::All; KEYS_MAX - 1]), None);
        check(
            Key::And(vec![Key::All; KEYS_MAX]),
            Some(QueryError::TooManyKeys),
        );
        let nested = |depth| (1..depth).fold(Key::All, |key, _| Key::Not(Box::new(key)));
        check(nested(DEPTH_MAX), None);
        check(nested(DEPTH_MAX + 1), Some(QueryError::TooDeep));
        let many = vec![Key::text(&"x".repeat(NEEDLE_BYTES_MAX)).unwrap(); 65];
        check(Key::Or(many), Some(QueryError::NeedlesTooLong));
        let long = "x".repeat(NEEDLE_BYTES_MAX + 1);
        assert_eq!(Key::text(&long).err(), Some(QueryError::NeedleTooLong));
        assert!(Key::text(&long[1..]).is_ok());
    }
}
