//! A message and its marker, a receipt and its position.

use raft_api::{LogIndex, ShardId};
use raft_log::faulty_disk::Chance;

/// The marker that a message carries.
pub fn marker_in(message: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(message).ok()?;
    text.strip_prefix("Subject: ")?
        .split('\r')
        .next()?
        .parse()
        .ok()
}

/// Some are longer than several pages of the disk, and hardly shrink: their frames can be torn.
pub fn message(marker: u64) -> String {
    let mut chance = Chance(marker);
    let lines = match chance.below(8) {
        0..4 => 0,
        4..6 => chance.below(120),
        _ => chance.below(900),
    };
    let mut message = format!("Subject: {marker}\r\n\r\n");
    for _ in 0..lines {
        message += &format!("{:016x}{:016x}\r\n", chance.draw(), chance.draw());
    }
    message
}

/// `<cluster.incarnation:shard:term:log_index>`
pub fn position_in(receipt: &str) -> Option<(ShardId, LogIndex)> {
    let mut parts = receipt.trim_matches(['<', '>']).split(':').skip(1);
    let shard = parts.next()?.parse().ok()?;
    let index = parts.nth(1)?.parse().ok()?;
    Some((ShardId(shard), LogIndex(index)))
}
