//! Over a pipe, with short waits: bounds in size and in time.

use super::*;
use tokio::io::{DuplexStream, duplex};

impl Socket for DuplexStream {
    fn is_tls(&self) -> bool {
        false
    }

    fn tls_name(&self) -> Option<Arc<str>> {
        None
    }

    fn start_tls(self: Box<Self>, _: TlsServer) -> BoxFuture<'static, io::Result<Box<dyn Socket>>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }
}

/// All of what is sent at once is here by then; an octet a millisecond is not.
const PAUSE: Duration = Duration::from_millis(100);

/// The pipe's own buffer is `pipe` octets.
fn connection(pipe: usize) -> (Connection, DuplexStream) {
    let (ours, theirs) = duplex(pipe);
    let limits = ImapLimits {
        command_pause_max: PAUSE,
        write_pause_max: PAUSE,
        ..ImapLimits::default()
    };
    (Connection::new(Box::new(ours), limits), theirs)
}

#[track_caller]
fn check(line: &str, expect: Option<(u64, bool)>) {
    assert_eq!(literal_head(line.as_bytes()), expect, "{line}");
}

#[test]
fn literal_heads() {
    check("a APPEND x {12}", Some((12, true)));
    check("{0+}", Some((0, false)));
    check("{99999999999999999999999}", Some((u64::MAX, true)));
    check("{}", None);
    check("{+}", None);
    check("{-1}", None);
    check("{1 }", None);
    check("{1", None);
    check("}", None);
    check("é{1}", Some((1, true)));
}

/// What is read of `sent` when no more comes.
async fn read(sent: &str, message_bytes_max: Option<u64>) -> String {
    let (mut connection, mut client) = connection(1024 * 1024);
    client.write_all(sent.as_bytes()).await.unwrap();
    match connection.read_command(message_bytes_max).await {
        Ok(command) => {
            let held: usize = command.literals.iter().map(|(_, b)| b.len()).sum();
            format!("{} and {held}", command.text.len())
        }
        Err(NoCommand::Refused { tag, reply }) => format!("{tag} {reply}"),
        Err(NoCommand::Closed(_)) => "closed".to_owned(),
        Err(NoCommand::TimedOut) => "timed out".to_owned(),
        Err(NoCommand::TooLong) => "too long".to_owned(),
    }
}

#[tokio::test]
async fn commands_are_bounded() {
    let long = "x".repeat(LINE_BYTES_MAX + 1);
    let too_large = "a NO [TOOBIG] the message is larger than this server takes";
    let literal = |bytes: usize| format!("{{{bytes}+}}\r\n{}", "x".repeat(bytes));
    for (sent, expect) in [
        ("a NOOP\r\n".to_owned(), "6 and 0"),
        (long.clone(), "too long"),
        (format!("{long}\r\n"), "too long"),
        // The line goes on behind a literal.
        (format!("a {} {long}\r\n", literal(1)), "too long"),
        ("a NOOP".to_owned(), "timed out"),
        ("a LOGIN {2}\r\nx".to_owned(), "timed out"),
        (format!("a LOGIN x {}\r\n", literal(60_000)), "10 and 60000"),
        (
            "a LOGIN {70000}\r\n".to_owned(),
            "a BAD [TOOBIG] the literal is too large",
        ),
        ("a LOGIN {70000+}\r\n".to_owned(), "too long"),
        // Small ones, but together too large.
        (
            format!("a X {} {{40000}}\r\n", literal(40_000)),
            "a BAD [TOOBIG] the literal is too large",
        ),
        (
            format!("a X{}{{1}}\r\n", literal(0).repeat(LITERALS_MAX)),
            "a BAD too many literals",
        ),
        (
            format!("a APPEND x {}\r\n", literal(100_000)),
            "11 and 100000",
        ),
        ("a APPEND x {100001}\r\n".to_owned(), too_large),
        // One message, and a name of a mailbox; not two messages.
        (
            format!("a APPEND {} {}\r\n", literal(5), literal(100_000)),
            "10 and 100005",
        ),
        (
            format!("a APPEND x {} {{100000}}\r\n", literal(100_000)),
            too_large,
        ),
        (
            "a APPEND x {99999999999999999999999}\r\n".to_owned(),
            too_large,
        ),
    ] {
        assert_eq!(read(&sent, Some(100_000)).await, expect, "{:.40}", sent);
    }
}

/// Thousands of them may be there.
#[tokio::test]
async fn strangers_are_bounded_more_tightly() {
    let long = "x".repeat(STRANGER_LINE_BYTES_MAX);
    let literal = |bytes: usize| format!("{{{bytes}+}}\r\n{}", "x".repeat(bytes));
    for (sent, expect) in [
        (
            format!("a LOGIN {} {}\r\n", literal(100), literal(100)),
            "9 and 200",
        ),
        (format!("a {long}\r\n"), "too long"),
        (format!("a LOGIN {}", literal(5_000)), "too long"),
        (
            "a LOGIN {5000}\r\n".to_owned(),
            "a BAD [TOOBIG] the literal is too large",
        ),
        (
            "a APPEND x {5000}\r\n".to_owned(),
            "a NO [TOOBIG] the message is larger than this server takes",
        ),
    ] {
        assert_eq!(read(&sent, None).await, expect, "{sent:.40}");
    }
}

/// An octet now and then does not keep a command alive.
#[tokio::test]
async fn slow_writers_run_out_of_time() {
    for begin in ["a NOOP", "a APPEND x {90000}\r\n"] {
        let (mut connection, mut client) = connection(1024);
        client.write_all(begin.as_bytes()).await.unwrap();
        let drip = tokio::spawn(async move {
            let mut tick = tokio::time::interval(Duration::from_millis(1));
            while client.write_all(b"x").await.is_ok() {
                tick.tick().await;
            }
        });
        let end = connection.read_command(Some(100_000)).await;
        assert!(matches!(end, Err(NoCommand::TimedOut)), "{end:?}");
        drop(connection);
        drip.await.unwrap();
    }
}

#[tokio::test]
async fn slow_readers_run_out_of_time() {
    let (mut connection, _client) = connection(1024);
    let answer = Bytes::from(vec![b'x'; 10 * OUT_BYTES]);
    let end = connection.write_bytes(&answer).await;
    assert_eq!(end.map_err(|e| e.kind()), Err(io::ErrorKind::TimedOut));
    assert!(connection.out.len() <= OUT_BYTES, "nothing piles up");
    // And the goodbye waits no longer.
    connection.close(Some("* BYE")).await;
}

/// A client that is still sending gets the goodbye: its octets are read and thrown away.
#[tokio::test]
async fn a_goodbye_reaches_who_is_still_sending() {
    let (connection, mut client) = connection(1024);
    let closing = tokio::spawn(connection.close(Some("* BYE [TOOBIG] too long")));
    client.write_all(&[b'x'; 100_000]).await.unwrap();
    let mut said = String::new();
    client.read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "* BYE [TOOBIG] too long\r\n");
    drop(client);
    closing.await.unwrap();
}
