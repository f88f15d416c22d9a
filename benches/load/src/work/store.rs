//! Flag changes, one message each (RFC 3501 §6.4.6). Each of them changes something: a server may skip what does not.

use super::{Row, Unit};
use crate::imap::{self, Client, turns};
use anyhow::Result;

/// No two connections share a message.
pub const MESSAGES_OF_SLOT: usize = 16;
/// Connections with a mailbox in common.
pub const SLOTS_MAX: usize = 25;

pub const ROW: Row = Row {
    name: "store",
    title: "IMAP flag changes",
    unit: Unit::Operations,
    writes: false,
    connections: None,
    run: |setup| {
        let users = &setup.peer.recipients;
        imap::drive(setup, users, |worker, mut client, end, run| {
            let mut flags = Flags::take(worker / users.len(), &mut client)?;
            turns(end, run, |_, _| flags.change(&mut client))
        })
    },
};

/// A connection's own messages, whose flag is set and taken in turn.
pub struct Flags {
    slot: usize,
    turn: usize,
}

impl Flags {
    /// Begins with none flagged.
    pub fn take(slot: usize, client: &mut Client) -> Result<Flags> {
        let slot = slot % SLOTS_MAX;
        let (first, last) = (slot * MESSAGES_OF_SLOT + 1, (slot + 1) * MESSAGES_OF_SLOT);
        client.command(&format!("STORE {first}:{last} -FLAGS.SILENT (\\Flagged)"))?;
        Ok(Flags { slot, turn: 0 })
    }

    pub fn change(&mut self, client: &mut Client) -> Result<()> {
        client.command(&self.next())?;
        Ok(())
    }

    fn next(&mut self) -> String {
        let number = self.slot * MESSAGES_OF_SLOT + self.turn % MESSAGES_OF_SLOT + 1;
        let sign = match (self.turn / MESSAGES_OF_SLOT).is_multiple_of(2) {
            true => '+',
            false => '-',
        };
        self.turn += 1;
        format!("STORE {number} {sign}FLAGS.SILENT (\\Flagged)")
    }
}

#[cfg(test)]
mod tests {
    use super::{Flags, MESSAGES_OF_SLOT};

    #[test]
    fn each_change_changes_something() {
        let mut flags = Flags { slot: 2, turn: 0 };
        let check = |got: String, expect| assert_eq!(got, expect);
        check(flags.next(), "STORE 33 +FLAGS.SILENT (\\Flagged)");
        check(flags.next(), "STORE 34 +FLAGS.SILENT (\\Flagged)");
        flags.turn = MESSAGES_OF_SLOT;
        check(flags.next(), "STORE 33 -FLAGS.SILENT (\\Flagged)");
        flags.turn = 2 * MESSAGES_OF_SLOT - 1;
        check(flags.next(), "STORE 48 -FLAGS.SILENT (\\Flagged)");
        check(flags.next(), "STORE 33 +FLAGS.SILENT (\\Flagged)");
    }
}
