//! `gotthard cluster`: folders for new nodes, and requests that are repeated until every shard has followed.

use crate::authority::{Authority, KEY_FILE};
use crate::cli::{
    Cluster, ClusterAction, ClusterAddNode, ClusterInit, ClusterPolicy, ClusterRemoveNode,
    ClusterTransferLeader, Server,
};
use crate::client::Client;
use crate::config::{Config, MemberConfig, SiteLoss};
use crate::identity::{hex, random, write_new};
use crate::node_folder::{
    CONFIG_FILE, ClusterFacts, MailPorts, TOKEN_FILE, make, node_dir, port_of,
};
use crate::print::say;
use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Between two calls: a step takes milliseconds, and whoever watches wants to see it move.
const STEP_INTERVAL: Duration = Duration::from_millis(300);

pub fn run(args: &Cluster) -> Result<()> {
    match &args.action {
        ClusterAction::Init(args) => init(args),
        ClusterAction::AddNode(args) => add_node(args),
        ClusterAction::RemoveNode(args) => remove_node(args),
        ClusterAction::TransferLeader(args) => transfer_leader(args),
        ClusterAction::Policy(args) => set_policy(args),
        ClusterAction::RecoverSite(args) => crate::recover_site::run(args),
    }
}

fn init(args: &ClusterInit) -> Result<()> {
    let nodes = &args.nodes;
    let distinct = |count: usize, what: &str| match count == nodes.len() {
        true => Ok(()),
        false => bail!("two nodes have the same {what}"),
    };
    distinct(
        nodes.iter().map(|n| n.id).collect::<BTreeSet<_>>().len(),
        "id",
    )?;
    distinct(
        nodes.iter().map(|n| &n.peer).collect::<BTreeSet<_>>().len(),
        "address",
    )?;
    let dir = std::path::absolute(&args.dir)?;
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    if fs::read_dir(&dir)?.next().is_some() {
        bail!("{} is not empty: nothing is overwritten", dir.display());
    }
    let id = hex(&random::<16>()?);
    let authority = Authority::found(&dir, &format!("Gotthard cluster {id}"))?;
    write_new(&dir.join(TOKEN_FILE), &hex(&random::<16>()?))?;
    let facts = ClusterFacts {
        id: &id,
        incarnation: 1,
        mail_shards: args.mail_shards,
        members: nodes,
    };
    for node in nodes {
        make(&dir, node, &facts, false, &authority)?;
    }
    write_new(&dir.join("cluster-id"), &id)?;
    if args.json {
        let rows: Vec<Value> = nodes.iter().map(|node| folder_row(&dir, node)).collect();
        say!("{}", json!({ "cluster": id, "dir": dir, "nodes": rows }));
    } else {
        print_next_steps(&dir, nodes);
    }
    Ok(())
}

fn folder_row(dir: &Path, node: &MemberConfig) -> Value {
    let config = node_dir(dir, node.id).join(CONFIG_FILE);
    json!({ "node": node.id, "site": node.site, "peer": node.peer, "config": config })
}

fn print_next_steps(dir: &Path, nodes: &[MemberConfig]) {
    let sites: BTreeSet<&str> = nodes.iter().map(|node| &*node.site).collect();
    say!(
        "A cluster of {} nodes in {} sites is laid out.",
        nodes.len(),
        sites.len()
    );
    if sites.len() == 1 {
        say!("With one site there is no gate: what is acknowledged may be lost with the site.");
    }
    say!("\n1. Look over each configuration: where clients come ([listen], [tls]), node.hostname.");
    say!("2. Bring each folder to its machine, and start it there:");
    for node in nodes {
        let config = node_dir(dir, node.id).join(CONFIG_FILE);
        say!(
            "     node {}, site {}, at {}: gotthard serve --config {}",
            node.id,
            node.site,
            node.peer,
            config.display()
        );
    }
    let http = nodes
        .first()
        .and_then(|node| port_of(&node.peer))
        .map_or(1080, |port| MailPorts::below(port).http);
    say!(
        "3. Make accounts, on the machine of node {}:",
        nodes.first().map_or(1, |node| node.id)
    );
    say!(
        "     gotthard account add ADDRESS --password-stdin --server http://127.0.0.1:{http} --data {}",
        dir.display()
    );
    say!(
        "\nKeep {} safe and off the nodes: whoever has it can let nodes in.",
        dir.join(KEY_FILE).display()
    );
}

fn add_node(args: &ClusterAddNode) -> Result<()> {
    let dir = std::path::absolute(&args.dir)?;
    let client = client_of(&args.server, Some(&dir))?;
    let node = MemberConfig {
        id: args.id,
        site: args.site.clone(),
        peer: args.peer.clone(),
    };
    let folder = node_dir(&dir, node.id);
    if folder.exists() {
        check_folder(&folder, &node)?;
    } else {
        let cluster = client.json("GET", "/admin/cluster", None)?;
        make_joining(&dir, &node, &cluster)?;
    }
    if !args.server.json {
        say!(
            "Start it with: gotthard serve --config {}",
            folder.join(CONFIG_FILE).display()
        );
        say!("Ctrl-C is safe: the same command goes on where it stopped.");
    }
    let body = json!({ "node": node.id, "site": node.site, "peer": node.peer });
    let steps = Steps {
        client: &client,
        method: "POST",
        path: "/admin/nodes".to_owned(),
        body: Some(body),
        patience: Duration::from_secs(args.patience.wait),
        goal: "vote",
        is_quiet: args.server.json,
    };
    let done = steps.run(|shard| shard["state"] == "voter")?;
    report(
        &args.server,
        &done,
        &format!("Node {} votes in all shards.", node.id),
    );
    Ok(())
}

/// A folder from an earlier run: the same node, and one that joins.
fn check_folder(folder: &Path, node: &MemberConfig) -> Result<()> {
    let config = Config::load(Some(&folder.join(CONFIG_FILE)))?;
    if !config.cluster.join {
        bail!(
            "{} is a founding member's: a node that lost its data comes back under a new id",
            folder.display()
        );
    }
    let found = config.cluster.members.iter().find(|m| m.id == node.id);
    let is_same = found.is_some_and(|m| m.site == node.site && m.peer == node.peer);
    if config.node.id != node.id || !is_same {
        bail!("{} was made for another site or address", folder.display());
    }
    Ok(())
}

/// The new node's folder; `cluster` is the answer of `/admin/cluster`.
fn make_joining(dir: &Path, node: &MemberConfig, cluster: &Value) -> Result<PathBuf> {
    let authority = Authority::open(dir)?;
    let id = cluster["id"]
        .as_str()
        .context("the answer has no cluster id")?;
    let kept = fs::read_to_string(dir.join("cluster-id"))
        .with_context(|| format!("cannot read {}", dir.join("cluster-id").display()))?;
    if kept.trim() != id {
        bail!("{} is of another cluster than the server", dir.display());
    }
    let number = |key: &str| cluster[key].as_u64().and_then(|n| u32::try_from(n).ok());
    let others = cluster["nodes"].as_array().into_iter().flatten();
    let others = others.filter_map(|other| {
        Some(MemberConfig {
            id: other["node"].as_u64()?,
            site: other["site"].as_str()?.to_owned(),
            peer: other["peer"].as_str()?.to_owned(),
        })
    });
    let mut members: Vec<MemberConfig> = others.filter(|other| other.id != node.id).collect();
    members.push(node.clone());
    let facts = ClusterFacts {
        id,
        incarnation: number("incarnation").context("the answer has no incarnation")?,
        mail_shards: number("mail_shards").context("the answer has no mail_shards")?,
        members: &members,
    };
    make(dir, node, &facts, true, &authority)
}

fn remove_node(args: &ClusterRemoveNode) -> Result<()> {
    let client = client_of(&args.server, None)?;
    let steps = Steps {
        client: &client,
        method: "DELETE",
        path: format!("/admin/nodes/{}?leave_site={}", args.id, args.leave_site),
        body: None,
        patience: Duration::from_secs(args.patience.wait),
        goal: "go on without it",
        is_quiet: args.server.json,
    };
    let done = steps.run(|shard| shard["state"] == "absent")?;
    let text = format!(
        "Node {0} belongs to no shard any more. Stop it if it runs, and never start it again; the id {0} is used up.",
        args.id
    );
    report(&args.server, &done, &text);
    Ok(())
}

fn transfer_leader(args: &ClusterTransferLeader) -> Result<()> {
    let client = client_of(&args.server, None)?;
    let steps = Steps {
        client: &client,
        method: "POST",
        path: "/admin/leader".to_owned(),
        body: Some(json!({ "shard": args.shard, "to": args.to })),
        patience: Duration::from_secs(args.patience.wait),
        goal: "follow it",
        is_quiet: args.server.json,
    };
    let done = steps.run(|shard| shard["leader"] == args.to)?;
    let what = match args.shard {
        Some(shard) => format!("shard {shard}"),
        None => "all shards".to_owned(),
    };
    report(
        &args.server,
        &done,
        &format!("Node {} leads {what}.", args.to),
    );
    Ok(())
}

fn set_policy(args: &ClusterPolicy) -> Result<()> {
    let client = client_of(&args.server, None)?;
    let policy = args.on_site_loss.name();
    let steps = Steps {
        client: &client,
        method: "PUT",
        path: "/admin/policy".to_owned(),
        body: Some(json!({ "on_site_loss": policy })),
        patience: Duration::from_secs(args.patience.wait),
        goal: "hold it",
        is_quiet: args.server.json,
    };
    let done = steps.run(|shard| shard["on_site_loss"] == policy)?;
    let text = match args.on_site_loss {
        SiteLoss::Strict => "When only one site is left, changes are refused.",
        SiteLoss::Degrade => {
            "When only one site is left, changes go on after some seconds, and health says so."
        }
    };
    report(&args.server, &done, text);
    Ok(())
}

/// The token of the cluster's folder, unless one is given.
fn client_of(server: &Server, dir: Option<&Path>) -> Result<Client> {
    let mut server = server.clone();
    if let Some(dir) = dir {
        server.data = dir.to_owned();
    }
    Client::new(&server)
}

fn report(server: &Server, answer: &Value, text: &str) {
    if server.json {
        say!("{answer}");
    } else {
        say!("{text}");
    }
}

/// One request, again and again until its answer says that nothing is left to do.
struct Steps<'a> {
    client: &'a Client,
    method: &'static str,
    path: String,
    body: Option<Value>,
    patience: Duration,
    /// What shards are counted for: "12 of 17 shards …".
    goal: &'static str,
    is_quiet: bool,
}

impl Steps<'_> {
    fn run(&self, has_followed: impl Fn(&Value) -> bool) -> Result<Value> {
        let bar = match self.is_quiet {
            true => ProgressBar::hidden(),
            false => ProgressBar::new(0),
        };
        let template = format!(
            "{{bar:30}} {{pos}} of {{len}} shards {}  {{msg}}",
            self.goal
        );
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style);
        }
        let mut stuck_since: Option<Instant> = None;
        loop {
            let (answer, obstacle) = self.step()?;
            if let Some(answer) = answer {
                let shards = answer["shards"].as_array().cloned().unwrap_or_default();
                bar.set_length(shards.len() as u64);
                bar.set_position(shards.iter().filter(|s| has_followed(s)).count() as u64);
                bar.set_message(obstacle.clone().unwrap_or_else(|| to_go(&shards)));
                if answer["done"] == true {
                    bar.finish_and_clear();
                    return Ok(answer);
                }
            } else {
                bar.set_message(obstacle.clone().unwrap_or_default());
            }
            stuck_since = obstacle.as_ref().and(stuck_since.or(Some(Instant::now())));
            if let (Some(why), Some(since)) = (obstacle, stuck_since)
                && since.elapsed() >= self.patience
            {
                bar.finish_and_clear();
                let seconds = self.patience.as_secs();
                bail!("{why}; so for {seconds} s. The same command goes on where this one stopped");
            }
            // A poll, on the command line's only thread: the server answers how far it is, and does not call back.
            sleep(STEP_INTERVAL);
        }
    }

    /// An answer, and what stands in the way now. An error is a refusal.
    fn step(&self) -> Result<(Option<Value>, Option<String>)> {
        let body = self.body.as_ref().map(Value::to_string).unwrap_or_default();
        let sent = self
            .client
            .send(self.method, &self.path, "application/json", body.as_bytes());
        let answer = match sent {
            Ok(answer) => answer,
            Err(error) => return Ok((None, Some(format!("{error:#}")))),
        };
        if answer.status == 503 {
            let value: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
            let text = value["error"].as_str().unwrap_or("the node is not ready");
            return Ok((None, Some(text.to_owned())));
        }
        let value = answer.into_json()?;
        let shards = value["shards"].as_array().into_iter().flatten();
        let obstacles: Vec<(&Value, &str)> = shards
            .filter_map(|shard| Some((&shard["shard"], shard["obstacle"].as_str()?)))
            .collect();
        let text = obstacles
            .first()
            .map(|(shard, why)| format!("shard {shard}: {why}"));
        Ok((Some(value), text))
    }
}

/// What learners still have to get.
fn to_go(shards: &[Value]) -> String {
    let learners = || shards.iter().filter(|shard| shard["state"] == "learner");
    let behind: u64 = learners()
        .filter_map(|shard| shard["behind"].as_u64())
        .sum();
    match learners().count() {
        0 => String::new(),
        learners => format!("{learners} catch up, {behind} entries to go"),
    }
}
