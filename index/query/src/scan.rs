//! A look into folded text: whether a tree, or one key of it, is true of a message.

use crate::limits::NEEDLES_APART_MAX;
use crate::tree::{Key, Place, TextKey};
use aho_corasick::AhoCorasick;
use engine_types::EmailId;
use index_store::Half;
use index_text::{FoldedText, own_fields_bytes};
use memchr::{memchr, memmem::Finder};
use std::collections::HashMap;

/// One key, ready to be looked for.
pub struct Look<'a> {
    place: &'a Place,
    finder: Finder<'a>,
    is_empty: bool,
}

impl<'a> Look<'a> {
    pub fn new(key: &'a TextKey) -> Self {
        Self {
            place: &key.place,
            finder: Finder::new(&key.needle),
            is_empty: key.needle.is_empty(),
        }
    }

    pub fn is_in(&self, half: Half, text: &[u8]) -> bool {
        match half {
            Half::Head => self.in_head(text),
            Half::Body => self.in_body(text),
        }
    }

    fn in_head(&self, head: &[u8]) -> bool {
        match self.place {
            Place::Text => self.finds(head),
            Place::Body => false,
            Place::Field(name) => values(head, name).any(|value| self.finds(value)),
        }
    }

    fn in_body(&self, body: &[u8]) -> bool {
        !matches!(self.place, Place::Field(_)) && self.finds(body)
    }

    fn finds(&self, text: &[u8]) -> bool {
        self.is_empty || self.finder.find(text).is_some()
    }

    fn is_true_of(&self, text: &FoldedText) -> bool {
        self.in_head(text.head.as_bytes()) || self.in_body(text.body.as_bytes())
    }
}

/// Values of the message's fields of this name.
fn values<'a>(head: &'a [u8], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = &head[..own_fields_bytes(head)];
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let end = memchr(b'\n', rest).unwrap_or(rest.len());
            let line = &rest[..end];
            rest = rest.get(end + 1..).unwrap_or_default();
            let value = line.strip_prefix(name.as_bytes());
            if let Some(value) = value.and_then(|value| value.strip_prefix(b": ")) {
                return Some(value);
            }
        }
        None
    })
}

/// A whole tree. Each different key is looked for at most once in a message.
pub struct Scan<'a> {
    root: &'a Key,
    numbers: HashMap<&'a TextKey, usize>,
    looks: Vec<Look<'a>>,
    /// All needles at once, if they are many.
    together: Option<Together<'a>>,
}

impl<'a> Scan<'a> {
    pub fn new(root: &'a Key) -> Self {
        let mut keys = Vec::new();
        collect(root, &mut keys);
        let mut numbers = HashMap::new();
        let mut looks = Vec::new();
        for key in keys {
            numbers.entry(key).or_insert_with(|| {
                looks.push(Look::new(key));
                looks.len() - 1
            });
        }
        let together = (looks.len() > NEEDLES_APART_MAX)
            .then(|| Together::new(numbers.keys().copied()))
            .flatten();
        Self {
            root,
            numbers,
            looks,
            together,
        }
    }

    /// Different text keys.
    pub fn keys(&self) -> usize {
        self.looks.len()
    }

    pub fn is_true_of(&self, id: EmailId, text: &FoldedText) -> bool {
        let mut known = vec![None; self.looks.len()];
        if let Some(together) = &self.together {
            together.find(text, &self.numbers, &mut known);
        }
        self.decide(self.root, id, text, &mut known)
    }

    fn decide(
        &self,
        key: &Key,
        id: EmailId,
        text: &FoldedText,
        known: &mut [Option<bool>],
    ) -> bool {
        match key {
            Key::All => true,
            Key::And(keys) => keys.iter().all(|key| self.decide(key, id, text, known)),
            Key::Or(keys) => keys.iter().any(|key| self.decide(key, id, text, known)),
            Key::Not(key) => !self.decide(key, id, text, known),
            Key::Ids(ids) => ids.binary_search(&id).is_ok(),
            Key::Text(key) => {
                let number = self.numbers[key];
                *known[number].get_or_insert_with(|| self.looks[number].is_true_of(text))
            }
        }
    }
}

fn collect<'a>(key: &'a Key, into: &mut Vec<&'a TextKey>) {
    match key {
        Key::And(keys) | Key::Or(keys) => keys.iter().for_each(|key| collect(key, into)),
        Key::Not(key) => collect(key, into),
        Key::Text(key) => into.push(key),
        Key::All | Key::Ids(_) => {}
    }
}

/// Many needles in one pass (Aho and Corasick). Only of those of TEXT and BODY: a field is short.
struct Together<'a> {
    automaton: AhoCorasick,
    keys: Vec<&'a TextKey>,
}

impl<'a> Together<'a> {
    /// `None` if the needles are too many for one automaton.
    fn new(keys: impl Iterator<Item = &'a TextKey>) -> Option<Self> {
        let wide = |key: &&TextKey| !matches!(key.place, Place::Field(_)) && !key.needle.is_empty();
        let keys: Vec<&TextKey> = keys.filter(wide).collect();
        let automaton = AhoCorasick::new(keys.iter().map(|key| &key.needle)).ok()?;
        Some(Self { automaton, keys })
    }

    fn find(
        &self,
        text: &FoldedText,
        numbers: &HashMap<&TextKey, usize>,
        known: &mut [Option<bool>],
    ) {
        for key in &self.keys {
            known[numbers[key]] = Some(false);
        }
        for found in self.automaton.find_overlapping_iter(&text.body) {
            known[numbers[self.keys[found.pattern().as_usize()]]] = Some(true);
        }
        for found in self.automaton.find_overlapping_iter(&text.head) {
            let key = self.keys[found.pattern().as_usize()];
            if key.place == Place::Text {
                known[numbers[key]] = Some(true);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use index_text::FoldedTextBuilder;

    fn sample() -> FoldedText {
        let mut builder = FoldedTextBuilder::new();
        builder.field("Subject", "Fox");
        builder.field("X-List", "");
        builder.part_field("X-Part", "hound");
        builder.body("the quick\r\n brown");
        builder.body("second");
        builder.finish()
    }

    #[track_caller]
    fn check(key: Key, expect: bool) {
        let scan = |root: &Key| Scan::new(root).is_true_of(EmailId(1), &sample());
        assert_eq!(scan(&key), expect, "{key:?}");
        // The same among many others.
        let mut many: Vec<Key> = (0..40)
            .map(|n| Key::text(&format!("absent {n}")).unwrap())
            .collect();
        many.push(key.clone());
        assert_eq!(scan(&Key::Or(many)), expect, "{key:?} among many");
    }

    #[test]
    fn what_is_found_where() {
        check(Key::text("fox").unwrap(), true);
        check(Key::text("subject: f").unwrap(), true);
        check(Key::text("hound").unwrap(), true);
        check(Key::text("quick brown").unwrap(), true);
        check(Key::text("brown second").unwrap(), false);
        check(Key::text("fox hound").unwrap(), false);
        check(Key::body("fox").unwrap(), false);
        check(Key::body("SECOND").unwrap(), true);
        check(Key::header("subject", "o").unwrap(), true);
        check(Key::header("subject", "subject").unwrap(), false);
        check(Key::header("subjec", "").unwrap(), false);
        check(Key::header("x-list", "").unwrap(), true);
        check(Key::header("x-list", " ").unwrap(), false);
        check(Key::header("x-part", "").unwrap(), false);
        check(Key::text("").unwrap(), true);
        check(Key::Not(Box::new(Key::body("").unwrap())), false);
        check(Key::Ids([EmailId(1)].into()), true);
        check(Key::Ids([EmailId(2)].into()), false);
        check(Key::And(vec![]), true);
        check(Key::Or(vec![]), false);
    }
}
