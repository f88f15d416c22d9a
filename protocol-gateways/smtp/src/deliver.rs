//! From a whole message to one reply and one log line per recipient.

use crate::body::{Overflow, Whole};
use crate::message_id::message_id;
use crate::reply::{self, Reply};
use crate::transaction::Transaction;
use engine_service::{AppendedTo, Delivery, Mail, Peer, Recipient, Refusal};
use std::sync::Arc;
use tracing::info;

/// What a delivery needs of its session.
pub struct Context<'a> {
    pub mail: &'a Arc<dyn Mail>,
    pub peer: &'a Peer,
    pub helo: &'a str,
    pub quota_tempfail: bool,
}

/// One reply per accepted recipient, in the order of RCPT (RFC 2033 §4.2).
pub async fn deliver(
    context: Context<'_>,
    transaction: Transaction,
    body: Result<Whole, Overflow>,
) -> Vec<Reply> {
    let recipients = transaction.recipients;
    let mut outcome = Outcome {
        peer: context.peer,
        sender: &transaction.sender,
        message_id: String::new(),
        size: 0,
    };
    let whole = match body {
        Ok(whole) => whole,
        Err(overflow) => {
            let reply = Reply::from(reply::overflow(overflow));
            for recipient in &recipients {
                outcome.log(recipient, &[], &reply);
            }
            return vec![reply; recipients.len()];
        }
    };
    outcome.message_id = message_id(&whole.bytes);
    outcome.size = whole.bytes.len();
    let delivery = Delivery {
        sender: transaction.sender.clone(),
        recipients: recipients.clone(),
        message: whole.bytes.clone(),
        helo: context.helo.to_owned(),
        with: with_word(transaction.smtputf8, context.peer.tls.is_some()),
    };
    let results = context.mail.deliver(context.peer, delivery).await;
    // A recipient without a result is answered too, or the replies would be taken for one another's.
    let results = results.into_iter().map(Some).chain(std::iter::repeat(None));
    let answered = recipients.iter().zip(results);
    answered
        .map(|(recipient, result)| {
            let results = result.unwrap_or_default();
            let reply = reply::outcome(recipient, &results, context.quota_tempfail);
            outcome.log(recipient, &results, &reply);
            reply
        })
        .collect()
}

/// RFC 3848 and, for SMTPUTF8, RFC 6531 §4.3.
fn with_word(smtputf8: bool, tls: bool) -> &'static str {
    match (smtputf8, tls) {
        (false, false) => "LMTP",
        (false, true) => "LMTPS",
        (true, false) => "UTF8LMTP",
        (true, true) => "UTF8LMTPS",
    }
}

struct Outcome<'a> {
    peer: &'a Peer,
    sender: &'a str,
    message_id: String,
    size: usize,
}

impl Outcome<'_> {
    /// One line for each account that the recipient's mail goes to. Names are fixed in `docs/protocols/logs.md`.
    fn log(&self, recipient: &Recipient, results: &[Result<AppendedTo, Refusal>], reply: &str) {
        for (number, target) in recipient.targets.iter().enumerate() {
            let to = results.get(number).and_then(|result| result.as_ref().ok());
            info!(
                receipt = to.map(|to| to.receipt.id.as_str()),
                message_id = self.message_id,
                sender = self.sender,
                recipient = &*recipient.as_given,
                account = &*target.name,
                mailbox = to.map(|to| to.mailbox_name.as_str()),
                size = self.size,
                peer = %self.peer.address,
                session = &*self.peer.session,
                reply,
                "delivery"
            );
        }
    }
}
