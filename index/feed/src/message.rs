//! Facts (engine/events) to the tree of parts that `index-extract` reads.

use engine_events::{BodyPart, Facts, Param, PartKind};
use index_extract::{Kind, Part};
use index_text::FoldedText;

/// `octets`: the message as it came in, which the facts' offsets count; `trace`: the fields before it.
pub fn folded_text(facts: &Facts, trace: &[u8], octets: &[u8]) -> FoldedText {
    let Some(root) = &facts.body else {
        return FoldedText::default();
    };
    let header = [trace, between(octets, root.header_start, root.body_start)].concat();
    index_extract::folded_text(&Part {
        header: &header,
        ..part(root, octets)
    })
}

/// What a reader sees of the body, decoded and not folded: some `bytes_max` octets of it.
pub fn body_text(facts: &Facts, octets: &[u8], bytes_max: usize) -> String {
    let root = facts.body.as_ref();
    root.map_or_else(String::new, |root| {
        index_extract::body_text(&part(root, octets), bytes_max)
    })
}

fn part<'a>(facts: &'a BodyPart, octets: &'a [u8]) -> Part<'a> {
    let disposition = facts.disposition.as_ref();
    Part {
        kind: kind(facts),
        header: between(octets, facts.header_start, facts.body_start),
        params: params(&facts.params),
        disposition: disposition.map_or_else(Vec::new, |found| params(&found.params)),
        encoding: &facts.encoding,
        octets: between(octets, facts.body_start, facts.body_end),
        children: facts
            .children
            .iter()
            .map(|child| part(child, octets))
            .collect(),
    }
}

fn kind(facts: &BodyPart) -> Kind {
    let is = |subtype: &str| facts.subtype.eq_ignore_ascii_case(subtype);
    match facts.kind() {
        PartKind::Multipart => Kind::Multipart,
        PartKind::Message => Kind::Message,
        PartKind::Text if is("html") => Kind::Html,
        PartKind::Text => Kind::Text,
        PartKind::Basic if is("xhtml+xml") => Kind::Html,
        PartKind::Basic => Kind::Other,
    }
}

fn params(params: &[Param]) -> Vec<(&[u8], &[u8])> {
    params
        .iter()
        .map(|param| (&param.name[..], &param.value[..]))
        .collect()
}

fn between(octets: &[u8], start: u64, end: u64) -> &[u8] {
    let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    range
        .and_then(|(start, end)| octets.get(start..end))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_with_all_kinds_of_parts() {
        let message = b"Subject: =?utf-8?q?=C3=A4?=\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
            preamble\r\n--b\r\nContent-Type: text/html; charset=iso-8859-1\r\n\r\n<b>\xfc</b>ber\r\n\
            --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\ntext\r\n\
            --b\r\nContent-Disposition: attachment; filename=\"a b.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\
            Content-Type: application/pdf\r\n\r\nAAAA\r\n--b--\r\n";
        let text = folded_text(&engine_message::facts(message), b"", message);
        assert_eq!(
            text.fields(),
            "SUBJECT: A\u{308}\nCONTENT-TYPE: MULTIPART/MIXED; BOUNDARY=B\n"
        );
        assert!(text.head.contains("CONTENT-TRANSFER-ENCODING: BASE64\n"));
        assert_eq!(text.body, "U\u{308}BER\nSUBJECT: IN\nTEXT\nA B.PDF\n");
        let shown = body_text(&engine_message::facts(message), message, 1_000);
        assert_eq!(shown, "über\nSubject: in\ntext\na b.pdf\n");
        let first = body_text(&engine_message::facts(message), message, 1);
        assert_eq!(first, "über\n");
    }

    #[test]
    fn facts_of_another_message() {
        let facts = engine_message::facts(b"Subject: a\r\n\r\nlong text that is not there");
        assert_eq!(folded_text(&facts, b"", b"short"), FoldedText::default());
    }
}
