//! The project's tooling: what `cargo xtask` builds, checks, prepares and runs.
//! Enters: command line, source tree, `cargo metadata`, `arrows.toml`, `deny.toml`, `xtask/tidy.toml`, `xtask/ratchets.toml`.
//! Leaves: binaries, findings with file and line, the corpus, and `librocksdb.a` in a cache outside `target`.
//! It must never know what mail is, and never depend on another room or on a crate that is slow to compile.
//! Read first: `cli.rs` (the commands), then `tidy/mod.rs` (the rules of the house).

pub mod cargo;
pub mod cli;
pub mod commands;
pub mod corpus;
pub mod ground;
pub mod licences;
pub mod limits;
pub mod rocksdb;
pub mod tidy;
pub mod workspace;
