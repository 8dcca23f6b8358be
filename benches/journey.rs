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

#[path = "journey/support.rs"]
mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;

use support::{Pool, certificate, child, client, cpu, gate, issuer, median, serve, token, verdict};

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
