//! The client: one thread and one connection each, a message after the other (RFC 2033).

use anyhow::{Result, anyhow, bail};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

pub const REPLY_WAIT_MAX: Duration = Duration::from_secs(60);

/// Ends a message (RFC 5321 §4.1.1.4).
pub const END_OF_DATA: &[u8] = b".\r\n";

#[derive(Default)]
pub struct Run {
    /// Of each turn; sorted at the end.
    pub latencies_us: Vec<u64>,
    /// When each turn ended.
    pub ended: Vec<Instant>,
    /// What the turns did in all; a turn may do many things.
    pub operations: u64,
    pub bytes: u64,
    pub failed: u64,
    pub first_error: Option<String>,
    pub elapsed: Duration,
}

/// Dots doubled at line starts, and the end mark added.
pub fn dot_stuffed(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 64);
    for line in message.split_inclusive(|b| *b == b'\n') {
        if line.starts_with(b".") {
            out.push(b'.');
        }
        out.extend_from_slice(line);
    }
    if !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(END_OF_DATA);
    out
}

/// Runs `work` on a thread for each connection, and adds up what they did.
pub fn side_by_side(connections: usize, work: impl Fn(usize) -> Run + Sync) -> Run {
    let begun = Instant::now();
    let mut sum = Run::default();
    let work = &work;
    let parts: Vec<Run> = thread::scope(|scope| {
        let handles: Vec<_> = (0..connections)
            .map(|worker| scope.spawn(move || work(worker)))
            .collect();
        handles
            .into_iter()
            .map(|handle| handle.join().unwrap_or_default())
            .collect()
    });
    sum.elapsed = begun.elapsed();
    for part in parts {
        sum.latencies_us.extend(part.latencies_us);
        sum.ended.extend(part.ended);
        sum.operations += part.operations;
        sum.bytes += part.bytes;
        sum.failed += part.failed;
        sum.first_error = sum.first_error.or(part.first_error);
    }
    sum.latencies_us.sort_unstable();
    sum.ended.sort_unstable();
    sum
}

pub fn drive(
    addresses: &[SocketAddr],
    recipients: &[String],
    connections: usize,
    messages: &[Vec<u8>],
    time: Duration,
) -> Run {
    let end = Instant::now() + time;
    side_by_side(connections, |worker| {
        let address = addresses[worker % addresses.len()];
        let until = |_, _: &Run| Instant::now() < end;
        deliver_some(address, recipients, worker, connections, messages, until)
    })
}

/// One worker's deliveries, as long as `goes_on` (it gets their number, and what was done) says so.
pub fn deliver_some(
    address: SocketAddr,
    recipients: &[String],
    worker: usize,
    step: usize,
    messages: &[Vec<u8>],
    goes_on: impl Fn(usize, &Run) -> bool,
) -> Run {
    let mut run = Run::default();
    let mut connection = None;
    let mut at = worker;
    let mut turn = 0;
    while goes_on(turn, &run) {
        turn += 1;
        let message = &messages[at % messages.len()];
        let recipient = &recipients[at % recipients.len()];
        at += step;
        let begun = Instant::now();
        let sent = match connection.take() {
            Some(open) => deliver(open, recipient, message),
            None => connect(address).and_then(|open| deliver(open, recipient, message)),
        };
        match sent {
            Ok(open) => {
                run.latencies_us.push(begun.elapsed().as_micros() as u64);
                run.ended.push(Instant::now());
                run.operations += 1;
                run.bytes += message.len() as u64;
                connection = Some(open);
            }
            Err(error) => {
                run.failed += 1;
                run.first_error.get_or_insert(error.to_string());
                thread::sleep(Duration::from_millis(20));
            }
        }
    }
    if let Some(mut open) = connection {
        // The server may be gone already; nothing hangs on the farewell.
        let _ = open.get_mut().write_all(b"QUIT\r\n");
    }
    run
}

pub type Connection = BufReader<TcpStream>;

pub fn connect(address: SocketAddr) -> Result<Connection> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(REPLY_WAIT_MAX))?;
    let mut connection = BufReader::new(stream);
    expect(&mut connection, "220")?;
    connection
        .get_mut()
        .write_all(b"LHLO bench.example.net\r\n")?;
    expect(&mut connection, "250")?;
    Ok(connection)
}

pub fn deliver(mut connection: Connection, recipient: &str, message: &[u8]) -> Result<Connection> {
    let head = format!("MAIL FROM:<bench@example.net>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n");
    connection.get_mut().write_all(head.as_bytes())?;
    expect(&mut connection, "250")?;
    expect(&mut connection, "250")?;
    expect(&mut connection, "354")?;
    connection.get_mut().write_all(message)?;
    expect(&mut connection, "250")?;
    Ok(connection)
}

/// Reads a reply, also of several lines; an error unless it begins with `code`.
fn expect(connection: &mut Connection, code: &str) -> Result<()> {
    let mut line = String::new();
    loop {
        line.clear();
        if connection.read_line(&mut line)? == 0 {
            bail!("the server hung up");
        }
        if line.as_bytes().get(3) != Some(&b'-') {
            break;
        }
    }
    if line.starts_with(code) {
        Ok(())
    } else {
        Err(anyhow!("wanted {code}, got {}", line.trim_end()))
    }
}

#[cfg(test)]
mod tests {
    use super::dot_stuffed;

    #[test]
    fn dots_are_doubled_at_line_starts() {
        assert_eq!(
            dot_stuffed(b".a\r\nb.\r\n..\r\n"),
            b"..a\r\nb.\r\n...\r\n.\r\n"
        );
        assert_eq!(dot_stuffed(b"a"), b"a\r\n.\r\n");
    }
}
