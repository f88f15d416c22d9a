//! The octets of a connection: commands in, answers out, each with a bound in size and in time.

use super::cursor::{Command, is_atom_char};
use crate::limits::{
    CLOSE_WAIT_MAX, ImapLimits, LINE_BYTES_MAX, LITERAL_BYTES_MAX, LITERALS_MAX, OUT_BYTES,
    READ_BYTES, STRANGER_LINE_BYTES_MAX, STRANGER_LITERAL_BYTES_MAX,
};
use bytes::{Buf, Bytes, BytesMut};
use futures_util::future::BoxFuture;
use gateway_session::TlsServer;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

/// A socket. A trait, so that scripts can run over a pipe.
pub trait Socket: AsyncRead + AsyncWrite + Unpin + Send {
    fn is_tls(&self) -> bool;
    fn start_tls(
        self: Box<Self>,
        tls: TlsServer,
    ) -> BoxFuture<'static, io::Result<Box<dyn Socket>>>;
    /// Version and cipher suite.
    fn tls_name(&self) -> Option<Arc<str>>;
}

/// What came instead of a command.
#[derive(Debug)]
pub enum NoCommand {
    /// The peer closed, or the socket broke.
    Closed(io::Error),
    /// Nothing came for too long.
    TimedOut,
    /// The line or a literal that was sent without asking is too long: where the next command begins is unknown.
    TooLong,
    /// Refused before its literal was sent; the connection goes on.
    Refused { tag: String, reply: &'static str },
}

impl From<io::Error> for NoCommand {
    fn from(error: io::Error) -> NoCommand {
        NoCommand::Closed(error)
    }
}

pub struct Connection {
    socket: Box<dyn Socket>,
    read: BytesMut,
    out: Vec<u8>,
    limits: ImapLimits,
    pub bytes_in: u64,
    pub bytes_out: u64,
}

impl Connection {
    pub fn new(socket: Box<dyn Socket>, limits: ImapLimits) -> Connection {
        Connection {
            socket,
            read: BytesMut::new(),
            out: Vec::new(),
            limits,
            bytes_in: 0,
            bytes_out: 0,
        }
    }

    pub fn is_tls(&self) -> bool {
        self.socket.is_tls()
    }

    pub fn tls_name(&self) -> Option<Arc<str>> {
        self.socket.tls_name()
    }

    /// Octets that came already and are not read yet.
    pub fn pipelined(&self) -> usize {
        self.read.len()
    }

    pub async fn start_tls(self, tls: TlsServer) -> io::Result<Connection> {
        let pause = self.limits.command_pause_max;
        let socket = timeout(pause, self.socket.start_tls(tls))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        Ok(Connection {
            socket,
            read: BytesMut::new(),
            out: self.out,
            limits: self.limits,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
        })
    }

    fn put(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Puts a line's text into the answer.
    pub fn line(&mut self, text: &str) {
        self.put(text.as_bytes());
        self.put(b"\r\n");
    }

    /// Where handlers write; `drain` sends it when it is large.
    pub fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Sends if a buffer's worth waits.
    pub async fn drain(&mut self) -> io::Result<()> {
        match self.out.len() >= OUT_BYTES {
            true => self.flush().await,
            false => Ok(()),
        }
    }

    /// Large octets pass by the buffer.
    pub async fn write_bytes(&mut self, bytes: &Bytes) -> io::Result<()> {
        for piece in bytes.chunks(OUT_BYTES) {
            self.put(piece);
            self.drain().await?;
        }
        Ok(())
    }

    pub async fn flush(&mut self) -> io::Result<()> {
        let mut out = std::mem::take(&mut self.out);
        for piece in out.chunks(OUT_BYTES) {
            timed(self.limits.write_pause_max, self.socket.write_all(piece)).await?;
        }
        timed(self.limits.write_pause_max, self.socket.flush()).await?;
        self.bytes_out += out.len() as u64;
        out.clear();
        if out.capacity() <= 2 * OUT_BYTES {
            self.out = out;
        }
        Ok(())
    }

    /// Says goodbye and ends the sending half; errors do not matter any more.
    pub async fn close(mut self, goodbye: Option<&str>) {
        if let Some(text) = goodbye {
            self.line(text);
        }
        if self.flush().await.is_ok() {
            let _ = timed(CLOSE_WAIT_MAX, self.sign_off()).await;
        }
    }

    /// Reads on behind the goodbye: closing a socket with octets unread resets it, and the goodbye would be lost to a
    /// client that is still sending its message.
    async fn sign_off(&mut self) -> io::Result<()> {
        self.socket.shutdown().await?;
        let mut unread = vec![0; READ_BYTES];
        while self.socket.read(&mut unread).await? > 0 {}
        Ok(())
    }

    /// Waits until the first octet of a command is here, and gives buffers back meanwhile. Cancel-safe.
    pub async fn wait(&mut self) -> io::Result<()> {
        if self.read.is_empty() {
            self.read = BytesMut::new();
            self.out = Vec::new();
            let mut first = [0u8; 512];
            let n = self.socket.read(&mut first).await?;
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.bytes_in += n as u64;
            self.read.extend_from_slice(&first[..n]);
        }
        Ok(())
    }

    async fn more(&mut self, by: Instant) -> Result<(), NoCommand> {
        if !self.out.is_empty() {
            self.flush().await?;
        }
        self.read.reserve(READ_BYTES);
        let read = self.socket.read_buf(&mut self.read);
        match timeout_at(by, read).await {
            Err(_) => Err(NoCommand::TimedOut),
            Ok(Ok(0)) => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Ok(Ok(n)) => {
                self.bytes_in += n as u64;
                Ok(())
            }
            Ok(Err(error)) => Err(error.into()),
        }
    }

    /// A line without its end. A bare LF ends a line too, as hand-typed sessions have it.
    /// The whole line must be here in time: a client that sends an octet now and then gains nothing by it.
    pub async fn read_line(&mut self, bytes_max: usize) -> Result<Vec<u8>, NoCommand> {
        let mut seen = 0;
        let by = Instant::now() + self.limits.command_pause_max;
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.read[seen..]) {
                let mut line = self.read.split_to(seen + at);
                self.read.advance(1);
                if line.last() == Some(&b'\r') {
                    line.truncate(line.len() - 1);
                }
                if line.len() > bytes_max {
                    return Err(NoCommand::TooLong);
                }
                return Ok(line.to_vec());
            }
            seen = self.read.len();
            if seen > bytes_max {
                return Err(NoCommand::TooLong);
            }
            self.more(by).await?;
        }
    }

    /// Each `READ_BYTES` of it must be here in time.
    async fn read_exact(&mut self, len: usize) -> Result<Bytes, NoCommand> {
        while self.read.len() < len {
            let by = Instant::now() + self.limits.command_pause_max;
            let step = len.min(self.read.len() + READ_BYTES);
            while self.read.len() < step {
                // Grows as octets come, so that a promise of 50 MiB alone costs nothing.
                self.more(by).await?;
            }
        }
        Ok(self.read.split_to(len).freeze())
    }

    /// A whole command. `message_bytes_max` bounds the literal of APPEND; `None`: nobody is logged in, so none is taken and
    /// all is bounded more tightly.
    pub async fn read_command(
        &mut self,
        message_bytes_max: Option<u64>,
    ) -> Result<Command, NoCommand> {
        let (line_max, literal_max) = match message_bytes_max {
            Some(_) => (LINE_BYTES_MAX, LITERAL_BYTES_MAX),
            None => (STRANGER_LINE_BYTES_MAX, STRANGER_LITERAL_BYTES_MAX),
        };
        let mut command = Command::default();
        loop {
            let line = self.read_line(line_max).await?;
            command.text.extend_from_slice(&line);
            if command.text.len() > line_max {
                return Err(NoCommand::TooLong);
            }
            let Some((len, sync)) = literal_head(&line) else {
                return Ok(command);
            };
            let (head, _) = command
                .text
                .split_at(command.text.len() - literal_len(&line));
            let (tag, verb) = tag_and_verb(head);
            let append = verb.eq_ignore_ascii_case("APPEND");
            let held: u64 = command.literals.iter().map(|(_, b)| b.len() as u64).sum();
            let most = match message_bytes_max {
                Some(most) if append => most,
                _ => literal_max,
            };
            let reply = if command.literals.len() >= LITERALS_MAX {
                Some("BAD too many literals")
            } else if len > most || held + len > most + if append { LITERAL_BYTES_MAX } else { 0 } {
                Some(match append {
                    true => "NO [TOOBIG] the message is larger than this server takes",
                    false => "BAD [TOOBIG] the literal is too large",
                })
            } else {
                None
            };
            match (reply, sync) {
                (Some(reply), true) => return Err(NoCommand::Refused { tag, reply }),
                // RFC 7888 §4: its octets are on their way; ending the connection is the bounded answer.
                (Some(_), false) => return Err(NoCommand::TooLong),
                (None, _) => {}
            }
            let place = command.text.len() - literal_len(&line);
            command.text.truncate(place);
            if sync {
                self.line("+ ready");
                self.flush().await?;
            }
            let bytes = self.read_exact(len as usize).await?;
            command.literals.push((place, bytes));
        }
    }
}

/// `{5}` or `{5+}` (RFC 7888) at a line's end: the count, and whether the client waits for `+`.
fn literal_head(line: &[u8]) -> Option<(u64, bool)> {
    let inner = line.strip_suffix(b"}")?;
    let open = memchr::memrchr(b'{', inner)?;
    let digits = &inner[open + 1..];
    let (digits, sync) = match digits.strip_suffix(b"+") {
        Some(digits) => (digits, false),
        None => (digits, true),
    };
    let all_digits = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(digits).ok().filter(|_| all_digits)?;
    // A count above 64 bits is only too large.
    Some((text.parse().unwrap_or(u64::MAX), sync))
}

fn literal_len(line: &[u8]) -> usize {
    memchr::memrchr(b'{', line).map_or(0, |open| line.len() - open)
}

fn tag_and_verb(text: &[u8]) -> (String, String) {
    let mut words = text
        .split(|&b| b == b' ')
        .map(|word| String::from_utf8_lossy(word).into_owned());
    let tag = words.next().filter(|t| t.bytes().all(is_atom_char));
    (
        tag.filter(|t| !t.is_empty()).unwrap_or("*".to_owned()),
        words.next().unwrap_or_default(),
    )
}

async fn timed<T>(pause: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(pause, work)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

#[cfg(test)]
mod tests;
