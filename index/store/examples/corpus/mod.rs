//! Messages for trials: a folder of real ones, and as many more as are wanted, each a real one with other words, numbers
//! and ids. Words are exchanged for words of the corpus, so that rare ones stay rare, and a few for new ones.

use std::path::Path;
use std::{fs, io};

pub struct Corpus {
    messages: Vec<Vec<u8>>,
    /// Words as they follow each other in the messages: common ones are here often.
    words: Vec<Vec<u8>>,
}

/// splitmix64.
pub struct Chance(pub u64);

impl Chance {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

const WORDS_MAX: usize = 400_000;

impl Corpus {
    pub fn open(folder: &Path) -> io::Result<Self> {
        let mut paths: Vec<_> = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
        paths.sort_by_key(fs::DirEntry::path);
        let mut messages = Vec::new();
        let mut words = Vec::new();
        for entry in paths {
            let message = fs::read(entry.path())?;
            let spaced = message.split(|octet| *octet == b' ' || *octet == b'\n');
            let plain = spaced.filter(|word| is_word(word)).map(<[u8]>::to_vec);
            words.extend(plain.take(WORDS_MAX - words.len().min(WORDS_MAX)));
            messages.push(message);
        }
        Ok(Self { messages, words })
    }

    /// The same number is always the same message.
    pub fn message(&self, number: usize) -> Vec<u8> {
        let base = &self.messages[number % self.messages.len()];
        if number < self.messages.len() {
            return base.clone();
        }
        let mut chance = Chance(number as u64);
        let mut out = Vec::with_capacity(base.len() + 64);
        for line in base.split_inclusive(|octet| *octet == b'\n') {
            self.vary(line, &mut chance, &mut out);
        }
        out
    }

    fn vary(&self, line: &[u8], chance: &mut Chance, out: &mut Vec<u8>) {
        let lower = line.get(..12).unwrap_or(line).to_ascii_lowercase();
        let ids = [
            "message-id:",
            "date:",
            "received:",
            "in-reply-to:",
            "references:",
            "\t",
        ];
        if ids.iter().any(|name| lower.starts_with(name.as_bytes())) {
            out.extend(line.iter().map(|octet| match octet {
                b'0'..=b'9' => b'0' + chance.below(10) as u8,
                other => *other,
            }));
            return;
        }
        // Tags, encodings and structure stay; and of a header all but the subject.
        let is_text =
            !line.iter().any(|octet| b"<>=:/".contains(octet)) || lower.starts_with(b"subject:");
        if !is_text || line.starts_with(b"--") {
            out.extend_from_slice(line);
            return;
        }
        for word in line.split_inclusive(|octet| *octet == b' ') {
            let bare = word.trim_ascii_end();
            match chance.below(200) {
                0 if is_word(bare) => {
                    out.extend((0..4 + chance.below(8)).map(|_| b'a' + chance.below(26) as u8))
                }
                1..=30 if is_word(bare) => {
                    out.extend_from_slice(&self.words[chance.below(self.words.len())])
                }
                _ => out.extend_from_slice(bare),
            }
            out.extend_from_slice(&word[bare.len()..]);
        }
    }
}

fn is_word(word: &[u8]) -> bool {
    (2..16).contains(&word.len()) && word.iter().all(u8::is_ascii_alphabetic)
}
