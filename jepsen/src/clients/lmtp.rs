//! The LMTP client (RFC 2033): one recipient a message.

use super::wire::Wire;
use crate::history::{Outcome, Seen};
use std::io;
use std::net::SocketAddr;

pub struct Session {
    wire: Wire,
}

impl Session {
    pub fn open(address: SocketAddr) -> io::Result<Session> {
        let mut session = Session {
            wire: Wire::open(address)?,
        };
        session.expect("220")?;
        session.wire.send(b"LHLO trial.example.net\r\n")?;
        session.expect("250")?;
        Ok(session)
    }

    /// `message` has no line that begins with a dot. What is broken off before the message was sent has not happened;
    /// what is broken off after it may have.
    pub fn deliver(&mut self, recipient: &str, message: &str) -> Outcome {
        let head = format!("MAIL FROM:<sender@example.net>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n");
        let ready = self.wire.send(head.as_bytes()).and_then(|()| {
            self.expect("250")?;
            self.expect("250")?;
            self.expect("354")
        });
        if let Err(error) = ready {
            return Outcome::Fail(format!("not sent: {error}"));
        }
        let body = format!("{message}.\r\n");
        let reply = self.wire.send(body.as_bytes()).and_then(|()| self.reply());
        match reply {
            Ok(reply) => outcome(reply),
            Err(error) => Outcome::Info(error.to_string()),
        }
    }

    /// The last line of a reply.
    fn reply(&mut self) -> io::Result<String> {
        loop {
            let line = self.wire.line()?;
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(line);
            }
        }
    }

    fn expect(&mut self, code: &str) -> io::Result<String> {
        let reply = self.reply()?;
        match reply.starts_with(code) {
            true => Ok(reply),
            false => Err(io::Error::other(reply)),
        }
    }
}

/// `451 4.4.2` says that the outcome is unknown; any other temporary or permanent error is a true refusal.
fn outcome(reply: String) -> Outcome {
    if reply.starts_with("250 ") {
        return Outcome::Ok(Seen::Text(reply));
    }
    let refused = reply.starts_with('4') || reply.starts_with('5');
    match refused && !reply.contains("4.4.2") {
        true => Outcome::Fail(reply),
        false => Outcome::Info(reply),
    }
}

#[cfg(test)]
mod tests {
    use super::outcome;

    #[test]
    fn unknown_is_neither_success_nor_failure() {
        let check =
            |reply: &str, expect| assert_eq!(outcome(reply.to_owned()).name(), expect, "{reply}");
        check("250 2.0.0 <1.1:4:1:3> stored in INBOX", "ok");
        check("451 4.4.2 outcome unknown", "info");
        check("451 4.3.0 no quorum", "fail");
        check("552 5.2.2 over quota", "fail");
        check("", "info");
    }
}
