//! The systems under test, each in a folder of its own, on loopback ports below the ephemeral range.

use crate::{flushes, usage};
use anyhow::{Context, Result, bail};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const START_MAX: Duration = Duration::from_secs(60);
const ACCOUNTS: [&str; 3] = ["alice@example.org", "bob@example.org", "carol@example.org"];
/// Gotthard's three nodes listen at node × 1000 + this + 24; the single node as node 5 would.
const OFFSET: u16 = 17_000;
const DOVECOT_LMTP: u16 = 24_924;
const DOVECOT_IMAP: u16 = 24_943;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerKind {
    Dovecot,
    OneNode,
    ThreeNodes,
}

impl PeerKind {
    pub const ALL: [PeerKind; 3] = [PeerKind::Dovecot, PeerKind::OneNode, PeerKind::ThreeNodes];

    pub fn name(self) -> &'static str {
        match self {
            PeerKind::Dovecot => "Dovecot",
            PeerKind::OneNode => "Gotthard, 1 node",
            PeerKind::ThreeNodes => "Gotthard, 3 nodes in 2 sites",
        }
    }

    pub fn replicas(self) -> u64 {
        match self {
            PeerKind::Dovecot | PeerKind::OneNode => 1,
            PeerKind::ThreeNodes => 3,
        }
    }

    /// LMTP, IMAP.
    fn addresses(self) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
        let of = |ports: Vec<u16>| ports.into_iter().map(loopback).collect();
        let nodes = |port: u16| (1..=3).map(|node| OFFSET + node * 1000 + port).collect();
        match self {
            PeerKind::Dovecot => (of(vec![DOVECOT_LMTP]), of(vec![DOVECOT_IMAP])),
            PeerKind::OneNode => (of(vec![OFFSET + 5024]), of(vec![OFFSET + 5143])),
            PeerKind::ThreeNodes => (of(nodes(24)), of(nodes(143))),
        }
    }
}

pub struct Peer {
    pub kind: PeerKind,
    /// LMTP.
    pub addresses: Vec<SocketAddr>,
    pub imap: Vec<SocketAddr>,
    pub recipients: Vec<String>,
    process: Child,
    traced: bool,
    _folder: tempfile::TempDir,
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

#[derive(Clone, Copy, Default)]
pub struct AtRest {
    /// What the files take.
    pub blocks: u64,
    /// Without the zeros at their ends: room that is preallocated, the same whatever the store holds.
    pub filled: u64,
}

impl AtRest {
    pub fn more_than(self, before: AtRest) -> AtRest {
        AtRest {
            blocks: self.blocks.saturating_sub(before.blocks),
            filled: self.filled.saturating_sub(before.filled),
        }
    }
}

/// A file may go while we look.
fn zeros_at_end(path: &Path) -> Result<u64> {
    const PIECE: u64 = 1 << 20;
    let Ok(file) = fs::File::open(path) else {
        return Ok(0);
    };
    let length = file.metadata()?.len();
    let mut end = length;
    let mut piece = vec![0; PIECE as usize];
    while end > 0 {
        let from = end.saturating_sub(PIECE);
        let piece = &mut piece[..(end - from) as usize];
        file.read_exact_at(piece, from)?;
        if let Some(last) = piece.iter().rposition(|byte| *byte != 0) {
            return Ok(length - from - last as u64 - 1);
        }
        end = from;
    }
    Ok(length)
}

impl Peer {
    /// With `trace` its calls that flush are written there, each with its time, and nothing else is slowed down.
    pub fn start(kind: PeerKind, gotthard: &Path, trace: Option<&Path>) -> Result<Peer> {
        let folder = tempfile::tempdir()?;
        let log = fs::File::create(folder.path().join("log"))?;
        let mut command = match kind {
            PeerKind::Dovecot => dovecot(folder.path())?,
            PeerKind::OneNode => one_node(folder.path(), gotthard)?,
            PeerKind::ThreeNodes => three_nodes(folder.path(), gotthard),
        };
        let (addresses, imap) = kind.addresses();
        if let Some(taken) = addresses.iter().find(|a| TcpStream::connect(a).is_ok()) {
            bail!(
                "{taken} answers before {} is started: another run?",
                kind.name()
            );
        }
        if let Some(trace) = trace {
            command = flushes::traced(&command, trace);
        }
        let process = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("{} cannot be started: {command:?}", kind.name()))?;
        let recipients = ACCOUNTS.iter().map(|a| (*a).to_owned()).collect();
        let peer = Peer {
            kind,
            addresses,
            imap,
            recipients,
            process,
            traced: trace.is_some(),
            _folder: folder,
        };
        peer.wait(gotthard)?;
        Ok(peer)
    }

    /// Until every address takes mail for every account.
    fn wait(&self, gotthard: &Path) -> Result<()> {
        let begun = Instant::now();
        if self.kind == PeerKind::OneNode {
            self.until(begun, || {
                TcpStream::connect(loopback(OFFSET + 5080)).is_ok()
            })?;
            for account in ACCOUNTS {
                add_account(gotthard, &self._folder.path().join("data"), account)?;
            }
        }
        for address in &self.addresses {
            for account in ACCOUNTS {
                self.until(begun, || takes(*address, account))?;
            }
        }
        Ok(())
    }

    fn until(&self, begun: Instant, mut check: impl FnMut() -> bool) -> Result<()> {
        while !check() {
            if begun.elapsed() > START_MAX {
                let log = fs::read_to_string(self._folder.path().join("log")).unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(10).collect();
                bail!(
                    "{} does not take mail after {} s: {tail:?}",
                    self.kind.name(),
                    START_MAX.as_secs()
                );
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// The account whose mailbox is read from, and does not grow.
    pub fn reader(&self) -> &str {
        ACCOUNTS[2]
    }

    /// Those that mail goes to.
    pub fn writers(&self) -> &[String] {
        &self.recipients[..2]
    }

    /// Bytes of all its files.
    pub fn at_rest(&self) -> Result<AtRest> {
        let mut sum = AtRest::default();
        let mut folders = vec![self._folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                // A file may go while we look.
                let Ok(meta) = entry.metadata() else { continue };
                match meta.is_dir() {
                    true => folders.push(entry.path()),
                    false => {
                        let blocks = meta.blocks() * 512;
                        sum.blocks += blocks;
                        sum.filled += blocks.saturating_sub(zeros_at_end(&entry.path())?);
                    }
                }
            }
        }
        Ok(sum)
    }

    /// All processes that serve, at this moment.
    pub fn pids(&self) -> Result<Vec<u32>> {
        Ok(usage::tree(self.process.id()))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let own = self.process.id();
        // strace would let go of what it traces; it ends with it.
        let server = match self.traced {
            true => usage::tree(own).get(1).copied().unwrap_or(own),
            false => own,
        };
        let pid = rustix::process::Pid::from_raw(server as i32);
        if let Some(pid) = pid {
            // It may have ended by itself.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(12) {
            if matches!(self.process.try_wait(), Ok(Some(_))) {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whether LMTP there accepts the recipient.
fn takes(address: SocketAddr, account: &str) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let talk = format!(
            "LHLO bench.example.net\r\nMAIL FROM:<bench@example.net>\r\nRCPT TO:<{account}>\r\nQUIT\r\n"
        );
        stream.write_all(talk.as_bytes())?;
        let mut text = String::new();
        stream.take(16_384).read_to_string(&mut text)?;
        Ok(text.lines().filter(|line| line.starts_with("250 ")).count() >= 3)
    };
    ask().unwrap_or(false)
}

fn add_account(gotthard: &Path, data: &Path, account: &str) -> Result<()> {
    let mut child = Command::new(gotthard)
        .args(["account", "add", account, "--password-stdin", "--server"])
        .arg(format!("http://127.0.0.1:{}", OFFSET + 5080))
        .arg("--data")
        .arg(data)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    if let Some(stdin) = &mut child.stdin {
        stdin.write_all(b"demo\n")?;
    }
    if !child.wait()?.success() {
        bail!("the account {account} cannot be made");
    }
    Ok(())
}

fn one_node(folder: &Path, gotthard: &Path) -> Result<Command> {
    let config = folder.join("gotthard.toml");
    let text = format!(
        "[node]\ndata = {:?}\n[listen]\nimap = \"127.0.0.1:{}\"\nlmtp = \"127.0.0.1:{}\"\nhttp = \"127.0.0.1:{}\"\n",
        folder.join("data"),
        OFFSET + 5143,
        OFFSET + 5024,
        OFFSET + 5080
    );
    fs::write(&config, text)?;
    let mut command = Command::new(gotthard);
    command
        .arg("serve")
        .arg("--config")
        .arg(config)
        .env("GOTTHARD_LOG", "warn");
    Ok(command)
}

fn three_nodes(folder: &Path, gotthard: &Path) -> Command {
    let mut command = Command::new(gotthard);
    command
        .args([
            "demo",
            "--no-sample",
            "--port-offset",
            &OFFSET.to_string(),
            "--data",
        ])
        .arg(folder.join("data"))
        .env("GOTTHARD_LOG", "warn");
    command
}

/// Durable as ours is: mdbox, every write flushed before the reply.
fn dovecot(folder: &Path) -> Result<Command> {
    let base = folder.join("dovecot");
    let mail = folder.join("mail");
    for path in [&base, &mail] {
        fs::create_dir_all(path)?;
    }
    let user = std::env::var("DOVECOT_USER").unwrap_or_else(|_| "mail".to_owned());
    let chown = Command::new("chown")
        .arg("-R")
        .arg(&user)
        .arg(&mail)
        .status()?;
    let open = Command::new("chmod").arg("755").arg(folder).status()?;
    if !chown.success() || !open.success() {
        bail!("Dovecot needs to be started by root here");
    }
    let config = folder.join("dovecot.conf");
    let text = format!(
        "protocols = lmtp imap\nbase_dir = {base}\nstate_dir = {base}\nlog_path = {log}\nssl = no\ndisable_plaintext_auth = no\n\
         mail_location = mdbox:~/mdbox\nmail_fsync = always\nfirst_valid_uid = 1\nmail_uid = {user}\nmail_gid = {user}\n\
         default_client_limit = 1000\nmail_max_userip_connections = 1000\n\
         service imap {{\n  process_limit = 256\n}}\n\
         passdb {{\n  driver = static\n  args = password=demo\n}}\n\
         userdb {{\n  driver = static\n  args = uid={user} gid={user} home={mail}/%u allow_all_users=yes\n}}\n\
         protocol lmtp {{\n  postmaster_address = postmaster@example.org\n}}\n\
         service lmtp {{\n  process_limit = 128\n  inet_listener lmtp {{\n    address = 127.0.0.1\n    port = {DOVECOT_LMTP}\n  }}\n}}\n\
         service imap-login {{\n  process_limit = 256\n  inet_listener imap {{\n    address = 127.0.0.1\n    port = {DOVECOT_IMAP}\n  }}\n  inet_listener imaps {{\n    port = 0\n  }}\n}}\n",
        base = base.display(),
        log = folder.join("log").display(),
        mail = mail.display(),
    );
    fs::write(&config, text)?;
    let mut command = Command::new("dovecot");
    command.arg("-F").arg("-c").arg(config);
    Ok(command)
}
