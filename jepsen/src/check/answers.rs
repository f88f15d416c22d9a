//! Answers that are wrong whatever happens: what exists is said not to exist, a message goes to another mailbox than the
//! one that it was sent to, or a well-formed command is not understood. Accounts and mailboxes are there from the beginning.

use super::{Run, named};
use crate::history::{Action, Operation, Outcome};

/// For good, where it could be tried again.
const DENIALS: [&str; 4] = [
    "550 5.1.1",
    "550 5.1.2",
    "[NONEXISTENT]",
    "[AUTHENTICATIONFAILED]",
];

pub fn check(run: &Run) -> Vec<String> {
    run.operations.iter().filter_map(wrong).collect()
}

fn wrong(operation: &Operation) -> Option<String> {
    let what = named(operation);
    if let Outcome::Fail(text) = &operation.outcome {
        let is_denied = DENIALS.iter().any(|denial| text.contains(denial));
        let is_wrong = is_denied || text.starts_with("BAD ");
        return is_wrong.then(|| format!("{:?} was answered by {text} ({what})", operation.action));
    }
    let Action::Deliver { to, marker } = &operation.action else {
        return None;
    };
    let stored = operation.stored_in()?;
    let is_elsewhere = stored != to.mailbox();
    is_elsewhere
        .then(|| format!("message {marker} was sent to {to}, and is stored in {stored} ({what})"))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use crate::history::{Outcome, Seen};

    #[test]
    fn what_exists_is_not_denied() {
        let check = |text: &str, words: &[&str]| {
            let history = vec![deliver(1, 2, 10, Outcome::Fail(text.to_owned()))];
            expect(&super::check(&run(history)), words);
        };
        check("451 4.3.0 no quorum", &[]);
        check(
            "not sent: 550 5.1.1 no such recipient",
            &["no such recipient"],
        );
        check("BAD what?", &["BAD what?"]);
    }

    #[test]
    fn a_message_is_stored_where_it_was_sent() {
        let check = |text: &str, words: &[&str]| {
            let outcome = Outcome::Ok(Seen::Text(text.to_owned()));
            expect(&super::check(&run(vec![deliver(1, 2, 10, outcome)])), words);
        };
        check("250 2.0.0 <1.1:2:3:4> stored in in-0", &[]);
        check(
            "250 2.0.0 <1.1:2:3:4> stored in INBOX",
            &["is stored in INBOX"],
        );
    }
}
