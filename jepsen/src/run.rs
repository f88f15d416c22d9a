//! `jepsen run`: arguments, one trial, what is written of it.

use crate::cluster::{self, Sites};
use crate::nemesis::{self, Nemesis};
use crate::stop::Stop;
use crate::trial::{self, Done};
use crate::{edn, report};
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[derive(Args)]
pub struct RunArgs {
    /// The release binary; `cargo xtask jepsen` sets it
    #[arg(long, env = "GOTTHARD_BIN")]
    binary: PathBuf,
    /// How long faults and load go on; healing and final reads come after it
    #[arg(long, default_value_t = 2)]
    pub minutes: u64,
    /// The same seed draws the same faults and operations; by default from the clock
    #[arg(long)]
    pub seed: Option<u64>,
    /// Only these, by name; `none` for a run without faults [default: all that the machine can]
    #[arg(long, value_delimiter = ',')]
    pub nemesis: Vec<String>,
    /// Nodes per site: 2+1, 1+1+1 or 2+2+1
    #[arg(long, default_value = "2+1")]
    sites: Sites,
    /// What the cluster does while only one site is left
    #[arg(long, value_enum, default_value_t = OnSiteLoss::Degrade)]
    on_site_loss: OnSiteLoss,
    /// Milliseconds that everything takes from one site to another, each way
    #[arg(long, default_value_t = 0)]
    delay_ms: u64,
    /// Clients at work at the same time, over all nodes
    #[arg(long, default_value_t = 8)]
    clients: u64,
    /// Shards for mail
    #[arg(long, default_value_t = 4)]
    mail_shards: u64,
    /// Where histories, reports and logs go, in a folder for each run
    #[arg(long, default_value = "target/jepsen")]
    out: PathBuf,
    /// The nodes' disks only say that they flush: a trial of the trial, which must find what power cuts then lose
    #[arg(long)]
    pub lying_disks: bool,
    /// Keep the nodes' data also when nothing was found
    #[arg(long)]
    keep_data: bool,
    /// Of the nodes
    #[arg(skip)]
    pub environment: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnSiteLoss {
    Strict,
    Degrade,
}

impl OnSiteLoss {
    fn name(self) -> &'static str {
        match self {
            OnSiteLoss::Strict => "strict",
            OnSiteLoss::Degrade => "degrade",
        }
    }
}

impl RunArgs {
    /// Everything else as it is by default.
    pub fn of(binary: PathBuf, out: PathBuf) -> RunArgs {
        RunArgs {
            binary,
            minutes: 1,
            seed: None,
            nemesis: Vec::new(),
            sites: Sites::default(),
            on_site_loss: OnSiteLoss::Degrade,
            delay_ms: 0,
            clients: 8,
            mail_shards: 4,
            out,
            lying_disks: false,
            keep_data: false,
            environment: Vec::new(),
        }
    }

    pub fn set_strict(&mut self, is_strict: bool) {
        self.on_site_loss = match is_strict {
            true => OnSiteLoss::Strict,
            false => OnSiteLoss::Degrade,
        };
    }
}

/// Whether nothing was found.
pub fn run(args: &RunArgs, interrupted: &Arc<Stop>) -> Result<bool> {
    let done = trial(args, interrupted)?;
    print!("{}", report::summary(&done));
    Ok(done.violations.is_empty())
}

pub fn trial(args: &RunArgs, interrupted: &Arc<Stop>) -> Result<Done> {
    if let Some(text) = cluster::missing() {
        bail!("{text}");
    }
    let nemeses = chosen(&args.nemesis)?;
    cluster::sweep()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let seed = args.seed.unwrap_or(now.as_nanos() as u64 % 1_000_000);
    let folder = args.out.join(format!("{}-seed-{seed}", now.as_secs()));
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let folder = folder.canonicalize()?;
    let binary = args.binary.canonicalize();
    let binary = binary.with_context(|| format!("no binary at {}", args.binary.display()))?;
    let on_site_loss = args.on_site_loss.name();
    let (minutes, sites) = (args.minutes, &args.sites);
    let delay = match args.delay_ms {
        0 => String::new(),
        delay => format!(", {delay} ms apart"),
    };
    let title = format!("seed {seed}, {minutes} minutes, sites {sites}{delay}, {on_site_loss}");
    eprintln!("jepsen: {title}; all goes to {}", folder.display());
    let plan = trial::Plan {
        cluster: cluster::Options {
            binary,
            sites: args.sites.clone(),
            mail_shards: args.mail_shards,
            on_site_loss: on_site_loss.to_owned(),
            environment: args.environment.clone(),
            delay: Duration::from_millis(args.delay_ms),
            has_policies: nemeses.iter().any(|nemesis| nemesis.name == "policy"),
            has_clocks: nemeses.iter().any(|nemesis| nemesis.name == "clock"),
            has_lying_disks: args.lying_disks,
            has_disks: nemeses.iter().any(|nemesis| nemesis.needs_disk),
            folder: folder.clone(),
        },
        seed,
        time: Duration::from_secs(args.minutes * 60),
        clients: args.clients.max(1),
        nemeses,
    };
    let done = trial::run(plan, interrupted)?;
    write(&folder, &title, &done)?;
    if done.violations.is_empty() && !args.keep_data {
        fs::remove_dir_all(folder.join("data"))?;
        if folder.join("disks").exists() {
            fs::remove_dir_all(folder.join("disks"))?;
        }
    }
    Ok(done)
}

/// By name, or all; those that the machine cannot make are left out, and that is said.
fn chosen(names: &[String]) -> Result<Vec<&'static Nemesis>> {
    if names.iter().any(|name| name == "none") {
        return Ok(Vec::new());
    }
    let mut wanted = Vec::new();
    for name in names {
        let found = nemesis::by_name(name);
        wanted.push(found.with_context(|| format!("no nemesis {name}; `jepsen list` names them"))?);
    }
    if names.is_empty() {
        wanted.extend(nemesis::table());
    }
    wanted.retain(|nemesis| match (nemesis.missing)() {
        None => true,
        Some(text) => {
            eprintln!("jepsen: {} is skipped: {text}", nemesis.name);
            false
        }
    });
    Ok(wanted)
}

fn write(folder: &Path, title: &str, done: &Done) -> Result<()> {
    let history = edn::write(&done.run.operations, &done.run.faults);
    fs::write(folder.join("history.edn"), history)?;
    let page = folder.join("report.html");
    fs::write(&page, report::page(title, done))?;
    eprintln!("jepsen: {}", page.display());
    Ok(())
}
