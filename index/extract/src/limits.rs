//! Bounds of what is read of one message. The octets themselves are bounded by whoever takes the message in; folded
//! text is at most 11 times as long as what is decoded (`index_text::fold`), and there is no other bound: a text that is
//! cut is a message that is not found.

/// Parts within parts: bounds the recursion. The facts of a message nest less (`engine-message`: 30); what is deeper is
/// not read.
pub const DEPTH_MAX: usize = 64;
/// Sections of one parameter's value (RFC 2231 §3). The facts hold at most 64 parameters of a field.
pub const NAME_SECTIONS_MAX: usize = 64;
/// Characters of a named character reference (HTML §13.5); the longest, `CounterClockwiseContourIntegral`, has 31.
pub const REFERENCE_CHARS_MAX: usize = 32;
