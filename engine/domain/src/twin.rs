//! Rules broken on purpose, on one thread, to prove that a simulation sees it.

use std::cell::Cell;

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

pub(crate) fn is(twin: Twin) -> bool {
    TWIN.get() == Some(twin)
}
