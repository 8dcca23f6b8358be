//! HTTP/2 in wrong hands: frames written by hand.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::served::Served;
use crate::harness::{json_of, run, world};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
/// RFC 9113 §6.2: no more header fields follow, and no body.
const END_STREAM_AND_HEADERS: u8 = 0x5;
const MAX_CONCURRENT_STREAMS: u16 = 3;
const ENHANCE_YOUR_CALM: u32 = 0xb;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// `GET https://x/`, in HPACK: three indexed fields and a literal `:authority`.
const GET: &[u8] = &[0x82, 0x87, 0x84, 0x01, 1, b'x'];

/// The frames in these bytes: kind, flags, payload.
fn frames(mut bytes: &[u8]) -> Vec<(u8, u8, Vec<u8>)> {
    let mut found = Vec::new();
    while bytes.len() >= 9 {
        let length = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]) as usize;
        if bytes.len() < 9 + length {
            break;
        }
        found.push((bytes[3], bytes[4], bytes[9..9 + length].to_vec()));
        bytes = &bytes[9 + length..];
    }
    found
}

/// Sends bytes over a fresh HTTP/2 connection; returns what came back, and whether the gate
/// closed it.
async fn talk(gate: &Served, bytes: &[u8]) -> (Vec<(u8, u8, Vec<u8>)>, bool) {
    let stream = world().tls_h2(gate.agents).await;
    let (mut reading, mut writing) = tokio::io::split(stream);
    let mut answer = Vec::new();
    let talk = async {
        let _ = writing.write_all(PREFACE).await;
        let _ = writing.write_all(&frame(SETTINGS, 0, 0, &[])).await;
        let _ = writing.write_all(bytes).await;
        std::future::pending::<()>().await
    };
    let closed = tokio::select! {
        read = tokio::time::timeout(Duration::from_secs(3), reading.read_to_end(&mut answer)) => read.is_ok(),
        () = talk => false,
    };
    (frames(&answer), closed)
}

fn calmed(frames: &[(u8, u8, Vec<u8>)]) -> bool {
    frames.iter().any(|(kind, _, payload)| {
        *kind == GOAWAY && payload[4..8] == ENHANCE_YOUR_CALM.to_be_bytes()
    })
}

fn gate() -> Served {
    let (configuration, _) = world().configured(|document| {
        document["spec"]["limits"] = json!({"maxStreamsPerConnection": 7, "idleTimeout": "30s"});
    });
    Served::start(&configuration)
}

#[test]
fn threat_24_the_gate_says_how_many_streams_it_takes() {
    run(async {
        let (frames, _) = talk(&gate(), &[]).await;
        let (_, _, settings) = frames
            .iter()
            .find(|(kind, flags, _)| *kind == SETTINGS && *flags == 0)
            .unwrap();
        let streams = settings
            .chunks(6)
            .find(|setting| setting[..2] == MAX_CONCURRENT_STREAMS.to_be_bytes())
            .map(|setting| u32::from_be_bytes(setting[2..].try_into().unwrap()));
        assert_eq!(streams, Some(7));
    });
}

/// CVE-2023-44487: streams that are reset as soon as they are opened count for no limit of
/// concurrent streams.
#[test]
fn threat_24_a_flood_of_resets_ends_the_connection() {
    run(async {
        let gate = gate();
        let flood: Vec<u8> = (0..2000)
            .flat_map(|n| {
                let mut pair = frame(HEADERS, END_STREAM_AND_HEADERS, 2 * n + 1, GET);
                pair.extend(frame(RST_STREAM, 0, 2 * n + 1, &8u32.to_be_bytes()));
                pair
            })
            .collect();
        let (frames, closed) = talk(&gate, &flood).await;
        assert!(closed && calmed(&frames), "{frames:?}");
        assert_eq!(
            json_of(gate.ask(world(), "GET", "/api/v1/namespaces"))
                .await
                .0,
            200
        );
    });
}

/// CVE-2024-27316: header fields that never end.
#[test]
fn threat_24_a_flood_of_continuations_ends_the_connection() {
    run(async {
        let gate = gate();
        let mut flood = frame(HEADERS, 0, 1, GET);
        for _ in 0..2000 {
            // A literal field without indexing: `a: b`.
            flood.extend(frame(
                CONTINUATION,
                0,
                1,
                &[0x00, 1, b'a', 1, b'b'].repeat(200),
            ));
        }
        let (frames, closed) = talk(&gate, &flood).await;
        assert!(closed, "{frames:?}");
        assert_eq!(
            json_of(gate.ask(world(), "GET", "/api/v1/namespaces"))
                .await
                .0,
            200
        );
    });
}

#[test]
fn nonsense_instead_of_http2_ends_the_connection() {
    run(async {
        let gate = gate();
        let mut stream = world().tls_h2(gate.agents).await;
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await
            .unwrap();
        let mut answer = Vec::new();
        let read =
            tokio::time::timeout(Duration::from_secs(3), stream.read_to_end(&mut answer)).await;
        assert!(read.is_ok(), "kept open");
    });
}
