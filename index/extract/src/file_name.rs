//! File names: `filename` of Content-Disposition and `name` of Content-Type, whole or in sections, with a charset of
//! their own (RFC 2231), or with encoded words, which no RFC allows there and most senders write.

use crate::charset::to_text;
use crate::header::decoded;
use crate::limits::NAME_SECTIONS_MAX;
use crate::transfer::hex_pair;

type Params<'a> = [(&'a [u8], &'a [u8])];

/// Each name once.
pub fn file_names(of_type: &Params<'_>, of_disposition: &Params<'_>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let all = names(of_disposition, b"filename").chain(names(of_type, b"name"));
    for name in all {
        if !name.is_empty() && !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

/// The values of one parameter: as it stands, and from sections. Both may be there, for old readers and new ones.
fn names<'a>(params: &'a Params<'a>, wanted: &'a [u8]) -> impl Iterator<Item = String> + 'a {
    let plain = params
        .iter()
        .filter(move |(name, _)| name.eq_ignore_ascii_case(wanted))
        .map(|(_, value)| decoded(value));
    plain.chain(from_sections(params, wanted))
}

/// `name*`, or `name*0`, `name*1*` …: a section whose name ends with an asterisk has percent escapes, and the first of
/// all says the charset.
fn from_sections(params: &Params<'_>, wanted: &[u8]) -> Option<String> {
    let mut sections: Vec<(u32, bool, &[u8])> = params
        .iter()
        .filter_map(|(name, value)| {
            let (number, escaped) = section(name, wanted)?;
            Some((number, escaped, *value))
        })
        .take(NAME_SECTIONS_MAX)
        .collect();
    sections.sort_by_key(|(number, _, _)| *number);
    let (_, escaped, first) = *sections.first()?;
    let mut charset = &b""[..];
    if escaped {
        let mut fields = first.splitn(3, |octet| *octet == b'\'');
        if let (Some(name), Some(_), Some(value)) = (fields.next(), fields.next(), fields.next()) {
            charset = name;
            sections[0].2 = value;
        }
    }
    let mut octets = Vec::new();
    for (_, escaped, value) in sections {
        match escaped {
            true => unescape(value, &mut octets),
            false => octets.extend_from_slice(value),
        }
    }
    Some(to_text(&octets, charset))
}

/// The number of a section of `wanted`, and whether it has escapes.
fn section(name: &[u8], wanted: &[u8]) -> Option<(u32, bool)> {
    let (base, rest) = name.split_at_checked(wanted.len())?;
    let rest = rest.strip_prefix(b"*")?;
    if !base.eq_ignore_ascii_case(wanted) {
        return None;
    }
    if rest.is_empty() {
        return Some((0, true));
    }
    let digits = rest.strip_suffix(b"*").unwrap_or(rest);
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((number, digits.len() < rest.len()))
}

fn unescape(value: &[u8], out: &mut Vec<u8>) {
    let mut rest = value;
    while let Some((first, behind)) = rest.split_first() {
        match (*first == b'%').then(|| hex_pair(behind)).flatten() {
            Some(octet) => {
                out.push(octet);
                rest = &behind[2..];
            }
            None => {
                out.push(*first);
                rest = behind;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(of_type: &[(&str, &str)], of_disposition: &[(&str, &str)], expect: &[&str]) {
        let octets = |params: &[(&'static str, &'static str)]| -> Vec<(&[u8], &[u8])> {
            let pair =
                |(name, value): &(&'static str, &'static str)| (name.as_bytes(), value.as_bytes());
            params.iter().map(pair).collect()
        };
        // The rows are literals; their lifetime is lost by the signature.
        let leak = |params: &[(&str, &str)]| -> Vec<(&'static str, &'static str)> {
            let of = |text: &str| -> &'static str { String::leak(text.to_owned()) };
            params
                .iter()
                .map(|(name, value)| (of(name), of(value)))
                .collect()
        };
        let found = file_names(&octets(&leak(of_type)), &octets(&leak(of_disposition)));
        assert_eq!(found, expect);
    }

    #[test]
    fn names_of_all_kinds() {
        check(&[("name", "a.pdf")], &[("FileName", "a.pdf")], &["a.pdf"]);
        check(&[("name", "=?utf-8?q?=C3=BC.txt?=")], &[], &["ü.txt"]);
        check(&[], &[("filename*", "utf-8''%e2%82%ac%20x")], &["€ x"]);
        let sections = [
            ("filename*1*", "%fc.txt"),
            ("filename*0*", "latin1'de'gr%fc%df"),
        ];
        check(&[], &sections, &["grüßü.txt"]);
        check(
            &[],
            &[("filename*1", "b%20"), ("filename*0", "a")],
            &["ab%20"],
        );
        check(
            &[],
            &[("filename", "old"), ("filename*", "''new")],
            &["old", "new"],
        );
        check(
            &[("names", "x"), ("charset", "y")],
            &[("filename*x", "z")],
            &[],
        );
        check(&[], &[("filename*", "no-quotes%2")], &["no-quotes%2"]);
    }
}
