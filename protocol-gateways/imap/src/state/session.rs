//! One client's session: reads commands one after the other, lets their handlers run, announces what changed.

use super::selected::{Announce, Selected};
use crate::commands::{self, Args, Row};
use crate::limits::BAD_COMMANDS_MAX;
use crate::refusal::{Ending, Fail, ending};
use crate::serve::ImapConfig;
use crate::wire::connection::{Connection, NoCommand};
use crate::wire::cursor::{Command, Cursor};
use crate::wire::date::show_utc;
use engine_service::{Freshness, Mail, MessageRow, Peer, Principal};
use engine_types::{Uid, UidSet};
use gateway_session::SessionHandle;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// RFC 3501 §3.
pub enum Phase {
    NotAuthenticated,
    Authenticated(Principal),
    Selected(Principal, Box<Selected>),
}

const KICKED: &str = "the operator ends this session";
const SHUTTING_DOWN: &str = "[UNAVAILABLE] the server is shutting down";

/// Why a session must end although its client is content.
pub struct Stop {
    pub handle: SessionHandle,
    pub shutdown: watch::Receiver<bool>,
}

impl Stop {
    /// The text of the goodbye. Cancel-safe.
    pub async fn stopped(&self) -> &'static str {
        let mut shutdown = self.shutdown.clone();
        tokio::select! {
            () = self.handle.kicked() => KICKED,
            ended = shutdown.wait_for(|stop| *stop) => match ended {
                Ok(_) => SHUTTING_DOWN,
                // The server's own end is gone without a word: it is ending too.
                Err(_) => "[UNAVAILABLE] the server is ending",
            },
        }
    }

    /// As `stopped`, at this moment.
    pub fn reason(&self) -> Option<&'static str> {
        if self.handle.is_kicked() {
            return Some(KICKED);
        }
        self.shutdown.borrow().then_some(SHUTTING_DOWN)
    }
}

pub struct Session {
    pub connection: Connection,
    pub mail: Arc<dyn Mail>,
    pub peer: Peer,
    pub config: Arc<ImapConfig>,
    pub stop: Stop,
    pub phase: Phase,
    /// A CONDSTORE enabling command was given (RFC 7162 §3.1).
    pub condstore: bool,
    pub login_failures: u32,
    /// What ID said of the client, for logs.
    pub client_id: String,
    commands: u64,
    /// In a row.
    bad_commands: u32,
    began: Instant,
}

/// What follows a command.
enum Next {
    Go,
    StartTls,
    /// The goodbye, if one is due.
    End(Option<String>),
}

impl Session {
    pub fn new(
        connection: Connection,
        mail: Arc<dyn Mail>,
        peer: Peer,
        config: Arc<ImapConfig>,
        stop: Stop,
    ) -> Session {
        Session {
            connection,
            mail,
            peer,
            config,
            stop,
            phase: Phase::NotAuthenticated,
            condstore: false,
            login_failures: 0,
            client_id: String::new(),
            commands: 0,
            bad_commands: 0,
            began: Instant::now(),
        }
    }

    pub fn login_time_left(&self) -> Duration {
        let most = self.config.limits.login_time_max;
        most.saturating_sub(self.began.elapsed())
    }

    pub fn who(&self) -> Result<Principal, Fail> {
        match &self.phase {
            Phase::NotAuthenticated => Err(Fail::No("log in first")),
            Phase::Authenticated(who) | Phase::Selected(who, _) => Ok(who.clone()),
        }
    }

    pub fn selected(&mut self) -> Result<&mut Selected, Fail> {
        match &mut self.phase {
            Phase::Selected(_, selected) => Ok(selected),
            _ => Err(Fail::No("no mailbox is open")),
        }
    }

    /// The open mailbox, for a command that changes it.
    pub fn selected_for_change(&mut self) -> Result<&mut Selected, Fail> {
        let selected = self.selected()?;
        match selected.read_only {
            false => Ok(selected),
            true => Err(Fail::No("[NOPERM] the mailbox is open for reading only")),
        }
    }

    /// Leaves the open mailbox, if there is one.
    pub fn deselect(&mut self) -> bool {
        let phase = std::mem::replace(&mut self.phase, Phase::NotAuthenticated);
        let was_selected = matches!(phase, Phase::Selected(..));
        self.phase = match phase {
            Phase::Selected(who, _) => Phase::Authenticated(who),
            other => other,
        };
        was_selected
    }

    pub fn is_open_mailbox_gone(&self) -> Result<bool, Fail> {
        let Phase::Selected(who, selected) = &self.phase else {
            return Ok(false);
        };
        let changes = self.mail.changes(who, selected.mailbox, selected.synced)?;
        Ok(changes.gone)
    }

    /// Rows of a page of UIDs that still exist.
    pub fn rows(&mut self, page: &[Uid]) -> Result<Vec<MessageRow>, Fail> {
        let who = self.who()?;
        let mailbox = self.selected()?.mailbox;
        let uids: UidSet = page.iter().copied().collect();
        Ok(self.mail.messages(&who, mailbox, &uids)?)
    }

    /// Before the flags of these rows are shown.
    pub fn announce_keywords(&mut self, rows: &[MessageRow]) {
        if let Phase::Selected(_, selected) = &mut self.phase {
            selected.announce_keywords(rows, self.connection.out());
        }
    }

    /// Between two pages of a long command: other sessions get their turn, and one that must end does.
    pub async fn between_pages(&mut self) -> Result<(), Fail> {
        tokio::task::yield_now().await;
        match self.stop.reason() {
            Some(text) => Err(Fail::Stopped(text)),
            None => Ok(()),
        }
    }

    /// Says so if what is shown may be old.
    pub fn say_freshness(&mut self, freshness: Freshness) {
        if let Freshness::Stale { as_of } = freshness {
            self.connection.line(&format!(
                "* NO [UNAVAILABLE] copy of {}, newer mail may be missing",
                show_utc(as_of)
            ));
        }
    }

    /// Puts what changed in the open mailbox into the answer. `Ok(false)`: the mailbox is gone.
    pub fn announce(&mut self, expunge: bool, uid: bool) -> Result<bool, Fail> {
        let Phase::Selected(who, selected) = &mut self.phase else {
            return Ok(true);
        };
        let changes = self.mail.changes(who, selected.mailbox, selected.synced)?;
        if changes.gone {
            return Ok(false);
        }
        let how = Announce {
            expunge,
            mod_seq: self.condstore,
            uid,
        };
        selected.announce(&changes, how, self.connection.out());
        Ok(true)
    }

    pub async fn run(mut self) {
        let capabilities = commands::capability::list(&self);
        let greeting = format!(
            "* OK [CAPABILITY {capabilities}] {} Gotthard ready",
            self.config.hostname
        );
        self.connection.line(&greeting);
        let goodbye = loop {
            if self.connection.pipelined() == 0 && self.connection.flush().await.is_err() {
                break None;
            }
            let next = match self.next_command().await {
                Err(goodbye) => Next::End(goodbye),
                Ok(command) => match self.execute(&command).await {
                    Ok(next) => next,
                    Err(_) => Next::End(None),
                },
            };
            match next {
                Next::Go => {}
                Next::End(goodbye) => break goodbye,
                Next::StartTls => match self.upgrade().await {
                    Some(session) => self = session,
                    None => return,
                },
            }
        };
        self.log_end();
        self.connection.close(goodbye.as_deref()).await;
    }

    fn log_end(&self) {
        let user = self.who().map(|who| who.name.to_string());
        tracing::info!(
            session = &*self.peer.session,
            user = user.as_deref().unwrap_or("-"),
            address = %self.peer.address,
            client = &*self.client_id,
            commands = self.commands,
            bytes_in = self.connection.bytes_in,
            bytes_out = self.connection.bytes_out,
            seconds = self.began.elapsed().as_secs(),
            "session end"
        );
    }

    /// The next command, or the goodbye instead.
    async fn next_command(&mut self) -> Result<Command, Option<String>> {
        loop {
            let limits = &self.config.limits;
            let logged_in = !matches!(self.phase, Phase::NotAuthenticated);
            let left = self.login_time_left();
            let message_max = logged_in.then(|| self.mail.message_bytes_max());
            let connection = &mut self.connection;
            let read = async {
                let wait = if logged_in {
                    limits.idle_time_max
                } else {
                    left
                };
                timeout(wait, connection.wait())
                    .await
                    .map_err(|_| NoCommand::TimedOut)??;
                let read = connection.read_command(message_max);
                match logged_in {
                    true => read.await,
                    false => timeout(left, read).await.map_err(|_| NoCommand::TimedOut)?,
                }
            };
            let result = tokio::select! {
                biased;
                text = self.stop.stopped() => return Err(Some(format!("* BYE {text}"))),
                result = read => result,
            };
            match result {
                Ok(command) => return Ok(command),
                Err(NoCommand::Closed(_)) => return Err(None),
                Err(NoCommand::TimedOut) => {
                    return Err(Some("* BYE too long a silence".to_owned()));
                }
                Err(NoCommand::TooLong) => {
                    return Err(Some("* BYE [TOOBIG] the command is too long".to_owned()));
                }
                Err(NoCommand::Refused { tag, reply }) => {
                    self.connection.line(&format!("{tag} {reply}"));
                    self.connection.flush().await.map_err(|_| None)?;
                }
            }
        }
    }

    async fn execute(&mut self, command: &Command) -> io::Result<Next> {
        self.commands += 1;
        let mut cursor = Cursor::new(command);
        let Ok(tag) = cursor.tag() else {
            return Ok(self.bad("*", "a command begins with a tag"));
        };
        let (row, uid) = match commands::find(&mut cursor) {
            Ok(found) => found,
            Err(text) => return Ok(self.bad(tag, text)),
        };
        if let Err(text) = row.needs.check(&self.phase) {
            return Ok(self.bad(tag, text));
        }
        let args = Args { cursor, uid };
        let end = match (row.run)(self, args).await {
            Ok(end) => end,
            Err(fail) => ending(fail)?,
        };
        self.finish(tag, row, uid, end).await
    }

    async fn finish(&mut self, tag: &str, row: &Row, uid: bool, end: Ending) -> io::Result<Next> {
        match self.announce(row.may_expunge || uid, uid) {
            Ok(true) => {}
            Ok(false) => {
                return Ok(Next::End(Some(
                    "* BYE the open mailbox was deleted".to_owned(),
                )));
            }
            Err(Fail::Io(error)) => return Err(error),
            // Nothing is lost: the next command announces it.
            Err(_) => {}
        }
        self.connection.drain().await?;
        match end {
            Ending::Ok(text) => {
                self.bad_commands = 0;
                self.connection.line(&format!("{tag} OK {text}"));
            }
            Ending::No(text) => self.connection.line(&format!("{tag} NO {text}")),
            Ending::Bad(text) => return Ok(self.bad(tag, &text)),
            Ending::Bye(text) => return Ok(Next::End(Some(format!("* BYE {text}")))),
            Ending::Logout => {
                self.connection.line("* BYE until next time");
                self.connection.line(&format!("{tag} OK LOGOUT done"));
                return Ok(Next::End(None));
            }
            Ending::StartTls => {
                self.connection
                    .line(&format!("{tag} OK begin TLS negotiation now"));
                self.connection.flush().await?;
                return Ok(Next::StartTls);
            }
        }
        Ok(Next::Go)
    }

    fn bad(&mut self, tag: &str, text: &str) -> Next {
        self.bad_commands += 1;
        self.connection.line(&format!("{tag} BAD {text}"));
        match self.bad_commands < BAD_COMMANDS_MAX {
            true => Next::Go,
            false => Next::End(Some("* BYE too many commands without sense".to_owned())),
        }
    }

    async fn upgrade(mut self) -> Option<Session> {
        let tls = self.config.tls.clone()?;
        self.connection = match self.connection.start_tls(tls).await {
            Ok(connection) => connection,
            Err(error) => {
                tracing::debug!(session = &*self.peer.session, %error, "STARTTLS failed");
                return None;
            }
        };
        self.peer.tls = self.connection.tls_name();
        self.stop.handle.set_tls(self.peer.tls.clone());
        // RFC 3501 §6.2.1: what was learnt in the clear is forgotten.
        self.client_id.clear();
        Some(self)
    }
}
