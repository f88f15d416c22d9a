//! What is said, and in which order.

use super::stand_in::{MESSAGE_BYTES_MAX, StandIn};
use crate::limits::{ERRORS_MAX, LINE_BYTES_MAX, LINE_SWALLOW_BYTES_MAX, MEMORY_STEP_BYTES};
use crate::{BUSY_LINE, LmtpConfig, LmtpLimits, MessageMemory, serve_lmtp};
use engine_service::{Delivery, Mail};
use gateway_session::{ListenerConfig, Sessions, serve};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub struct Server {
    pub address: std::net::SocketAddr,
    pub sessions: Sessions,
    pub stop: watch::Sender<bool>,
}

pub async fn start(mail: Arc<dyn Mail>, config: LmtpConfig) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, shutdown) = watch::channel(false);
    let sessions = Sessions::new(1);
    let config = Arc::new(config);
    let watched = shutdown.clone();
    let handler = move |stream, peer, session| {
        let (mail, config) = (mail.clone(), config.clone());
        serve_lmtp(stream, peer, session, mail, config, watched.clone())
    };
    let listener_config = ListenerConfig::plain("lmtp", BUSY_LINE);
    tokio::spawn(serve(
        listener,
        listener_config,
        sessions.clone(),
        shutdown,
        handler,
    ));
    Server {
        address,
        sessions,
        stop,
    }
}

pub fn config() -> LmtpConfig {
    LmtpConfig {
        hostname: "mx.example.org".to_owned(),
        quota_tempfail: false,
        tls: None,
        limits: LmtpLimits::default(),
    }
}

/// Sends all at once and reads until the server closes: pipelining as hard as it gets.
pub async fn send_all(server: &Server, sent: &[u8]) -> String {
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    let (mut reader, mut writer) = socket.split();
    let mut said = Vec::new();
    let send = async {
        // The server may close before it has read all; what it said is what counts.
        let _ = writer.write_all(sent).await;
        let _ = writer.shutdown().await;
    };
    // A reset comes after the server's last words where it closed with our octets unread.
    let (_, _) = tokio::join!(send, reader.read_to_end(&mut said));
    String::from_utf8(said).unwrap()
}

/// The same with a stand-in; what was said and what was delivered.
pub async fn talk(config: LmtpConfig, sent: &[u8]) -> (String, Vec<Delivery>) {
    let stand_in = Arc::new(StandIn::default());
    let server = start(stand_in.clone(), config).await;
    let said = send_all(&server, sent).await;
    let deliveries = std::mem::take(&mut *stand_in.deliveries.lock().unwrap());
    (said, deliveries)
}

/// Codes of the replies after the greeting, the lines of one reply as one: `250 250 354 250 221`.
pub fn codes(said: &str) -> String {
    let lines = said.split_terminator("\r\n").skip(1);
    let last_lines = lines.filter(|line| line.as_bytes().get(3) == Some(&b' '));
    last_lines
        .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "))
        .map(|head| match head.split_once(' ') {
            Some((code, enhanced)) if enhanced.contains('.') => format!("{code} {enhanced}"),
            _ => head[..3].to_owned(),
        })
        .collect::<Vec<_>>()
        .join(", ")
}

const OPEN: &str = "LHLO peer\r\nMAIL FROM:<s@x>\r\n";
const OPENED: &str = "250, 250 2.1.0, ";

/// Runs `sent` after LHLO and MAIL; the codes, and the messages that were delivered.
#[track_caller]
fn check(sent: impl AsRef<[u8]>, expect: &str, messages: &[&[u8]]) {
    check_with(config(), sent, expect, messages);
}

#[track_caller]
fn check_with(config: LmtpConfig, sent: impl AsRef<[u8]>, expect: &str, messages: &[&[u8]]) {
    let all = [OPEN.as_bytes(), sent.as_ref()].concat();
    let (said, deliveries) = run(talk(config, &all));
    let delivered: Vec<&[u8]> = deliveries.iter().map(|d| &*d.message).collect();
    let shown = String::from_utf8_lossy(&all[..all.len().min(300)]).into_owned();
    assert_eq!(codes(&said), format!("{OPENED}{expect}"), "{shown}");
    assert!(delivered == messages, "{shown}");
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

#[test]
fn what_is_delivered_is_what_was_sent() {
    let binary: Vec<u8> = (0..=255u8)
        .filter(|&b| b != b'.')
        .cycle()
        .take(3_000)
        .collect();
    let as_data = [
        b"RCPT TO:<alice@x>\r\nDATA\r\n",
        &binary[..],
        b"\r\n.\r\nQUIT\r\n",
    ]
    .concat();
    let stored = [&binary[..], b"\r\n"].concat();
    check(&as_data, "250 2.1.5, 354, 250 2.0.0, 221 2.0.0", &[&stored]);
    let as_chunk = [
        b"RCPT TO:<alice@x>\r\nBDAT 3000 LAST\r\n",
        &binary[..],
        b"QUIT\r\n",
    ]
    .concat();
    check(&as_chunk, "250 2.1.5, 250 2.0.0, 221 2.0.0", &[&binary]);
}

#[test]
fn an_unclosed_message_is_never_delivered() {
    check(
        "RCPT TO:<alice@x>\r\nDATA\r\nhalf\r\n",
        "250 2.1.5, 354",
        &[],
    );
    check(
        "RCPT TO:<alice@x>\r\nDATA\r\nhalf\r\n.",
        "250 2.1.5, 354",
        &[],
    );
    check("RCPT TO:<alice@x>\r\nBDAT 5 LAST\r\nhalf", "250 2.1.5", &[]);
    check(
        "RCPT TO:<alice@x>\r\nBDAT 4\r\nhalf",
        "250 2.1.5, 250 2.0.0",
        &[],
    );
}

#[test]
fn nothing_is_smuggled_behind_a_bare_line_feed() {
    let hidden = "a\n.\r\nMAIL FROM:<evil@x>\r\n";
    check(
        format!("RCPT TO:<alice@x>\r\nDATA\r\n{hidden}.\r\n"),
        "250 2.1.5, 354, 250 2.0.0",
        &[hidden.as_bytes()],
    );
    check("RCPT TO:<alice@x>\nNOOP\r\n", "500 5.5.2, 250 2.0.0", &[]);
}

#[test]
fn a_reply_for_each_accepted_recipient() {
    check(
        "RCPT TO:<alice@x>\r\nRCPT TO:<nobody@x>\r\nRCPT TO:<overquota@x>\r\nRCPT TO:<bob@x>\r\n\
         DATA\r\nm\r\n.\r\nNOOP\r\n",
        "250 2.1.5, 550 5.1.1, 250 2.1.5, 250 2.1.5, 354, 250 2.0.0, 552 5.2.2, 250 2.0.0, 250 2.0.0",
        &[b"m\r\n"],
    );
}

#[test]
fn order_of_commands() {
    let (said, _) = run(talk(
        config(),
        b"MAIL FROM:<a@b>\r\nRCPT TO:<alice@x>\r\nDATA\r\nHELO x\r\nEHLO x\r\nLHLO\r\nQUIT\r\n",
    ));
    assert_eq!(
        codes(&said),
        "503 5.5.1, 503 5.5.1, 503 5.5.1, 500 5.5.1, 500 5.5.1, 501 5.5.4, 221 2.0.0"
    );
    check("MAIL FROM:<b@x>\r\n", "503 5.5.1", &[]);
    check("DATA\r\n", "503 5.5.1", &[]);
    check(
        "RCPT TO:<nobody@x>\r\nDATA\r\n",
        "550 5.1.1, 503 5.5.1",
        &[],
    );
    check("RSET\r\nRCPT TO:<alice@x>\r\n", "250 2.0.0, 503 5.5.1", &[]);
    check("LHLO again\r\nRCPT TO:<alice@x>\r\n", "250, 503 5.5.1", &[]);
    check(
        "NOOP\r\nVRFY alice\r\nSTARTTLS\r\nXYZ\r\n",
        "250 2.0.0, 252 2.5.0, 502 5.5.1, 500 5.5.1",
        &[],
    );
    check(
        "RCPT TO:<alice@x>\r\nDATA\r\n1\r\n.\r\nRCPT TO:<alice@x>\r\nMAIL FROM:<>\r\n\
         RCPT TO:<bob@x>\r\nDATA\r\n2\r\n.\r\nQUIT\r\nNOOP\r\n",
        "250 2.1.5, 354, 250 2.0.0, 503 5.5.1, 250 2.1.0, 250 2.1.5, 354, 250 2.0.0, 221 2.0.0",
        &[b"1\r\n", b"2\r\n"],
    );
}

#[test]
fn extensions_are_announced() {
    let (said, _) = run(talk(config(), b"LHLO peer\r\n"));
    assert_eq!(
        said,
        "220 mx.example.org LMTP ready\r\n250-mx.example.org\r\n250-PIPELINING\r\n250-SIZE 200000\r\n\
         250-8BITMIME\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n250 ENHANCEDSTATUSCODES\r\n"
    );
}

#[test]
fn size_and_memory_are_bounded() {
    let max = MESSAGE_BYTES_MAX as usize;
    let fits = vec![b'x'; max - 2];
    let data = |message: &[u8]| {
        [
            b"RCPT TO:<alice@x>\r\nRCPT TO:<bob@x>\r\nDATA\r\n",
            message,
            b"\r\n.\r\nNOOP\r\n",
        ]
        .concat()
    };
    let stored = [&fits[..], b"\r\n"].concat();
    check(
        data(&fits),
        "250 2.1.5, 250 2.1.5, 354, 250 2.0.0, 250 2.0.0, 250 2.0.0",
        &[&stored],
    );
    check(
        data(&vec![b'x'; max - 1]),
        "250 2.1.5, 250 2.1.5, 354, 552 5.3.4, 552 5.3.4, 250 2.0.0",
        &[],
    );
    check(
        "RSET\r\nMAIL FROM:<> SIZE=200000\r\n",
        "250 2.0.0, 250 2.1.0",
        &[],
    );
    check(
        "RSET\r\nMAIL FROM:<> SIZE=200001\r\n",
        "250 2.0.0, 552 5.3.4",
        &[],
    );
    let little = LmtpConfig {
        limits: LmtpLimits {
            message_memory: MessageMemory::new(MEMORY_STEP_BYTES),
            ..LmtpLimits::default()
        },
        ..config()
    };
    check_with(
        little,
        data(&fits),
        "250 2.1.5, 250 2.1.5, 354, 452 4.3.1, 452 4.3.1, 250 2.0.0",
        &[],
    );
}

#[test]
fn chunks() {
    let rcpt = "RCPT TO:<alice@x>\r\n";
    let row = |sent: &str, expect: &str, messages: &[&[u8]]| {
        check(
            format!("{rcpt}{sent}"),
            &format!("250 2.1.5, {expect}"),
            messages,
        );
    };
    row(
        "BDAT 2\r\nabBDAT 3 LAST\r\ncdeNOOP\r\n",
        "250 2.0.0, 250 2.0.0, 250 2.0.0",
        &[b"abcde"],
    );
    row(
        "BDAT 2\r\nabBDAT 0 LAST\r\nNOOP\r\n",
        "250 2.0.0, 250 2.0.0, 250 2.0.0",
        &[b"ab"],
    );
    row("BDAT 5 LAST\r\n\r\n.\r\n", "250 2.0.0", &[b"\r\n.\r\n"]);
    row("BDAT 2\r\nabDATA\r\n", "250 2.0.0, 503 5.5.1", &[]);
    row(
        "BDAT 2\r\nabRCPT TO:<bob@x>\r\n",
        "250 2.0.0, 503 5.5.1",
        &[],
    );
    row(
        "BDAT 2\r\nabRSET\r\nBDAT 1 LAST\r\nx",
        "250 2.0.0, 250 2.0.0, 503 5.5.1",
        &[],
    );
    row("BDAT x\r\nQUIT\r\n", "501 5.5.4", &[]);
    check(
        "BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
        "503 5.5.1, 250 2.0.0",
        &[],
    );
    let big = "x".repeat(MESSAGE_BYTES_MAX as usize + 1);
    row(
        &format!(
            "BDAT {}\r\n{big}BDAT 1\r\nxBDAT 1 LAST\r\nxNOOP\r\n",
            big.len()
        ),
        "552 5.3.4, 503 5.5.1, 503 5.5.1, 250 2.0.0",
        &[],
    );
    row(
        &format!("BDAT {} LAST\r\n{big}NOOP\r\n", big.len()),
        "552 5.3.4, 250 2.0.0",
        &[],
    );
}

#[test]
fn lines_errors_and_recipients_are_bounded() {
    let longest = "x".repeat(LINE_BYTES_MAX - "NOOP \r\n".len());
    check(format!("NOOP {longest}\r\n"), "250 2.0.0", &[]);
    check(
        format!("NOOP {longest}x\r\nNOOP\r\n"),
        "500 5.5.2, 250 2.0.0",
        &[],
    );
    check("x".repeat(2 * LINE_SWALLOW_BYTES_MAX), "421 4.7.0", &[]);
    let bad = "BAD\r\n".repeat(ERRORS_MAX as usize + 5);
    let counted = "500 5.5.1, ".repeat(ERRORS_MAX as usize);
    check(bad, &format!("{counted}421 4.7.0"), &[]);
    let two = LmtpConfig {
        limits: LmtpLimits {
            recipients_max: 2,
            ..LmtpLimits::default()
        },
        ..config()
    };
    check_with(
        two,
        "RCPT TO:<alice@x>\r\nRCPT TO:<bob@x>\r\nRCPT TO:<alice@x>\r\nDATA\r\nm\r\n.\r\n",
        "250 2.1.5, 250 2.1.5, 452 4.5.3, 354, 250 2.0.0, 250 2.0.0",
        &[b"m\r\n"],
    );
}

#[test]
fn addresses_in_utf8() {
    check("RCPT TO:<ärger@x>\r\n", "553 5.6.7", &[]);
    check(
        "RSET\r\nMAIL FROM:<ö@x>\r\nMAIL FROM:<ö@x> SMTPUTF8\r\nRCPT TO:<ärger@x>\r\n",
        "250 2.0.0, 553 5.6.7, 250 2.1.0, 250 2.1.5",
        &[],
    );
}

#[test]
fn a_silent_peer_is_sent_away() {
    run(async {
        let impatient = LmtpConfig {
            limits: LmtpLimits {
                command_wait_max: Duration::from_millis(1),
                ..LmtpLimits::default()
            },
            ..config()
        };
        let server = start(Arc::new(StandIn::default()), impatient).await;
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        let mut said = String::new();
        socket.read_to_string(&mut said).await.unwrap();
        assert_eq!(codes(&said), "421 4.4.2");
    });
}

#[test]
fn the_operator_and_a_shutdown_end_sessions_with_a_word() {
    run(async {
        let server = start(Arc::new(StandIn::default()), config()).await;
        for shutdown in [false, true] {
            let mut socket = TcpStream::connect(server.address).await.unwrap();
            let mut greeting = [0u8; 4];
            socket.read_exact(&mut greeting).await.unwrap();
            if shutdown {
                server.stop.send_replace(true);
            } else {
                let id = server.sessions.list()[0].id.clone();
                assert!(server.sessions.kick(&id));
            }
            let mut said = String::new();
            socket.read_to_string(&mut said).await.unwrap();
            assert_eq!(codes(&said), "421 4.3.2");
        }
    });
}
