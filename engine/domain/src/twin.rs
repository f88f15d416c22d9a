//! Rules broken on purpose, to prove that tests see it: on one thread, where a simulation runs, or in a whole process, for
//! trials of the real program.

use std::cell::Cell;
use std::sync::OnceLock;

static EVERYWHERE: OnceLock<Twin> = OnceLock::new();

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Twin {
    /// UIDNEXT falls when the newest message goes (RFC 9051 §2.3.1.1 forbids it).
    ReuseUid,
    /// A command that comes again is applied again.
    ApplyTwice,
}

thread_local! {
    static TWIN: Cell<Option<Twin>> = const { Cell::new(None) };
}

/// `None`: no rule is broken.
pub fn break_on_purpose(twin: Option<Twin>) {
    TWIN.set(twin);
}

/// On all threads, for as long as the process lives. The first call counts.
pub fn break_everywhere(twin: Twin) {
    let _ = EVERYWHERE.set(twin);
}

pub(crate) fn is(twin: Twin) -> bool {
    TWIN.get().or(EVERYWHERE.get().copied()) == Some(twin)
}
