//! The time between a delivery's 250 and the EXISTS in another client's IDLE (RFC 2177), as the two see them.
//! 0 where the EXISTS came first.

use super::{Row, Setup, Unit};
use crate::imap::Client;
use crate::lmtp::{self, Run};
use anyhow::Result;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Instant;

pub const ROW: Row = Row {
    name: "push",
    title: "Push: from a delivery's 250 to EXISTS in IDLE (p50 and p99 count)",
    unit: Unit::Operations,
    writes: false,
    connections: Some(1),
    run: |setup| {
        let mut run = Run::default();
        let begun = Instant::now();
        if let Err(error) = push(setup, begun, &mut run) {
            run.failed += 1;
            run.first_error = Some(error.to_string());
        }
        run.elapsed = begun.elapsed();
        run.latencies_us.sort_unstable();
        run
    },
};

fn push(setup: &Setup<'_>, begun: Instant, run: &mut Run) -> Result<()> {
    let peer = setup.peer;
    let user = &peer.writers()[0];
    // On another node than the one that is delivered to, where there is one.
    let mut idle = Client::open(peer.imap[peer.imap.len() - 1], user)?;
    idle.idle()?;
    let (tell, told) = sync_channel(1);
    thread::spawn(move || while idle.wait_exists().is_ok() && tell.send(Instant::now()).is_ok() {});
    let mut lmtp = lmtp::connect(peer.addresses[0])?;
    for message in setup.messages.iter().cycle() {
        if begun.elapsed() >= setup.time {
            break;
        }
        lmtp = lmtp::deliver(lmtp, user, message)?;
        let acknowledged = Instant::now();
        let seen = told.recv_timeout(lmtp::REPLY_WAIT_MAX)?;
        let waited = seen.saturating_duration_since(acknowledged);
        run.latencies_us.push(waited.as_micros() as u64);
        run.ended.push(seen);
        run.operations += 1;
        run.bytes += message.len() as u64;
    }
    Ok(())
}
