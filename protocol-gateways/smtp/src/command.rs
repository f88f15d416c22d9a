//! LMTP's commands (RFC 2033, RFC 5321 §4.1.1, RFC 3030) from a line without its CRLF.

use crate::path::{parameters, split_path};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Lhlo(String),
    /// HELO or EHLO: this is not SMTP.
    Helo,
    Mail(MailFrom),
    /// The address as given; never empty.
    Rcpt(String),
    Data,
    Bdat {
        size: u64,
        last: bool,
    },
    Rset,
    Noop,
    Vrfy,
    StartTls,
    Quit,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailFrom {
    /// Empty for a bounce.
    pub sender: String,
    /// RFC 1870: what the sender thinks.
    pub size: Option<u64>,
    /// RFC 6531.
    pub smtputf8: bool,
}

/// What is wrong with a line. All but `BadChunk` leave the session in step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyntaxError {
    /// Control characters, or not UTF-8.
    NotText,
    Unknown,
    Arguments,
    SenderPath,
    RecipientPath,
    Parameter,
    ParameterValue,
    /// BDAT without a readable size: where the next command begins cannot be known.
    BadChunk,
}

pub fn parse(line: &[u8]) -> Result<Command, SyntaxError> {
    let text = std::str::from_utf8(line).map_err(|_| SyntaxError::NotText)?;
    if text.chars().any(char::is_control) {
        return Err(SyntaxError::NotText);
    }
    let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
    let rest = rest.trim();
    match verb.to_ascii_uppercase().as_str() {
        "LHLO" if !rest.is_empty() => Ok(Command::Lhlo(rest.to_owned())),
        "LHLO" => Err(SyntaxError::Arguments),
        "HELO" | "EHLO" => Ok(Command::Helo),
        "MAIL" => mail(rest).map(Command::Mail),
        "RCPT" => rcpt(rest).map(Command::Rcpt),
        "DATA" => bare(rest, Command::Data),
        "BDAT" => bdat(rest),
        "RSET" => bare(rest, Command::Rset),
        "NOOP" => Ok(Command::Noop),
        "VRFY" => Ok(Command::Vrfy),
        "STARTTLS" => bare(rest, Command::StartTls),
        "QUIT" => bare(rest, Command::Quit),
        _ => Err(SyntaxError::Unknown),
    }
}

fn bare(rest: &str, command: Command) -> Result<Command, SyntaxError> {
    if rest.is_empty() {
        Ok(command)
    } else {
        Err(SyntaxError::Arguments)
    }
}

/// `FROM:` or `TO:` in any case; a space after it is not allowed but met in the wild.
fn after_keyword<'a>(rest: &'a str, keyword: &str) -> Option<&'a str> {
    let (head, tail) = rest.split_at_checked(keyword.len())?;
    head.eq_ignore_ascii_case(keyword)
        .then(|| tail.trim_start())
}

fn mail(rest: &str) -> Result<MailFrom, SyntaxError> {
    let path = after_keyword(rest, "FROM:").ok_or(SyntaxError::Arguments)?;
    let (sender, rest) = split_path(path).ok_or(SyntaxError::SenderPath)?;
    let mut mail = MailFrom {
        sender,
        ..MailFrom::default()
    };
    for (key, value) in parameters(rest) {
        match (key.as_str(), value) {
            // RFC 1870 §6: up to 20 digits.
            ("SIZE", Some(value)) => {
                mail.size = Some(decimal(value).ok_or(SyntaxError::ParameterValue)?);
            }
            // RFC 6152. Content is taken as it is, whatever is said here.
            ("BODY", Some(value))
                if value.eq_ignore_ascii_case("7BIT") || value.eq_ignore_ascii_case("8BITMIME") => {
            }
            ("SMTPUTF8", None) => mail.smtputf8 = true,
            ("SIZE" | "BODY" | "SMTPUTF8", _) => return Err(SyntaxError::ParameterValue),
            _ => return Err(SyntaxError::Parameter),
        }
    }
    Ok(mail)
}

fn rcpt(rest: &str) -> Result<String, SyntaxError> {
    let path = after_keyword(rest, "TO:").ok_or(SyntaxError::Arguments)?;
    let (address, rest) = split_path(path).ok_or(SyntaxError::RecipientPath)?;
    if address.is_empty() {
        return Err(SyntaxError::RecipientPath);
    }
    if !rest.is_empty() {
        return Err(SyntaxError::Parameter);
    }
    Ok(address)
}

/// RFC 3030 §2: `BDAT size [LAST]`.
fn bdat(rest: &str) -> Result<Command, SyntaxError> {
    let mut words = rest.split_ascii_whitespace();
    let size = words
        .next()
        .and_then(decimal)
        .ok_or(SyntaxError::BadChunk)?;
    let last = match words.next() {
        None => false,
        Some(word) if word.eq_ignore_ascii_case("LAST") => true,
        Some(_) => return Err(SyntaxError::BadChunk),
    };
    match words.next() {
        None => Ok(Command::Bdat { size, last }),
        Some(_) => Err(SyntaxError::BadChunk),
    }
}

/// Digits only: `parse` alone would take a sign too.
fn decimal(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(line: &str, expect: &str) {
        let shown = match parse(line.as_bytes()) {
            Ok(command) => format!("{command:?}"),
            Err(error) => format!("{error:?}"),
        };
        assert_eq!(shown, expect, "{line:?}");
    }

    #[test]
    fn simple_commands() {
        check("LHLO mx.example.org", "Lhlo(\"mx.example.org\")");
        check("lhlo [IPv6:::1]", "Lhlo(\"[IPv6:::1]\")");
        check("LHLO", "Arguments");
        check("LHLO ", "Arguments");
        check("HELO x", "Helo");
        check("EHLO", "Helo");
        check("DATA", "Data");
        check("data ", "Data");
        check("DATA x", "Arguments");
        check("RSET", "Rset");
        check("NOOP whatever", "Noop");
        check("VRFY alice", "Vrfy");
        check("STARTTLS", "StartTls");
        check("STARTTLS now", "Arguments");
        check("QUIT", "Quit");
        check("", "Unknown");
        check("DATAX", "Unknown");
        check(" DATA", "Unknown");
        check("NOOP\r", "NotText");
        check("NOOP \0", "NotText");
        check("NO\tOP", "NotText");
        assert_eq!(parse(b"NOOP \xff"), Err(SyntaxError::NotText));
    }

    #[test]
    fn mail_and_rcpt() {
        let mail = |sender: &str, size: &str, utf8: bool| {
            format!("Mail(MailFrom {{ sender: {sender:?}, size: {size}, smtputf8: {utf8} }})")
        };
        check("MAIL FROM:<a@b>", &mail("a@b", "None", false));
        check("mail from: <a@b>", &mail("a@b", "None", false));
        check(
            "MAIL FROM:<> BODY=8BITMIME size=10",
            &mail("", "Some(10)", false),
        );
        check("MAIL FROM:<a@b> SMTPUTF8", &mail("a@b", "None", true));
        check("MAIL FROM:<a@b> BODY=7bit", &mail("a@b", "None", false));
        check("MAIL FROM:<a@b> BODY=BINARYMIME", "ParameterValue");
        check("MAIL FROM:<a@b> SIZE=", "ParameterValue");
        check("MAIL FROM:<a@b> SIZE=+1", "ParameterValue");
        check(
            "MAIL FROM:<a@b> SIZE=99999999999999999999",
            "ParameterValue",
        );
        check("MAIL FROM:<a@b> SMTPUTF8=1", "ParameterValue");
        check("MAIL FROM:<a@b> RET=FULL", "Parameter");
        check("MAIL FROM:a@b", "SenderPath");
        check("MAIL TO:<a@b>", "Arguments");
        check("MAIL", "Arguments");
        check("MAIL ÄÄÄ", "Arguments");
        check("RCPT TO:<a@b>", "Rcpt(\"a@b\")");
        check("RCPT TO:<>", "RecipientPath");
        check("RCPT TO:<a@b", "RecipientPath");
        check("RCPT TO:<a@b> NOTIFY=NEVER", "Parameter");
        check("RCPT FROM:<a@b>", "Arguments");
    }

    #[test]
    fn bdat() {
        check("BDAT 0", "Bdat { size: 0, last: false }");
        check("bdat 12 last", "Bdat { size: 12, last: true }");
        check("BDAT", "BadChunk");
        check("BDAT -1", "BadChunk");
        check("BDAT +1", "BadChunk");
        check("BDAT 1 LAST x", "BadChunk");
        check("BDAT 1 FIRST", "BadChunk");
        check(
            "BDAT 18446744073709551615",
            "Bdat { size: 18446744073709551615, last: false }",
        );
        check("BDAT 18446744073709551616", "BadChunk");
    }

    proptest! {
        #[test]
        fn no_line_panics(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&line);
            let _ = parse(&[b"MAIL FROM:".as_slice(), &line].concat());
            let _ = parse(&[b"RCPT TO:".as_slice(), &line].concat());
            let _ = parse(&[b"BDAT ".as_slice(), &line].concat());
        }
    }
}
