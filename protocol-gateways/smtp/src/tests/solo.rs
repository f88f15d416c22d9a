//! Over a real service with real shards: what got a `250` is there, octet for octet.

use super::dialogue::{codes, config, send_all, start};
use engine_service::{Mail, Peer, Principal};
use engine_types::{MailboxName, UidSet};
use std::sync::Arc;
use testkit::{DEMO_PASSWORD, solo_service};

fn reader() -> Peer {
    Peer {
        session: "test".into(),
        address: std::net::Ipv4Addr::LOCALHOST.into(),
        tls: None,
        protocol: "imap",
    }
}

/// All messages of an account's INBOX, as clients see them.
async fn inbox(mail: &Arc<dyn Mail>, name: &str) -> Vec<Vec<u8>> {
    let who: Principal = mail.login(&reader(), name, DEMO_PASSWORD).await.unwrap();
    let opened = mail
        .open_mailbox(&who, &MailboxName::inbox())
        .await
        .unwrap();
    let rows = mail
        .messages(&who, opened.status.id, &UidSet::all())
        .unwrap();
    let mut messages = Vec::new();
    for row in rows {
        let content = mail.content(&row.body).await.unwrap();
        assert_eq!(
            row.size,
            content.trace.len() as u64 + content.message.len,
            "RFC822.SIZE counts both"
        );
        messages.push([&content.trace[..], &content.message.to_bytes()].concat());
    }
    messages
}

#[tokio::test]
async fn what_got_a_250_is_there() {
    let mail: Arc<dyn Mail> = solo_service();
    let server = start(mail.clone(), config()).await;
    let message = "Message-ID: <a@b>\r\nSubject: t\r\n\r\n.dot\r\nbare\rcr and\nlf \u{e9}\r\n";
    let stuffed = message.replace("\r\n.", "\r\n..");
    let sent = format!(
        "LHLO mta.example.net\r\nMAIL FROM:<s@example.net>\r\nRCPT TO:<alice@example.org>\r\n\
         RCPT TO:<Bob+lists@Example.org>\r\nRCPT TO:<nobody@example.org>\r\nDATA\r\n{stuffed}.\r\n\
         MAIL FROM:<>\r\nRCPT TO:<alice@example.org>\r\nBDAT {} LAST\r\n{message}\
         MAIL FROM:<>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\nnul \0\r\n.\r\nQUIT\r\n",
        message.len()
    );
    let said = send_all(&server, sent.as_bytes()).await;
    assert_eq!(
        codes(&said),
        "250, 250 2.1.0, 250 2.1.5, 250 2.1.5, 550 5.1.1, 354, 250 2.0.0, 250 2.0.0, \
         250 2.1.0, 250 2.1.5, 250 2.0.0, 250 2.1.0, 250 2.1.5, 354, 550 5.6.0, 221 2.0.0",
        "{said}"
    );
    for (name, count, as_given) in [
        ("alice@example.org", 2, "alice@example.org"),
        ("bob@example.org", 1, "Bob+lists@Example.org"),
        ("carol@example.org", 0, ""),
    ] {
        let messages = inbox(&mail, name).await;
        assert_eq!(messages.len(), count, "{name}");
        for shown in &messages {
            let trace = shown.strip_suffix(message.as_bytes()).unwrap();
            let trace = std::str::from_utf8(trace).unwrap();
            assert!(trace.contains(as_given), "{trace}");
            assert!(trace.contains("mta.example.net"), "{trace}");
        }
    }
}
