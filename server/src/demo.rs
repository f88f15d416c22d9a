//! `gotthard demo`: three nodes in two sites on loopback, each a process of its own, until Ctrl-C.

use crate::authority::{Authority, CERTIFICATE_FILE};
use crate::cli::{Demo, Server};
use crate::client::{Client, encode};
use crate::config::{ClusterConfig, MemberConfig};
use crate::identity::{hex, random, write_new};
use crate::node_folder::{
    CONFIG_FILE, ClusterFacts, TOKEN_FILE, cluster_text, node_dir, write_peer_files,
};
use crate::print::say;
use anyhow::{Context, Result, bail};
use serde_json::json;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep, timeout};

const NODES: [(u64, &str); 3] = [(1, "a"), (2, "a"), (3, "b")];
/// What a node of a demo listens for, and where above its thousand.
const PORTS: [(&str, u16); 5] = [
    ("IMAP", 143),
    ("IMAPS", 993),
    ("LMTP", 24),
    ("HTTP", 80),
    ("peers", 700),
];
const ACCOUNTS: [&str; 3] = ["alice@example.org", "bob@example.org", "carol@example.org"];
const RESTART_AFTER: Duration = Duration::from_secs(3);
/// How long nodes may drain before they are killed; the interface promises 10 s in all.
const DRAIN_MAX: Duration = Duration::from_secs(8);
const START_MAX: Duration = Duration::from_secs(60);

fn port(offset: u16, node: u64, base: u16) -> Result<u16> {
    (node as u16 * 1000 + base)
        .checked_add(offset)
        .context("--port-offset is too large")
}

pub fn run(args: &Demo) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(supervise(args))
}

async fn supervise(args: &Demo) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let data = std::path::absolute(&args.data)?;
    check_ports(args.port_offset)?;
    let fresh = prepare(&data, args.port_offset)?;
    let mut nodes = Vec::new();
    for (id, _) in NODES {
        nodes.push(Some(start(&data, id)?));
    }
    let setup = async {
        wait_ready(&data, args.port_offset).await?;
        let (data, offset, sample) = (data.clone(), args.port_offset, !args.no_sample);
        tokio::task::spawn_blocking(move || fill(&data, offset, fresh && sample)).await??;
        announce(&args.data, args.port_offset)
    };
    tokio::pin!(setup);
    let mut set_up = false;
    let mut died: Vec<Option<Instant>> = vec![None; NODES.len()];
    let result = loop {
        tokio::select! {
            done = &mut setup, if !set_up => match done {
                Ok(()) => set_up = true,
                Err(error) => break Err(error),
            },
            _ = interrupt.recv() => break Ok(()),
            _ = terminate.recv() => break Ok(()),
            () = sleep(Duration::from_millis(100)) => {
                for (at, (id, _)) in NODES.into_iter().enumerate() {
                    if let Some(child) = &mut nodes[at]
                        && let Some(status) = child.try_wait()?
                    {
                        eprintln!("node {id} ended: {status}; its log is {}", log_path(&data, id).display());
                        nodes[at] = None;
                        died[at] = Some(Instant::now());
                    }
                    let due = died[at].is_some_and(|since| since.elapsed() >= RESTART_AFTER);
                    if due && !args.no_restart {
                        died[at] = None;
                        nodes[at] = Some(start(&data, id)?);
                        eprintln!("node {id} started again");
                    }
                }
            }
        }
    };
    drain(&mut nodes).await;
    result
}

/// SIGTERM to all, then, after `DRAIN_MAX`, SIGKILL to those that remain.
async fn drain(nodes: &mut [Option<Child>]) {
    for child in nodes.iter().flatten() {
        if let Some(pid) = child
            .id()
            .and_then(|pid| rustix::process::Pid::from_raw(pid as i32))
        {
            // It may have ended meanwhile: then there is nothing to tell.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
    }
    let all = async {
        for child in nodes.iter_mut().flatten() {
            let _ = child.wait().await;
        }
    };
    if timeout(DRAIN_MAX, all).await.is_err() {
        for child in nodes.iter_mut().flatten() {
            let _ = child.kill().await;
        }
    }
}

/// Nodes that cannot listen would die again and again: say so before anything is started.
fn check_ports(offset: u16) -> Result<()> {
    for (id, _) in NODES {
        for (what, base) in PORTS {
            let at = SocketAddr::from(([127, 0, 0, 1], port(offset, id, base)?));
            if let Err(error) = std::net::TcpListener::bind(at) {
                bail!(
                    "node {id} cannot listen on {at} ({what}): {error}; \
                     is another demo running? --port-offset N moves all ports"
                );
            }
        }
    }
    Ok(())
}

fn log_path(data: &Path, id: u64) -> PathBuf {
    node_dir(data, id).join("gotthard.log")
}

/// Writes configurations, certificates and token. True if the directory is new.
fn prepare(data: &Path, offset: u16) -> Result<bool> {
    fs::create_dir_all(data).with_context(|| format!("cannot make {}", data.display()))?;
    if data.join("journal").exists() {
        bail!(
            "{} is the data directory of a single node; give another --data",
            data.display()
        );
    }
    let id_path = data.join("cluster-id");
    let fresh = !id_path.exists();
    if fresh {
        write_new(&id_path, &hex(&random::<16>()?))?;
        write_new(&data.join(TOKEN_FILE), &hex(&random::<16>()?))?;
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made =
            rcgen::generate_simple_self_signed(names).context("cannot make a certificate")?;
        write_new(&data.join("certificate.pem"), &made.cert.pem())?;
        write_new(&data.join("key.pem"), &made.signing_key.serialize_pem())?;
        let authority = Authority::found(data, "Gotthard demo")?;
        for (id, _) in NODES {
            fs::create_dir_all(node_dir(data, id))?;
            write_peer_files(&node_dir(data, id), id, &authority)?;
        }
    }
    let id = fs::read_to_string(&id_path)?;
    let token = fs::read_to_string(data.join(TOKEN_FILE))?;
    let trusted = fs::read_to_string(data.join(CERTIFICATE_FILE))?;
    let members = founders(offset)?;
    let cluster = cluster_text(
        &ClusterFacts {
            id: id.trim(),
            incarnation: 1,
            mail_shards: ClusterConfig::default().mail_shards,
            members: &members,
        },
        false,
    );
    for member in &members {
        let dir = node_dir(data, member.id);
        write_new(&dir.join(TOKEN_FILE), token.trim())?;
        write_new(&dir.join(CERTIFICATE_FILE), trusted.trim_end())?;
        let text = format!("{}\n{cluster}", own_text(offset, member)?);
        write_new(&dir.join(CONFIG_FILE), text.trim_end())?;
    }
    Ok(fresh)
}

fn founders(offset: u16) -> Result<Vec<MemberConfig>> {
    let member = |(id, site): (u64, &str)| {
        Ok(MemberConfig {
            id,
            site: site.to_owned(),
            peer: format!("127.0.0.1:{}", port(offset, id, 700)?),
        })
    };
    NODES.into_iter().map(member).collect()
}

/// What a node's configuration says beside the cluster.
fn own_text(offset: u16, MemberConfig { id, site, .. }: &MemberConfig) -> Result<String> {
    Ok(format!(
        "[node]\nid = {id}\nsite = \"{site}\"\nhostname = \"localhost\"\ndata = \".\"\n\n\
         [listen]\nimap = \"127.0.0.1:{}\"\nimaps = \"127.0.0.1:{}\"\nlmtp = \"127.0.0.1:{}\"\nhttp = \"127.0.0.1:{}\"\n\n\
         [tls]\ncertificate = \"../certificate.pem\"\nkey = \"../key.pem\"\nrequired = false\n\n\
         [limits]\njournal_reserve_bytes = 33554432\n",
        port(offset, *id, 143)?,
        port(offset, *id, 993)?,
        port(offset, *id, 24)?,
        port(offset, *id, 80)?,
    ))
}

fn start(data: &Path, id: u64) -> Result<Child> {
    let log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(log_path(data, id))?;
    Command::new(std::env::current_exe()?)
        .arg("serve")
        .arg("--with-parent")
        .arg("--config")
        .arg(node_dir(data, id).join(CONFIG_FILE))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true)
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot start node {id}"))
}

fn server(data: &Path, offset: u16, id: u64) -> Result<Server> {
    Ok(Server {
        server: format!("http://127.0.0.1:{}", port(offset, id, 80)?),
        token: None,
        data: data.to_owned(),
        json: false,
    })
}

/// Until every node accepts sessions.
async fn wait_ready(data: &Path, offset: u16) -> Result<()> {
    let begun = Instant::now();
    for (id, _) in NODES {
        let client = server(data, offset, id)?;
        loop {
            let asked = client.clone();
            let answer = tokio::task::spawn_blocking(move || -> Result<u16> {
                Ok(Client::new(&asked)?
                    .send("GET", "/health/ready", "text/plain", b"")?
                    .status)
            })
            .await?;
            if matches!(answer, Ok(200)) {
                break;
            }
            if begun.elapsed() > START_MAX {
                bail!(
                    "node {id} is not ready after {} s; see {}",
                    START_MAX.as_secs(),
                    log_path(data, id).display()
                );
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
    Ok(())
}

/// Accounts always, mail only if asked for. Blocking.
fn fill(data: &Path, offset: u16, sample: bool) -> Result<()> {
    let client = Client::new(&server(data, offset, 1)?)?;
    let known = crate::admin::pages(&client, "/admin/accounts", "accounts", "address")?;
    for address in ACCOUNTS {
        if known
            .iter()
            .any(|row| row["address"].as_str() == Some(address))
        {
            continue;
        }
        client.json(
            "POST",
            "/admin/accounts",
            Some(&json!({ "address": address, "password": "demo" })),
        )?;
        if sample {
            for (number, text) in SAMPLES.iter().enumerate() {
                let message = text
                    .replace("{to}", address)
                    .replace("{n}", &number.to_string())
                    .replace('\n', "\r\n");
                let path = format!("/admin/messages/{}?mailbox=INBOX", encode(address));
                client
                    .send("POST", &path, "message/rfc822", message.as_bytes())?
                    .into_json()?;
            }
        }
    }
    Ok(())
}

const SAMPLES: [&str; 2] = [
    "From: Gotthard <postmaster@example.org>\nTo: {to}\nSubject: Welcome\nDate: Mon, 02 Nov 2026 09:00:00 +0100\n\
     Message-ID: <welcome-{n}.{to}>\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n\
     This message is on three nodes in two sites.\nKill node 1 or 2 with kill -9 and go on reading.\n",
    "From: Gotthard <postmaster@example.org>\nTo: {to}\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= with an attachment\n\
     Date: Mon, 02 Nov 2026 09:05:00 +0100\nMessage-ID: <attachment-{n}.{to}>\nMIME-Version: 1.0\n\
     Content-Type: multipart/mixed; boundary=part\n\n--part\nContent-Type: text/plain\n\nSee the file.\n--part\n\
     Content-Type: text/csv; name=heights.csv\nContent-Disposition: attachment; filename=heights.csv\n\n\
     pass,metres\nGotthard,2106\n--part--\n",
];

fn announce(data: &Path, offset: u16) -> Result<()> {
    say!("Three nodes in two sites are up. Data: {}", data.display());
    for (id, site) in NODES {
        say!(
            "  node {id}, site {site}: IMAP 127.0.0.1:{}  IMAPS :{}  LMTP :{}  HTTP :{}",
            port(offset, id, 143)?,
            port(offset, id, 993)?,
            port(offset, id, 24)?,
            port(offset, id, 80)?
        );
    }
    say!("Accounts: {} (password: demo)", ACCOUNTS.join(", "));
    say!(
        "Health: curl http://127.0.0.1:{}/health/replication   Stop: Ctrl-C",
        port(offset, 1, 80)?
    );
    Ok(())
}
