//! Promise P8: a command that comes twice is applied once; what is kept for it stays bounded.

use crate::world::{ALICE, EPOCH, SHARD, World, appended, body};
use engine_domain::limits::{
    OUTCOME_AGE_MS_MAX, OUTCOME_AGE_MS_MIN, OUTCOME_AGE_SURPLUS_MS, OUTCOMES_PER_ACCOUNT_MAX,
    OUTCOMES_PRUNED_PER_EVENT_MAX, OUTCOMES_SURPLUS,
};
use engine_domain::{invariants, read};
use engine_events::{
    AccountClosed, AccountOpened, Command, Event, Kind, MailboxCreated, MessageAppended,
    OutcomeKind, QuotaSet, Refusal,
};
use engine_types::{AccountId, CommandId, MailboxId, Uid};

fn kept(world: &World) -> usize {
    let of_alice = |key: &[u8]| key[4..12] == ALICE.0.to_be_bytes() && key[12] == 0x0a;
    world.rows.0.keys().filter(|key| of_alice(key)).count()
}

fn quota(world: &mut World) {
    world.one(Kind::QuotaSet(QuotaSet { quota_bytes: 0 }));
}

#[test]
fn a_repeated_delivery_is_one_message_and_gets_the_first_answer() {
    let mut world = World::with_alice();
    let append = || Kind::MessageAppended(appended("INBOX", ""));
    let command = world.command(vec![body(10), append(), append()]);
    let first = world.fold(&command).outcome;
    assert!(!first.repeated);
    let again = world.fold(&command);
    assert!(again.outcome.repeated);
    assert_eq!(again.outcome.events, first.events);
    assert_eq!(again.touched, Vec::new());
    let uids = read::uids(&world.rows, SHARD, ALICE, MailboxId(1)).unwrap();
    assert_eq!(uids, [Uid(1), Uid(2)], "two recipients' events, each once");
}

#[test]
fn a_refusal_is_repeated_too() {
    let mut world = World::with_alice();
    let command = world.command(vec![body(10), Kind::MessageAppended(appended("later", ""))]);
    let refused = Some(Refusal::NoSuchMailbox);
    assert_eq!(world.fold(&command).outcome.events[1].refusal(), refused);
    let created = MailboxCreated {
        name: "later".to_owned(),
        ..MailboxCreated::default()
    };
    assert!(world.one(Kind::MailboxCreated(created)).refusal().is_none());
    // Refused means that nothing was changed; a twin in the log must not make that a lie.
    assert_eq!(world.fold(&command).outcome.events[1].refusal(), refused);
}

#[test]
fn another_epoch_is_refused_and_not_kept() {
    let mut world = World::with_alice();
    let id = CommandId(77);
    let event = |epoch| Event::new(ALICE, epoch, Kind::QuotaSet(QuotaSet { quota_bytes: 9 }));
    let with = |epoch| Command::new(id, 0, "", vec![event(epoch)]);
    let refusal = |world: &mut World, epoch| world.fold(&with(epoch)).outcome.events[0].refusal();
    assert_eq!(refusal(&mut world, EPOCH + 1), Some(Refusal::WrongShard));
    assert_eq!(refusal(&mut world, EPOCH), None);
}

#[test]
fn a_closed_account_does_not_come_back_by_a_repetition() {
    let mut world = World::empty(SHARD);
    let open = world.command(vec![Kind::AccountOpened(AccountOpened::default())]);
    assert_eq!(world.fold(&open).outcome.events[0].refusal(), None);
    world.append("INBOX", 10, "");
    assert_eq!(
        world.one(Kind::AccountClosed(AccountClosed {})).refusal(),
        None
    );
    assert_eq!(
        world.fold(&open).outcome.events[0].refusal(),
        Some(Refusal::WrongShard)
    );
    assert_eq!(read::account(&world.rows, SHARD, ALICE), Ok(None));
    let of_alice = |key: &&Vec<u8>| key[4..12] == ALICE.0.to_be_bytes();
    assert_eq!(world.rows.0.keys().filter(of_alice).count(), 0);
}

#[test]
fn outcomes_older_than_a_day_go_once_there_is_a_surplus() {
    let mut world = World::with_alice();
    for _ in 0..200 {
        quota(&mut world);
    }
    assert_eq!(kept(&world), 201);
    world.clock_ms += OUTCOME_AGE_MS_MAX + OUTCOME_AGE_SURPLUS_MS;
    quota(&mut world);
    assert_eq!(kept(&world), 202, "a surplus is not over a surplus");
    world.clock_ms += 1;
    quota(&mut world);
    let pruned = OUTCOMES_PRUNED_PER_EVENT_MAX;
    assert_eq!(kept(&world), 203 - pruned, "many, but not all at once");
    quota(&mut world);
    assert_eq!(kept(&world), 3, "those of today");
    assert_eq!(invariants::check(&world.rows, SHARD), Ok(Vec::new()));
}

/// The young ones stay, whatever their number: a gateway may try one of them again.
#[test]
fn outcomes_have_a_bound_in_number_above_which_the_young_stay() {
    let mut world = World::with_alice();
    let (max, surplus) = (OUTCOMES_PER_ACCOUNT_MAX as usize, OUTCOMES_SURPLUS as usize);
    for _ in 0..max + 2 * surplus {
        quota(&mut world);
    }
    assert_eq!(kept(&world), max + 2 * surplus + 1);
    world.clock_ms += OUTCOME_AGE_MS_MIN + 1;
    quota(&mut world);
    assert_eq!(kept(&world), max + 2, "many, but not all at once");
    for _ in 0..surplus - 2 {
        quota(&mut world);
    }
    assert_eq!(kept(&world), max + surplus);
    quota(&mut world);
    assert_eq!(kept(&world), max);
    assert_eq!(invariants::check(&world.rows, SHARD), Ok(Vec::new()));
}

#[test]
fn log_time_never_goes_back() {
    let mut world = World::with_alice();
    world.clock_ms += 5_000;
    quota(&mut world);
    let high = world.clock_ms;
    world.clock_ms -= 60_000;
    world.append("INBOX", 1, "");
    assert_eq!(
        engine_domain::log_time(&world.rows, SHARD).map(|t| t.0),
        Ok(high)
    );
    let all = engine_types::UidSet::all();
    let found = read::messages(&world.rows, SHARD, ALICE, MailboxId(1), &all, 1).unwrap();
    assert_eq!(found[0].1.saved_at.0, high);
}

#[test]
fn one_command_for_two_accounts_decides_each_alone() {
    let mut world = World::with_alice();
    let bob = AccountId(8);
    let open = Kind::AccountOpened(AccountOpened {
        quota_bytes: 5,
        ..AccountOpened::default()
    });
    world.fold(&Command::new(
        CommandId(500),
        0,
        "",
        vec![Event::new(bob, 1, open)],
    ));
    let mut over = appended("INBOX", "");
    over.check_quota = true;
    let events = vec![
        Event::new(AccountId(0), 0, body(10)),
        Event::new(bob, 1, Kind::MessageAppended(over.clone())),
        Event::new(ALICE, EPOCH, Kind::MessageAppended(over)),
    ];
    let folded = world.fold(&Command::new(CommandId(501), 0, "", events));
    let refusals: Vec<_> = folded.outcome.events.iter().map(|e| e.refusal()).collect();
    assert_eq!(refusals, [None, Some(Refusal::OverQuota), None]);
    let touched: Vec<_> = folded.touched.iter().map(|(account, _)| *account).collect();
    assert_eq!(touched, [ALICE]);
}

/// A named delivery, each time by a command of its own: what a sending server's next try makes of it.
fn named(world: &mut World, name: u8) -> Result<u32, Refusal> {
    let append = MessageAppended {
        once: vec![name; 16].into(),
        check_quota: true,
        ..appended("INBOX", "")
    };
    let outcome = world.append_event(10, append);
    match (outcome.refusal(), outcome.result) {
        (None, Some(OutcomeKind::Appended(done))) => Ok(done.uid),
        (refusal, _) => Err(refusal.unwrap()),
    }
}

#[test]
fn a_named_delivery_is_there_once_whoever_brings_it() {
    let mut world = World::with_alice();
    assert_eq!(named(&mut world, 1), Ok(1));
    assert_eq!(named(&mut world, 1), Ok(1));
    assert_eq!(named(&mut world, 2), Ok(2), "another name, another message");
    assert_eq!(named(&mut world, 1), Ok(1));
    assert_eq!(
        kept(&world),
        3,
        "the account's opening, and one for each name"
    );
    assert_eq!(invariants::check(&world.rows, SHARD), Ok(Vec::new()));
}

#[test]
fn a_refused_delivery_may_come_again_under_its_name() {
    let mut world = World::with_alice();
    world.one(Kind::QuotaSet(QuotaSet { quota_bytes: 5 }));
    assert_eq!(named(&mut world, 1), Err(Refusal::OverQuota));
    quota(&mut world);
    assert_eq!(named(&mut world, 1), Ok(1));
    assert_eq!(named(&mut world, 1), Ok(1));
}

/// A sender tries for days; each try within a day of the one before keeps the delivery known.
#[test]
fn a_named_delivery_stays_known_while_it_is_tried() {
    let mut world = World::with_alice();
    assert_eq!(named(&mut world, 1), Ok(1));
    for _ in 0..5 {
        world.clock_ms += OUTCOME_AGE_MS_MAX;
        assert_eq!(named(&mut world, 1), Ok(1));
        for _ in 0..3 {
            quota(&mut world);
        }
    }
    assert_eq!(invariants::check(&world.rows, SHARD), Ok(Vec::new()));
}

#[test]
fn a_name_has_sixteen_octets() {
    let mut world = World::with_alice();
    let append = MessageAppended {
        once: vec![1; 15].into(),
        ..appended("INBOX", "")
    };
    let outcome = world.append_event(10, append);
    assert_eq!(outcome.refusal(), Some(Refusal::Invalid));
}
