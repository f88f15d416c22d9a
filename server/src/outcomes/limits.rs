//! Bounds of the outcome log, each with its reason.

use std::time::Duration;

/// Octets of one value in a record; longer ones are cut. Addresses and replies have at most 512.
pub const VALUE_BYTES_MAX: usize = 1_024;
/// Records that wait to be written. Beyond it they are lost and counted: mail does not wait for its log.
pub const QUEUE_RECORDS_MAX: usize = 8_192;
/// Octets of records that wait.
pub const QUEUE_BYTES_MAX: usize = 16 << 20;
/// Records taken from the queue for one write.
pub const BATCH_RECORDS_MAX: usize = 256;
/// One file. A search holds one in memory; the oldest is removed as a whole.
pub const FILE_BYTES_MAX: u64 = 4 << 20;
/// The time that one file may span, so that age is kept to within a day.
pub const FILE_AGE_MS_MAX: u64 = 24 * 60 * 60 * 1_000;
/// Each run of a node begins a file of its own: a node that is started again and again must not fill its folder.
pub const FILES_MAX: usize = 1_000;
/// A question: longer than any Message-ID or address here.
pub const QUERY_BYTES_MAX: usize = 1_024;
/// Records of one answer; the newest are given, and the answer says that there are more.
pub const RECORDS_FOUND_MAX: usize = 500;
/// Octets of one node's answer: half of what peers take in one frame.
pub const FOUND_BYTES_MAX: usize = 4 << 20;
/// How long one node searches, after which it gives what it has and says so.
pub const SEARCH_MAX: Duration = Duration::from_secs(5);
/// How long a search waits for records that are on their way to the files.
pub const WRITTEN_WAIT_MAX: Duration = Duration::from_secs(1);
/// Lost records are told at most this often.
pub const TOLD_PAUSE: Duration = Duration::from_secs(60);
