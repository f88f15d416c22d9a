//! IDLE: RFC 2177. Changes are announced as this node shows them.

use super::{Args, done};
use crate::limits::STRANGER_LINE_BYTES_MAX;
use crate::refusal::{Ending, Fail};
use crate::state::Session;
use crate::wire::connection::NoCommand;
use crate::wire::cursor::Malformed;
use std::io;
use tokio::time::{Instant, sleep_until, timeout};

/// What ended a wait.
enum Woke {
    Line(Result<Vec<u8>, NoCommand>),
    Changed,
    StillHere,
    Stopped(&'static str),
    TooLong,
}

pub async fn run(session: &mut Session, args: Args<'_>) -> Result<Ending, Fail> {
    args.cursor.end()?;
    let who = session.who()?;
    let mut watch = session.mail.watch(&who);
    session.connection.line("+ idling");
    let freshness = session.mail.catch_up(&who).await;
    session.say_freshness(freshness);
    let ends = Instant::now() + session.config.limits.idle_time_max;
    loop {
        watch.mark_unchanged();
        if !session.announce(true, false)? {
            return Ok(Ending::Bye("the open mailbox was deleted".to_owned()));
        }
        session.connection.flush().await?;
        // IDLE is also allowed without an open mailbox.
        let packed = session.selected().ok().map(|selected| selected.pack());
        let limits = &session.config.limits;
        let sign = Instant::now() + limits.idle_still_here;
        let pause = limits.command_pause_max;
        let connection = &mut session.connection;
        let line = async {
            // Only the wait for the first octet is cut off by other events, so no octet is lost.
            connection.wait().await
        };
        let woke = tokio::select! {
            biased;
            text = session.stop.stopped() => Woke::Stopped(text),
            first = line => match first {
                Err(error) => Woke::Line(Err(error.into())),
                Ok(()) => Woke::Line(
                    timeout(pause, session.connection.read_line(STRANGER_LINE_BYTES_MAX))
                        .await
                        .unwrap_or(Err(NoCommand::TimedOut)),
                ),
            },
            changed = watch.changed() => match changed {
                Ok(()) => Woke::Changed,
                Err(_) => Woke::Stopped("[UNAVAILABLE] the server is ending"),
            },
            () = sleep_until(sign.min(ends)) => match Instant::now() < ends {
                true => Woke::StillHere,
                false => Woke::TooLong,
            },
        };
        if let (Some(packed), Ok(selected)) = (packed, session.selected()) {
            selected.unpack(packed);
        }
        match woke {
            Woke::Changed => {}
            Woke::StillHere => session.connection.line("* OK still here"),
            Woke::TooLong => return Ok(Ending::Bye("idle for too long".to_owned())),
            Woke::Stopped(text) => return Ok(Ending::Bye(text.to_owned())),
            Woke::Line(Ok(line)) if line.eq_ignore_ascii_case(b"DONE") => return done("IDLE done"),
            Woke::Line(Ok(_)) => return Err(Malformed("IDLE ends with DONE").into()),
            Woke::Line(Err(NoCommand::Closed(error))) => return Err(error.into()),
            Woke::Line(Err(_)) => return Err(io::Error::from(io::ErrorKind::TimedOut).into()),
        }
    }
}
