//! A cluster that does what a test tells it to do, over real TLS and HTTP/1.1: it answers
//! too early, too late, too much or in half.

use std::convert::Infallible;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use gateward::demo::scene::{CLUSTER, RunningGate};
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

use crate::harness::{World, world};

pub type Body = BoxBody<Bytes, std::io::Error>;

/// The cluster: how to reach it, and how often it was connected to.
pub struct Upstream {
    pub kubeconfig: PathBuf,
    pub port: u16,
    pub connections: Arc<AtomicUsize>,
}

/// Starts a cluster that answers `GET /version` by itself and everything else by `answer`.
pub async fn upstream<A, F>(answer: A) -> Upstream
where
    A: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let kubeconfig = kubeconfig(port, &made.cert.pem());
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let tls = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let connections = Arc::new(AtomicUsize::new(0));
    let (answer, counted) = (Arc::new(answer), connections.clone());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            let (tls, answer) = (tls.clone(), answer.clone());
            tokio::spawn(async move {
                let Ok(stream) = tls.accept(stream).await else {
                    return;
                };
                let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                    let answer = answer.clone();
                    async move {
                        if request.uri().path() == "/version"
                            && !request.headers().contains_key("impersonate-user")
                        {
                            return Ok(json_answer(200, &json!({"major": "1"})));
                        }
                        Ok::<_, Infallible>(answer(request).await)
                    }
                });
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    Upstream {
        kubeconfig,
        port,
        connections,
    }
}

fn kubeconfig(port: u16, certificate: &str) -> PathBuf {
    let name = format!("upstream-{port}-{}", uuid::Uuid::new_v4());
    let file = |suffix: &str| world().dir.join(format!("{name}.{suffix}"));
    std::fs::write(file("pem"), certificate).unwrap();
    let document = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {
            "server": format!("https://localhost:{port}"), "certificate-authority": file("pem")}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
        "users": [{"name": "c", "user": {}}],
    });
    std::fs::write(file("kubeconfig"), document.to_string()).unwrap();
    file("kubeconfig")
}

/// A gate in front of it that lets everything through.
pub async fn gate_before(
    world: &World,
    upstream: &Upstream,
    change: impl FnOnce(&mut Value),
) -> (RunningGate, PathBuf) {
    super::gate_with_rules(world, super::ALLOW_ALL, |document| {
        document["spec"]["clusters"] =
            json!([{"name": CLUSTER, "kubeconfig": {"file": upstream.kubeconfig}}]);
        change(document);
    })
    .await
}

pub fn json_answer(status: u16, document: &Value) -> Response<Body> {
    whole(status, document.to_string())
}

pub fn whole(status: u16, body: impl Into<Bytes>) -> Response<Body> {
    let body = Full::new(body.into()).map_err(|never| match never {});
    answer(status, body.boxed())
}

/// An answer that comes in these pieces. At an error the connection breaks, once what came
/// before is on its way.
pub fn pieces(status: u16, pieces: Vec<Result<Frame<Bytes>, std::io::Error>>) -> Response<Body> {
    let frames = stream::iter(pieces).then(async |piece| {
        if piece.is_err() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        piece
    });
    answer(status, BodyExt::boxed(StreamBody::new(frames)))
}

/// An answer that begins like this and then never goes on.
pub fn stalled(status: u16, beginning: &'static str) -> Response<Body> {
    let begun = stream::iter([Ok(Frame::data(Bytes::from_static(beginning.as_bytes())))]);
    let frames = begun.chain(stream::pending());
    answer(status, BodyExt::boxed(StreamBody::new(frames)))
}

pub fn data(text: &str) -> Result<Frame<Bytes>, std::io::Error> {
    Ok(Frame::data(Bytes::copy_from_slice(text.as_bytes())))
}

pub fn broken() -> Result<Frame<Bytes>, std::io::Error> {
    Err(std::io::Error::other("broken off"))
}

fn answer(status: u16, body: Body) -> Response<Body> {
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(body)
        .unwrap()
}
