//! Bytes that this node has proposed and not yet folded, over all shards (design §3).

use crate::limits::{MAX_PROPOSED_BYTES, PROPOSAL_OVERHEAD_BYTES};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

#[derive(Clone)]
pub(crate) struct Admission(Arc<Semaphore>);

/// Held until the proposal is folded or lost.
pub(crate) struct Admitted(
    #[expect(dead_code, reason = "dropping it gives back")] OwnedSemaphorePermit,
);

impl Admission {
    pub fn new() -> Admission {
        Admission(Arc::new(Semaphore::new(MAX_PROPOSED_BYTES)))
    }

    /// What is proposed and not folded, as counted here.
    pub fn bytes(&self) -> usize {
        MAX_PROPOSED_BYTES - self.0.available_permits()
    }

    /// `None`: too much is under way.
    pub fn admit(&self, bytes: usize) -> Option<Admitted> {
        let cost = u32::try_from(bytes + PROPOSAL_OVERHEAD_BYTES).ok()?;
        let permit = self.0.clone().try_acquire_many_owned(cost).ok()?;
        Some(Admitted(permit))
    }
}
