//! The session: commands in their order, replies, and how it ends.

use crate::body::Body;
use crate::command::{self, Command, MailFrom, SyntaxError};
use crate::config::LmtpConfig;
use crate::deliver::{Context, deliver};
use crate::reply;
use crate::transaction::{Chunks, Transaction};
use crate::wire::{Line, Wire, WireError};
use engine_service::{Mail, Peer};
use gateway_session::{SessionHandle, Stream};
use std::sync::Arc;
use tokio::sync::watch;
use tracing::{debug, info};

/// One connection, from the greeting to its end.
pub async fn serve_lmtp(
    stream: Stream,
    peer: Peer,
    session: SessionHandle,
    mail: Arc<dyn Mail>,
    config: Arc<LmtpConfig>,
    shutdown: watch::Receiver<bool>,
) {
    let limits = &config.limits;
    let wire = |stream| {
        let (session, shutdown) = (session.clone(), shutdown.clone());
        Wire::new(
            stream,
            limits.command_wait_max,
            limits.data_wait_max,
            session,
            shutdown,
        )
    };
    let mut lmtp = Lmtp {
        wire: wire(stream),
        peer,
        mail,
        config: config.clone(),
        helo: None,
        transaction: None,
        errors: 0,
    };
    let greeting = format!("220 {} LMTP ready", config.hostname);
    let mut greeted = lmtp.wire.reply(&greeting).await;
    loop {
        let ended = match greeted {
            Ok(()) => lmtp.commands().await,
            Err(error) => Err(error),
        };
        let (Ok(End::StartTls), Some(tls)) = (&ended, &config.tls) else {
            let last_line = last_line(&ended);
            debug!(session = &*lmtp.peer.session, last_line, "session end");
            lmtp.wire.close(last_line).await;
            return;
        };
        // No greeting after the handshake, and nothing of before it counts (RFC 3207 §4.2).
        let (stream, dropped) = lmtp.wire.into_stream();
        if dropped > 0 {
            info!(
                session = &*lmtp.peer.session,
                octets = dropped,
                "sent ahead of TLS, dropped"
            );
        }
        match stream.start_tls(tls).await {
            Ok(stream) => {
                lmtp.peer.tls = stream.tls_name();
                session.set_tls(stream.tls_name());
                lmtp = Lmtp {
                    wire: wire(stream),
                    helo: None,
                    transaction: None,
                    ..lmtp
                };
                greeted = Ok(());
            }
            Err(error) => {
                debug!(session = &*lmtp.peer.session, %error, "TLS handshake failed");
                return;
            }
        }
    }
}

/// How a session ends of itself.
enum End {
    Quit,
    StartTls,
    TooManyErrors,
    /// The reply was sent already.
    OutOfStep,
}

enum Next {
    Go,
    End(End),
}

/// What the peer is told last, after the replies that wait.
fn last_line(ended: &Result<End, WireError>) -> Option<&'static str> {
    match ended {
        Ok(End::Quit) => Some(reply::BYE),
        Ok(End::StartTls | End::OutOfStep) => None,
        Ok(End::TooManyErrors) | Err(WireError::EndlessLine) => Some(reply::TOO_MANY_ERRORS),
        Err(WireError::TimedOut) => Some(reply::TIMED_OUT),
        Err(WireError::Kicked) => Some(reply::KICKED),
        Err(WireError::ShuttingDown) => Some(reply::SHUTTING_DOWN),
        Err(WireError::Closed | WireError::Io(_)) => None,
    }
}

struct Lmtp {
    wire: Wire,
    peer: Peer,
    mail: Arc<dyn Mail>,
    config: Arc<LmtpConfig>,
    helo: Option<String>,
    transaction: Option<Transaction>,
    /// Bad commands since the last message.
    errors: u32,
}

impl Lmtp {
    async fn commands(&mut self) -> Result<End, WireError> {
        loop {
            let next = match self.wire.line().await? {
                Line::Text(line) => match command::parse(&line) {
                    Ok(command) => self.command(command).await?,
                    Err(error) => {
                        self.bad(reply::syntax(error)).await?;
                        // Octets of a message must not be read as commands.
                        if error == SyntaxError::BadChunk {
                            return Ok(End::OutOfStep);
                        }
                        Next::Go
                    }
                },
                Line::BareLf => self.bad(reply::BARE_LF).await?,
                Line::TooLong => self.bad(reply::LINE_TOO_LONG).await?,
            };
            match next {
                Next::End(end) => return Ok(end),
                Next::Go if self.errors >= self.config.limits.errors_max => {
                    return Ok(End::TooManyErrors);
                }
                Next::Go => {}
            }
        }
    }

    async fn command(&mut self, command: Command) -> Result<Next, WireError> {
        match command {
            Command::Lhlo(helo) => self.lhlo(helo).await,
            Command::Helo => self.bad(reply::USE_LHLO).await,
            Command::Mail(mail) => self.mail(mail).await,
            Command::Rcpt(address) => self.rcpt(address).await,
            Command::Data => self.data().await,
            Command::Bdat { size, last } => self.bdat(size, last).await,
            Command::Rset => {
                self.transaction = None;
                self.say(reply::OK).await
            }
            Command::Noop => self.say(reply::OK).await,
            Command::Vrfy => self.say(reply::VRFY).await,
            Command::StartTls if self.wire.is_tls() => self.bad(reply::TLS_ALREADY).await,
            Command::StartTls if self.config.tls.is_none() => self.bad(reply::NO_TLS).await,
            Command::StartTls => {
                self.say(reply::GO_TLS).await?;
                self.wire.flush().await?;
                Ok(Next::End(End::StartTls))
            }
            Command::Quit => Ok(Next::End(End::Quit)),
        }
    }

    /// RFC 2033 §4.1; a second one resets (RFC 5321 §4.1.4).
    async fn lhlo(&mut self, helo: String) -> Result<Next, WireError> {
        self.helo = Some(helo);
        self.transaction = None;
        let size = format!("SIZE {}", self.mail.message_bytes_max());
        let mut words = vec![
            self.config.hostname.as_str(),
            "PIPELINING",
            &size,
            "8BITMIME",
            "SMTPUTF8",
            "CHUNKING",
            "ENHANCEDSTATUSCODES",
        ];
        if self.config.tls.is_some() && !self.wire.is_tls() {
            words.push("STARTTLS");
        }
        let last = words.len() - 1;
        for (i, word) in words.into_iter().enumerate() {
            let separator = if i == last { ' ' } else { '-' };
            self.wire.reply(&format!("250{separator}{word}")).await?;
        }
        Ok(Next::Go)
    }

    async fn mail(&mut self, mail: MailFrom) -> Result<Next, WireError> {
        if self.helo.is_none() {
            return self.bad(reply::LHLO_FIRST).await;
        }
        if self.transaction.is_some() {
            return self.bad(reply::NESTED_MAIL).await;
        }
        if mail.size > Some(self.mail.message_bytes_max()) {
            return self.say(reply::TOO_BIG).await;
        }
        if !mail.sender.is_ascii() && !mail.smtputf8 {
            return self.bad(reply::NOT_UTF8).await;
        }
        self.transaction = Some(Transaction::new(mail));
        self.say("250 2.1.0 sender OK").await
    }

    async fn rcpt(&mut self, address: String) -> Result<Next, WireError> {
        let Some(transaction) = &mut self.transaction else {
            return self.bad(reply::MAIL_FIRST).await;
        };
        if !matches!(transaction.chunks, Chunks::None) {
            return self.bad(reply::CHUNKS_BEGUN).await;
        }
        if !address.is_ascii() && !transaction.smtputf8 {
            return self.bad(reply::NOT_UTF8).await;
        }
        if transaction.recipients.len() >= self.config.limits.recipients_max {
            return self.say(reply::TOO_MANY_RECIPIENTS).await;
        }
        match self.mail.resolve_recipient(&address).await {
            Ok(recipient) if !transaction.has_room(&recipient) => {
                self.say(reply::TOO_MANY_RECIPIENTS).await
            }
            Ok(recipient) => {
                transaction.recipients.push(recipient);
                self.say("250 2.1.5 recipient OK").await
            }
            Err(error) => {
                let reply = reply::recipient(&error, self.config.quota_tempfail);
                info!(
                    sender = transaction.sender,
                    recipient = address,
                    peer = %self.peer.address,
                    session = &*self.peer.session,
                    reply = &*reply,
                    "recipient refused"
                );
                self.say(&reply).await
            }
        }
    }

    async fn data(&mut self) -> Result<Next, WireError> {
        let Some(transaction) = &self.transaction else {
            return self.bad(reply::MAIL_FIRST).await;
        };
        if !matches!(transaction.chunks, Chunks::None) {
            return self.bad(reply::CHUNKS_BEGUN).await;
        }
        if transaction.recipients.is_empty() {
            return self.bad(reply::NO_RECIPIENTS).await;
        }
        let mut body = self.new_body();
        self.wire.reply(reply::SEND_DATA).await?;
        self.wire.data(|piece| body.push(piece)).await?;
        self.finish(body).await
    }

    /// RFC 3030 §2, with LMTP's replies after the last chunk (RFC 2033 §4.3). Whatever the reply, the chunk's octets
    /// are read first: they are no commands.
    async fn bdat(&mut self, size: u64, last: bool) -> Result<Next, WireError> {
        let chunks = match &mut self.transaction {
            None => Err(reply::MAIL_FIRST),
            Some(transaction) if transaction.recipients.is_empty() => Err(reply::NO_RECIPIENTS),
            Some(transaction) => Ok(std::mem::replace(&mut transaction.chunks, Chunks::Failed)),
        };
        let mut body = match chunks {
            Ok(Chunks::None) => self.new_body(),
            Ok(Chunks::Begun(body)) => body,
            Ok(Chunks::Failed) => return self.skip_chunk(size, reply::CHUNKS_FAILED).await,
            Err(reply) => return self.skip_chunk(size, reply).await,
        };
        self.wire.chunk(size, |piece| body.push(piece)).await?;
        if last {
            return self.finish(body).await;
        }
        if let Some(overflow) = body.overflow() {
            return self.say(reply::overflow(overflow)).await;
        }
        if let Some(transaction) = &mut self.transaction {
            transaction.chunks = Chunks::Begun(body);
        }
        self.say(&format!("250 2.0.0 {size} octets received")).await
    }

    async fn skip_chunk(&mut self, size: u64, reply: &'static str) -> Result<Next, WireError> {
        self.wire.chunk(size, |_| {}).await?;
        self.bad(reply).await
    }

    async fn finish(&mut self, body: Body) -> Result<Next, WireError> {
        let Some(transaction) = self.transaction.take() else {
            return self.bad(reply::MAIL_FIRST).await;
        };
        let context = Context {
            mail: &self.mail,
            peer: &self.peer,
            helo: self.helo.as_deref().unwrap_or_default(),
            quota_tempfail: self.config.quota_tempfail,
        };
        let replies = deliver(context, transaction, body.finish()).await;
        for reply in replies {
            self.wire.reply(&reply).await?;
        }
        self.errors = 0;
        Ok(Next::Go)
    }

    fn new_body(&self) -> Body {
        let memory = self.config.limits.message_memory.clone();
        Body::new(self.mail.message_bytes_max(), memory)
    }

    async fn say(&mut self, reply: &str) -> Result<Next, WireError> {
        self.wire.reply(reply).await?;
        Ok(Next::Go)
    }

    /// A reply to a bad command, which counts.
    async fn bad(&mut self, reply: &'static str) -> Result<Next, WireError> {
        self.errors += 1;
        self.say(reply).await
    }
}
