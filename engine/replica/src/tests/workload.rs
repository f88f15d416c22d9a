//! A log of every kind of mail event, the same on each call.

use crate::{Clock, Shard};
use bytes::Bytes;
use engine_domain::Rows;
use engine_events::{
    AccountClosed, AccountOpened, BodyChunkStored, BodyStored, Command, Event, FlagMode, FlagSet,
    FlagsChanged, Kind, MailboxCreated, MailboxDeleted, MailboxRenamed, MessageAppended,
    MessagesCopied, MessagesExpunged, Payload, QuotaSet, SubscriptionSet, UidRanges, compress,
};
use engine_store::ViewStore;
use engine_types::{AccountId, CommandId, UnixMillis};
use parking_lot::Mutex;
use raft_api::{Committed, LogId, ShardId};
use std::sync::Arc;

pub const SHARD: ShardId = ShardId(3);
pub const ALICE: AccountId = AccountId(11);
pub const BOB: AccountId = AccountId(12);

/// A clock that a test sets.
pub struct HandClock(pub Mutex<u64>);

impl Clock for HandClock {
    fn now(&self) -> UnixMillis {
        UnixMillis(*self.0.lock())
    }
}

pub fn clock() -> Arc<HandClock> {
    Arc::new(HandClock(Mutex::new(1_700_000_000_000)))
}

pub fn open(store: Arc<dyn ViewStore>) -> Arc<Shard> {
    Shard::open(SHARD, store, clock()).unwrap()
}

/// All rows of `rows` in the shard, for comparing.
pub fn rows(rows: &dyn Rows) -> Vec<(Vec<u8>, Vec<u8>)> {
    let (from, to) = crate::keys::shard_range(SHARD);
    let mut all = Vec::new();
    rows.scan(&from, &to, &mut |key, value| {
        all.push((key.to_vec(), value.to_vec()));
        true
    })
    .unwrap();
    all
}

pub fn entry(index: u64, payload: Bytes) -> Committed {
    Committed {
        log_id: LogId::new(2, index),
        payload,
    }
}

pub fn command(number: u64, account: AccountId, kinds: Vec<Kind>) -> Bytes {
    let events = kinds
        .into_iter()
        .map(|kind| Event::new(account, 1, kind))
        .collect();
    Command::new(CommandId(u128::from(number) + 1), 0, "s", events).encode_command()
}

fn mailbox(name: &str) -> MailboxCreated {
    MailboxCreated {
        name: name.to_owned(),
        special_use: 0,
        uid_validity: 0,
        subscribed: true,
    }
}

fn opened() -> Kind {
    Kind::AccountOpened(AccountOpened {
        mailboxes: vec![mailbox("INBOX"), mailbox("Work")],
        quota_bytes: 1_000_000,
    })
}

/// Every fifth delivery has a name, and shares it with another one.
fn name_of(number: u64) -> Bytes {
    match number.is_multiple_of(5) {
        true => Bytes::copy_from_slice(&u128::from(number / 10).to_be_bytes()),
        false => Bytes::new(),
    }
}

fn append(number: u64) -> Vec<Kind> {
    let content = format!("Subject: {number}\r\n\r\nbody\r\n");
    let body = BodyStored {
        block: Some(compress(content.as_bytes())),
        facts_len: 0,
        size: content.len() as u64,
        hash: Bytes::copy_from_slice(&u128::from(number).to_be_bytes()),
        chunks: Vec::new(),
    };
    let message = MessageAppended {
        mailbox: if number.is_multiple_of(3) {
            "Work"
        } else {
            "INBOX"
        }
        .to_owned(),
        or_inbox: true,
        body: 0,
        thread_keys: vec![number % 4],
        check_quota: true,
        once: name_of(number),
        ..MessageAppended::default()
    };
    vec![Kind::BodyStored(body), Kind::MessageAppended(message)]
}

fn some_uids(number: u64) -> Option<UidRanges> {
    let first = (number % 7) as u32 + 1;
    Some(UidRanges {
        bounds: vec![first, first + 2],
    })
}

fn kinds(number: u64) -> Vec<Kind> {
    let one = match number % 11 {
        0..=4 => return append(number),
        5 | 6 => Kind::FlagsChanged(FlagsChanged {
            mailbox: 1,
            uids: some_uids(number),
            mode: FlagMode::Add as i32,
            flags: Some(FlagSet {
                system: 1 << (number % 4),
                keywords: vec![format!("k{}", number % 3)],
            }),
            unchanged_since: None,
        }),
        7 => Kind::MessagesCopied(MessagesCopied {
            from: 1,
            uids: some_uids(number),
            to: "Work".to_owned(),
            remove: number.is_multiple_of(2),
        }),
        8 => Kind::MessagesExpunged(MessagesExpunged {
            mailbox: 1,
            uids: some_uids(number),
            only_deleted: false,
        }),
        9 => Kind::MailboxCreated(mailbox(&format!("Work/{number}"))),
        _ => match number % 4 {
            0 => Kind::MailboxRenamed(MailboxRenamed {
                from: format!("Work/{}", number - 1),
                to: format!("Old/{number}"),
            }),
            1 => Kind::SubscriptionSet(SubscriptionSet {
                name: "elsewhere".to_owned(),
                subscribed: true,
            }),
            2 => Kind::QuotaSet(QuotaSet {
                quota_bytes: number * 1_000,
            }),
            _ => Kind::MailboxDeleted(MailboxDeleted {
                name: format!("Work/{}", number - 1),
            }),
        },
    };
    vec![one]
}

/// `len` entries from index 0: consensus' own first, then two accounts, and near the end one of them goes.
pub fn log(len: u64) -> Vec<Committed> {
    (0..len)
        .map(|index| {
            let account = if index % 5 == 2 { BOB } else { ALICE };
            let bytes = match index {
                0 => return entry(0, Bytes::new()),
                1 => command(index, ALICE, vec![opened()]),
                2 => command(index, BOB, vec![opened()]),
                _ if index + 2 == len => {
                    command(index, BOB, vec![Kind::AccountClosed(AccountClosed {})])
                }
                // A large body's piece, named by nobody.
                _ if index.is_multiple_of(17) => {
                    let chunk = BodyChunkStored::default();
                    command(index, AccountId(0), vec![Kind::BodyChunkStored(chunk)])
                }
                // A repeated id: answered from memory, nothing changes twice.
                _ if index.is_multiple_of(13) => command(index - 1, account, kinds(index - 1)),
                _ => command(index, account, kinds(index)),
            };
            let time = UnixMillis(1_700_000_000_000 + index * 1_000);
            entry(index, Payload::stamp(time, &bytes))
        })
        .collect()
}
