//! CAPABILITY: RFC 3501 §6.1.1.

use super::{Args, done};
use crate::refusal::{Ending, Fail};
use crate::state::{Phase, Session};

const ALWAYS: &str = "IMAP4rev1 LITERAL+ ID ENABLE";
const LOGGED_IN: &str = "NAMESPACE IDLE UNSELECT UIDPLUS MOVE CONDSTORE CHILDREN SPECIAL-USE \
     CREATE-SPECIAL-USE LIST-EXTENDED LIST-STATUS STATUS=SIZE WITHIN SAVEDATE";

pub fn list(session: &Session) -> String {
    if !matches!(session.phase, Phase::NotAuthenticated) {
        return format!("{ALWAYS} {LOGGED_IN}");
    }
    let mut text = format!("{ALWAYS} SASL-IR");
    let secure = session.connection.is_tls();
    if !secure && session.config.tls.is_some() {
        text.push_str(" STARTTLS");
    }
    text.push_str(match secure || !session.config.tls_required {
        true => " AUTH=PLAIN",
        false => " LOGINDISABLED",
    });
    text
}

pub async fn run(session: &mut Session, args: Args<'_>) -> Result<Ending, Fail> {
    args.cursor.end()?;
    let capabilities = list(session);
    session
        .connection
        .line(&format!("* CAPABILITY {capabilities}"));
    done("CAPABILITY done")
}
