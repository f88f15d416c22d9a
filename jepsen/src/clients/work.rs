//! What each client does, drawn from the seed: a thread with a connection of each kind.

use super::deeds::Name;
use super::imap::{self, Reply, Status};
use super::lmtp;
use crate::chance::Chance;
use crate::cluster::Endpoints;
use crate::history::{Action, Listing, Marker, Operation, Outcome, Recorder, Seen};
use crate::limits::{AFTER_FAILURE, THINK_MS_MAX};
use crate::stop::Stop;
use crate::workload::Workload;
use std::io;
use std::sync::Arc;
use std::time::Duration;

pub struct Client {
    pub number: u64,
    process: u64,
    session: u64,
    pub(super) node: u64,
    pub(super) account: String,
    pub(super) imap: Option<imap::Session>,
    pub(super) lmtp: Option<lmtp::Session>,
    pub(super) chance: Chance,
    pub(super) shared: Shared,
}

/// What all clients have in common.
#[derive(Clone)]
pub struct Shared {
    pub recorder: Arc<Recorder>,
    pub workload: Arc<Workload>,
    pub endpoints: Arc<Endpoints>,
    pub stop: Arc<Stop>,
}

/// An answer, and whether it may be old.
pub(super) type Answer = (Outcome, bool);

impl Client {
    pub fn new(number: u64, chance: Chance, shared: Shared) -> Client {
        Client {
            number,
            process: number,
            session: shared.workload.next_session(),
            node: 0,
            account: String::new(),
            imap: None,
            lmtp: None,
            chance,
            shared,
        }
    }

    pub fn run(mut self) {
        while !self.shared.stop.is_set() {
            let think = self.chance.below(THINK_MS_MAX);
            if self.shared.stop.wait(Duration::from_millis(think)) {
                return;
            }
            self.choose_node();
            if self.turn() == "fail" {
                self.shared.stop.wait(AFTER_FAILURE);
            }
        }
    }

    /// Mostly the same one, so that sessions are long.
    fn choose_node(&mut self) {
        let nodes = self.shared.endpoints.nodes();
        let is_known = nodes.contains(&self.node);
        if is_known && !self.chance.is_lucky(2) {
            return;
        }
        if let Some(node) = self.chance.pick(&nodes) {
            self.go_to(*node);
        }
    }

    pub fn go_to(&mut self, node: u64) {
        self.hang_up();
        self.node = node;
        let accounts = &self.shared.workload.accounts;
        if let Some(account) = self.chance.pick(accounts) {
            self.account.clone_from(account);
        }
    }

    pub fn become_account(&mut self, account: &str) {
        if self.account != account {
            self.hang_up();
            account.clone_into(&mut self.account);
        }
    }

    fn hang_up(&mut self) {
        self.imap = None;
        self.lmtp = None;
        self.session = self.shared.workload.next_session();
    }

    fn is_inside(&self, mailbox: &str) -> bool {
        self.imap
            .as_ref()
            .is_some_and(|session| session.selected.as_deref() == Some(mailbox))
    }

    /// Without a mailbox: the next command in one selects it again.
    pub(super) fn leave(&mut self) {
        if let Some(session) = &mut self.imap {
            session.selected = None;
        }
    }

    /// In the mailbox as it is now: a session knows of new messages only what SELECT or NOOP told it. Whether that may be
    /// old; `Err`: how it failed, which changed nothing.
    pub(super) fn enter(&mut self, mailbox: &str) -> Result<bool, Answer> {
        let (outcome, stale) = match self.is_inside(mailbox) {
            true => self.look("NOOP", |_| Seen::Nothing),
            false => self.select(mailbox, &mut Listing::default()),
        };
        match outcome.is_ok() {
            true => Ok(stale),
            false => Err((outcome, stale)),
        }
    }

    pub(super) fn select(&mut self, mailbox: &str, listing: &mut Listing) -> Answer {
        let select = |session: &mut imap::Session| {
            let (reply, found) = session.select(mailbox)?;
            *listing = found;
            Ok(reply)
        };
        never_changed(self.imap(select, |_| Seen::Nothing))
    }

    /// A command that changes nothing.
    pub(super) fn look(&mut self, command: &str, seen: impl FnOnce(&Reply) -> Seen) -> Answer {
        never_changed(self.imap(|session| session.command(command), seen))
    }

    /// One command. What breaks off before it is sent is a failure; a tagged NO is a true refusal.
    pub(super) fn imap(
        &mut self,
        command: impl FnOnce(&mut imap::Session) -> io::Result<Reply>,
        seen: impl FnOnce(&Reply) -> Seen,
    ) -> Answer {
        let session = match self.imap.take() {
            Some(session) => Ok(session),
            None => imap::Session::open(self.shared.endpoints.imap(self.node), &self.account),
        };
        let mut session = match session {
            Ok(session) => session,
            Err(error) => return (Outcome::Fail(format!("not sent: {error}")), false),
        };
        match command(&mut session) {
            Err(error) => (Outcome::Info(error.to_string()), false),
            Ok(reply) => {
                self.imap = Some(session);
                let outcome = match reply.status {
                    Status::Ok => Outcome::Ok(seen(&reply)),
                    Status::No => Outcome::Fail(reply.text.clone()),
                    Status::Bad => Outcome::Fail(format!("BAD {}", reply.text)),
                };
                (outcome, reply.is_stale())
            }
        }
    }

    pub(super) fn attempt(
        &mut self,
        action: Action,
        go: impl FnOnce(&mut Client) -> Answer,
    ) -> Name {
        let begin_ns = self.shared.recorder.now_ns();
        let (session, node) = (self.session, self.node);
        let (outcome, stale) = go(self);
        let end_ns = self.shared.recorder.now_ns();
        let name = outcome.name();
        let (client, process) = (self.number, self.process);
        if !outcome.is_ok() {
            self.hang_up();
        }
        if name == "info" {
            self.process += self.shared.workload.clients;
        }
        self.shared.recorder.record(Operation {
            client,
            process,
            session,
            node,
            begin_ns,
            end_ns,
            action,
            outcome,
            stale,
        });
        match name {
            "ok" if stale => "old",
            name => name,
        }
    }
}

/// A read, or a SELECT before a change, whose answer did not come has changed nothing.
fn never_changed((outcome, stale): Answer) -> Answer {
    match outcome {
        Outcome::Info(text) => (Outcome::Fail(format!("no answer: {text}")), stale),
        other => (other, stale),
    }
}

pub fn message(marker: Marker) -> String {
    let size = if marker.is_multiple_of(40) {
        40_000
    } else {
        300
    };
    let line = format!("line of message {marker}\r\n");
    let body = line.repeat(size / line.len());
    format!(
        "From: sender@example.net\r\nSubject: m{marker}\r\nMessage-ID: <{marker}@trial>\r\n\r\n{body}"
    )
}
