//! EXPUNGE (RFC 3501 §6.4.3) and UID EXPUNGE (RFC 4315 §2.1).

use super::{Args, done};
use crate::refusal::{Ending, Fail};
use crate::state::Session;
use crate::wire::set::SequenceSet;
use engine_types::UidSet;

pub async fn run(session: &mut Session, args: Args<'_>) -> Result<Ending, Fail> {
    let mut cursor = args.cursor;
    let set = if args.uid {
        cursor.space()?;
        Some(SequenceSet::parse(&mut cursor)?)
    } else {
        None
    };
    cursor.end()?;
    let who = session.who()?;
    let selected = session.selected_for_change()?;
    let mailbox = selected.mailbox;
    let uids = set.map(|set| set.by_uid(&selected.uids));
    if uids.as_ref().is_some_and(UidSet::is_empty) {
        return done("EXPUNGE done");
    }
    let gone = session
        .mail
        .expunge(&session.peer, &who, mailbox, uids.as_ref())
        .await?;
    log(session, &gone.uids, "expunge");
    done(&format!("EXPUNGE done {}", gone.receipt))
}

/// Destructive commands leave a line: who lost what.
pub fn log(session: &Session, gone: &UidSet, command: &'static str) {
    if let (false, Ok(who)) = (gone.is_empty(), session.who()) {
        tracing::info!(
            session = &*session.peer.session,
            user = &*who.name,
            command,
            messages = gone.count(),
            "messages expunged"
        );
    }
}
