//! Lines, data and chunks in, replies out. Replies wait until the peer's pipelined commands are used up, so that a
//! whole transaction costs few packets (RFC 2920).

use crate::data::Unstuffer;
use crate::limits::{LINE_BYTES_MAX, LINE_SWALLOW_BYTES_MAX, OUTPUT_BYTES_MAX, READ_BYTES};
use bytes::{Buf, BytesMut};
use gateway_session::{SessionHandle, Stream};
use memchr::memchr;
use std::io;
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

pub struct Wire {
    stream: Stream,
    input: BytesMut,
    output: Vec<u8>,
    wait_max: Duration,
    data_wait_max: Duration,
    session: SessionHandle,
    shutdown: watch::Receiver<bool>,
}

/// The session ends.
#[derive(Debug, Error)]
pub enum WireError {
    #[error("the peer closed the connection")]
    Closed,
    #[error("the peer took too long")]
    TimedOut,
    #[error("ended by the operator")]
    Kicked,
    #[error("shutting down")]
    ShuttingDown,
    #[error("a line without an end")]
    EndlessLine,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A command line as it came.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// Without CRLF.
    Text(Vec<u8>),
    /// It ended with LF alone. Never obeyed (RFC 5321 §2.3.8), but answered.
    BareLf,
    TooLong,
}

/// What may end a wait other than the peer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Interrupts {
    KickAndShutdown,
    Kick,
}

impl Wire {
    pub fn new(
        stream: Stream,
        wait_max: Duration,
        data_wait_max: Duration,
        session: SessionHandle,
        shutdown: watch::Receiver<bool>,
    ) -> Wire {
        Wire {
            stream,
            input: BytesMut::new(),
            output: Vec::new(),
            wait_max,
            data_wait_max,
            session,
            shutdown,
        }
    }

    pub fn is_tls(&self) -> bool {
        self.stream.is_tls()
    }

    pub async fn reply(&mut self, line: &str) -> Result<(), WireError> {
        self.output.extend_from_slice(line.as_bytes());
        self.output.extend_from_slice(b"\r\n");
        if self.output.len() >= OUTPUT_BYTES_MAX {
            self.flush().await?;
        }
        Ok(())
    }

    pub async fn flush(&mut self) -> Result<(), WireError> {
        if self.output.is_empty() {
            return Ok(());
        }
        let write = async {
            self.stream.write_all(&self.output).await?;
            self.stream.flush().await
        };
        timeout(self.wait_max, write)
            .await
            .map_err(|_| WireError::TimedOut)??;
        self.output.clear();
        Ok(())
    }

    /// The next command. The whole line has `wait_max`, however slowly it comes.
    pub async fn line(&mut self) -> Result<Line, WireError> {
        let deadline = Instant::now() + self.wait_max;
        let mut swallowed = 0;
        loop {
            if *self.shutdown.borrow() {
                return Err(WireError::ShuttingDown);
            }
            if let Some(lf) = memchr(b'\n', &self.input) {
                let too_long = swallowed > 0 || lf + 1 > LINE_BYTES_MAX;
                let line = match self.input[..lf].strip_suffix(b"\r") {
                    _ if too_long => Line::TooLong,
                    Some(text) => Line::Text(text.to_vec()),
                    None => Line::BareLf,
                };
                self.input.advance(lf + 1);
                return Ok(line);
            }
            if self.input.len() >= LINE_BYTES_MAX {
                swallowed += self.input.len();
                self.input.clear();
            }
            if swallowed > LINE_SWALLOW_BYTES_MAX {
                return Err(WireError::EndlessLine);
            }
            self.fill(deadline, Interrupts::KickAndShutdown).await?;
        }
    }

    /// A message after DATA, unstuffed, up to its end.
    pub async fn data(&mut self, mut out: impl FnMut(&[u8])) -> Result<(), WireError> {
        let deadline = Instant::now() + self.data_wait_max;
        let mut unstuffer = Unstuffer::default();
        loop {
            let (used, done) = unstuffer.push(&self.input, &mut out);
            self.input.advance(used);
            if done {
                return Ok(());
            }
            self.fill_data(deadline).await?;
        }
    }

    /// `size` octets after BDAT.
    pub async fn chunk(&mut self, size: u64, mut out: impl FnMut(&[u8])) -> Result<(), WireError> {
        let deadline = Instant::now() + self.data_wait_max;
        let mut left = size;
        loop {
            let take = usize::try_from(left)
                .unwrap_or(usize::MAX)
                .min(self.input.len());
            out(&self.input[..take]);
            self.input.advance(take);
            left -= take as u64;
            if left == 0 {
                return Ok(());
            }
            self.fill_data(deadline).await?;
        }
    }

    /// For STARTTLS: what the peer sent ahead in the clear is thrown away (RFC 3207 §4.2, §6).
    pub fn into_stream(self) -> (Stream, usize) {
        (self.stream, self.input.len())
    }

    /// Says a last line, if the peer still takes it, and closes.
    pub async fn close(mut self, last_line: Option<&str>) {
        if let Some(line) = last_line {
            self.output.extend_from_slice(line.as_bytes());
            self.output.extend_from_slice(b"\r\n");
        }
        let goodbye = async {
            self.flush().await?;
            self.stream.shutdown().await.map_err(WireError::Io)
        };
        // The peer may be gone already: there is nobody left to tell.
        let _ = goodbye.await;
    }

    async fn fill_data(&mut self, deadline: Instant) -> Result<(), WireError> {
        let deadline = deadline.min(Instant::now() + self.wait_max);
        self.fill(deadline, Interrupts::Kick).await
    }

    /// Sends what is due, then waits for octets.
    async fn fill(&mut self, deadline: Instant, by: Interrupts) -> Result<(), WireError> {
        self.flush().await?;
        self.input.reserve(READ_BYTES);
        let interrupted = async {
            let stop = self.shutdown.wait_for(|stop| *stop);
            tokio::select! {
                () = self.session.kicked() => WireError::Kicked,
                _ = stop, if by == Interrupts::KickAndShutdown => WireError::ShuttingDown,
            }
        };
        tokio::select! {
            error = interrupted => Err(error),
            read = timeout_at(deadline, self.stream.read_buf(&mut self.input)) => match read {
                Err(_) => Err(WireError::TimedOut),
                Ok(Err(error)) => Err(error.into()),
                Ok(Ok(0)) => Err(WireError::Closed),
                Ok(Ok(_)) => Ok(()),
            },
        }
    }
}
