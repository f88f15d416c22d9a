//! A naive model of one account: lists and no indexes.

use engine_events::Refusal;
use engine_types::{Flags, MailboxName};
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq)]
pub struct ModelMessage {
    pub uid: u32,
    pub email: u64,
    pub mod_seq: u64,
    pub flags: Flags,
    pub size: u64,
}

#[derive(Clone, Debug, Default)]
pub struct ModelMailbox {
    pub id: u64,
    pub uid_next: u32,
    pub messages: Vec<ModelMessage>,
}

#[derive(Clone, Debug)]
pub struct Model {
    pub mailboxes: BTreeMap<String, ModelMailbox>,
    pub subscriptions: std::collections::BTreeSet<String>,
    pub mod_seq: u64,
    pub quota: u64,
    last_mailbox: u64,
    last_email: u64,
}

type Did = Result<(), Refusal>;

impl Model {
    pub fn new() -> Model {
        let mut model = Model {
            mailboxes: BTreeMap::new(),
            subscriptions: ["INBOX".to_owned()].into(),
            mod_seq: 2,
            quota: 0,
            last_mailbox: 0,
            last_email: 0,
        };
        model.make("INBOX");
        model
    }

    pub fn used(&self) -> u64 {
        let messages = self.mailboxes.values().flat_map(|m| &m.messages);
        messages.map(|message| message.size).sum()
    }

    fn make(&mut self, name: &str) {
        self.last_mailbox += 1;
        let mailbox = ModelMailbox {
            id: self.last_mailbox,
            uid_next: 1,
            messages: Vec::new(),
        };
        self.mailboxes.insert(name.to_owned(), mailbox);
    }

    fn make_with_parents(&mut self, name: &str) {
        let levels: Vec<&str> = name.split('/').collect();
        for depth in 1..levels.len() {
            let parent = levels[..depth].join("/");
            let below = format!("{parent}/");
            let implied = self.mailboxes.keys().any(|n| n.starts_with(&below));
            if !self.mailboxes.contains_key(&parent) && !implied {
                self.make(&parent);
            }
        }
    }

    pub fn create(&mut self, name: &str) -> Did {
        if self.mailboxes.contains_key(name) {
            return Err(Refusal::MailboxExists);
        }
        self.make_with_parents(name);
        self.make(name);
        self.mod_seq += 1;
        Ok(())
    }

    pub fn delete(&mut self, name: &str) -> Did {
        if name == "INBOX" {
            return Err(Refusal::NotAllowed);
        }
        if self.mailboxes.remove(name).is_none() {
            let below = format!("{name}/");
            return Err(match self.mailboxes.keys().any(|n| n.starts_with(&below)) {
                true => Refusal::NotAllowed,
                false => Refusal::NoSuchMailbox,
            });
        }
        self.mod_seq += 1;
        Ok(())
    }

    pub fn rename(&mut self, from: &str, to: &str) -> Did {
        if self.mailboxes.contains_key(to) {
            return Err(Refusal::MailboxExists);
        }
        if from == "INBOX" {
            self.make_with_parents(to);
            self.make(to);
            self.mod_seq += 1;
            let all = self.mailboxes["INBOX"].messages.clone();
            self.put(to, &all);
            let inbox = self.mailboxes.get_mut("INBOX").expect("INBOX");
            inbox.messages.clear();
            return Ok(());
        }
        if to.starts_with(&format!("{from}/")) {
            return Err(Refusal::NotAllowed);
        }
        let (from_name, to_name) = (name_of(from), name_of(to));
        let moves: Vec<(String, String)> = self
            .mailboxes
            .keys()
            .filter_map(|old| {
                let new = name_of(old).moved(&from_name, &to_name)?;
                Some((old.clone(), new.expect("short names").to_string()))
            })
            .collect();
        if moves.is_empty() {
            return Err(Refusal::NoSuchMailbox);
        }
        if moves
            .iter()
            .any(|(_, new)| self.mailboxes.contains_key(new))
        {
            return Err(Refusal::MailboxExists);
        }
        self.make_with_parents(to);
        for (old, new) in moves {
            let mailbox = self.mailboxes.remove(&old).expect("listed");
            self.mailboxes.insert(new, mailbox);
        }
        self.mod_seq += 1;
        Ok(())
    }

    pub fn append(&mut self, name: &str, size: u64, flags: Flags) -> Did {
        if !self.mailboxes.contains_key(name) {
            return Err(Refusal::NoSuchMailbox);
        }
        self.check_quota(size)?;
        self.mod_seq += 1;
        self.last_email += 1;
        let message = ModelMessage {
            uid: 0,
            email: self.last_email,
            mod_seq: 0,
            flags,
            size,
        };
        self.put(name, &[message]);
        Ok(())
    }

    fn check_quota(&self, more: u64) -> Did {
        match self.quota > 0 && self.used() + more > self.quota {
            true => Err(Refusal::OverQuota),
            false => Ok(()),
        }
    }

    fn put(&mut self, name: &str, messages: &[ModelMessage]) {
        let mod_seq = self.mod_seq;
        let mailbox = self.mailboxes.get_mut(name).expect("checked");
        for message in messages {
            mailbox.messages.push(ModelMessage {
                uid: mailbox.uid_next,
                mod_seq,
                ..message.clone()
            });
            mailbox.uid_next += 1;
        }
    }

    pub fn store(
        &mut self,
        name: &str,
        (first, last): (u32, u32),
        since: Option<u64>,
        change: impl Fn(&Flags) -> Flags,
    ) -> Did {
        let mod_seq = self.mod_seq + 1;
        let mailbox = self.mailboxes.get_mut(name).ok_or(Refusal::NoSuchMailbox)?;
        for message in &mut mailbox.messages {
            let chosen = (first..=last).contains(&message.uid)
                && since.is_none_or(|since| message.mod_seq <= since);
            let new = change(&message.flags);
            if chosen && new != message.flags {
                message.flags = new;
                message.mod_seq = mod_seq;
                self.mod_seq = mod_seq;
            }
        }
        Ok(())
    }

    pub fn copy(&mut self, from: &str, (first, last): (u32, u32), to: &str, remove: bool) -> Did {
        let source = self.mailboxes.get(from).ok_or(Refusal::NoSuchMailbox)?;
        if !self.mailboxes.contains_key(to) {
            return Err(Refusal::NoSuchMailbox);
        }
        let mut chosen = source.messages.clone();
        chosen.retain(|message| (first..=last).contains(&message.uid));
        if !remove {
            self.check_quota(chosen.iter().map(|message| message.size).sum())?;
        }
        if chosen.is_empty() {
            return Ok(());
        }
        self.mod_seq += 1;
        self.put(to, &chosen);
        if remove {
            let source = self.mailboxes.get_mut(from).expect("checked");
            source
                .messages
                .retain(|message| chosen.iter().all(|gone| gone.uid != message.uid));
        }
        Ok(())
    }

    pub fn expunge(&mut self, name: &str, (first, last): (u32, u32), only_deleted: bool) -> Did {
        let mailbox = self.mailboxes.get_mut(name).ok_or(Refusal::NoSuchMailbox)?;
        let before = mailbox.messages.len();
        let deleted = engine_types::SystemFlag::Deleted;
        mailbox.messages.retain(|message| {
            !(first..=last).contains(&message.uid) || only_deleted && !message.flags.has(deleted)
        });
        self.mod_seq += u64::from(mailbox.messages.len() != before);
        Ok(())
    }
}

fn name_of(text: &str) -> MailboxName {
    MailboxName::new(text).expect("names of the pool")
}
