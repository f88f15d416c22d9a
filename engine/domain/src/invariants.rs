//! What always holds of a shard's rows.
