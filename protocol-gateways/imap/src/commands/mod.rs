//! The table of commands. A command is a file with its `ROW` and its `run`; adding one is a line here.

use crate::refusal::{Ending, Fail};
use crate::state::{Phase, Session};
use crate::wire::cursor::Cursor;
use futures_util::future::BoxFuture;

pub mod append;
mod authenticate;
pub mod capability;
mod close;
mod copy;
mod create;
mod enable;
mod expunge;
mod fetch;
mod id;
mod idle;
pub mod list;
mod login;
mod logout;
mod move_messages;
mod namespace;
mod noop;
mod rename;
mod search;
mod select;
mod starttls;
pub mod status;
pub mod store;
mod subscribe;

/// In which phases a command makes sense (RFC 3501 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    Nothing,
    NoLogin,
    Login,
    Selected,
}

impl Needs {
    pub fn check(self, phase: &Phase) -> Result<(), &'static str> {
        match (self, phase) {
            (Needs::NoLogin, Phase::NotAuthenticated) | (Needs::Nothing, _) => Ok(()),
            (Needs::NoLogin, _) => Err("you are logged in already"),
            (_, Phase::NotAuthenticated) => Err("log in first"),
            (Needs::Selected, Phase::Authenticated(_)) => Err("no mailbox is open"),
            (Needs::Login | Needs::Selected, _) => Ok(()),
        }
    }
}

pub struct Args<'a> {
    /// Behind the command's name.
    pub cursor: Cursor<'a>,
    /// It came as `UID …`.
    pub uid: bool,
}

pub type Run = for<'a> fn(&'a mut Session, Args<'a>) -> BoxFuture<'a, Result<Ending, Fail>>;

pub struct Row {
    pub name: &'static str,
    pub needs: Needs,
    /// Whether EXPUNGE may be sent in its answer when it is not a UID command (RFC 3501 §7.4.1).
    pub may_expunge: bool,
    pub takes_uid: bool,
    pub run: Run,
}

const fn row(name: &'static str, needs: Needs, run: Run) -> Row {
    Row {
        name,
        needs,
        may_expunge: true,
        takes_uid: false,
        run,
    }
}

/// A command that names messages, by number or, behind `UID`, by UID.
const fn on_messages(name: &'static str, may_expunge: bool, run: Run) -> Row {
    Row {
        name,
        needs: Needs::Selected,
        may_expunge,
        takes_uid: true,
        run,
    }
}

static ROWS: [Row; 30] = [
    row("CAPABILITY", Needs::Nothing, |s, a| {
        Box::pin(capability::run(s, a))
    }),
    row("NOOP", Needs::Nothing, |s, a| Box::pin(noop::run(s, a))),
    row("LOGOUT", Needs::Nothing, |s, a| Box::pin(logout::run(s, a))),
    row("ID", Needs::Nothing, |s, a| Box::pin(id::run(s, a))),
    row("STARTTLS", Needs::NoLogin, |s, a| {
        Box::pin(starttls::run(s, a))
    }),
    row("LOGIN", Needs::NoLogin, |s, a| Box::pin(login::run(s, a))),
    row("AUTHENTICATE", Needs::NoLogin, |s, a| {
        Box::pin(authenticate::run(s, a))
    }),
    row("ENABLE", Needs::Login, |s, a| Box::pin(enable::run(s, a))),
    row("NAMESPACE", Needs::Login, |s, a| {
        Box::pin(namespace::run(s, a))
    }),
    row("LIST", Needs::Login, |s, a| Box::pin(list::run(s, a))),
    row("LSUB", Needs::Login, |s, a| Box::pin(list::run_lsub(s, a))),
    row("STATUS", Needs::Login, |s, a| Box::pin(status::run(s, a))),
    row("SELECT", Needs::Login, |s, a| {
        Box::pin(select::run(s, a, false))
    }),
    row("EXAMINE", Needs::Login, |s, a| {
        Box::pin(select::run(s, a, true))
    }),
    row("CREATE", Needs::Login, |s, a| Box::pin(create::run(s, a))),
    row("DELETE", Needs::Login, |s, a| {
        Box::pin(create::run_delete(s, a))
    }),
    row("RENAME", Needs::Login, |s, a| Box::pin(rename::run(s, a))),
    row("SUBSCRIBE", Needs::Login, |s, a| {
        Box::pin(subscribe::run(s, a, true))
    }),
    row("UNSUBSCRIBE", Needs::Login, |s, a| {
        Box::pin(subscribe::run(s, a, false))
    }),
    row("APPEND", Needs::Login, |s, a| Box::pin(append::run(s, a))),
    row("IDLE", Needs::Login, |s, a| Box::pin(idle::run(s, a))),
    row("CHECK", Needs::Selected, |s, a| Box::pin(noop::run(s, a))),
    row("CLOSE", Needs::Selected, |s, a| Box::pin(close::run(s, a))),
    row("UNSELECT", Needs::Selected, |s, a| {
        Box::pin(close::run_unselect(s, a))
    }),
    on_messages("FETCH", false, |s, a| Box::pin(fetch::run(s, a))),
    on_messages("STORE", false, |s, a| Box::pin(store::run(s, a))),
    on_messages("SEARCH", false, |s, a| Box::pin(search::run(s, a))),
    on_messages("COPY", true, |s, a| Box::pin(copy::run(s, a))),
    on_messages("MOVE", true, |s, a| Box::pin(move_messages::run(s, a))),
    on_messages("EXPUNGE", true, |s, a| Box::pin(expunge::run(s, a))),
];

/// The row of the command that stands at the cursor, and whether it came behind `UID`.
pub fn find(cursor: &mut Cursor<'_>) -> Result<(&'static Row, bool), &'static str> {
    let missing = "a command is missing";
    cursor.space().map_err(|_| missing)?;
    let uid = cursor.eat_word("UID");
    if uid {
        cursor.space().map_err(|_| "UID takes a command")?;
    }
    let name = cursor.atom().map_err(|_| missing)?;
    ROWS.iter()
        .find(|row| row.name.eq_ignore_ascii_case(name) && (row.takes_uid || !uid))
        .map(|row| (row, uid))
        .ok_or("this command is not known")
}

/// `OK` with a plain text.
fn done(text: &str) -> Result<Ending, Fail> {
    Ok(Ending::Ok(text.to_owned()))
}
