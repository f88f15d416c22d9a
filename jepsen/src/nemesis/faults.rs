//! The nemeses: one row each.

use super::{Nemesis, Scene};
use crate::cluster::Failure;
use anyhow::Result;
use std::fs;
use std::process::Command;

pub static TABLE: [Nemesis; 17] = [
    short("kill", "SIGKILL, and a start later", kill),
    short("kill-all", "SIGKILL for all nodes at once", kill_all),
    together("pause", "SIGSTOP, and SIGCONT later", pause),
    together("isolate", "one node hears and reaches no other", isolate),
    together("cut-sites", "nothing passes between two sites", cut_sites),
    together(
        "one-way",
        "what one node sends to another is lost; the way back works",
        one_way,
    ),
    together("bridge", "two halves that only one node reaches", bridge),
    Nemesis {
        missing: no_tc,
        ..together(
            "slow-link",
            "what a node sends leaves at 64 to 2000 kbit/s",
            slow_link,
        )
    },
    short(
        "lose-views",
        "SIGKILL, and the views are deleted before the start",
        lose_views,
    ),
    with_power(
        "power",
        "power is lost: unflushed pages fall back, any subset of them",
        power,
    ),
    with_power("power-all", "power is lost in all sites at once", power_all),
    with_disk(
        "disk-error",
        "writes and flushes of a node fail with EIO",
        disk_error,
    ),
    with_disk("disk-full", "no file of a node can grow: ENOSPC", disk_full),
    Nemesis {
        missing: no_clocks,
        ..together(
            "clock",
            "a node's wall clock jumps by up to two hours, either way",
            clock,
        )
    },
    Nemesis {
        is_alone: true,
        ..together(
            "transfer",
            "leadership of all shards goes to another node",
            transfer,
        )
    },
    Nemesis {
        is_alone: true,
        ..together(
            "policy",
            "what happens when one site is left is chosen anew: strict or degrade",
            policy,
        )
    },
    Nemesis {
        is_alone: true,
        ..together(
            "replace",
            "a node's disk is wiped; a new id joins for it, and the old one leaves",
            replace,
        )
    },
];

const fn together(
    name: &'static str,
    about: &'static str,
    begin: fn(&mut Scene<'_>) -> Result<String>,
) -> Nemesis {
    Nemesis {
        name,
        about,
        is_alone: false,
        is_short: false,
        needs_disk: false,
        missing: || None,
        begin,
    }
}

const fn short(
    name: &'static str,
    about: &'static str,
    begin: fn(&mut Scene<'_>) -> Result<String>,
) -> Nemesis {
    Nemesis {
        is_short: true,
        ..together(name, about, begin)
    }
}

const fn with_disk(
    name: &'static str,
    about: &'static str,
    begin: fn(&mut Scene<'_>) -> Result<String>,
) -> Nemesis {
    Nemesis {
        needs_disk: true,
        missing: crate::cluster::no_disk,
        ..together(name, about, begin)
    }
}

const fn with_power(
    name: &'static str,
    about: &'static str,
    begin: fn(&mut Scene<'_>) -> Result<String>,
) -> Nemesis {
    Nemesis {
        is_short: true,
        ..with_disk(name, about, begin)
    }
}

fn no_tc() -> Option<String> {
    let found = Command::new("tc").arg("-V").output().is_ok();
    (!found).then(|| "`tc` is missing: apt-get install iproute2".to_owned())
}

fn no_clocks() -> Option<String> {
    let found = crate::cluster::clock_library().is_some();
    (!found).then(|| "libfaketime is missing: apt-get install libfaketime".to_owned())
}

fn clock(scene: &mut Scene<'_>) -> Result<String> {
    let node = scene.victim();
    let jumps = [-7200, -600, -30, -2, 2, 30, 600, 7200];
    let seconds = scene.chance.pick(&jumps).copied().unwrap_or(0);
    scene.cluster.set_clock(node, seconds)?;
    Ok(format!("the clock of node {node} is off by {seconds} s"))
}

fn kill(scene: &mut Scene<'_>) -> Result<String> {
    let node = scene.victim();
    scene.cluster.node(node)?.kill()?;
    Ok(format!("node {node} is killed"))
}

fn kill_all(scene: &mut Scene<'_>) -> Result<String> {
    for node in scene.cluster.ids() {
        scene.cluster.node(node)?.kill()?;
    }
    Ok("all nodes are killed".to_owned())
}

fn pause(scene: &mut Scene<'_>) -> Result<String> {
    let node = scene.victim();
    scene.cluster.node(node)?.pause()?;
    Ok(format!("node {node} is paused"))
}

fn isolate(scene: &mut Scene<'_>) -> Result<String> {
    let node = scene.victim();
    let others: Vec<u64> = scene
        .cluster
        .ids()
        .into_iter()
        .filter(|other| *other != node)
        .collect();
    scene.part(&[node], &others)?;
    Ok(format!("node {node} is cut off"))
}

fn cut_sites(scene: &mut Scene<'_>) -> Result<String> {
    let node = scene.victim();
    let site = scene.cluster.site(node).to_owned();
    let ids = scene.cluster.ids();
    let (inside, outside): (Vec<u64>, Vec<u64>) =
        ids.iter().partition(|id| scene.cluster.site(**id) == site);
    scene.part(&inside, &outside)?;
    Ok(format!("site {site} is cut off"))
}

fn one_way(scene: &mut Scene<'_>) -> Result<String> {
    let from = scene.victim();
    let others: Vec<u64> = scene
        .shuffled()
        .into_iter()
        .filter(|other| *other != from)
        .collect();
    let to = others.first().copied().unwrap_or(from);
    let (from, to) = if scene.chance.is_lucky(50) {
        (from, to)
    } else {
        (to, from)
    };
    scene.cluster.wires.cut(from, to)?;
    Ok(format!("what node {from} sends to node {to} is lost"))
}

fn bridge(scene: &mut Scene<'_>) -> Result<String> {
    let nodes = scene.shuffled();
    let Some((middle, rest)) = nodes.split_first() else {
        return Ok("no node".to_owned());
    };
    let (one, other) = rest.split_at(rest.len() / 2);
    scene.part(one, other)?;
    Ok(format!("{one:?} and {other:?} reach only node {middle}"))
}

fn slow_link(scene: &mut Scene<'_>) -> Result<String> {
    let node = scene.victim();
    let kilobits = scene.chance.between(64, 2000);
    scene.cluster.wires.slow(node, kilobits)?;
    Ok(format!("node {node} sends at {kilobits} kbit/s"))
}

fn lose_views(scene: &mut Scene<'_>) -> Result<String> {
    let id = scene.victim();
    let node = scene.cluster.node(id)?;
    node.kill()?;
    fs::remove_dir_all(node.folder.join("views"))?;
    Ok(format!("node {id} is killed, and its views are gone"))
}

fn transfer(scene: &mut Scene<'_>) -> Result<String> {
    let nodes = scene.shuffled();
    let (server, to) = (nodes[0], nodes[nodes.len() - 1]);
    match scene.cluster.transfer(server, to) {
        Ok(()) => Ok(format!("node {to} leads all shards")),
        Err(error) => Ok(format!("node {to} does not lead: {error:#}")),
    }
}

fn replace(scene: &mut Scene<'_>) -> Result<String> {
    let node = scene.victim();
    let new = scene.cluster.replace(node)?;
    Ok(format!(
        "node {node} lost its disk, node {new} took its place"
    ))
}

fn power(scene: &mut Scene<'_>) -> Result<String> {
    let node = scene.victim();
    let lost = scene.cluster.lose_power(node, scene.chance)?;
    Ok(format!(
        "node {node} lost power, and {lost} unflushed pages"
    ))
}

fn power_all(scene: &mut Scene<'_>) -> Result<String> {
    let nodes = scene.cluster.ids();
    for node in &nodes {
        scene.cluster.node(*node)?.kill()?;
    }
    let mut lost = 0;
    for node in nodes {
        lost += scene.cluster.lose_power(node, scene.chance)?;
    }
    Ok(format!("all nodes lost power, and {lost} unflushed pages"))
}

fn disk_error(scene: &mut Scene<'_>) -> Result<String> {
    let node = scene.victim();
    scene.cluster.fail_disk(node, Failure::Io)?;
    Ok(format!("writes of node {node} fail"))
}

fn disk_full(scene: &mut Scene<'_>) -> Result<String> {
    let node = scene.victim();
    scene.cluster.fail_disk(node, Failure::Full)?;
    Ok(format!("the disk of node {node} is full"))
}

fn policy(scene: &mut Scene<'_>) -> Result<String> {
    let server = scene.victim();
    let policy = if scene.chance.is_lucky(50) {
        "strict"
    } else {
        "degrade"
    };
    match scene.cluster.set_policy(server, policy) {
        Ok(()) => Ok(format!("the policy is {policy}")),
        Err(error) => Ok(format!("the policy is not set to {policy}: {error:#}")),
    }
}
