//! The service over a `Solo`, with the demo's accounts.

use crate::Solo;
use engine_service::{Administration, NewCredential, Parts, Service};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub const DEMO_ACCOUNTS: [&str; 3] = ["alice@example.org", "bob@example.org", "carol@example.org"];
pub const DEMO_PASSWORD: &str = "demo";
/// Long beside what a `Solo` needs, short for a test that waits until it is over.
const SUBMIT_WAIT_MAX: Duration = Duration::from_millis(500);
/// As the server's default.
const MESSAGE_BYTES_MAX: u64 = 50 * 1024 * 1024;

/// A service of its own for each call, its three accounts made.
pub fn solo_service() -> Arc<Service> {
    solo_service_on(&Solo::new())
}

/// Over a `Solo` that the test keeps, to move its clock or to make trouble.
pub fn solo_service_on(solo: &Solo) -> Arc<Service> {
    let service = Service::new(Parts {
        groups: solo.groups(),
        shards: solo.shards(),
        entries: solo.entries(),
        clock: solo.clock(),
        finder: Arc::new(index_port::Scanner),
        cluster_id: "50105010".to_owned(),
        incarnation: 1,
        hostname: "mail.example.org".to_owned(),
        run: 7,
        chance,
        message_bytes_max: MESSAGE_BYTES_MAX,
        submit_wait_max: SUBMIT_WAIT_MAX,
        postmaster: None,
    });
    let made = service.clone();
    // A thread with a runtime of its own: the caller may be within one, where blocking is not allowed.
    std::thread::spawn(move || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime can be made")
            .block_on(add_demo_accounts(&made));
    })
    .join()
    .expect("the demo's accounts can be made");
    service
}

/// Differs from call to call, as account ids must.
fn chance() -> Option<u64> {
    static DRAWN: AtomicU64 = AtomicU64::new(0x5eed);
    Some(DRAWN.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed))
}

async fn add_demo_accounts(service: &Service) {
    for address in DEMO_ACCOUNTS {
        let password = NewCredential::Password(DEMO_PASSWORD.to_owned());
        service
            .add_account(address, password, None)
            .await
            .unwrap_or_else(|refusal| panic!("{address} cannot be made: {refusal:?}"));
    }
}
