//! What an operator does by the command line.

use super::machine::Cluster;
use anyhow::{Context, Result, bail};
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

impl Cluster {
    /// An id that was never given, in the same site.
    pub fn replace(&mut self, id: u64) -> Result<u64> {
        let site = self.site(id).to_owned();
        self.node(id)?.kill()?;
        let folder = self.node(id)?.folder.clone();
        if self.disks.remove(&id).is_some() {
            fs::remove_dir_all(self.behind(id))?;
        }
        fs::remove_dir_all(&folder)?;
        let others: Vec<u64> = self
            .ids()
            .into_iter()
            .filter(|other| *other != id)
            .collect();
        let server = others.first().copied().context("the last node")?;
        self.wires.endpoints.remove(id);
        let new = self.next_id;
        self.next_id += 1;
        self.wires.add(new)?;
        let (data, peer) = (self.data(), self.wires.endpoints.peer(new).to_string());
        // The new one first, so that its site is never without a node.
        let mut add = self.admin(
            server,
            &[
                "cluster",
                "add-node",
                &new.to_string(),
                "--site",
                &site,
                "--peer",
                &peer,
            ],
        );
        add.arg("--dir").arg(&data).args(["--wait", "60"]);
        add.stdout(Stdio::null()).stderr(Stdio::piped());
        let adding = add.spawn()?;
        let config = data.join(format!("node-{new}")).join("gotthard.toml");
        self.until(
            "the new node has its folder",
            Duration::from_secs(20),
            |_| Ok(config.exists()),
        )?;
        self.make(new, &site)?;
        ended_well(adding, "add-node")?;
        finish(
            self.admin(server, &["cluster", "remove-node", &id.to_string()]),
            "",
        )?;
        self.nodes.remove(&id);
        self.wires.remove(id)?;
        Ok(new)
    }

    pub fn transfer(&self, server: u64, to: u64) -> Result<()> {
        let args = [
            "cluster",
            "transfer-leader",
            "--to",
            &to.to_string(),
            "--wait",
            "10",
        ];
        finish(self.admin(server, &args), "").map(|_| ())
    }

    pub fn set_policy(&self, server: u64, policy: &str) -> Result<()> {
        let args = ["cluster", "policy", policy, "--wait", "10"];
        finish(self.admin(server, &args), "").map(|_| ())
    }

    pub fn add_account(&self, address: &str) -> Result<()> {
        let server = self.ids().first().copied().context("no node")?;
        finish(
            self.admin(server, &["account", "add", address, "--password-stdin"]),
            "trial\n",
        )
        .map(|_| ())
    }

    fn admin(&self, server: u64, args: &[&str]) -> Command {
        let mut command = Command::new(&self.options.binary);
        command.args(args);
        command.args([
            "--server",
            &format!("http://{}", self.wires.endpoints.http(server)),
        ]);
        let token = fs::read_to_string(self.data().join("admin-token")).unwrap_or_default();
        command.args(["--token", token.trim()]);
        command
    }
}

/// Runs to the end; what it says is returned, or in the error.
pub fn finish(mut command: Command, input: &str) -> Result<String> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().context("the binary could not be started")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    ended_well(child, "the command")
}

fn ended_well(child: std::process::Child, what: &str) -> Result<String> {
    let done = child.wait_with_output()?;
    if !done.status.success() {
        bail!(
            "{what} failed: {}",
            String::from_utf8_lossy(&done.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}
