//! The envelope (RFC 9051 §7.5.2): the first field of each name counts.

use crate::address::addresses;
use crate::header::{fields, unfold};
use crate::limits::{ADDRESS_FIELD_BYTES_MAX, VALUE_BYTES_MAX};
use bytes::Bytes;
use engine_events::{Addr, Envelope};

/// Octets of values that may still be copied out of this message.
pub struct Budget {
    pub values_left: usize,
}

impl Budget {
    /// The value, cut at `VALUE_BYTES_MAX`; `None` once the budget is spent.
    pub fn copy(&mut self, value: &[u8]) -> Option<Bytes> {
        let value = &value[..value.len().min(VALUE_BYTES_MAX)];
        self.spend(value.len())
            .then(|| Bytes::copy_from_slice(value))
    }

    /// Takes the value's octets and its tag from the budget, or says that they are not there.
    pub fn spend(&mut self, octets: usize) -> bool {
        // Six: tag and length of the value, and of the message around it.
        match self.values_left.checked_sub(octets + 6) {
            Some(left) => {
                self.values_left = left;
                true
            }
            None => false,
        }
    }
}

pub fn envelope(header: &[u8], budget: &mut Budget) -> Envelope {
    const NAMES: [&[u8]; 10] = [
        b"Date",
        b"Subject",
        b"From",
        b"Sender",
        b"Reply-To",
        b"To",
        b"Cc",
        b"Bcc",
        b"In-Reply-To",
        b"Message-ID",
    ];
    let mut values: [Option<&[u8]>; 10] = [None; 10];
    for (name, value) in fields(header) {
        if let Some(which) = NAMES.iter().position(|n| n.eq_ignore_ascii_case(name)) {
            values[which].get_or_insert(value);
        }
    }
    let mut text = |which: usize| {
        let value = unfold(values[which]?, VALUE_BYTES_MAX);
        budget.copy(&value)
    };
    // Texts first: a list of 1,000 recipients must not cost the subject.
    let (date, subject) = (text(0), text(1));
    let (in_reply_to, message_id) = (text(8), text(9));
    let mut list = |which: usize| {
        let Some(value) = values[which] else {
            return Vec::new();
        };
        within(addresses(&unfold(value, ADDRESS_FIELD_BYTES_MAX)), budget)
    };
    Envelope {
        date,
        subject,
        from: list(2),
        sender: list(3),
        reply_to: list(4),
        to: list(5),
        cc: list(6),
        bcc: list(7),
        in_reply_to,
        message_id,
    }
}

/// The addresses that the budget has room for. A group that is cut is closed, so that marks stay in pairs.
fn within(found: Vec<Addr>, budget: &mut Budget) -> Vec<Addr> {
    let mut kept = Vec::with_capacity(found.len());
    let mut in_group = false;
    for addr in found {
        let octets: usize = [&addr.name, &addr.adl, &addr.mailbox, &addr.host]
            .into_iter()
            .flatten()
            .map(|value| value.len() + 4)
            .sum();
        if !budget.spend(octets) {
            break;
        }
        if addr.host.is_none() {
            in_group = addr.mailbox.is_some();
        }
        kept.push(addr);
    }
    if in_group {
        kept.push(Addr::default());
    }
    kept
}
