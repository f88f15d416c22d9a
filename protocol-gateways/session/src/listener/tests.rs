//! Real sockets on loopback. The handler says the peer's address and then echoes until the end.

use super::*;
use crate::tls::{Certificates, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

struct Server {
    address: SocketAddr,
    registry: Sessions,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

async fn start(config: ListenerConfig) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, shutdown) = watch::channel(false);
    let registry = Sessions::new(7);
    let watched = shutdown.clone();
    let handler = move |stream, peer, handle| echo(stream, peer, handle, watched.clone());
    let task = tokio::spawn(serve(listener, config, registry.clone(), shutdown, handler));
    Server {
        address,
        registry,
        stop,
        task,
    }
}

async fn echo(
    mut stream: Stream,
    peer: Peer,
    handle: SessionHandle,
    mut shutdown: watch::Receiver<bool>,
) {
    handle.set_user("alice");
    let tls = peer.tls.as_deref().unwrap_or("plain");
    let hello = format!("{} {} {tls}\n", peer.address, peer.session);
    stream.write_all(hello.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    let mut buffer = [0u8; 64];
    loop {
        let bye: &[u8] = tokio::select! {
            read = stream.read(&mut buffer) => match read {
                Ok(0) | Err(_) => return,
                Ok(n) => {
                    stream.write_all(&buffer[..n]).await.unwrap();
                    stream.flush().await.unwrap();
                    continue;
                }
            },
            () = handle.kicked() => b"kicked\n",
            () = stopped(&mut shutdown) => b"stopping\n",
        };
        stream.write_all(bye).await.unwrap();
        stream.shutdown().await.unwrap();
        return;
    }
}

async fn line(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut line = Vec::new();
    while let Ok(byte) = stream.read_u8().await {
        if byte == b'\n' {
            break;
        }
        line.push(byte);
    }
    String::from_utf8(line).unwrap()
}

/// Connects, sends, and gives the first line.
async fn hello(server: &Server, first: &[u8]) -> (TcpStream, String) {
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    socket.write_all(first).await.unwrap();
    let line = line(&mut socket).await;
    (socket, line)
}

fn config() -> ListenerConfig {
    ListenerConfig::plain("lmtp", "421 busy\r\n")
}

/// Waits for the server to notice that connections ended: the count is what the caps go by.
async fn until_count(server: &Server, count: usize) {
    while server.registry.count("lmtp") != count {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_untrusted_peer_cannot_choose_its_address() {
    let server = start(ListenerConfig {
        proxy_protocol: true,
        trusted_networks: vec!["10.0.0.0/8".parse().unwrap()],
        ..config()
    })
    .await;
    let header = b"PROXY TCP4 10.0.0.9 198.51.100.1 1 2\r\n";
    let (mut socket, first) = hello(&server, header).await;
    assert!(first.starts_with("127.0.0.1 "), "{first}");
    let mut echoed = vec![0u8; header.len()];
    socket.read_exact(&mut echoed).await.unwrap();
    assert_eq!(echoed, header, "to the protocol it is data");
}

#[tokio::test]
async fn a_trusted_balancer_names_the_peer() {
    let server = start(ListenerConfig {
        proxy_protocol: true,
        ..config()
    })
    .await;
    let (mut socket, first) =
        hello(&server, b"PROXY TCP4 192.0.2.1 198.51.100.1 1 2\r\nfirst\n").await;
    assert_eq!(first, "192.0.2.1 7.1 plain");
    assert_eq!(line(&mut socket).await, "first");
    let (_, without_header) = hello(&server, b"LHLO example.org\r\n").await;
    assert_eq!(without_header, "");
}

#[tokio::test]
async fn the_cap_per_address_spares_trusted_networks() {
    let limits = ConnectionLimits {
        total: 4,
        per_address: 1,
    };
    let server = start(ListenerConfig {
        limits,
        proxy_protocol: true,
        ..config()
    })
    .await;
    let from = |address: &str| format!("PROXY TCP4 {address} 198.51.100.1 1 2\r\n").into_bytes();
    let (first, hello_1) = hello(&server, &from("192.0.2.1")).await;
    assert!(hello_1.starts_with("192.0.2.1 "));
    let (_, second) = hello(&server, &from("192.0.2.1")).await;
    assert_eq!(second, "421 busy\r");
    let (other, hello_2) = hello(&server, &from("192.0.2.2")).await;
    assert!(hello_2.starts_with("192.0.2.2 "));
    drop((first, other));
    until_count(&server, 0).await;
    let (_again, hello_3) = hello(&server, &from("192.0.2.1")).await;
    assert!(hello_3.starts_with("192.0.2.1 "));
    let (_one, own_1) = hello(&server, b"PROXY UNKNOWN\r\n").await;
    let (_two, own_2) = hello(&server, b"PROXY UNKNOWN\r\n").await;
    assert!(own_1.starts_with("127.0.0.1 ") && own_2.starts_with("127.0.0.1 "));
}

#[tokio::test]
async fn the_total_holds_for_everybody() {
    let limits = ConnectionLimits {
        total: 1,
        per_address: 9,
    };
    let server = start(ListenerConfig { limits, ..config() }).await;
    let (first, hello_1) = hello(&server, b"").await;
    assert_eq!(hello_1, "127.0.0.1 7.1 plain");
    let (_, second) = hello(&server, b"").await;
    assert_eq!(second, "421 busy\r");
    drop(first);
    until_count(&server, 0).await;
    let (_again, hello_2) = hello(&server, b"").await;
    assert_eq!(hello_2, "127.0.0.1 7.2 plain", "ids are not used twice");
}

#[tokio::test]
async fn sessions_are_listed_and_kicked() {
    let server = start(config()).await;
    let (mut first, _) = hello(&server, b"").await;
    let (mut second, _) = hello(&server, b"").await;
    let ids = |registry: &Sessions| -> Vec<String> {
        registry.list().iter().map(|s| s.id.to_string()).collect()
    };
    assert_eq!(ids(&server.registry), ["7.1", "7.2"]);
    let user = server.registry.list()[0].user.clone();
    assert_eq!(user.as_deref(), Some("alice"));
    assert!(server.registry.kick("7.1"));
    assert_eq!(line(&mut first).await, "kicked");
    until_count(&server, 1).await;
    assert_eq!(ids(&server.registry), ["7.2"]);
    assert!(!server.registry.kick("7.1"));
    assert_eq!(server.registry.kick_user("bob"), 0);
    assert_eq!(server.registry.kick_user("alice"), 1);
    assert_eq!(line(&mut second).await, "kicked");
}

#[tokio::test]
async fn shutdown_lets_sessions_say_goodbye_and_closes_the_port() {
    let server = start(config()).await;
    let (mut socket, _) = hello(&server, b"").await;
    server.stop.send_replace(true);
    assert_eq!(line(&mut socket).await, "stopping");
    server.task.await.unwrap();
    assert_eq!(server.registry.count("lmtp"), 0);
    assert!(TcpStream::connect(server.address).await.is_err());
}

fn made_for(name: &str) -> (KeyPair, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let pair = KeyPair {
        certificate_pem: made.cert.pem().into_bytes(),
        key_pem: made.signing_key.serialize_pem().into_bytes(),
    };
    (pair, made.cert.der().clone())
}

/// A handshake for `name` that trusts exactly `certificate`; the first line, or the error.
async fn tls_hello(
    server: &Server,
    name: &'static str,
    certificate: &CertificateDer<'static>,
) -> Result<String, String> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let socket = TcpStream::connect(server.address).await.unwrap();
    let mut stream = TlsConnector::from(Arc::new(client))
        .connect(ServerName::try_from(name).unwrap(), socket)
        .await
        .map_err(|e| e.to_string())?;
    Ok(line(&mut stream).await)
}

#[tokio::test]
async fn certificates_by_name_are_replaced_without_a_restart() {
    let (default, default_cert) = made_for("mx.example.org");
    let (other, other_cert) = made_for("mail.example.net");
    let certificates = |first: &KeyPair| Certificates {
        default: first.clone(),
        by_name: vec![("*.example.NET".to_owned(), other.clone())],
    };
    let tls = TlsServer::new(&certificates(&default)).unwrap();
    let server = start(ListenerConfig {
        implicit_tls: true,
        tls: Some(tls.clone()),
        ..config()
    })
    .await;
    let greeted = tls_hello(&server, "mx.example.org", &default_cert).await;
    assert_eq!(
        greeted.unwrap(),
        "127.0.0.1 7.1 TLSv1.3 TLS13_AES_256_GCM_SHA384"
    );
    let by_name = tls_hello(&server, "mail.example.net", &other_cert).await;
    assert!(by_name.unwrap().contains("TLSv1.3"));

    let mut broken = certificates(&default);
    broken.default.key_pem = other.key_pem.clone();
    assert!(matches!(
        tls.reload(&broken),
        Err(crate::tls::TlsError::Pair { .. })
    ));
    let still = tls_hello(&server, "mx.example.org", &default_cert).await;
    assert!(still.is_ok(), "a failed reload changes nothing");

    let (fresh, fresh_cert) = made_for("mx.example.org");
    tls.reload(&certificates(&fresh)).unwrap();
    assert!(
        tls_hello(&server, "mx.example.org", &fresh_cert)
            .await
            .is_ok()
    );
    assert!(
        tls_hello(&server, "mx.example.org", &default_cert)
            .await
            .is_err()
    );
}
