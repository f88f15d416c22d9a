//! SUBSCRIBE and UNSUBSCRIBE: RFC 3501 §6.3.6, §6.3.7.

use super::{Args, done};
use crate::refusal::{Ending, Fail};
use crate::state::Session;

pub async fn run(session: &mut Session, args: Args<'_>, subscribed: bool) -> Result<Ending, Fail> {
    let mut cursor = args.cursor;
    cursor.space()?;
    let name = cursor.mailbox()?;
    cursor.end()?;
    let name = name.ok_or(Fail::No("[CANNOT] no mailbox can have this name"))?;
    let who = session.who()?;
    let receipt = session
        .mail
        .subscribe(&session.peer, &who, &name, subscribed)
        .await?;
    done(&format!("done {receipt}"))
}
