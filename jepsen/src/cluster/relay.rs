//! Distance between sites: connections between peers of two sites go through a relay of ours, which passes everything on
//! after a delay, each way. (The kernel's `netem` is not everywhere.)
//!
//! What is cut is held here, as TCP would send it again and again, and goes on once the cut is healed.

use crate::limits::{RELAY_CHUNK_BYTES, RELAY_CHUNKS_MAX, RELAY_LOOKS_EVERY};
use crate::stop::Stop;
use anyhow::Result;
use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What is cut, as (from, to).
#[derive(Default)]
pub struct Cuts {
    pairs: Mutex<HashSet<(u64, u64)>>,
    /// The trial is over.
    pub over: Stop,
}

impl Cuts {
    pub fn add(&self, from: u64, to: u64) {
        self.pairs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert((from, to));
    }

    pub fn heal(&self) {
        self.pairs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    fn has(&self, from: u64, to: u64) -> bool {
        self.pairs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&(from, to))
    }

    /// False: the trial is over.
    fn wait_until_passable(&self, from: u64, to: u64) -> bool {
        while self.has(from, to) {
            if self.over.wait(RELAY_LOOKS_EVERY) {
                return false;
            }
        }
        !self.over.is_set()
    }
}

/// The way of connections that one node opens to another.
#[derive(Clone)]
pub struct Way {
    pub from: u64,
    pub to: u64,
    pub target: SocketAddr,
    pub delay: Duration,
    pub cuts: Arc<Cuts>,
}

impl Way {
    /// Listens at any port of `address`, which is returned, until the trial is over.
    pub fn open(self, address: SocketAddr) -> Result<SocketAddr> {
        let listener = TcpListener::bind(address)?;
        let local = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        thread::spawn(move || {
            while !self.cuts.over.wait(RELAY_LOOKS_EVERY) {
                while let Ok((near, _)) = listener.accept() {
                    let way = self.clone();
                    thread::spawn(move || way.carry(near));
                }
            }
        });
        Ok(local)
    }

    /// A connection that cannot be made, or breaks, ends on both sides.
    fn carry(self, near: TcpStream) {
        if near.set_nonblocking(false).is_err()
            || !self.cuts.wait_until_passable(self.from, self.to)
        {
            return;
        }
        let Ok(far) = TcpStream::connect_timeout(&self.target, Duration::from_secs(2)) else {
            return;
        };
        let (Ok(near_again), Ok(far_again)) = (near.try_clone(), far.try_clone()) else {
            return;
        };
        let (there, back) = (self.clone(), self);
        thread::spawn(move || there.pump(near, far, (there.from, there.to)));
        back.pump(far_again, near_again, (back.to, back.from));
    }

    /// One direction.
    fn pump(&self, mut from: TcpStream, to: TcpStream, pair: (u64, u64)) {
        let (send, receive) = sync_channel(RELAY_CHUNKS_MAX);
        let (cuts, Ok(end)) = (self.cuts.clone(), to.try_clone()) else {
            return;
        };
        let writer = thread::spawn(move || deliver(&receive, to, pair, &cuts));
        // An end without error and one with error are the same to a relay.
        let _ = self.collect(&mut from, &send);
        drop(send);
        let _ = writer.join();
        let _ = end.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    }

    fn collect(
        &self,
        from: &mut TcpStream,
        send: &SyncSender<(Instant, Vec<u8>)>,
    ) -> std::io::Result<()> {
        from.set_nodelay(true)?;
        let mut buffer = vec![0; RELAY_CHUNK_BYTES];
        loop {
            let count = from.read(&mut buffer)?;
            let chunk = (Instant::now() + self.delay, buffer[..count].to_vec());
            if count == 0 || send.send(chunk).is_err() {
                return Ok(());
            }
        }
    }
}

fn deliver(
    receive: &Receiver<(Instant, Vec<u8>)>,
    mut to: TcpStream,
    (from, target): (u64, u64),
    cuts: &Cuts,
) {
    while let Ok((due, chunk)) = receive.recv() {
        cuts.over
            .wait(due.saturating_duration_since(Instant::now()));
        let passes = cuts.wait_until_passable(from, target);
        if !passes || to.write_all(&chunk).is_err() {
            // The other direction ends as well.
            let _ = to.shutdown(Shutdown::Both);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_is_held_until_it_is_healed() {
        let target = TcpListener::bind("127.0.0.1:0").expect("a port");
        let cuts = Arc::new(Cuts::default());
        let delay = Duration::from_millis(1);
        let way = Way {
            from: 1,
            to: 2,
            target: target.local_addr().expect("an address"),
            delay,
            cuts: cuts.clone(),
        };
        let any = "127.0.0.1:0".parse().expect("an address");
        let relay = way.open(any).expect("a relay");
        let mut near = TcpStream::connect(relay).expect("a connection");
        let (mut far, _) = target.accept().expect("the other end");
        near.write_all(b"one").expect("sent");
        let mut octets = [0; 3];
        far.read_exact(&mut octets).expect("received");
        assert_eq!(&octets, b"one");
        cuts.add(1, 2);
        near.write_all(b"two").expect("sent");
        far.write_all(b"off").expect("sent back");
        near.read_exact(&mut octets)
            .expect("the other direction is open");
        assert_eq!(&octets, b"off");
        cuts.heal();
        far.read_exact(&mut octets).expect("received");
        assert_eq!(&octets, b"two");
        cuts.over.set();
    }
}
