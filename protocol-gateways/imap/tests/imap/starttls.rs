//! STARTTLS over a real socket and a real handshake (RFC 3501 §6.2.1).

use crate::server;
use gateway_imap::ImapConfig;
use gateway_session::TlsServer;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName};
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

struct Server {
    inner: server::Server,
    certificate: CertificateDer<'static>,
}

/// Passwords only under TLS.
async fn start() -> Server {
    let made = rcgen::generate_simple_self_signed(vec!["mail.example.org".to_owned()]).unwrap();
    let key = made.signing_key.serialize_pem();
    let tls = TlsServer::from_pem(made.cert.pem().as_bytes(), key.as_bytes()).unwrap();
    let config = ImapConfig {
        tls: Some(tls),
        tls_required: true,
        ..server::plain()
    };
    let mail = testkit::solo_service();
    Server {
        inner: server::start(mail, config, server::listening()).await,
        certificate: made.cert.der().clone(),
    }
}

async fn line(from: &mut (impl AsyncRead + Unpin)) -> String {
    // Octet by octet, so that none of the handshake's is taken.
    let mut reader = BufReader::with_capacity(1, from);
    let mut line = String::new();
    reader.read_line(&mut line).await.unwrap();
    line.trim_end().to_owned()
}

async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), command: &str) -> Vec<String> {
    stream
        .write_all(format!("{command}\r\n").as_bytes())
        .await
        .unwrap();
    let tag = command.split(' ').next().unwrap();
    let mut lines = Vec::new();
    loop {
        lines.push(line(stream).await);
        let last = lines.last().unwrap();
        if last.starts_with(&format!("{tag} ")) || last.is_empty() {
            return lines;
        }
    }
}

async fn connect(server: &Server) -> TcpStream {
    let mut socket = TcpStream::connect(server.inner.address).await.unwrap();
    let greeting = line(&mut socket).await;
    assert!(greeting.contains(" STARTTLS LOGINDISABLED]"), "{greeting}");
    socket
}

#[tokio::test]
async fn a_session_goes_on_under_tls() {
    let server = start().await;
    let mut socket = connect(&server).await;
    let lines = ask(&mut socket, "a LOGIN alice@example.org demo").await;
    assert!(lines[0].starts_with("a NO [PRIVACYREQUIRED]"), "{lines:?}");
    let lines = ask(&mut socket, "b STARTTLS").await;
    assert_eq!(lines, ["b OK begin TLS negotiation now"]);

    let mut roots = rustls::RootCertStore::empty();
    roots.add(server.certificate.clone()).unwrap();
    let client =
        rustls::ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    let name = ServerName::try_from("mail.example.org").unwrap();
    let mut stream = TlsConnector::from(Arc::new(client))
        .connect(name, socket)
        .await
        .unwrap();
    // No second greeting; what was offered in the clear is asked for again.
    let lines = ask(&mut stream, "c CAPABILITY").await;
    assert!(lines[0].ends_with(" SASL-IR AUTH=PLAIN"), "{lines:?}");
    let lines = ask(&mut stream, "d STARTTLS").await;
    assert!(lines[0].starts_with("d BAD "), "{lines:?}");
    let lines = ask(&mut stream, "e LOGIN alice@example.org demo").await;
    assert!(lines[0].starts_with("e OK "), "{lines:?}");
    let row = server.inner.sessions.list().remove(0);
    assert_eq!(row.user.as_deref(), Some("alice@example.org"));
    assert!(row.tls.is_some_and(|name| name.starts_with("TLSv1.3 ")));
    let lines = ask(&mut stream, "f APPEND INBOX {1+}\r\nx").await;
    assert!(lines[0].starts_with("f OK [APPENDUID "), "{lines:?}");
    let lines = ask(&mut stream, "g LOGOUT").await;
    assert_eq!(lines, ["* BYE until next time", "g OK LOGOUT done"]);
}

/// CVE-2011-0411: a command that was slipped in before the handshake must never run. The connection ends instead.
#[tokio::test]
async fn nothing_may_follow_starttls() {
    let server = start().await;
    let mut socket = connect(&server).await;
    let lines = ask(&mut socket, "a STARTTLS\r\nb LOGIN alice@example.org demo").await;
    assert_eq!(lines, ["* BYE nothing may follow STARTTLS", ""]);
}
