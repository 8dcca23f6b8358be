//! What masking costs: the scanner alone on what the API server writes, beside a masker on a
//! DOM and a set of regular expressions over the whole text; lists of 500 MB through the whole
//! gate beside the same bytes passed through; and a watch. With the argument `wire`
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

#[path = "mask/objects.rs"]
mod objects;
#[path = "journey/support.rs"]
mod support;
#[path = "mask/wire.rs"]
mod wire;

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gateward::decide::PolicySet;
use gateward::identify::{AuthenticationConfiguration, Caller, Identifier, Options};
use gateward::mask::{Masker, Masks, Plan};
use gateward::parse::{self, Embedders};
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use regex::bytes::RegexSet;
use serde_json::{Value, json};

use objects::{labelled, list, log, pod, secret, table};
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

fn documents() -> [(&'static str, &'static str, &'static str, Bytes); 5] {
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
        (
            "SecretList with labels",
            "/api/v1/secrets",
            "application/json",
            list("SecretList", size, labelled),
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
    let lists = [
        ("500 MB SecretList", "plain", "/openapi/v2"),
        (
            "the same with labels and managedFields",
            "labelled",
            "/openapi/v3",
        ),
    ];
    let lists = lists.map(|(name, namespace, passed)| {
        let masked = url(&format!("/api/v1/namespaces/{namespace}/secrets"));
        (name, masked, url(passed))
    });
    for path in lists
        .iter()
        .flat_map(|(_, masked, passed)| [masked, passed])
    {
        read(&client, path, &token, 8 << 20).await;
    }
    let before = memory(gate.id(), "VmRSS");
    let mut most = 0;
    for (name, masked, passed) in &lists {
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let (_, took) = read(&client, passed, &token, usize::MAX).await;
            without.push(took.as_secs_f64());
            std::fs::write(format!("/proc/{}/clear_refs", gate.id()), "5").unwrap();
            let (bytes, took) = read(&client, masked, &token, usize::MAX).await;
            with.push(took.as_secs_f64());
            most = most.max(memory(gate.id(), "VmHWM"));
            println!(
                "round {round}: {name}: {} MB left when masked, {:.2} s; passed through in {:.2} s",
                bytes >> 20,
                with[round],
                without[round]
            );
        }
        let ratio = median(&mut without) / median(&mut with);
        println!(
            "goal: mask {name} / pass-through of the same bytes = {ratio:.2} (>= 0.90) {}",
            verdict(ratio >= 0.9)
        );
    }
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
    let (plain, labelled) = (pieces(secret), pieces(labelled));
    let event = json!({"type": "MODIFIED", "object": pod(0)}).to_string() + "\n";
    let events = vec![Bytes::from(event.repeat(50)); EVENTS / 50];
    serve(dir, move |request: Request<Incoming>| {
        let uri = request.uri();
        let watch = uri
            .query()
            .is_some_and(|query| query.contains("watch=true"));
        let pieces = match (watch, uri.path()) {
            (true, _) => events.clone(),
            (false, "/openapi/v3" | "/api/v1/namespaces/labelled/secrets") => labelled.clone(),
            (false, _) => plain.clone(),
        };
        let frames = pieces
            .into_iter()
            .map(|piece| Ok::<_, Infallible>(Frame::data(piece)));
        async move {
            Response::builder()
                .header(header::CONTENT_TYPE, "application/json")
                .body(StreamBody::new(futures_util::stream::iter(frames)))
                .unwrap()
        }
    })
    .await;
}

/// A list of [`LIST`] bytes, in frames. Its objects differ for so long that nothing can profit
/// from those that come again.
fn pieces(item: fn(usize) -> Value) -> Vec<Bytes> {
    let differing: Bytes = (0..16_000)
        .map(|n| item(n).to_string() + ",")
        .collect::<String>()
        .into();
    let frames = differing
        .chunks(PIECE)
        .map(|frame| differing.slice_ref(frame));
    let mut pieces = vec![Bytes::from_static(
        br#"{"kind":"SecretList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":["#,
    )];
    let frames = frames.collect::<Vec<_>>();
    pieces.extend(std::iter::repeat_n(frames, LIST / differing.len()).flatten());
    pieces.push(Bytes::from(item(0).to_string() + "]}"));
    pieces
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
