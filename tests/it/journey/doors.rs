//! ① The agents' door: protocols, what it serves to anybody, idle connections, shutdown.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gateward::demo::issuer::{DevIssuer, Options};
use gateward::demo::scene::{CLUSTER, RunningGate};
use reqwest::Version;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::upstream::{data, gate_before, json_answer, pieces, upstream};
use super::{Answered, send};
use crate::harness::{World, run, world};

fn at_door(gate: &RunningGate, path: &str) -> String {
    format!("https://localhost:{}{path}", gate.agents.port())
}

async fn anybody(world: &World, gate: &RunningGate, method: &str, path: &str) -> Answered {
    let method = method.parse().unwrap();
    send(world.client().request(method, at_door(gate, path))).await
}

/// A TLS connection of this version that offers these protocols.
async fn tls(
    world: &World,
    gate: &RunningGate,
    version: &'static rustls::SupportedProtocolVersion,
    protocols: &[&[u8]],
) -> TlsStream<TcpStream> {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    let mut roots = rustls::RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(world.scene.file("gate-ca.pem")).unwrap();
    roots.add(authority).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let tcp = TcpStream::connect(gate.agents).await.unwrap();
    tokio_rustls::TlsConnector::from(Arc::new(config))
        .connect("localhost".try_into().unwrap(), tcp)
        .await
        .unwrap()
}

#[test]
fn http_2_carries_many_requests_at_once_on_one_connection() {
    run(async {
        let world = world();
        let client = world.client();
        let token = world.agent_token();
        let url = at_door(&world.gate, &format!("/clusters/{CLUSTER}/api/v1/nodes"));
        let requests = (0..50).map(|_| send(client.get(&url).bearer_auth(&token)));
        let answers = futures_util::future::join_all(requests).await;
        let mut ids: Vec<&str> = answers.iter().map(Answered::id).collect();
        for answer in &answers {
            assert_eq!((answer.status, answer.version), (200, Version::HTTP_2));
            assert_eq!(answer.json()["items"][0]["metadata"]["name"], "node-0");
        }
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 50, "each request has a record of its own");
    });
}

#[test]
fn http_1_1_answers_pipelined_requests_in_order() {
    run(async {
        let world = world();
        let request = |resource: &str, connection: &str| {
            format!(
                "GET /clusters/{CLUSTER}/api/v1/{resource} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\
                 Authorization: Bearer {}\r\nConnection: {connection}\r\n\r\n",
                world.agent_token()
            )
        };
        let both = request("nodes", "keep-alive") + &request("namespaces", "close");
        let answer = world.raw(&world.gate, both.as_bytes()).await;
        assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 2, "{answer}");
        let (nodes, namespaces) = (answer.find("NodeList"), answer.find("NamespaceList"));
        assert!(nodes.unwrap() < namespaces.unwrap(), "{answer}");
    });
}

#[test]
fn tls_1_2_and_1_3_are_spoken() {
    run(async {
        let world = world();
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let mut stream = tls(world, &world.gate, version, &[b"http/1.1"]).await;
            let spoken = stream.get_ref().1.protocol_version().unwrap();
            assert_eq!(spoken, version.version);
            stream
                .write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                .await
                .unwrap();
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer).await;
            assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        }
    });
}

#[test]
fn health_and_metadata_are_for_anybody_and_nothing_else_is_served() {
    run(async {
        let world = world();
        let gate = &world.gate;
        for path in ["/livez", "/readyz"] {
            let answer = anybody(world, gate, "GET", path).await;
            assert_eq!((answer.status, &*answer.text), (200, "ok"), "{path}");
        }
        for (method, path) in [
            ("GET", "/"),
            ("GET", "/clusters"),
            ("GET", "/clusters/local"),
            ("GET", "/api/v1/pods"),
            ("GET", "/api/v1/holds"),
            ("GET", "/metrics"),
            ("GET", "/healthz"),
            ("GET", "/livez/"),
            ("GET", "/.well-known/openid-configuration"),
            ("GET", "/.well-known/oauth-protected-resource/clusters/UP"),
            (
                "GET",
                "/.well-known/oauth-protected-resource/clusters/local/api",
            ),
            ("POST", "/livez"),
        ] {
            let answer = anybody(world, gate, method, path).await;
            assert_eq!(answer.status, 401, "{method} {path}: {}", answer.text);
            let request = world
                .client()
                .request(method.parse().unwrap(), at_door(gate, path));
            let answer = send(request.bearer_auth(world.agent_token())).await;
            assert_eq!(answer.status, 404, "{method} {path}: {}", answer.text);
            assert!(
                answer.message().contains("/clusters/<cluster>"),
                "{}",
                answer.text
            );
        }
    });
}

/// RFC 9728: a client without a token learns from the 401 where to get one.
#[test]
fn a_401_leads_to_the_oauth_metadata() {
    run(async {
        let world = world();
        let path = format!("/clusters/{CLUSTER}/api/v1/pods");
        let answer = anybody(world, &world.gate, "GET", &path).await;
        assert_eq!(answer.status, 401);
        let challenge = answer.header("www-authenticate").unwrap();
        let metadata = challenge
            .strip_prefix("Bearer resource_metadata=\"")
            .and_then(|rest| rest.strip_suffix('"'))
            .unwrap();
        let resource = at_door(&world.gate, &format!("/clusters/{CLUSTER}"));
        let answer = send(world.client().get(metadata)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let document = answer.json();
        assert_eq!(document["resource"], resource);
        assert_eq!(
            document["authorization_servers"],
            json!([world.scene.issuer.url()])
        );
        assert_eq!(document["bearer_methods_supported"], json!(["header"]));

        // A cluster that does not exist looks the same to a stranger.
        let other = metadata.replace("clusters/local", "clusters/other");
        let answer = send(world.client().get(other)).await;
        let resource = resource.replace("clusters/local", "clusters/other");
        assert_eq!(answer.json()["resource"], resource);
    });
}

#[test]
fn a_gate_that_can_identify_nobody_is_alive_and_not_ready() {
    run(async {
        let world = world();
        let gone = DevIssuer::start(Options::default()).await.unwrap();
        let url = gone.url().to_owned();
        drop(gone);
        let change = |document: &mut Value| {
            let issuer =
                &mut document["spec"]["identity"]["agents"]["authentication"]["jwt"][0]["issuer"];
            issuer["url"] = json!(url);
        };
        let gate = world.another_gate(change).await.0;
        assert_eq!(anybody(world, &gate, "GET", "/livez").await.status, 200);
        let answer = anybody(world, &gate, "GET", "/readyz").await;
        assert_eq!(answer.status, 503);
        assert!(
            answer.message().contains("identity provider"),
            "{}",
            answer.text
        );
        assert!(
            !answer.text.contains(&url),
            "inside told outside: {}",
            answer.text
        );
        gate.stop().await;
    });
}

#[test]
fn a_connection_on_which_nothing_is_asked_is_closed() {
    run(async {
        let world = world();
        let change =
            |document: &mut Value| document["spec"]["limits"] = json!({"idleTimeout": "1s"});
        let gate = world.another_gate(change).await.0;
        let offers: [&[&[u8]]; 3] = [&[], &[b"http/1.1"], &[b"h2"]];
        for protocols in offers {
            let mut stream = tls(world, &gate, &rustls::version::TLS13, protocols).await;
            let mut received = Vec::new();
            let closed = stream.read_to_end(&mut received);
            let closed = tokio::time::timeout(Duration::from_secs(6), closed).await;
            assert!(closed.is_ok(), "{protocols:?} stays open");
        }
        gate.stop().await;
    });
}

#[test]
fn a_long_answer_is_not_idleness() {
    run(async {
        let world = world();
        let namespace = world.namespace("watched");
        let change =
            |document: &mut Value| document["spec"]["limits"] = json!({"idleTimeout": "1s"});
        let gate = world.another_gate(change).await.0;
        let path = format!("/api/v1/namespaces/{namespace}/configmaps?watch=1&timeoutSeconds=30");
        let mut watch = world.ask_at(&gate, "GET", &path).send().await.unwrap();
        tokio::time::sleep(Duration::from_secs(3)).await;
        let create = ["-n", &namespace, "create", "configmap", "late"];
        world.scene.control.kubectl(&create).unwrap();
        let mut seen = String::new();
        while !seen.contains("\"late\"") {
            let chunk = watch.chunk().await.unwrap().expect("the watch was cut");
            seen.push_str(&String::from_utf8_lossy(&chunk));
        }
        drop(watch);
        gate.stop().await;
    });
}

#[test]
fn a_shutdown_lets_running_requests_end() {
    run(async {
        let world = world();
        let cluster = upstream(|_| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            pieces(
                200,
                vec![data("{\"kind\":\"PodList\",\"items\":"), data("[]}")],
            )
        })
        .await;
        let (gate, _) = gate_before(world, &cluster, |_| {}).await;
        let running = tokio::spawn(send(world.ask_at(&gate, "GET", "/api/v1/pods")));
        tokio::time::sleep(Duration::from_millis(500)).await;
        let address = gate.agents;
        let begun = Instant::now();
        gate.stop().await;
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "{:?}",
            begun.elapsed()
        );
        let answer = running.await.unwrap();
        assert_eq!(
            (answer.status, &*answer.text),
            (200, "{\"kind\":\"PodList\",\"items\":[]}")
        );
        assert!(
            TcpStream::connect(address).await.is_err(),
            "it still listens"
        );
    });
}

#[test]
fn connections_to_the_cluster_are_used_again() {
    run(async {
        let world = world();
        let cluster =
            upstream(|_| async { json_answer(200, &json!({"kind": "PodList", "items": []})) })
                .await;
        let (gate, _) = gate_before(world, &cluster, |_| {}).await;
        for _ in 0..20 {
            assert_eq!(
                send(world.ask_at(&gate, "GET", "/api/v1/pods"))
                    .await
                    .status,
                200
            );
        }
        let connections = cluster
            .connections
            .load(std::sync::atomic::Ordering::Relaxed);
        assert!(
            connections <= 3,
            "{connections} connections for 20 requests"
        );
        gate.stop().await;
    });
}
