//! Mixed work on one mailbox that all connections have selected: what clients do all day.

use super::store::Flags;
use super::{READ_MESSAGES, Row, Setup, Unit};
use crate::imap::{self, Client, turns};
use crate::lmtp::{self, Connection};
use anyhow::Result;

pub const ROW: Row = Row {
    name: "mixed",
    title: "Mixed: 70 % poll and fetch, 15 % flags, 10 % delivery, 5 % search",
    unit: Unit::Operations,
    writes: false,
    connections: Some(16),
    run: |setup| {
        let reader = [setup.peer.reader().to_owned()];
        imap::drive(setup, &reader, |worker, mut client, end, run| {
            let mut user = User {
                setup,
                worker,
                flags: Flags::take(worker, &mut client)?,
                client,
                lmtp: None,
            };
            turns(end, run, |turn, _| user.act(turn))
        })
    },
};

struct User<'a> {
    setup: &'a Setup<'a>,
    worker: usize,
    client: Client,
    flags: Flags,
    lmtp: Option<Connection>,
}

impl User<'_> {
    fn act(&mut self, turn: usize) -> Result<()> {
        let number = (turn * 7 + self.worker * 101) % READ_MESSAGES + 1;
        // A fixed shuffle of a hundred turns: 37 and 100 have no common factor.
        match (turn * 37 + self.worker * 11) % 100 {
            0..70 => {
                self.client.command("NOOP")?;
                let fetch = format!("FETCH {number} (FLAGS ENVELOPE BODY.PEEK[])");
                self.client.command(&fetch)?;
            }
            70..85 => self.flags.change(&mut self.client)?,
            85..95 => self.deliver(number)?,
            _ => {
                self.client.command("SEARCH SUBJECT free")?;
            }
        }
        Ok(())
    }

    /// To another mailbox: the one that is searched stays the same size for all systems.
    fn deliver(&mut self, number: usize) -> Result<()> {
        let peer = self.setup.peer;
        let messages = self.setup.messages;
        let open = match self.lmtp.take() {
            Some(open) => open,
            None => lmtp::connect(peer.addresses[self.worker % peer.addresses.len()])?,
        };
        let to = &peer.writers()[self.worker % peer.writers().len()];
        let message = &messages[number % messages.len()];
        self.lmtp = Some(lmtp::deliver(open, to, message)?);
        Ok(())
    }
}
