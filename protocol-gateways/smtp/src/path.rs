//! Paths in MAIL and RCPT (RFC 5321 §4.1.2) and the parameters after them (§4.1.1.11).

use crate::limits::ADDRESS_BYTES_MAX;

/// Splits `<path> PARAMETERS` into the address without brackets and source route, and the parameters.
/// `None`: not a path. The address is kept as given, quotes included.
pub fn split_path(text: &str) -> Option<(String, &str)> {
    let inner = text.strip_prefix('<')?;
    let end = closing_bracket(inner)?;
    let (path, rest) = (&inner[..end], &inner[end + 1..]);
    if !rest.is_empty() && !rest.starts_with(' ') {
        return None;
    }
    // A source route "SHOULD be ignored" (RFC 5321 appendix C).
    let address = match path.strip_prefix('@') {
        Some(route) => route.split_once(':')?.1,
        None => path,
    };
    (address.len() <= ADDRESS_BYTES_MAX).then(|| (address.to_owned(), rest.trim()))
}

/// The first `>` outside quotes. Spaces and `<` outside quotes are not part of an address.
fn closing_bracket(text: &str) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => return Some(at),
            b' ' | b'<' if !quoted => return None,
            _ => {}
        }
    }
    None
}

/// `KEY` or `KEY=VALUE`, keys in upper case.
pub fn parameters(text: &str) -> impl Iterator<Item = (String, Option<&str>)> {
    text.split_ascii_whitespace()
        .map(|word| match word.split_once('=') {
            Some((key, value)) => (key.to_ascii_uppercase(), Some(value)),
            None => (word.to_ascii_uppercase(), None),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Option<(&str, &str)>) {
        let split = split_path(text);
        let shown = split.as_ref().map(|(a, rest)| (a.as_str(), *rest));
        assert_eq!(shown, expect, "{text:?}");
    }

    #[test]
    fn paths() {
        check("<a@b>", Some(("a@b", "")));
        check("<>", Some(("", "")));
        check("<> SIZE=1", Some(("", "SIZE=1")));
        check("<a@b>  X  Y=Z ", Some(("a@b", "X  Y=Z")));
        check("<\"a> b\"@c>", Some(("\"a> b\"@c", "")));
        check("<\"a\\\"> b\"@c> X", Some(("\"a\\\"> b\"@c", "X")));
        check("<@x,@y:a@b>", Some(("a@b", "")));
        check("<ü@b>", Some(("ü@b", "")));
        check("a@b", None);
        check("<a@b", None);
        check("<a b@c>", None);
        check("<<a@b>>", None);
        check("<a@b>X", None);
        check("<@x>", None);
        check("<\"a@b>", None);
        check("", None);
        let longest = "x".repeat(ADDRESS_BYTES_MAX);
        check(&format!("<{longest}>"), Some((&longest, "")));
        check(&format!("<{longest}x>"), None);
    }
}
