//! Arguments, configurations and policies that are wrong: the file, the place, the field, and
//! what to do, before anything is bound or written.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use gateward::demo::scene::{AGENTS_AUDIENCE, HUMANS_AUDIENCE};
use serde_json::Value;

use super::served::text;
use crate::harness::{gateward, world};

/// A good configuration, which each case spoils in one place.
const GOOD: &str = "\
apiVersion: gateward.dev/v1alpha1
kind: GatewardConfiguration
spec:
  clusters:
  - name: local
    kubeconfig: {file: KUBECONFIG}
  doors:
    agents:
      listen: 127.0.0.1:0
      tls: {certificateFile: CERTIFICATE, keyFile: KEY}
    humans:
      listen: 127.0.0.1:0
      tls: {certificateFile: CERTIFICATE, keyFile: KEY}
    operators: {listen: 127.0.0.1:0}
  identity:
    agents:
      authentication: AGENTS
    humans:
      authentication: HUMANS
      approverGroups: [approvers]
  policies: {files: [policy.yaml]}
  limits: {idleTimeout: 30s}
  dataDirectory: data
";

const POLICY: &str = "\
apiVersion: gateward.dev/v1alpha1
kind: Policy
metadata:
  name: ours
spec:
  rules:
  - name: no-pods
    effect: deny
    reason: No pods today.
    verbs: [create]
    apiGroups: [\"\"]
    resources: [pods]
";

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new(configuration: &str, policy: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let scene = &world().scene;
        let name = |path: PathBuf| path.to_str().unwrap().to_owned();
        let text = configuration
            .replace("KUBECONFIG", &name(scene.control.gate_kubeconfig()))
            .replace("CERTIFICATE", &name(scene.file("gate.pem")))
            .replace("KEY", &name(scene.file("gate.key")))
            .replace("AGENTS", &scene.authentication(AGENTS_AUDIENCE).to_string())
            .replace("HUMANS", &scene.authentication(HUMANS_AUDIENCE).to_string());
        std::fs::write(dir.path().join("gate.yaml"), text).unwrap();
        std::fs::write(dir.path().join("policy.yaml"), policy).unwrap();
        Self { dir }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("gate.yaml")
    }

    fn check(&self) -> (Output, Value) {
        let output = run(&["check", "-o", "json", "--config"], &self.file());
        let document = serde_json::from_slice(&output.stdout);
        let document = document.unwrap_or_else(|_| panic!("{}", text(&output)));
        (output, document)
    }
}

fn run(arguments: &[&str], file: &Path) -> Output {
    Command::new(gateward())
        .args(arguments)
        .arg(file)
        .env_remove("GATEWARD_CONFIG")
        .output()
        .unwrap()
}

/// One spoilt place: what is replaced by what, and what is said of it.
struct Case {
    from: &'static str,
    to: &'static str,
    line: u64,
    field: &'static str,
    message: &'static str,
    suggestion: &'static str,
}

const CASES: &[Case] = &[
    Case {
        from: "      listen: 127.0.0.1:0\n      tls: {certificateFile: CERTIFICATE, keyFile: KEY}\n    humans:",
        to: "      listen: 8443\n      tls: {certificateFile: CERTIFICATE, keyFile: KEY}\n    humans:",
        line: 9,
        field: "spec.doors.agents.listen",
        message: "expected a string, found 8443",
        suggestion: "put it in quotes",
    },
    Case {
        from: "approverGroups: [approvers]",
        to: "approverGroups: approvers",
        line: 20,
        field: "spec.identity.humans.approverGroups",
        message: "expected a list",
        suggestion: "write it as a list",
    },
    Case {
        from: "  dataDirectory: data",
        to: "  dataDirectory: data\n  datadir: x",
        line: 24,
        field: "spec.datadir",
        message: "unknown field \"datadir\"",
        suggestion: "known here: ",
    },
    Case {
        from: "{idleTimeout: 30s}",
        to: "{idelTimeout: 30s}",
        line: 22,
        field: "spec.limits.idelTimeout",
        message: "unknown field \"idelTimeout\"",
        suggestion: "did you mean \"idleTimeout\"?",
    },
    Case {
        from: "idleTimeout: 30s",
        to: "idleTimeout: soon",
        line: 22,
        field: "spec.limits.idleTimeout",
        message: "soon",
        suggestion: "",
    },
    Case {
        from: "idleTimeout: 30s",
        to: "maxBodyBytes: 4",
        line: 22,
        field: "spec.limits.maxBodyBytes",
        message: "4 is less than 1024",
        suggestion: "",
    },
    Case {
        from: "  dataDirectory: data",
        to: "  dataDirectory: data\n  dataDirectory: other",
        line: 24,
        field: "",
        message: "dataDirectory",
        suggestion: "",
    },
    Case {
        from: "  clusters:\n",
        to: "  clusters: [\n",
        line: 5,
        field: "",
        message: "is not valid YAML",
        suggestion: "",
    },
    Case {
        from: "file: KUBECONFIG",
        to: "file: nowhere.kubeconfig",
        line: 6,
        field: "spec.clusters[0].kubeconfig.file",
        message: "nowhere.kubeconfig cannot be read",
        suggestion: "relative paths start at the configuration's own directory",
    },
    Case {
        from: "file: KUBECONFIG",
        to: "file: KUBECONFIG, context: gatewart@local",
        line: 6,
        field: "spec.clusters[0].kubeconfig.context",
        message: "has no context \"gatewart@local\"",
        suggestion: "did you mean \"gateward@local\"?",
    },
    Case {
        from: "  policies: {files: [policy.yaml]}",
        to: "  policies: {files: [polizy.yaml]}",
        line: 21,
        field: "spec.policies.files[0]",
        message: "polizy.yaml cannot be read",
        suggestion: "check the path",
    },
    Case {
        from: "    operators: {listen: 127.0.0.1:0}",
        to: "    operators: {listen: \"localhost:1\"}",
        line: 14,
        field: "spec.doors.operators.listen",
        message: "\"localhost:1\" is not an address to listen on",
        suggestion: "write an IP address and a port",
    },
];

#[test]
fn a_configuration_error_has_its_place_its_field_and_a_suggestion() {
    for case in CASES {
        assert!(GOOD.contains(case.from), "{}", case.from);
        let place = Place::new(&GOOD.replacen(case.from, case.to, 1), POLICY);
        let (output, document) = place.check();
        assert_eq!(output.status.code(), Some(1), "{}", case.to);
        assert_eq!(document["valid"], false);
        let problems = document["problems"].as_array().unwrap();
        let fits = |problem: &Value| {
            let said = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
            said("file") == place.file().to_str().unwrap()
                && problem["line"] == case.line
                && problem["column"].as_u64().unwrap() > 0
                && said("field") == case.field
                && said("message").contains(case.message)
                && said("suggestion").contains(case.suggestion)
        };
        assert!(problems.iter().any(fits), "{}: {document:#}", case.to);
        let human = run(&["check", "--config"], &place.file());
        let said = text(&human);
        let at = format!("gate.yaml:{}:", case.line);
        assert!(said.contains(&at) && said.contains(case.message), "{said}");
    }
}

#[test]
fn a_good_configuration_is_found_good_and_nothing_is_made() {
    let place = Place::new(GOOD, POLICY);
    let (output, document) = place.check();
    assert_eq!(output.status.code(), Some(0), "{document:#}");
    assert_eq!(document["valid"], true);
    assert!(!place.dir.path().join("data").exists());
}

#[test]
fn every_problem_is_found_in_one_run_also_in_policies() {
    let spoilt = GOOD
        .replacen("idleTimeout: 30s", "idelTimeout: 30s", 1)
        .replacen("  - name: local", "  - nmae: local", 1);
    let policy = POLICY
        .replacen("effect: deny", "effect: forbid", 1)
        .replacen("verbs: [create]", "verbz: [create]", 1);
    let (output, document) = Place::new(&spoilt, &policy).check();
    assert_eq!(output.status.code(), Some(1));
    let places: Vec<_> = document["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| {
            let file = Path::new(problem["file"].as_str().unwrap())
                .file_name()
                .unwrap();
            (
                file.to_str().unwrap().to_owned(),
                problem["line"].as_u64().unwrap(),
            )
        })
        .collect();
    for expected in [
        ("gate.yaml", 5),
        ("gate.yaml", 22),
        ("policy.yaml", 8),
        ("policy.yaml", 10),
    ] {
        let expected = (expected.0.to_owned(), expected.1);
        assert!(places.contains(&expected), "{expected:?} {document:#}");
    }
}

#[test]
fn a_bad_policy_is_named_with_its_rule() {
    let policy = POLICY.replacen("    reason: No pods today.\n", "", 1);
    let place = Place::new(GOOD, &policy);
    let (output, document) = place.check();
    assert_eq!(output.status.code(), Some(1));
    let problem = &document["problems"][0];
    assert!(problem["file"].as_str().unwrap().ends_with("policy.yaml"));
    assert!(
        problem["field"]
            .as_str()
            .unwrap()
            .starts_with("spec.rules[0]"),
        "{problem}"
    );
}

#[test]
fn what_is_no_configuration_at_all_is_refused_with_a_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let bomb = format!(
        "a0: &a0 [x]\n{}",
        (1..12)
            .map(|n| format!(
                "a{n}: &a{n} [{}]\n",
                vec![format!("*a{}", n - 1); 12].join(", ")
            ))
            .collect::<String>()
    );
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let contents: [(&str, &[u8], &str); 5] = [
        ("empty.yaml", b"", "is empty"),
        ("binary.yaml", b"\xff\xfe\x00", "cannot be read"),
        ("bomb.yaml", bomb.as_bytes(), "is not valid YAML"),
        ("deep.yaml", deep.as_bytes(), "is not valid YAML"),
        ("list.yaml", b"- 1", "expected a mapping"),
    ];
    for (name, content, message) in contents {
        let file = dir.path().join(name);
        std::fs::write(&file, content).unwrap();
        let output = run(&["check", "--config"], &file);
        assert_eq!(output.status.code(), Some(1), "{name}");
        let said = text(&output);
        assert!(said.contains(name) && said.contains(message), "{said}");
    }
    for missing in [dir.path().join("none.yaml"), dir.path().to_owned()] {
        let output = run(&["check", "--config"], &missing);
        assert_eq!(output.status.code(), Some(1));
        let said = text(&output);
        assert!(
            said.contains("cannot be read") && said.contains("check the path"),
            "{said}"
        );
    }
}

#[test]
fn serve_says_all_that_is_wrong_and_starts_nothing() {
    let spoilt = GOOD.replacen("idleTimeout: 30s", "idelTimeout: 30s", 1);
    let place = Place::new(&spoilt, POLICY);
    let output = run(&["serve", "--config"], &place.file());
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output);
    assert!(
        said.contains("gate.yaml:22:") && said.contains("did you mean \"idleTimeout\"?"),
        "{said}"
    );
    assert!(said.contains("nothing was started"), "{said}");
    assert!(!place.dir.path().join("data").exists());
}

#[test]
fn keys_and_certificates_that_do_not_fit_are_named() {
    let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let place = Place::new(&GOOD.replace("keyFile: KEY", "keyFile: other.key"), POLICY);
    std::fs::write(place.dir.path().join("other.key"), other).unwrap();
    let output = run(&["serve", "--config"], &place.file());
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output);
    assert!(
        said.contains("gate.pem") && said.contains("other.key"),
        "{said}"
    );
    assert!(said.contains("do not fit together"), "{said}");
}

#[test]
fn wrong_arguments_are_usage_errors() {
    for arguments in [
        &["serf"][..],
        &["check"],
        &["check", "--config"],
        &["check", "--config", "x", "-o", "xml"],
        &["serve", "--configuration", "x"],
        &["approvals", "approve"],
        &["audit", "search", "--verdict", "maybe"],
        &[],
    ] {
        let output = Command::new(gateward())
            .args(arguments)
            .env_remove("GATEWARD_CONFIG")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = text(&output);
        assert!(said.contains("--help"), "{arguments:?}: {said}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn commands_that_cannot_reach_their_gate_say_so() {
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    let list = |token: &Path| {
        Command::new(gateward())
            .args([
                "approvals",
                "list",
                "--url",
                "https://127.0.0.1:1",
                "--token-file",
            ])
            .arg(token)
            .output()
            .unwrap()
    };
    let output = list(&token);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output).contains("cannot read the token file"),
        "{}",
        text(&output)
    );
    std::fs::write(&token, "x").unwrap();
    let output = list(&token);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output);
    assert!(
        said.contains("https://127.0.0.1:1") && said.contains("cannot be reached"),
        "{said}"
    );
}

#[test]
fn a_schema_is_printed_by_its_kind_and_no_other_word() {
    let schema = |kind: &str| {
        let output = Command::new(gateward()).args(["schema", kind]).output();
        output.unwrap()
    };
    for kind in ["GatewardConfiguration", "policy"] {
        let output = schema(kind);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(
            document["title"]
                .as_str()
                .unwrap()
                .eq_ignore_ascii_case(kind)
        );
    }
    let output = schema("Polizy");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("give one of gatewardconfiguration.json, policy.json"));
}
