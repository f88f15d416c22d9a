//! The whole gateway over real sockets, on a shard without a cluster.

mod bounds;
mod endings;
mod scripts;
mod server;
mod starttls;
