//! What a session with bad manners gets, over real sockets (issue list: limits, floods, long commands).

use crate::server::{self, Server};
use engine_service::Mail as _;
use gateway_imap::limits::BAD_COMMANDS_MAX;
use gateway_session::{ConnectionLimits, ListenerConfig};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

async fn start(total: usize) -> Server {
    let listening = ListenerConfig {
        limits: ConnectionLimits {
            total,
            ..ConnectionLimits::default()
        },
        ..server::listening()
    };
    server::start(testkit::solo_service(), server::plain(), listening).await
}

struct Client(BufReader<TcpStream>);

impl Client {
    /// Connected, greeting read, logged in as alice.
    async fn new(server: &Server) -> Client {
        let mut client = Client(BufReader::new(
            TcpStream::connect(server.address).await.unwrap(),
        ));
        client.line().await;
        client.ask("a LOGIN alice@example.org demo").await;
        client
    }

    async fn send(&mut self, octets: &[u8]) {
        self.0.get_mut().write_all(octets).await.unwrap();
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        line.trim_end().to_owned()
    }

    /// The last line: the tagged answer or the goodbye.
    async fn ask(&mut self, command: &str) -> String {
        self.send(format!("{command}\r\n").as_bytes()).await;
        let tag = format!("{} ", command.split(' ').next().unwrap());
        loop {
            let line = self.line().await;
            if line.starts_with(&tag) || line.starts_with("* BYE") || line.is_empty() {
                return line;
            }
        }
    }
}

/// RFC 7888 §4: a message that is sent without asking and is too large ends the connection, and its sender learns why
/// although it sends all of it first.
#[tokio::test]
async fn a_message_too_large_is_told_to_who_does_not_ask() {
    let server = start(10).await;
    let mut client = Client::new(&server).await;
    let most = testkit::solo_service().message_bytes_max() as usize;
    let head = format!("b APPEND INBOX {{{}+}}\r\n", most + 1);
    client.send(head.as_bytes()).await;
    client.send(&vec![b'x'; most + 1]).await;
    assert_eq!(
        client.line().await,
        "* BYE [TOOBIG] the command is too long"
    );
    assert_eq!(client.line().await, "");
}

/// It is `NO` for one that asks, and the session goes on.
#[tokio::test]
async fn a_message_too_large_is_refused_to_who_asks() {
    let server = start(10).await;
    let mut client = Client::new(&server).await;
    let most = testkit::solo_service().message_bytes_max();
    let answer = client
        .ask(&format!("b APPEND INBOX {{{}}}", most + 1))
        .await;
    assert!(answer.starts_with("b NO [TOOBIG] "), "{answer}");
    assert_eq!(client.ask("c NOOP").await, "c OK done");
    let answer = client.ask("d APPEND INBOX {3+}\r\na\0b").await;
    assert!(answer.starts_with("d NO [CANNOT] "), "NUL: {answer}");
}

#[tokio::test]
async fn commands_without_sense_end_a_session_when_nothing_else_comes() {
    let server = start(10).await;
    let mut client = Client::new(&server).await;
    for round in 0..2 {
        for _ in 1..BAD_COMMANDS_MAX {
            assert!(client.ask("b NONSENSE").await.starts_with("b BAD "));
        }
        assert_eq!(client.ask("c NOOP").await, "c OK done", "round {round}");
    }
    for _ in 1..BAD_COMMANDS_MAX {
        client.ask("b NONSENSE").await;
    }
    client.send(b"b NONSENSE\r\n").await;
    assert!(client.line().await.starts_with("b BAD "));
    assert_eq!(client.line().await, "* BYE too many commands without sense");
    assert_eq!(client.line().await, "");
}

#[tokio::test]
async fn a_flood_of_connections_is_told_so() {
    let server = start(3).await;
    let mut kept = Vec::new();
    for _ in 0..3 {
        kept.push(Client::new(&server).await);
    }
    for _ in 0..20 {
        let mut more = TcpStream::connect(server.address).await.unwrap();
        let mut said = String::new();
        more.read_to_string(&mut said).await.unwrap();
        assert_eq!(said, "* BYE too many connections\r\n");
    }
    for client in &mut kept {
        assert_eq!(client.ask("b NOOP").await, "b OK done");
    }
}

/// A command with thousands of answers ends with its session, not with its last message; others go on meanwhile.
#[tokio::test]
async fn a_long_command_ends_when_the_operator_ends_the_session() {
    let server = start(10).await;
    let mut client = Client::new(&server).await;
    client.ask("b APPEND INBOX {5+}\r\nx: y\r").await;
    client.ask("c SELECT INBOX").await;
    for _ in 0..11 {
        let answer = client.ask("d COPY 1:* INBOX").await;
        assert!(answer.starts_with("d OK "), "{answer}");
        client.ask("e NOOP").await;
    }
    let (mut other, id) = (Client::new(&server).await, "1.1");
    // Not read: the answers fill the socket, so the command is under way when the kick comes.
    client
        .send(
            b"f FETCH 1:* (UID FLAGS ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER] BODY.PEEK[])\r\n"
                .repeat(20)
                .as_slice(),
        )
        .await;
    client.0.fill_buf().await.unwrap();
    assert!(
        other
            .ask("b STATUS INBOX (MESSAGES)")
            .await
            .starts_with("b OK ")
    );
    assert!(server.sessions.kick(id));
    let mut said = String::new();
    client.0.read_to_string(&mut said).await.unwrap();
    assert!(
        said.ends_with("* BYE the operator ends this session\r\n"),
        "{}",
        &said[said.len().saturating_sub(100)..]
    );
    assert!(said.matches("f OK ").count() < 20, "it had not ended yet");
}
