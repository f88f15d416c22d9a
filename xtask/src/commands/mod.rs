//! The commands: each does what `cli.rs` promises for it, out of the parts beside this folder.

pub mod bench;
pub mod build;
pub mod corpus;
pub mod demo;
pub mod env;
pub mod fix;
pub mod fuzz;
pub mod jepsen;
pub mod rocksdb;
pub mod sim;
pub mod test;
pub mod tidy;
pub mod verify;
