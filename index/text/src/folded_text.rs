//! The folded text of one message, in two strings that are stored and searched apart.
//!
//! - `head`: a line `NAME: VALUE` for each field of the message's header, an empty line, and such lines for the headers of
//!   its MIME parts. A field's name is upper case and without colon, and a value has no line feed, so all can be told apart.
//! - `body`: a line for each text part, file name, and field of an attached message's header.
//!
//! No needle is found across lines. TEXT looks into both, BODY into `body`, the keys of fields into `head` up to its empty line.

use crate::fold::fold;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoldedText {
    pub head: String,
    pub body: String,
}

impl FoldedText {
    /// Lines of the message's own header.
    pub fn fields(&self) -> &str {
        own_fields(&self.head)
    }

    pub fn bytes(&self) -> usize {
        self.head.len() + self.body.len()
    }
}

/// The part of a `head` that is the message's own header: lines, each with its line feed.
pub(crate) fn own_fields(head: &str) -> &str {
    &head[..own_fields_bytes(head.as_bytes())]
}

/// How many octets of a `head` are the message's own header.
pub fn own_fields_bytes(head: &[u8]) -> usize {
    if head.starts_with(b"\n") {
        return 0;
    }
    memchr::memmem::find(head, b"\n\n").map_or(head.len(), |at| at + 1)
}

/// A field's name as `head` has it.
pub fn field_name(name: &str) -> String {
    name.to_ascii_uppercase()
}

/// Takes decoded text and folds it. Fields come before the parts' fields.
#[derive(Default)]
pub struct FoldedTextBuilder {
    text: FoldedText,
    in_parts: bool,
}

impl FoldedTextBuilder {
    pub fn new() -> Self {
        Self::default()
    }

    /// A field of the message's header. White space around its value is not part of it.
    pub fn field(&mut self, name: &str, value: &str) {
        debug_assert!(!self.in_parts, "fields come first");
        push_field(&mut self.text.head, name, value);
    }

    /// A field of a part's header: only TEXT finds it.
    pub fn part_field(&mut self, name: &str, value: &str) {
        if !self.in_parts {
            self.in_parts = true;
            self.text.head.push('\n');
        }
        push_field(&mut self.text.head, name, value);
    }

    /// A field of an attached message's header: BODY finds it.
    pub fn attached_field(&mut self, name: &str, value: &str) {
        push_field(&mut self.text.body, name, value);
    }

    /// Text of a part, or a file name.
    pub fn body(&mut self, text: &str) {
        let folded = fold(text);
        if !folded.is_empty() {
            self.text.body.push_str(&folded);
            self.text.body.push('\n');
        }
    }

    /// Octets of folded text so far.
    pub fn bytes(&self) -> usize {
        self.text.bytes()
    }

    pub fn finish(self) -> FoldedText {
        self.text
    }
}

fn push_field(out: &mut String, name: &str, value: &str) {
    out.push_str(&field_name(name));
    out.push_str(": ");
    out.push_str(fold(value).trim_matches(' '));
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_fields_end_at_the_empty_line() {
        let check = |own: &[&str], parts: &[&str], expect: &str| {
            let mut builder = FoldedTextBuilder::new();
            own.iter().for_each(|name| builder.field(name, " v\r\n w "));
            parts.iter().for_each(|name| builder.part_field(name, "p"));
            let text = builder.finish();
            assert_eq!(text.fields(), expect, "{:?}", text.head);
        };
        check(&["a"], &["b"], "A: V W\n");
        check(&["a", "b"], &[], "A: V W\nB: V W\n");
        check(&[], &["b", "c"], "");
        check(&[], &[], "");
    }

    #[test]
    fn an_empty_part_leaves_no_line() {
        let mut builder = FoldedTextBuilder::new();
        builder.body("");
        builder.body("a\nb");
        builder.attached_field("X", "");
        assert_eq!(builder.finish().body, "A B\nX: \n");
    }
}
