//! CLOSE (RFC 3501 §6.4.2) and UNSELECT (RFC 3691).

use super::{Args, done};
use crate::refusal::{Ending, Fail};
use crate::state::Session;

pub async fn run(session: &mut Session, args: Args<'_>) -> Result<Ending, Fail> {
    args.cursor.end()?;
    let who = session.who()?;
    let selected = session.selected()?;
    let (mailbox, read_only) = (selected.mailbox, selected.read_only);
    let mut receipt = String::new();
    if !read_only {
        let gone = session
            .mail
            .expunge(&session.peer, &who, mailbox, None)
            .await?;
        super::expunge::log(session, &gone.uids, "close");
        receipt = format!(" {}", gone.receipt);
    }
    session.deselect();
    done(&format!("CLOSE done{receipt}"))
}

pub async fn run_unselect(session: &mut Session, args: Args<'_>) -> Result<Ending, Fail> {
    args.cursor.end()?;
    session.deselect();
    done("UNSELECT done")
}
