//! NAMESPACE: RFC 2342. One personal namespace; others come with shared mailboxes.

use super::{Args, done};
use crate::refusal::{Ending, Fail};
use crate::state::Session;

pub async fn run(session: &mut Session, args: Args<'_>) -> Result<Ending, Fail> {
    args.cursor.end()?;
    session
        .connection
        .line("* NAMESPACE ((\"\" \"/\")) NIL NIL");
    done("NAMESPACE done")
}
