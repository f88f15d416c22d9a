//! Bounds of the door, each with its reason and what the client gets.

use std::time::Duration;

/// Which message of an account each UID of a mailbox is: kept of the mailboxes that were searched last, 12 octets a message,
/// of so many messages together (24 MB).
pub const EMAILS_KEPT_MAX: usize = 2_000_000;

/// How long a change waits for a leader or for a closed site gate before it is refused. Sending servers keep the
/// mail and try again; interactive clients see `NO [UNAVAILABLE]`. What a server puts into `Parts`.
pub const SUBMIT_WAIT_MAX: Duration = Duration::from_secs(15);
/// What a proposal under way gets beyond that, so that a true refusal that comes at the last moment is
/// not turned into an unknown outcome. After it: `OutcomeUnknown`.
pub const SUBMIT_GRACE: Duration = Duration::from_secs(5);
/// First pause between two tries of one command; doubles up to `SUBMIT_PAUSE_MAX`.
pub const SUBMIT_PAUSE_MIN: Duration = Duration::from_millis(10);
/// Short beside an election (under 2 s), long beside a round trip.
pub const SUBMIT_PAUSE_MAX: Duration = Duration::from_millis(200);
/// How long an acknowledged change or a read waits for this node's fold. A change is answered after it all the same
/// (it holds); a read is answered as stale.
pub const FOLD_WAIT_MAX: Duration = Duration::from_secs(5);
/// How long a read waits for the next leader, where one was there a moment ago. An election takes 1.4 s at worst.
pub const ELECTION_WAIT_MAX: Duration = Duration::from_secs(3);
/// How long a read waits for the leader's confirmation; after it the answer is marked stale.
pub const READ_MARK_WAIT_MAX: Duration = Duration::from_secs(5);
/// Messages in one page of rows handed to a gateway: bounds its memory.
pub const PAGE_MESSAGES_MAX: usize = 1_000;
/// Rows of accounts or addresses in one page for operators.
pub const PAGE_DIRECTORY_MAX: usize = 10_000;
/// Keywords shown in FLAGS for one mailbox; the rest still works.
pub const KEYWORDS_SHOWN_MAX: usize = 256;
/// Facts of one message, encoded. Above it the structure is cut to the root part and, if that does not help, the
/// envelope is left out: with half a chunk of facts at most, an entry of facts and traces stays below the bound.
pub const FACTS_BYTES_MAX: usize = 128 * 1024;
/// Traces of one command, in octets; more recipients go in a further command. With a whole body (256 KiB and its
/// frame) the entry stays below `PAYLOAD_BYTES_MAX`.
pub const TRACES_BYTES_MAX: usize = 128 * 1024;
/// Recipients of one command: `EVENTS_PER_COMMAND_MAX` less the body.
pub const RECIPIENTS_PER_COMMAND_MAX: usize = engine_events::limits::EVENTS_PER_COMMAND_MAX - 1;
/// Octets of a client's words (HELO name, address) in a trace line: RFC 5322 §2.1.1 allows 998 in a line.
pub const TRACE_WORD_BYTES_MAX: usize = 512;
/// The part of a session's name that goes into the log (`Command::session`).
pub const SESSION_BYTES_MAX: usize = 64;
/// Messages up to this are parsed, packed and read on the async thread: the work takes well under a millisecond, and a
/// switch of threads costs more. Larger ones go to the blocking threads.
pub const INLINE_BYTES_MAX: u64 = 64 * 1024;
/// Password hashes computed at once: each takes 19 MiB and a core. Further logins wait.
pub const PASSWORD_CHECKS_MAX: usize = 4;
/// How long a login waits for its turn before it is `Unavailable`.
pub const PASSWORD_WAIT_MAX: Duration = Duration::from_secs(20);
/// Verified logins remembered; at the bound the cache starts anew (each costs one hash again).
pub const LOGINS_CACHED_MAX: usize = 20_000;
/// Octets of a password. Longer ones only serve abuse. Reply: login failed.
pub const PASSWORD_BYTES_MAX: usize = 1_024;
/// Octets of a stored credential.
pub const CREDENTIAL_BYTES_MAX: usize = 1_024;
/// Memory of an Argon2 hash that is brought along, in KiB; it bounds what one login may take.
pub const ARGON2_MEMORY_KIB_MAX: u32 = 128 * 1024;
/// Passes and lanes of an Argon2 hash that is brought along.
pub const ARGON2_PASSES_MAX: u32 = 16;
pub const ARGON2_LANES_MAX: u32 = 16;
/// The cost of a bcrypt hash that is brought along, as a power of two: 14 takes a core for a second.
pub const BCRYPT_COST_MAX: u32 = 14;
/// Rounds of a SHA-crypt hash that is brought along. Each works on the password itself, of up to
/// `PASSWORD_BYTES_MAX`: this many take a core for a few seconds at worst.
pub const SHA_CRYPT_ROUNDS_MAX: u32 = 500_000;
/// Rounds of a PBKDF2 hash that is brought along: a second or two of a core.
pub const PBKDF2_ROUNDS_MAX: u32 = 2_000_000;
/// Credentials of other servers that are being replaced at once; each waits for its turn at hashing. At the bound a
/// login leaves its credential to the next one.
pub const REHASHES_MAX: usize = 256;
