//! What becomes of a message: the reply, what the service is told, and the log line.

use super::dialogue::{config, start, talk};
use super::stand_in::StandIn;
use crate::LmtpConfig;
use std::io::Write;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn deliver_to(config: LmtpConfig, local: &str) -> String {
    let sent = format!(
        "LHLO peer\r\nMAIL FROM:<s@x>\r\nRCPT TO:<{local}@x>\r\nDATA\r\nm\r\n.\r\nQUIT\r\n"
    );
    let (said, _) = talk(config, sent.as_bytes()).await;
    // The reply of RCPT where it was refused, otherwise that after the data.
    let lines: Vec<&str> = said.split_terminator("\r\n").skip(9).collect();
    match lines.as_slice() {
        ["250 2.1.5 recipient OK", _, reply, "221 2.0.0 bye"] => (*reply).to_owned(),
        [reply, "503 5.5.1 no valid recipients", ..] => format!("at RCPT: {reply}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn replies() {
    for (local, expect) in [
        ("alice", "250 2.0.0 <c.1:1:1:1> sites=a,b stored in INBOX"),
        (
            "folder",
            "250 2.0.0 <c.1:1:1:1> sites=a,b stored in Entw\\u{fc}rfe",
        ),
        ("unknown-outcome", "451 4.4.2 outcome unknown"),
        (
            "unavailable",
            "451 4.4.1 temporarily unavailable: no majority",
        ),
        ("overquota", "552 5.2.2 the mailbox is over quota"),
        (
            "toobig",
            "552 5.3.4 the message is larger than this server takes",
        ),
        ("nul", "550 5.6.0 the message holds a NUL octet"),
        ("damaged", "451 4.3.0 stored data cannot be read"),
        (
            "locked",
            "452 4.2.1 the mailbox takes no mail now, try again later",
        ),
        ("gone", "550 5.1.1 no such recipient"),
        (
            "alice&folder",
            "250 2.0.0 <c.1:1:1:1> sites=a,b stored in INBOX and for 1 other account",
        ),
        (
            "folder&alice&bob",
            "250 2.0.0 <c.1:1:1:1> sites=a,b stored in Entw\\u{fc}rfe and for 2 other accounts",
        ),
        ("alice&overquota", "552 5.2.2 the mailbox is over quota"),
        (
            "overquota&alice&unavailable",
            "451 4.4.1 temporarily unavailable: no majority",
        ),
        ("alice&unknown-outcome", "451 4.4.2 outcome unknown"),
        (
            "postmaster",
            "at RCPT: 550 5.1.1 this server has no postmaster address: name a domain",
        ),
        ("nobody", "at RCPT: 550 5.1.1 no such recipient"),
        (
            "refused",
            "at RCPT: 550 5.7.1 moved\\u{d}\\u{a}250 no \\u{e9}",
        ),
        (
            "deferred",
            "at RCPT: 452 4.2.1 the mailbox takes no mail now, try again later",
        ),
        ("full", "at RCPT: 552 5.2.2 the mailbox is over quota"),
        ("down", "at RCPT: 451 4.4.1 the directory is not available"),
    ] {
        assert_eq!(deliver_to(config(), local).await, expect, "{local}");
    }
    let tempfail = || LmtpConfig {
        quota_tempfail: true,
        ..config()
    };
    for (local, expect) in [
        ("overquota", "452 4.2.2 the mailbox is over quota"),
        ("full", "at RCPT: 452 4.2.2 the mailbox is over quota"),
    ] {
        assert_eq!(deliver_to(tempfail(), local).await, expect, "{local}");
    }
}

#[tokio::test]
async fn the_service_is_told_who_sent_what() {
    let sent = "LHLO mta.example.net\r\nMAIL FROM:<> SMTPUTF8\r\nRCPT TO:<alice@x>\r\nRCPT TO:<Bob@x>\r\n\
                RCPT TO:<bob@x>\r\nDATA\r\nm\r\n.\r\n";
    let (_, deliveries) = talk(config(), sent.as_bytes()).await;
    let [delivery] = deliveries.as_slice() else {
        panic!("{deliveries:?}");
    };
    let recipients: Vec<&str> = delivery.recipients.iter().map(|r| &*r.as_given).collect();
    assert_eq!(recipients, ["alice@x", "bob@x"]);
    assert_eq!(
        (&*delivery.sender, &*delivery.helo, delivery.with),
        ("", "mta.example.net", "UTF8LMTP")
    );
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn logged(sent: &str) -> Vec<String> {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .without_time()
        .with_target(false)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    talk(config(), sent.as_bytes()).await;
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    text.lines().map(|line| line.trim().to_owned()).collect()
}

/// The field names are fixed in `docs/protocols/logs.md`.
#[tokio::test]
async fn one_log_line_per_outcome() {
    let sent = "LHLO peer\r\nMAIL FROM:<s@x>\r\nRCPT TO:<alice@x>\r\nRCPT TO:<nobody@x>\r\n\
                RCPT TO:<overquota@x>\r\nDATA\r\nMessage-ID: <a@b>\r\n\r\n.\r\n";
    let lines = logged(sent).await;
    assert_eq!(
        lines,
        [
            "INFO recipient refused sender=\"s@x\" recipient=\"nobody@x\" peer=127.0.0.1 session=\"1.1\" \
             reply=\"550 5.1.1 no such recipient\"",
            "INFO delivery receipt=\"<c.1:1:1:1>\" message_id=\"<a@b>\" sender=\"s@x\" recipient=\"alice@x\" \
             account=\"alice@x\" mailbox=\"INBOX\" size=21 peer=127.0.0.1 session=\"1.1\" \
             reply=\"250 2.0.0 <c.1:1:1:1> sites=a,b stored in INBOX\"",
            "INFO delivery message_id=\"<a@b>\" sender=\"s@x\" recipient=\"overquota@x\" account=\"overquota@x\" \
             size=21 peer=127.0.0.1 session=\"1.1\" reply=\"552 5.2.2 the mailbox is over quota\"",
        ]
    );
}

/// Each account that an address's mail goes to has a line of its own, with the one reply.
#[tokio::test]
async fn one_log_line_per_target() {
    let sent = "LHLO peer\r\nMAIL FROM:<s@x>\r\nRCPT TO:<alice&overquota@x>\r\nDATA\r\nm\r\n.\r\n";
    let lines = logged(sent).await;
    assert_eq!(
        lines,
        [
            "INFO delivery receipt=\"<c.1:1:1:1>\" message_id=\"\" sender=\"s@x\" recipient=\"alice&overquota@x\" \
             account=\"alice@x\" mailbox=\"INBOX\" size=3 peer=127.0.0.1 session=\"1.1\" \
             reply=\"552 5.2.2 the mailbox is over quota\"",
            "INFO delivery message_id=\"\" sender=\"s@x\" recipient=\"alice&overquota@x\" account=\"overquota@x\" \
             size=3 peer=127.0.0.1 session=\"1.1\" reply=\"552 5.2.2 the mailbox is over quota\"",
        ]
    );
}

/// A peer that waits for each reply gets it: none is held back for want of more input.
#[tokio::test]
async fn a_peer_that_does_not_pipeline_is_answered_at_once() {
    let server = start(Arc::new(StandIn::default()), config()).await;
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    for (sent, last) in [
        ("", "220 mx.example.org LMTP ready\r\n"),
        ("LHLO peer\r\n", "250 ENHANCEDSTATUSCODES\r\n"),
        ("MAIL FROM:<s@x>\r\n", "250 2.1.0 sender OK\r\n"),
        ("RCPT TO:<alice@x>\r\n", "250 2.1.5 recipient OK\r\n"),
        ("DATA\r\n", "single dot\r\n"),
        ("m\r\n.\r\n", "stored in INBOX\r\n"),
        ("QUIT\r\n", "221 2.0.0 bye\r\n"),
    ] {
        socket.write_all(sent.as_bytes()).await.unwrap();
        let mut said = Vec::new();
        while !said.ends_with(last.as_bytes()) {
            said.push(socket.read_u8().await.unwrap());
        }
    }
}
