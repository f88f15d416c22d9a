//! One trial: a cluster, clients, faults by the schedule, healing, the final reads, the verdict.

use crate::chance::Chance;
use crate::check::{self, Ending, Run, Undecided, Violation};
use crate::clients::imap;
use crate::clients::work::{Client, Shared, message};
use crate::cluster::{Cluster, Options};
use crate::history::{Fault, Place, Recorder};
use crate::limits::{
    BOX_MESSAGES, CONVERGE_MAX, LAST_TRIES, QUIET_MIN, REGISTERS, START_MAX, WATCH_EVERY,
};
use crate::nemesis::{self, Nemesis, Planned, Scene};
use crate::stop::Stop;
use crate::watch::{Seen, Watch};
use crate::workload::Workload;
use anyhow::{Context, Result, bail};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

pub struct Plan {
    pub cluster: Options,
    pub seed: u64,
    pub time: Duration,
    pub clients: u64,
    pub nemeses: Vec<&'static Nemesis>,
}

/// All that the report needs.
pub struct Done {
    pub run: Run,
    pub seen: Seen,
    pub violations: Vec<Violation>,
    pub undecided: Undecided,
}

const ACCOUNTS: [&str; 3] = [
    "ann@trial.example",
    "ben@trial.example",
    "cat@trial.example",
];

/// Messages a second that come to one account at most, as far as these machines go.
const ARRIVALS: u64 = 30;

/// Numbers of the clients that make the last deliveries and reads, one for each node.
const LAST_CLIENT: u64 = 1_000_000;

pub fn run(plan: Plan, interrupted: &Arc<Stop>) -> Result<Done> {
    let gate = plan.cluster.gate();
    let mut cluster = Cluster::start(plan.cluster, interrupted.clone())?;
    let boxes = plan.time.as_secs() * ARRIVALS / BOX_MESSAGES + 1;
    let workload = Arc::new(Workload::new(
        ACCOUNTS.map(str::to_owned).to_vec(),
        plan.clients,
        boxes,
    ));
    set_up(&cluster, &workload).context("the cluster could not be set up")?;
    let shared = Shared {
        recorder: Arc::new(Recorder::new()),
        workload,
        endpoints: cluster.wires.endpoints.clone(),
        stop: Arc::new(Stop::default()),
    };
    let watch = Watch::default();
    let mut chance = Chance::part(plan.seed, u64::MAX);
    let schedule = nemesis::plan(&mut chance, &plan.nemeses, plan.time);
    let mut trouble = Trouble {
        cluster: &mut cluster,
        watch: &watch,
        recorder: &shared.recorder,
        interrupted,
        chance,
        faults: Vec::new(),
        died: Vec::new(),
    };
    let made = thread::scope(|scope| {
        for number in 0..plan.clients {
            let client = Client::new(number, Chance::part(plan.seed, number), shared.clone());
            scope.spawn(move || client.run());
        }
        scope.spawn(|| watch.run(&shared.endpoints, &shared.recorder, &shared.stop));
        // Nodes die with the thread that started them: this one.
        let made = trouble.make(schedule, plan.time);
        shared.stop.set();
        made
    });
    let Trouble {
        faults, mut died, ..
    } = trouble;
    match made {
        Err(error) if interrupted.is_set() => return Err(error),
        // What has come about until then is checked all the same.
        Err(error) => {
            died.push(format!("the trial could not go on: {error:#}"));
            cluster.heal()?;
        }
        Ok(()) => {}
    }
    eprintln!(
        "jepsen: {} operations; healed, waiting until all agree",
        shared.recorder.count()
    );
    let settled = cluster.settled(CONVERGE_MAX)?;
    read_last(&cluster, &shared, plan.seed, interrupted);
    died.extend(cluster.ended());
    let run = Run {
        operations: shared.recorder.operations(),
        nodes: cluster.ids(),
        faults,
        gate,
        ending: Ending {
            settled: Some(settled),
            died,
        },
    };
    drop(cluster);
    eprintln!("jepsen: {} operations to check", run.operations.len());
    let (violations, undecided) = check::all(&run);
    Ok(Done {
        run,
        seen: watch.take(),
        violations,
        undecided,
    })
}

/// Accounts, mailboxes and registers; nothing of it is in the history.
fn set_up(cluster: &Cluster, workload: &Workload) -> Result<()> {
    if let Err(text) = cluster.settled(START_MAX)? {
        bail!("the cluster did not come up: {text}");
    }
    let node = cluster.ids().first().copied().context("no node")?;
    for account in &workload.accounts {
        cluster.add_account(account)?;
        let mut session = imap::Session::open(cluster.wires.endpoints.imap(node), account)?;
        for mailbox in workload.mailboxes() {
            done(session.command(&format!("CREATE {mailbox}"))?)?;
        }
        for _ in 0..REGISTERS {
            done(session.append("registers", &message(0))?)?;
        }
    }
    match cluster.settled(START_MAX)? {
        Ok(_) => Ok(()),
        Err(text) => bail!("the nodes do not agree at the beginning: {text}"),
    }
}

fn done(reply: imap::Reply) -> Result<()> {
    match reply.status {
        imap::Status::Ok => Ok(()),
        _ => bail!("{}", reply.text),
    }
}

/// The faults of a run, as they happen.
struct Trouble<'a> {
    cluster: &'a mut Cluster,
    watch: &'a Watch,
    recorder: &'a Recorder,
    interrupted: &'a Stop,
    chance: Chance,
    faults: Vec<Fault>,
    died: Vec<String>,
}

impl Trouble<'_> {
    /// All that is planned, until `time` is over; then everything is healed.
    fn make(&mut self, schedule: Vec<Planned>, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        let mut quiet_since = Instant::now();
        for planned in schedule {
            self.wait(planned.wait)?;
            let mut begun = Vec::new();
            for nemesis in &planned.nemeses {
                let fault = self.begin(nemesis)?;
                // A link that was slow a moment ago may have kept the other site from its lease.
                let is_only = planned.nemeses.len() == 1 && quiet_since.elapsed() > QUIET_MIN;
                let was_in_sync = is_only && fault.was_in_sync;
                begun.push(Fault {
                    was_in_sync,
                    ..fault
                });
            }
            self.wait(planned.hold)?;
            let end_ns = self.recorder.now_ns();
            self.cluster.heal()?;
            quiet_since = Instant::now();
            self.faults
                .extend(begun.into_iter().map(|fault| Fault { end_ns, ..fault }));
            if Instant::now() > end {
                break;
            }
        }
        self.wait(end.saturating_duration_since(Instant::now()))?;
        self.cluster.heal()
    }

    fn begin(&mut self, nemesis: &Nemesis) -> Result<Fault> {
        if nemesis.is_alone
            && let Err(text) = self.cluster.well(CONVERGE_MAX)?
        {
            bail!("the cluster is not well before {}: {text}", nemesis.name);
        }
        let begin_ns = self.recorder.now_ns();
        let was_in_sync = self.watch.is_in_sync(begin_ns);
        let mut scene = Scene {
            cluster: self.cluster,
            watch: self.watch,
            chance: &mut self.chance,
        };
        let text =
            (nemesis.begin)(&mut scene).with_context(|| format!("nemesis {}", nemesis.name))?;
        eprintln!(
            "jepsen: {:6.1} s  {}: {text}",
            begin_ns as f64 / 1e9,
            nemesis.name
        );
        Ok(Fault {
            name: nemesis.name,
            text,
            was_in_sync,
            begin_ns,
            end_ns: begin_ns,
        })
    }

    /// Notes meanwhile who ends by itself.
    fn wait(&mut self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        loop {
            for text in self.cluster.ended() {
                eprintln!(
                    "jepsen: {:6.1} s  {text}",
                    self.recorder.now_ns() as f64 / 1e9
                );
                self.died.push(text);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            if self.interrupted.wait(left.min(WATCH_EVERY)) {
                bail!("interrupted");
            }
        }
    }
}

/// Through each node a delivery to each account; then all mailboxes and registers from each node.
fn read_last(cluster: &Cluster, shared: &Shared, seed: u64, stop: &Stop) {
    let mut clients: Vec<Client> = Vec::new();
    for node in cluster.ids() {
        let number = LAST_CLIENT + node;
        let mut client = Client::new(number, Chance::part(seed, number), shared.clone());
        client.go_to(node);
        clients.push(client);
    }
    for client in &mut clients {
        for account in &shared.workload.accounts {
            client.become_account(account);
            retry(stop, || client.deliver_to(Place::new(account, "in-0")));
        }
    }
    for client in &mut clients {
        for place in shared.workload.places() {
            client.become_account(place.account());
            match place.mailbox() {
                "registers" => retry(stop, || client.read_registers()),
                _ => retry(stop, || client.read(place.clone(), true)),
            };
        }
    }
}

/// A leader may just be changing, and what its successor shows at first is marked as old.
fn retry(stop: &Stop, mut attempt: impl FnMut() -> &'static str) {
    for _ in 0..LAST_TRIES {
        if attempt() == "ok" || stop.wait(WATCH_EVERY) {
            return;
        }
    }
}
