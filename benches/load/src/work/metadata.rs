//! What a client asks of a mailbox that it has not seen: facts of all messages, at each turn.

use super::{Row, Unit};
use crate::imap;

pub const ROW: Row = Row {
    name: "metadata",
    title: "FETCH 1:* (UID FLAGS RFC822.SIZE ENVELOPE BODYSTRUCTURE), messages",
    unit: Unit::Operations,
    writes: false,
    connections: Some(4),
    run: |setup| imap::fetch(setup, "(UID FLAGS RFC822.SIZE ENVELOPE BODYSTRUCTURE)"),
};
