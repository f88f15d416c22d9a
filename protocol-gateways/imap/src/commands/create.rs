//! CREATE (RFC 3501 §6.3.3, with USE: RFC 6154 §3) and DELETE (RFC 3501 §6.3.4).

use super::{Args, done};
use crate::refusal::{Ending, Fail, one_line};
use crate::state::Session;
use crate::wire::cursor::Malformed;
use engine_service::Refusal;
use engine_types::SpecialUse;

pub async fn run(session: &mut Session, args: Args<'_>) -> Result<Ending, Fail> {
    let mut cursor = args.cursor;
    cursor.space()?;
    let name = cursor.mailbox()?;
    let mut uses: Vec<Option<SpecialUse>> = Vec::new();
    if !cursor.at_end() {
        cursor.space()?;
        cursor.list(|c| {
            if !c.eat_word("USE") {
                return Err(Malformed("CREATE takes USE"));
            }
            c.space()?;
            c.list(|c| {
                uses.push(SpecialUse::parse(&c.flag()?));
                Ok(())
            })
        })?;
        cursor.end()?;
    }
    let name = name.ok_or(Fail::No("[CANNOT] no mailbox can have this name"))?;
    let special_use = match uses.as_slice() {
        [] => None,
        [Some(one)] => Some(*one),
        _ => return Err(Fail::No("[USEATTR] one special use of RFC 6154 is taken")),
    };
    let who = session.who()?;
    let (_, receipt) = session
        .mail
        .create_mailbox(&session.peer, &who, &name, special_use)
        .await?;
    done(&format!("CREATE done {receipt}"))
}

pub async fn run_delete(session: &mut Session, args: Args<'_>) -> Result<Ending, Fail> {
    let mut cursor = args.cursor;
    cursor.space()?;
    let name = cursor.mailbox()?;
    cursor.end()?;
    let name = name.ok_or(Refusal::NoSuchMailbox)?;
    let who = session.who()?;
    let receipt = session
        .mail
        .delete_mailbox(&session.peer, &who, &name)
        .await?;
    tracing::info!(
        session = &*session.peer.session,
        user = &*who.name,
        mailbox = one_line(name.as_str()),
        "mailbox deleted"
    );
    // The open mailbox itself: the command is answered, and the session goes on without it. Otherwise `finish` would
    // end it, as it does where somebody else deleted the mailbox.
    if session.is_open_mailbox_gone()? {
        session.deselect();
        session.connection.line("* OK [CLOSED] left the mailbox");
    }
    done(&format!("DELETE done {receipt}"))
}
