//! `gotthard cluster recover-site`: a new cluster of one node, from what the stopped nodes of one site hold.
//!
//! SITE-1: the survivors' folders are only read. The new node's folder is made beside them, whole or not at all, so that
//! the command can be interrupted and repeated.
//! SITE-2: it is refused while a node of the lost site answers: two clusters would go on from one.
//! SITE-3: the new node has a new id and a higher incarnation, and every number that a client can hold jumps.

mod folder;
pub use folder::{copy_journal, link_views};
mod verdict;

use crate::cli::ClusterRecoverSite;
use crate::clock::{SystemClock, rfc3339};
use crate::config::{Config, MemberConfig};
use crate::identity::random;
use crate::print::say;
use anyhow::{Context, Result, bail};
use engine_events::{Command, Event, Kind, Payload, ShardRecovered};
use engine_replica::Clock;
use engine_types::{AccountId, CommandId};
use folder::Work;
use raft_api::{NodeId, NodeInfo, ShardId, SiteName};
use raft_log::Journal;
use raft_node::recover::{Standing, bring_up, go_on_alone, standing, term_runs};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, IsTerminal};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A site that is alive answers within milliseconds, a distant one within a second.
const ANSWER_MAX: Duration = Duration::from_secs(3);

/// A stopped node of the surviving site.
struct Survivor {
    path: PathBuf,
    config: Config,
}

pub fn run(args: &ClusterRecoverSite) -> Result<()> {
    let survivors = load(&args.survivors)?;
    let first = &survivors[0];
    if survivors.iter().any(|s| s.config.node.id == args.id) {
        bail!(
            "--id {} is a survivor's: the new node needs an id that no node ever had",
            args.id
        );
    }
    let fenced_at = args.fenced_at.as_deref().map(check_time).transpose()?;
    let mut work = Work::begin(first, args.id)?;
    let (journal, in_sync) = work.gather(&survivors)?;
    let shards: Vec<ShardId> = (0..=first.config.cluster.mail_shards)
        .map(ShardId)
        .collect();
    let standings: Vec<Standing> = shards
        .iter()
        .map(|shard| standing(&journal, *shard, NodeId(first.config.node.id)))
        .collect::<Result<_, _>>()?;
    let members = members(&survivors, &standings);
    check_members(args, &survivors, &members)?;
    check_votes(&standings, first)?;
    let site = &first.config.node.site;
    let is_here = |id: &u64| members.get(id).is_some_and(|member| member.site == *site);
    let is_whole = !args.without.iter().any(is_here);
    let verdict = verdict::verdict(&standings, &in_sync, is_whole);
    let logs: Vec<Value> = standings
        .iter()
        .filter_map(|standing| Some((standing.shard, standing.last?)))
        .map(|(shard, last)| json!({ "shard": shard.0, "last": last.index.0, "terms": term_runs(&journal, shard) }))
        .collect();
    if !args.json {
        say!("{}", verdict.text());
    }
    journal.close();
    if args.dry_run {
        if args.json {
            say!("{}", json!({ "dry_run": true, "verdict": verdict }));
        }
        return Ok(());
    }
    if !args.yes && !is_agreed()? {
        bail!("nothing was changed");
    }
    let node = MemberConfig {
        id: args.id,
        site: first.config.node.site.clone(),
        peer: args.peer.clone().map_or_else(|| own_peer(first), Ok)?,
    };
    let incarnation = first.config.cluster.incarnation + 1;
    let journal = work.succeed(first, args.id, incarnation)?;
    for standing in standings.iter().filter(|standing| standing.last.is_some()) {
        go_on(&journal, standing.shard, &node, incarnation)?;
    }
    journal.close();
    let record = json!({
        "cluster": first.config.cluster.id,
        "incarnation": incarnation,
        "node": node.id,
        "recovered_at": rfc3339(SystemClock.now()),
        "survivors": survivors.iter().map(|s| s.config.node.id).collect::<Vec<u64>>(),
        "fenced": args.fenced,
        "fenced_at": fenced_at,
        "verdict": verdict,
        "logs": logs,
    });
    let folder = work.finish(first, &node, incarnation, &args.dir, &record)?;
    if args.json {
        say!("{record}");
    } else {
        print_next_steps(&folder, &node, incarnation, &survivors);
    }
    Ok(())
}

fn load(paths: &[PathBuf]) -> Result<Vec<Survivor>> {
    let mut survivors: Vec<Survivor> = Vec::new();
    for path in paths {
        let path = std::path::absolute(path)?;
        let mut config = Config::load(Some(&path))?;
        let id = crate::identity::cluster_id(&config.node.data, &config.cluster.id)?;
        config.cluster.id = crate::identity::hex(&id);
        survivors.push(Survivor { path, config });
    }
    let first = &survivors[0].config;
    for other in &survivors[1..] {
        let config = &other.config;
        let differs = [
            (config.cluster.id != first.cluster.id, "another cluster"),
            (
                config.cluster.incarnation != first.cluster.incarnation,
                "another incarnation",
            ),
            (config.node.site != first.node.site, "another site"),
            (
                config.cluster.mail_shards != first.cluster.mail_shards,
                "other shards",
            ),
            (config.node.id == first.node.id, "the same node"),
        ];
        if let Some((_, what)) = differs.iter().find(|(differs, _)| *differs) {
            bail!(
                "{} is of {what} than the first survivor",
                other.path.display()
            );
        }
    }
    Ok(survivors)
}

/// As the survivors' logs have them, and their configurations: whoever may still be alive somewhere.
fn members(survivors: &[Survivor], standings: &[Standing]) -> BTreeMap<u64, MemberConfig> {
    let mut members: BTreeMap<u64, MemberConfig> = BTreeMap::new();
    for survivor in survivors {
        for member in &survivor.config.cluster.members {
            members.insert(member.id, member.clone());
        }
    }
    for member in standings.iter().flat_map(|standing| &standing.members) {
        let known = MemberConfig {
            id: member.id.0,
            site: member.site.to_string(),
            peer: member.peer_addr.clone(),
        };
        members.insert(known.id, known);
    }
    members
}

/// A node that was still being added has some beginning of each log, and cannot know how much it lacks.
fn check_votes(standings: &[Standing], first: &Survivor) -> Result<()> {
    let mut founded = standings.iter().filter(|standing| standing.last.is_some());
    match founded.find(|standing| !standing.votes) {
        None => Ok(()),
        Some(standing) => bail!(
            "node {} had not come to vote in shard {} yet: what it lacks cannot be told. Give a node that votes as the first --survivor",
            first.config.node.id,
            standing.shard
        ),
    }
}

fn check_members(
    args: &ClusterRecoverSite,
    survivors: &[Survivor],
    members: &BTreeMap<u64, MemberConfig>,
) -> Result<()> {
    if members.contains_key(&args.id) {
        bail!(
            "--id {} is a member's: the new node needs an id that no node ever had",
            args.id
        );
    }
    let site = &survivors[0].config.node.site;
    let named: BTreeSet<u64> = survivors.iter().map(|s| s.config.node.id).collect();
    let (here, lost): (Vec<_>, Vec<_>) = members.values().partition(|m| m.site == *site);
    if lost.is_empty() {
        bail!("the cluster has no other site: nothing is lost that this command could do without");
    }
    for member in here.iter().filter(|m| !named.contains(&m.id)) {
        if !args.without.contains(&member.id) {
            bail!(
                "node {} of site {site} is not named: it may hold what the others lack. Stop it and give its configuration with --survivor, or, if it is lost too, --without {}",
                member.id,
                member.id
            );
        }
    }
    for member in members.values().filter(|m| !named.contains(&m.id)) {
        if answers(&member.peer) {
            bail!(
                "node {} of site {} answers at {}: it is not lost. Stop and fence it, or mend the link instead of recovering",
                member.id,
                member.site,
                member.peer
            );
        }
    }
    Ok(())
}

fn answers(peer: &str) -> bool {
    let addresses = peer.to_socket_addrs().into_iter().flatten();
    let mut addresses = addresses;
    addresses.any(|address| TcpStream::connect_timeout(&address, ANSWER_MAX).is_ok())
}

fn own_peer(survivor: &Survivor) -> Result<String> {
    let config = &survivor.config;
    let own = config
        .cluster
        .members
        .iter()
        .find(|m| m.id == config.node.id);
    let own =
        own.context("the first survivor's configuration has no member of its id: give --peer")?;
    Ok(own.peer.clone())
}

/// `YYYY-MM-DDThh:mm:ss` and a zone; kept as it was given.
fn check_time(text: &str) -> Result<String> {
    let digits = |range: std::ops::Range<usize>| {
        let part = text.get(range).unwrap_or_default();
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit())
    };
    let is_time = text.is_ascii()
        && digits(0..4)
        && digits(5..7)
        && digits(8..10)
        && matches!(text.get(10..11), Some("T" | "t" | " "))
        && digits(11..13)
        && digits(14..16)
        && digits(17..19)
        && text.len() > 19;
    match is_time {
        true => Ok(text.to_owned()),
        false => bail!("--fenced-at is a time as 2026-11-24T18:30:00Z, not {text:?}"),
    }
}

/// Only where somebody can be asked.
fn is_agreed() -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("nobody can be asked whether to go on: add --yes");
    }
    say!(
        "Go on from here? What the lost site has beyond this can only be salvaged by hand. Type yes:"
    );
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}

fn go_on(journal: &Journal, shard: ShardId, node: &MemberConfig, incarnation: u32) -> Result<()> {
    let now = SystemClock.now();
    let kind = Kind::ShardRecovered(ShardRecovered { incarnation });
    let events = vec![Event::new(AccountId(0), 0, kind)];
    let id = CommandId(u128::from_be_bytes(random()?));
    let command = Command::new(id, 0, "recover-site", events);
    let payload = Payload::stamp(now, &command.encode_command());
    let info = NodeInfo {
        id: NodeId(node.id),
        site: SiteName::new(&node.site),
        peer_addr: node.peer.clone(),
    };
    go_on_alone(journal, shard, &info, now.0, vec![payload])?;
    Ok(())
}

/// Takes over, shard by shard, what a survivor has that the first one lacks.
fn take(journal: &Journal, other: &Journal, shards: u32) -> Result<u64> {
    let mut taken = 0;
    for shard in (0..=shards).map(ShardId) {
        taken += bring_up(journal, other, shard)?;
    }
    Ok(taken)
}

fn print_next_steps(folder: &Path, node: &MemberConfig, incarnation: u32, survivors: &[Survivor]) {
    let old: Vec<String> = survivors
        .iter()
        .map(|s| s.config.node.id.to_string())
        .collect();
    say!(
        "\nNode {} holds all that survived; the cluster's incarnation is now {incarnation}.",
        node.id
    );
    say!(
        "1. Start it: gotthard serve --config {}",
        folder.join("gotthard.toml").display()
    );
    say!(
        "   It listens where the first survivor did. Never start the old nodes again ({}).",
        old.join(", ")
    );
    say!(
        "2. Until there is a second site, this site alone holds what is acknowledged. Add nodes: gotthard cluster add-node"
    );
    say!(
        "3. Keep the old folders until all is well: docs/runbooks/recover-site.md. If disks of the lost site turn up: gotthard salvage"
    );
}

#[cfg(test)]
mod tests {
    use super::check_time;

    #[test]
    fn times() {
        for (text, is_time) in [
            ("2026-11-24T18:30:00Z", true),
            ("2026-11-24T18:30:00+01:00", true),
            ("2026-11-24 18:30:00Z", true),
            ("2026-11-24", false),
            ("yesterday", false),
            ("2026-11-24T18:30:00", false),
            ("2026-11-2éT18:30:00Z", false),
        ] {
            assert_eq!(check_time(text).is_ok(), is_time, "{text}");
        }
    }
}
