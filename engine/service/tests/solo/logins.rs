//! Who gets in, and credentials that other servers made.

use crate::peer;
use engine_domain::read;
use engine_service::*;
use raft_api::ShardId;
use testkit::{Solo, Trouble};

#[tokio::test]
async fn only_the_right_password_lets_in() {
    let service = testkit::solo_service();
    let login = async |name: &str, password: &str| {
        let result = service.login(&peer(), name, password).await;
        result.map(|who| who.name.to_string())
    };
    assert_eq!(
        login("bob@example.org", "Demo").await,
        Err(LoginError::Failed)
    );
    assert_eq!(
        login("nobody@example.org", "demo").await,
        Err(LoginError::Failed)
    );
    assert_eq!(login("bob", "demo").await, Err(LoginError::Failed));
    // Twice: the second one is answered by the cache.
    for _ in 0..2 {
        let bob = Ok("bob@example.org".to_owned());
        assert_eq!(login("BOB@example.org", "demo").await, bob);
    }
    let new = NewCredential::Password("other".to_owned());
    service
        .set_credential("bob@example.org", new)
        .await
        .unwrap();
    assert_eq!(
        login("bob@example.org", "demo").await,
        Err(LoginError::Failed)
    );
    assert!(login("bob@example.org", "other").await.is_ok());
    service
        .set_state("bob@example.org", AccountState::NoLogin)
        .await
        .unwrap();
    assert_eq!(
        login("bob@example.org", "other").await,
        Err(LoginError::Locked)
    );
    assert_eq!(login("bob@example.org", "x").await, Err(LoginError::Failed));
    let peer = peer();
    let as_carol = service.login_as(&peer, "carol@example.org", "alice@example.org", "demo");
    assert_eq!(as_carol.await, Err(LoginError::Failed));
    for authzid in ["", "Alice@example.org"] {
        let own = service.login_as(&peer, authzid, "alice@example.org", "demo");
        assert!(own.await.is_ok(), "{authzid:?}");
    }
}

/// `doveadm pw -s SHA512-CRYPT -p demo`.
const FOREIGN: &str = "{SHA512-CRYPT}$6$xEQjCbjQY//4DTjo$1rGaen9Ub9rPaPBRw2PtnL1nJMNKzimRtDeUKZewjT9/AL5/tOTvFioM4pr2QkcfKFmZV6eEbj3vu/Y/upFin0";

async fn foreign_dora(service: &Service) {
    let hash = NewCredential::Hash(FOREIGN.to_owned());
    let made = service.add_account("dora@example.org", hash, None).await;
    made.unwrap();
}

fn credential(solo: &Solo, name: &str) -> String {
    let control = solo.shards()[&ShardId::CONTROL].view();
    read::login(&control, name).unwrap().unwrap().credential
}

/// Until the control group has folded something that `holds`.
async fn until(solo: &Solo, holds: impl Fn() -> bool) {
    let mut folded = solo.groups()[&ShardId::CONTROL].folded();
    while !holds() {
        folded.changed().await.unwrap();
    }
}

#[tokio::test]
async fn a_foreign_credential_is_replaced_once_by_the_next_good_login() {
    let solo = Solo::new();
    let service = testkit::solo_service_on(&solo);
    foreign_dora(&service).await;
    let dora = "dora@example.org";
    let folded = || *solo.groups()[&ShardId::CONTROL].folded().borrow();
    let wrong = service.login(&peer(), dora, "x").await;
    assert_eq!(wrong, Err(LoginError::Failed));
    assert_eq!(credential(&solo, dora), FOREIGN);
    let before = folded().unwrap();
    // Two sessions at once: a client opens several.
    let (first, second) = tokio::join!(
        async { service.login(&peer(), dora, "demo").await },
        async { service.login(&peer(), dora, "demo").await },
    );
    assert!(first.is_ok() && second.is_ok());
    until(&solo, || credential(&solo, dora).starts_with("{ARGON2ID}")).await;
    assert!(service.login(&peer(), dora, "demo").await.is_ok());
    assert_eq!(folded().unwrap().0, before.0 + 1, "one change");
    let wrong = service.login(&peer(), dora, "x").await;
    assert_eq!(wrong, Err(LoginError::Failed));
}

/// Logging in does not wait for a majority, and what could not be replaced is replaced later.
#[tokio::test]
async fn a_login_does_not_need_the_replacement() {
    let solo = Solo::new();
    let service = testkit::solo_service_on(&solo);
    foreign_dora(&service).await;
    solo.set_trouble(ShardId::CONTROL, Trouble::NoQuorum);
    let in_time = service.login(&peer(), "dora@example.org", "demo").await;
    assert!(in_time.is_ok());
    assert_eq!(credential(&solo, "dora@example.org"), FOREIGN);
}

/// A password that the user changed while the replacement was on its way stays.
#[tokio::test]
async fn a_replacement_does_not_undo_a_change() {
    let solo = Solo::new();
    let service = testkit::solo_service_on(&solo);
    foreign_dora(&service).await;
    let dora = "dora@example.org";
    solo.set_trouble(ShardId::CONTROL, Trouble::NoQuorum);
    assert!(service.login(&peer(), dora, "demo").await.is_ok());
    solo.set_trouble(ShardId::CONTROL, Trouble::None);
    let new = NewCredential::Password("other".to_owned());
    service.set_credential(dora, new).await.unwrap();
    assert!(service.login(&peer(), dora, "other").await.is_ok());
    let old = service.login(&peer(), dora, "demo").await;
    assert_eq!(old, Err(LoginError::Failed));
}

/// A password that was changed elsewhere a moment ago is not called wrong by a node that cannot ask.
#[tokio::test]
async fn a_failure_that_cannot_be_confirmed_is_none() {
    let solo = Solo::new();
    let service = testkit::solo_service_on(&solo);
    foreign_dora(&service).await;
    for (trouble, expect) in [
        (Trouble::NoQuorum, LoginError::Unavailable),
        (Trouble::None, LoginError::Failed),
    ] {
        solo.set_trouble(ShardId::CONTROL, trouble);
        for name in ["dora@example.org", "nobody@example.org"] {
            let failed = service.login(&peer(), name, "wrong").await;
            assert_eq!(failed, Err(expect.clone()), "{name}");
        }
    }
}
