//! What a gigabyte of mail costs the disk once everything has settled: bytes written, and bytes at rest.

use crate::lmtp::{self, side_by_side};
use crate::peers::{AtRest, Peer, PeerKind};
use crate::usage;
use anyhow::{Result, bail};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const CONNECTIONS: usize = 64;
/// Nothing more than this written in so long: compaction has settled.
const QUIET: Duration = Duration::from_secs(10);
const QUIET_BYTES: u64 = 1 << 20;
const SETTLE_MAX: Duration = Duration::from_secs(180);
/// A slow system is stopped here; the table says how many MB it took.
const DELIVER_MAX: Duration = Duration::from_secs(300);

pub struct Settled {
    pub kind: PeerKind,
    pub bytes: u64,
    pub messages: u64,
    pub written: u64,
    pub at_rest: AtRest,
    pub memory_kib: u64,
    pub seconds: f64,
    pub worst_pause_ms: u64,
}

pub fn deliver(
    kind: PeerKind,
    gotthard: &Path,
    messages: &[Vec<u8>],
    bytes: u64,
) -> Result<Settled> {
    let peer = Peer::start(kind, gotthard, None)?;
    let at_rest_before = peer.at_rest()?;
    let before = usage::of(&peer.pids()?);
    let sent = AtomicU64::new(0);
    let begun = Instant::now();
    let run = side_by_side(CONNECTIONS, |worker| {
        let address = peer.addresses[worker % peer.addresses.len()];
        let counted = std::cell::Cell::new(0);
        lmtp::deliver_some(
            address,
            peer.writers(),
            worker,
            CONNECTIONS,
            messages,
            |_, run| {
                sent.fetch_add(run.bytes - counted.replace(run.bytes), Ordering::Relaxed);
                run.failed == 0
                    && sent.load(Ordering::Relaxed) < bytes
                    && begun.elapsed() < DELIVER_MAX
            },
        )
    });
    let seconds = begun.elapsed().as_secs_f64();
    if run.failed > 0 {
        bail!("{} failed: {:?}", kind.name(), run.first_error);
    }
    let after = settle(&peer)?;
    Ok(Settled {
        kind,
        bytes: run.bytes,
        messages: run.operations,
        written: after.written.saturating_sub(before.written),
        at_rest: peer.at_rest()?.more_than(at_rest_before),
        memory_kib: usage::pss_kib(&peer.pids()?),
        seconds,
        worst_pause_ms: crate::report::worst_pause_ms(&run),
    })
}

fn settle(peer: &Peer) -> Result<usage::Usage> {
    let begun = Instant::now();
    let mut last = usage::of(&peer.pids()?);
    loop {
        // Time is what is measured here: so long nothing may be written.
        thread::sleep(QUIET);
        let now = usage::of(&peer.pids()?);
        if now.written.saturating_sub(last.written) < QUIET_BYTES || begun.elapsed() > SETTLE_MAX {
            return Ok(now);
        }
        last = now;
    }
}
