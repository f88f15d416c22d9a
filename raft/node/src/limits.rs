//! Every bound of this room, with its reason.

use std::time::Duration;

/// One payload. Bodies are chunked at 256 KiB; an entry and its append must fit a peers' frame of 8 MiB.
/// Beyond it: `Refused::Malformed`.
pub const MAX_PAYLOAD_BYTES: usize = 4 << 20;

/// Payloads of one append, unless it has a single entry: with `MAX_PAYLOAD_BYTES` it stays below a peers' frame.
pub const MAX_APPEND_BYTES: usize = 3 << 20;

/// Appends to one follower that are not answered yet, of one group: as many as a far site's round trip hides flushes.
/// Together at most 24 MiB.
pub const MAX_APPENDS_IN_FLIGHT: usize = 8;

/// Entries of one append: their heads stay below 64 KiB.
pub const MAX_APPEND_ENTRIES: u64 = 1024;

/// Proposed and not yet folded, of this node: design §3, admission. Beyond it: `Refused::TooBusy`.
pub const MAX_PROPOSED_BYTES: usize = 64 << 20;

/// What a proposal costs besides its payload: bounds the number of small ones that wait.
pub const PROPOSAL_OVERHEAD_BYTES: usize = 1024;

/// Entries folded in one batch: one batch of the views.
pub const MAX_FOLD_ENTRIES: u64 = 128;

/// Threads that fold, of one node: each group has one at a time, and RocksDB takes writes one after another.
pub const FOLD_THREADS_MAX: usize = 8;

/// Payloads read for one fold.
pub const MAX_FOLD_BYTES: usize = 4 << 20;

/// Read from the journal at a time while entries are handed over.
pub const MAX_READ_BYTES: usize = 1 << 20;

/// A member of a second site that was not heard from for this long counts as unreachable.
pub const SITE_SILENCE: Duration = Duration::from_secs(2);

/// How long an append that only tells what is committed waits for the mark to get there, to tell it too: longer than
/// that takes with an open gate, shorter than anybody notices.
pub const MARK_WAIT: Duration = Duration::from_millis(2);

/// A message of Raft that took longer helps nobody: the next one is on its way.
pub const RPC_TIMEOUT: Duration = Duration::from_secs(2);

/// A read confirms leadership within this, or fails with `NoQuorum`.
pub const READ_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a new leader lets a read wait for its first entry to be folded, before `NotYet`.
pub const FIRST_ENTRY_WAIT: Duration = Duration::from_secs(2);

/// On top of the leader's own bounds, for the way there and back.
pub const FORWARD_MARGIN: Duration = Duration::from_secs(1);

/// Nodes of one group, and configurations of a joint membership. A message with more is malformed.
pub const MAX_MEMBERS: usize = 64;
/// How often a leader asks itself whether another node should lead; a move costs its clients a short wait.
pub const PREFERENCE_CHECK: Duration = Duration::from_secs(5);
/// A successor must have been heard from this recently.
pub const PREFERENCE_CONTACT: Duration = Duration::from_secs(1);
/// A successor may be so many entries behind: it fetches nothing before it leads.
pub const PREFERENCE_LAG_ENTRIES: u64 = 64;

/// Of one part of a snapshot, and of the payloads that are fetched in one answer: they must fit a peers' frame.
pub const SNAPSHOT_PART_BYTES: usize = 1 << 20;
/// Payloads asked for at once: their indexes fit 2 KiB.
pub const SNAPSHOT_PAYLOADS_MAX: usize = 256;
/// How long the receiver lets an offer wait for the end of the transfer before it says that it is under way.
pub const SNAPSHOT_OFFER_WAIT: Duration = Duration::from_secs(2);
/// An offer that is not answered within this counts as lost; the next one joins the same transfer.
pub const SNAPSHOT_OFFER_TIMEOUT: Duration = Duration::from_secs(10);
/// One part, or one batch of payloads: the sender reads them from disk.
pub const SNAPSHOT_FETCH_TIMEOUT: Duration = Duration::from_secs(20);
/// Fetching a part is tried so often before the transfer is given up; the leader then offers a new one.
pub const SNAPSHOT_FETCH_TRIES: u32 = 5;
/// Between two tries.
pub const SNAPSHOT_FETCH_PAUSE: Duration = Duration::from_millis(500);
/// Snapshots pinned at a time for each group: more members than this never need one at once.
pub const SNAPSHOTS_SENT_MAX: usize = 4;

/// How often a leader looks whether its shard's mode must change.
pub const MODE_CHECK: Duration = Duration::from_millis(200);
/// Entries that a second site may lack when gating begins again: so few that nobody waits long for them.
pub const MODE_LAG_ENTRIES: u64 = 64;
/// How long a node of another site may count on being in sync, from its asking on.
pub const LEASE_LENGTH: Duration = Duration::from_secs(4);
/// How often it asks.
pub const LEASE_ASKED: Duration = Duration::from_secs(1);
/// What two monotonic clocks may differ by over the length of a lease, generously.
pub const LEASE_DRIFT: Duration = Duration::from_millis(400);

/// A change of the membership: the joint configuration and the final one must both be agreed on.
pub const CHANGE_TIMEOUT: Duration = Duration::from_secs(20);
/// Leadership that an operator has moved stays there for so long, time enough to stop the other node.
pub const TRANSFER_HOLD: Duration = Duration::from_secs(600);

/// Entries asked for at once to mend a log: their log ids fit 6 KiB.
pub const REFETCH_MAX: usize = 256;
/// The other node reads them from disk.
pub const REFETCH_TIMEOUT: Duration = Duration::from_secs(10);
/// All other nodes were asked and did not have it: the first pause, doubled up to the last.
pub const REPAIR_PAUSE_MIN: Duration = Duration::from_millis(100);
pub const REPAIR_PAUSE_MAX: Duration = Duration::from_secs(10);
/// A read of consensus that meets a rotten entry waits for its replacement: 10 s in all, time for a peer that is slow.
pub const MENDED_READ_TRIES: u32 = 200;
pub const MENDED_READ_PAUSE: Duration = Duration::from_millis(50);

/// Clocks that differ by more are off (design §3): log time follows the leaders', and never goes back.
pub const CLOCK_OFF_MAX_MS: u64 = 60_000;
