//! A node that is being added opens its mail listeners only once it can answer.

use crate::config::Config;
use crate::listen::open_mail;
use engine_service::Mail;
use gateway_session::Sessions;
use raft_api::{Group, NodeId, ShardId};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A node that is being added looks so often whether it has caught up.
const JOIN_CHECK: Duration = Duration::from_millis(300);

/// A node that is being added: until it belongs to every shard and shows all that was acknowledged before, it would deny
/// what exists.
pub struct Joining {
    pub groups: HashMap<ShardId, Arc<dyn Group>>,
    pub me: NodeId,
}

impl Joining {
    pub fn is_member(&self) -> bool {
        self.groups.values().all(|group| {
            let members = group.status().members;
            members.iter().any(|member| member.node.id == self.me)
        })
    }

    async fn shows_all(&self) -> bool {
        if !self.is_member() {
            return false;
        }
        for group in self.groups.values() {
            let Ok(mark) = group.read_mark().await else {
                return false;
            };
            let mut folded = group.folded();
            let reached = folded.wait_for(|folded| *folded >= mark.index);
            if !matches!(tokio::time::timeout(JOIN_CHECK, reached).await, Ok(Ok(_))) {
                return false;
            }
        }
        true
    }
}

pub type MailParts = (Config, Sessions, Arc<dyn Mail>, watch::Receiver<bool>);

pub async fn open_mail_later(
    joining: Joining,
    (config, sessions, mail, mut stopped): MailParts,
    ready: Arc<AtomicBool>,
    fail: tokio::sync::mpsc::Sender<anyhow::Error>,
) {
    tracing::info!("mail listeners open once this node has joined every shard");
    while !joining.shows_all().await {
        let stop = stopped.wait_for(|stopped| *stopped);
        if tokio::time::timeout(JOIN_CHECK, stop).await.is_ok() {
            return;
        }
    }
    let mut listeners = JoinSet::new();
    let opened = open_mail(&config, &sessions, &mail, &stopped, &mut listeners).await;
    if let Err(error) = opened {
        // Whoever waits for it ends the process with that reason.
        let _ = fail.send(error).await;
        return;
    }
    ready.store(true, Ordering::Release);
    tracing::info!("this node has joined every shard: mail listeners are open");
    while listeners.join_next().await.is_some() {}
}
