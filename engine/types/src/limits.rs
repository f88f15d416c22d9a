//! Bounds on values, each with its reason and the reply that a client gets.

/// A keyword's length in octets. RFC 9051 sets none; longer ones only serve abuse. Reply: `NO [LIMIT]`.
pub const KEYWORD_BYTES_MAX: usize = 128;
/// Keywords on one message. Reply: `NO [LIMIT]`.
pub const KEYWORDS_PER_MESSAGE_MAX: usize = 64;
/// A mailbox's full name in octets of UTF-8, hierarchy included. Reply: `NO [CANNOT]`.
pub const MAILBOX_NAME_BYTES_MAX: usize = 1_024;
/// Levels of hierarchy in a name; bounds the work of LIST and RENAME. Reply: `NO [CANNOT]`.
pub const MAILBOX_DEPTH_MAX: usize = 32;
/// Mailboxes of an account; bounds LIST, RENAME and the account's rows. Reply: `NO [LIMIT]`.
pub const MAILBOXES_PER_ACCOUNT_MAX: usize = 10_000;
/// Local part of an address: 64 octets by RFC 5321 §4.5.3.1.1; long BATV and VERP forms are met in the wild.
pub const LOCAL_PART_BYTES_MAX: usize = 256;
/// Domain: RFC 5321 §4.5.3.1.2.
pub const DOMAIN_BYTES_MAX: usize = 255;
