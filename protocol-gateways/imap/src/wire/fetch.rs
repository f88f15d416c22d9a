//! What FETCH asks for: RFC 3501 §9 `fetch-att`, and CHANGEDSINCE of RFC 7162 §3.1.4.

use super::cursor::{Cursor, Malformed};
use super::set::SequenceSet;
use crate::limits::{ITEMS_MAX, NESTING_MAX};
use crate::render::{Section, SectionText};
use engine_types::ModSeq;
use std::fmt::Write as _;

#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    Uid,
    Flags,
    InternalDate,
    /// RFC 8514 §4.2.
    SaveDate,
    Size,
    Envelope,
    /// BODY without brackets.
    Body,
    BodyStructure,
    ModSeq,
    Text(TextItem),
}

/// Octets of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct TextItem {
    pub section: Section,
    pub partial: Option<(u64, u64)>,
    pub peek: bool,
    /// As the answer names it: `BODY[1.TEXT]<0>`, `RFC822`.
    pub label: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FetchRequest {
    pub set: SequenceSet,
    pub items: Vec<Item>,
    pub changed_since: Option<ModSeq>,
}

pub fn parse(mut cursor: Cursor<'_>) -> Result<FetchRequest, Malformed> {
    cursor.space()?;
    let set = SequenceSet::parse(&mut cursor)?;
    cursor.space()?;
    let mut items = Vec::new();
    if cursor.peek() == Some(b'(') {
        cursor.list(|c| item(c, &mut items))?;
    } else if !macro_items(&mut cursor, &mut items) {
        item(&mut cursor, &mut items)?;
    }
    if items.is_empty() {
        return Err(Malformed("FETCH takes at least one item"));
    }
    let mut changed_since = None;
    if !cursor.at_end() {
        cursor.space()?;
        cursor.list(|c| {
            if !c.eat_word("CHANGEDSINCE") {
                return Err(Malformed("FETCH takes CHANGEDSINCE"));
            }
            c.space()?;
            changed_since = Some(ModSeq(c.number()?));
            Ok(())
        })?;
        cursor.end()?;
    }
    Ok(FetchRequest {
        set,
        items,
        changed_since,
    })
}

/// RFC 3501 §6.4.5: a macro stands alone, not in a list.
fn macro_items(cursor: &mut Cursor<'_>, items: &mut Vec<Item>) -> bool {
    let fast = [Item::Flags, Item::InternalDate, Item::Size];
    let more: &[Item] = if cursor.eat_word("ALL") {
        &[Item::Envelope]
    } else if cursor.eat_word("FULL") {
        &[Item::Envelope, Item::Body]
    } else if cursor.eat_word("FAST") {
        &[]
    } else {
        return false;
    };
    items.extend(fast.into_iter().chain(more.iter().cloned()));
    true
}

fn item(cursor: &mut Cursor<'_>, items: &mut Vec<Item>) -> Result<(), Malformed> {
    let simple = [
        ("UID", Item::Uid),
        ("FLAGS", Item::Flags),
        ("INTERNALDATE", Item::InternalDate),
        ("SAVEDATE", Item::SaveDate),
        ("RFC822.SIZE", Item::Size),
        ("ENVELOPE", Item::Envelope),
        ("BODYSTRUCTURE", Item::BodyStructure),
        ("MODSEQ", Item::ModSeq),
        ("RFC822", whole("RFC822", SectionText::Whole, false)),
        (
            "RFC822.HEADER",
            whole("RFC822.HEADER", SectionText::Header, true),
        ),
        (
            "RFC822.TEXT",
            whole("RFC822.TEXT", SectionText::Text, false),
        ),
    ];
    if let Some((_, item)) = simple.into_iter().find(|(name, _)| cursor.eat_word(name)) {
        if !items.contains(&item) {
            items.push(item);
        }
        return Ok(());
    }
    let peek = cursor.eat_word("BODY.PEEK");
    if !peek && !cursor.eat_word("BODY") {
        return Err(Malformed("this FETCH item is not known"));
    }
    if cursor.eat(b'[') {
        items.push(section(cursor, peek)?);
    } else if peek {
        return Err(Malformed("BODY.PEEK takes a section"));
    } else if !items.contains(&Item::Body) {
        items.push(Item::Body);
    }
    match items.len() > ITEMS_MAX {
        true => Err(Malformed("too many FETCH items")),
        false => Ok(()),
    }
}

fn whole(label: &str, text: SectionText, peek: bool) -> Item {
    Item::Text(TextItem {
        section: Section {
            part: Vec::new(),
            text,
        },
        partial: None,
        peek,
        label: label.to_owned(),
    })
}

/// Behind `[`.
fn section(cursor: &mut Cursor<'_>, peek: bool) -> Result<Item, Malformed> {
    let mut part = Vec::new();
    let mut label = "BODY[".to_owned();
    let mut text = SectionText::Whole;
    loop {
        let more_parts = cursor.peek().is_some_and(|b| b.is_ascii_digit());
        if more_parts {
            let number = u32::try_from(cursor.number()?).unwrap_or(0);
            // RFC 3501 §9 `section-part`: nz-number.
            if number == 0 || part.len() == 4 * NESTING_MAX {
                return Err(Malformed("there is no such part"));
            }
            let dot = if part.is_empty() { "" } else { "." };
            let _ = write!(label, "{dot}{number}");
            part.push(number);
            if cursor.eat(b'.') {
                continue;
            }
        } else if cursor.peek() != Some(b']') {
            if !part.is_empty() {
                label.push('.');
            }
            text = section_text(cursor, &mut label, !part.is_empty())?;
        } else if !part.is_empty() {
            return Err(Malformed("a part number is missing"));
        }
        break;
    }
    cursor.expect(b']', "] is missing")?;
    label.push(']');
    let partial = partial(cursor)?;
    if let Some((from, _)) = partial {
        let _ = write!(label, "<{from}>");
    }
    Ok(Item::Text(TextItem {
        section: Section { part, text },
        partial,
        peek,
        label,
    }))
}

fn section_text(
    cursor: &mut Cursor<'_>,
    label: &mut String,
    in_part: bool,
) -> Result<SectionText, Malformed> {
    let mut put = |text: &str| label.push_str(text);
    if cursor.eat_word("HEADER") {
        put("HEADER");
        return Ok(SectionText::Header);
    }
    if cursor.eat_word("TEXT") {
        put("TEXT");
        return Ok(SectionText::Text);
    }
    if in_part && cursor.eat_word("MIME") {
        put("MIME");
        return Ok(SectionText::Mime);
    }
    let not = cursor.eat_word("HEADER.FIELDS.NOT");
    if !not && !cursor.eat_word("HEADER.FIELDS") {
        return Err(Malformed("this section is not known"));
    }
    put(if not {
        "HEADER.FIELDS.NOT ("
    } else {
        "HEADER.FIELDS ("
    });
    cursor.space()?;
    let mut names = Vec::new();
    cursor.list(|c| {
        let name = c.utf8()?;
        // RFC 5322 §2.2 `ftext`; anything else names no field, and could break the answer's line.
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic() && b != b':') {
            return Err(Malformed("this is not a header field's name"));
        }
        names.push(name);
        Ok(())
    })?;
    if names.is_empty() {
        return Err(Malformed("a header field's name is missing"));
    }
    let shown: Vec<String> = names.iter().map(|n| shown_name(n)).collect();
    put(&shown.join(" "));
    put(")");
    Ok(match not {
        true => SectionText::HeaderFieldsNot(names),
        false => SectionText::HeaderFields(names),
    })
}

fn shown_name(name: &str) -> String {
    match name.bytes().all(super::cursor::is_atom_char) {
        true => name.to_owned(),
        false => format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"")),
    }
}

/// `<0.2048>`
fn partial(cursor: &mut Cursor<'_>) -> Result<Option<(u64, u64)>, Malformed> {
    if !cursor.eat(b'<') {
        return Ok(None);
    }
    let from = cursor.number()?;
    cursor.expect(b'.', "a partial is <from.count>")?;
    let count = cursor.number()?;
    cursor.expect(b'>', "> is missing")?;
    match count {
        0 => Err(Malformed("a partial has at least one octet")),
        _ => Ok(Some((from, count))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::cursor::Command;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let command = Command {
            text: format!(" 1 {text}").into_bytes(),
            literals: Vec::new(),
        };
        let shown = match parse(Cursor::new(&command)) {
            Err(e) => e.to_string(),
            Ok(request) => {
                let show = |item: &Item| match item {
                    Item::Text(t) => format!("{}{}", if t.peek { "peek " } else { "" }, t.label),
                    other => format!("{other:?}"),
                };
                request
                    .items
                    .iter()
                    .map(show)
                    .collect::<Vec<_>>()
                    .join(" | ")
            }
        };
        assert_eq!(shown, expect, "{text}");
    }

    #[test]
    fn items() {
        check("FAST", "Flags | InternalDate | Size");
        check("full", "Flags | InternalDate | Size | Envelope | Body");
        check("(UID RFC822.SIZE Flags)", "Uid | Size | Flags");
        check("(FLAGS FLAGS)", "Flags");
        check("BODY", "Body");
        check("BODYSTRUCTURE", "BodyStructure");
        check("RFC822", "RFC822");
        check("RFC822.HEADER", "peek RFC822.HEADER");
        check("body[]", "BODY[]");
        check("BODY.PEEK[1.2.mime]", "peek BODY[1.2.MIME]");
        check("BODY[3]<0.10>", "BODY[3]<0>");
        check(
            "BODY.PEEK[HEADER.FIELDS (From \"To\")]",
            "peek BODY[HEADER.FIELDS (From To)]",
        );
        check(
            "BODY[2.HEADER.FIELDS.NOT (X)]",
            "BODY[2.HEADER.FIELDS.NOT (X)]",
        );
    }

    #[test]
    fn broken_items() {
        check("(ALL)", "this FETCH item is not known");
        check("()", "FETCH takes at least one item");
        check("BODY[MIME]", "this section is not known");
        check("BODY[0]", "there is no such part");
        check("BODY[1.]", "a part number is missing");
        check("BODY[", "this section is not known");
        check("BODY[]<0.0>", "a partial has at least one octet");
        check("BODY[]<0>", "a partial is <from.count>");
        check("BODY.PEEK", "BODY.PEEK takes a section");
        check("BODY[HEADER.FIELDS ()]", "a header field's name is missing");
        check("FLAGS (CHANGEDSINCE)", "a space is missing");
    }
}
