//! The command line of `cargo xtask`: one row a command, each a file in `commands`.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::{commands, workspace};

/// Builds, checks, prepares and runs Gotthard. Start with `cargo xtask demo`.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    disable_help_subcommand = true
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build the release binary `gotthard`; its path is the last line on stdout
    Build,
    /// Build, then run three nodes in two sites on loopback until Ctrl-C
    Demo(PassedOn),
    /// Everything that a change must pass: `verify`, then all tests
    Test(TestArgs),
    /// Format, tidy, licences, clippy and docs; never writes to the tree
    Verify,
    /// What can be put right by a program: format, clippy's suggestions, ratchets that fell
    Fix,
    /// The rules of the house: arrows, room heads, banned calls, leftovers, dead files, names, links, ratchets
    Tidy,
    /// Bring the real mail corpus (6,046 messages), or make a mix with attachments
    Corpus(CorpusArgs),
    /// Run the fuzz targets for a while, guided by coverage
    Fuzz(FuzzArgs),
    /// Simulate whole clusters from seeds, with the arguments after `--` or as they are: `sim --seeds 1000`
    Sim(PassedOn),
    /// Try the release binary under faults, as root: `jepsen --minutes 5`; `jepsen --twins`; `jepsen list`
    Jepsen(PassedOn),
    /// Build the server and the load driver, and run the driver with the arguments after `--`
    Bench(PassedOn),
    /// Compile RocksDB into the cache if it isn't there, and print the folder of `librocksdb.a`
    Rocksdb,
    /// Print the environment with which plain cargo shares our builds: `eval "$(cargo xtask env)"`
    Env,
}

#[derive(Debug, Args)]
pub struct PassedOn {
    /// Passed on as they are
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGS"
    )]
    pub args: Vec<String>,
}

#[derive(Debug, Args)]
pub struct TestArgs {
    /// Tests alone, without `verify` before them
    #[arg(long)]
    pub no_verify: bool,
    /// Passed on to nextest (or to `cargo test` where that is missing), such as `-p raft-log`
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGS"
    )]
    pub args: Vec<String>,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct CorpusArgs {
    /// Where the messages go, one .eml each [default: corpus, or corpus-mix with --mix]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Make this many messages with attachments (mean 75 KB, three quarters of it base64 of noise) instead
    #[arg(long, value_name = "MESSAGES")]
    pub mix: Option<usize>,
    /// Another seed makes another mix
    #[arg(long, default_value_t = 1, requires = "mix")]
    pub seed: u64,
    /// Where the mix takes its text from
    #[arg(long, value_name = "DIR", default_value = "corpus", requires = "mix")]
    pub corpus: PathBuf,
    #[command(subcommand)]
    pub command: Option<CorpusCommand>,
}

#[derive(Debug, Subcommand)]
pub enum CorpusCommand {
    /// Train the default zstd dictionary on a seeded half of the corpus, and measure it on the other half
    TrainDictionary {
        /// The corpus as `cargo xtask corpus` wrote it
        #[arg(long, value_name = "DIR", default_value = "corpus")]
        corpus: PathBuf,
        /// Shipped dictionaries never change: compare before you replace one
        #[arg(
            long,
            value_name = "FILE",
            default_value = "engine/events/dictionary/default-v1.zdict"
        )]
        out: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct FuzzArgs {
    /// The targets to run; all of them if none is named
    pub targets: Vec<String>,
    /// For each target
    #[arg(long, default_value_t = 60)]
    pub seconds: u32,
    /// Name the targets, and run none
    #[arg(long)]
    pub list: bool,
}

pub fn run(cli: Cli) -> Result<()> {
    let root = workspace::root();
    match cli.command {
        Command::Build => commands::build::run(&root),
        Command::Demo(passed) => commands::demo::run(&root, &passed.args),
        Command::Test(args) => commands::test::run(&root, &args),
        Command::Verify => commands::verify::run(&root),
        Command::Fix => commands::fix::run(&root),
        Command::Tidy => commands::tidy::run(&root),
        Command::Corpus(args) => commands::corpus::run(&root, args),
        Command::Fuzz(args) => commands::fuzz::run(&root, &args),
        Command::Sim(passed) => commands::sim::run(&root, &passed.args),
        Command::Jepsen(passed) => commands::jepsen::run(&root, &passed.args),
        Command::Bench(passed) => commands::bench::run(&root, &passed.args),
        Command::Rocksdb => commands::rocksdb::run(&root),
        Command::Env => commands::env::run(&root),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn arguments_are_passed_on() {
        let check = |line: &str, expect: &[&str]| {
            let cli = Cli::try_parse_from(line.split(' ')).expect("a valid line");
            let args = match cli.command {
                Command::Demo(passed) | Command::Bench(passed) => passed.args,
                Command::Test(test) => test.args,
                _ => Vec::new(),
            };
            assert_eq!(args, expect, "{line}");
        };
        check("xtask demo", &[]);
        check(
            "xtask demo --data x --no-sample",
            &["--data", "x", "--no-sample"],
        );
        check("xtask demo -- --data x", &["--data", "x"]);
        check("xtask test -p raft-log", &["-p", "raft-log"]);
        check("xtask test --no-verify -p raft-log", &["-p", "raft-log"]);
        check("xtask bench -- --help", &["--help"]);
    }
}
