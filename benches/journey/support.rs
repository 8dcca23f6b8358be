//! What the benches of the whole gate share: a development issuer, `gateward serve` with a
//! configuration of its own in front of an upstream, and this program in other roles.

#![allow(dead_code, reason = "each bench uses what it needs")]

use std::convert::Infallible;
use std::io::BufRead;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use gateward::demo::issuer::{DevIssuer, Options};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

pub struct Stopped(Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Stopped {
    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

/// This program again, in another role; its first line of output is its address.
pub fn child(role: &str, arguments: &[&str]) -> (Stopped, SocketAddr) {
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

pub async fn gate(dir: &Path, issuer: &DevIssuer, upstream: SocketAddr) -> (Stopped, SocketAddr) {
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
    served(&config).await
}

/// `gateward serve` with this configuration, and its agents' door.
pub async fn served(config: &Path) -> (Stopped, SocketAddr) {
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

pub async fn issuer() -> DevIssuer {
    DevIssuer::start(Options::default()).await.unwrap()
}

pub async fn token(issuer: &DevIssuer) -> String {
    let now = jiff::Timestamp::now().as_second();
    let claims = serde_json::json!({
        "iss": issuer.url(), "sub": "agent", "aud": "gate", "iat": now, "exp": now + 3600,
    });
    issuer.mint(&claims).unwrap()
}

pub type Pool<B> =
    Client<hyper_rustls::HttpsConnector<hyper_util::client::legacy::connect::HttpConnector>, B>;

pub fn client<B>(dir: &Path) -> Pool<B>
where
    B: hyper::body::Body + Send,
    B::Data: Send,
{
    client_of(&dir.join("cert.pem"))
}

/// A client that trusts this certificate, or whom it signed.
pub fn client_of<B>(certificate: &Path) -> Pool<B>
where
    B: hyper::body::Body + Send,
    B::Data: Send,
{
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(certificate).unwrap())
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

/// User and system time of all threads, from the scheduler's own nanosecond counters.
pub fn cpu(pid: u32) -> Duration {
    let mut nanoseconds = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let Ok(text) = std::fs::read_to_string(task.unwrap().path().join("schedstat")) else {
            continue;
        };
        nanoseconds += text.split(' ').next().unwrap().parse::<u64>().unwrap();
    }
    Duration::from_nanos(nanoseconds)
}

pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

pub fn certificate(dir: &Path) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(dir.join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(dir.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
}

pub async fn serve<F, Fut, B>(dir: &Path, answer: F)
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

/// How a goal ends.
pub fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "missed" }
}
