//! A node: a process of the release binary in a namespace of its own.

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Down,
    Up,
    Paused,
}

pub struct Node {
    pub id: u64,
    pub site: String,
    /// With configuration and data.
    pub folder: PathBuf,
    pub log: PathBuf,
    child: Option<Child>,
    is_paused: bool,
}

/// How a node's process is started.
pub struct Launch<'a> {
    pub binary: &'a PathBuf,
    pub namespace: String,
    pub environment: Vec<(String, String)>,
}

impl Node {
    pub fn new(id: u64, site: &str, folder: PathBuf, log: PathBuf) -> Node {
        Node {
            id,
            site: site.to_owned(),
            folder,
            log,
            child: None,
            is_paused: false,
        }
    }

    pub fn state(&self) -> State {
        match (&self.child, self.is_paused) {
            (None, _) => State::Down,
            (Some(_), true) => State::Paused,
            (Some(_), false) => State::Up,
        }
    }

    /// `nsenter` and `setpriv` become the node, which thus has the process id that we know, and dies with us. (`ip netns
    /// exec` would give each node a list of mounts of its own, and no disk could be unmounted.)
    pub fn start(&mut self, launch: &Launch<'_>) -> Result<()> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let child = Command::new("nsenter")
            .arg(format!("--net=/run/netns/{}", launch.namespace))
            .args(["setpriv", "--pdeathsig", "KILL"])
            .arg(launch.binary)
            .args(["serve", "--config"])
            .arg(self.folder.join("gotthard.toml"))
            .envs(launch.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("`nsenter` could not be started")?;
        self.child = Some(child);
        self.is_paused = false;
        Ok(())
    }

    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        self.is_paused = false;
        Ok(())
    }

    pub fn pause(&mut self) -> Result<()> {
        self.signal(Signal::STOP)?;
        self.is_paused = self.child.is_some();
        Ok(())
    }

    pub fn resume(&mut self) -> Result<()> {
        self.signal(Signal::CONT)?;
        self.is_paused = false;
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = self
            .child
            .as_ref()
            .and_then(|child| Pid::from_raw(child.id() as i32));
        if let Some(pid) = pid {
            kill_process(pid, signal)?;
        }
        Ok(())
    }

    /// How its process ended, if it did by itself; it is down from then on.
    pub fn ended(&mut self) -> Option<String> {
        let status = self.child.as_mut()?.try_wait().ok()??;
        self.child = None;
        Some(format!("node {} ended by itself: {status}", self.id))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            eprintln!("jepsen: node {} could not be stopped: {error:#}", self.id);
        }
    }
}
