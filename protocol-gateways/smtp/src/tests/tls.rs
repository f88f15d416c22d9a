//! STARTTLS.

use super::dialogue::{config, start};
use super::stand_in::StandIn;
use crate::LmtpConfig;
use gateway_session::TlsServer;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

async fn until(stream: &mut (impl AsyncRead + Unpin), end: &str) -> String {
    let mut said = Vec::new();
    while !said.ends_with(end.as_bytes()) {
        said.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(said).unwrap()
}

/// CVE-2011-0411: commands sent ahead in the clear must not count after the handshake.
#[tokio::test]
async fn what_was_pipelined_behind_starttls_is_dropped() {
    let made = rcgen::generate_simple_self_signed(vec!["mx.example.org".to_owned()]).unwrap();
    let tls = TlsServer::from_pem(
        made.cert.pem().as_bytes(),
        made.signing_key.serialize_pem().as_bytes(),
    )
    .unwrap();
    let mail = Arc::new(StandIn::default());
    let server = start(
        mail.clone(),
        LmtpConfig {
            tls: Some(tls),
            ..config()
        },
    )
    .await;
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    socket.write_all(b"LHLO peer\r\n").await.unwrap();
    until(&mut socket, "250 STARTTLS\r\n").await;
    socket
        .write_all(b"STARTTLS\r\nLHLO evil\r\nMAIL FROM:<evil@x>\r\n")
        .await
        .unwrap();
    assert_eq!(until(&mut socket, "\r\n").await, "220 2.0.0 begin TLS\r\n");

    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut stream = TlsConnector::from(Arc::new(client))
        .connect(ServerName::try_from("mx.example.org").unwrap(), socket)
        .await
        .unwrap();
    stream
        .write_all(b"MAIL FROM:<s@x>\r\nLHLO peer\r\nSTARTTLS\r\nMAIL FROM:<s@x>\r\nRCPT TO:<alice@x>\r\nDATA\r\nm\r\n.\r\n")
        .await
        .unwrap();
    let said = until(&mut stream, "stored in INBOX\r\n").await;
    assert!(
        said.starts_with("503 5.5.1 say LHLO first\r\n250-mx"),
        "{said}"
    );
    assert!(
        said.contains("250 ENHANCEDSTATUSCODES\r\n503 5.5.1 TLS is active already\r\n"),
        "{said}"
    );
    assert_eq!(mail.deliveries.lock().unwrap()[0].with, "LMTPS");
    let tls = server.sessions.list()[0].tls.clone();
    assert!(tls.is_some_and(|name| name.starts_with("TLSv1.3 ")));
}
