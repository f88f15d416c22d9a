//! The service's parts, and how its files reach a shard's view.

use crate::emails::Kept;
use crate::limits::KEYWORDS_SHOWN_MAX;
use crate::login::Logins;
use crate::outcome::Submitted;
use crate::{Finder, Mail, Principal, Receipt, Refusal};
use engine_domain::{RowsError, read};
use engine_replica::{Clock, Shard, View};
use engine_types::{AccountId, Address, CommandId, ModSeq, UnixMillis};
use parking_lot::Mutex;
use raft_api::{Entries, Group, ShardId};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

const _: () = assert!(KEYWORDS_SHOWN_MAX <= 256, "`Opened::keywords` promises it");

/// What a node puts together at start.
pub struct Parts {
    /// One for every shard of the cluster, also for those that this node does not hold.
    pub groups: HashMap<ShardId, Arc<dyn Group>>,
    /// The shards that this node holds.
    pub shards: HashMap<ShardId, Arc<Shard>>,
    pub entries: Arc<dyn Entries>,
    pub clock: Arc<dyn Clock>,
    /// SEARCH over text.
    pub finder: Arc<dyn Finder>,
    /// Short hex, for receipts.
    pub cluster_id: String,
    pub incarnation: u32,
    /// For `Received … by`.
    pub hostname: String,
    /// Random for each run of the process: the upper half of command ids.
    pub run: u64,
    /// Draws account ids; `None`: the system has no random numbers.
    pub chance: fn() -> Option<u64>,
    pub message_bytes_max: u64,
    /// How long a change waits for a leader or a closed site gate: `limits::SUBMIT_WAIT_MAX`, except in tests.
    pub submit_wait_max: Duration,
    /// Who gets mail for `postmaster` without a domain (RFC 5321 §4.5.1). `None`: the postmaster of `hostname`, or of
    /// the domain that it lies in.
    pub postmaster: Option<Address>,
}

/// The one door. Cheap to share, keeps no state of mail: only a cache of verified logins.
pub struct Service {
    /// For work that goes on after the request that gave rise to it.
    pub(crate) this: Weak<Service>,
    pub(crate) parts: Parts,
    /// Mail shards, ascending: where new accounts go.
    pub(crate) mail_shards: Vec<ShardId>,
    pub(crate) logins: Logins,
    commands: AtomicU64,
    /// Watched in place of a shard that this node does not hold: never changes, never closes.
    nothing: watch::Sender<ModSeq>,
    /// When a shard's leader last confirmed that this node shows all.
    pub(crate) confirmed: Mutex<HashMap<ShardId, Instant>>,
    pub(crate) emails: Kept,
}

/// An account's shard, as the directory on this node knows it.
pub(crate) struct Home {
    pub shard: ShardId,
    pub account: AccountId,
    pub epoch: u64,
}

impl Service {
    pub fn new(parts: Parts) -> Arc<Service> {
        let mut mail_shards: Vec<ShardId> = parts
            .groups
            .keys()
            .copied()
            .filter(|shard| *shard != ShardId::CONTROL)
            .collect();
        mail_shards.sort_unstable();
        Arc::new_cyclic(|this| Service {
            this: this.clone(),
            parts,
            mail_shards,
            logins: Logins::new(),
            commands: AtomicU64::new(1),
            nothing: watch::channel(ModSeq(0)).0,
            confirmed: Mutex::default(),
            emails: Kept::default(),
        })
    }

    /// Never the same twice: the run is random, the counter rises.
    pub(crate) fn next_command(&self) -> CommandId {
        let count = self.commands.fetch_add(1, Ordering::Relaxed);
        CommandId(u128::from(self.parts.run) << 64 | u128::from(count))
    }

    pub(crate) fn now(&self) -> UnixMillis {
        self.parts.clock.now()
    }

    pub(crate) fn shard(&self, shard: ShardId) -> Result<&Arc<Shard>, Refusal> {
        self.parts
            .shards
            .get(&shard)
            .ok_or(Refusal::Unavailable("this node does not hold the account"))
    }

    pub(crate) fn group(&self, shard: ShardId) -> Result<&Arc<dyn Group>, Refusal> {
        self.parts.groups.get(&shard).ok_or(Refusal::Unavailable(
            "the account's group is not known here",
        ))
    }

    pub(crate) fn view(&self, shard: ShardId) -> Result<View, Refusal> {
        Ok(self.shard(shard)?.view())
    }

    pub(crate) fn control(&self) -> Result<View, Refusal> {
        self.view(ShardId::CONTROL)
    }

    /// Where the principal's mail lives. Removed accounts have no home.
    pub(crate) fn home(&self, who: &Principal) -> Result<Home, Refusal> {
        let row = read::directory_account(&self.control()?, who.account)
            .map_err(rows_failed)?
            .ok_or(Refusal::AccountUnavailable)?;
        if row.epoch != who.epoch {
            return Err(Refusal::AccountUnavailable);
        }
        Ok(Home {
            shard: ShardId(row.shard),
            account: who.account,
            epoch: row.epoch,
        })
    }

    pub(crate) fn watch_account(&self, who: &Principal) -> watch::Receiver<ModSeq> {
        match self.home(who).and_then(|home| self.shard(home.shard)) {
            Ok(shard) => shard.watch_account(who.account),
            Err(_) => self.nothing.subscribe(),
        }
    }

    pub(crate) fn receipt(&self, shard: ShardId, submitted: &Submitted) -> Receipt {
        let (term, index) = (submitted.log_id.term, submitted.log_id.index);
        let (cluster, incarnation) = (&self.parts.cluster_id, self.parts.incarnation);
        let sites: Vec<&str> = submitted.sites.iter().map(|site| &*site.0).collect();
        Receipt {
            id: format!("<{cluster}.{incarnation}:{shard}:{}:{index}>", term.0),
            sites: sites.join(","),
        }
    }

    /// Octets that a message may have, and none that is NUL (RFC 9051 §4.3, RFC 5321 §2.3.8 by custom).
    pub(crate) fn check_message(&self, message: &[u8]) -> Result<(), Refusal> {
        if message.len() as u64 > self.message_bytes_max() {
            return Err(Refusal::TooBig);
        }
        if message.contains(&0) {
            return Err(Refusal::NulOctet);
        }
        Ok(())
    }
}

/// The view's storage failed. The shard stops by itself; whoever asks hears that it is not there.
pub(crate) fn rows_failed(error: RowsError) -> Refusal {
    tracing::error!(%error, "a view cannot be read");
    Refusal::Unavailable("the view cannot be read")
}
