//! Network namespaces, one for each node, on a bridge of the trial's own; and what is cut or slowed on them.
//!
//! Names begin with `gtj` and the trial's process id, so that what a killed trial left behind is found and removed.

use super::endpoints::{Endpoints, PEER_PORT};
use super::relay::{Cuts, Way};
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

const PREFIX: &str = "gtj";

pub struct Wires {
    name: String,
    pub endpoints: Arc<Endpoints>,
    nodes: Vec<u64>,
    cuts: Arc<Cuts>,
}

/// Why namespaces cannot be made here, with the way out.
pub fn missing() -> Option<String> {
    if !rustix::process::getuid().is_root() {
        return Some("network namespaces need root: run it with sudo".to_owned());
    }
    for (tool, package) in [
        ("ip", "iproute2"),
        ("iptables", "iptables"),
        ("nsenter", "util-linux"),
        ("setpriv", "util-linux"),
    ] {
        if Command::new(tool).arg("--version").output().is_err() {
            return Some(format!("`{tool}` is missing: apt-get install {package}"));
        }
    }
    None
}

/// Runs a tool of the system to its end; its words are in the error.
pub fn run_tool(program: &str, args: &[&str]) -> Result<String> {
    let done = Command::new(program).args(args).output();
    let done = done.with_context(|| format!("{program} could not be started"))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        bail!("{program} {}: {}", args.join(" "), said.trim());
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// Disks, namespaces and bridges of trials whose process is gone, with all that still runs in them.
pub fn sweep() -> Result<()> {
    let is_left = |name: &str| {
        let owner = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next()?.parse().ok());
        owner
            .and_then(Pid::from_raw)
            .is_some_and(|pid| test_kill_process(pid).is_err())
    };
    for line in std::fs::read_to_string("/proc/mounts")?.lines() {
        let mut words = line.split(' ');
        if let (Some(name), Some(at)) = (words.next(), words.next())
            && is_left(name)
        {
            run_tool("umount", &["-l", at])?;
        }
    }
    for line in run_tool("ip", &["netns", "list"])?.lines() {
        if let Some(name) = line.split(' ').next().filter(|name| is_left(name)) {
            remove_namespace(name)?;
        }
    }
    for line in run_tool("ip", &["-o", "link", "show", "type", "bridge"])?.lines() {
        let name = line.split(": ").nth(1).unwrap_or_default();
        if is_left(name) {
            run_tool("ip", &["link", "del", name])?;
        }
    }
    Ok(())
}

fn remove_namespace(name: &str) -> Result<()> {
    for pid in run_tool("ip", &["netns", "pids", name])?.lines() {
        if let Some(pid) = pid.trim().parse().ok().and_then(Pid::from_raw) {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    run_tool("ip", &["netns", "del", name]).map(|_| ())
}

/// A network that no interface here has.
fn free_network() -> Result<[u8; 3]> {
    let taken = run_tool("ip", &["-o", "-4", "addr"])?;
    let seed = std::process::id();
    for at in 0..200 {
        let (b, c) = (64 + (seed + at) % 120, (seed / 120 + at) % 250);
        if !taken.contains(&format!("10.{b}.{c}.")) {
            return Ok([10, b as u8, c as u8]);
        }
    }
    bail!("no free network in 10.0.0.0/8");
}

impl Wires {
    pub fn lay() -> Result<Wires> {
        let network = free_network()?;
        let name = format!("{PREFIX}{}", std::process::id());
        let wires = Wires {
            name,
            endpoints: Arc::new(Endpoints::new(network)),
            nodes: Vec::new(),
            cuts: Arc::default(),
        };
        let bridge = wires.name.as_str();
        let hub = format!("{}/24", wires.endpoints.hub());
        run_tool("ip", &["link", "add", bridge, "type", "bridge"])?;
        run_tool("ip", &["addr", "add", &hub, "dev", bridge])?;
        run_tool("ip", &["link", "set", bridge, "up"])?;
        Ok(wires)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn namespace(&self, node: u64) -> String {
        format!("{}-{node}", self.name)
    }

    pub fn add(&mut self, node: u64) -> Result<()> {
        let space = self.namespace(node);
        let space = space.as_str();
        let ip = format!("{}/24", self.endpoints.ip(node));
        run_tool("ip", &["netns", "add", space])?;
        self.nodes.push(node);
        let pair = [
            "link", "add", space, "type", "veth", "peer", "name", "eth0", "netns", space,
        ];
        run_tool("ip", &pair)?;
        run_tool("ip", &["link", "set", space, "master", &self.name, "up"])?;
        run_tool("ip", &["-n", space, "addr", "add", &ip, "dev", "eth0"])?;
        run_tool("ip", &["-n", space, "link", "set", "eth0", "up"])?;
        run_tool("ip", &["-n", space, "link", "set", "lo", "up"])?;
        Ok(())
    }

    pub fn remove(&mut self, node: u64) -> Result<()> {
        self.nodes.retain(|known| *known != node);
        remove_namespace(&self.namespace(node))
    }

    /// What `from` sends is lost on its way to `to`.
    pub fn cut(&self, from: u64, to: u64) -> Result<()> {
        self.cuts.add(from, to);
        let source = self.endpoints.ip(from).to_string();
        self.inside(
            to,
            &["iptables", "-w", "-A", "INPUT", "-s", &source, "-j", "DROP"],
        )
    }

    /// What `node` sends leaves at so many kilobits a second, and waits in a small buffer.
    pub fn slow(&self, node: u64, kilobits: u64) -> Result<()> {
        let rate = format!("{kilobits}kbit");
        let bucket = ["burst", "16kb", "latency", "300ms"];
        let head = [
            "tc", "qdisc", "replace", "dev", "eth0", "root", "tbf", "rate", &rate,
        ];
        self.inside(node, &[&head[..], &bucket[..]].concat())
    }

    /// What `from` opens to the peer listener of `to` goes through a relay that holds everything for `delay`.
    pub fn lengthen(&self, from: u64, to: u64, delay: Duration) -> Result<()> {
        let target = self.endpoints.peer(to);
        let way = Way {
            from,
            to,
            target,
            delay,
            cuts: self.cuts.clone(),
        };
        let relay = way.open(SocketAddr::new(self.endpoints.hub().into(), 0))?;
        let (ip, port, relay) = (
            target.ip().to_string(),
            PEER_PORT.to_string(),
            relay.to_string(),
        );
        let head = ["iptables", "-w", "-t", "nat", "-A", "OUTPUT", "-p", "tcp"];
        let tail = [
            "-d",
            &ip,
            "--dport",
            &port,
            "-j",
            "DNAT",
            "--to-destination",
            &relay,
        ];
        self.inside(from, &[&head[..], &tail[..]].concat())
    }

    pub fn heal(&self) -> Result<()> {
        self.cuts.heal();
        for node in &self.nodes {
            self.inside(*node, &["iptables", "-w", "-F", "INPUT"])?;
            // It fails where nothing was slowed.
            let _ = self.inside(*node, &["tc", "qdisc", "del", "dev", "eth0", "root"]);
        }
        Ok(())
    }

    fn inside(&self, node: u64, command: &[&str]) -> Result<()> {
        let space = self.namespace(node);
        let args: Vec<&str> = ["netns", "exec", &space]
            .iter()
            .chain(command)
            .copied()
            .collect();
        run_tool("ip", &args).map(|_| ())
    }
}

impl Drop for Wires {
    fn drop(&mut self) {
        self.cuts.over.set();
        for node in std::mem::take(&mut self.nodes) {
            if let Err(error) = remove_namespace(&self.namespace(node)) {
                eprintln!("jepsen: {error:#}");
            }
        }
        if let Err(error) = run_tool("ip", &["link", "del", &self.name]) {
            eprintln!("jepsen: {error:#}");
        }
    }
}
