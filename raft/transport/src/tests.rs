use crate::{Class, Handler, Identity, Peers, PeersConfig, TlsConfig, TransportError, limits};
use async_trait::async_trait;
use bytes::Bytes;
use raft_api::{NodeId, NodeInfo, ShardId, SiteName};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::RootCertStore;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

const LONG: Duration = Duration::from_secs(10);

/// Says who asked for what; kind 9 fails, kind 8 never answers.
struct Echo;

#[async_trait]
impl Handler for Echo {
    async fn handle(
        &self,
        from: NodeId,
        shard: ShardId,
        kind: u8,
        body: Bytes,
    ) -> Result<Bytes, String> {
        match kind {
            8 => std::future::pending().await,
            9 => Err("no".into()),
            _ => Ok([format!("{from} {shard} {kind} ").as_bytes(), &body[..]]
                .concat()
                .into()),
        }
    }
}

fn identity(node: u64) -> Identity {
    Identity {
        cluster: [7; 16],
        incarnation: 1,
        node: NodeId(node),
    }
}

fn node_at(node: u64, listener: &TcpListener) -> NodeInfo {
    NodeInfo {
        id: NodeId(node),
        site: SiteName::new("a"),
        peer_addr: listener.local_addr().unwrap().to_string(),
    }
}

/// A node that knows nobody yet, and where it is.
async fn alone(node: u64, tls: Option<TlsConfig>) -> (Arc<Peers>, NodeInfo) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let info = node_at(node, &listener);
    let config = PeersConfig {
        identity: identity(node),
        way: listener.into(),
        peers: Vec::new(),
        tls,
    };
    (Peers::new(config, Arc::new(Echo)), info)
}

/// Two nodes that know each other, as `who` says they are.
async fn pair(who: [Identity; 2], tls: [Option<TlsConfig>; 2]) -> [Arc<Peers>; 2] {
    let mut listeners = Vec::new();
    let mut peers = Vec::new();
    for node in 1..=2 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        peers.push(node_at(node, &listener));
        listeners.push(listener);
    }
    let mut nodes = Vec::new();
    for ((listener, identity), tls) in listeners.into_iter().zip(who).zip(tls) {
        let config = PeersConfig {
            identity,
            way: listener.into(),
            peers: peers.clone(),
            tls,
        };
        nodes.push(Peers::new(config, Arc::new(Echo)));
    }
    let [a, b] = nodes.try_into().ok().unwrap();
    [a, b]
}

async fn ask(peers: &Peers, kind: u8, body: &str) -> Result<Bytes, TransportError> {
    let body = Bytes::copy_from_slice(body.as_bytes());
    peers
        .request(NodeId(2), Class::Other, ShardId(5), kind, body, LONG)
        .await
}

#[tokio::test]
async fn strangers_are_refused_with_the_reason_and_nothing_is_sent() {
    let check = async |who: [Identity; 2], reason: &str| {
        let [a, _b] = pair(who, [None, None]).await;
        let error = ask(&a, 1, "x").await.unwrap_err();
        assert!(error.is_unsent(), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    };
    let two = identity(2);
    let other = |change: fn(&mut Identity)| {
        let mut identity = identity(1);
        change(&mut identity);
        identity
    };
    check([other(|i| i.cluster = [8; 16]), two], "another cluster").await;
    check([other(|i| i.incarnation = 2), two], "incarnation").await;
    check([identity(1), identity(1)], "we are node 1").await;
    check([identity(1), identity(3)], "it is node 3").await;
}

#[tokio::test]
async fn many_requests_share_a_connection_and_each_gets_its_own_answer() {
    let [a, _b] = pair([identity(1), identity(2)], [None, None]).await;
    let asked = (0..200).map(|n| {
        let a = a.clone();
        tokio::spawn(async move { (n, ask(&a, 3, &n.to_string()).await) })
    });
    for task in asked.collect::<Vec<_>>() {
        let (n, answer) = task.await.unwrap();
        assert_eq!(answer.unwrap(), format!("1 5 3 {n}"));
    }
}

#[tokio::test]
async fn failures_say_whether_the_peer_may_have_seen_the_request() {
    let [a, b] = pair([identity(1), identity(2)], [None, None]).await;
    let remote = ask(&a, 9, "").await.unwrap_err();
    assert!(matches!(&remote, TransportError::Remote { reason, .. } if reason == "no"));
    let large = Bytes::from(vec![0; limits::MAX_FRAME_BYTES + 1]);
    let request =
        |class, kind, body, limit| a.request(NodeId(2), class, ShardId(0), kind, body, limit);
    let large = request(Class::Append, 1, large, LONG).await.unwrap_err();
    assert!(matches!(large, TransportError::TooLarge { .. }));
    let short = Duration::from_millis(20);
    let late = request(Class::Other, 8, Bytes::new(), short).await;
    assert_eq!(late, Err(TransportError::Timeout(NodeId(2))));
    let waits = {
        let a = a.clone();
        tokio::spawn(async move { ask(&a, 8, "").await })
    };
    // The answer to a later request on the same connection shows that the first one has been sent.
    while !waits.is_finished() && ask(&a, 1, "").await.is_err() {}
    b.shutdown().await;
    let closed = waits.await.unwrap().unwrap_err();
    assert_eq!(closed, TransportError::Closed(NodeId(2)));
    let gone = ask(&a, 1, "").await.unwrap_err();
    assert!(gone.is_unsent(), "{gone}");
}

#[tokio::test]
async fn peers_come_move_and_go_while_the_node_runs() {
    let (a, a_at) = alone(1, None).await;
    let (b, b_at) = alone(2, None).await;
    assert!(ask(&a, 1, "").await.unwrap_err().is_unsent());
    a.know(b_at.clone());
    a.know(a_at);
    assert_eq!(a.others(), [NodeId(2)]);
    assert_eq!(ask(&a, 1, "").await.unwrap(), "1 5 1 ");
    assert_eq!(b.others(), [], "whoever asks us need not be known");

    let waits = {
        let a = a.clone();
        tokio::spawn(async move { ask(&a, 8, "").await })
    };
    // The answer to a later request on the same connection shows that the first one has been sent.
    ask(&a, 1, "").await.unwrap();
    a.know(b_at);
    assert!(ask(&a, 1, "").await.is_ok());
    assert!(!waits.is_finished(), "telling again must end nothing");
    let (_moved, new_at) = alone(2, None).await;
    a.know(new_at);
    let ended = waits.await.unwrap().unwrap_err();
    assert_eq!(ended, TransportError::Closed(NodeId(2)));
    b.shutdown().await;
    assert_eq!(ask(&a, 1, "there").await.unwrap(), "1 5 1 there");

    a.forget(NodeId(2));
    assert_eq!(a.others(), []);
    assert!(ask(&a, 1, "").await.unwrap_err().is_unsent());
}

/// A certificate authority and certificates of nodes 1 to 3.
fn authority() -> impl Fn(u64) -> TlsConfig {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = params.self_signed(&key).unwrap().der().clone();
    let issuer = Issuer::new(params, key);
    move |node| {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![format!("node-{node}")]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(root.clone()).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        TlsConfig::new(vec![certificate.der().clone()], key, roots).unwrap()
    }
}

#[tokio::test]
async fn tls_lets_in_whom_the_certificate_names_and_nobody_else() {
    let (ours, foreign) = (authority(), authority());
    let who = [identity(1), identity(2)];
    let [a, _b] = pair(who, [Some(ours(1)), Some(ours(2))]).await;
    assert_eq!(ask(&a, 1, "hi").await.unwrap(), "1 5 1 hi");
    let check = async |tls: [Option<TlsConfig>; 2]| {
        let [a, _b] = pair(who, tls).await;
        let error = ask(&a, 1, "x").await.unwrap_err();
        assert!(error.is_unsent(), "{error}");
    };
    check([Some(ours(3)), Some(ours(2))]).await;
    check([Some(ours(1)), Some(ours(3))]).await;
    check([Some(foreign(1)), Some(ours(2))]).await;
    check([None, Some(ours(2))]).await;
    check([Some(ours(1)), None]).await;
}

#[tokio::test]
async fn a_node_that_nobody_listed_is_let_in_by_its_certificate_alone() {
    let (ours, foreign) = (authority(), authority());
    let (_b, b_at) = alone(2, Some(ours(2))).await;
    let ask_as_three = async |tls| {
        let (three, _) = alone(3, Some(tls)).await;
        three.know(b_at.clone());
        ask(&three, 1, "").await
    };
    assert_eq!(ask_as_three(ours(3)).await.unwrap(), "3 5 1 ");
    assert!(ask_as_three(ours(4)).await.unwrap_err().is_unsent());
    assert!(ask_as_three(foreign(3)).await.unwrap_err().is_unsent());
}

/// Notes in which order requests began, and lets all go on once as many as were sent are here.
struct InOrder {
    begun: parking_lot::Mutex<Vec<u8>>,
    all_are_here: tokio::sync::Barrier,
}

#[async_trait]
impl Handler for InOrder {
    async fn handle(
        &self,
        _from: NodeId,
        _shard: ShardId,
        _kind: u8,
        body: Bytes,
    ) -> Result<Bytes, String> {
        self.begun.lock().push(body[0]);
        self.all_are_here.wait().await;
        Ok(body)
    }
}

/// Pipelined appends depend on it: consensus would take a later one that comes first for a gap.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_of_a_class_begin_in_the_order_in_which_they_were_sent() {
    const REQUESTS: u8 = 100;
    let (a, _) = alone(1, None).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let info = node_at(2, &listener);
    let handler = Arc::new(InOrder {
        begun: parking_lot::Mutex::default(),
        all_are_here: tokio::sync::Barrier::new(REQUESTS.into()),
    });
    let config = PeersConfig {
        identity: identity(2),
        way: listener.into(),
        peers: Vec::new(),
        tls: None,
    };
    let _b = Peers::new(config, handler.clone());
    a.know(info);
    let ask = |number: u8| {
        let body = Bytes::from(vec![number]);
        a.request(NodeId(2), Class::Append, ShardId(5), 1, body, LONG)
    };
    // One after the other begins to be sent; none waits for another's answer.
    let mut asked = futures_util::stream::FuturesOrdered::new();
    asked.extend((0..REQUESTS).map(ask));
    let answers: Vec<_> = futures_util::StreamExt::collect(asked).await;
    let answers: Vec<u8> = answers
        .into_iter()
        .map(|answer| answer.unwrap()[0])
        .collect();
    assert_eq!(answers, (0..REQUESTS).collect::<Vec<u8>>());
    assert_eq!(*handler.begun.lock(), answers);
}
