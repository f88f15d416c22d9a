//! The program: configuration, wiring, command line, metrics, logs, signals.
//! Enters: arguments, a TOML file, signals. Leaves: a running node, or one administrative request and its answer.
//! It must never know what mail means: there is no `if` about mail here.
//! Each command is a file; `serve.rs` opens what a node is made of and closes it in reverse.
//! Read first: `serve.rs`, then `cli/mod.rs`.

mod admin;
mod authority;
mod cli;
mod client;
mod clock;
mod clocks_off;
mod cluster;
mod config;
mod demo;
mod export;
mod health;
mod identity;
mod import;
mod in_sync;
mod joining;
mod listen;
mod membership;
mod metrics;
mod node_folder;
mod outcomes;
mod print;
mod receipt;
mod recover_site;
mod salvage;
mod search;
mod serve;
mod site_loss;
mod status;
mod trace;
#[cfg(feature = "twins")]
mod twins;
mod verify;

use clap::{CommandFactory, Parser};
use cli::{Cli, Command};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    #[cfg(feature = "twins")]
    if let Err(error) = twins::break_on_purpose() {
        eprintln!("gotthard: {error:#}");
        return ExitCode::FAILURE;
    }
    let result = match cli.command {
        Command::Serve(args) => serve::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Account(args) => admin::account(&args),
        Command::Address(args) => admin::address(&args),
        Command::Session(args) => admin::session(&args),
        Command::Import(args) => import::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Trace(args) => trace::run(&args),
        Command::Receipt(args) => receipt::run(&args),
        Command::Search(args) => search::run(&args),
        Command::Index(args) => search::run_index(&args),
        Command::Salvage(args) => salvage::run(&args),
        Command::Cluster(args) => cluster::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Completions { shell } => {
            clap_complete::generate(
                shell,
                &mut Cli::command(),
                "gotthard",
                &mut std::io::stdout(),
            );
            Ok(())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gotthard: {error:#}");
            ExitCode::FAILURE
        }
    }
}
