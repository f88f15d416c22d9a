//! Runs `scripts/*.imap`, each against a server of its own over loopback.
//!
//! `1C: text` session 1 sends a line; `1S: text` it gets that line, where `~` stands for any text;
//! `1X:` its connection has ended. A session connects when it is first named, and its greeting is checked. `#`: a remark.

use crate::server::{self, Server};
use gateway_imap::ImapConfig;
use gateway_imap::limits::ImapLimits;
use gateway_session::FailureDelay;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

async fn start(tls_required: bool) -> Server {
    let config = ImapConfig {
        tls_required,
        limits: ImapLimits {
            login_failure_delay: FailureDelay::NONE,
            ..ImapLimits::default()
        },
        ..server::plain()
    };
    server::start(testkit::solo_service(), config, server::listening()).await
}

struct Client(BufReader<TcpStream>);

impl Client {
    async fn connect(address: SocketAddr) -> Client {
        Client(BufReader::new(TcpStream::connect(address).await.unwrap()))
    }

    async fn send(&mut self, text: &str) {
        let line = format!("{text}\r\n");
        self.0.get_mut().write_all(line.as_bytes()).await.unwrap();
    }

    /// The next line; empty at the end. A server that is silent fails the script instead of hanging it.
    async fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.0.read_line(&mut line);
        match tokio::time::timeout(Duration::from_secs(20), read).await {
            Ok(Ok(_)) => line.trim_end_matches("\r\n").to_owned(),
            Ok(Err(error)) => format!("({error})"),
            Err(_) => "(silence)".to_owned(),
        }
    }
}

/// `~` matches any text.
fn agrees(pattern: &str, line: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('~') else {
        return pattern == line;
    };
    let Some(behind) = line.strip_prefix(head) else {
        return false;
    };
    (0..=behind.len())
        .filter(|&at| behind.is_char_boundary(at))
        .any(|at| agrees(rest, &behind[at..]))
}

async fn run(path: &Path) -> Result<(), String> {
    let script = std::fs::read_to_string(path).unwrap();
    let server = start(script.contains("# tls required")).await;
    let mut clients: HashMap<String, Client> = HashMap::new();
    for (number, text) in script.lines().enumerate() {
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let fault = |what: String| format!("{}:{}: {what}", path.display(), number + 1);
        let (who, text) = text.split_once(':').ok_or(fault("no colon".to_owned()))?;
        let text = text.strip_prefix(' ').unwrap_or(text);
        let (name, kind) = who.split_at(who.len() - 1);
        if !clients.contains_key(name) {
            let mut client = Client::connect(server.address).await;
            let greeting = client.line().await;
            if !greeting.starts_with("* OK [CAPABILITY IMAP4rev1 ") {
                return Err(fault(format!("greeting: {greeting}")));
            }
            clients.insert(name.to_owned(), client);
        }
        let client = clients.get_mut(name).unwrap();
        match kind {
            "C" => client.send(text).await,
            "S" => {
                let line = client.line().await;
                if !agrees(text, &line) {
                    return Err(fault(format!("expected {text:?}\n     got {line:?}")));
                }
            }
            "X" => {
                let line = client.line().await;
                if !line.is_empty() {
                    return Err(fault(format!("the session goes on: {line:?}")));
                }
            }
            _ => return Err(fault("neither C, S nor X".to_owned())),
        }
    }
    server.shutdown.send_replace(true);
    for client in clients.values_mut() {
        let line = client.line().await;
        if !line.is_empty() && !line.starts_with("* BYE ") {
            return Err(format!("{}: left over: {line:?}", path.display()));
        }
    }
    Ok(())
}

#[tokio::test]
async fn scripts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "imap"))
        .collect();
    paths.sort();
    assert!(paths.len() >= 8, "the scripts are missing");
    let mut faults = Vec::new();
    for path in paths {
        if let Err(fault) = run(&path).await {
            faults.push(fault);
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Every prefix and every mutation of a command is answered or ends the session; nothing hangs or panics.
#[tokio::test]
async fn broken_input_is_answered() {
    let server = start(false).await;
    for text in [
        "",
        " ",
        "a",
        "a ",
        "a LOGIN",
        "a LOGIN x",
        "a LOGIN \"x",
        "a UID",
        "a UID NOOP",
        "* NOOP",
        "a\tNOOP",
        "a FETCH 1 FLAGS",
        "a NOOP x",
        "a STARTTLS",
        "\u{0}\u{1}é",
        "a AUTHENTICATE PLAIN !!!",
        "a ID (\"a\")",
        "a LOGIN {99999999999999999999}",
    ] {
        let mut client = Client::connect(server.address).await;
        client.line().await;
        client.send(text).await;
        let line = client.line().await;
        assert!(line.contains(" BAD "), "{text:?}: {line:?}");
        client.send("b NOOP").await;
        assert_eq!(client.line().await, "b OK done", "{text:?}");
    }
    let mut client = Client::connect(server.address).await;
    client.line().await;
    client.send("a LOGIN {70000+}").await;
    assert_eq!(
        client.line().await,
        "* BYE [TOOBIG] the command is too long"
    );
}
