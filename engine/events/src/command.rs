//! A command is what a gateway submits and what one log entry holds: an id, who, and one or more events.
//!
//! An entry's payload is eight bytes of the leader's time (little endian, Unix milliseconds), then the command.

use crate::catalogue as c;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use engine_types::{CommandId, UnixMillis};
use prost::Message;
use thiserror::Error;

/// One entry's content. Applied as a whole, or, where its id is known already, answered from memory.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Command {
    /// 16 bytes, big endian (`CommandId`).
    #[prost(bytes = "bytes", tag = "1")]
    pub id: Bytes,
    /// Who acts; 0 for the system (deliveries, operators).
    #[prost(uint64, tag = "2")]
    pub actor: u64,
    /// The gateway session that it came from, for logs. At most 64 bytes.
    #[prost(string, tag = "3")]
    pub session: String,
    /// In order; a later event may name a body of an earlier one by its ordinal.
    #[prost(message, repeated, tag = "4")]
    pub events: Vec<Event>,
}

/// One event: an intent that is ordered; the fold decides its outcome.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Event {
    /// The account that it changes; 0 for the control group's own rows and for bodies.
    #[prost(uint64, tag = "1")]
    pub account: u64,
    /// The account's epoch as the sender knows it; the shard refuses another (`Refusal::WrongShard`).
    #[prost(uint64, tag = "2")]
    pub epoch: u64,
    /// Numbers 10 to 99: see `catalogue.rs`. An unknown kind stops the fold.
    #[prost(
        oneof = "event::Kind",
        tags = "10, 11, 12, 13, 14, 15, 16, 20, 21, 22, 23, 24, 25, 26, 30, 31, 32, 33, 34, 35, 50"
    )]
    pub kind: Option<event::Kind>,
}

pub mod event {
    use super::c;

    #[derive(Clone, PartialEq, prost::Oneof)]
    pub enum Kind {
        #[prost(message, tag = "10")]
        DomainSet(c::DomainSet),
        #[prost(message, tag = "11")]
        AccountRegistered(c::AccountRegistered),
        #[prost(message, tag = "12")]
        AccountStateSet(c::AccountStateSet),
        #[prost(message, tag = "13")]
        CredentialSet(c::CredentialSet),
        #[prost(message, tag = "14")]
        AddressSet(c::AddressSet),
        #[prost(message, tag = "15")]
        AddressRemoved(c::AddressRemoved),
        #[prost(message, tag = "16")]
        AccountForgotten(c::AccountForgotten),
        #[prost(message, tag = "20")]
        AccountOpened(c::AccountOpened),
        #[prost(message, tag = "21")]
        AccountClosed(c::AccountClosed),
        #[prost(message, tag = "22")]
        QuotaSet(c::QuotaSet),
        #[prost(message, tag = "23")]
        MailboxCreated(c::MailboxCreated),
        #[prost(message, tag = "24")]
        MailboxRenamed(c::MailboxRenamed),
        #[prost(message, tag = "25")]
        MailboxDeleted(c::MailboxDeleted),
        #[prost(message, tag = "26")]
        SubscriptionSet(c::SubscriptionSet),
        #[prost(message, tag = "30")]
        BodyStored(c::BodyStored),
        #[prost(message, tag = "31")]
        BodyChunkStored(c::BodyChunkStored),
        #[prost(message, tag = "32")]
        MessageAppended(c::MessageAppended),
        #[prost(message, tag = "33")]
        FlagsChanged(c::FlagsChanged),
        #[prost(message, tag = "34")]
        MessagesCopied(c::MessagesCopied),
        #[prost(message, tag = "35")]
        MessagesExpunged(c::MessagesExpunged),
        #[prost(message, tag = "50")]
        ShardRecovered(c::ShardRecovered),
    }
}

/// A payload as it stands in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Payload {
    /// The leader's clock when it proposed. Log time is the highest seen so far, decided by the fold.
    pub decided_at: UnixMillis,
    pub command: Command,
}

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum DecodeError {
    #[error("the payload is shorter than its time stamp")]
    Short,
    #[error("not a command: {0}")]
    Protobuf(#[from] prost::DecodeError),
    #[error("a command id has 16 bytes")]
    CommandId,
    /// Written by a newer version: the fold must stop, not skip.
    #[error("event {ordinal} is of a kind that this version does not know")]
    UnknownKind { ordinal: usize },
}

impl Command {
    pub fn new(id: CommandId, actor: u64, session: &str, events: Vec<Event>) -> Command {
        Command {
            id: Bytes::copy_from_slice(&id.0.to_be_bytes()),
            actor,
            session: session.to_owned(),
            events,
        }
    }

    pub fn command_id(&self) -> Result<CommandId, DecodeError> {
        let id: [u8; 16] = self
            .id
            .as_ref()
            .try_into()
            .map_err(|_| DecodeError::CommandId)?;
        Ok(CommandId(u128::from_be_bytes(id)))
    }

    /// The bytes that a gateway hands to `Group::propose`.
    pub fn encode_command(&self) -> Bytes {
        self.encode_to_vec().into()
    }
}

impl Event {
    pub fn new(account: engine_types::AccountId, epoch: u64, kind: event::Kind) -> Event {
        Event {
            account: account.0,
            epoch,
            kind: Some(kind),
        }
    }
}

impl Payload {
    /// Puts the leader's time before a command's bytes, without decoding them.
    pub fn stamp(decided_at: UnixMillis, command: &Bytes) -> Bytes {
        let mut payload = BytesMut::with_capacity(8 + command.len());
        payload.put_u64_le(decided_at.0);
        payload.put_slice(command);
        payload.freeze()
    }

    /// Bodies in the result share `payload`'s memory.
    pub fn decode(mut payload: Bytes) -> Result<Payload, DecodeError> {
        if payload.len() < 8 {
            return Err(DecodeError::Short);
        }
        let decided_at = UnixMillis(payload.get_u64_le());
        let command = Command::decode(payload)?;
        command.command_id()?;
        match command.events.iter().position(|event| event.kind.is_none()) {
            Some(ordinal) => Err(DecodeError::UnknownKind { ordinal }),
            None => Ok(Payload {
                decided_at,
                command,
            }),
        }
    }
}
