//! Folded text: the form in which messages and needles are compared, how it is laid out, and how it falls into tokens.
//! Enters: decoded text, field by field and part by part. Leaves: `FoldedText`, and the tokens of a line or a needle.
//! It must never know MIME, charsets, files or queries: extract, store and query meet here, so that they fold alike.
//! Two texts are alike exactly when their folded octets are; a substring of text is a substring of octets.
//! Read first: `fold.rs`, then `tokens.rs`.

mod fold;
mod folded_text;
mod tokens;

pub use fold::fold;
pub use folded_text::{FoldedText, FoldedTextBuilder, field_name, own_fields_bytes};
pub use tokens::{Area, Kind, Piece, Word, is_decisive, pieces, tokens, words};
