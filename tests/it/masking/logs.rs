//! Logs, from a node's file to the agent's terminal.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;

use crate::harness::{World, run, world};

/// What a careless program writes, and the word in it that nobody must see.
const SAID: [(&str, &str); 4] = [
    (
        "starting with AWS_ACCESS_KEY_ID=AKIAQ3EGRVTL7WXYZ2AB",
        "AKIAQ3EGRVTL7WXYZ2AB",
    ),
    (
        "dialing postgres://app:fUnk7-canary-pw@db:5432/app",
        "fUnk7-canary-pw",
    ),
    (
        "level=info password=\"c4n4ry-0f-Logs!\" retry=3",
        "c4n4ry-0f-Logs!",
    ),
    (
        "GET /v1 Authorization: Bearer canaryToken.8fJ2kQ0zLmN4pR6t",
        "canaryToken.8fJ2kQ0zLmN4pR6t",
    ),
];

/// In the format of the container runtime, as the kubelet reads it.
fn write(world: &World, lines: &[&str]) {
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(world.scene.control.pod_log())
        .unwrap();
    for line in lines {
        let now = jiff::Timestamp::now();
        writeln!(file, "{now} stdout F {line}").unwrap();
    }
}

fn running_pod(world: &World, namespace: &str) {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"},
        "spec": {"nodeName": world.scene.control.node_name(), "containers": [
            {"name": "a", "image": "registry.example.com/app:1"},
            {"name": "b", "image": "registry.example.com/app:1"}]},
    });
    let file = world.dir.join(format!("{namespace}.json"));
    std::fs::write(&file, pod.to_string()).unwrap();
    let control = &world.scene.control;
    control
        .kubectl(&["-n", namespace, "create", "-f", file.to_str().unwrap()])
        .unwrap();
    control
        .kubectl(&[
            "-n",
            namespace,
            "wait",
            "pod/web",
            "--for=condition=Ready",
            "--timeout=20s",
        ])
        .unwrap();
}

fn assert_masked(text: &str) {
    for (_, secret) in SAID {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

#[test]
fn threat_18_logs_are_masked_however_they_are_asked_for() {
    let world = world();
    run(async {
        let namespace = world.namespace("logs");
        running_pod(world, &namespace);
        let begun = format!("begin-{namespace}");
        let said: Vec<&str> = [&*begun]
            .into_iter()
            .chain(SAID.map(|(line, _)| line))
            .collect();
        write(world, &said);
        write(
            world,
            &[
                "-----BEGIN RSA PRIVATE KEY-----",
                "MIIEcanaryKeyLine",
                "-----END RSA PRIVATE KEY-----",
                "end",
            ],
        );
        for more in [
            &["-c", "a"][..],
            &["-c", "a", "--timestamps"],
            &["-c", "b", "--tail=200"],
            &["--all-containers"],
            &["-c", "a", "--since=1h"],
        ] {
            let arguments = [&["-n", &namespace, "logs", "web"][..], more].concat();
            let output = world.kubectl(&arguments);
            let text = String::from_utf8(output.stdout).unwrap();
            assert!(
                output.status.success(),
                "{more:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            assert_masked(&text);
            assert!(!text.contains("canaryKeyLine"), "{text}");
            let own = text.rsplit(&begun).next().unwrap();
            assert!(
                own.contains("level=info password=") && own.contains("retry=3"),
                "{own}"
            );
            assert!(own.matches("gateward:masked").count() >= 5, "{own}");
        }
        let missing = world.kubectl(&["-n", &namespace, "logs", "web", "-c", "nobody"]);
        let said = String::from_utf8(missing.stderr).unwrap();
        assert!(said.contains("nobody is not valid for pod web"), "{said}");
    });
}

#[test]
fn a_followed_log_flows_line_by_line_and_is_masked() {
    let world = world();
    run(async {
        let namespace = world.namespace("follow");
        running_pod(world, &namespace);
        let kubeconfig = world.agent_kubeconfig(&world.gate);
        let mut child = world
            .scene
            .control
            .kubectl_command(&kubeconfig)
            .args(["-n", &namespace, "logs", "-f", "web", "-c", "a", "--tail=1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (told, lines) = std::sync::mpsc::channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = told.send(line);
            }
        });
        // Until it follows, what is written may be part of what was there.
        let mark = format!("mark-{namespace}");
        let mut seen = Vec::new();
        for attempt in 0.. {
            assert!(attempt < 60, "nothing flows: {seen:?}");
            write(world, &[SAID[1].0, &mark]);
            if let Ok(line) = lines.recv_timeout(Duration::from_millis(500)) {
                seen.push(line);
            }
            seen.extend(lines.try_iter());
            if seen.iter().any(|line| line == &mark) && seen.join("\n").contains("dialing") {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let text = seen.join("\n");
        assert_masked(&text);
        assert!(
            text.contains("dialing postgres://app:gateward:masked@db:5432/app"),
            "{text}"
        );
    });
}
