//! The IMAP client: each connection sets and takes a flag of one message after the other (RFC 3501 §6.4.6).

use crate::lmtp::{REPLY_WAIT_MAX, Run, side_by_side};
use anyhow::{Result, bail};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Messages that the flags go round over; each mailbox holds at least these.
const MESSAGES: usize = 200;

pub fn drive_store(
    addresses: &[SocketAddr],
    users: &[String],
    connections: usize,
    time: Duration,
) -> Run {
    let end = Instant::now() + time;
    side_by_side(connections, |worker| {
        let mut run = Run::default();
        let user = &users[worker % users.len()];
        if let Err(error) = store(
            addresses[worker % addresses.len()],
            user,
            worker,
            end,
            &mut run,
        ) {
            run.failed += 1;
            run.first_error = Some(error.to_string());
        }
        run
    })
}

fn store(
    address: SocketAddr,
    user: &str,
    worker: usize,
    end: Instant,
    run: &mut Run,
) -> Result<()> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(REPLY_WAIT_MAX))?;
    let mut connection = BufReader::new(stream);
    let mut greeting = String::new();
    connection.read_line(&mut greeting)?;
    command(&mut connection, &format!("LOGIN {user} demo"))?;
    command(&mut connection, "SELECT INBOX")?;
    let mut at = worker * 7;
    while Instant::now() < end {
        let sign = if (at / MESSAGES).is_multiple_of(2) {
            '+'
        } else {
            '-'
        };
        let number = at % MESSAGES + 1;
        let begun = Instant::now();
        command(
            &mut connection,
            &format!("STORE {number} {sign}FLAGS.SILENT (\\Flagged)"),
        )?;
        run.latencies_us.push(begun.elapsed().as_micros() as u64);
        // A flag change is about its line; only the ratio of bytes written to it would mean nothing.
        run.bytes += 1;
        at += 1;
    }
    command(&mut connection, "LOGOUT")
}

/// Sends a command and reads up to its tagged OK.
fn command(connection: &mut BufReader<TcpStream>, text: &str) -> Result<()> {
    connection
        .get_mut()
        .write_all(format!("a {text}\r\n").as_bytes())?;
    let mut line = String::new();
    loop {
        line.clear();
        if connection.read_line(&mut line)? == 0 {
            bail!("the server hung up at {text}");
        }
        if line.starts_with("a OK") {
            return Ok(());
        }
        if line.starts_with("a ") {
            bail!("{text}: {}", line.trim_end());
        }
    }
}
