//! The end of a run: all that is under way gets an answer, mail flows again, the nodes get level; then everything is held
//! against what the clients were told.

use crate::clients::{Known, deliver, look, names};
use crate::clock;
use crate::cluster::{CLIENTS, Cluster};
use crate::run::Access;
use crate::world::{ACCOUNTS, Copy, MAILBOXES};
use engine_service::{Mail, Refusal};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// After healing: elections, catching up, snapshots, and the retries of what was under way.
const SETTLE_MAX: Duration = Duration::from_secs(60);

impl Cluster {
    pub(crate) async fn settle(
        &mut self,
        known: &Known,
        clients: Vec<tokio::task::JoinHandle<()>>,
    ) {
        let give_up = clock::elapsed() + SETTLE_MAX;
        // What is under way ends with an answer.
        while clients.iter().any(|client| !client.is_finished()) {
            if clock::elapsed() >= give_up {
                return self
                    .run
                    .breach("stuck", "a request has no answer".to_owned());
            }
            self.until(clock::elapsed() + Duration::from_millis(200))
                .await;
        }
        for number in 0..self.nodes.len() {
            for account in 0..ACCOUNTS.len() {
                while !self.takes_mail(number, account).await {
                    if clock::elapsed() >= give_up {
                        let text = format!("node {} takes no mail after healing", number + 1);
                        return self.run.breach("stuck", text);
                    }
                    self.until(clock::elapsed() + Duration::from_millis(200))
                        .await;
                }
            }
        }
        while !self.agree() {
            if clock::elapsed() >= give_up {
                return self.run.breach(
                    "stuck",
                    format!("the nodes do not get level: {}", self.positions()),
                );
            }
            self.until(clock::elapsed() + Duration::from_millis(200))
                .await;
        }
        self.check_digests();
        self.check_messages(known).await;
    }

    /// One delivery, with a marker of its own.
    async fn takes_mail(&self, number: usize, account: usize) -> bool {
        let Some(access) = self.run.access(number) else {
            return false;
        };
        let marker = self.run.world.lock().new_marker(CLIENTS, account);
        let delivered = deliver(&access.service, CLIENTS, account, marker).await;
        self.run.note(&format!(
            "node {} takes {marker}: {delivered:?}",
            number + 1
        ));
        match delivered {
            Ok((uid, receipt)) => {
                self.run.check_acknowledged(&receipt);
                self.run.world.lock().settle(marker, arrived(), Some(uid));
                true
            }
            Err(Refusal::OutcomeUnknown) => false,
            Err(_) => {
                self.run.world.lock().settle(marker, Vec::new(), None);
                false
            }
        }
    }

    /// All nodes run, and have folded each shard equally far.
    fn agree(&self) -> bool {
        let access = self.run.access.lock();
        let all: Vec<&Access> = access.iter().flatten().collect();
        all.len() == self.nodes.len()
            && self.common.shards.iter().all(|shard| {
                let positions: BTreeSet<_> = all
                    .iter()
                    .map(|access| access.shards.get(shard).map(|s| s.digest().position))
                    .collect();
                positions.len() == 1
            })
    }

    fn positions(&self) -> String {
        let access = self.run.access.lock();
        let of_node = |access: &Option<Access>| match access {
            Some(access) => {
                let shards = access.shards.values();
                let at = shards.map(|s| s.digest().position.map_or(0, |at| at.index.0));
                format!("{:?}", at.collect::<Vec<_>>())
            }
            None => "down".to_owned(),
        };
        access.iter().map(of_node).collect::<Vec<_>>().join(" ")
    }

    fn check_digests(&self) {
        let access = self.run.access.lock().clone();
        for shard in &self.common.shards {
            let mut values = BTreeSet::new();
            for (number, access) in access.iter().enumerate() {
                let Some(shard) = access.as_ref().and_then(|access| access.shards.get(shard))
                else {
                    continue;
                };
                let (kept, view) = (shard.digest(), shard.view());
                values.insert(kept.value);
                let id = shard.id();
                match view.recompute_digest() {
                    Ok(found) if found == kept => {}
                    found => self.run.breach(
                        "digest",
                        format!(
                            "node {}, shard {id}: kept {kept:?}, found {found:?}",
                            number + 1
                        ),
                    ),
                }
                match engine_domain::invariants::check(&view, id.0) {
                    Ok(breaches) if breaches.is_empty() => {}
                    other => self.run.breach(
                        "digest",
                        format!("node {}, shard {id}: {other:?}", number + 1),
                    ),
                }
            }
            if values.len() > 1 {
                self.run
                    .breach("digest", format!("shard {shard}: the replicas differ"));
            }
        }
    }

    async fn check_messages(&self, known: &Known) {
        for number in 0..self.nodes.len() {
            let Some(access) = self.run.access(number) else {
                continue;
            };
            let mut found: BTreeMap<u64, Vec<Copy>> = BTreeMap::new();
            for (account, who) in known.principals.iter().enumerate() {
                for (mailbox, name) in names().iter().enumerate() {
                    let opened = access.service.open_mailbox(who, name).await;
                    let seen = match &opened {
                        Ok(opened) => {
                            look(
                                &self.run,
                                &access.service,
                                account,
                                who,
                                opened.status.id,
                                opened,
                            )
                            .await
                        }
                        Err(_) => None,
                    };
                    let Some(seen) = seen else {
                        let text = format!(
                            "node {}: {} of {} cannot be read",
                            number + 1,
                            MAILBOXES[mailbox],
                            ACCOUNTS[account]
                        );
                        self.run.breach("stuck", text);
                        return;
                    };
                    for (marker, value) in seen {
                        found
                            .entry(marker)
                            .or_default()
                            .push(Copy { mailbox, value });
                    }
                }
            }
            for copies in found.values_mut() {
                copies.sort_unstable();
            }
            self.run.world.lock().check_end(number + 1, &found);
        }
    }
}

fn arrived() -> Vec<Copy> {
    vec![Copy {
        mailbox: 0,
        value: 0,
    }]
}
