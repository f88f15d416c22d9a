//! Who is connected: listed and ended by operators, counted by the caps.

use engine_service::Peer;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::network::counted_as;

/// All sessions of a node, over all listeners. Cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    shared: Arc<Shared>,
}

struct Shared {
    /// Drawn once per process, so that a session's id never comes back.
    run: u64,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    next: u64,
    sessions: BTreeMap<u64, Arc<Entry>>,
    /// Connections of a protocol, those still in their handshake included.
    by_protocol: HashMap<&'static str, usize>,
    /// Only of addresses that are not trusted; an entry goes when it falls to 0, so the total bounds the map.
    by_address: HashMap<(&'static str, IpAddr), usize>,
}

struct Entry {
    peer: Peer,
    since: Instant,
    seen: Mutex<Seen>,
    kick: watch::Sender<bool>,
}

#[derive(Clone, Default)]
struct Seen {
    user: Option<Arc<str>>,
    /// Set after STARTTLS; `Peer` has it for implicit TLS.
    tls: Option<Arc<str>>,
}

/// A row of `session list`.
#[derive(Clone, Debug)]
pub struct SessionInfo {
    pub id: Arc<str>,
    pub protocol: &'static str,
    pub address: IpAddr,
    pub tls: Option<Arc<str>>,
    pub user: Option<Arc<str>>,
    pub connected_for: std::time::Duration,
}

/// A handler's hold on its own row.
#[derive(Clone)]
pub struct SessionHandle {
    entry: Arc<Entry>,
}

/// A place in the total of a protocol; given back when dropped.
pub(crate) struct Place {
    sessions: Sessions,
    protocol: &'static str,
    counted: Option<IpAddr>,
    number: Option<u64>,
}

impl Sessions {
    /// `run`: a random number of this process.
    pub fn new(run: u64) -> Sessions {
        Sessions {
            shared: Arc::new(Shared {
                run,
                book: Mutex::default(),
            }),
        }
    }

    /// Oldest first.
    pub fn list(&self) -> Vec<SessionInfo> {
        let book = self.shared.book.lock();
        book.sessions.values().map(|entry| entry.info()).collect()
    }

    /// Tells the session to end, as its protocol says it. False if there is none of this id.
    pub fn kick(&self, id: &str) -> bool {
        let book = self.shared.book.lock();
        let found = book.sessions.values().find(|e| &*e.peer.session == id);
        if let Some(entry) = found {
            entry.kick.send_replace(true);
        }
        found.is_some()
    }

    /// Ends all sessions of a user; how many there were.
    pub fn kick_user(&self, user: &str) -> usize {
        let book = self.shared.book.lock();
        let of_user = |e: &&Arc<Entry>| e.seen.lock().user.as_deref() == Some(user);
        let found: Vec<&Arc<Entry>> = book.sessions.values().filter(of_user).collect();
        for entry in &found {
            entry.kick.send_replace(true);
        }
        found.len()
    }

    /// Connections of a protocol, handshakes included.
    pub fn count(&self, protocol: &'static str) -> usize {
        let book = self.shared.book.lock();
        book.by_protocol.get(protocol).copied().unwrap_or(0)
    }

    /// `None`: the total is reached.
    pub(crate) fn enter(&self, protocol: &'static str, total_max: usize) -> Option<Place> {
        let mut book = self.shared.book.lock();
        let count = book.by_protocol.entry(protocol).or_default();
        if *count >= total_max {
            return None;
        }
        *count += 1;
        Some(Place {
            sessions: self.clone(),
            protocol,
            counted: None,
            number: None,
        })
    }
}

impl Place {
    /// False: this address has its share already. Call once.
    pub(crate) fn count_address(&mut self, address: IpAddr, max: usize) -> bool {
        let counted = counted_as(address);
        let mut book = self.sessions.shared.book.lock();
        let count = book.by_address.get(&(self.protocol, counted)).copied();
        let count = count.unwrap_or(0);
        if count >= max {
            return false;
        }
        book.by_address.insert((self.protocol, counted), count + 1);
        self.counted = Some(counted);
        true
    }

    /// The session begins: it gets its id and its row.
    pub(crate) fn begin(&mut self, address: IpAddr, tls: Option<Arc<str>>) -> SessionHandle {
        let shared = &self.sessions.shared;
        let mut book = shared.book.lock();
        book.next += 1;
        let number = book.next;
        let entry = Arc::new(Entry {
            peer: Peer {
                session: format!("{:x}.{number:x}", shared.run).into(),
                address,
                tls,
                protocol: self.protocol,
            },
            since: Instant::now(),
            seen: Mutex::default(),
            kick: watch::Sender::new(false),
        });
        book.sessions.insert(number, entry.clone());
        self.number = Some(number);
        SessionHandle { entry }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut book = self.sessions.shared.book.lock();
        if let Some(number) = self.number {
            book.sessions.remove(&number);
        }
        if let Some(count) = book.by_protocol.get_mut(self.protocol) {
            *count = count.saturating_sub(1);
        }
        if let Some(counted) = self.counted {
            let key = (self.protocol, counted);
            let left = book.by_address.get(&key).map_or(0, |n| n.saturating_sub(1));
            if left == 0 {
                book.by_address.remove(&key);
            } else {
                book.by_address.insert(key, left);
            }
        }
    }
}

impl Entry {
    fn info(&self) -> SessionInfo {
        let seen = self.seen.lock().clone();
        SessionInfo {
            id: self.peer.session.clone(),
            protocol: self.peer.protocol,
            address: self.peer.address,
            tls: seen.tls.or_else(|| self.peer.tls.clone()),
            user: seen.user,
            connected_for: self.since.elapsed(),
        }
    }
}

impl SessionHandle {
    /// Resolves once an operator ends the session; the gateway then says so and closes. Cancel safe.
    pub async fn kicked(&self) {
        let mut kick = self.entry.kick.subscribe();
        // The sender lives in `entry`, which `self` holds: this cannot fail while we wait.
        let _ = kick.wait_for(|kicked| *kicked).await;
    }

    /// As `kicked`, at this moment.
    pub fn is_kicked(&self) -> bool {
        *self.entry.kick.borrow()
    }

    /// After a login; shown by `session list`.
    pub fn set_user(&self, user: impl Into<Arc<str>>) {
        self.entry.seen.lock().user = Some(user.into());
    }

    /// After STARTTLS.
    pub fn set_tls(&self, tls: Option<Arc<str>>) {
        self.entry.seen.lock().tls = tls;
    }

    pub(crate) fn peer(&self) -> Peer {
        self.entry.peer.clone()
    }
}
