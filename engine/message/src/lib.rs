//! engine-message
