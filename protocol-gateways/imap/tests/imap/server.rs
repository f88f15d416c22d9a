//! A server of one's own for each test.

use engine_service::Mail;
use gateway_imap::limits::ImapLimits;
use gateway_imap::{ImapConfig, serve};
use gateway_session::{ListenerConfig, Sessions};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;

pub struct Server {
    pub address: SocketAddr,
    pub sessions: Sessions,
    /// It ends when this says true, or goes.
    pub shutdown: watch::Sender<bool>,
}

/// In the clear, with the default limits.
pub fn plain() -> ImapConfig {
    ImapConfig {
        tls: None,
        tls_required: false,
        hostname: "mail.example.org".to_owned(),
        limits: ImapLimits::default(),
    }
}

pub fn listening() -> ListenerConfig {
    ListenerConfig::plain("imap", "* BYE too many connections\r\n")
}

pub async fn start(mail: Arc<dyn Mail>, config: ImapConfig, listening: ListenerConfig) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (shutdown, stopped) = watch::channel(false);
    let sessions = Sessions::new(1);
    let config = Arc::new(config);
    let for_sessions = stopped.clone();
    tokio::spawn(gateway_session::serve(
        listener,
        listening,
        sessions.clone(),
        stopped,
        move |stream, peer, handle| {
            let (mail, config) = (mail.clone(), config.clone());
            serve(stream, peer, handle, mail, config, for_sessions.clone())
        },
    ));
    Server {
        address,
        sessions,
        shutdown,
    }
}
