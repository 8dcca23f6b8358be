//! A gate whose cluster is a trap: whatever reaches it is kept, byte for byte, and nothing
//! hostile may.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use gateward::demo::scene::{CLUSTER, RunningGate};

use crate::harness::{Capture, World, world};

/// An HTTP/2 header field, as bytes.
pub type Field<'a> = (&'a [u8], &'a [u8]);

/// Where a good request goes.
pub const PODS: &str = "/clusters/local/api/v1/namespaces/default/pods";

/// A gate of the test's own, in front of the trap.
pub struct Trap {
    pub gate: RunningGate,
    pub cluster: Capture,
    data: PathBuf,
}

/// An answer's status, header fields (names in lower case) and body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// Whether the gate closed the connection after it.
    pub closed: bool,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body as a Kubernetes `Status`.
    pub fn document(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    fn read(text: &str, closed: bool) -> Option<Self> {
        let (head, rest) = text.split_once("\r\n\r\n")?;
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let body = rest.to_owned();
        Some(Self {
            status,
            headers,
            body,
            closed,
        })
    }
}

impl Trap {
    /// Behind the default policy.
    pub async fn set() -> Self {
        Self::with(|_| {}).await
    }

    /// Behind a configuration changed by `change`.
    pub async fn with(change: impl FnOnce(&mut Value)) -> Self {
        let cluster = Capture::start(&world().dir).await;
        let (gate, data) = world()
            .another_gate(|document| {
                document["spec"]["clusters"] =
                    json!([{"name": CLUSTER, "kubeconfig": {"file": cluster.kubeconfig}}]);
                change(document);
            })
            .await;
        Self {
            gate,
            cluster,
            data,
        }
    }

    /// Sends bytes as they are over HTTP/1.1 and reads one answer to its end; none if the gate
    /// says nothing.
    pub async fn send(&self, request: &[u8]) -> Option<Answer> {
        exchange(self.gate.agents, request, None).await
    }

    /// The same, and reads on for a moment: a second answer would be found in the body.
    pub async fn send_and_wait(&self, request: &[u8]) -> Option<Answer> {
        let moment = Some(Duration::from_millis(500));
        exchange(self.gate.agents, request, moment).await
    }

    /// A request with these header lines beside Host and a good token.
    pub async fn get(&self, path: &str, lines: &str) -> Answer {
        let request = request("GET", path, &format!("{}{lines}", authorization()), "");
        self.send(request.as_bytes()).await.expect("an answer")
    }

    /// Sends a request over HTTP/2, its path and header fields as they are.
    pub async fn send_h2(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let stream = world().tls_h2(self.gate.agents).await;
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .unwrap();
        let driver = tokio::spawn(connection);
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("https://localhost{path}"));
        for (name, value) in headers {
            let value = http::HeaderValue::from_bytes(value.as_bytes()).unwrap();
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes())));
        let response = sender.send_request(request.unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        driver.abort();
        let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
        Answer {
            status: parts.status.as_u16(),
            headers: parts
                .headers
                .iter()
                .map(|(name, value)| (name.to_string(), text(value)))
                .collect(),
            body: String::from_utf8(body.to_vec()).unwrap(),
            closed: false,
        }
    }

    /// Sends one HTTP/2 HEADERS frame that no honest client would, then DATA, and says how
    /// the gate ends the stream: `reset`, `goaway`, `answer` or `closed`.
    pub async fn frames(&self, fields: &[Field<'_>], data: Option<&[u8]>) -> &'static str {
        let mut stream = world().tls_h2(self.gate.agents).await;
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        bytes.extend(frame(4, 0, 0, &[]));
        let block: Vec<u8> = fields
            .iter()
            .flat_map(|(name, value)| literal(name, value))
            .collect();
        let end = u8::from(data.is_none());
        bytes.extend(frame(1, 4 | end, 1, &block));
        if let Some(data) = data {
            bytes.extend(frame(0, 1, 1, data));
        }
        stream.write_all(&bytes).await.unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(10), async {
            loop {
                let mut head = [0; 9];
                if stream.read_exact(&mut head).await.is_err() {
                    return "closed";
                }
                let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8;
                let mut payload = vec![0; length | usize::from(head[2])];
                if stream.read_exact(&mut payload).await.is_err() {
                    return "closed";
                }
                match head[3] {
                    1 => return "answer",
                    3 => return "reset",
                    7 => return "goaway",
                    _ => {}
                }
            }
        });
        ended.await.expect("the gate ends the stream")
    }

    /// The attack got this code in a `Status`, nothing came of it in the cluster, and it is
    /// in the ledger. Returns the ledger's entry.
    pub async fn refused(&self, what: &str, answer: &Answer, code: u16) -> Value {
        assert_eq!(answer.status, code, "{what}: {answer:?}");
        self.nothing_passed(what);
        let id = if answer.body.is_empty() {
            // HEAD
            answer.header("audit-id").unwrap().to_owned()
        } else {
            let status = answer.document();
            assert_eq!(
                (&status["kind"], &status["status"], &status["code"]),
                (&json!("Status"), &json!("Failure"), &json!(code)),
                "{what}"
            );
            let id = &status["details"]["causes"][0]["message"];
            id.as_str().unwrap().to_owned()
        };
        let entry = self.recorded(&id).await;
        assert_eq!(entry["refused"]["status"], code, "{what}: {entry}");
        entry
    }

    /// Nothing at all reached the cluster.
    pub fn nothing_passed(&self, what: &str) {
        let passed = self.cluster.requests.lock().unwrap().clone();
        assert!(passed.is_empty(), "{what} reached the cluster: {passed:?}");
    }

    /// What the ledger says under this id.
    pub async fn recorded(&self, id: &str) -> Value {
        recorded(world(), &self.data, id).await
    }

    /// Everything that the gate keeps.
    pub fn kept(&self) -> String {
        String::from_utf8_lossy(&world().kept(&self.data)).into_owned()
    }
}

/// Sends bytes as they are to an agents' door over HTTP/1.1 and reads one answer to its end, and
/// on for `moment`; none if the gate says nothing.
pub async fn exchange(
    agents: SocketAddr,
    request: &[u8],
    moment: Option<Duration>,
) -> Option<Answer> {
    let mut stream = world().tls(agents).await;
    // The gate may hang up before it has read all.
    let _ = stream.write_all(request).await;
    let mut text = Vec::new();
    let mut buffer = [0; 16384];
    let mut wait = Duration::from_secs(10);
    let closed = loop {
        match tokio::time::timeout(wait, stream.read(&mut buffer)).await {
            Ok(Ok(0) | Err(_)) => break true,
            Ok(Ok(read)) => text.extend_from_slice(&buffer[..read]),
            Err(_) => break false,
        }
        if whole(&text, request.starts_with(b"HEAD ")) {
            let Some(moment) = moment else {
                break false;
            };
            wait = moment;
        }
    };
    Answer::read(&String::from_utf8_lossy(&text), closed)
}

/// What the ledger in this data directory says first under an id.
pub async fn recorded(world: &World, data: &std::path::Path, id: &str) -> Value {
    let begun = Instant::now();
    let opening = format!(r#"{{"v":1,"id":"{id}""#);
    loop {
        let ledger = world.kept(&data.join("ledger"));
        if let Some(at) = place_of(opening.as_bytes(), &ledger) {
            let mut entries = serde_json::Deserializer::from_slice(&ledger[at..]).into_iter();
            if let Some(Ok(entry)) = entries.next() {
                return entry;
            }
        }
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "{id} is not in the ledger"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn place_of(part: &[u8], all: &[u8]) -> Option<usize> {
    all.windows(part.len()).position(|window| window == part)
}

/// A header line with a good token.
pub fn authorization() -> String {
    format!("Authorization: Bearer {}\r\n", world().agent_token())
}

/// A request as text; `lines` are header lines with their ends.
pub fn request(method: &str, path: &str, lines: &str, body: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n{body}")
}

/// Pseudo-header fields first, as they must be; then the token and the attack.
pub fn h2_fields<'a>(
    method: &'a [u8],
    path: &'a str,
    token: &'a str,
    more: &[Field<'a>],
) -> Vec<Field<'a>> {
    let (pseudo, plain): (Vec<_>, Vec<_>) =
        more.iter().copied().partition(|(name, _)| name[0] == b':');
    let mut fields: Vec<Field> = vec![
        (b":method", method),
        (b":scheme", b"https"),
        (b":authority", b"localhost"),
        (b":path", path.as_bytes()),
    ];
    fields.extend(pseudo);
    fields.push((b"authorization", token.as_bytes()));
    fields.extend(plain);
    fields
}

/// Whether one answer with a Content-Length is all there.
fn whole(text: &[u8], bodiless: bool) -> bool {
    let text = String::from_utf8_lossy(text);
    let Some(answer) = Answer::read(&text, false) else {
        return false;
    };
    let length = answer.header("content-length");
    let complete = |length: &str| answer.body.len() >= length.parse::<usize>().unwrap();
    bodiless || length.is_some_and(complete)
}

/// An HTTP/2 frame (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A header field, literally (RFC 7541 §6.2.2), with strings up to 16 KiB.
fn literal(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut field = vec![0];
    for text in [name, value] {
        match text.len() {
            short @ 0..=126 => field.push(u8::try_from(short).unwrap()),
            long => {
                let rest = long - 127;
                field.push(127);
                if rest < 128 {
                    field.push(u8::try_from(rest).unwrap());
                } else {
                    field.push(u8::try_from(rest % 128).unwrap() | 128);
                    field.push(u8::try_from(rest / 128).unwrap());
                }
            }
        }
        field.extend(text);
    }
    field
}
