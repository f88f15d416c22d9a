//! `gotthard serve`: opens what a node is made of, in order, and closes it in the reverse order.

use crate::cli::Serve;
use crate::clock::SystemClock;
use crate::config::{Config, LogFormat};
use crate::health::NodeHealth;
use crate::identity::{admin_token, cluster_id, hex, random};
use crate::joining;
use crate::listen::{bind, open_mail, peer_tls};
use crate::membership::NodeMembership;
use crate::outcomes::{OutcomeLog, Recorder, Retention, may_be_an_outcome};
use crate::search::{self, NodeIndex};
use crate::trace::NodeTrace;
use anyhow::{Context, Result, anyhow};
use engine_replica::{Clock, Shard};
use engine_service::{Administration, Mail};
use engine_service::{Parts, Service};
use engine_store::{RocksStore, ViewStore};
use gateway_http::{AdminParts, Node as NodeLabel};
use gateway_session::Sessions;
use raft_api::{Entries, Group, NodeId, NodeInfo, ShardId, SiteName, StateMachine};
use raft_log::{Identity, Journal, Options, RealDisk};
use raft_transport::PeersConfig;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Sessions may finish their command; then they are cut.
const DRAIN_MAX: Duration = Duration::from_secs(5);
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
const FLUSH_CHECK: Duration = Duration::from_secs(5);

pub fn run(args: &Serve) -> Result<()> {
    if args.with_parent {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?;
    }
    let mut config = Config::load(args.config.as_deref())?;
    if let Some(data) = &args.data {
        config.node.data = data.clone();
    }
    let keep = Retention {
        bytes_max: config.log.outcome_bytes_max,
        age_ms_max: config.log.outcome_days_max.saturating_mul(DAY_MS),
    };
    let outcomes = config.node.data.join("outcomes");
    let outcomes = OutcomeLog::start(outcomes, keep, Arc::new(SystemClock));
    start_log(config.log.format, outcomes.clone());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(serve(config, outcomes.clone()));
    runtime.shutdown_timeout(Duration::from_secs(2));
    outcomes.written();
    result
}

/// Lines for people and machines by `GOTTHARD_LOG`; outcomes are recorded whatever it says.
fn start_log(format: LogFormat, outcomes: OutcomeLog) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("GOTTHARD_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,openraft=error"));
    let only_outcomes = filter_fn(may_be_an_outcome).with_max_level_hint(LevelFilter::INFO);
    let recorder = Recorder(outcomes).with_filter(only_outcomes);
    let log = tracing_subscriber::fmt::layer();
    let log = match format {
        LogFormat::Text => log.with_ansi(false).boxed(),
        LogFormat::Json => log.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(log.with_filter(filter))
        .with(recorder)
        .init();
}

async fn serve(config: Config, outcomes: OutcomeLog) -> Result<()> {
    let data = config.node.data.clone();
    std::fs::create_dir_all(&data).with_context(|| format!("cannot make {}", data.display()))?;
    let cluster = cluster_id(&data, &config.cluster.id)?;
    let journal = open_journal(&config, &data, cluster)?;
    let shards = open_shards(&config, &data)?;
    let node = start_raft(&config, cluster, journal.clone(), &shards).await?;
    let node = Arc::new(node);
    let groups: HashMap<ShardId, Arc<dyn Group>> = shards
        .keys()
        .filter_map(|id| Some((*id, node.group(*id)?)))
        .collect();
    let entries = Arc::new(journal.clone()) as Arc<dyn Entries>;
    let (indexes, feeder) = search::open(&config.search, &data, &shards, &entries)?;
    let sessions = Sessions::new(u64::from_be_bytes(random()?));
    let service = Service::new(Parts {
        groups: groups.clone(),
        shards: shards.clone(),
        entries: entries.clone(),
        finder: Arc::new(feeder.searcher()),
        clock: Arc::new(SystemClock) as Arc<dyn Clock>,
        cluster_id: hex(&cluster[..4]),
        incarnation: config.cluster.incarnation,
        hostname: config.node.hostname.clone(),
        run: u64::from_be_bytes(random()?),
        chance: || random().ok().map(u64::from_be_bytes),
        message_bytes_max: config.limits.message_bytes_max,
        submit_wait_max: engine_service::limits::SUBMIT_WAIT_MAX,
        postmaster: config.postmaster()?,
    });
    let ready = Arc::new(AtomicBool::new(false));
    let (stop, stopped) = watch::channel(false);
    let mut listeners = JoinSet::new();
    let mail: Arc<dyn Mail> = service.clone();
    let (fail, mut failed) = tokio::sync::mpsc::channel(1);
    let joining = joining::Joining {
        groups: groups.clone(),
        me: NodeId(config.node.id),
    };
    let is_new = config.cluster.join && !joining.is_member();
    if !is_new {
        open_mail(&config, &sessions, &mail, &stopped, &mut listeners).await?;
    }
    let health_groups = groups.clone();
    let health = Arc::new(NodeHealth {
        groups,
        shards: shards.clone(),
        journal: journal.clone(),
        sessions: sessions.clone(),
        cluster_id: hex(&cluster),
        incarnation: config.cluster.incarnation,
        node: NodeLabel {
            id: config.node.id,
            site: config.node.site.clone(),
            version: env!("CARGO_PKG_VERSION"),
            pid: std::process::id(),
        },
        asker: node.asker(),
        on_site_loss: config.cluster.on_site_loss,
        ready: ready.clone(),
        opened_at: std::time::Instant::now(),
        seen: Default::default(),
        indexes: indexes.clone(),
    });
    let trace = Arc::new(NodeTrace {
        log: outcomes,
        health: health.clone(),
    });
    node.answer_with(trace.clone());
    if let Some(addr) = config.listen.http {
        let parts = AdminParts {
            administration: service.clone() as Arc<dyn Administration>,
            mail: mail.clone(),
            membership: Arc::new(NodeMembership {
                node: node.clone(),
                health: health.clone(),
                mail_shards: config.cluster.mail_shards,
            }),
            receipts: Arc::new(crate::receipt::NodeReceipts {
                health: health.clone(),
            }),
            index: Arc::new(NodeIndex {
                service: service.clone(),
                indexes,
                feeder: feeder.clone(),
                entries,
            }),
            health,
            trace,
            sessions: sessions.clone(),
            token: admin_token(&data)?,
        };
        let listener = bind(addr, "listen.http").await?;
        listeners.spawn(administer(listener, parts, stopped.clone()));
    }
    if is_new {
        let parts = (config.clone(), sessions, mail, stopped.clone());
        listeners.spawn(joining::open_mail_later(
            joining,
            parts,
            ready.clone(),
            fail,
        ));
    } else {
        ready.store(true, Ordering::Release);
    }
    tracing::info!(node = config.node.id, site = %config.node.site, "serving");
    let flusher = tokio::spawn(flush_views(shards.clone()));
    let lease_keeper = tokio::spawn(crate::in_sync::keep(data.clone(), health_groups));
    let end = tokio::select! {
        end = wait_for_end(&journal, &node, &shards) => end,
        Some(error) = failed.recv() => Err(error),
    };
    flusher.abort();
    lease_keeper.abort();
    ready.store(false, Ordering::Release);
    // Nobody may listen any more: then there is nobody to tell.
    let _ = stop.send(true);
    let drained = tokio::time::timeout(DRAIN_MAX, async {
        while listeners.join_next().await.is_some() {}
    })
    .await;
    if drained.is_err() {
        listeners.abort_all();
    }
    node.shutdown().await;
    feeder.stop();
    for shard in shards.values() {
        if let Err(error) = shard.flush() {
            tracing::error!(shard = %shard.id(), %error, "the views are not flushed: the next start replays more");
        }
    }
    if end.is_ok() {
        journal.close();
    }
    tracing::info!("stopped");
    end
}

async fn administer(listener: TcpListener, parts: AdminParts, stopped: watch::Receiver<bool>) {
    if let Err(error) = gateway_http::serve(listener, parts, stopped).await {
        tracing::error!(%error, "the admin listener ended");
    }
}

fn open_journal(config: &Config, data: &Path, cluster: [u8; 16]) -> Result<Journal> {
    let dir = data.join("journal");
    std::fs::create_dir_all(&dir)?;
    let identity = Identity {
        cluster,
        incarnation: config.cluster.incarnation,
        node: NodeId(config.node.id),
    };
    let options = Options {
        reserve_bytes: config.limits.journal_reserve_bytes,
        keep_free_bytes: config.limits.disk_keep_free_bytes,
        ..Options::default()
    };
    let (journal, recovery) = Journal::open(Arc::new(RealDisk), &dir, identity, options)
        .context("the journal cannot be opened")?;
    tracing::info!(?recovery, "journal open");
    Ok(journal)
}

fn open_shards(config: &Config, data: &Path) -> Result<HashMap<ShardId, Arc<Shard>>> {
    let store: Arc<dyn ViewStore> =
        Arc::new(RocksStore::open(&data.join("views")).context("the views cannot be opened")?);
    let mut shards = HashMap::new();
    for id in (0..=config.cluster.mail_shards).map(ShardId) {
        shards.insert(id, Shard::open(id, store.clone(), Arc::new(SystemClock))?);
    }
    Ok(shards)
}

async fn start_raft(
    config: &Config,
    cluster: [u8; 16],
    journal: Journal,
    shards: &HashMap<ShardId, Arc<Shard>>,
) -> Result<raft_node::Node> {
    let me = NodeId(config.node.id);
    let mut members: Vec<NodeInfo> = config
        .cluster
        .members
        .iter()
        .map(|m| NodeInfo {
            id: NodeId(m.id),
            site: SiteName::new(&m.site),
            peer_addr: m.peer.clone(),
        })
        .collect();
    if members.is_empty() {
        members.push(NodeInfo {
            id: me,
            site: SiteName::new(&config.node.site),
            // Nobody will come; the listener only has to be somewhere.
            peer_addr: "127.0.0.1:0".to_owned(),
        });
    }
    let machines = shards
        .iter()
        .map(|(id, shard)| (*id, Arc::clone(shard) as Arc<dyn StateMachine>))
        .collect();
    let mut ids: Vec<ShardId> = shards.keys().copied().collect();
    ids.sort();
    raft_node::wake_together(
        me,
        raft_node::Timing::default().heartbeat,
        SystemClock::wall(),
    );
    let own = members.iter().find(|m| m.id == me);
    let own = own
        .context("cluster.members does not hold this node")?
        .clone();
    let peers = PeersConfig {
        identity: raft_transport::Identity {
            cluster,
            incarnation: config.cluster.incarnation,
            node: me,
        },
        way: TcpListener::bind(&own.peer_addr)
            .await
            .with_context(|| format!("cannot listen for peers on {}", own.peer_addr))?
            .into(),
        peers: members.clone(),
        tls: peer_tls(config)?,
    };
    let node_config = raft_node::NodeConfig {
        id: me,
        site: own.site,
        members,
        join: config.cluster.join,
        shards: ids,
        journal,
        peers,
        timing: Default::default(),
        wall_clock: SystemClock::wall,
        on_site_loss: config.cluster.on_site_loss.into(),
        log: raft_node::LogKeeping {
            look_every: (config.limits.raft_log_entries_kept / 5).max(1),
            keep: config.limits.raft_log_entries_kept,
        },
    };
    raft_node::Node::start(node_config, machines)
        .await
        .map_err(|error| anyhow!("Raft does not start: {error}"))
}

/// Views flush by size inside the fold; by age they do here, so that a restart replays little.
async fn flush_views(shards: HashMap<ShardId, Arc<Shard>>) {
    let mut tick = tokio::time::interval(FLUSH_CHECK);
    loop {
        tick.tick().await;
        for shard in shards.values() {
            let shard = Arc::clone(shard);
            let flushed = tokio::task::spawn_blocking(move || shard.flush_if_due()).await;
            if !matches!(flushed, Ok(Ok(_))) {
                tracing::error!(?flushed, "views cannot be flushed");
            }
        }
    }
}

/// Until a signal, or until the journal breaks or a fold stops: then the process must end, with an error.
async fn wait_for_end(
    journal: &Journal,
    node: &raft_node::Node,
    shards: &HashMap<ShardId, Arc<Shard>>,
) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut broken = journal.broken();
    let mut folds = JoinSet::new();
    for id in shards.keys().copied() {
        // A shard with a hole does not run, and cannot fail.
        let Some(mut failed) = node.failed(id) else {
            continue;
        };
        folds.spawn(async move {
            let why = failed
                .wait_for(Option::is_some)
                .await
                .ok()
                .and_then(|state| state.clone());
            (id, why)
        });
    }
    for shard in shards.values() {
        let (id, mut stopped) = (shard.id(), shard.stopped());
        folds.spawn(async move {
            let why = stopped
                .wait_for(Option::is_some)
                .await
                .ok()
                .and_then(|state| state.clone());
            (id, why.map(|why| why.to_string()))
        });
    }
    tokio::select! {
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
        result = broken.wait_for(Option::is_some) => {
            let why = result.ok().and_then(|state| state.clone());
            tracing::error!(?why, "the journal is broken: stopping");
            Err(anyhow!("the journal is broken: {why:?}"))
        }
        Some(Ok((shard, why))) = folds.join_next() => {
            tracing::error!(%shard, ?why, "a fold has stopped: stopping");
            Err(anyhow!("the fold of shard {shard} has stopped: {why:?}"))
        }
    }
}
