//! MOVE and UID MOVE: RFC 6851.

use super::copy::{code, set_and_target};
use super::{Args, done};
use crate::refusal::{Ending, Fail};
use crate::state::Session;

pub async fn run(session: &mut Session, args: Args<'_>) -> Result<Ending, Fail> {
    let (uids, to) = set_and_target(session, args)?;
    let who = session.who()?;
    let from = session.selected_for_change()?.mailbox;
    if uids.is_empty() {
        return done("nothing to move");
    }
    let moved = session
        .mail
        .move_messages(&session.peer, &who, from, &uids, &to)
        .await
        .map_err(Fail::Target)?;
    // RFC 6851 §4.3: COPYUID comes before the EXPUNGEs.
    if let Some(code) = code(&moved) {
        session.connection.line(&format!("* OK [{code}] moved"));
    }
    done(&format!("MOVE done {}", moved.receipt))
}
