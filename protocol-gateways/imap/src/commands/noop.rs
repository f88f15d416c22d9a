//! NOOP and CHECK: RFC 3501 §6.1.2, §6.4.1. Both wait until all that was acknowledged before is shown here.

use super::{Args, done};
use crate::refusal::{Ending, Fail};
use crate::state::{Phase, Session};

pub async fn run(session: &mut Session, args: Args<'_>) -> Result<Ending, Fail> {
    args.cursor.end()?;
    if let Phase::Selected(who, _) = &session.phase {
        let who = who.clone();
        let freshness = session.mail.catch_up(&who).await;
        session.say_freshness(freshness);
    }
    done("done")
}
