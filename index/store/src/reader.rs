//! What a search sees of an account: its sections and the tail, as they were when it was opened.

use crate::bits::Bits;
use crate::error::IndexError;
use crate::section::Section;
use crate::tail::TailMessage;
use std::sync::Arc;

/// A section without what was deleted.
pub struct LiveSection {
    pub section: Section,
    pub live: Bits,
}

/// An account as it was when this was opened; what comes or goes later does not show.
#[derive(Default)]
pub struct AccountReader {
    pub sections: Vec<LiveSection>,
    /// In no run yet.
    pub tail: Vec<Arc<TailMessage>>,
    /// Runs whose part of this account cannot be read.
    pub damaged: Vec<IndexError>,
}
