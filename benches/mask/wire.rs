//! What an answer costs in each encoding, on a real API server: the bytes on the wire, the
//! CPU time of the API server, of a client in Go, and of the gate.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use gateward::demo::kubernetes::programs::{Places, find};
use gateward::demo::kubernetes::{Options, quiet};
use gateward::demo::scene::{AGENT, AGENTS_AUDIENCE, CLUSTER, PRINCIPAL, Scene};
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

use super::support::{self, Pool, cpu, median};
use super::{pod, secret};

const OBJECTS: usize = 2_000;
const ROUNDS: usize = 5;
const LISTS: u32 = 4;
const JSON: &str = "application/json";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// A way to get a list: what it is called, what is asked for, and whether through the gate.
struct Way {
    name: &'static str,
    accept: &'static str,
    coding: &'static str,
    gate: bool,
}

const WAYS: [Way; 6] = [
    way("JSON", JSON, "identity", false),
    way("JSON in gzip", JSON, "gzip", false),
    way("protobuf", PROTOBUF, "identity", false),
    way("protobuf in gzip", PROTOBUF, "gzip", false),
    way("JSON through the gate", JSON, "identity", true),
    way("JSON in gzip through the gate", JSON, "gzip", true),
];

const fn way(name: &'static str, accept: &'static str, coding: &'static str, gate: bool) -> Way {
    Way {
        name,
        accept,
        coding,
        gate,
    }
}

/// The cluster and the gate in front of it.
struct Stand {
    scene: Scene,
    cluster: kube::Client,
    gate: support::Stopped,
    address: SocketAddr,
    agent: Pool<Full<Bytes>>,
    token: String,
}

pub async fn wire() {
    let dir = tempfile::tempdir().unwrap();
    let stand = Stand::start(dir.path()).await;
    fill(&stand.cluster).await;
    for kind in ["pods", "configmaps", "secrets"] {
        // From the API server's memory, as informers begin.
        let path = format!("/api/v1/namespaces/default/{kind}?resourceVersion=0");
        let file = |way: &Way| dir.path().join(format!("{kind} as {}", way.name));
        let mut costs = WAYS.map(|_| (Vec::new(), Vec::new()));
        // The first round only warms up.
        for round in 0..=ROUNDS {
            for (way, (server, gate)) in WAYS.iter().zip(&mut costs) {
                let (body, at_server, at_gate) = stand.lists(way, &path).await;
                std::fs::write(file(way), body).unwrap();
                if round > 0 {
                    server.push(at_server);
                    gate.push(at_gate);
                }
            }
        }
        for (way, (server, gate)) in WAYS.iter().zip(&mut costs) {
            println!(
                "{OBJECTS} {kind} as {}: {:.2} MB; API server {:.1} ms, gate {:.1} ms of CPU",
                way.name,
                std::fs::metadata(file(way)).unwrap().len() as f64 / 1e6,
                median(server),
                median(gate),
            );
        }
        decoded(&file(&WAYS[0]), &file(&WAYS[2]));
    }
    drop(stand.gate);
    stand.scene.control.stop().unwrap();
}

impl Stand {
    async fn start(dir: &Path) -> Self {
        let programs = find(&Places::from_environment().unwrap(), &mut |step| {
            println!("{step}");
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
        let scene = Scene::start(&programs, dir, Options { sweep: true }, &mut quiet)
            .await
            .unwrap();
        let config = dir.join("gate.yaml");
        std::fs::write(&config, configuration(&scene, dir).to_string()).unwrap();
        let (gate, address) = support::served(&config).await;
        let now = jiff::Timestamp::now().as_second();
        let token = scene.issuer.mint(&json!({
            "iss": scene.issuer.url(), "aud": AGENTS_AUDIENCE, "sub": PRINCIPAL, "act": {"sub": AGENT},
            "groups": ["agents"], "iat": now, "exp": now + 3600,
        }));
        Self {
            cluster: cluster(&scene).await,
            gate,
            address,
            agent: support::client_of(&scene.file("gate-ca.pem")),
            token: token.unwrap(),
            scene,
        }
    }

    /// The same list some times: its last body, and the CPU time of each in milliseconds, at
    /// the API server and at the gate.
    async fn lists(&self, way: &Way, path: &str) -> (Bytes, f64, f64) {
        let begun = (self.server(), cpu(self.gate.id()));
        let mut body = Bytes::new();
        for _ in 0..LISTS {
            body = self.list(way, path).await;
        }
        let each = |time: Duration| time.as_secs_f64() * 1e3 / f64::from(LISTS);
        let at_server = each(self.server() - begun.0);
        (body, at_server, each(cpu(self.gate.id()) - begun.1))
    }

    /// The CPU time of all processes in the API server's group.
    fn server(&self) -> Duration {
        let [_, group, _] = self.scene.control.pids();
        let pids = std::fs::read_dir("/proc").unwrap();
        let pids = pids.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
        pids.filter(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let fields = stat.rsplit(") ").next().unwrap_or_default();
            fields.split(' ').nth(2) == Some(&*group.to_string())
        })
        .map(cpu)
        .sum()
    }

    async fn list(&self, way: &Way, path: &str) -> Bytes {
        let port = self.address.port();
        let request = Request::get(match way.gate {
            true => format!("https://localhost:{port}/clusters/{CLUSTER}{path}"),
            false => path.to_owned(),
        });
        let request = request
            .header(header::ACCEPT, way.accept)
            .header(header::ACCEPT_ENCODING, way.coding);
        if !way.gate {
            let request = request.body(kube::client::Body::empty()).unwrap();
            let answer = self.cluster.send(request).await.unwrap();
            assert_eq!(answer.status(), 200);
            return answer.into_body().collect().await.unwrap().to_bytes();
        }
        let token = format!("Bearer {}", self.token);
        let request = request.header(header::AUTHORIZATION, token);
        let answer = self.agent.request(request.body(Full::default()).unwrap());
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.into_body().collect().await.unwrap().to_bytes()
    }
}

/// The CPU time of a client in Go, by the library that all of them use.
fn decoded(json: &Path, protobuf: &Path) {
    let status = Command::new("go")
        .args(["run", "-mod=readonly", "-trimpath", "./decode"])
        .args([json, protobuf])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/dev/kubernetes"))
        .env("CGO_ENABLED", "0")
        .status();
    assert!(status.expect("Go, to decode what came").success());
}

async fn cluster(scene: &Scene) -> kube::Client {
    let kubeconfig = kube::config::Kubeconfig::read_from(scene.control.admin_kubeconfig()).unwrap();
    let options = kube::config::KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options);
    kube::Client::try_from(config.await.unwrap()).unwrap()
}

/// Pods that run, and as many configurations and secrets.
async fn fill(cluster: &kube::Client) {
    let named = |kind: &str, n: usize, mut object: Value| {
        object["apiVersion"] = json!("v1");
        object["kind"] = json!(kind);
        object["metadata"] =
            json!({"name": format!("web-{n}"), "labels": object["metadata"]["labels"]});
        object.as_object_mut().unwrap().remove("status");
        object
    };
    let lines = "log.level=info\nserver.port=8080\nfeature.new-checkout=true\ncache.ttl=300s\n";
    let objects = (0..OBJECTS).flat_map(|n| {
        let map = json!({"data": {"application.properties": lines.repeat(8), "name": format!("web-{n}")}});
        [
            ("pods", named("Pod", n, pod(n))),
            ("configmaps", named("ConfigMap", n, map)),
            ("secrets", named("Secret", n, secret(n))),
        ]
    });
    let sent = stream::iter(objects).map(|(kind, object)| async move {
        let request = Request::post(format!("/api/v1/namespaces/default/{kind}"))
            .header(header::CONTENT_TYPE, JSON);
        let request = request.body(object.to_string().into_bytes()).unwrap();
        cluster.request::<Value>(request).await.unwrap();
    });
    sent.buffer_unordered(8).collect::<Vec<()>>().await;
    let running = "/api/v1/namespaces/default/pods?fieldSelector=status.phase%3DRunning";
    loop {
        let request = Request::get(running).body(Vec::new()).unwrap();
        let pods: Value = cluster.request(request).await.unwrap();
        if pods["items"].as_array().unwrap().len() == OBJECTS {
            return;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// A gate that lets everything through.
fn configuration(scene: &Scene, dir: &Path) -> Value {
    let policy = json!({
        "apiVersion": "gateward.dev/v1alpha1", "kind": "Policy", "metadata": {"name": "all"},
        "spec": {"rules": [{"name": "all", "effect": "allow", "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]},
    });
    let file = dir.join("policy.yaml");
    std::fs::write(&file, policy.to_string()).unwrap();
    let mut document = scene.configuration(&dir.join("data"));
    document["spec"]["policies"] = json!({"files": [file], "defaultPack": false});
    document
}
