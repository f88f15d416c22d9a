//! Bounds of an IMAP connection, each with its reason and what the client gets.

use engine_types::limits::MAILBOX_NAME_BYTES_MAX;
use gateway_session::FailureDelay;
use std::time::Duration;

/// A command without its literals, in octets. RFC 7162 §4 asks for at least 8 KiB; large UID sets need more.
/// Reply: `* BYE`, since the end of such a line is not known.
pub const LINE_BYTES_MAX: usize = 64 * 1024;
/// As `LINE_BYTES_MAX`, before a login: tens of thousands of strangers may connect. ID's fields are the longest there is.
pub const STRANGER_LINE_BYTES_MAX: usize = 8 * 1024;
/// All literals of a command before a login: a name and a password.
pub const STRANGER_LITERAL_BYTES_MAX: u64 = 4 * 1024;
/// All literals of a command other than a message to APPEND. Reply: `BAD [TOOBIG]`.
pub const LITERAL_BYTES_MAX: u64 = 64 * 1024;
/// Literals of one command; each costs a continuation. Reply: `BAD`.
pub const LITERALS_MAX: usize = 64;
/// Parentheses and `NOT`/`OR` within each other: bounds recursion. Reply: `BAD`.
pub const NESTING_MAX: usize = 16;
/// Keys of a SEARCH, names in a header list or a LIST: bounds work per message. Reply: `BAD`.
pub const ITEMS_MAX: usize = 1_000;
/// Ranges in a sequence set. The line's bound is near it. Reply: `BAD`.
pub const RANGES_MAX: usize = 32 * 1024;
/// Rows in one page of FETCH, STORE or SEARCH: bounds the memory of a command.
pub const PAGE_ROWS: usize = 500;
/// Keywords that FLAGS names; others work all the same. As the service bounds `Opened::keywords`.
pub const KEYWORDS_NAMED_MAX: usize = 256;
/// Answers are sent whenever so many octets wait.
pub const OUT_BYTES: usize = 64 * 1024;
/// Octets asked of the socket at once while a command is read.
pub const READ_BYTES: usize = 8 * 1024;
/// Commands without sense in a row before the connection ends: `* BYE`.
pub const BAD_COMMANDS_MAX: u32 = 50;
/// Fields of an ID that are logged, in octets (RFC 2971 §3.3).
pub const ID_LOG_BYTES_MAX: usize = 200;
/// Wildcards in one pattern of LIST: with the longest name they bound a pattern's length. Reply: `BAD`.
pub const WILDCARDS_MAX: usize = 16;
/// A pattern of LIST in octets: a longer one matches no name. Bounds matching, whose time is pattern × name. Reply: `BAD`.
pub const PATTERN_BYTES_MAX: usize = MAILBOX_NAME_BYTES_MAX + WILDCARDS_MAX;
/// Patterns of one LIST (RFC 5258 §3); each is matched with each name. Reply: `BAD`.
pub const PATTERNS_MAX: usize = 32;
/// Names that LIST matches before other sessions get their turn.
pub const NAMES_AT_ONCE: usize = 16;
/// From this size on a message is searched in a thread of its own: decoding takes some 10 ms a MiB.
pub const SEARCH_INLINE_BYTES_MAX: u64 = 64 * 1024;
/// How long a client may take to close behind the goodbye. It is then closed for it.
pub const CLOSE_WAIT_MAX: Duration = Duration::from_secs(5);

/// Times of a connection. Configurable so that tests need not wait.
#[derive(Clone, Debug)]
pub struct ImapLimits {
    /// From the greeting to a login. `* BYE`.
    pub login_time_max: Duration,
    /// Silence of a logged-in client (RFC 9051 §5.4: at least 30 min). `* BYE`.
    pub idle_time_max: Duration,
    /// For the rest of a command's line, and for each 8 KiB of a literal. `* BYE`.
    pub command_pause_max: Duration,
    /// How long a client may refuse to take 64 KiB of answers. The connection ends.
    pub write_pause_max: Duration,
    /// Wait before a failed login is answered: slows guessing down.
    pub login_failure_delay: FailureDelay,
    /// Failed logins before the connection ends. `* BYE`.
    pub login_failures_max: u32,
    /// IDLE's own sign of life, so that translators of addresses keep the connection.
    pub idle_still_here: Duration,
}

impl Default for ImapLimits {
    fn default() -> ImapLimits {
        ImapLimits {
            login_time_max: Duration::from_secs(60),
            idle_time_max: Duration::from_secs(30 * 60),
            command_pause_max: Duration::from_secs(60),
            write_pause_max: Duration::from_secs(120),
            login_failure_delay: FailureDelay::default(),
            login_failures_max: 3,
            idle_still_here: Duration::from_secs(120),
        }
    }
}
