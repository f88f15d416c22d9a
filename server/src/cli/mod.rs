//! The command line, as typed. Names are fixed by the outside interface; `--help` is their documentation.

mod cluster;

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

pub use cluster::*;

#[derive(Parser)]
#[command(
    name = "gotthard",
    version,
    about = "A mail store whose every message and flag is safe in two sites",
    arg_required_else_help = true
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Run a node. Without a configuration: node 1, alone, on loopback.
    Serve(Serve),
    /// Run three nodes in two sites on loopback, with sample accounts and mail, until Ctrl-C.
    Demo(Demo),
    /// Add, list, remove, lock and unlock accounts; set passwords and quotas.
    Account(Account),
    /// Add, list and remove addresses.
    Address(Address),
    /// List and end sessions of a node.
    Session(Session),
    /// Bring mail in: Maildir, mbox, or folders of .eml files.
    Import(Import),
    /// Write an account's mail as Maildir, with flags and dates.
    Export(Export),
    /// Sites, nodes, shards, lag, mode and problems.
    Status(Status),
    /// What became of a message: by its Message-ID, its receipt, or an address that it came from or went to.
    Trace(Trace),
    /// Where an acknowledged change stands now: on which sites and nodes.
    Receipt(Receipt),
    /// Find messages of an account by text, exactly.
    Search(Search),
    /// The search index of a node: how far it is; make it anew; hold it against a scan.
    Index(Index),
    /// Bring out what a lost site acknowledged and the recovered cluster does not have, from a disk that turned up.
    Salvage(Salvage),
    /// Make a cluster; add and remove nodes; move leaders.
    Cluster(Cluster),
    /// Check a data directory offline: every frame, every reference, the views against the journal.
    Verify(Verify),
    /// Print a completion script: `source <(gotthard completions bash)`.
    Completions { shell: clap_complete::Shell },
}

#[derive(Args)]
pub struct Serve {
    /// A TOML file; every key is described in docs/configuration.md.
    #[arg(long, env = "GOTTHARD_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where journal and views live.
    #[arg(long, env = "GOTTHARD_DATA")]
    pub data: Option<PathBuf>,
    /// Ends when the process that started it ends.
    #[arg(long, hide = true)]
    pub with_parent: bool,
}

#[derive(Args)]
pub struct Demo {
    #[arg(long, default_value = "./gotthard-data")]
    pub data: PathBuf,
    /// Added to every port.
    #[arg(long, default_value_t = 0)]
    pub port_offset: u16,
    /// Accounts only, no sample mail.
    #[arg(long)]
    pub no_sample: bool,
    /// Leave a node that died.
    #[arg(long)]
    pub no_restart: bool,
}

/// Where administrative commands go.
#[derive(Args, Clone)]
pub struct Server {
    /// The admin listener of any node.
    #[arg(
        long,
        global = true,
        env = "GOTTHARD_SERVER",
        default_value = "http://127.0.0.1:1080"
    )]
    pub server: String,
    /// The token; by default it is read from the data directory.
    #[arg(long, global = true, env = "GOTTHARD_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// The data directory to read the token from.
    #[arg(
        long,
        global = true,
        env = "GOTTHARD_DATA",
        default_value = "./gotthard-data"
    )]
    pub data: PathBuf,
    /// Print JSON.
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Args)]
pub struct Account {
    #[command(subcommand)]
    pub action: AccountAction,
    #[command(flatten)]
    pub server: Server,
}

#[derive(Subcommand)]
pub enum AccountAction {
    /// Make an account; its address is its first login name.
    Add {
        address: String,
        #[command(flatten)]
        secret: Secret,
        /// Octets.
        #[arg(long)]
        quota: Option<u64>,
    },
    List,
    /// Remove an account and all its mail.
    Remove {
        address: String,
    },
    Password {
        address: String,
        #[command(flatten)]
        secret: Secret,
    },
    /// Set the quota in octets; without a number there is none.
    Quota {
        address: String,
        octets: Option<u64>,
    },
    /// No logins; mail still comes in.
    Lock {
        address: String,
    },
    Unlock {
        address: String,
    },
}

#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct Secret {
    /// Read the password from standard input (one line).
    #[arg(long)]
    pub password_stdin: bool,
    /// Read a `{SCHEME}hash` from standard input (one line).
    #[arg(long)]
    pub hash_stdin: bool,
}

#[derive(Args)]
pub struct Address {
    #[command(subcommand)]
    pub action: AddressAction,
    #[command(flatten)]
    pub server: Server,
}

#[derive(Subcommand)]
pub enum AddressAction {
    /// Send an address (`local@domain`, or `*@domain` for all others) to accounts.
    Add {
        address: String,
        /// `account@domain` or `account@domain:Folder`; may be repeated.
        #[arg(long = "to")]
        to: Vec<String>,
        /// Refuse its mail with this text instead.
        #[arg(long)]
        refuse: Option<String>,
        /// It is also a name to log in with.
        #[arg(long)]
        login: bool,
    },
    List,
    Remove {
        address: String,
    },
}

#[derive(Args)]
pub struct Session {
    #[command(subcommand)]
    pub action: SessionAction,
    #[command(flatten)]
    pub server: Server,
}

#[derive(Subcommand)]
pub enum SessionAction {
    List,
    /// End a session by the id that `list` shows.
    Kick {
        id: String,
    },
}

#[derive(Args)]
pub struct Import {
    #[arg(long)]
    pub account: String,
    /// Where mail without a folder of its own goes.
    #[arg(long, default_value = "INBOX")]
    pub mailbox: String,
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    #[command(flatten)]
    pub server: Server,
}

#[derive(Args)]
pub struct Export {
    #[arg(long)]
    pub account: String,
    /// A folder that does not exist yet, or is empty.
    pub path: PathBuf,
    #[command(flatten)]
    pub server: Server,
}

#[derive(Args)]
pub struct Status {
    /// Again every second, until Ctrl-C.
    #[arg(long)]
    pub watch: bool,
    #[command(flatten)]
    pub server: Server,
}

#[derive(Args)]
pub struct Trace {
    /// A Message-ID, a receipt as the sender was told, or an address; with `<>` or without.
    pub of: String,
    #[command(flatten)]
    pub server: Server,
}

#[derive(Args)]
pub struct Receipt {
    /// As an acknowledgement carried it: `<cluster.incarnation:shard:term:log_index>`, with `<>` or without.
    pub id: String,
    #[command(flatten)]
    pub server: Server,
}

#[derive(Args)]
pub struct Search {
    /// Found where it stands, in any case and any composition of its letters. Ranked: words, `beginnings*`, "phrases".
    pub text: String,
    /// The best first: messages with all the words, inflected or mistyped too.
    #[arg(long, conflicts_with = "key")]
    pub ranked: bool,
    /// In which words are inflected: codes of ISO 639-1, separated by commas. English, German, French and Italian if not given.
    #[arg(long, requires = "ranked", default_value = "")]
    pub languages: String,
    /// Count what was found by mailbox, sender, year and attachment.
    #[arg(long, requires = "ranked")]
    pub facets: bool,
    #[arg(long)]
    pub account: String,
    /// Only in this mailbox.
    #[arg(long)]
    pub mailbox: Option<String>,
    /// Where: text (anywhere), body, or a header field such as subject or from.
    #[arg(long, default_value = "text")]
    pub key: String,
    /// Messages to show, the newest of each mailbox first; all are counted.
    #[arg(long, default_value_t = 50)]
    pub limit: usize,
    #[command(flatten)]
    pub server: Server,
}

#[derive(Args)]
pub struct Index {
    #[command(subcommand)]
    pub action: IndexAction,
    #[command(flatten)]
    pub server: Server,
}

#[derive(Subcommand)]
pub enum IndexAction {
    /// How far each shard's index is, and what it takes.
    Status,
    /// Make the index anew from the mail, beside the one that there is; searches go on.
    Rebuild {
        /// All shards of the node without it.
        #[arg(long)]
        shard: Option<u32>,
    },
    /// Ask for pieces of the account's own mail, by the index and by a scan; exit code 1 if the answers differ.
    Verify {
        #[arg(long)]
        account: String,
        #[arg(long, default_value_t = 200)]
        queries: usize,
    },
}

#[derive(Args)]
pub struct Salvage {
    /// The data directory of a node of the lost site, or a copy of it. It is only read.
    #[arg(long)]
    pub data: PathBuf,
    /// `recovered.json` in the folder of the node that `cluster recover-site` made.
    #[arg(long)]
    pub recovered: PathBuf,
    /// A folder to make: a Maildir for each account, and changes.jsonl with all other changes.
    #[arg(long)]
    pub to: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct Verify {
    #[arg(long)]
    pub data: PathBuf,
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_commands_are_well_formed() {
        Cli::command().debug_assert();
    }
}
