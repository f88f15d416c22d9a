//! Bytes that this node has proposed and not yet folded, over all shards (design §3).

use crate::limits::{MAX_PROPOSED_BYTES, PROPOSAL_OVERHEAD_BYTES};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

#[derive(Clone)]
pub(crate) struct Admission(Arc<Semaphore>, Arc<AtomicUsize>);

/// Held while entries of a leader elsewhere are appended.
pub(crate) struct Appending(Arc<AtomicUsize>, usize);

impl Drop for Appending {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::SeqCst);
    }
}

/// Held until the proposal is folded or lost.
pub(crate) struct Admitted(
    #[expect(dead_code, reason = "dropping it gives back")] OwnedSemaphorePermit,
);

impl Admission {
    pub fn new() -> Admission {
        Admission(Arc::new(Semaphore::new(MAX_PROPOSED_BYTES)), Arc::default())
    }

    /// What the journal may be asked to hold: proposed here and not folded, or being appended for others.
    pub fn bytes(&self) -> usize {
        MAX_PROPOSED_BYTES - self.0.available_permits() + self.1.load(Ordering::SeqCst)
    }

    /// Entries with these payloads, each with what it costs beside.
    pub fn append(&self, payloads: impl Iterator<Item = usize>) -> Appending {
        let bytes = payloads.map(|bytes| bytes + PROPOSAL_OVERHEAD_BYTES).sum();
        self.1.fetch_add(bytes, Ordering::SeqCst);
        Appending(self.1.clone(), bytes)
    }

    /// `None`: too much is under way.
    pub fn admit(&self, bytes: usize) -> Option<Admitted> {
        let cost = u32::try_from(bytes + PROPOSAL_OVERHEAD_BYTES).ok()?;
        let permit = self.0.clone().try_acquire_many_owned(cost).ok()?;
        Some(Admitted(permit))
    }
}
