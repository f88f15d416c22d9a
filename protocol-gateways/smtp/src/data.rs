//! DATA's transparency (RFC 5321 §4.5.2). Only CR LF ends a line, and only CR LF `.` CR LF ends the message; a bare CR
//! or LF is data. Looser readings let one message smuggle in a second one.

use memchr::memchr;

/// Takes a dot-stuffed message in pieces of any size.
#[derive(Debug)]
pub struct Unstuffer {
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// After CR LF, or at the very start: `.` CR LF here ends the message.
    LineStart,
    /// A dot at the start of a line, not given on yet.
    Dot,
    /// The same and a CR.
    DotCr,
    Mid,
    /// After a CR that was given on.
    Cr,
}

impl Default for Unstuffer {
    fn default() -> Unstuffer {
        Unstuffer {
            state: State::LineStart,
        }
    }
}

impl Unstuffer {
    /// Gives the message's octets to `out`. Returns how many octets of `input` were used and whether the message is
    /// at its end; what follows in `input` then is the next command.
    pub fn push(&mut self, input: &[u8], mut out: impl FnMut(&[u8])) -> (usize, bool) {
        let mut at = 0;
        while let Some(&byte) = input.get(at) {
            at += 1;
            self.state = match (self.state, byte) {
                (State::LineStart, b'.') => State::Dot,
                (State::Dot, b'\r') => State::DotCr,
                (State::DotCr, b'\n') => {
                    self.state = State::LineStart;
                    return (at, true);
                }
                (State::Cr, b'\n') => {
                    out(b"\n");
                    State::LineStart
                }
                (before, _) => {
                    if before == State::DotCr {
                        // The line went on after all: its first dot goes, the CR is data.
                        out(b"\r");
                    }
                    at -= 1;
                    let rest = &input[at..];
                    let run = memchr(b'\r', rest).map_or(rest.len(), |cr| cr + 1);
                    out(&rest[..run]);
                    at += run;
                    if rest[run - 1] == b'\r' {
                        State::Cr
                    } else {
                        State::Mid
                    }
                }
            };
        }
        (at, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gives the message and what is left after its end, or `None` without an end.
    fn unstuff(pieces: &[&[u8]]) -> Option<(Vec<u8>, Vec<u8>)> {
        let mut unstuffer = Unstuffer::default();
        let mut message = Vec::new();
        for (i, piece) in pieces.iter().enumerate() {
            let (used, done) = unstuffer.push(piece, |out| message.extend_from_slice(out));
            if done {
                let rest = [&piece[used..], &pieces[i + 1..].concat()].concat();
                return Some((message, rest));
            }
            assert_eq!(used, piece.len());
        }
        None
    }

    /// Whole, and cut into single octets.
    #[track_caller]
    fn check(wire: &str, expect: Option<(&str, &str)>) {
        let expect = expect.map(|(m, rest)| (m.as_bytes().to_vec(), rest.as_bytes().to_vec()));
        assert_eq!(unstuff(&[wire.as_bytes()]), expect, "{wire:?}");
        let octets: Vec<&[u8]> = wire.as_bytes().chunks(1).collect();
        assert_eq!(unstuff(&octets), expect, "{wire:?} in octets");
    }

    #[test]
    fn only_crlf_dot_crlf_ends_a_message() {
        check("a\n.\nMAIL FROM:<x>\r\n", None);
        check("a\r\n.\nb\r\n", None);
        check("a\n.\r\nb\r\n", None);
        check("a\r.\rb\r\n", None);
        check("a\r\n.\r\r\nb", None);
        check("a\r\n.\r", None);
        check("a\n.\r\n.\r\n", Some(("a\n.\r\n", "")));
        check("a\r\n.\n.\r\n\r\n.\r\n", Some(("a\r\n\n.\r\n\r\n", "")));
        check("a\r.\r\n.\r\n", Some(("a\r.\r\n", "")));
    }

    #[test]
    fn dots_and_ends() {
        check(".\r\n", Some(("", "")));
        check("a\r\n.\r\n", Some(("a\r\n", "")));
        check("a\r\n.\r\nQUIT\r\n", Some(("a\r\n", "QUIT\r\n")));
        check("..\r\n.\r\n", Some((".\r\n", "")));
        check("..a\r\n...\r\n.\r\n", Some((".a\r\n..\r\n", "")));
        check(".a\r\n.\r\n", Some(("a\r\n", "")));
        check("a.\r\n.\r\n", Some(("a.\r\n", "")));
        check(".\rb\r\n.\r\n", Some(("\rb\r\n", "")));
        check(".\r\r\n.\r\n", Some(("\r\r\n", "")));
        check("\r\r\n.\r\n", Some(("\r\r\n", "")));
        check("\0\u{ff}\r\n.\r\n", Some(("\0\u{ff}\r\n", "")));
    }

    /// What a sender does (RFC 5321 §4.5.2), written as plainly as can be.
    fn stuff(message: &[u8]) -> Vec<u8> {
        let mut wire = Vec::new();
        for (i, &byte) in message.iter().enumerate() {
            if byte == b'.' && (i == 0 || message[..i].ends_with(b"\r\n")) {
                wire.push(b'.');
            }
            wire.push(byte);
        }
        wire.extend_from_slice(b".\r\n");
        wire
    }

    fn octets() -> impl Strategy<Value = u8> {
        prop_oneof![Just(b'.'), Just(b'\r'), Just(b'\n'), any::<u8>()]
    }

    proptest! {
        #[test]
        fn what_was_stuffed_comes_out(
            mut message in proptest::collection::vec(octets(), 0..200),
            cuts in proptest::collection::vec(0usize..400, 0..8),
        ) {
            if !message.is_empty() {
                message.extend_from_slice(b"\r\n");
            }
            let mut wire = stuff(&message);
            wire.extend_from_slice(b"NEXT");
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(wire.len())).collect();
            cuts.extend([0, wire.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &wire[w[0]..w[1]]).collect();
            prop_assert_eq!(unstuff(&pieces), Some((message, b"NEXT".to_vec())));
        }
    }
}
