//! engine-events
