//! What one request costs: CPU time (user + system) of the gate's process for a 5 KB GET from
//! TLS to TLS, beside a bare hyper proxy that does nothing but copy, in the same run.
//!
//! Three processes besides this one: an upstream that answers a fixed PodList, the bare
//! proxy (both this program under another name), and the real `gateward serve` with
//! everything on: token, parse, policy, ledger with fdatasync, masking. Rounds alternate,
//! so that a machine that changes speed changes it for both.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    reason = "a bench stops loudly"
)]

use std::convert::Infallible;
use std::io::BufRead;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gateward::demo::issuer::{DevIssuer, Options};
use http::{Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

const CONNECTIONS: usize = 8;
const REQUESTS: usize = 8_000;
const ROUNDS: usize = 5;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    match arguments.get(1).map(String::as_str) {
        Some("upstream") => runtime.block_on(upstream(Path::new(&arguments[2]))),
        Some("proxy") => runtime.block_on(proxy(Path::new(&arguments[2]), &arguments[3])),
        _ => runtime.block_on(bench()),
    }
}

async fn bench() {
    let dir = tempfile::tempdir().unwrap();
    certificate(dir.path());
    let (_upstream, upstream) = child("upstream", &[dir.path().to_str().unwrap()]);
    let (proxy, proxy_addr) = child(
        "proxy",
        &[dir.path().to_str().unwrap(), &upstream.to_string()],
    );
    let issuer = issuer().await;
    let token = token(&issuer).await;
    let (gate, gate_addr) = gate(dir.path(), &issuer, upstream).await;

    let client = client(dir.path());
    let through_proxy = format!(
        "https://localhost:{}/api/v1/namespaces/default/pods",
        proxy_addr.port()
    );
    let through_gate = format!(
        "https://localhost:{}/clusters/bench/api/v1/namespaces/default/pods",
        gate_addr.port()
    );
    for url in [&through_proxy, &through_gate] {
        let size = get(&client, url, &token).await;
        assert_eq!(size, pods().len(), "{url}");
        load(&client, url, &token, REQUESTS / 4).await;
    }
    let (mut bare, mut full) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        bare.push(measure(&client, &through_proxy, &token, proxy.id()).await);
        full.push(measure(&client, &through_gate, &token, gate.id()).await);
        println!(
            "round {round}: bare proxy {:.1} µs, gate {:.1} µs per request",
            bare[round], full[round]
        );
    }
    let (bare, full) = (median(&mut bare), median(&mut full));
    let verdict = |met: bool| if met { "met" } else { "missed" };
    println!(
        "bare hyper TLS-to-TLS proxy: {bare:.1} µs of CPU per {} byte GET",
        pods().len()
    );
    println!(
        "gate with everything on:     {full:.1} µs of CPU per {} byte GET",
        pods().len()
    );
    let ratio = full / bare;
    println!(
        "goal: journey gate / bare hyper proxy, CPU per request = {ratio:.2} (<= 2.00) {}",
        verdict(ratio <= 2.0)
    );
    println!(
        "goal: journey CPU per request = {full:.1} µs (<= 26 µs, bare nginx) {}",
        verdict(full <= 26.0)
    );
}

struct Stopped(Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Stopped {
    fn id(&self) -> u32 {
        self.0.id()
    }
}

/// This program again, in another role; its first line of output is its address.
fn child(role: &str, arguments: &[&str]) -> (Stopped, SocketAddr) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg(role)
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(
        &mut std::io::BufReader::new(child.stdout.take().unwrap()),
        &mut line,
    )
    .unwrap();
    (Stopped(child), line.trim().parse().unwrap())
}

async fn gate(dir: &Path, issuer: &DevIssuer, upstream: SocketAddr) -> (Stopped, SocketAddr) {
    let file = |name: &str, text: &str| -> PathBuf {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let ca = dir.join("cert.pem");
    file(
        "kubeconfig",
        &format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: b\nclusters: [{{name: b, cluster: {{server: 'https://localhost:{}', certificate-authority: {}}}}}]\ncontexts: [{{name: b, context: {{cluster: b, user: b}}}}]\nusers: [{{name: b, user: {{}}}}]\n",
            upstream.port(),
            ca.display()
        ),
    );
    let jwt = |audience: &str| {
        serde_json::json!({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration",
            "jwt": [{"issuer": {"url": issuer.url(), "audiences": [audience], "certificateAuthority": issuer.ca_pem()},
                     "claimMappings": {"username": {"claim": "sub", "prefix": ""}, "groups": {"claim": "groups", "prefix": ""}}}]})
    };
    let tls = serde_json::json!({"certificateFile": ca, "keyFile": dir.join("key.pem")});
    let config = file(
        "gate.yaml",
        &serde_json::json!({
            "apiVersion": "gateward.dev/v1alpha1", "kind": "GatewardConfiguration",
            "spec": {
                "clusters": [{"name": "bench", "kubeconfig": {"file": dir.join("kubeconfig")}}],
                "doors": {"agents": {"listen": "127.0.0.1:0", "tls": tls}, "humans": {"listen": "127.0.0.1:0", "tls": tls}, "operators": {"listen": "127.0.0.1:0"}},
                "identity": {"agents": {"authentication": jwt("gate")}, "humans": {"authentication": jwt("people"), "approverGroups": ["approvers"]}},
                "dataDirectory": dir.join("data"),
            }
        })
        .to_string(),
    );
    let mut process = Command::new(env!("CARGO_BIN_EXE_gateward"))
        .args(["serve", "--config"])
        .arg(config)
        .stdout(Stdio::piped())
        .env("RUST_LOG", "warn")
        .spawn()
        .unwrap();
    let output = process.stdout.take().unwrap();
    // The issuer answers on this runtime while the gate starts.
    let said = tokio::task::spawn_blocking(move || {
        let mut said = Vec::new();
        for line in std::io::BufReader::new(output).lines() {
            said.push(line.unwrap());
            if said.last().unwrap().starts_with("ready") {
                break;
            }
        }
        said
    });
    let said = said.await.unwrap();
    let address = said
        .iter()
        .find_map(|line| line.strip_prefix("agents' door: https://"));
    let address = address
        .expect("the gate says where its doors are")
        .trim()
        .parse()
        .unwrap();
    (Stopped(process), address)
}

async fn issuer() -> DevIssuer {
    DevIssuer::start(Options::default()).await.unwrap()
}

async fn token(issuer: &DevIssuer) -> String {
    let now = jiff::Timestamp::now().as_second();
    let claims = serde_json::json!({
        "iss": issuer.url(), "sub": "agent", "aud": "gate", "iat": now, "exp": now + 3600,
    });
    issuer.mint(&claims).unwrap()
}

type Pool<B> =
    Client<hyper_rustls::HttpsConnector<hyper_util::client::legacy::connect::HttpConnector>, B>;

fn client<B>(dir: &Path) -> Pool<B>
where
    B: hyper::body::Body + Send,
    B::Data: Send,
{
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(dir.join("cert.pem")).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut http = hyper_util::client::legacy::connect::HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_only()
        .enable_http1()
        .wrap_connector(http);
    Client::builder(TokioExecutor::new()).build(connector)
}

async fn get(client: &Pool<Full<Bytes>>, url: &str, token: &str) -> usize {
    let request = Request::get(url)
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::ACCEPT, "application/json")
        .body(Full::default())
        .unwrap();
    let response = client.request(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    body.len()
}

async fn load(client: &Pool<Full<Bytes>>, url: &str, token: &str, requests: usize) {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (client, url, token) = (client.clone(), url.to_owned(), token.to_owned());
        tasks.spawn(async move {
            for _ in 0..requests / CONNECTIONS {
                get(&client, &url, &token).await;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

/// Microseconds of CPU time per request of process `pid`.
async fn measure(client: &Pool<Full<Bytes>>, url: &str, token: &str, pid: u32) -> f64 {
    let (before, started) = (cpu(pid), Instant::now());
    load(client, url, token, REQUESTS).await;
    let used = cpu(pid) - before;
    assert!(started.elapsed() < Duration::from_secs(120));
    used.as_secs_f64() * 1e6 / REQUESTS as f64
}

/// User and system time of all threads, from the scheduler's own nanosecond counters.
fn cpu(pid: u32) -> Duration {
    let mut nanoseconds = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let Ok(text) = std::fs::read_to_string(task.unwrap().path().join("schedstat")) else {
            continue;
        };
        nanoseconds += text.split(' ').next().unwrap().parse::<u64>().unwrap();
    }
    Duration::from_nanos(nanoseconds)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A PodList of about 5 KB, shaped as the API server writes it.
fn pods() -> Bytes {
    let pod = |n: usize| {
        serde_json::json!({
            "metadata": {"name": format!("web-{n}"), "namespace": "default", "uid": format!("00000000-0000-4000-8000-{n:012}"),
                "resourceVersion": "1234", "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"app": "web"},
                "annotations": {"example.com/note": "a \"quoted\" note"}},
            "spec": {"containers": [{"name": "web", "image": "registry.example.com/web:1.2.3", "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
                "env": [{"name": "LOG_LEVEL", "value": "info"}], "ports": [{"containerPort": 8080, "protocol": "TCP"}]}],
                "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst", "nodeName": "node-0"},
            "status": {"phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]}
        })
    };
    let items: Vec<_> = (0..7).map(pod).collect();
    Bytes::from(serde_json::json!({"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "1234"}, "items": items}).to_string())
}

fn certificate(dir: &Path) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(dir.join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(dir.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
}

async fn upstream(dir: &Path) {
    let body = pods();
    serve(dir, move |_request: Request<Incoming>| {
        let body = body.clone();
        async move {
            Response::builder()
                .header(header::CONTENT_TYPE, "application/json")
                .body(Full::new(body))
                .unwrap()
        }
    })
    .await;
}

/// The least that any hyper proxy must do.
async fn proxy(dir: &Path, upstream: &str) {
    let authority = format!(
        "localhost:{}",
        upstream.parse::<SocketAddr>().unwrap().port()
    );
    let client = client(dir);
    serve(dir, move |mut request: Request<Incoming>| {
        let path = request.uri().path_and_query().unwrap().clone();
        *request.uri_mut() = http::Uri::builder()
            .scheme("https")
            .authority(authority.as_str())
            .path_and_query(path)
            .build()
            .unwrap();
        request.headers_mut().remove(header::HOST);
        let sent = client.request(request);
        async move { sent.await.unwrap() }
    })
    .await;
}

async fn serve<F, Fut, B>(dir: &Path, answer: F)
where
    F: Fn(Request<Incoming>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Response<B>> + Send,
    B: hyper::body::Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    B::Data: Send,
{
    let tls = gateward::accept::tls_acceptor(&dir.join("cert.pem"), &dir.join("key.pem")).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (tls, answer) = (tls.clone(), answer.clone());
        tokio::spawn(async move {
            stream.set_nodelay(true).unwrap();
            let stream = tls.accept(stream).await.unwrap();
            let service = service_fn(move |request| {
                let answered = answer(request);
                async { Ok::<_, Infallible>(answered.await) }
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}
