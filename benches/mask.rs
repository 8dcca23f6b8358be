//! What masking costs: the scanner alone on what the API server writes, beside a masker on a
//! DOM and a set of regular expressions over the whole text; a list of 500 MB through the
//! whole gate beside the same bytes passed through; and a watch. With the argument `wire`
//! instead: what JSON, protobuf and gzip cost on a real API server.
//!
//! The upstream is this program in another role. Rounds alternate, so that a machine that
//! changes speed changes it for both.

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
#[path = "mask/wire.rs"]
mod wire;

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use gateward::decide::PolicySet;
use gateward::identify::{AuthenticationConfiguration, Caller, Identifier, Options};
use gateward::mask::{Masker, Masks, Plan};
use gateward::parse::{self, Embedders};
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use regex::bytes::RegexSet;
use serde_json::{Value, json};

use support::{Pool, certificate, child, client, gate, issuer, median, serve, token, verdict};

const LIST: usize = 500 << 20;
const EVENTS: usize = 100_000;
const ROUNDS: usize = 3;
const PIECE: usize = 64 * 1024;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    match arguments.get(1).map(String::as_str) {
        Some("upstream") => runtime.block_on(upstream(Path::new(&arguments[2]))),
        Some("wire") => runtime.block_on(wire::wire()),
        _ => {
            runtime.block_on(scanner());
            runtime.block_on(whole());
        }
    }
}

/// GB/s of one core.
async fn scanner() {
    let caller = caller().await;
    let masks = Arc::new(Masks::new(&PolicySet::compile(Vec::new()).unwrap(), &[7; 32]).unwrap());
    let plan = |path: &str| Plan::new(&masks, &caller, &ask(path)).unwrap();
    for (name, path, content_type, document) in documents() {
        compare(name, &plan(path), content_type, &document);
    }
}

fn documents() -> [(&'static str, &'static str, &'static str, Bytes); 4] {
    let size = 32 << 20;
    [
        (
            "PodList",
            "/api/v1/pods",
            "application/json",
            list("PodList", size, pod),
        ),
        (
            "SecretList",
            "/api/v1/secrets",
            "application/json",
            list("SecretList", size, secret),
        ),
        ("Table", "/api/v1/pods", "application/json", table(size)),
        (
            "log text",
            "/api/v1/namespaces/n/pods/p/log",
            "text/plain",
            log(size),
        ),
    ]
}

fn expressions() -> RegexSet {
    RegexSet::new([
        r"AKIA[0-9A-Z]{16}",
        r"gh[pousr]_[0-9A-Za-z]{36}",
        r"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}",
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
        r#"(?i)(password|passwd|secret|token|api[_-]?key)["']?\s*[:=]\s*["']?[^\s"']{6,}"#,
        r"[a-z][a-z0-9+.-]*://[^\s:/@]+:[^\s@/]+@",
        r"sk_live_[0-9A-Za-z]{24}",
        r"xox[abpr]-[0-9A-Za-z-]{10,}",
    ])
    .unwrap()
}

fn compare(name: &str, plan: &Plan, content_type: &str, document: &Bytes) {
    let expressions = expressions();
    let (mut ours, mut dom, mut set) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(speed(document, || {
            let mut masker = Masker::new(plan, 200, Some(content_type), None).unwrap();
            let mut out = 0;
            let mut at = 0;
            while at < document.len() {
                let end = (at + PIECE).min(document.len());
                out += masker
                    .feed(document.slice(at..end))
                    .unwrap()
                    .as_bytes()
                    .len();
                at = end;
            }
            out + masker.finish().unwrap().as_bytes().len()
        }));
        if content_type == "application/json" {
            dom.push(speed(document, || {
                let mut value: Value = serde_json::from_slice(document).unwrap();
                hide(&mut value, &expressions);
                serde_json::to_vec(&value).unwrap().len()
            }));
        }
        set.push(speed(document, || {
            expressions.matches(document).iter().count()
        }));
    }
    let (ours, set) = (median(&mut ours), median(&mut set));
    let dom = match dom.is_empty() {
        true => "none".to_owned(),
        false => format!("{:.2} GB/s", median(&mut dom)),
    };
    println!("scanner on {name}: {ours:.2} GB/s; DOM masker {dom}; RegexSet {set:.2} GB/s");
}

fn speed(document: &Bytes, run: impl FnOnce() -> usize) -> f64 {
    let begun = Instant::now();
    std::hint::black_box(run());
    document.len() as f64 / begun.elapsed().as_secs_f64() / 1e9
}

/// The obvious masker: all of `data`, and every string in which an expression matches.
fn hide(value: &mut Value, expressions: &RegexSet) {
    match value {
        Value::String(text) if expressions.is_match(text.as_bytes()) => {
            *text = "masked".to_owned();
        }
        Value::Array(items) => items.iter_mut().for_each(|item| hide(item, expressions)),
        Value::Object(entries) => {
            for (key, value) in entries {
                match (key.as_str(), value) {
                    ("data", Value::Object(data)) => {
                        data.values_mut()
                            .for_each(|value| *value = json!("bWFza2Vk"));
                    }
                    (_, value) => hide(value, expressions),
                }
            }
        }
        _ => {}
    }
}

/// 500 MB, and a watch, through the whole gate.
async fn whole() {
    let dir = tempfile::tempdir().unwrap();
    certificate(dir.path());
    let (_upstream, upstream) = child("upstream", &[dir.path().to_str().unwrap()]);
    let issuer = issuer().await;
    let token = token(&issuer).await;
    let (gate, address) = gate(dir.path(), &issuer, upstream).await;
    let client = client(dir.path());
    let url = |path: &str| format!("https://localhost:{}/clusters/bench{path}", address.port());
    let secrets = url("/api/v1/namespaces/default/secrets");
    let passed = url("/openapi/v2");
    for path in [&secrets, &passed] {
        read(&client, path, &token, 8 << 20).await;
    }
    let (mut masked, mut through) = (Vec::new(), Vec::new());
    let before = memory(gate.id(), "VmRSS");
    let mut most = 0;
    for round in 0..ROUNDS {
        through.push(
            read(&client, &passed, &token, usize::MAX)
                .await
                .1
                .as_secs_f64(),
        );
        std::fs::write(format!("/proc/{}/clear_refs", gate.id()), "5").unwrap();
        let (bytes, took) = read(&client, &secrets, &token, usize::MAX).await;
        masked.push(took.as_secs_f64());
        most = most.max(memory(gate.id(), "VmHWM"));
        println!(
            "round {round}: {} MB masked in {:.2} s, passed through in {:.2} s",
            bytes >> 20,
            masked[round],
            through[round]
        );
    }
    let ratio = median(&mut through) / median(&mut masked);
    println!(
        "goal: mask 500 MB SecretList / pass-through of the same bytes = {ratio:.2} (>= 0.90) {}",
        verdict(ratio >= 0.9)
    );
    let extra = most.saturating_sub(before) as f64 / 1024.0;
    println!(
        "goal: mask extra memory = {extra:.1} MiB (<= 16 MiB) {}",
        verdict(extra <= 16.0)
    );
    let watch = url("/api/v1/namespaces/default/pods?watch=true");
    let (_, took) = read(&client, &watch, &token, usize::MAX).await;
    let rate = EVENTS as f64 / took.as_secs_f64();
    println!(
        "goal: mask watch events per second = {rate:.0} (>= 10000) {}",
        verdict(rate >= 10_000.0)
    );
}

/// How many bytes came, and how long it took.
async fn read(
    client: &Pool<Full<Bytes>>,
    url: &str,
    token: &str,
    most: usize,
) -> (usize, Duration) {
    let request = Request::get(url)
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::ACCEPT, "application/json")
        .body(Full::default())
        .unwrap();
    let begun = Instant::now();
    let response = client.request(request).await.unwrap();
    let status = response.status();
    let mut body = response.into_body();
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        let data = frame.unwrap().into_data().unwrap();
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&data));
        bytes += data.len();
        if bytes > most {
            break;
        }
    }
    (bytes, begun.elapsed())
}

/// In KiB.
fn memory(pid: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

async fn upstream(dir: &Path) {
    let items =
        Bytes::from(std::iter::repeat_n(secret(0).to_string() + ",", 64).collect::<String>());
    let event = json!({"type": "MODIFIED", "object": pod(0)}).to_string() + "\n";
    let events = Bytes::from(event.repeat(50));
    serve(dir, move |request: Request<Incoming>| {
        let watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
        let pieces = match watch {
            true => endless(Bytes::new(), events.clone(), EVENTS / 50, Bytes::new()),
            false => endless(
                Bytes::from_static(br#"{"kind":"SecretList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":["#),
                items.clone(),
                LIST / items.len(),
                Bytes::from(secret(0).to_string() + "]}"),
            ),
        };
        async move {
            Response::builder()
                .header(header::CONTENT_TYPE, "application/json")
                .body(StreamBody::new(pieces))
                .unwrap()
        }
    })
    .await;
}

fn endless(
    head: Bytes,
    piece: Bytes,
    count: usize,
    tail: Bytes,
) -> impl Stream<Item = Result<Frame<Bytes>, Infallible>> {
    let pieces = std::iter::once(head)
        .chain(std::iter::repeat_n(piece, count))
        .chain([tail]);
    futures_util::stream::iter(pieces.filter(|piece| !piece.is_empty()))
        .map(|piece| Ok(Frame::data(piece)))
}

fn list(kind: &str, size: usize, item: fn(usize) -> Value) -> Bytes {
    let mut text = format!(
        r#"{{"kind":"{kind}","apiVersion":"v1","metadata":{{"resourceVersion":"1"}},"items":["#
    );
    for n in 0.. {
        text += &item(n).to_string();
        if text.len() > size {
            break;
        }
        text.push(',');
    }
    Bytes::from(text + "]}")
}

fn table(size: usize) -> Bytes {
    let row = |n: usize| json!({"cells": [format!("web-{n}"), "1/1", "Running", 0, "3d"], "object": {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": pod(n)["metadata"]}});
    let mut text = String::from(
        r#"{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{},"columnDefinitions":[{"name":"Name","type":"string"}],"rows":["#,
    );
    for n in 0.. {
        text += &row(n).to_string();
        if text.len() > size {
            break;
        }
        text.push(',');
    }
    Bytes::from(text + "]}")
}

fn log(size: usize) -> Bytes {
    let mut text = String::new();
    for n in 0.. {
        text += &format!(
            "2026-11-25T09:{:02}:{:02}.123456Z level=info msg=\"request served\" method=GET path=/api/items/{n} status=200 duration=12.{}ms client=10.0.{}.{}\n",
            n / 60 % 60,
            n % 60,
            n % 1000,
            n % 250,
            n % 240
        );
        if n % 1000 == 0 {
            text += "2026-11-25T09:00:00Z level=warn msg=\"dialing postgres://app:s3cr3t-w0rd@db:5432/app\"\n";
        }
        if text.len() > size {
            return Bytes::from(text);
        }
    }
    unreachable!()
}

fn pod(n: usize) -> Value {
    json!({
        "metadata": {"name": format!("web-{n}"), "namespace": "default", "uid": format!("0f8fad5b-d9cb-469f-a165-{n:012}"),
            "resourceVersion": "1234", "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"app": "web", "pod-template-hash": "6d4b75cb6d"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-6d4b75cb6d", "uid": "7f8fad5b-d9cb-469f-a165-708677289501", "controller": true}]},
        "spec": {"volumes": [{"name": "kube-api-access", "projected": {"sources": [{"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}, {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}]}}],
            "containers": [{"name": "web", "image": "registry.example.com/web@sha256:4c1e997385b8fb4ad4d1d3c7e5af7ff3f882e94d07cf5b78de9e889bc60830e6", "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
            "env": [{"name": "LOG_LEVEL", "value": "info"}, {"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}], "ports": [{"containerPort": 8080, "protocol": "TCP"}]}],
            "restartPolicy": "Always", "serviceAccountName": "default", "nodeName": "node-0", "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}]},
        "status": {"phase": "Running", "podIP": "10.0.0.1", "startTime": "2026-01-01T00:00:00Z", "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:05Z"}],
            "containerStatuses": [{"name": "web", "containerID": "containerd://8f1cb0c6b6b9c9d2a54f4fdc2c6e2ee2f3a9a6ed6ac5e9b5e1f2a1a7d1d8c5b3", "ready": true}]}
    })
}

fn secret(n: usize) -> Value {
    use base64::Engine;
    let value: Vec<u8> = (0..600).map(|at| ((at * 31 + n * 7) % 251) as u8).collect();
    let value = base64::engine::general_purpose::STANDARD.encode(value);
    json!({
        "metadata": {"name": format!("secret-{n}"), "namespace": "default", "uid": format!("0f8fad5b-d9cb-469f-a165-{n:012}"), "resourceVersion": "1234", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "data": {"password": "aHVudGVyMg==", "tls.key": value},
        "type": "Opaque"
    })
}

fn ask(path: &str) -> parse::Ask {
    let head = parse::head("bench".into(), &Method::GET, path, None, &HeaderMap::new()).unwrap();
    head.with_body(Bytes::new(), &Embedders::default()).unwrap()
}

async fn caller() -> Arc<Caller> {
    let issuer = issuer().await;
    let token = token(&issuer).await;
    let document = json!({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration",
        "jwt": [{"issuer": {"url": issuer.url(), "audiences": ["gate"], "certificateAuthority": issuer.ca_pem()},
            "claimMappings": {"username": {"claim": "sub", "prefix": ""}}}]});
    let configuration: AuthenticationConfiguration = serde_json::from_value(document).unwrap();
    let identifier = Identifier::new(&configuration, Options::new([7; 32])).unwrap();
    let mut headers = HeaderMap::new();
    let value = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
    headers.insert(header::AUTHORIZATION, value);
    identifier
        .identify(&headers, jiff::Timestamp::now())
        .await
        .unwrap()
}
