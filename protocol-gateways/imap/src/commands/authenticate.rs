//! AUTHENTICATE PLAIN: RFC 3501 §6.2.2, RFC 4616, with an initial response (RFC 4959).

use super::{Args, login};
use crate::limits::STRANGER_LINE_BYTES_MAX;
use crate::refusal::{Ending, Fail};
use crate::state::Session;
use crate::wire::connection::NoCommand;
use crate::wire::cursor::Malformed;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gateway_session::sasl_plain;
use tokio::time::timeout;

pub async fn run(session: &mut Session, args: Args<'_>) -> Result<Ending, Fail> {
    let mut cursor = args.cursor;
    cursor.space()?;
    if !cursor.atom()?.eq_ignore_ascii_case("PLAIN") {
        return Ok(Ending::No("[CANNOT] PLAIN is what there is".to_owned()));
    }
    if let Some(refused) = login::refused_in_the_clear(session) {
        return Ok(refused);
    }
    let response = if cursor.at_end() {
        ask(session).await?
    } else {
        cursor.space()?;
        let response = cursor.take_while(|b| b.is_ascii_graphic()).to_vec();
        cursor.end()?;
        response
    };
    if response == b"*" {
        return Err(Malformed("AUTHENTICATE was given up").into());
    }
    let decoded = STANDARD.decode(&response);
    let plain = decoded.ok().and_then(|octets| sasl_plain(&octets));
    let plain = plain.ok_or(Malformed("this is not a PLAIN response"))?;
    let (mail, peer) = (session.mail.clone(), session.peer.clone());
    let result = match &plain.authzid {
        None => mail.login(&peer, &plain.authcid, &plain.password).await,
        Some(authzid) => {
            mail.login_as(&peer, authzid, &plain.authcid, &plain.password)
                .await
        }
    };
    login::conclude(session, "PLAIN", &plain.authcid, result).await
}

/// The response as a line of its own, within what is left of the time for a login.
async fn ask(session: &mut Session) -> Result<Vec<u8>, Fail> {
    session.connection.line("+ ");
    session.connection.flush().await?;
    let left = session.login_time_left();
    let read = timeout(left, session.connection.read_line(STRANGER_LINE_BYTES_MAX));
    tokio::select! {
        biased;
        text = session.stop.stopped() => Err(Fail::Stopped(text)),
        line = read => match line.unwrap_or(Err(NoCommand::TimedOut)) {
            Ok(line) => Ok(line),
            Err(NoCommand::Closed(error)) => Err(Fail::Io(error)),
            Err(NoCommand::TooLong) => Err(Fail::Stopped("[TOOBIG] the response is too long")),
            Err(_) => Err(Fail::Stopped("too long a silence")),
        },
    }
}
