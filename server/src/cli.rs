//! The command line, as typed. Names are fixed by the outside interface; `--help` is their documentation.

use crate::config::{MemberConfig, SiteLoss};
use crate::node_folder;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

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

#[derive(Args)]
pub struct Cluster {
    #[command(subcommand)]
    pub action: ClusterAction,
}

#[derive(Subcommand)]
pub enum ClusterAction {
    /// Make a new cluster's authority, and a folder for each of its nodes: configuration, certificate, key, token.
    Init(ClusterInit),
    /// Make a new node's folder, and let it in: it learns all shards, then votes. Repeat it after an interruption.
    AddNode(ClusterAddNode),
    /// Take a node out of all shards, dead or alive. Repeat it after an interruption.
    RemoveNode(ClusterRemoveNode),
    /// Move the leadership of shards to a node; it stays there for ten minutes.
    TransferLeader(ClusterTransferLeader),
    /// Choose what happens to changes when only one site is left. Repeat it after an interruption.
    Policy(ClusterPolicy),
    /// Go on from one site when the other is lost: says what would be missing, then makes a new node from a stopped one.
    RecoverSite(ClusterRecoverSite),
}

#[derive(Args)]
pub struct ClusterInit {
    /// A folder to make, or an empty one.
    #[arg(long)]
    pub dir: PathBuf,
    /// `ID=SITE@HOST:PORT`, where other nodes reach it; once for each node.
    #[arg(long = "node", required = true, value_parser = founding_node)]
    pub nodes: Vec<MemberConfig>,
    /// Shards for mail; the same for ever.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub mail_shards: u32,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct ClusterAddNode {
    /// An id that no node of the cluster ever had.
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub id: u64,
    #[arg(long, value_parser = site_name)]
    pub site: String,
    /// `HOST:PORT`, where other nodes reach it.
    #[arg(long, value_parser = peer_address)]
    pub peer: String,
    /// The folder that `cluster init` or the demo made; the new node's is made in it.
    #[arg(long)]
    pub dir: PathBuf,
    #[command(flatten)]
    pub patience: Patience,
    #[command(flatten)]
    pub server: Server,
}

#[derive(Args)]
pub struct ClusterRemoveNode {
    pub id: u64,
    /// Also if it is the last node of its site: from then on the rule of two sites counts without that site.
    #[arg(long)]
    pub leave_site: bool,
    #[command(flatten)]
    pub patience: Patience,
    #[command(flatten)]
    pub server: Server,
}

#[derive(Args)]
pub struct ClusterTransferLeader {
    /// Only this shard; 0 is the control group.
    #[arg(long)]
    pub shard: Option<u32>,
    #[arg(long)]
    pub to: u64,
    #[command(flatten)]
    pub patience: Patience,
    #[command(flatten)]
    pub server: Server,
}

#[derive(Args)]
pub struct ClusterPolicy {
    /// `strict`: they are refused. `degrade`: they go on, each acknowledged by one site, and health says so.
    pub on_site_loss: SiteLoss,
    #[command(flatten)]
    pub patience: Patience,
    #[command(flatten)]
    pub server: Server,
}

#[derive(Args)]
pub struct ClusterRecoverSite {
    /// The configuration of a node of the surviving site that is stopped; once for each.
    #[arg(long = "survivor", required = true, value_name = "FILE")]
    pub survivors: Vec<PathBuf>,
    /// A node of the surviving site that is lost too, so that nothing can be read from it; once for each.
    #[arg(long = "without", value_name = "ID")]
    pub without: Vec<u64>,
    /// The folder that `cluster init` or the demo made, with the authority's key.
    #[arg(long)]
    pub dir: PathBuf,
    /// The new node's id: one that no node of the cluster ever had.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub id: u64,
    /// `HOST:PORT`, where later nodes reach it; by default as the first survivor.
    #[arg(long, value_parser = peer_address)]
    pub peer: Option<String>,
    /// How the lost site is kept from serving clients ever again: switched off, disks gone, network cut for good.
    #[arg(long, value_name = "TEXT", required_unless_present = "dry_run")]
    pub fenced: Option<String>,
    /// Since when it is (RFC 3339).
    #[arg(long, value_name = "TIME", required_unless_present = "dry_run")]
    pub fenced_at: Option<String>,
    /// Only say what would be missing. Changes nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask whether to go on after the verdict.
    #[arg(long)]
    pub yes: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct Patience {
    /// Give up after so many seconds in which something stood in the way.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub wait: u64,
}

fn site_name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match (1..=63).contains(&text.len()) && text.chars().all(fits) {
        true => Ok(text.to_owned()),
        false => Err("a site is 1 to 63 letters, digits, - and _".into()),
    }
}

fn peer_address(text: &str) -> Result<String, String> {
    match node_folder::port_of(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err("a peer is HOST:PORT".into()),
    }
}

fn founding_node(text: &str) -> Result<MemberConfig, String> {
    let parts = text
        .split_once('=')
        .and_then(|(id, rest)| Some((id, rest.split_once('@')?)));
    let (id, (site, peer)) = parts.ok_or("a node is ID=SITE@HOST:PORT")?;
    let id = id.parse().ok().filter(|id| *id > 0);
    Ok(MemberConfig {
        id: id.ok_or("an id is a number from 1")?,
        site: site_name(site)?,
        peer: peer_address(peer)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_commands_are_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn founding_nodes() {
        let check = |text: &str, expect: Result<(u64, &str, &str), &str>| {
            let node = founding_node(text);
            let node = node.as_ref().map(|n| (n.id, &*n.site, &*n.peer));
            assert_eq!(node.map_err(|error| &**error), expect, "{text}");
        };
        check("1=a@10.0.0.1:1700", Ok((1, "a", "10.0.0.1:1700")));
        check("2=b-1@[::1]:1700", Ok((2, "b-1", "[::1]:1700")));
        check("1=a", Err("a node is ID=SITE@HOST:PORT"));
        check("0=a@x:1", Err("an id is a number from 1"));
        check(
            "1=a b@x:1",
            Err("a site is 1 to 63 letters, digits, - and _"),
        );
        check("1=a@x", Err("a peer is HOST:PORT"));
        check("1=a@x:0", Err("a peer is HOST:PORT"));
        check("1=a@:1", Err("a peer is HOST:PORT"));
    }
}
