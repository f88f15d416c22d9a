//! The workloads: a file and a row each.

mod append;
mod bodies;
mod deliver;
mod metadata;
mod mixed;
mod push;
mod store;

use crate::imap::Client;
use crate::lmtp::{self, Run, side_by_side};
use crate::peers::Peer;
use anyhow::{Result, bail};
use std::time::Duration;

/// What a cell's rate counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Operations,
    Megabytes,
}

pub struct Row {
    /// As `--only` takes it.
    pub name: &'static str,
    pub title: &'static str,
    pub unit: Unit,
    /// Bytes written to the disk per byte given: shown where bytes are given.
    pub writes: bool,
    /// `None`: as many as the command line says.
    pub connections: Option<usize>,
    pub run: fn(&Setup<'_>) -> Run,
}

pub struct Setup<'a> {
    pub peer: &'a Peer,
    pub connections: usize,
    /// Dot-stuffed, with the end mark of DATA.
    pub messages: &'a [Vec<u8>],
    pub time: Duration,
}

/// In this order: what reads comes after what writes.
pub const ROWS: [Row; 7] = [
    deliver::ROW,
    append::ROW,
    store::ROW,
    metadata::ROW,
    bodies::ROW,
    push::ROW,
    mixed::ROW,
];

/// Messages in the mailbox that is read from, and in each that is written to, before anything is measured.
pub const READ_MESSAGES: usize = 2_000;
const WRITTEN_MESSAGES: usize = 400;
const _: () = assert!(WRITTEN_MESSAGES >= store::SLOTS_MAX * store::MESSAGES_OF_SLOT);

/// Fills the mailboxes, and logs every account in once at every address: a first login costs a password hash.
pub fn prepare(peer: &Peer, messages: &[Vec<u8>]) -> Result<()> {
    let mut fills = vec![(peer.reader(), READ_MESSAGES)];
    fills.extend(
        peer.writers()
            .iter()
            .map(|w| (w.as_str(), WRITTEN_MESSAGES)),
    );
    for (account, count) in fills {
        let recipients = [account.to_owned()];
        let each = count.div_ceil(16);
        let filled = side_by_side(16, |worker| {
            let address = peer.addresses[worker % peer.addresses.len()];
            let until = |turn, _: &Run| turn < each;
            lmtp::deliver_some(address, &recipients, worker, 16, messages, until)
        });
        if filled.failed > 0 {
            bail!(
                "{} cannot be filled: {:?}",
                peer.kind.name(),
                filled.first_error
            );
        }
    }
    for address in &peer.imap {
        for account in &peer.recipients {
            Client::open(*address, account)?;
        }
    }
    Ok(())
}
