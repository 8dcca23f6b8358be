//! What is not there when the gate starts: a port, a cluster, a credential, an issuer.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::served::{Served, Wire, text};
use crate::harness::{World, gateward, json_of, run, world};

const PODS: &str = "/api/v1/namespaces/default/pods";

fn serve_fails(configuration: &Path) -> String {
    let output = Command::new(gateward())
        .args(["serve", "--config"])
        .arg(configuration)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    text(&output)
}

#[test]
fn a_port_in_use_is_named_with_its_door() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (door, name) in [
        ("agents", "agents' door"),
        ("humans", "humans' door"),
        ("operators", "operators' listener"),
    ] {
        let (configuration, _) = world().configured(|document| {
            document["spec"]["doors"][door]["listen"] = json!(address);
        });
        let said = serve_fails(&configuration);
        for part in [name, &address, "choose another address", "spec.doors"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
}

#[test]
fn a_data_directory_that_cannot_be_used_is_named() {
    let (configuration, data) = world().configured(|_| {});
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("ledger"), "in the way").unwrap();
    let said = serve_fails(&configuration);
    assert!(said.contains("ledger"), "{said}");
    assert!(said.contains(data.to_str().unwrap()), "{said}");
}

#[test]
fn two_gates_do_not_share_a_ledger() {
    let (configuration, data) = world().configured(|_| {});
    let _first = Served::start(&configuration);
    let said = serve_fails(&configuration);
    assert!(said.contains("in use by another gate"), "{said}");
    assert!(said.contains(data.to_str().unwrap()), "{said}");
}

/// A gate in front of the cluster that this kubeconfig names.
fn in_front_of(world: &World, kubeconfig: &Path) -> Served {
    let (configuration, _) = world.configured(|document| {
        document["spec"]["clusters"][0]["kubeconfig"] = json!({"file": kubeconfig});
    });
    Served::start(&configuration)
}

async fn status_of(answer: reqwest::RequestBuilder) -> (u16, String) {
    let (status, document) = json_of(answer).await;
    assert_eq!(document["kind"], "Status", "{document}");
    assert_eq!(document["code"], status);
    (status, document["message"].as_str().unwrap().to_owned())
}

#[test]
fn an_unreachable_cluster_is_reported_and_comes_back_by_itself() {
    run(async {
        let world = world();
        let mut wire = Wire::cut();
        let gate = in_front_of(world, &wire.kubeconfig(world, &world.dir));
        let (ready, problem) = gate.readyz("cluster local").await;
        assert!(!ready);
        assert!(problem.unwrap().contains("refused"));
        let (status, message) = status_of(gate.ask(world, "GET", PODS)).await;
        assert_eq!(status, 503);
        assert!(
            message.contains("cluster \"local\" cannot be reached"),
            "{message}"
        );
        assert!(!message.contains("127.0.0.1"), "{message}");

        wire.mend(world.scene.control.server_url());
        gate.becomes_ready().await;
        assert_eq!(json_of(gate.ask(world, "GET", PODS)).await.0, 200);
    });
}

#[test]
fn an_unreachable_issuer_is_reported_and_comes_back_by_itself() {
    run(async {
        let world = world();
        let mut wire = Wire::cut();
        let discovery = format!(
            "https://127.0.0.1:{}/.well-known/openid-configuration",
            wire.address.port()
        );
        let (configuration, _) = world.configured(|document| {
            let agents = &mut document["spec"]["identity"]["agents"];
            agents["authentication"]["jwt"][0]["issuer"]["discoveryURL"] = json!(discovery);
        });
        let gate = Served::start(&configuration);
        let (ready, problem) = gate.readyz("agents' issuer").await;
        assert!(!ready);
        assert!(problem.unwrap().contains("refused"));
        assert_eq!(gate.readyz("humans' issuer").await.1, None);
        let (status, message) = status_of(gate.ask(world, "GET", PODS)).await;
        assert_eq!(status, 503);
        assert!(
            message.contains("identity provider's keys cannot be fetched"),
            "{message}"
        );

        wire.mend(world.scene.issuer.url());
        gate.becomes_ready().await;
        assert_eq!(json_of(gate.ask(world, "GET", PODS)).await.0, 200);
    });
}

/// The gate's kubeconfig with another user's entry.
fn kubeconfig_as(world: &World, name: &str, user: Value) -> PathBuf {
    let file = world.dir.join(name);
    let document = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {
            "server": world.scene.control.server_url(),
            "certificate-authority-data": base64(world.scene.control.ca_pem())}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": user}],
    });
    std::fs::write(&file, document.to_string()).unwrap();
    file
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[test]
fn an_expired_credential_of_the_gate_is_named_and_read_again_once_renewed() {
    run(async {
        let world = world();
        let file = kubeconfig_as(world, "expired.kubeconfig", json!({"token": "expired"}));
        let gate = in_front_of(world, &file);
        let (ready, problem) = gate.readyz("cluster local").await;
        assert!(!ready);
        let problem = problem.unwrap();
        assert!(
            problem.contains("401") && problem.contains("renew it"),
            "{problem}"
        );
        let (status, message) = status_of(gate.ask(world, "GET", PODS)).await;
        assert_eq!(status, 503);
        assert!(
            message.contains("does not accept the gate's own credential"),
            "{message}"
        );
        assert!(message.contains("tell the gate's operators"), "{message}");

        std::fs::copy(world.scene.control.gate_kubeconfig(), &file).unwrap();
        gate.becomes_ready().await;
        assert_eq!(json_of(gate.ask(world, "GET", PODS)).await.0, 200);
    });
}

/// A credential plugin that does what this shell script says.
fn plugin(world: &World, name: &str, script: &str) -> (PathBuf, PathBuf) {
    let program = world.dir.join(format!("{name}.sh"));
    std::fs::write(&program, script).unwrap();
    let exec = json!({"exec": {
        "apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never",
        "command": "sh", "args": [program]}});
    let kubeconfig = kubeconfig_as(world, &format!("{name}.kubeconfig"), exec);
    (kubeconfig, program)
}

/// Prints the gate's own client certificate.
fn good_script(world: &World) -> String {
    let text = std::fs::read_to_string(world.scene.control.gate_kubeconfig()).unwrap();
    let pem = |key: &str| {
        use base64::Engine;
        let line = text
            .lines()
            .find_map(|line| line.trim().strip_prefix(key))
            .unwrap();
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(line.trim())
            .unwrap();
        String::from_utf8(bytes).unwrap()
    };
    let credential = json!({
        "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
        "status": {"clientCertificateData": pem("client-certificate-data:"), "clientKeyData": pem("client-key-data:")}});
    format!("cat <<'END'\n{credential}\nEND\n")
}

#[test]
fn a_credential_plugin_that_fails_is_reported_without_what_it_printed() {
    run(async {
        let world = world();
        let script = "echo a-secret-token; echo cannot log in >&2; exit 3";
        let (kubeconfig, program) = plugin(world, "failing", script);
        let gate = in_front_of(world, &kubeconfig);
        let (ready, problem) = gate.readyz("cluster local").await;
        assert!(!ready);
        let problem = problem.unwrap();
        for part in ["credential plugin", "exit status: 3", "cannot log in"] {
            assert!(problem.contains(part), "{part}: {problem}");
        }
        assert_eq!(status_of(gate.ask(world, "GET", PODS)).await.0, 503);
        assert!(!problem.contains("a-secret-token"), "{problem}");

        std::fs::write(&program, "echo '{\"a-secret-token\": '").unwrap();
        let begun = Instant::now();
        loop {
            let problem = gate.readyz("cluster local").await.1.unwrap();
            assert!(!problem.contains("a-secret-token"), "{problem}");
            if problem.contains("is not an ExecCredential") {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{problem}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        assert!(!gate.log().contains("a-secret-token"), "{}", gate.log());

        std::fs::write(&program, good_script(world)).unwrap();
        gate.becomes_ready().await;
        assert_eq!(json_of(gate.ask(world, "GET", PODS)).await.0, 200);
    });
}

#[test]
fn a_credential_plugin_that_hangs_holds_up_nothing_else() {
    run(async {
        let world = world();
        let (kubeconfig, _) = plugin(world, "hanging", "exec sleep 20");
        let mut gate = in_front_of(world, &kubeconfig);
        let begun = Instant::now();
        let (status, _) = json_of(gate.human(world, "GET", "/api/v1/holds")).await;
        assert_eq!(status, 200);
        let no_cluster = gate.ask(world, "DELETE", "/api/v1/namespaces/default");
        assert_eq!(json_of(no_cluster).await.0, 403);
        assert!(begun.elapsed() < Duration::from_secs(5));
        let (_, problem) = gate.readyz("cluster local").await;
        assert!(problem.unwrap().contains("no answer within"));
        gate.signal("TERM");
        assert_eq!(gate.ended(Duration::from_secs(10)).code(), Some(0));
    });
}
