//! What a client does at a turn: one operation, or a few that belong together.

use super::imap::{self, Reply};
use super::lmtp;
use super::work::{Client, message};
use crate::history::{Action, Listing, Marker, Outcome, Place, Seen, UidAt};
use crate::limits::REGISTER_BITS;
use crate::workload::Job;

/// The name of an operation's outcome; `old`: it is ok, and the server said that it may be old.
pub type Name = &'static str;

impl Client {
    pub(super) fn turn(&mut self) -> Name {
        match self.chance.below(100) {
            0..24 => self.deliver(),
            24..34 => {
                let to = self.shared.workload.current_box(&self.account);
                self.append(to).0
            }
            34..57 => self.write_register(),
            57..74 => self.read_registers(),
            74..84 => {
                let workload = self.shared.workload.clone();
                let of = workload.some_box(&self.account, &mut self.chance);
                self.read(of, false)
            }
            84..91 => self.job(),
            91..96 => self.append_and_expunge(),
            _ => self.copy(),
        }
    }

    fn deliver(&mut self) -> Name {
        let to = self.shared.workload.current_box(&self.account);
        self.deliver_to(to)
    }

    pub fn deliver_to(&mut self, to: Place) -> Name {
        let marker = self.shared.workload.next_marker();
        let (local, domain) = self.account.split_once('@').unwrap_or_default();
        let recipient = format!("{local}+{}@{domain}", to.mailbox());
        self.attempt(Action::Deliver { to, marker }, |client| {
            let session = match client.lmtp.take() {
                Some(session) => Ok(session),
                None => lmtp::Session::open(client.shared.endpoints.lmtp(client.node)),
            };
            match session {
                Err(error) => (Outcome::Fail(format!("not sent: {error}")), false),
                Ok(mut session) => {
                    let outcome = session.deliver(&recipient, &message(marker));
                    if outcome.is_ok() {
                        client.lmtp = Some(session);
                    }
                    (outcome, false)
                }
            }
        })
    }

    /// Also the message's place, once it is known.
    fn append(&mut self, to: Place) -> (Name, Option<(Marker, UidAt)>) {
        let marker = self.shared.workload.next_marker();
        let mailbox = to.mailbox().to_owned();
        let mut at = None;
        let name = self.attempt(Action::Append { to, marker }, |client| {
            let append = |session: &mut imap::Session| session.append(&mailbox, &message(marker));
            client.imap(append, |reply| {
                at = reply.uid_at();
                placed(reply)
            })
        });
        (name, at.map(|at| (marker, at)))
    }

    fn write_register(&mut self) -> Name {
        let workload = self.shared.workload.clone();
        let of = workload.registers(&self.account);
        let register = workload.some_register(&mut self.chance);
        let Some(value) = workload.next_value(&of, register) else {
            return self.read_registers();
        };
        let keywords = imap::keywords(value);
        let store = format!("UID STORE {register} FLAGS.SILENT ({keywords})");
        let mailbox = of.mailbox().to_owned();
        let action = Action::Write {
            of,
            register,
            value,
        };
        self.change(action, &mailbox, &store, said)
    }

    pub fn read_registers(&mut self) -> Name {
        let of = self.shared.workload.registers(&self.account);
        let mailbox = of.mailbox().to_owned();
        if self.chance.is_lucky(30) {
            self.leave();
        }
        self.attempt(Action::ReadRegisters { of }, |client| {
            let entered_stale = match client.enter(&mailbox) {
                Ok(stale) => stale,
                Err(answer) => return answer,
            };
            let fetch = format!("UID FETCH 1:{} (FLAGS)", 1 << REGISTER_BITS);
            let (outcome, stale) = client.look(&fetch, |reply| {
                let lines = reply.untagged.iter();
                Seen::Registers(lines.filter_map(|line| imap::register(line)).collect())
            });
            (outcome, stale || entered_stale)
        })
    }

    pub fn read(&mut self, of: Place, last: bool) -> Name {
        let mailbox = of.mailbox().to_owned();
        self.attempt(Action::Read { of, last }, |client| {
            let mut listing = Listing::default();
            let (entered, entered_stale) = client.select(&mailbox, &mut listing);
            if !entered.is_ok() {
                return (entered, entered_stale);
            }
            let (outcome, stale) = client.look("UID FETCH 1:* (ENVELOPE)", |reply| {
                let lines = reply.untagged.iter();
                listing.rows = lines.filter_map(|line| imap::marked(line)).collect();
                Seen::Listing(listing)
            });
            (outcome, stale || entered_stale)
        })
    }

    /// A message in `todo`, or the move of one of them to `done`, for which others may compete.
    fn job(&mut self) -> Name {
        let workload = self.shared.workload.clone();
        let from = Place::new(&self.account, "todo");
        let Some(Job { marker, uid }) = workload.some_job(&self.account, &mut self.chance) else {
            let (name, placed) = self.append(from);
            if let Some((marker, UidAt { uid, .. })) = placed {
                workload.add_job(&self.account, Job { marker, uid });
            }
            return name;
        };
        let to = Place::new(&self.account, "done");
        let action = Action::Move { from, to, marker };
        self.change(action, "todo", &format!("UID MOVE {uid} done"), placed)
    }

    fn append_and_expunge(&mut self) -> Name {
        let from = Place::new(&self.account, "bin");
        let (name, Some((marker, UidAt { uid, .. }))) = self.append(from.clone()) else {
            return "fail";
        };
        if self.chance.is_lucky(30) {
            return name;
        }
        self.attempt(Action::Expunge { from, marker }, |client| {
            if let Err(answer) = client.enter("bin") {
                return answer;
            }
            let store = format!("UID STORE {uid} +FLAGS.SILENT (\\Deleted)");
            let stored = client.imap(|session| session.command(&store), said);
            if !stored.0.is_ok() {
                return stored;
            }
            let expunge = format!("UID EXPUNGE {uid}");
            client.imap(|session| session.command(&expunge), said)
        })
    }

    fn copy(&mut self) -> Name {
        let from = self.shared.workload.current_box(&self.account);
        let (_, Some((marker, UidAt { uid, .. }))) = self.append(from.clone()) else {
            return "fail";
        };
        let mailbox = from.mailbox().to_owned();
        let to = Place::new(&self.account, "copies");
        let action = Action::Copy { from, to, marker };
        self.change(action, &mailbox, &format!("UID COPY {uid} copies"), placed)
    }

    /// A command in the mailbox as it is now.
    fn change(
        &mut self,
        action: Action,
        mailbox: &str,
        command: &str,
        seen: fn(&Reply) -> Seen,
    ) -> Name {
        self.attempt(action, |client| match client.enter(mailbox) {
            Err(answer) => answer,
            Ok(entered_stale) => {
                let (outcome, stale) = client.imap(|session| session.command(command), seen);
                (outcome, stale || entered_stale)
            }
        })
    }
}

fn placed(reply: &Reply) -> Seen {
    reply.uid_at().map_or(Seen::Nothing, Seen::At)
}

fn said(reply: &Reply) -> Seen {
    Seen::Text(reply.text.clone())
}
