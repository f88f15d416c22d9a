//! The control group: registration, addresses, credentials.

use crate::world::{ALICE, World};
use engine_domain::{invariants, read};
use engine_events::{
    AccountForgotten, AccountRegistered, AddressRemoved, AddressSet, AddressTarget, CredentialSet,
    Kind, Refusal,
};
use engine_types::AccountId;

fn register(world: &mut World, account: u64, address: &str) -> Option<Refusal> {
    let event = AccountRegistered {
        account,
        shard: 2,
        epoch: 1,
        address: address.to_owned(),
        credential: "{PLAIN}demo".to_owned(),
    };
    world.one(Kind::AccountRegistered(event)).refusal()
}

fn set(world: &mut World, local: &str, targets: &[u64], login: bool) -> Option<Refusal> {
    let target = |&account| AddressTarget {
        account,
        folder: String::new(),
    };
    let event = AddressSet {
        local: local.to_owned(),
        domain: "example.org".to_owned(),
        targets: targets.iter().map(target).collect(),
        refusal: String::new(),
        login,
        only_new: false,
    };
    world.one(Kind::AddressSet(event)).refusal()
}

fn forget(world: &mut World, account: u64) -> Option<Refusal> {
    world
        .one(Kind::AccountForgotten(AccountForgotten { account }))
        .refusal()
}

fn sound(world: &World) {
    assert_eq!(invariants::check(&world.rows, 0), Ok(Vec::new()));
}

#[test]
fn an_account_logs_in_by_its_address_and_by_its_aliases() {
    let mut world = World::empty(0);
    assert_eq!(register(&mut world, 7, "Alice@Example.ORG"), None);
    assert_eq!(register(&mut world, 8, "bob@example.org"), None);
    assert_eq!(
        register(&mut world, 7, "carol@example.org"),
        Some(Refusal::AccountExists)
    );
    assert_eq!(
        register(&mut world, 9, "alice@example.org"),
        Some(Refusal::AddressTaken)
    );
    assert_eq!(set(&mut world, "al", &[7], true), None);
    assert_eq!(set(&mut world, "team", &[7, 8], false), None);
    assert_eq!(
        set(&mut world, "team2", &[7, 8], true),
        Some(Refusal::Invalid)
    );
    assert_eq!(
        set(&mut world, "x", &[99], false),
        Some(Refusal::NoSuchAccount)
    );
    assert_eq!(
        set(&mut world, "alice", &[8], true),
        Some(Refusal::NotAllowed)
    );
    let login = |name: &str| {
        read::login(&world.rows, name)
            .unwrap()
            .map(|found| found.account)
    };
    assert_eq!(login("alice@example.org"), Some(ALICE));
    assert_eq!(login("al@example.org"), Some(ALICE));
    assert_eq!(login("team@example.org"), None);
    assert_eq!(login("nobody@example.org"), None);
    assert_eq!(read::domain_served(&world.rows, "example.org"), Ok(true));
    let page = |after: &str, limit| {
        let found = read::directory_accounts(&world.rows, after, limit).unwrap();
        found.iter().map(|a| a.account.0).collect::<Vec<_>>()
    };
    assert_eq!(
        (page("", 1), page("alice@example.org", 9)),
        (vec![7], vec![8])
    );
    sound(&world);
}

#[test]
fn a_forgotten_account_leaves_all_addresses() {
    let mut world = World::empty(0);
    register(&mut world, 7, "alice@example.org");
    register(&mut world, 8, "bob@example.org");
    set(&mut world, "team", &[7, 8], false);
    set(&mut world, "al", &[7], true);
    assert_eq!(forget(&mut world, 7), None);
    assert_eq!(forget(&mut world, 7), Some(Refusal::NoSuchAccount));
    sound(&world);
    let found = read::addresses(&world.rows, "", 9).unwrap();
    let shown: Vec<_> = found
        .iter()
        .map(|(name, row)| (name.as_str(), &row.targets))
        .collect();
    let bob = vec![(AccountId(8), String::new())];
    assert_eq!(
        shown,
        [("bob@example.org", &bob), ("team@example.org", &bob)]
    );
    assert_eq!(register(&mut world, 9, "alice@example.org"), None);
}

#[test]
fn an_accounts_own_address_cannot_be_removed() {
    let mut world = World::empty(0);
    register(&mut world, 7, "alice@example.org");
    set(&mut world, "*", &[7], false);
    let mut remove = |local: &str| {
        let event = AddressRemoved {
            local: local.to_owned(),
            domain: "example.org".to_owned(),
        };
        world.one(Kind::AddressRemoved(event)).refusal()
    };
    assert_eq!(remove("alice"), Some(Refusal::NotAllowed));
    assert_eq!(remove("*"), None);
    assert_eq!(remove("*"), Some(Refusal::NoSuchAddress));
    sound(&world);
}

/// A re-hash at login must not undo a change of the password that came in between.
#[test]
fn a_credential_is_replaced_only_if_it_is_the_expected_one() {
    let mut world = World::empty(0);
    register(&mut world, 7, "alice@example.org");
    let mut replace = |only_if: &str, credential: &str| {
        let event = CredentialSet {
            account: 7,
            credential: credential.to_owned(),
            only_if: only_if.to_owned(),
        };
        world.one(Kind::CredentialSet(event)).refusal()
    };
    assert_eq!(replace("", "{PLAIN}new"), None);
    assert_eq!(
        replace("{PLAIN}demo", "{ARGON2ID}demo"),
        Some(Refusal::Changed)
    );
    assert_eq!(replace("{PLAIN}new", "{ARGON2ID}new"), None);
    let found = read::directory_account(&world.rows, ALICE)
        .unwrap()
        .unwrap();
    assert_eq!(found.credential, "{ARGON2ID}new");
}

#[test]
fn a_mail_shard_refuses_the_directory() {
    let mut world = World::with_alice();
    assert_eq!(
        register(&mut world, 7, "a@example.org"),
        Some(Refusal::WrongShard)
    );
    let mut control = World::empty(0);
    let outcome = control.append("INBOX", 1, "");
    assert_eq!(outcome.refusal(), Some(Refusal::WrongShard));
}
