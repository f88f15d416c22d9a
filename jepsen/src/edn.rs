//! Histories as Jepsen's EDN: one map a line, each operation by its invocation and its completion.

use crate::history::{Action, Fault, Operation, Outcome, Seen};
use std::fmt::Write;

/// All lines, in the order of time.
pub fn write(operations: &[Operation], faults: &[Fault]) -> String {
    let mut lines: Vec<(u64, String)> = Vec::new();
    for operation in operations {
        let head = format!(":process {}", operation.process);
        let (name, asked) = action(&operation.action);
        let invoke = format!("{head} :type :invoke :f :{name} :value {asked}");
        lines.push((operation.begin_ns, invoke));
        lines.push((operation.end_ns, completion(operation, &head)));
    }
    for fault in faults {
        for (time, kind) in [(fault.begin_ns, "begin"), (fault.end_ns, "end")] {
            let text = string(&format!("{kind}: {}", fault.text));
            lines.push((
                time,
                format!(
                    ":process :nemesis :type :info :f :{} :value {text}",
                    fault.name
                ),
            ));
        }
    }
    lines.sort_by_key(|(time, _)| *time);
    let mut out = String::new();
    for (index, (time, line)) in lines.iter().enumerate() {
        // Writing to a String does not fail.
        let _ = writeln!(out, "{{:index {index} :time {time} {line}}}");
    }
    out
}

fn completion(operation: &Operation, head: &str) -> String {
    let (name, asked) = action(&operation.action);
    let kind = operation.outcome.name();
    let mut line = format!("{head} :type :{kind} :f :{name} :value ");
    match &operation.outcome {
        Outcome::Ok(seen) => line += &answered(&asked, seen),
        Outcome::Fail(error) | Outcome::Info(error) => {
            line += &format!("{asked} :error {}", string(error));
        }
    }
    if operation.stale {
        line += " :stale true";
    }
    line + &format!(" :node {} :session {}", operation.node, operation.session)
}

/// Name and value of the invocation.
fn action(action: &Action) -> (&'static str, String) {
    match action {
        Action::Deliver { to, marker } => ("deliver", format!("[{} {marker}]", string(&to.0))),
        Action::Append { to, marker } => ("append", format!("[{} {marker}]", string(&to.0))),
        Action::Copy { from, to, marker } => ("copy", two_places(&from.0, &to.0, *marker)),
        Action::Move { from, to, marker } => ("move", two_places(&from.0, &to.0, *marker)),
        Action::Expunge { from, marker } => ("expunge", format!("[{} {marker}]", string(&from.0))),
        Action::Write {
            of,
            register,
            value,
        } => ("write", format!("[{} {register} {value}]", string(&of.0))),
        Action::ReadRegisters { of } => ("read-registers", format!("[{} nil]", string(&of.0))),
        Action::Read { of, last: false } => ("read", format!("[{} nil]", string(&of.0))),
        Action::Read { of, last: true } => ("final-read", format!("[{} nil]", string(&of.0))),
    }
}

fn two_places(from: &str, to: &str, marker: u64) -> String {
    format!("[{} {} {marker}]", string(from), string(to))
}

fn answered(asked: &str, seen: &Seen) -> String {
    let pairs = |rows: &mut dyn Iterator<Item = String>| rows.collect::<Vec<_>>().join(" ");
    match seen {
        Seen::Text(text) => format!("{asked} :text {}", string(text)),
        Seen::At(at) => format!("{asked} :uid [{} {}]", at.validity, at.uid),
        Seen::Nothing => format!("{asked} :uid nil"),
        Seen::Registers(values) => {
            let rows = pairs(
                &mut values
                    .iter()
                    .map(|(register, value)| format!("{register} {value}")),
            );
            asked.replace(" nil]", &format!(" {{{rows}}}]"))
        }
        Seen::Listing(listing) => {
            let rows = pairs(
                &mut listing
                    .rows
                    .iter()
                    .map(|(uid, marker)| format!("[{uid} {marker}]")),
            );
            let head = format!(
                ":uid-validity {} :uid-next {} :mod-seq {} :exists {}",
                listing.validity, listing.uid_next, listing.mod_seq, listing.exists
            );
            asked.replace(" nil]", &format!(" [{rows}]] {head}"))
        }
    }
}

/// A string literal of EDN.
pub fn string(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out += "\\n",
            '\r' => out += "\\r",
            '\t' => out += "\\t",
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Listing, Place};

    #[test]
    fn operations_are_written_by_time() {
        let of = Place::new("a", "in");
        let operation = |begin_ns, end_ns, action, outcome| Operation {
            client: 3,
            process: 3,
            session: 9,
            node: 1,
            begin_ns,
            end_ns,
            action,
            outcome,
            stale: false,
        };
        let deliver = Action::Deliver {
            to: of.clone(),
            marker: 5,
        };
        let listing = Listing {
            validity: 7,
            uid_next: 2,
            mod_seq: 4,
            exists: 1,
            rows: vec![(1, 5)],
        };
        let operations = [
            operation(10, 30, deliver, Outcome::Info("gone \"away\"".to_owned())),
            operation(
                20,
                25,
                Action::Read { of, last: false },
                Outcome::Ok(Seen::Listing(listing)),
            ),
        ];
        let fault = Fault {
            name: "kill",
            text: "node 1".to_owned(),
            was_in_sync: false,
            begin_ns: 5,
            end_ns: 40,
        };
        let expect = r#"{:index 0 :time 5 :process :nemesis :type :info :f :kill :value "begin: node 1"}
{:index 1 :time 10 :process 3 :type :invoke :f :deliver :value ["a/in" 5]}
{:index 2 :time 20 :process 3 :type :invoke :f :read :value ["a/in" nil]}
{:index 3 :time 25 :process 3 :type :ok :f :read :value ["a/in" [[1 5]]] :uid-validity 7 :uid-next 2 :mod-seq 4 :exists 1 :node 1 :session 9}
{:index 4 :time 30 :process 3 :type :info :f :deliver :value ["a/in" 5] :error "gone \"away\"" :node 1 :session 9}
{:index 5 :time 40 :process :nemesis :type :info :f :kill :value "end: node 1"}
"#;
        assert_eq!(write(&operations, &[fault]), expect);
    }
}
