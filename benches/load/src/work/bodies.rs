//! All messages of a mailbox whole, at each turn.

use super::{Row, Unit};
use crate::imap;

pub const ROW: Row = Row {
    name: "bodies",
    title: "FETCH of all bodies, MB",
    unit: Unit::Megabytes,
    writes: false,
    connections: Some(4),
    run: |setup| imap::fetch(setup, "BODY.PEEK[]"),
};
