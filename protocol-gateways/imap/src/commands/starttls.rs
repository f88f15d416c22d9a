//! STARTTLS: RFC 3501 §6.2.1.

use super::Args;
use crate::refusal::{Ending, Fail};
use crate::state::Session;
use crate::wire::cursor::Malformed;

pub async fn run(session: &mut Session, args: Args<'_>) -> Result<Ending, Fail> {
    args.cursor.end()?;
    if session.connection.is_tls() || session.config.tls.is_none() {
        return Err(Malformed("TLS is active already or not offered").into());
    }
    if session.connection.pipelined() > 0 {
        // Octets behind STARTTLS came in the clear from who knows whom: CVE-2011-0411.
        return Ok(Ending::Bye("nothing may follow STARTTLS".to_owned()));
    }
    Ok(Ending::StartTls)
}
