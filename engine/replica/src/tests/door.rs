//! What is admitted decodes; what would not is refused before anything is written.

use super::workload::{ALICE, clock, command, open};
use bytes::Bytes;
use engine_events::limits::{EVENTS_PER_COMMAND_MAX, PAYLOAD_BYTES_MAX};
use engine_events::{Command, Event, Kind, Payload, QuotaSet, SubscriptionSet};
use engine_store::MemoryStore;
use engine_types::CommandId;
use raft_api::{Refused, StateMachine};
use std::sync::Arc;

#[track_caller]
fn check(command: Bytes, expect: Result<(), Refused>) {
    let shard = open(Arc::new(MemoryStore::new()));
    let admitted = shard.admit(command);
    assert_eq!(admitted.as_ref().map(|_| ()).map_err(|e| *e), expect);
    if let Ok(payload) = admitted {
        let payload = Payload::decode(payload).unwrap();
        assert_eq!(payload.decided_at.0, *clock().0.lock());
    }
}

fn kind() -> Kind {
    Kind::QuotaSet(QuotaSet { quota_bytes: 1 })
}

#[test]
fn admission() {
    let refused = Err(Refused::Malformed);
    check(command(1, ALICE, vec![kind()]), Ok(()));
    check(command(1, ALICE, vec![]), refused);
    check(
        command(1, ALICE, vec![kind(); EVENTS_PER_COMMAND_MAX]),
        Ok(()),
    );
    check(
        command(1, ALICE, vec![kind(); EVENTS_PER_COMMAND_MAX + 1]),
        refused,
    );
    check(Bytes::new(), refused);
    check(Bytes::from_static(b"\xff\xff\xff"), refused);
    let large = Kind::SubscriptionSet(SubscriptionSet {
        name: "x".repeat(PAYLOAD_BYTES_MAX),
        subscribed: true,
    });
    check(command(1, ALICE, vec![large]), refused);
    let session = "s".repeat(65);
    let events = vec![Event::new(ALICE, 1, kind())];
    check(
        Command::new(CommandId(1), 0, &session, events.clone()).encode_command(),
        refused,
    );
    let no_id = Command {
        id: Bytes::new(),
        ..Command::new(CommandId(1), 0, "", events)
    };
    check(no_id.encode_command(), refused);
    let no_kind = Command::new(CommandId(1), 0, "", vec![Event::default()]);
    check(no_kind.encode_command(), refused);
}
