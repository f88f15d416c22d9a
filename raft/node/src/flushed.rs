//! What was given to the journal counts once it is flushed.

use raft_log::{FlushDone, JournalBroken};
use std::fmt::Display;
use tokio::sync::oneshot;

type Flushed = Result<(), JournalBroken>;

/// What the journal is to call, and where that arrives.
pub(crate) fn ticket() -> (FlushDone, oneshot::Receiver<Flushed>) {
    let (sender, flushed) = oneshot::channel();
    let done: FlushDone = Box::new(move |result| {
        // Whoever gave up waiting is not told.
        let _ = sender.send(result);
    });
    (done, flushed)
}

/// Calls the journal and waits for the flush. An error is for people: nothing was accepted, or the journal is broken.
pub(crate) async fn wait<E: Display>(
    call: impl FnOnce(FlushDone) -> Result<(), E>,
) -> Result<(), String> {
    let (done, flushed) = ticket();
    call(done).map_err(|error| error.to_string())?;
    read(flushed.await)
}

/// The same without a runtime.
pub(crate) fn wait_blocking<E: Display>(
    call: impl FnOnce(FlushDone) -> Result<(), E>,
) -> Result<(), String> {
    let (done, flushed) = ticket();
    call(done).map_err(|error| error.to_string())?;
    read(flushed.blocking_recv())
}

pub(crate) fn read(came: Result<Flushed, oneshot::error::RecvError>) -> Result<(), String> {
    let flushed = came.map_err(|error| error.to_string())?;
    flushed.map_err(|error| error.to_string())
}
