//! How sessions end and what they say when changes are not possible: kick, shutdown, no majority, lost answers.

use crate::server::{self, Server};
use testkit::{Solo, Trouble};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

struct Stand {
    solo: Solo,
    server: Server,
    client: BufReader<TcpStream>,
}

impl Stand {
    /// Logged in as alice, with one message in INBOX.
    async fn new() -> Stand {
        let solo = Solo::new();
        let mail = testkit::solo_service_on(&solo);
        let server = server::start(mail, server::plain(), server::listening()).await;
        let client = BufReader::new(TcpStream::connect(server.address).await.unwrap());
        let mut stand = Stand {
            solo,
            server,
            client,
        };
        stand.line().await;
        stand.ask("a LOGIN alice@example.org demo").await;
        stand.ask("b APPEND INBOX {1+}\r\nx").await;
        stand
    }

    fn trouble(&self, trouble: &Trouble) {
        for shard in self.solo.shards().keys() {
            self.solo.set_trouble(*shard, trouble.clone());
        }
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.client.read_line(&mut line).await.unwrap();
        line.trim_end().to_owned()
    }

    /// Lines up to the tagged answer, the goodbye or the end.
    async fn ask(&mut self, command: &str) -> Vec<String> {
        let text = format!("{command}\r\n");
        self.client
            .get_mut()
            .write_all(text.as_bytes())
            .await
            .unwrap();
        let tag = command.split(' ').next().unwrap();
        let mut lines = Vec::new();
        loop {
            let line = self.line().await;
            let last = line.starts_with(&format!("{tag} ")) || line.starts_with("* BYE");
            if last || line.is_empty() {
                lines.push(line);
                return lines;
            }
            lines.push(line);
        }
    }
}

/// Promise P8: neither OK nor NO, and the session ends.
#[tokio::test]
async fn a_lost_answer_is_neither_yes_nor_no() {
    // At once: each waits for its answer as long as the service does.
    let commands = [
        "d STORE 1 +FLAGS (\\Seen)",
        "d FETCH 1 BODY[]",
        "d COPY 1 INBOX",
        "d APPEND INBOX {1+}\r\nx",
    ];
    futures_util::future::join_all(commands.map(lose_answer)).await;
}

async fn lose_answer(command: &str) {
    let mut stand = Stand::new().await;
    stand.ask("c SELECT INBOX").await;
    stand.trouble(&Trouble::AnswerLost);
    let lines = stand.ask(command).await;
    assert_eq!(
        lines.last().map(String::as_str),
        Some("* BYE [UNAVAILABLE] outcome unknown"),
        "{command}: {lines:?}"
    );
    assert!(!lines.iter().any(|l| l.starts_with("d ")), "{lines:?}");
    assert_eq!(stand.line().await, "");
}

/// Without a majority: reading goes on, and says that it may be old.
#[tokio::test]
async fn without_a_majority_a_mailbox_opens_for_reading() {
    let mut stand = Stand::new().await;
    stand.trouble(&Trouble::NoQuorum);
    let lines = stand.ask("c SELECT INBOX").await;
    let said = |start: &str| lines.iter().any(|line| line.starts_with(start));
    assert!(said("* NO [UNAVAILABLE] copy of "), "{lines:?}");
    assert!(said("* OK [PERMANENTFLAGS ()]"), "{lines:?}");
    assert!(said("c OK [READ-ONLY] "), "{lines:?}");
    let lines = stand.ask("d FETCH 1 BODY[]").await;
    assert_eq!(
        lines,
        ["* 1 FETCH (BODY[] {1}", "x)", "d OK FETCH done"],
        "reading sets no flag here"
    );
    let lines = stand.ask("e STORE 1 +FLAGS (\\Seen)").await;
    assert_eq!(
        lines,
        ["e NO [NOPERM] the mailbox is open for reading only"]
    );
}

#[tokio::test]
async fn kick_and_shutdown_say_goodbye() {
    let mut stand = Stand::new().await;
    stand.ask("c NOOP").await;
    assert_eq!(stand.server.sessions.kick_user("alice@example.org"), 1);
    assert_eq!(stand.line().await, "* BYE the operator ends this session");
    assert_eq!(stand.line().await, "");

    let mut stand = Stand::new().await;
    stand
        .client
        .get_mut()
        .write_all(b"c IDLE\r\n")
        .await
        .unwrap();
    assert_eq!(stand.line().await, "+ idling");
    stand.server.shutdown.send_replace(true);
    assert_eq!(
        stand.line().await,
        "* BYE [UNAVAILABLE] the server is shutting down"
    );
    assert_eq!(stand.line().await, "");
}
