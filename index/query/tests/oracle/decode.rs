//! Transfer encodings, charsets, encoded words, parameters: RFC 2045, 2047, 2231.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use engine_events::{BodyPart, Param};

pub fn text(octets: &[u8], part: &BodyPart) -> String {
    let body = &octets[part.body_start as usize..part.body_end as usize];
    let decoded = match part.encoding.trim().to_lowercase().as_str() {
        "base64" => base64(body),
        "quoted-printable" => quoted_printable(body),
        _ => body.to_vec(),
    };
    let charset = part
        .params
        .iter()
        .find(|param| lower(&param.name) == "charset");
    charset_text(
        &decoded,
        charset
            .map_or("".into(), |param| lower(&param.value))
            .as_str(),
    )
}

fn lower(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).to_lowercase()
}

fn charset_text(octets: &[u8], label: &str) -> String {
    let label = label.trim();
    let known = match label {
        "us-ascii" | "ascii" => None,
        "latin9" => Encoding::for_label(b"iso-8859-15"),
        _ => Encoding::for_label_no_replacement(label.as_bytes()),
    };
    match known {
        Some(encoding) => encoding.decode_without_bom_handling(octets).0.into_owned(),
        None => UTF_8
            .decode_without_bom_handling_and_without_replacement(octets)
            .map_or_else(
                || {
                    WINDOWS_1252
                        .decode_without_bom_handling(octets)
                        .0
                        .into_owned()
                },
                |text| text.into_owned(),
            ),
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Group by group; padding ends a group early.
fn base64(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut group: Vec<usize> = Vec::new();
    let mut end = |group: &mut Vec<usize>| {
        let bits: String = group.iter().map(|value| format!("{value:06b}")).collect();
        for octet in bits.as_bytes().chunks_exact(8) {
            let octet = std::str::from_utf8(octet).unwrap();
            out.push(u8::from_str_radix(octet, 2).unwrap());
        }
        group.clear();
    };
    for octet in octets {
        if let Some(value) = ALPHABET.iter().position(|letter| letter == octet) {
            group.push(value);
        }
        if group.len() == 4 || *octet == b'=' {
            end(&mut group);
        }
    }
    end(&mut group);
    out
}

fn hex(digits: Option<&[u8]>) -> Option<u8> {
    let digits = digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn quoted_printable(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < octets.len() {
        if octets[at] != b'=' {
            out.push(octets[at]);
            at += 1;
            continue;
        }
        if let Some(octet) = hex(octets.get(at + 1..at + 3)) {
            out.push(octet);
            at += 3;
            continue;
        }
        let mut end = at + 1;
        while matches!(octets.get(end), Some(b' ' | b'\t')) {
            end += 1;
        }
        if end == octets.len() {
            at = end;
        } else if octets[end] == b'\n' {
            at = end + 1;
        } else if octets[end..].starts_with(b"\r\n") {
            at = end + 2;
        } else {
            out.push(b'=');
            at += 1;
        }
    }
    out
}

/// A piece of a header: an encoded word with its charset, or other octets.
enum Piece {
    Word(String, Vec<u8>),
    Plain(Vec<u8>),
}

/// `=?charset?encoding?text?=`, and how many octets it is.
fn word(octets: &[u8]) -> Option<(Piece, usize)> {
    let behind = octets.strip_prefix(b"=?")?;
    let mut fields = behind.splitn(4, |octet| *octet == b'?');
    let (charset, encoding, text, rest) = (
        fields.next()?,
        fields.next()?,
        fields.next()?,
        fields.next()?,
    );
    if rest.first() != Some(&b'=') {
        return None;
    }
    let decoded = match encoding {
        b"B" | b"b" => base64(text),
        b"Q" | b"q" => {
            let spaced: Vec<u8> = text
                .iter()
                .map(|o| if *o == b'_' { b' ' } else { *o })
                .collect();
            quoted_printable(&spaced)
        }
        _ => return None,
    };
    let charset = lower(charset);
    let charset = charset.split('*').next().unwrap_or_default().to_owned();
    let length = 2 + charset_length(behind) + 1 + encoding.len() + 1 + text.len() + 2;
    Some((Piece::Word(charset, decoded), length))
}

fn charset_length(behind: &[u8]) -> usize {
    behind
        .iter()
        .position(|octet| *octet == b'?')
        .unwrap_or(behind.len())
}

pub fn words(value: &[u8]) -> String {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut at = 0;
    while at < value.len() {
        if let Some((piece, length)) = word(&value[at..]) {
            pieces.push(piece);
            at += length;
            continue;
        }
        match pieces.last_mut() {
            Some(Piece::Plain(octets)) => octets.push(value[at]),
            _ => pieces.push(Piece::Plain(vec![value[at]])),
        }
        at += 1;
    }
    // White space between two words is not there; then words of one charset are one.
    let mut joined: Vec<Piece> = Vec::new();
    let mut pieces = pieces.into_iter().peekable();
    while let Some(piece) = pieces.next() {
        match piece {
            Piece::Plain(octets)
                if octets.trim_ascii().is_empty()
                    && matches!(joined.last(), Some(Piece::Word(..)))
                    && matches!(pieces.peek(), Some(Piece::Word(..))) => {}
            Piece::Word(charset, octets) => match joined.last_mut() {
                Some(Piece::Word(before, all)) if *before == charset => all.extend(octets),
                _ => joined.push(Piece::Word(charset, octets)),
            },
            plain => joined.push(plain),
        }
    }
    let text = |piece: &Piece| match piece {
        Piece::Word(charset, octets) => charset_text(octets, charset),
        Piece::Plain(octets) => charset_text(octets, ""),
    };
    joined.iter().map(text).collect()
}

/// RFC 2231's and plain values of a parameter.
pub fn names(params: &[Param], wanted: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut sections = Vec::new();
    for param in params {
        let name = lower(&param.name);
        if name == wanted {
            found.push(words(&param.value));
        } else if let Some(rest) = name
            .strip_prefix(wanted)
            .and_then(|rest| rest.strip_prefix('*'))
        {
            let escaped = rest.is_empty() || rest.ends_with('*');
            let digits = rest.trim_end_matches('*');
            match digits.parse::<u32>() {
                Ok(number) => sections.push((number, escaped, param.value.to_vec())),
                Err(_) if rest.is_empty() => sections.push((0, true, param.value.to_vec())),
                Err(_) => {}
            }
        }
    }
    sections.sort_by_key(|(number, ..)| *number);
    let mut charset = String::new();
    if let Some((_, true, value)) = sections.first_mut() {
        let quotes: Vec<usize> = (0..value.len()).filter(|at| value[*at] == b'\'').collect();
        if let [first, second, ..] = quotes[..] {
            charset = lower(&value[..first]);
            value.drain(..=second);
        }
    }
    let mut octets = Vec::new();
    let any = !sections.is_empty();
    for (_, escaped, value) in sections {
        let mut at = 0;
        while at < value.len() {
            let octet = (escaped && value[at] == b'%')
                .then(|| hex(value.get(at + 1..at + 3)))
                .flatten();
            at += if octet.is_some() { 3 } else { 1 };
            octets.push(octet.unwrap_or(value[at - 1]));
        }
    }
    if any {
        found.push(charset_text(&octets, &charset));
    }
    found.retain(|name| !name.is_empty());
    found
}
