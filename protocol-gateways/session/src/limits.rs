//! Bounds on connections, each with its reason and what the peer sees.

use std::time::Duration;

/// PROXY header and TLS handshake, each. A peer that is slower is closed without a word.
pub const HANDSHAKE_WAIT_MAX: Duration = Duration::from_secs(10);
/// How long sessions may end by themselves at shutdown, before they are cut.
pub const DRAIN_WAIT_MAX: Duration = Duration::from_secs(10);
/// Default total per protocol: a node's goal is 50,000 idle sessions. Beyond it: the protocol's busy line.
pub const CONNECTIONS_TOTAL: usize = 50_000;
/// Default per address and protocol: a household or office behind one address with several clients each. Beyond it:
/// the protocol's busy line. Trusted networks are spared.
pub const CONNECTIONS_PER_ADDRESS: usize = 100;
/// IPv6 addresses are counted by this prefix: a single customer has a whole /64.
pub const IPV6_CAP_PREFIX: u8 = 64;
/// PROXY protocol v1 §2.1: the longest line, CRLF included. A longer one ends the connection.
pub const PROXY_V1_BYTES_MAX: usize = 107;
/// PROXY protocol v2: addresses and TLVs. Balancers send up to some hundred octets of TLVs; more ends the connection.
pub const PROXY_V2_BODY_BYTES_MAX: usize = 2_048;
/// Each of SASL PLAIN's three parts (RFC 4616 §2 sets 255 characters at least). Longer: the login fails.
pub const SASL_PART_BYTES_MAX: usize = 1_024;
/// Pause after `accept` failed for want of file descriptors or memory, so that the loop does not spin.
pub const ACCEPT_RETRY_WAIT: Duration = Duration::from_millis(100);
/// Delay after the first failed login of a session; it doubles with each, up to the maximum.
pub const LOGIN_DELAY_FIRST: Duration = Duration::from_secs(1);
pub const LOGIN_DELAY_MAX: Duration = Duration::from_secs(8);
