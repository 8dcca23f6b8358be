//! Other clients than kubectl: programs on client-go, on the Python and on the Node client, and
//! Helm. They are what their registries deliver, pinned, and kept in the user's cache: the
//! first run of these tests needs the network.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use gateward::demo::kubernetes::programs::Places;
use gateward::mask::{MASK, MASK_BASE64};
use serde_json::json;

use super::stand::Stand;
use crate::oracle;

const HELM: &str = "v4.3.1";

#[test]
fn threat_18_no_client_library_gets_a_canary() {
    let stand = Stand::new("libraries");
    let (before, config) = (stand.real("secret/db"), stand.real("cm/app"));
    let kubeconfig = stand.kubeconfig();
    let kubeconfig = kubeconfig.to_str().unwrap();
    let (python, node) = (python(), node());
    stand.admin(&["wait", "pod/web", "--for=condition=Ready", "--timeout=20s"]);

    let said = oracle::run("client", &[kubeconfig, &stand.namespace], b"");
    stand.take("client-go", said.as_bytes());
    for what in [
        "typed secrets: {",
        "typed watch ADDED",
        "dynamic vaults: {",
        "dynamic watch applications BOOKMARK",
        "metadata jobs: {",
        "informer configmaps: {",
        "typed update: {",
        "dynamic update: {",
    ] {
        assert!(said.contains(what), "client-go says no {what}: {said}");
    }
    assert!(
        !said.contains("error") && !said.contains("not synced"),
        "{said}"
    );

    let read = concat!(env!("CARGO_MANIFEST_DIR"), "/dev/clients/python/read.py");
    let mut command = Command::new("python3");
    let command = command
        .env("PYTHONPATH", python)
        .args([read, kubeconfig, &stand.namespace]);
    let said = said_by(&stand, command);
    assert_eq!(said.matches("error:").count(), 1, "{said}");
    assert!(said.contains("wrong error:"), "{said}");
    assert_eq!(stand.real("cm/app")["metadata"]["labels"]["by"], "python");

    let mut command = Command::new("node");
    let said = said_by(
        &stand,
        command
            .arg(node.join("read.mjs"))
            .args([kubeconfig, &stand.namespace]),
    );
    assert!(
        !said.contains("error:") && said.contains("replace"),
        "{said}"
    );

    for (name, before, by) in [
        ("secret/db", before, "client-go"),
        ("cm/app", config, "node"),
    ] {
        let after = stand.real(name);
        assert_eq!(after["metadata"]["labels"]["by"], by);
        assert_eq!(
            (&after["data"], &after["binaryData"]),
            (&before["data"], &before["binaryData"])
        );
    }
    stand.end();
}

fn said_by(stand: &Stand, command: &mut Command) -> String {
    let output = stand.run(command);
    let text = String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{command:?}: {text}");
    assert!(
        text.contains(MASK) && text.contains(MASK_BASE64),
        "{command:?}: {text}"
    );
    text
}

/// Where the Python client is.
fn python() -> PathBuf {
    let list = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/dev/clients/python/requirements.txt"
    );
    cached(&format!("python-{}", digest(&[list])), |dir| {
        let mut pip = Command::new("python3");
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--only-binary",
            ":all:",
            "-r",
            list,
            "--target",
        ]);
        pip.arg(dir);
        pip
    })
}

/// Where the Node client and its program are, which must stand beside it.
fn node() -> PathBuf {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/dev/clients/node");
    let files =
        ["package.json", "package-lock.json", "read.mjs"].map(|name| format!("{dir}/{name}"));
    cached(&format!("node-{}", digest(&files)), |aside| {
        for file in &files {
            let name = Path::new(file).file_name().unwrap();
            std::fs::copy(file, aside.join(name)).unwrap();
        }
        let mut npm = Command::new("npm");
        npm.args([
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--silent",
            "--prefix",
        ])
        .arg(aside);
        npm
    })
}

fn helm() -> PathBuf {
    let helm = cached(&format!("helm-{HELM}"), |dir| {
        let mut go = Command::new("go");
        go.args(["install", "-trimpath"])
            .arg(format!("helm.sh/helm/v4/cmd/helm@{HELM}"));
        go.env("GOBIN", dir)
            .env("CGO_ENABLED", "0")
            .env("GOWORK", "off");
        go
    });
    helm.join("helm")
}

/// A directory of the cache, filled once by the command that `install` makes for it.
fn cached(name: &str, install: impl FnOnce(&Path) -> Command) -> PathBuf {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock();
    let places = Places::from_environment().unwrap();
    let clients = places.cache.ancestors().nth(2).unwrap().join("clients");
    let dir = clients.join(name);
    if !dir.exists() {
        std::fs::create_dir_all(&clients).unwrap();
        let aside = tempfile::tempdir_in(&clients).unwrap();
        let mut command = install(aside.path());
        let output = command
            .output()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        assert!(
            output.status.success(),
            "{command:?}, which needs the network once: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        std::fs::rename(aside.keep(), &dir).unwrap();
    }
    dir
}

/// Names what files hold.
fn digest(files: &[impl AsRef<Path>]) -> uuid::Uuid {
    let all: Vec<u8> = files
        .iter()
        .flat_map(|file| std::fs::read(file).unwrap())
        .collect();
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, &all)
}

/// A chart of this template.
fn chart(stand: &Stand, template: &str) {
    let chart = stand.dir.join("chart");
    std::fs::create_dir_all(chart.join("templates")).unwrap();
    let about = "{apiVersion: v2, name: web, version: 1.0.0}";
    std::fs::write(chart.join("Chart.yaml"), about).unwrap();
    std::fs::write(chart.join("templates/all.yaml"), template).unwrap();
}

/// Runs Helm, which keeps its releases in objects of this kind: whether it succeeded, and what
/// it said.
fn run(stand: &Stand, driver: &str, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(helm());
    command
        .args(arguments)
        .args(["--namespace", &stand.namespace])
        .env("HELM_DRIVER", driver);
    for (variable, dir) in [
        ("HELM_CACHE_HOME", "cache"),
        ("HELM_CONFIG_HOME", "config"),
        ("HELM_DATA_HOME", "share"),
    ] {
        command.env(variable, stand.dir.join(dir));
    }
    let output = stand.run(command.env("KUBECONFIG", stand.kubeconfig()));
    let text = [&*output.stdout, &*output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

/// Where releases are kept in config maps, and nothing in them is hidden, Helm works as ever.
#[test]
fn helm_upgrades_a_release_in_which_nothing_is_hidden() {
    let stand = Stand::new("helm-plain");
    chart(
        &stand,
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: chart}, data: {size: {{ .Values.size | quote }}}}",
    );
    let run = |arguments: &[&str]| {
        let (succeeded, text) = run(&stand, "configmap", arguments);
        assert!(succeeded, "{arguments:?}: {text}");
        text
    };
    let size = || stand.admin(&["get", "configmap/chart", "-o", "jsonpath={.data.size}"]);
    run(&["install", "mine", "chart", "--set", "size=1"]);
    assert!(run(&["status", "mine"]).contains("deployed"));
    run(&["upgrade", "mine", "chart", "--set", "size=2"]);
    assert_eq!(size(), "2");
    assert!(run(&["history", "mine"]).contains("superseded"));
    run(&["rollback", "mine", "1"]);
    assert_eq!(size(), "1");
    run(&["uninstall", "mine"]);
    let left = stand.admin(&["get", "configmaps", "-o", "name"]);
    assert!(!left.contains("mine") && !left.contains("chart"), "{left}");
}

/// The agent itself brings the values, in a chart; the next agent must not find them.
#[test]
fn threat_18_helm_gets_no_canary() {
    let stand = Stand::new("helm");
    let template = "\
apiVersion: v1
kind: Secret
metadata: {name: chart}
stringData: {password: {{ .Values.db.password | quote }}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: chart}
data: {DATABASE_URL: {{ .Values.url | quote }}, size: {{ .Values.size | quote }}}
";
    chart(&stand, template);
    let values = stand.plant(
        "a chart's values",
        |it| json!({"db": {"password": it.word()}, "url": it.connection(), "size": 1}),
    );
    std::fs::write(stand.dir.join("values.yaml"), values.to_string()).unwrap();
    let run = |arguments: &[&str]| run(&stand, "secret", arguments);
    let real = |name: &str| stand.admin(&["get", name, "-o", "jsonpath={.data}"]);
    let (installed, text) = run(&["install", "mine", "chart", "-f", "values.yaml"]);
    assert!(installed, "{text}");
    let release = "secret/sh.helm.release.v1.mine.v1";
    let before = [real("secret/chart"), real("configmap/chart"), real(release)];
    // What Helm keeps in a Secret is nobody's to read, so to Helm there is no release: it says so,
    // and changes nothing.
    for arguments in [
        &["list"][..],
        &["status", "mine"],
        &["get", "all", "mine"],
        &["get", "values", "web"],
        &["history", "mine"],
    ] {
        let (_, text) = run(arguments);
        assert!(!text.contains("deployed"), "{text}");
    }
    for more in [
        &["-f", "values.yaml"][..],
        &["--reuse-values"],
        &["-f", "values.yaml", "--install"],
    ] {
        let (upgraded, text) =
            run(&[&["upgrade", "mine", "chart", "--set", "size=2"][..], more].concat());
        assert!(!upgraded, "{text}");
    }
    assert!(!run(&["uninstall", "mine"]).0);
    assert_eq!(
        before,
        [real("secret/chart"), real("configmap/chart"), real(release)]
    );
    stand.end();
}
