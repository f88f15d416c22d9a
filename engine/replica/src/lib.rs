//! engine-replica
