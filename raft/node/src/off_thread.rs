//! Work that waits for the disk, off the threads that others wait for. On a runtime with one thread there is nobody to be
//! spared, and a simulation must not depend on a second thread: there it is done at once.

use tokio::runtime::{Handle, RuntimeFlavor};

pub(crate) fn has_one_thread() -> bool {
    Handle::try_current()
        .is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::CurrentThread)
}

/// The error is a panic's text.
pub(crate) async fn run<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    if has_one_thread() {
        return Ok(work());
    }
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| error.to_string())
}
