//! Random commands: the fold agrees with the model, keeps its invariants, refuses without a change, answers
//! QRESYNC clients right, and does it all again, byte for byte, from zero.

use crate::model::Model;
use crate::world::{ALICE, MapRows, SHARD, World, appended, body, flag_set, flags};
use engine_domain::{apply, invariants, read};
use engine_events::{
    BodyChunkStored, Command, FlagMode, FlagsChanged, Kind, MailboxCreated, MailboxDeleted,
    MailboxRenamed, MessageAppended, MessagesCopied, MessagesExpunged, Outcome, Payload, QuotaSet,
    Refusal, SubscriptionSet, UidRanges,
};
use engine_types::{MailboxId, ModSeq, UidSet};
use proptest::prelude::*;
use std::collections::BTreeMap;

const NAMES: [&str; 6] = ["INBOX", "a", "a/b", "a/b/c", "b", "c/d"];
const FLAGS: [&str; 7] = [
    "",
    "\\Seen",
    "\\Deleted",
    "\\Seen $Junk",
    "$junk x",
    "\\Deleted x",
    "y",
];

#[derive(Clone, Debug)]
enum Op {
    Create(usize),
    Rename(usize, usize),
    Delete(usize),
    Subscribe(usize, bool),
    Append(usize, u64, usize, bool),
    Store(usize, (u32, u32), i32, usize, Option<u64>),
    Copy(usize, (u32, u32), usize, bool),
    Expunge(usize, (u32, u32), bool),
    Quota(u64),
    Chunk,
    Repeat(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let name = || 0..NAMES.len();
    let uids = || (1u32..8, 0u32..5).prop_map(|(first, more)| (first, first + more));
    prop_oneof![
        2 => name().prop_map(Op::Create),
        2 => (name(), name()).prop_map(|(a, b)| Op::Rename(a, b)),
        1 => name().prop_map(Op::Delete),
        1 => (name(), any::<bool>()).prop_map(|(n, s)| Op::Subscribe(n, s)),
        6 => (name(), 0u64..50, 0..FLAGS.len(), any::<bool>())
            .prop_map(|(n, size, f, inbox)| Op::Append(n, size, f, inbox)),
        4 => (name(), uids(), 0..3i32, 0..FLAGS.len(), proptest::option::of(0u64..6))
            .prop_map(|(n, u, mode, f, back)| Op::Store(n, u, mode, f, back)),
        3 => (name(), uids(), name(), any::<bool>())
            .prop_map(|(n, u, to, remove)| Op::Copy(n, u, to, remove)),
        2 => (name(), uids(), any::<bool>()).prop_map(|(n, u, only)| Op::Expunge(n, u, only)),
        1 => prop_oneof![Just(0u64), 100u64..400].prop_map(Op::Quota),
        1 => Just(Op::Chunk),
        2 => (0usize..20).prop_map(Op::Repeat),
    ]
}

fn ranges((first, last): (u32, u32)) -> Option<UidRanges> {
    Some(UidRanges {
        bounds: vec![first, last],
    })
}

/// The op's events, and what the model makes of it.
fn plan(model: &mut Model, op: &Op) -> (Vec<Kind>, Result<(), Refusal>) {
    let id = |model: &Model, n: &usize| model.mailboxes.get(NAMES[*n]).map_or(9_999, |m| m.id);
    let text = |n: &usize| NAMES[*n].to_owned();
    match op {
        Op::Create(n) => {
            let event = MailboxCreated {
                name: text(n),
                ..MailboxCreated::default()
            };
            (vec![Kind::MailboxCreated(event)], model.create(NAMES[*n]))
        }
        Op::Rename(a, b) => {
            let event = MailboxRenamed {
                from: text(a),
                to: text(b),
            };
            let did = model.rename(NAMES[*a], NAMES[*b]);
            (vec![Kind::MailboxRenamed(event)], did)
        }
        Op::Delete(n) => {
            let event = MailboxDeleted { name: text(n) };
            (vec![Kind::MailboxDeleted(event)], model.delete(NAMES[*n]))
        }
        Op::Subscribe(n, subscribed) => {
            match subscribed {
                true => model.subscriptions.insert(text(n)),
                false => model.subscriptions.remove(NAMES[*n]),
            };
            let event = SubscriptionSet {
                name: text(n),
                subscribed: *subscribed,
            };
            (vec![Kind::SubscriptionSet(event)], Ok(()))
        }
        Op::Append(n, size, f, or_inbox) => {
            let event = MessageAppended {
                or_inbox: *or_inbox,
                check_quota: true,
                trace: vec![b'x'; 3].into(),
                ..appended(NAMES[*n], FLAGS[*f])
            };
            let there = !or_inbox || model.mailboxes.contains_key(NAMES[*n]);
            let to = if there { NAMES[*n] } else { "INBOX" };
            let did = model.append(to, *size + 3, flags(FLAGS[*f]));
            (vec![body(*size), Kind::MessageAppended(event)], did)
        }
        Op::Store(n, uids, mode, f, back) => {
            let since = back.map(|back| model.mod_seq.saturating_sub(back));
            let event = FlagsChanged {
                mailbox: id(model, n),
                uids: ranges(*uids),
                mode: *mode,
                flags: Some(flag_set(FLAGS[*f])),
                unchanged_since: since,
            };
            let given = flags(FLAGS[*f]);
            let did = model.store(NAMES[*n], *uids, since, |old| {
                match FlagMode::try_from(*mode).expect("a mode") {
                    FlagMode::Replace => given.clone(),
                    FlagMode::Add => old.union(&given),
                    FlagMode::Remove => old.without(&given),
                }
            });
            (vec![Kind::FlagsChanged(event)], did)
        }
        Op::Copy(n, uids, to, remove) => {
            let event = MessagesCopied {
                from: id(model, n),
                uids: ranges(*uids),
                to: text(to),
                remove: *remove,
            };
            let did = model.copy(NAMES[*n], *uids, NAMES[*to], *remove);
            (vec![Kind::MessagesCopied(event)], did)
        }
        Op::Expunge(n, uids, only) => {
            let event = MessagesExpunged {
                mailbox: id(model, n),
                uids: ranges(*uids),
                only_deleted: *only,
            };
            let did = model.expunge(NAMES[*n], *uids, *only);
            (vec![Kind::MessagesExpunged(event)], did)
        }
        Op::Quota(bytes) => {
            model.quota = *bytes;
            let event = QuotaSet {
                quota_bytes: *bytes,
            };
            (vec![Kind::QuotaSet(event)], Ok(()))
        }
        Op::Chunk => {
            let event = BodyChunkStored::default();
            (vec![Kind::BodyChunkStored(event)], Ok(()))
        }
        Op::Repeat(_) => (Vec::new(), Ok(())),
    }
}

type Cache = BTreeMap<u32, String>;

/// A QRESYNC client's memory of a mailbox, brought up to date by `changes`.
#[derive(Clone, Default)]
struct Client(BTreeMap<u64, (u64, Cache)>);

impl Client {
    fn sync(&mut self, rows: &MapRows, mailbox: MailboxId, highest: ModSeq) -> &Cache {
        let (since, cache) = self.0.entry(mailbox.0).or_default();
        let (changed, vanished) =
            read::changes(rows, SHARD, ALICE, mailbox, ModSeq(*since)).expect("rows");
        cache.retain(|uid, _| !vanished.contains(engine_types::Uid(*uid)));
        for (uid, row) in changed {
            assert!(row.mod_seq.0 > *since, "only what changed is told");
            cache.insert(uid.0, row.flags.to_string());
        }
        *since = highest.0;
        cache
    }
}

/// All rows but heads and kept outcomes.
fn mail_rows(rows: &MapRows) -> Vec<(&Vec<u8>, &Vec<u8>)> {
    let kept = |key: &[u8]| matches!(key[12], 0x01 | 0x0a | 0x0b);
    rows.0.iter().filter(|(key, _)| !kept(key)).collect()
}

fn compare(rows: &MapRows, model: &Model, clients: &mut [Client]) {
    let breaches = invariants::check(rows, SHARD).expect("rows");
    assert_eq!(breaches, Vec::<String>::new());
    let account = read::account(rows, SHARD, ALICE)
        .expect("rows")
        .expect("alice");
    assert_eq!(account.mod_seq.0, model.mod_seq);
    assert_eq!(account.used_bytes, model.used());
    let subscribed = read::subscriptions(rows, SHARD, ALICE).expect("rows");
    assert!(
        subscribed
            .iter()
            .map(|n| n.as_str())
            .eq(model.subscriptions.iter())
    );
    let shown = read::mailboxes(rows, SHARD, ALICE).expect("rows");
    let names = shown.iter().map(|row| row.name.as_str());
    assert!(names.eq(model.mailboxes.keys()));
    for row in &shown {
        let expect = &model.mailboxes[row.name.as_str()];
        assert_eq!((row.id.0, row.uid_next.0), (expect.id, expect.uid_next));
        let found = read::messages(rows, SHARD, ALICE, row.id, &UidSet::all(), usize::MAX);
        let found = found.expect("rows").into_iter().map(|(uid, message)| {
            let octets = message.size + message.trace.len() as u64;
            (
                uid.0,
                message.email.0,
                message.mod_seq.0,
                message.flags,
                octets,
            )
        });
        let listed = expect
            .messages
            .iter()
            .map(|m| (m.uid, m.email, m.mod_seq, m.flags.clone(), m.size));
        assert_eq!(found.collect::<Vec<_>>(), listed.collect::<Vec<_>>());
        let now: Cache = expect
            .messages
            .iter()
            .map(|m| (m.uid, m.flags.to_string()))
            .collect();
        for client in &mut *clients {
            assert_eq!(client.sync(rows, row.id, row.highest_mod_seq), &now);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn agrees_with_the_model(ops in proptest::collection::vec((op(), 0u64..3_000), 1..50)) {
        let mut world = World::with_alice();
        let mut model = Model::new();
        // One that asks after each command, and one that was there at first and asks at the end.
        let mut clients = [Client::default()];
        let mut told: Vec<(Command, Outcome)> = Vec::new();
        compare(&world.rows, &model, &mut clients);
        let mut late = clients[0].clone();
        for (at, (op, later_ms)) in ops.iter().enumerate() {
            world.clock_ms = world.clock_ms + later_ms - 1_000;
            if let Op::Repeat(which) = op {
                if let Some((command, first)) = told.get(told.len().wrapping_sub(*which + 1)) {
                    let before = world.rows.clone();
                    let again = world.fold(command).outcome;
                    prop_assert!(again.repeated);
                    prop_assert_eq!(&again.events, &first.events);
                    prop_assert_eq!(mail_rows(&before), mail_rows(&world.rows));
                }
                continue;
            }
            let (kinds, expect) = plan(&mut model, op);
            let before = world.rows.clone();
            let command = world.command(kinds);
            let folded = world.fold(&command);
            prop_assert!(!folded.outcome.repeated);
            let refusal = folded.outcome.events.last().expect("one event").refusal();
            prop_assert_eq!(refusal, expect.err(), "{}: {:?}", at, op);
            if refusal.is_some() {
                prop_assert_eq!(mail_rows(&before), mail_rows(&world.rows));
            }
            let rose = read::account(&before, SHARD, ALICE).unwrap().unwrap().mod_seq.0 < model.mod_seq;
            let touched = if rose { vec![(ALICE, ModSeq(model.mod_seq))] } else { Vec::new() };
            prop_assert_eq!(folded.touched, touched);
            // A chunk is one more each time: it has no outcome to be told again.
            if !matches!(op, Op::Chunk) {
                told.push((command, folded.outcome));
            }
            compare(&world.rows, &model, &mut clients);
        }
        compare(&world.rows, &model, std::slice::from_mut(&mut late));
        let mut again = MapRows::default();
        for (at, bytes) in &world.log {
            let payload = Payload::decode(bytes.clone()).expect("a payload made here");
            apply(&mut again, *at, &payload).expect("rows");
        }
        prop_assert_eq!(again, world.rows);
    }
}
