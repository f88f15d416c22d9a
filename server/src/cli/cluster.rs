//! The arguments of `gotthard cluster`.

use super::Server;
use crate::config::{MemberConfig, SiteLoss};
use crate::node_folder;
use clap::{Args, Subcommand};
use std::path::PathBuf;

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
