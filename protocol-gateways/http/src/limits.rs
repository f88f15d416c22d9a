//! Bounds of the admin listener, each with its reason and what the client gets.

use std::time::Duration;

/// A JSON request body. Reply: 413.
pub const JSON_BYTES_MAX: usize = 64 * 1024;
/// Room above the largest message for an import's request body. Reply: 413.
pub const IMPORT_SLACK_BYTES: usize = 1024;
/// Rows in one page of accounts or addresses; the client asks for the next by `after`.
pub const PAGE_ROWS_MAX: usize = 10_000;
/// How long open requests may go on at shutdown before their connections are cut.
pub const DRAIN_MAX: Duration = Duration::from_secs(5);
