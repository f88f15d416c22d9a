//! What an operator sets.

use crate::limits;
use gateway_session::TlsServer;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

#[derive(Clone, Debug)]
pub struct LmtpConfig {
    /// Our name in the greeting.
    pub hostname: String,
    /// `quota.tempfail`: over quota is `452 4.2.2` instead of `552 5.2.2`, so that the sender keeps trying.
    pub quota_tempfail: bool,
    /// Offers STARTTLS.
    pub tls: Option<TlsServer>,
    pub limits: LmtpLimits,
}

/// Defaults and reasons: `limits.rs`.
#[derive(Clone, Debug)]
pub struct LmtpLimits {
    pub recipients_max: usize,
    pub errors_max: u32,
    pub command_wait_max: Duration,
    pub data_wait_max: Duration,
    /// Shared by all sessions of the configuration and its clones.
    pub message_memory: MessageMemory,
}

impl Default for LmtpLimits {
    fn default() -> LmtpLimits {
        LmtpLimits {
            recipients_max: limits::RECIPIENTS_MAX,
            errors_max: limits::ERRORS_MAX,
            command_wait_max: limits::COMMAND_WAIT_MAX,
            data_wait_max: limits::DATA_WAIT_MAX,
            message_memory: MessageMemory::new(limits::MESSAGE_MEMORY_BYTES),
        }
    }
}

/// Octets that all messages on their way in may hold together, counted in steps of `MEMORY_STEP_BYTES`. A message is
/// counted by what has come in; its growing buffer may take up to twice that.
#[derive(Clone, Debug)]
pub struct MessageMemory {
    steps: Arc<Semaphore>,
}

impl MessageMemory {
    pub fn new(bytes: usize) -> MessageMemory {
        let steps = (bytes / limits::MEMORY_STEP_BYTES).min(Semaphore::MAX_PERMITS);
        MessageMemory {
            steps: Arc::new(Semaphore::new(steps)),
        }
    }

    /// `None`: all of it is in use.
    pub(crate) fn take(&self, steps: usize) -> Option<OwnedSemaphorePermit> {
        let steps = u32::try_from(steps).ok()?;
        self.steps.clone().try_acquire_many_owned(steps).ok()
    }
}
