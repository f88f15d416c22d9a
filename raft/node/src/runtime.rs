//! openraft's runtime: tokio's, with chance that a simulation can choose.

use openraft::impls::TokioRuntime;
use openraft::{AsyncRuntime, Instant as _};
use raft_api::NodeId;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use std::cell::Cell;
use std::future::Future;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

thread_local! {
    static SEED: Cell<Option<u64>> = const { Cell::new(None) };
}

/// From now on what consensus draws on this thread follows from `seed`; `None`: from the system, as it does at first.
pub fn choose_chance(seed: Option<u64>) {
    SEED.set(seed);
}

/// Where the groups of a process wake for their regular work: together, since consensus would spread them over a heartbeat,
/// and a node that idles wake for each of them.
#[derive(Clone, Copy)]
struct Lines {
    first: Instant,
    every: Duration,
}

static LINES: OnceLock<Lines> = OnceLock::new();

impl Lines {
    /// `wall`: the time of day at `now`. Two nodes whose clocks agree have lines of their own, so that their elections do
    /// not begin at the same moment.
    fn new(node: NodeId, every: Duration, now: Instant, wall: Duration) -> Lines {
        let every_us = every.as_micros().max(1);
        let past = wall.as_micros() % every_us;
        // The golden ratio spreads any number of them.
        let own = every_us * (u128::from(node.0) * 618 % 1000) / 1000;
        let until_first = (every_us - past + own) as u64;
        Lines {
            first: now + Duration::from_micros(until_first),
            every,
        }
    }

    /// The next line at `deadline` or behind it.
    fn at(&self, deadline: Instant) -> Instant {
        let since = deadline.saturating_duration_since(self.first);
        let lines = since.as_micros().div_ceil(self.every.as_micros().max(1));
        self.first + Duration::from_micros((lines * self.every.as_micros()) as u64)
    }
}

/// For a process that is one node. The first call counts; `every` is the heartbeat interval, `wall` the time of day.
pub fn wake_together(node: NodeId, every: Duration, wall: SystemTime) {
    let wall = wall.duration_since(UNIX_EPOCH);
    let lines = || Lines::new(node, every, Instant::now(), wall.unwrap_or_default());
    let _ = LINES.get_or_init(lines);
}

/// A simulation has a clock of its own, and wakes for nothing.
pub(crate) fn on_a_line(deadline: Instant) -> Instant {
    match LINES.get() {
        Some(lines) if SEED.get().is_none() => lines.at(deadline),
        _ => deadline,
    }
}

#[derive(Debug)]
pub struct Runtime(TokioRuntime);

impl AsyncRuntime for Runtime {
    type JoinError = <TokioRuntime as AsyncRuntime>::JoinError;
    type JoinHandle<T: Send + 'static> = <TokioRuntime as AsyncRuntime>::JoinHandle<T>;
    type Sleep = <TokioRuntime as AsyncRuntime>::Sleep;
    type Instant = <TokioRuntime as AsyncRuntime>::Instant;
    type TimeoutError = <TokioRuntime as AsyncRuntime>::TimeoutError;
    type Timeout<R, T: Future<Output = R> + Send> = <TokioRuntime as AsyncRuntime>::Timeout<R, T>;
    type ThreadLocalRng = SmallRng;
    type Mpsc = <TokioRuntime as AsyncRuntime>::Mpsc;
    type Watch = <TokioRuntime as AsyncRuntime>::Watch;
    type Oneshot = <TokioRuntime as AsyncRuntime>::Oneshot;
    type Mutex<T: Send + 'static> = <TokioRuntime as AsyncRuntime>::Mutex<T>;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + Send + 'static,
        T::Output: Send + 'static,
    {
        TokioRuntime::spawn(future)
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        TokioRuntime::sleep(duration)
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        // Consensus asks for this in its regular tick alone.
        let left = deadline.saturating_duration_since(Self::Instant::now());
        let plain = Instant::now() + left;
        TokioRuntime::sleep_until(deadline + on_a_line(plain).duration_since(plain))
    }

    fn timeout<R, F: Future<Output = R> + Send>(
        duration: Duration,
        future: F,
    ) -> Self::Timeout<R, F> {
        TokioRuntime::timeout(duration, future)
    }

    fn timeout_at<R, F: Future<Output = R> + Send>(
        deadline: Self::Instant,
        future: F,
    ) -> Self::Timeout<R, F> {
        TokioRuntime::timeout_at(deadline, future)
    }

    fn is_panic(join_error: &Self::JoinError) -> bool {
        TokioRuntime::is_panic(join_error)
    }

    fn thread_rng() -> SmallRng {
        match SEED.get() {
            None => SmallRng::from_rng(&mut rand::rng()),
            Some(seed) => {
                SEED.set(Some(seed.wrapping_add(1)));
                SmallRng::seed_from_u64(seed)
            }
        }
    }

    fn new(threads: usize) -> Runtime {
        Runtime(TokioRuntime::new(threads))
    }

    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        self.0.block_on(future)
    }
}

#[cfg(test)]
mod tests {
    use super::Lines;
    use raft_api::NodeId;
    use std::time::Duration;
    use tokio::time::Instant;

    #[test]
    fn groups_wake_on_lines_of_their_node() {
        let ms = Duration::from_millis;
        let now = Instant::now();
        // Node, time of day, deadline from now on, line from now on: with 100 ms between two.
        let rows = [
            (1, 1000, 0, 161),
            (1, 1000, 161, 161),
            (1, 1000, 162, 261),
            (1, 1030, 1, 131),
            (2, 1000, 0, 123),
            (3, 1000, 0, 185),
            (3, 1000, 4_000, 4_085),
        ];
        for (node, wall, deadline, line) in rows {
            let lines = Lines::new(NodeId(node), ms(100), now, ms(wall));
            let found = lines.at(now + ms(deadline)).duration_since(now);
            assert_eq!(found.as_millis(), line, "{node} {wall} {deadline}");
        }
    }
}
