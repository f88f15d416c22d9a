//! IMAP APPEND with a non-synchronising literal (RFC 7888), a message after the other.

use super::{Row, Unit};
use crate::imap::{self, turns};
use crate::lmtp::END_OF_DATA;

pub const ROW: Row = Row {
    name: "append",
    title: "IMAP APPEND",
    unit: Unit::Operations,
    writes: true,
    connections: None,
    run: |setup| {
        imap::drive(
            setup,
            setup.peer.writers(),
            |worker, mut client, end, run| {
                turns(end, run, |turn, run| {
                    let at = (turn * setup.connections + worker) % setup.messages.len();
                    // Doubled dots stay, for all systems alike.
                    let stuffed = &setup.messages[at];
                    let message = stuffed.strip_suffix(END_OF_DATA).unwrap_or(stuffed);
                    run.bytes += message.len() as u64;
                    client.append(message)?;
                    Ok(())
                })
            },
        )
    },
};
