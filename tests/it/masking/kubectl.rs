//! kubectl, in every form in which it prints, and by every verb with which it writes: nothing
//! that is hidden is shown, and nothing that is hidden is lost.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use gateward::mask::{MASK, MASK_BASE64};
use serde_json::Value;

use super::planted::GROUP;
use super::stand::Stand;

/// Everything in which something is planted.
const KINDS: &str = "secrets,configmaps,pods,deployments,jobs,events,vaults,applications";

#[test]
fn threat_18_kubectl_prints_no_canary() {
    let stand = Stand::new("prints");
    for form in [
        "yaml",
        "json",
        "wide",
        "name",
        "jsonpath={.items[*]}",
        "jsonpath-as-json={.items[*].metadata.annotations}",
        "custom-columns=NAME:.metadata.name,DATA:.data,SPEC:.spec,NOTES:.metadata.annotations,SAID:.message",
        "go-template={{range .items}}{{.}}{{end}}",
    ] {
        let text = stand.kubectl(&["get", KINDS, "-o", form]);
        assert!(text.contains("argo"), "{form}: {text}");
    }
    for more in [
        &["-l", "tier=gold", "-o", "yaml"][..],
        &["-A", "--field-selector", "metadata.name=web", "-o", "json"],
        &["-o", "yaml", "--show-managed-fields"],
        &["--show-labels", "--show-kind"],
        &["--chunk-size=1", "-o", "yaml"],
        &["--server-print=false"],
    ] {
        stand.kubectl(&[&["get", KINDS][..], more].concat());
    }
    stand.kubectl(&["get", "secrets", "--sort-by", "{.data.password}"]);
    for (kind, path) in [
        ("secret/db", "jsonpath={.data.password}"),
        ("cm/app", "jsonpath={.data.DB_PASSWORD}"),
        ("secret/db", "go-template={{.data.password | base64decode}}"),
        ("vault/v", "jsonpath={.spec.shelf}"),
        (
            "pod/web",
            "jsonpath={.spec.containers[0].env[?(@.name==\"DB_PASSWORD\")].value}",
        ),
    ] {
        let text = stand.kubectl(&["get", kind, "-o", path]);
        assert!(
            [MASK, MASK_BASE64].contains(&&*text),
            "{kind} {path}: {text}"
        );
    }
    for kind in KINDS.split(',') {
        stand.kubectl(&["describe", kind]);
    }
    stand.kubectl(&["events"]);
    stand.kubectl(&["events", "--for", "pod/web", "-o", "yaml"]);
    stand.kubectl(&["api-resources"]);
    stand.kubectl(&[
        "explain",
        "vault.spec",
        "--api-version",
        &format!("{GROUP}/v1"),
    ]);
    stand.kubectl(&[
        "get",
        "--raw",
        &format!("/api/v1/namespaces/{}/secrets", stand.namespace),
    ]);
    stand.kubectl(&["auth", "can-i", "--list"]);
    stand.kubectl(&["rollout", "history", "deployment/web", "--revision=0"]);
    // With all that it can tell of its requests and their answers.
    stand.kubectl(&[
        "get",
        "secrets,cm,vaults,applications",
        "-v=9",
        "-o",
        "wide",
    ]);
    logs(&stand);
    watches(&stand);
    stand.end();
}

/// The logs of a container, to which lines are added as the runtime writes them.
fn logs(stand: &Stand) {
    let control = &stand.world.scene.control;
    let lines = stand.plant("a log", |it| {
        let pem = it.pem();
        let texts = it.texts("a log");
        let texts = texts
            .into_iter()
            .filter(|(name, _)| !["DB_PASSWORD", "apiToken"].contains(&&**name));
        let mut lines: Vec<String> = texts
            .map(|(_, text)| text.as_str().unwrap().to_owned())
            .collect();
        lines.extend([it.line(), pem, "the end".to_owned()]);
        lines
    });
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(control.pod_log())
        .unwrap();
    for line in lines.iter().flat_map(|text| text.lines()) {
        writeln!(file, "{} stderr F {line}", jiff::Timestamp::now()).unwrap();
    }
    stand.admin(&["wait", "pod/web", "--for=condition=Ready", "--timeout=20s"]);
    for more in [
        &["--tail=-1"][..],
        &["--timestamps", "--all-containers", "--prefix"],
        &["--since=1h", "-c", "a"],
    ] {
        let text = stand.kubectl(&[&["logs", "web"][..], more].concat());
        assert!(
            text.contains("the end") && text.contains("db.size=10"),
            "{text}"
        );
    }
    let previous = stand.run(&mut stand.kubectl_command(&["logs", "web", "--previous"]));
    assert!(!previous.stdout.is_empty() || !previous.stderr.is_empty());
}

fn watches(stand: &Stand) {
    let watching: Vec<_> = [
        ("secrets", "yaml"),
        ("configmaps", "json"),
        ("vaults", "wide"),
        ("applications", "yaml"),
        ("events", "wide"),
        ("pods", "custom-columns=SPEC:.spec,WHAT:.type"),
    ]
    .into_iter()
    .map(|(kind, form)| {
        let arguments = [
            "get",
            kind,
            "--watch",
            "--output-watch-events",
            "-o",
            form,
            "--request-timeout=5s",
        ];
        let mut command = stand.kubectl_command(&arguments);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        (kind, child.spawn().unwrap())
    })
    .collect();
    std::thread::sleep(Duration::from_millis(1500));
    stand.admin(&["label", KINDS, "--all", "tier=lead", "--overwrite"]);
    for (kind, child) in watching {
        let output = child.wait_with_output().unwrap();
        stand.take(&format!("kubectl get {kind} --watch"), &output.stdout);
        stand.take(&format!("kubectl get {kind} --watch"), &output.stderr);
        let text = String::from_utf8_lossy(&output.stdout);
        let changed = ["tier: lead", "\"tier\": \"lead\"", "MODIFIED"]
            .iter()
            .any(|it| text.contains(it));
        assert!(changed || kind == "pods", "{kind}: {text}");
    }
}

/// What an agent writes back of what it was shown is what was there before.
#[test]
fn threat_18_kubectl_writes_what_it_was_shown_and_nothing_is_lost_or_told() {
    let stand = Stand::new("writes-back");
    let objects = [
        "secret/db",
        "cm/app",
        "deployment/web",
        "vault/v",
        "application/argo",
    ];
    let before: Vec<Value> = objects.iter().map(|name| stand.real(name)).collect();
    for name in objects {
        stand.kubectl(&["label", name, "by=label"]);
        stand.kubectl(&["annotate", name, "example.com/by=annotate"]);
        stand.kubectl(&[
            "patch",
            name,
            "--type=merge",
            "-p",
            r#"{"metadata":{"labels":{"patched":"yes"}}}"#,
        ]);
        let said = edit(&stand, name);
        assert!(said.contains("edited"), "{name}: {said}");
        for (verb, by) in [
            (&["apply", "-f"][..], "apply"),
            (&["replace", "-f"], "replace"),
            (
                &["apply", "--server-side", "--force-conflicts", "-f"],
                "server",
            ),
        ] {
            // The label is the same text in both, quoted or not.
            let file = stand.dir.join("shown.yaml");
            let shown = stand.kubectl(&["get", name, "-o", "yaml"]);
            assert!(shown.contains("by: "), "{shown}");
            let changed = shown
                .replace("by: edit", &format!("by: {by}"))
                .replace("by: apply", &format!("by: {by}"))
                .replace("by: replace", &format!("by: {by}"));
            std::fs::write(&file, changed).unwrap();
            let file = file.to_str().unwrap();
            let diff = stand.run(&mut stand.kubectl_command(&["diff", "-f", file]));
            assert_eq!(
                diff.status.code(),
                Some(1),
                "{}",
                String::from_utf8_lossy(&diff.stderr)
            );
            stand.kubectl(&[verb, &[file, "-o", "yaml"]].concat());
            let label = stand.admin(&["get", name, "-o", "jsonpath={.metadata.labels.by}"]);
            assert_eq!(label, by, "{name}");
        }
    }
    for (name, before) in objects.iter().zip(before) {
        let after = stand.real(name);
        assert_eq!(left(&before), left(&after), "{name}");
        for mask in [MASK, MASK_BASE64] {
            assert!(!after.to_string().contains(mask), "{name}: {after}");
        }
    }
    stand.end();
}

/// Changes a label by an editor; what kubectl says.
fn edit(stand: &Stand, name: &str) -> String {
    let mut command: Command = stand.kubectl_command(&["edit", name]);
    command.env("KUBE_EDITOR", "sed -i 's/by: label/by: edit/'");
    let output = stand.run(&mut command);
    String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned()
}

/// What no write of the test is about.
fn left(object: &Value) -> Value {
    let mut object = object.clone();
    let metadata = object["metadata"].as_object_mut().unwrap();
    for key in ["resourceVersion", "generation", "managedFields", "labels"] {
        metadata.remove(key);
    }
    let annotations = metadata["annotations"].as_object_mut().unwrap();
    annotations.remove("example.com/by");
    annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    object.as_object_mut().unwrap().remove("status");
    object
}
