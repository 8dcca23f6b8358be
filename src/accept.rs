//! ① Socket → [`Arrival`]: TLS, HTTP/1.1 and HTTP/2, limits and deadlines.
//!
//! This room knows nothing of tokens or Kubernetes. It guarantees to the rooms after it
//! that a request head was complete, within the limits and in time, and to the client that a
//! shutdown lets running requests end. What it writes to the agents' door is `Masked`
//! and nothing else: the body type of an answer says so.

mod activity;
mod framing;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::refusal::Refusal;
use activity::Activity;
use framing::{Strict, Verdict};

/// What a stranger may cost before they are known.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Open connections per door; further ones wait in the kernel's backlog.
    pub connections: usize,
    /// Bytes of one request head (request line and header fields together).
    pub head_bytes: usize,
    /// Header fields of one request.
    pub headers: usize,
    /// Streams that one HTTP/2 connection may have open.
    pub streams: u32,
    /// Time for the TLS handshake.
    pub handshake: Duration,
    /// Time in which a complete request head must arrive on a connection that carries no
    /// request: this ends idle connections (at the latest after twice this time) and slow
    /// heads alike.
    pub idle: Duration,
    /// Time in which a request's body must arrive.
    pub body: Duration,
    /// Time that running requests get to end once a shutdown has begun.
    pub drain: Duration,
}

/// A complete request head, and a body that has not been read yet.
#[derive(Debug)]
pub struct Arrival {
    request: Request<Incoming>,
    peer: SocketAddr,
    body_deadline: Duration,
    /// What another hop could read differently.
    fault: Option<&'static str>,
}

impl Arrival {
    /// The client's address: of the TCP connection, never of a header.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }
    /// The HTTP method.
    pub fn method(&self) -> &Method {
        self.request.method()
    }
    /// The request target.
    pub fn uri(&self) -> &Uri {
        self.request.uri()
    }
    /// The header fields as they came.
    pub fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    /// Reads the body, at most `limit` bytes and within the deadline.
    ///
    /// # Errors
    /// [`Refusal::BodyTooLarge`], [`Refusal::BodyTimeout`], or [`Refusal::Malformed`] for a
    /// body that breaks off, and for a request that another hop could cut out of the
    /// connection's bytes in another way (RFC 9112 §11.2).
    pub async fn body(self, limit: usize) -> Result<Bytes, Refusal> {
        Ok(self.whole(limit).await?.into_body())
    }

    /// The request with its body read, as [`Arrival::body`] reads it.
    ///
    /// # Errors
    /// As [`Arrival::body`].
    pub async fn whole(self, limit: usize) -> Result<Request<Bytes>, Refusal> {
        if let Some(what) = self.fault {
            return Err(Refusal::Malformed { what: what.into() });
        }
        let (head, body) = self.request.into_parts();
        if body.size_hint().lower() > limit as u64 {
            return Err(Refusal::BodyTooLarge { limit });
        }
        let body = timeout(self.body_deadline, collect(body, limit))
            .await
            .map_err(|_| Refusal::BodyTimeout)??;
        Ok(Request::from_parts(head, body))
    }
}

async fn collect(mut body: Incoming, limit: usize) -> Result<Bytes, Refusal> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::Malformed {
            what: "the body breaks off before its end; send the request again".to_owned(),
        })?;
        let Ok(data) = frame.into_data() else {
            continue; // trailers carry nothing for us
        };
        if first.len() + rest.len() + data.len() > limit {
            return Err(Refusal::BodyTooLarge { limit });
        }
        if first.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(&data);
        }
    }
    Ok(if rest.is_empty() {
        first
    } else {
        rest.freeze()
    })
}

/// Serves one door until `stop` turns true, then lets running requests end. Without `tls`
/// the door speaks plain HTTP/1.1.
///
/// `answer` gets every request that arrives whole; its future is dropped when the client
/// hangs up.
pub async fn serve<F, Fut, B>(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
    answer: F,
) where
    F: Fn(Arrival) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Response<B>> + Send + 'static,
    B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + Unpin + 'static,
    B::Data: Send,
{
    let slots = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    let protocols = Arc::new(Protocols::new(&limits));
    loop {
        let slot = tokio::select! {
            slot = slots.clone().acquire_owned() => slot,
            () = told(&mut stop) => break,
        };
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    refused_by_kernel(&error).await;
                    continue;
                }
            },
            () = told(&mut stop) => break,
        };
        while connections.try_join_next().is_some() {}
        let connection = Connection {
            peer,
            limits: limits.clone(),
            protocols: protocols.clone(),
            stop: stop.clone(),
            answer: answer.clone(),
        };
        let tls = tls.clone();
        connections.spawn(async move {
            connection.open(stream, tls).await;
            drop(slot);
        });
    }
    drop(listener);
    let drained = timeout(limits.drain, async {
        while connections.join_next().await.is_some() {}
    });
    if drained.await.is_err() {
        tracing::warn!(
            open = connections.len(),
            "drain deadline reached; closing connections"
        );
        connections.shutdown().await;
    }
}

struct Connection<F> {
    peer: SocketAddr,
    limits: Limits,
    protocols: Arc<Protocols>,
    stop: watch::Receiver<bool>,
    answer: F,
}

impl<F, Fut, B> Connection<F>
where
    F: Fn(Arrival) -> Fut,
    Fut: Future<Output = Response<B>> + Send + 'static,
    B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + Unpin + 'static,
    B::Data: Send,
{
    async fn open(self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        let _ = stream.set_nodelay(true);
        notice_when_gone(&stream, self.limits.idle);
        let Some(tls) = tls else {
            return self.carry(stream, false).await;
        };
        let peer = self.peer;
        match timeout(self.limits.handshake, tls.accept(stream)).await {
            Ok(Ok(stream)) => {
                let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                self.carry(stream, is_h2).await;
            }
            Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed"),
            Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
        }
    }

    /// Serves until the client or `stop` ends it, or until nothing happens any more. An
    /// idle connection is asked to end, and cut if it is idle once more after that.
    async fn carry(
        self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        is_h2: bool,
    ) {
        let Self {
            peer,
            limits,
            protocols,
            mut stop,
            answer,
        } = self;
        let activity = Activity::default();
        let requests = activity.clone();
        let verdict = Arc::new(Verdict::default());
        let stream = Strict::new(stream, (!is_h2).then(|| verdict.clone()));
        let service = service_fn(move |request| {
            let busy = requests.begin();
            let with_body = request.method() != Method::HEAD;
            let answered = answer(Arrival {
                request,
                peer,
                body_deadline: limits.body,
                fault: verdict.fault(),
            });
            let verdict = verdict.clone();
            async move {
                let mut response = answered.await;
                verdict.close_after(response.headers_mut());
                Ok::<_, std::convert::Infallible>(
                    response.map(|body| busy.until_the_end_of(with_body.then_some(body))),
                )
            }
        });
        let http = protocols.of(is_h2);
        let connection = http.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let mut ending = false;
        let ended = loop {
            tokio::select! {
                ended = connection.as_mut() => break ended,
                () = told(&mut stop), if !ending => {}
                () = activity.idle(limits.idle) => {
                    if ending {
                        return tracing::debug!(%peer, "an idle connection was cut");
                    }
                }
            }
            ending = true;
            connection.as_mut().graceful_shutdown();
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "connection ended early");
        }
    }
}

/// How each version of HTTP is spoken. TLS says which one: to find out from the first bytes
/// would mean to wait for them, without a deadline.
struct Protocols {
    http1: auto::Builder<TokioExecutor>,
    http2: auto::Builder<TokioExecutor>,
}

impl Protocols {
    fn new(limits: &Limits) -> Self {
        let mut http1 = auto::Builder::new(TokioExecutor::new()).http1_only();
        http1
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.idle)
            .max_buf_size(limits.head_bytes.max(8192))
            .max_headers(limits.headers);
        let mut http2 = auto::Builder::new(TokioExecutor::new()).http2_only();
        http2
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams)
            .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
            .max_pending_accept_reset_streams(20)
            .max_local_error_reset_streams(256)
            .keep_alive_interval(limits.idle / 2)
            .keep_alive_timeout(limits.idle / 2);
        Self { http1, http2 }
    }

    fn of(&self, is_h2: bool) -> &auto::Builder<TokioExecutor> {
        if is_h2 { &self.http2 } else { &self.http1 }
    }
}

/// Has the kernel find out when a client is gone without a word: a watch on which nothing
/// happens would be kept for it for ever.
fn notice_when_gone(stream: &TcpStream, idle: Duration) {
    let keepalive = TcpKeepalive::new()
        .with_time(idle.max(Duration::from_secs(1)))
        .with_interval(Duration::from_secs(10));
    let set = SockRef::from(stream).set_tcp_keepalive(&keepalive);
    if let Err(error) = set {
        tracing::debug!(%error, "no keep-alive for a connection");
    }
}

/// Waits until `stop` turns true, or whoever could turn it is gone.
pub async fn told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// An `accept` that failed: the process may be out of descriptors, which passes.
async fn refused_by_kernel(error: &io::Error) {
    tracing::warn!(%error, "cannot accept a connection");
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// A TLS acceptor for a certificate chain and its key, both PEM; ALPN offers `h2` and
/// `http/1.1`; TLS 1.3 and 1.2.
///
/// # Errors
/// A sentence that names the file and what is wrong with it.
pub fn tls_acceptor(
    certificate: &std::path::Path,
    key: &std::path::Path,
) -> Result<TlsAcceptor, String> {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| {
            format!(
                "{}: cannot read certificates: {error}",
                certificate.display()
            )
        })?;
    if chain.is_empty() {
        return Err(format!(
            "{}: holds no PEM certificate",
            certificate.display()
        ));
    }
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| format!("{}: cannot read a private key: {error}", key.display()))?;
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::aws_lc_rs::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .map_err(|error| error.to_string())?
    .with_no_client_auth()
    .with_single_cert(chain, private)
    .map_err(|error| {
        format!(
            "{} and {} do not fit together: {error}",
            certificate.display(),
            key.display()
        )
    })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.send_half_rtt_data = false;
    config.max_early_data_size = 0;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
