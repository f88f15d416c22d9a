//! Rows in a map, and short ways to fold an event.

use bytes::Bytes;
use engine_domain::{At, Folded, Rows, RowsError, RowsMut, apply};
use engine_events::{
    AccountOpened, BodyStored, Command, Event, EventOutcome, FlagSet, Kind, MessageAppended,
    Payload, flags_into,
};
use engine_types::{AccountId, CommandId, Flag, Flags, UnixMillis};
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default)]
pub struct MapRows(pub BTreeMap<Vec<u8>, Vec<u8>>, Saved);

/// What keys held since the save point, oldest first.
type Saved = Vec<(Vec<u8>, Option<Vec<u8>>)>;

impl PartialEq for MapRows {
    fn eq(&self, other: &MapRows) -> bool {
        self.0 == other.0
    }
}

impl Rows for MapRows {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, RowsError> {
        Ok(self.0.get(key).map(|value| Bytes::copy_from_slice(value)))
    }

    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), RowsError> {
        if from < to {
            let mut range = self.0.range(from.to_vec()..to.to_vec());
            range.all(|(key, value)| visit(key, value));
        }
        Ok(())
    }

    fn scan_back(
        &self,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), RowsError> {
        if from < to {
            let range = self.0.range(from.to_vec()..to.to_vec());
            range.rev().all(|(key, value)| visit(key, value));
        }
        Ok(())
    }
}

impl RowsMut for MapRows {
    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        let old = self.0.insert(key.clone(), value);
        self.1.push((key, old));
    }

    fn delete(&mut self, key: Vec<u8>) {
        let old = self.0.remove(&key);
        self.1.push((key, old));
    }

    fn save_point(&mut self) {
        self.1.clear();
    }

    fn undo(&mut self) {
        while let Some((key, old)) = self.1.pop() {
            match old {
                Some(old) => self.0.insert(key, old),
                None => self.0.remove(&key),
            };
        }
    }
}

pub const SHARD: u32 = 1;
pub const ALICE: AccountId = AccountId(7);
pub const EPOCH: u64 = 3;
pub const START: u64 = 1_700_000_000_000;

/// A shard, its rows, and every entry that it folded.
#[derive(Clone, Default)]
pub struct World {
    pub rows: MapRows,
    pub log: Vec<(At, Bytes)>,
    pub clock_ms: u64,
    pub commands: u128,
    pub shard: u32,
}

impl World {
    pub fn empty(shard: u32) -> World {
        World {
            clock_ms: START,
            shard,
            ..World::default()
        }
    }

    /// One mail shard with alice's account and its INBOX.
    pub fn with_alice() -> World {
        let mut world = World::empty(SHARD);
        let opened = Kind::AccountOpened(AccountOpened::default());
        assert!(world.one(opened).refusal().is_none());
        world
    }

    pub fn fold(&mut self, command: &Command) -> Folded {
        let at = At {
            shard: self.shard,
            term: 1,
            index: self.log.len() as u64 + 1,
        };
        let bytes = Payload::stamp(UnixMillis(self.clock_ms), &command.encode_command());
        self.log.push((at, bytes.clone()));
        let payload = Payload::decode(bytes).expect("a payload made here");
        apply(&mut self.rows, at, &payload).expect("rows in a map")
    }

    pub fn command(&mut self, kinds: Vec<Kind>) -> Command {
        self.commands += 1;
        let event = |kind| Event::new(ALICE, EPOCH, kind);
        let events = kinds.into_iter().map(event).collect();
        Command::new(CommandId(self.commands), 0, "test", events)
    }

    pub fn one(&mut self, kind: Kind) -> EventOutcome {
        let command = self.command(vec![kind]);
        self.fold(&command).outcome.events.remove(0)
    }

    pub fn append(&mut self, mailbox: &str, size: u64, flags: &str) -> EventOutcome {
        let append = MessageAppended {
            check_quota: true,
            ..appended(mailbox, flags)
        };
        self.append_event(size, append)
    }

    pub fn append_event(&mut self, size: u64, append: MessageAppended) -> EventOutcome {
        let kinds = vec![body(size), Kind::MessageAppended(append)];
        let command = self.command(kinds);
        self.fold(&command).outcome.events.remove(1)
    }
}

pub fn body(size: u64) -> Kind {
    Kind::BodyStored(BodyStored {
        size,
        ..BodyStored::default()
    })
}

pub fn appended(mailbox: &str, flags: &str) -> MessageAppended {
    MessageAppended {
        mailbox: mailbox.to_owned(),
        flags: Some(flag_set(flags)),
        ..MessageAppended::default()
    }
}

pub fn flags(text: &str) -> Flags {
    let parse = |word| Flag::parse(word).expect("a flag");
    text.split_whitespace().map(parse).collect()
}

pub fn flag_set(text: &str) -> FlagSet {
    flags_into(&flags(text))
}
