//! LOGIN: RFC 3501 §6.2.3, and what AUTHENTICATE shares with it.

use super::{Args, capability};
use crate::refusal::{Ending, Fail, one_line};
use crate::state::{Phase, Session};
use engine_service::{LoginError, Principal};

pub async fn run(session: &mut Session, args: Args<'_>) -> Result<Ending, Fail> {
    let mut cursor = args.cursor;
    cursor.space()?;
    let name = cursor.utf8()?;
    cursor.space()?;
    let password = cursor.utf8()?;
    cursor.end()?;
    if let Some(refused) = refused_in_the_clear(session) {
        return Ok(refused);
    }
    let result = session.mail.login(&session.peer, &name, &password).await;
    conclude(session, "LOGIN", &name, result).await
}

/// LOGINDISABLED (RFC 3501 §6.2.3): the password is out, but it must not work.
pub fn refused_in_the_clear(session: &Session) -> Option<Ending> {
    let refused = session.config.tls_required && !session.connection.is_tls();
    refused.then(|| Ending::No("[PRIVACYREQUIRED] STARTTLS first".to_owned()))
}

pub async fn conclude(
    session: &mut Session,
    method: &'static str,
    name: &str,
    result: Result<Principal, LoginError>,
) -> Result<Ending, Fail> {
    let error = match result {
        Ok(who) => {
            tracing::info!(
                session = &*session.peer.session,
                user = &*who.name,
                method,
                address = %session.peer.address,
                tls = session.peer.tls.as_deref().unwrap_or("-"),
                client = &*session.client_id,
                "login"
            );
            session.stop.handle.set_user(who.name.clone());
            session.phase = Phase::Authenticated(who);
            let capabilities = capability::list(session);
            return Ok(Ending::Ok(format!("[CAPABILITY {capabilities}] logged in")));
        }
        Err(error) => error,
    };
    tracing::info!(
        session = &*session.peer.session,
        user = one_line(name),
        method,
        address = %session.peer.address,
        tls = session.peer.tls.as_deref().unwrap_or("-"),
        client = &*session.client_id,
        reason = ?error,
        "login failed"
    );
    let text = match error {
        LoginError::Unavailable => {
            return Ok(Ending::No("[UNAVAILABLE] try again later".to_owned()));
        }
        // RFC 5530 §3. Both wait, so that time is no oracle either.
        LoginError::Failed => "[AUTHENTICATIONFAILED] wrong name or password",
        LoginError::Locked => "[CONTACTADMIN] this account may not log in now",
    };
    session.login_failures += 1;
    let limits = &session.config.limits;
    let delay = limits.login_failure_delay.after(session.login_failures);
    let too_many = session.login_failures >= limits.login_failures_max;
    tokio::select! {
        biased;
        _ = session.stop.stopped() => {}
        () = tokio::time::sleep(delay) => {}
    }
    Ok(match too_many {
        true => Ending::Bye(format!("{text}, too often")),
        false => Ending::No(text.to_owned()),
    })
}
