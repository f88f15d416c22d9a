//! The IMAP client: one thread and one connection each (RFC 3501).

use crate::lmtp::{REPLY_WAIT_MAX, Run, side_by_side};
use crate::work::Setup;
use anyhow::{Result, bail};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Barrier, OnceLock};
use std::time::Instant;

pub struct Client {
    stream: BufReader<TcpStream>,
}

/// What one command's answer held.
#[derive(Default)]
pub struct Answer {
    /// Untagged FETCH responses.
    pub fetched: u64,
    /// Octets of its literals.
    pub literals: u64,
}

impl Client {
    /// Logged in, INBOX selected.
    pub fn open(address: SocketAddr, user: &str) -> Result<Client> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(REPLY_WAIT_MAX))?;
        let mut client = Client {
            stream: BufReader::with_capacity(64 << 10, stream),
        };
        client.line()?;
        client.command(&format!("LOGIN {user} demo"))?;
        client.command("SELECT INBOX")?;
        Ok(client)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        if self.stream.read_until(b'\n', &mut line)? == 0 {
            bail!("the server hung up");
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    pub fn send(&mut self, octets: &[u8]) -> Result<()> {
        Ok(self.stream.get_mut().write_all(octets)?)
    }

    /// Sends a command and reads up to its tagged OK.
    pub fn command(&mut self, text: &str) -> Result<Answer> {
        self.send(format!("a {text}\r\n").as_bytes())?;
        self.answer(text)
    }

    pub fn append(&mut self, message: &[u8]) -> Result<Answer> {
        self.send(format!("a APPEND INBOX {{{}+}}\r\n", message.len()).as_bytes())?;
        self.send(message)?;
        self.send(b"\r\n")?;
        self.answer("APPEND")
    }

    fn answer(&mut self, text: &str) -> Result<Answer> {
        let mut answer = Answer::default();
        loop {
            let line = self.line()?;
            if line.starts_with("a OK") {
                return Ok(answer);
            }
            if line.starts_with("a ") {
                bail!("{text}: {}", line.trim_end());
            }
            let fetched = line.starts_with("* ") && line.contains(" FETCH (");
            answer.fetched += u64::from(fetched);
            if let Some(octets) = literal(&line) {
                answer.literals += octets;
                std::io::copy(&mut (&mut self.stream).take(octets), &mut std::io::sink())?;
            }
        }
    }

    /// Blocks until an EXISTS comes. Within IDLE.
    pub fn wait_exists(&mut self) -> Result<()> {
        while !self.line()?.ends_with(" EXISTS\r\n") {}
        Ok(())
    }

    pub fn idle(&mut self) -> Result<()> {
        self.send(b"a IDLE\r\n")?;
        while !self.line()?.starts_with('+') {}
        Ok(())
    }
}

/// The octets of a literal that follows the line.
fn literal(line: &str) -> Option<u64> {
    let count = line.strip_suffix("}\r\n")?;
    count.rsplit_once('{')?.1.parse().ok()
}

/// One worker's turns until `end`, each timed; `turn` gets the number of the turn.
pub fn turns(
    end: Instant,
    run: &mut Run,
    mut turn: impl FnMut(usize, &mut Run) -> Result<()>,
) -> Result<()> {
    let mut at = 0;
    while Instant::now() < end {
        let begun = Instant::now();
        turn(at, run)?;
        run.latencies_us.push(begun.elapsed().as_micros() as u64);
        run.ended.push(Instant::now());
        run.operations += 1;
        at += 1;
    }
    Ok(())
}

/// Opens a client for each connection and lets `work` use it once all are open; opening is not in the time.
pub fn drive(
    setup: &Setup<'_>,
    users: &[String],
    work: impl Fn(usize, Client, Instant, &mut Run) -> Result<()> + Sync,
) -> Run {
    let all_open = Barrier::new(setup.connections);
    let begun = OnceLock::new();
    let addresses = &setup.peer.imap;
    let mut sum = side_by_side(setup.connections, |worker| {
        let mut run = Run::default();
        let opened = Client::open(
            addresses[worker % addresses.len()],
            &users[worker % users.len()],
        );
        all_open.wait();
        let end = *begun.get_or_init(Instant::now) + setup.time;
        let done = opened.and_then(|client| work(worker, client, end, &mut run));
        if let Err(error) = done {
            run.failed += 1;
            run.first_error = Some(error.to_string());
        }
        run
    });
    sum.elapsed = begun.get().map_or(sum.elapsed, Instant::elapsed);
    sum
}

/// All of the mailbox that is read from, at each turn; the operations are messages.
pub fn fetch(setup: &Setup<'_>, items: &str) -> Run {
    let reader = [setup.peer.reader().to_owned()];
    drive(setup, &reader, |_, mut client, end, run| {
        turns(end, run, |_, run| {
            let answer = client.command(&format!("FETCH 1:* {items}"))?;
            run.operations += answer.fetched.saturating_sub(1);
            run.bytes += answer.literals;
            Ok(())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::literal;

    #[test]
    fn literals_are_found_at_the_end_of_a_line() {
        let check = |line, expect| assert_eq!(literal(line), expect, "{line}");
        check("* 1 FETCH (BODY[] {310}\r\n", Some(310));
        check("* 1 FETCH (FLAGS ())\r\n", None);
        check("* 1 FETCH (X {a}\r\n", None);
    }
}
