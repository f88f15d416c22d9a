//! The workloads, a table row each.

use crate::imap::{self, Client, turns};
use crate::lmtp::{self, Run, side_by_side};
use crate::peers::Peer;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Workload {
    Deliver,
    Append,
    Store,
    Metadata,
    Bodies,
    Push,
    Mixed,
}

/// What a cell's rate counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Operations,
    Megabytes,
}

pub struct Row {
    pub workload: Workload,
    pub title: &'static str,
    pub unit: Unit,
    /// Bytes written to the disk per byte given: shown where bytes are given.
    pub writes: bool,
    /// `None`: as many as the command line says.
    pub connections: Option<usize>,
}

/// In this order: what reads needs messages.
pub const ROWS: [Row; 7] = [
    row(Workload::Deliver, "LMTP deliveries", true, None),
    row(Workload::Append, "IMAP APPEND", true, None),
    row(Workload::Store, "IMAP flag changes", false, None),
    row(
        Workload::Metadata,
        "FETCH 1:* (UID FLAGS RFC822.SIZE ENVELOPE BODYSTRUCTURE), messages",
        false,
        Some(4),
    ),
    Row {
        unit: Unit::Megabytes,
        ..row(Workload::Bodies, "FETCH of all bodies, MB", false, Some(4))
    },
    row(
        Workload::Push,
        "Push: from a delivery's 250 to EXISTS in IDLE (p50 and p99 count)",
        false,
        Some(1),
    ),
    row(
        Workload::Mixed,
        "Mixed: 70 % poll and fetch, 15 % flags, 10 % delivery, 5 % search",
        false,
        Some(16),
    ),
];

const fn row(
    workload: Workload,
    title: &'static str,
    writes: bool,
    connections: Option<usize>,
) -> Row {
    Row {
        workload,
        title,
        unit: Unit::Operations,
        writes,
        connections,
    }
}

/// Messages in the mailbox that is read from.
pub const READ_MESSAGES: usize = 2_000;

/// Fills the mailbox that is read from.
pub fn prepare(peer: &Peer, messages: &[Vec<u8>]) -> Run {
    let reader = [peer.reader().to_owned()];
    let count = READ_MESSAGES.div_ceil(16);
    side_by_side(16, |worker| {
        let address = peer.addresses[worker % peer.addresses.len()];
        lmtp::deliver_some(address, &reader, worker, 16, messages, |turn, _| {
            turn < count
        })
    })
}

pub fn run(
    peer: &Peer,
    workload: Workload,
    connections: usize,
    messages: &[Vec<u8>],
    time: Duration,
) -> Run {
    let reader = [peer.reader().to_owned()];
    let imap = &peer.imap;
    match workload {
        Workload::Deliver => {
            lmtp::drive(&peer.addresses, peer.writers(), connections, messages, time)
        }
        Workload::Append => imap::drive(
            imap,
            peer.writers(),
            connections,
            time,
            |worker, mut client, end, run| {
                turns(end, run, |turn, run| {
                    let message = &messages[(turn * connections + worker) % messages.len()];
                    // Without the end mark of DATA; doubled dots stay, for all systems alike.
                    let message = &message[..message.len() - 3];
                    run.bytes += message.len() as u64;
                    client.append(message)?;
                    Ok(())
                })
            },
        ),
        Workload::Store => imap::drive(imap, &peer.recipients, connections, time, imap::store),
        Workload::Metadata => {
            imap::drive(imap, &reader, connections, time, |_, client, end, run| {
                imap::fetch(
                    "(UID FLAGS RFC822.SIZE ENVELOPE BODYSTRUCTURE)",
                    client,
                    end,
                    run,
                )
            })
        }
        Workload::Bodies => imap::drive(imap, &reader, connections, time, |_, client, end, run| {
            imap::fetch("BODY.PEEK[]", client, end, run)
        }),
        Workload::Push => push(peer, messages, time),
        Workload::Mixed => mixed(peer, connections, messages, time),
    }
}

/// The time between the 250 and the EXISTS, as the two clients see them; 0 where the EXISTS was first.
fn push(peer: &Peer, messages: &[Vec<u8>], time: Duration) -> Run {
    let user = &peer.writers()[0];
    let mut run = Run::default();
    let begun = Instant::now();
    let mut drive = || -> anyhow::Result<()> {
        // On another node than the one that is delivered to, where there is one.
        let mut idle = Client::open(peer.imap[peer.imap.len() - 1], user)?;
        idle.idle()?;
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        std::thread::spawn(move || {
            while idle.wait_exists().is_ok() && tell.send(Instant::now()).is_ok() {}
        });
        let mut lmtp = Some(lmtp::connect(peer.addresses[0])?);
        for message in messages.iter().cycle() {
            if begun.elapsed() >= time {
                return Ok(());
            }
            let open = lmtp
                .take()
                .map_or_else(|| lmtp::connect(peer.addresses[0]), Ok)?;
            lmtp = Some(lmtp::deliver(open, user, message)?);
            let acknowledged = Instant::now();
            let seen = told.recv_timeout(lmtp::REPLY_WAIT_MAX)?;
            let waited = seen.saturating_duration_since(acknowledged);
            run.latencies_us.push(waited.as_micros() as u64);
            run.operations += 1;
            run.bytes += message.len() as u64;
        }
        Ok(())
    };
    if let Err(error) = drive() {
        run.failed += 1;
        run.first_error = Some(error.to_string());
    }
    run.elapsed = begun.elapsed();
    run.latencies_us.sort_unstable();
    run
}

/// What of a hundred turns each is for.
fn mixed(peer: &Peer, connections: usize, messages: &[Vec<u8>], time: Duration) -> Run {
    let reader = [peer.reader().to_owned()];
    let lmtp_of = |worker: usize| -> SocketAddr { peer.addresses[worker % peer.addresses.len()] };
    imap::drive(
        &peer.imap,
        &reader,
        connections,
        time,
        |worker, mut client, end, run| {
            let mut lmtp = None;
            turns(end, run, |turn, run| {
                // A fixed shuffle: 37 and 100 have no common factor.
                let kind = (turn * 37 + worker * 11) % 100;
                let number = (turn * 7 + worker * 101) % READ_MESSAGES + 1;
                run.bytes += 1;
                match kind {
                    0..70 => {
                        client.command("NOOP")?;
                        client.command(&format!("FETCH {number} (FLAGS ENVELOPE BODY.PEEK[])"))?;
                    }
                    70..85 => {
                        let sign = if turn.is_multiple_of(2) { '+' } else { '-' };
                        client
                            .command(&format!("STORE {number} {sign}FLAGS.SILENT (\\Flagged)"))?;
                    }
                    85..95 => {
                        let open = lmtp
                            .take()
                            .map_or_else(|| lmtp::connect(lmtp_of(worker)), Ok)?;
                        let to = &peer.writers()[worker % peer.writers().len()];
                        lmtp = Some(lmtp::deliver(open, to, &messages[number % messages.len()])?);
                    }
                    _ => {
                        client.command("SEARCH SUBJECT free")?;
                    }
                }
                Ok(())
            })
        },
    )
}
