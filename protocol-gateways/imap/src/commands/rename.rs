//! RENAME: RFC 3501 §6.3.5.

use super::{Args, done};
use crate::refusal::{Ending, Fail};
use crate::state::Session;
use engine_service::Refusal;

pub async fn run(session: &mut Session, args: Args<'_>) -> Result<Ending, Fail> {
    let mut cursor = args.cursor;
    cursor.space()?;
    let from = cursor.mailbox()?;
    cursor.space()?;
    let to = cursor.mailbox()?;
    cursor.end()?;
    let from = from.ok_or(Refusal::NoSuchMailbox)?;
    let to = to.ok_or(Fail::No("[CANNOT] no mailbox can have this name"))?;
    let who = session.who()?;
    let receipt = session
        .mail
        .rename_mailbox(&session.peer, &who, &from, &to)
        .await?;
    done(&format!("RENAME done {receipt}"))
}
