//! engine-domain
