//! ENVELOPE, BODY and BODYSTRUCTURE: RFC 3501 §7.4.2, RFC 9051 §7.5.2.

use engine_service::{Addr, BodyPart, Disposition, Envelope, Facts, Param, PartKind};

/// `("Mon, …" "subject" ((…)) …)`, without the word ENVELOPE.
pub fn envelope(facts: &Facts, out: &mut Vec<u8>) {
    match &facts.envelope {
        Some(envelope) => write_envelope(envelope, out),
        None => write_envelope(&Envelope::default(), out),
    }
}

/// BODY, or with `extended` BODYSTRUCTURE, without the word.
pub fn body_structure(part: &BodyPart, extended: bool, out: &mut Vec<u8>) {
    out.push(b'(');
    if part.kind() == PartKind::Multipart && !part.children.is_empty() {
        for child in &part.children {
            body_structure(child, extended, out);
        }
        out.push(b' ');
        string(part.subtype.as_bytes(), out);
        if extended {
            out.push(b' ');
            params(&part.params, out);
        }
    } else {
        single(part, extended, out);
    }
    if extended {
        out.push(b' ');
        disposition(part.disposition.as_ref(), out);
        out.push(b' ');
        languages(&part.language, out);
        out.push(b' ');
        nstring(part.location.as_deref(), out);
    }
    out.push(b')');
}

/// `body-type-1part` up to and with the MD5 that opens its extension data.
fn single(part: &BodyPart, extended: bool, out: &mut Vec<u8>) {
    string(part.media_type.as_bytes(), out);
    out.push(b' ');
    string(part.subtype.as_bytes(), out);
    out.push(b' ');
    params(&part.params, out);
    for value in [&part.id, &part.description] {
        out.push(b' ');
        nstring(value.as_deref(), out);
    }
    out.push(b' ');
    string(part.encoding.as_bytes(), out);
    let octets = part.body_end.saturating_sub(part.body_start);
    out.extend_from_slice(format!(" {octets}").as_bytes());
    match (part.kind(), part.children.first()) {
        (PartKind::Message, Some(child)) => {
            out.push(b' ');
            write_envelope(&part.envelope.clone().unwrap_or_default(), out);
            out.push(b' ');
            body_structure(child, extended, out);
            out.extend_from_slice(format!(" {}", part.lines).as_bytes());
        }
        (PartKind::Text, _) => out.extend_from_slice(format!(" {}", part.lines).as_bytes()),
        _ => {}
    }
    if extended {
        out.push(b' ');
        nstring(part.md5.as_deref(), out);
    }
}

fn write_envelope(envelope: &Envelope, out: &mut Vec<u8>) {
    out.push(b'(');
    nstring(envelope.date.as_deref(), out);
    out.push(b' ');
    nstring(envelope.subject.as_deref(), out);
    let from = &envelope.from[..];
    for list in [
        from,
        or_from(&envelope.sender, from),
        or_from(&envelope.reply_to, from),
        &envelope.to,
        &envelope.cc,
        &envelope.bcc,
    ] {
        out.push(b' ');
        addresses(list, out);
    }
    for value in [&envelope.in_reply_to, &envelope.message_id] {
        out.push(b' ');
        nstring(value.as_deref(), out);
    }
    out.push(b')');
}

/// Sender and Reply-To are never NIL where From is not.
fn or_from<'a>(list: &'a [Addr], from: &'a [Addr]) -> &'a [Addr] {
    match list {
        [] => from,
        list => list,
    }
}

fn addresses(list: &[Addr], out: &mut Vec<u8>) {
    if list.is_empty() {
        out.extend_from_slice(b"NIL");
        return;
    }
    out.push(b'(');
    for addr in list {
        let values = [&addr.name, &addr.adl, &addr.mailbox, &addr.host];
        for (at, value) in values.into_iter().enumerate() {
            out.push(if at == 0 { b'(' } else { b' ' });
            nstring(value.as_deref(), out);
        }
        out.push(b')');
    }
    out.push(b')');
}

fn params(params: &[Param], out: &mut Vec<u8>) {
    if params.is_empty() {
        out.extend_from_slice(b"NIL");
        return;
    }
    for (at, param) in params.iter().enumerate() {
        out.push(if at == 0 { b'(' } else { b' ' });
        string(&param.name, out);
        out.push(b' ');
        string(&param.value, out);
    }
    out.push(b')');
}

fn disposition(disposition: Option<&Disposition>, out: &mut Vec<u8>) {
    let Some(disposition) = disposition else {
        out.extend_from_slice(b"NIL");
        return;
    };
    out.push(b'(');
    string(disposition.kind.as_bytes(), out);
    out.push(b' ');
    params(&disposition.params, out);
    out.push(b')');
}

/// `body-fld-lang`: one as a string, more in a list.
fn languages(languages: &[String], out: &mut Vec<u8>) {
    match languages {
        [] => out.extend_from_slice(b"NIL"),
        [one] => string(one.as_bytes(), out),
        more => {
            for (at, language) in more.iter().enumerate() {
                out.push(if at == 0 { b'(' } else { b' ' });
                string(language.as_bytes(), out);
            }
            out.push(b')');
        }
    }
}

/// `nstring`: NIL, quoted, or a literal.
pub fn nstring(value: Option<&[u8]>, out: &mut Vec<u8>) {
    match value {
        Some(value) => string(value, out),
        None => out.extend_from_slice(b"NIL"),
    }
}

/// Quoted where RFC 3501 allows it, else a literal. NUL is left out: neither form may carry it.
fn string(value: &[u8], out: &mut Vec<u8>) {
    /// Some clients read quoted strings into small buffers.
    const QUOTED_BYTES_MAX: usize = 1_000;
    let quotable = |octet: &u8| octet.is_ascii() && !b"\0\r\n".contains(octet);
    if value.len() <= QUOTED_BYTES_MAX && value.iter().all(quotable) {
        out.push(b'"');
        for &octet in value {
            if octet == b'"' || octet == b'\\' {
                out.push(b'\\');
            }
            out.push(octet);
        }
        out.push(b'"');
        return;
    }
    let length = value.iter().filter(|octet| **octet != 0).count();
    out.extend_from_slice(format!("{{{length}}}\r\n").as_bytes());
    out.extend(value.iter().filter(|octet| **octet != 0));
}
