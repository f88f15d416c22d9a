//! Keys of all rows. Each begins with `be_u32(shard) be_u64(account)`, so that an account is one range; then a
//! tag of one byte, then what the row is about. Numbers are big endian, so that byte order is their order.
//! Tags are persisted (checkpoints copy the range) and never change.

/// One row kind's keys in one account, or a key.
pub(crate) type Key = Vec<u8>;

pub(crate) mod tag {
    /// `AccountRecord`; in account 0: `ShardRecord`.
    pub const HEAD: u8 = 0x01;
    /// mailbox → `MailboxRecord`
    pub const MAILBOX: u8 = 0x02;
    /// name → `NameRecord`
    pub const NAME: u8 = 0x03;
    /// name → empty
    pub const SUBSCRIPTION: u8 = 0x04;
    /// mailbox, uid → `MessageRecord`
    pub const MESSAGE: u8 = 0x05;
    /// mailbox, mod_seq, uid → empty: the live messages in the order of their last change
    pub const CHANGE: u8 = 0x06;
    /// mailbox, mod_seq, chunk → `UidRanges`: what was expunged
    pub const TOMBSTONE: u8 = 0x07;
    /// mailbox, keyword in lower case → `KeywordRecord`
    pub const KEYWORD: u8 = 0x08;
    /// command id, ordinal → `OutcomeRecord`
    pub const OUTCOME: u8 = 0x0a;
    /// log time, command id, ordinal → empty: outcomes in the order of their age
    pub const OUTCOME_AGE: u8 = 0x0b;
    /// In account 0 of a mail shard: account → `ClosedRecord`
    pub const CLOSED: u8 = 0x10;
    /// In account 0: log index → `ChunkRecord`: entries that hold a piece of a large body
    pub const CHUNK: u8 = 0x11;
    /// In account 0 of a mail shard: account, mailbox or 0 → `QuarantineRecord`
    pub const QUARANTINE: u8 = 0x12;
    /// In account 0 of the control group: domain → empty
    pub const DOMAIN: u8 = 0x20;
    /// account → `DirectoryRecord`
    pub const DIRECTORY: u8 = 0x21;
    /// `local@domain` → `AddressRecord`
    pub const ADDRESS: u8 = 0x22;
    /// an account's own address → `NameRecord` (the account)
    pub const DIRECTORY_NAME: u8 = 0x23;
    /// account, `local@domain` → empty: the addresses that name an account
    pub const ADDRESS_OF: u8 = 0x24;
}

/// A shard's and an account's rows.
#[derive(Clone, Copy)]
pub(crate) struct Scope {
    pub shard: u32,
    pub account: u64,
}

impl Scope {
    pub fn all(self) -> Key {
        let mut key = Vec::with_capacity(48);
        key.extend(self.shard.to_be_bytes());
        key.extend(self.account.to_be_bytes());
        key
    }

    pub fn tagged(self, tag: u8) -> Key {
        let mut key = self.all();
        key.push(tag);
        key
    }

    pub fn head(self) -> Key {
        self.tagged(tag::HEAD)
    }

    pub fn by_number(self, tag: u8, number: u64) -> Key {
        let mut key = self.tagged(tag);
        key.extend(number.to_be_bytes());
        key
    }

    pub fn by_text(self, tag: u8, text: &str) -> Key {
        let mut key = self.tagged(tag);
        key.extend(text.as_bytes());
        key
    }

    pub fn number_and_text(self, tag: u8, number: u64, text: &str) -> Key {
        let mut key = self.by_number(tag, number);
        key.extend(text.as_bytes());
        key
    }

    pub fn message(self, mailbox: u64, uid: u32) -> Key {
        let mut key = self.by_number(tag::MESSAGE, mailbox);
        key.extend(uid.to_be_bytes());
        key
    }

    pub fn change(self, mailbox: u64, mod_seq: u64, uid: u32) -> Key {
        let mut key = self.by_number(tag::CHANGE, mailbox);
        key.extend(mod_seq.to_be_bytes());
        key.extend(uid.to_be_bytes());
        key
    }

    pub fn tombstone(self, mailbox: u64, mod_seq: u64, chunk: u32) -> Key {
        let mut key = self.by_number(tag::TOMBSTONE, mailbox);
        key.extend(mod_seq.to_be_bytes());
        key.extend(chunk.to_be_bytes());
        key
    }

    pub fn outcome(self, command: u128, ordinal: u32) -> Key {
        let mut key = self.tagged(tag::OUTCOME);
        key.extend(command.to_be_bytes());
        key.extend(ordinal.to_be_bytes());
        key
    }

    pub fn outcome_age(self, at_ms: u64, command: u128, ordinal: u32) -> Key {
        let mut key = self.by_number(tag::OUTCOME_AGE, at_ms);
        key.extend(command.to_be_bytes());
        key.extend(ordinal.to_be_bytes());
        key
    }
}

/// The first key behind all that begin with `prefix`. Prefixes here end in a tag, a number or text, never in 0xff
/// alone, but the carry is done in full.
pub(crate) fn end(prefix: &[u8]) -> Key {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xff {
            end.push(last + 1);
            break;
        }
    }
    end
}

/// The number in `key[at..at + 4]`; 0 where the key is too short, which no writer here makes.
pub(crate) fn u32_at(key: &[u8], at: usize) -> u32 {
    key.get(at..at + 4)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u32::from_be_bytes)
}

pub(crate) fn u64_at(key: &[u8], at: usize) -> u64 {
    key.get(at..at + 8)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u64::from_be_bytes)
}

pub(crate) fn u128_at(key: &[u8], at: usize) -> u128 {
    key.get(at..at + 16)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u128::from_be_bytes)
}

/// `be_u32(shard) be_u64(account) tag`.
pub(crate) const TAGGED_LEN: usize = 13;
