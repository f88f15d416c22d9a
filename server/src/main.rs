//! Glue: configuration, wiring, command line, metrics, logs, signals. No word about mail is decided here.

mod admin;
mod cli;
mod client;
mod clock;
mod config;
mod demo;
mod export;
mod health;
mod identity;
mod import;
mod serve;
mod status;
mod verify;

use clap::{CommandFactory, Parser};
use cli::{Cli, Command};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Serve(args) => serve::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Account(args) => admin::account(&args),
        Command::Address(args) => admin::address(&args),
        Command::Session(args) => admin::session(&args),
        Command::Import(args) => import::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Status(args) => status::run(&args),
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
