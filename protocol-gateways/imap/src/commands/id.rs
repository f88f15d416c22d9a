//! ID: RFC 2971. The client's name and version go to the logs.

use super::{Args, done};
use crate::limits::ID_LOG_BYTES_MAX;
use crate::refusal::{Ending, Fail, one_line};
use crate::state::Session;
use crate::wire::cursor::Malformed;

pub async fn run(session: &mut Session, args: Args<'_>) -> Result<Ending, Fail> {
    let mut cursor = args.cursor;
    cursor.space()?;
    let mut client = String::new();
    if !cursor.eat_word("NIL") {
        let mut fields = 0;
        cursor.list(|c| {
            let key = c.string()?;
            c.space()?;
            let value = c.nstring()?;
            fields += 1;
            // RFC 2971 §3.3: at most 30 pairs.
            if fields > 30 {
                return Err(Malformed("ID takes at most 30 fields"));
            }
            let wanted = key.eq_ignore_ascii_case(b"name") || key.eq_ignore_ascii_case(b"version");
            if let (true, Some(value)) = (wanted, value) {
                let space = if client.is_empty() { "" } else { " " };
                client.push_str(space);
                client.push_str(&one_line(&String::from_utf8_lossy(&value)));
            }
            Ok(())
        })?;
    }
    cursor.end()?;
    client.truncate(ID_LOG_BYTES_MAX);
    session.client_id = client;
    session.connection.line("* ID (\"name\" \"Gotthard\")");
    done("ID done")
}
