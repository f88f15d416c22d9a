//! ENABLE: RFC 5161. CONDSTORE is what there is to enable.

use super::{Args, done};
use crate::refusal::{Ending, Fail};
use crate::state::Session;

pub async fn run(session: &mut Session, args: Args<'_>) -> Result<Ending, Fail> {
    let mut cursor = args.cursor;
    let mut enabled = "";
    while !cursor.at_end() {
        cursor.space()?;
        if cursor.atom()?.eq_ignore_ascii_case("CONDSTORE") {
            session.condstore = true;
            enabled = " CONDSTORE";
        }
    }
    session.connection.line(&format!("* ENABLED{enabled}"));
    done("ENABLE done")
}
