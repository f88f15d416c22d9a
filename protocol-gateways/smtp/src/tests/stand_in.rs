//! A `Mail` whose recipients' names say what becomes of their mail. It keeps what was delivered.

use async_trait::async_trait;
use engine_service::*;
use engine_types::{
    AccountId, Flags, MailboxId, MailboxName, ModSeq, SpecialUse, Uid, UidSet, UidValidity,
    UnixMillis,
};
use std::sync::Mutex;
use tokio::sync::watch;

pub const MESSAGE_BYTES_MAX: u64 = 200_000;

#[derive(Default)]
pub struct StandIn {
    pub deliveries: Mutex<Vec<Delivery>>,
}

/// What `deliver` does for a local part.
fn outcome(local: &str) -> Option<Result<&'static str, Refusal>> {
    Some(match local {
        "alice" | "bob" | "ärger" => Ok("INBOX"),
        "folder" => Ok("Entwürfe"),
        "overquota" => Err(Refusal::OverQuota),
        "toobig" => Err(Refusal::TooBig),
        "nul" => Err(Refusal::NulOctet),
        "unavailable" => Err(Refusal::Unavailable("no majority")),
        "unknown-outcome" => Err(Refusal::OutcomeUnknown),
        "damaged" => Err(Refusal::Damaged("shard 1\r\n250 no".to_owned())),
        "locked" => Err(Refusal::AccountUnavailable),
        "gone" => Err(Refusal::NoSuchAddress),
        _ => return None,
    })
}

fn local_part(address: &str) -> &str {
    address.rsplit_once('@').map_or(address, |(local, _)| local)
}

fn target(local: &str, address: &str) -> Target {
    let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
    Target {
        account: AccountId(1),
        epoch: 1,
        name: format!("{local}@{domain}").to_lowercase().into(),
        folder: MailboxName::inbox(),
    }
}

#[async_trait]
impl Mail for StandIn {
    async fn resolve_recipient(&self, address: &str) -> Result<Recipient, RecipientError> {
        let local = local_part(address);
        match local {
            "refused" => Err(RecipientError::Refused("moved\r\n250 no é".to_owned())),
            "deferred" => Err(RecipientError::Deferred),
            "full" => Err(RecipientError::OverQuota),
            "down" => Err(RecipientError::Unavailable),
            "postmaster" => Err(RecipientError::NoPostmaster),
            // `a&b` is an address with the targets `a` and `b`.
            _ if local.split('&').any(|local| outcome(local).is_none()) => {
                Err(RecipientError::Unknown)
            }
            _ => Ok(Recipient {
                as_given: address.into(),
                targets: local
                    .split('&')
                    .map(|local| target(local, address))
                    .collect(),
            }),
        }
    }

    async fn deliver(&self, _: &Peer, delivery: Delivery) -> Vec<Delivered> {
        let mut deliveries = self.deliveries.lock().unwrap();
        let number = deliveries.len() + 1;
        deliveries.push(delivery.clone());
        let to_one = |target: &Target| {
            let folder = outcome(local_part(&target.name)).unwrap()?;
            Ok(AppendedTo {
                mailbox: MailboxId(1),
                mailbox_name: MailboxName::new(folder).unwrap(),
                uid_validity: UidValidity(1),
                uid: Uid(1),
                receipt: Receipt {
                    id: format!("<c.1:1:1:{number}>"),
                    sites: "a,b".to_owned(),
                },
            })
        };
        let each = delivery.recipients.iter();
        each.map(|recipient| recipient.targets.iter().map(to_one).collect())
            .collect()
    }

    fn now(&self) -> UnixMillis {
        UnixMillis(0)
    }
    fn message_bytes_max(&self) -> u64 {
        MESSAGE_BYTES_MAX
    }

    // ---- what LMTP never asks ----

    async fn login(&self, _: &Peer, _: &str, _: &str) -> Result<Principal, LoginError> {
        Err(LoginError::Failed)
    }
    async fn login_as(&self, _: &Peer, _: &str, _: &str, _: &str) -> Result<Principal, LoginError> {
        Err(LoginError::Failed)
    }
    async fn append(
        &self,
        _: &Peer,
        _: &Principal,
        _: AppendRequest,
    ) -> Result<AppendedTo, Refusal> {
        Err(Refusal::NotAllowed)
    }
    async fn find_text(
        &self,
        _: &Principal,
        _: MailboxId,
        _: TextQuery,
        _: Vec<Uid>,
    ) -> Result<Vec<Uid>, Refusal> {
        Err(Refusal::NotAllowed)
    }
    async fn rank(
        &self,
        _: &Principal,
        _: Option<MailboxId>,
        _: RankedQuery,
    ) -> Result<Ranking, Refusal> {
        Err(Refusal::NotAllowed)
    }
    async fn mailboxes(&self, _: &Principal) -> Result<Vec<MailboxEntry>, Refusal> {
        Err(Refusal::NotAllowed)
    }
    async fn create_mailbox(
        &self,
        _: &Peer,
        _: &Principal,
        _: &MailboxName,
        _: Option<SpecialUse>,
    ) -> Result<(MailboxId, Receipt), Refusal> {
        Err(Refusal::NotAllowed)
    }
    async fn delete_mailbox(
        &self,
        _: &Peer,
        _: &Principal,
        _: &MailboxName,
    ) -> Result<Receipt, Refusal> {
        Err(Refusal::NotAllowed)
    }
    async fn rename_mailbox(
        &self,
        _: &Peer,
        _: &Principal,
        _: &MailboxName,
        _: &MailboxName,
    ) -> Result<Receipt, Refusal> {
        Err(Refusal::NotAllowed)
    }
    async fn subscribe(
        &self,
        _: &Peer,
        _: &Principal,
        _: &MailboxName,
        _: bool,
    ) -> Result<Receipt, Refusal> {
        Err(Refusal::NotAllowed)
    }
    async fn status(
        &self,
        _: &Principal,
        _: &MailboxName,
    ) -> Result<(MailboxStatus, Freshness), Refusal> {
        Err(Refusal::NotAllowed)
    }
    async fn open_mailbox(&self, _: &Principal, _: &MailboxName) -> Result<Opened, Refusal> {
        Err(Refusal::NotAllowed)
    }
    async fn catch_up(&self, _: &Principal) -> Freshness {
        Freshness::Current
    }
    async fn quota(&self, _: &Principal) -> Result<(u64, Option<u64>), Refusal> {
        Err(Refusal::NotAllowed)
    }
    fn messages(
        &self,
        _: &Principal,
        _: MailboxId,
        _: &UidSet,
    ) -> Result<Vec<MessageRow>, Refusal> {
        Err(Refusal::NotAllowed)
    }
    fn changes(&self, _: &Principal, _: MailboxId, _: ModSeq) -> Result<Changes, Refusal> {
        Err(Refusal::NotAllowed)
    }
    async fn content(&self, _: &BodyHandle) -> Result<Content, Refusal> {
        Err(Refusal::NotAllowed)
    }
    fn watch(&self, _: &Principal) -> watch::Receiver<ModSeq> {
        watch::channel(ModSeq(0)).1
    }
    async fn store_flags(
        &self,
        _: &Peer,
        _: &Principal,
        _: MailboxId,
        _: &UidSet,
        _: FlagMode,
        _: &Flags,
        _: Option<ModSeq>,
    ) -> Result<Stored, Refusal> {
        Err(Refusal::NotAllowed)
    }
    async fn copy(
        &self,
        _: &Peer,
        _: &Principal,
        _: MailboxId,
        _: &UidSet,
        _: &MailboxName,
    ) -> Result<CopiedTo, Refusal> {
        Err(Refusal::NotAllowed)
    }
    async fn move_messages(
        &self,
        _: &Peer,
        _: &Principal,
        _: MailboxId,
        _: &UidSet,
        _: &MailboxName,
    ) -> Result<CopiedTo, Refusal> {
        Err(Refusal::NotAllowed)
    }
    async fn expunge(
        &self,
        _: &Peer,
        _: &Principal,
        _: MailboxId,
        _: Option<&UidSet>,
    ) -> Result<Expunged, Refusal> {
        Err(Refusal::NotAllowed)
    }
}
