//! MD5-CRYPT, `$1$salt$hash`: the thousand rounds that FreeBSD's crypt(3) defined. For verification only: it is weak,
//! and whoever logs in with it is re-hashed.

use super::equal;
use md5::{Digest, Md5};

/// crypt(3)'s own alphabet, lowest six bits first.
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const ROUNDS: usize = 1_000;
const SALT_BYTES_MAX: usize = 8;
/// Sixteen octets, six bits a character.
const HASH_CHARS: usize = 22;
/// The order in which the digest's octets are written, three at a time.
const ORDER: [[usize; 3]; 5] = [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]];

#[derive(Debug)]
pub(crate) struct Md5Crypt {
    salt: String,
    hash: String,
}

/// `None`: not of that form.
pub(crate) fn parse(text: &str) -> Option<Md5Crypt> {
    let (salt, hash) = text.strip_prefix("$1$")?.split_once('$')?;
    let fits = salt.len() <= SALT_BYTES_MAX
        && hash.len() == HASH_CHARS
        && hash.bytes().all(|byte| ALPHABET.contains(&byte));
    fits.then(|| Md5Crypt {
        salt: salt.to_owned(),
        hash: hash.to_owned(),
    })
}

impl Md5Crypt {
    pub(crate) fn matches(&self, password: &[u8]) -> bool {
        let digest = digest(password, self.salt.as_bytes());
        equal(&encode(&digest), self.hash.as_bytes())
    }
}

fn digest(password: &[u8], salt: &[u8]) -> [u8; 16] {
    let inner: [u8; 16] = Md5::new()
        .chain_update(password)
        .chain_update(salt)
        .chain_update(password)
        .finalize()
        .into();
    let mut first = Md5::new()
        .chain_update(password)
        .chain_update(b"$1$")
        .chain_update(salt);
    for piece in password.chunks(inner.len()) {
        first.update(&inner[..piece.len()]);
    }
    // One octet for each bit of the length, the lowest bit first: NUL, or the password's first.
    let mut length = password.len();
    while length != 0 {
        match length & 1 {
            1 => first.update([0]),
            _ => first.update(&password[..1]),
        }
        length >>= 1;
    }
    let mut digest: [u8; 16] = first.finalize().into();
    for round in 0..ROUNDS {
        digest = stretch(round, password, salt, &digest);
    }
    digest
}

fn stretch(round: usize, password: &[u8], salt: &[u8], before: &[u8; 16]) -> [u8; 16] {
    let odd = round % 2 == 1;
    let mut next = Md5::new();
    next.update(if odd { password } else { before });
    if !round.is_multiple_of(3) {
        next.update(salt);
    }
    if !round.is_multiple_of(7) {
        next.update(password);
    }
    next.update(if odd { before } else { password });
    next.finalize().into()
}

fn encode(digest: &[u8; 16]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HASH_CHARS);
    for [high, middle, low] in ORDER {
        let group =
            u32::from(digest[high]) << 16 | u32::from(digest[middle]) << 8 | u32::from(digest[low]);
        push_characters(&mut out, group, 4);
    }
    push_characters(&mut out, u32::from(digest[11]), 2);
    out
}

fn push_characters(out: &mut Vec<u8>, mut bits: u32, characters: usize) {
    for _ in 0..characters {
        out.push(ALPHABET[(bits & 0x3f) as usize]);
        bits >>= 6;
    }
}
