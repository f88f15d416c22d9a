//! LOGOUT: RFC 3501 §6.1.3.

use super::Args;
use crate::refusal::{Ending, Fail};
use crate::state::Session;

pub async fn run(_: &mut Session, args: Args<'_>) -> Result<Ending, Fail> {
    args.cursor.end()?;
    Ok(Ending::Logout)
}
