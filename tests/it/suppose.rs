//! The tools that judge away from a gate, by the real program: tests of policies,
//! explanations, comparisons on what a real gate has recorded, and warnings.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use gateward::parse::builtin;
use serde_json::{Value, json};

use crate::harness::{World, gateward, json_of, pod, run, world};

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/default-pack.yaml");

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.feed(arguments, "")
    }

    fn feed(&self, arguments: &[&str], stdin: &str) -> Output {
        let mut child = Command::new(gateward())
            .args(arguments)
            .current_dir(self.dir.path())
            .env_remove("GATEWARD_CONFIG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It need not read to the end.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        child.wait_with_output().unwrap()
    }

    fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let output = self.run(&[arguments, &["-o", "json"]].concat());
        let document = serde_json::from_slice(&output.stdout);
        (
            code(&output),
            document.unwrap_or_else(|_| panic!("{}", said(&output))),
        )
    }
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", out(output), String::from_utf8_lossy(&output.stderr))
}

const POLICY: &str = "\
apiVersion: gateward.dev/v1alpha1
kind: Policy
metadata: {name: ours}
spec:
  rules:
  - name: no-latest
    effect: deny
    reason: Name a version.
    verbs: [create, update, patch]
    apiGroups: [apps]
    resources: [deployments]
    matchConditions:
    - name: latest
      expression: object.spec.template.spec.containers.exists(c, c.image.endsWith(':latest'))
  - name: night
    effect: hold
    reason: Nobody is awake.
    verbs: [delete]
    apiGroups: [\"\"]
    resources: [pods]
    clusters: [production]
    matchConditions:
    - name: late
      expression: now.getHours('UTC') < 6
    - name: not-oncall
      expression: \"!('oncall' in caller.groups)\"
";

const HEAD: &str = "apiVersion: gateward.dev/v1alpha1\nkind: PolicyTest\n";

#[test]
fn cases_are_tried_and_told_in_a_table_in_json_and_in_junit() {
    let cases = format!(
        "{HEAD}defaults:
  caller: {{agent: coder}}
  cluster: production
  now: 2026-11-24T03:00:00Z
cases:
- name: an image without a version
  manifest: {{apiVersion: apps/v1, kind: Deployment, metadata: {{name: web}}, spec: {{template: {{spec: {{containers: [{{name: c, image: 'i:latest'}}]}}}}}}}}
  verdict: deny
  rule: no-latest
  policy: ours
- name: a patch that leaves one
  ask: PATCH /apis/apps/v1/namespaces/web/deployments/web
  body: {{metadata: {{labels: {{a: b}}}}}}
  object: {{spec: {{template: {{spec: {{containers: [{{name: c, image: 'i:latest'}}]}}}}}}}}
  oldObject: {{spec: {{template: {{spec: {{containers: [{{name: c, image: 'i:latest'}}]}}}}}}}}
  verdict: deny
- {{ask: DELETE /api/v1/namespaces/web/pods/p, verdict: hold, rule: night}}
- {{ask: DELETE /api/v1/namespaces/web/pods/p, caller: {{groups: [oncall]}}, verdict: allow}}
- {{ask: DELETE /api/v1/namespaces/web/pods/p, cluster: staging, verdict: allow, rule: pods}}
- {{ask: DELETE /api/v1/namespaces/web/pods/p, now: 2026-11-24T12:00:00Z, verdict: allow}}
- name: the patch of which nobody knows what comes
  ask: PATCH /apis/apps/v1/namespaces/web/deployments/web
  verdict: failed
  rule: no-latest
"
    );
    let place = Place::new(&[("p.yaml", POLICY), ("good.yaml", &cases)]);
    let test = ["policy", "test", "--policy", "p.yaml", "--default-pack"];
    let good = place.run(&[&test[..], &["good.yaml"]].concat());
    assert_eq!(code(&good), 0, "{}", said(&good));
    assert!(
        out(&good).contains("7 as expected, 0 not"),
        "{}",
        said(&good)
    );

    let bad = cases.replace(
        "cluster: staging, verdict: allow",
        "cluster: production, verdict: allow",
    );
    std::fs::write(place.path("bad.yaml"), bad).unwrap();
    let failed = place.run(&[&test[..], &["good.yaml", "bad.yaml", "--junit", "r.xml"]].concat());
    assert_eq!(code(&failed), 1);
    assert!(out(&failed).contains("FAIL"), "{}", said(&failed));
    assert!(
        out(&failed).contains("13 as expected, 1 not"),
        "{}",
        said(&failed)
    );
    let xml = std::fs::read_to_string(place.path("r.xml")).unwrap();
    assert!(
        xml.contains(r#"<testsuites name="gateward policy test" tests="14" failures="1">"#),
        "{xml}"
    );
    assert!(
        xml.contains("expected allow by pods, found hold by night"),
        "{xml}"
    );

    let (code, document) = place.json(&[&test[..], &["bad.yaml"]].concat());
    assert_eq!(
        (code, &document["failed"], &document["passed"]),
        (1, &json!(1), &json!(6))
    );
    let wrong = &document["items"][4];
    assert_eq!(wrong["passed"], json!(false));
    assert_eq!(wrong["found"]["rule"], json!("night"));
    assert_eq!(wrong["line"], json!(21));
    let untried = document["untriedRules"].as_array().unwrap();
    assert!(untried.contains(&json!("default/proxy")) && !untried.contains(&json!("ours/night")));
}

#[test]
fn the_shipped_cases_are_read_by_the_program_too() {
    let place = Place::new(&[]);
    let (code, document) = place.json(&["policy", "test", "--default-pack", TABLE]);
    assert_eq!((code, &document["failed"]), (0, &json!(0)));
    assert!(document["passed"].as_u64().unwrap() >= 200);
}

#[test]
fn mistakes_in_cases_are_told_with_file_line_column_field_and_suggestion() {
    let table = [
        (
            "- {ask: GET /api, verdikt: allow}",
            "cases[0].verdikt",
            "did you mean \"verdict\"?",
        ),
        (
            "- {ask: GET /api, verdict: alow}",
            "cases[0].verdict",
            "did you mean \"allow\"?",
        ),
        (
            "- {ask: GET /api, verdict: allow, rule: discovry}",
            "cases[0].rule",
            "did you mean \"discovery\"?",
        ),
        (
            "- {ask: GET /api, verdict: allow, policy: defualt}",
            "cases[0].policy",
            "did you mean \"default\"?",
        ),
        (
            "- {ask: GET /api, verdict: default, rule: reads}",
            "cases[0].rule",
            "remove it",
        ),
        (
            "- {ask: /api/v1/pods, verdict: allow}",
            "cases[0].ask",
            "write a method and a path",
        ),
        (
            "- {ask: get /api/v1/pods, verdict: allow}",
            "cases[0].ask",
            "method",
        ),
        (
            "- {verdict: allow}",
            "cases[0]",
            "either \"ask\" or \"manifest\"",
        ),
        (
            "- {ask: GET /api, manifest: {kind: Pod}, verdict: allow}",
            "cases[0]",
            "either",
        ),
        (
            "- {ask: GET /api, verb: create, verdict: allow}",
            "cases[0].verb",
            "about a manifest",
        ),
        (
            "- {manifest: {kind: Pod}, body: {}, verdict: allow}",
            "cases[0].body",
            "the manifest is the body",
        ),
        (
            "- {manifest: {kind: Pod}, verdict: allow}",
            "cases[0].manifest",
            "has no apiVersion",
        ),
        (
            "- {manifest: {apiVersion: v1, kind: Deployment, metadata: {name: a}}, verdict: allow}",
            "cases[0].manifest",
            "did you mean the group \"apps\"?",
        ),
        (
            "- {manifest: {apiVersion: a.io/v1, kind: Thing, metadata: {name: a}}, verdict: allow}",
            "cases[0].manifest",
            "with \"resource\"",
        ),
        (
            "- {manifest: {apiVersion: v1, kind: Pod}, verb: update, verdict: allow}",
            "cases[0].manifest",
            "has no metadata.name",
        ),
        (
            "- {ask: GET /api, now: yesterday, verdict: allow}",
            "cases[0].now",
            "2026-11-24T09:30:00Z",
        ),
        (
            "- {ask: GET /api, object: [], verdict: allow}",
            "cases[0].object",
            "is not an object",
        ),
    ];
    for (case, field, words) in table {
        let text = format!("{HEAD}defaults: {{caller: {{agent: a}}}}\ncases:\n{case}\n");
        let place = Place::new(&[("c.yaml", &text)]);
        let (code, document) = place.json(&["policy", "test", "--default-pack", "c.yaml"]);
        assert_eq!(code, 2, "{case}: {document}");
        let problem = &document["problems"][0];
        assert_eq!(problem["field"], json!(field), "{case}: {document}");
        assert_eq!(
            (&problem["file"], &problem["line"]),
            (&json!("c.yaml"), &json!(5))
        );
        assert!(problem["column"].as_u64().unwrap() >= 3, "{document}");
        let told =
            format!("{}; {}", problem["message"], problem["suggestion"]).replace("\\\"", "\"");
        assert!(told.contains(words), "{case}: {told}");
    }
    let place = Place::new(&[("p.yaml", POLICY), ("c.yaml", HEAD), ("e.yaml", "")]);
    let without_rules = place.run(&["policy", "test", "c.yaml"]);
    assert_eq!(code(&without_rules), 2);
    assert!(
        said(&without_rules).contains("--default-pack"),
        "{}",
        said(&without_rules)
    );
    for (arguments, words) in [
        (
            &["policy", "test", "--default-pack", "c.yaml"][..],
            "cases: is missing",
        ),
        (
            &["policy", "test", "--default-pack", "e.yaml"],
            "holds no cases",
        ),
        (
            &["policy", "test", "--default-pack", "no.yaml"],
            "cannot be read",
        ),
        (&["policy", "test", "--policy", "c.yaml", "c.yaml"], "kind"),
        (&["policy", "test", "--default-pack"], "FILE"),
        (&["explain", "--default-pack", "GET /api"], "--agent"),
        (&["explain", "--default-pack", "--agent", "a"], "-f FILE"),
        (
            &["explain", "--default-pack", "--agent", "a", "GET"],
            "request's line",
        ),
        (
            &["explain", "--default-pack", "--agent", "a", "-f", "e.yaml"],
            "is empty",
        ),
        (
            &[
                "explain",
                "--default-pack",
                "--record",
                "7",
                "--ledger",
                ".",
            ],
            "id of a record",
        ),
        (
            &[
                "explain",
                "--default-pack",
                "--record",
                "01a210f3-0350-70e8-bb3d-49f5c8da39a4",
            ],
            "--ledger",
        ),
        (&["policy", "diff", "p.yaml", "p.yaml"], "--ledger"),
    ] {
        let output = place.run(arguments);
        assert_eq!(code(&output), 2, "{arguments:?}: {}", said(&output));
        assert!(
            said(&output).contains(words),
            "{arguments:?}: {}",
            said(&output)
        );
    }
}

#[test]
fn a_request_is_explained_from_its_line_and_from_manifests() {
    let place = Place::new(&[("p.yaml", POLICY)]);
    let held = place.run(&[
        "explain",
        "--default-pack",
        "--agent",
        "coder",
        "--principal",
        "alice",
        "POST /api/v1/namespaces/prod/pods/web/exec?command=sh",
    ]);
    assert_eq!(code(&held), 0, "{}", said(&held));
    for words in [
        "HELD by default/exec-into-production",
        "coder for alice on test",
        "hold  default/exec-into-production (decides)",
        "hold  default/exec-outside-production",
        "execCommand: sh",
        "It waits at most 15m for 1 of: the configuration's approvers",
        "default/exec-into-production and default/exec-outside-production",
        "it would be refused, as no rule allows it",
    ] {
        assert!(out(&held).contains(words), "{words}: {}", out(&held));
    }
    let allowed = place.json(&[
        "explain",
        "--default-pack",
        "--agent",
        "coder",
        "DELETE /api/v1/namespaces/web/pods/p",
    ]);
    let item = &allowed.1["items"][0];
    assert_eq!(
        (&item["verdict"], &item["rule"]),
        (&json!("allow"), &json!("pods"))
    );
    let nearest: Vec<_> = item["nearest"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| part["rule"].as_str().unwrap())
        .collect();
    assert_eq!(nearest, ["other-exec-like", "system-namespaces"]);

    let manifests = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Namespace, metadata: {name: web}}\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: c}}\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: r, namespace: web}\n";
    let explained = place.feed(
        &[
            "explain",
            "--default-pack",
            "--agent",
            "coder",
            "-o",
            "json",
            "--verb",
            "apply",
            "-n",
            "team",
            "-f",
            "-",
        ],
        manifests,
    );
    let document: Value = serde_json::from_slice(&explained.stdout).unwrap();
    let items = document["items"].as_array().unwrap();
    let told: Vec<_> = items
        .iter()
        .map(|item| {
            (
                item["request"].as_str().unwrap(),
                item["rule"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (
                "PATCH /api/v1/namespaces/web?fieldManager=kubectl",
                "namespace-changes"
            ),
            (
                "PATCH /api/v1/namespaces/team/configmaps/c?fieldManager=kubectl",
                "configuration"
            ),
            (
                "PATCH /apis/rbac.authorization.k8s.io/v1/namespaces/web/roles/r?fieldManager=kubectl",
                "rbac-writes"
            ),
        ]
    );
    assert!(items[1]["notes"][0].as_str().unwrap().contains("--object"));

    // What nobody allows: the nearest rules, and where the request does not fit them.
    let refused = place.json(&[
        "explain",
        "--policy",
        "p.yaml",
        "--default-pack",
        "--agent",
        "coder",
        "POST /api/v1/namespaces/web/podtemplates",
    ]);
    let nearest = &refused.1["items"][0]["nearest"][0];
    assert_eq!(
        (
            &nearest["misses"].as_array().unwrap().len(),
            &nearest["effect"]
        ),
        (&1, &json!("allow"))
    );

    // What comes of a patch decides, where it is given.
    std::fs::write(
        place.path("o.json"),
        r#"{"spec":{"template":{"spec":{"containers":[{"image":"i:latest"}]}}}}"#,
    )
    .unwrap();
    let denied = place.json(&[
        "explain",
        "--policy",
        "p.yaml",
        "--agent",
        "a",
        "--object",
        "o.json",
        "PATCH /apis/apps/v1/namespaces/a/deployments/d",
    ]);
    // Nobody allows it, and that is settled before anybody looks.
    assert_eq!(denied.1["items"][0]["verdict"], json!("default"));
    let denied = place.json(&[
        "explain",
        "--policy",
        "p.yaml",
        "--default-pack",
        "--agent",
        "a",
        "--object",
        "o.json",
        "PATCH /apis/apps/v1/namespaces/a/deployments/d",
    ]);
    assert_eq!(denied.1["items"][0]["verdict"], json!("deny"));
    let refused = place.json(&[
        "explain",
        "--default-pack",
        "--agent",
        "a",
        "GET /api//pods",
    ]);
    assert_eq!(refused.1["items"][0]["verdict"], json!("refused"));
}

#[test]
fn threat_22_what_a_stranger_wrote_does_not_steer_the_terminal_of_a_tool() {
    const HOSTILE: &str = r#""\e[2Jweb\x9b31m\u202e\nALLOWED by default/pods""#;
    let cases = format!(
        "{HEAD}defaults: {{caller: {{agent: {HOSTILE}}}}}\ncases:\n- {{name: {HOSTILE}, ask: GET /api, verdict: deny}}\n"
    );
    let manifest = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec: {{volumes: [{{name: v, hostPath: {{path: {HOSTILE}}}}}], containers: [{{name: c, image: {HOSTILE}}}]}}\n"
    );
    let place = Place::new(&[("c.yaml", &cases), ("m.yaml", &manifest)]);
    let agent = "a\u{1b}[2J\nALLOWED by default/pods";
    for arguments in [
        &[
            "policy",
            "test",
            "--default-pack",
            "c.yaml",
            "--junit",
            "r.xml",
        ][..],
        &["policy", "test", "--default-pack", "c.yaml", "-o", "json"],
        &["policy", "test", "--default-pack", "c.yaml", "-o", "yaml"],
        &[
            "explain",
            "--default-pack",
            "--agent",
            agent,
            "-f",
            "m.yaml",
        ],
        &[
            "explain",
            "--default-pack",
            "--agent",
            agent,
            "-f",
            "m.yaml",
            "-o",
            "json",
        ],
        &["explain", "--default-pack", "--agent", "a", "\u{1b}[2J"],
        &[
            "explain",
            "--default-pack",
            "--agent",
            "a",
            "GET /\u{1b}[2J",
        ],
    ] {
        let output = place.run(arguments);
        let told = said(&output);
        let steers = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!told.contains(steers), "{arguments:?}: {told:?}");
        assert!(
            !told.lines().any(|line| line.starts_with("ALLOWED by")),
            "{arguments:?}: {told}"
        );
    }
    let xml = std::fs::read_to_string(place.path("r.xml")).unwrap();
    assert!(
        !xml.contains('\u{1b}') && !xml.contains('\u{202e}'),
        "{xml:?}"
    );
}

#[test]
fn threat_13_what_is_too_long_too_deep_or_endless_ends_with_a_sentence() {
    let long = format!("kind: Pod\na: {}\n", "x".repeat(5 << 20));
    let deep = format!("kind: Pod\na: {}{}\n", "[".repeat(5_000), "]".repeat(5_000));
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for at in 1..12 {
        let before = format!("*a{}, ", at - 1).repeat(9);
        bomb += &format!("a{at}: &a{at} [{before}*a{}]\n", at - 1);
    }
    let many = "- {ask: GET /api, verdict: allow}\n".repeat(20_000);
    let many = format!("{HEAD}defaults: {{caller: {{agent: a}}}}\ncases:\n{many}");
    let place = Place::new(&[
        ("long.yaml", &long),
        ("deep.yaml", &deep),
        ("bomb.yaml", &bomb),
        ("many.yaml", &many),
    ]);
    for file in ["long.yaml", "deep.yaml", "bomb.yaml"] {
        for arguments in [
            &["explain", "--default-pack", "--agent", "a", "-f", file][..],
            &[
                "explain",
                "--default-pack",
                "--agent",
                "a",
                "--body",
                file,
                "POST /api/v1/namespaces/a/pods",
            ],
            &["policy", "test", "--default-pack", file],
            &["policy", "test", "--policy", file, "many.yaml"],
        ] {
            let begun = Instant::now();
            let output = place.run(arguments);
            assert_eq!(code(&output), 2, "{arguments:?}: {}", said(&output));
            assert!(
                said(&output).len() < 2_000,
                "{arguments:?}: {}",
                said(&output).len()
            );
            assert!(begun.elapsed() < Duration::from_secs(20), "{arguments:?}");
        }
    }
    let endless = place.feed(
        &["explain", "--default-pack", "--agent", "a", "-f", "-"],
        &long,
    );
    assert_eq!(code(&endless), 2, "{}", said(&endless));
    let (code, document) = place.json(&["policy", "test", "--default-pack", "many.yaml"]);
    assert_eq!((code, &document["passed"]), (0, &json!(20_000)));
}

#[test]
fn suspicious_rules_are_warned_of_and_fail_a_strict_check() {
    let policy = "\
apiVersion: gateward.dev/v1alpha1
kind: Policy
metadata: {name: ours}
spec:
  rules:
  - name: typo
    effect: allow
    verbs: [get]
    apiGroups: [apps]
    resources: [deploymnts]
  - name: elsewhere
    effect: allow
    verbs: [get]
    apiGroups: [\"\"]
    resources: [pods]
    clusters: [mars]
";
    let world = world();
    let (configuration, _) = world.configured(|document| {
        document["spec"]["policies"] = json!({"files": ["policy.yaml"]});
    });
    std::fs::write(configuration.parent().unwrap().join("policy.yaml"), policy).unwrap();
    let place = Place::new(&[]);
    let check = ["check", "--config", configuration.to_str().unwrap()];
    let (code_of_json, document) = place.json(&check);
    assert_eq!((code_of_json, &document["valid"]), (0, &json!(true)));
    let warnings = document["warnings"].as_array().unwrap();
    let told: Vec<_> = warnings
        .iter()
        .map(|it| {
            (
                it["lint"].as_str().unwrap(),
                it["field"].as_str().unwrap(),
                it["line"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("never-matches", "spec.rules[0].resources[0]", 10),
            ("never-matches", "spec.rules[1].clusters[0]", 16),
        ]
    );
    let plain = place.run(&check);
    assert_eq!(code(&plain), 0);
    assert!(out(&plain).contains(":10:17: spec.rules[0].resources[0]: there is no \"deploymnts\" in these API groups; did you mean \"deployments\"?"), "{}", out(&plain));
    assert!(
        out(&plain).contains("valid, with 2 warning(s)"),
        "{}",
        out(&plain)
    );
    assert_eq!(code(&place.run(&[&check[..], &["--strict"]].concat())), 1);
    std::fs::write(configuration.parent().unwrap().join("policy.yaml"), POLICY).unwrap();
    let (configuration, _) = world.configured(|_| {});
    let check = [
        "check",
        "--strict",
        "--config",
        configuration.to_str().unwrap(),
    ];
    assert_eq!(code(&place.run(&check)), 0, "the default pack alone");
}

#[test]
fn the_built_in_resources_are_those_of_the_api_server() {
    let control = &world().scene.control;
    let get = |path: &str| -> Value {
        serde_json::from_str(&control.kubectl(&["get", "--raw", path]).unwrap()).unwrap()
    };
    let groups = get("/apis");
    let versions = groups["groups"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| {
            let name = group["name"].as_str().unwrap().to_owned();
            let versions = group["versions"].as_array().unwrap().iter();
            versions
                .map(|version| {
                    (
                        name.clone(),
                        format!("/apis/{}", version["groupVersion"].as_str().unwrap()),
                    )
                })
                .collect::<Vec<_>>()
        });
    let mut seen = 0;
    for (group, path) in versions.chain([(String::new(), "/api/v1".to_owned())]) {
        if !builtin::is_group(&group) && group.contains("example") {
            continue;
        }
        for resource in get(&path)["resources"].as_array().unwrap() {
            let name = resource["name"].as_str().unwrap();
            let (main, sub) = name.split_once('/').unwrap_or((name, ""));
            let known = builtin::resource(&group, main)
                .unwrap_or_else(|| panic!("{group}/{name} is not known"));
            if sub.is_empty() {
                assert_eq!(known.kind, resource["kind"], "{group}/{name}");
                assert_eq!(
                    known.namespaced,
                    resource["namespaced"].as_bool().unwrap(),
                    "{group}/{name}"
                );
            } else {
                assert!(
                    known.subresources.contains(&sub),
                    "{group}/{name} is not known"
                );
            }
            seen += 1;
        }
    }
    assert!(seen > 80, "{seen}");
}

/// A gate of its own, and what an agent asked of it.
struct Day {
    gate: gateward::demo::scene::RunningGate,
    data: PathBuf,
    namespace: String,
    begun: String,
}

impl Day {
    async fn pass(world: &World) -> Self {
        let (gate, data) = world.another_gate(|_| {}).await;
        let namespace = world.namespace("suppose");
        let day = Self {
            gate,
            data,
            namespace,
            begun: jiff::Timestamp::now().to_string(),
        };
        let api = format!("/api/v1/namespaces/{}", day.namespace);
        let config_map = |name: &str, size: usize| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "x".repeat(size)}});
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"password": "hunter2"}});
        for (method, path, body, status) in [
            ("GET", format!("{api}/pods"), None, 200),
            (
                "POST",
                format!("{api}/configmaps"),
                Some(config_map("small", 10)),
                201,
            ),
            (
                "POST",
                format!("{api}/configmaps"),
                Some(config_map("big", 40_000)),
                201,
            ),
            (
                "PATCH",
                format!("{api}/configmaps/small"),
                Some(json!({"data": {"b": "c"}})),
                200,
            ),
            ("DELETE", api.clone(), None, 403),
            ("POST", format!("{api}/pods"), Some(pod("root", true)), 429),
            ("POST", format!("{api}/pods"), Some(pod("root", true)), 429),
            ("POST", format!("{api}/secrets"), Some(secret), 429),
            ("DELETE", format!("{api}/configmaps/small"), None, 200),
            ("GET", "/api/v1//pods".to_owned(), None, 400),
        ] {
            let mut ask = world.ask_at(&day.gate, method, &path);
            if let Some(body) = body {
                let kind = if method == "PATCH" {
                    "application/merge-patch+json"
                } else {
                    "application/json"
                };
                ask = ask.header("content-type", kind).body(body.to_string());
            }
            let (found, answer) = json_of(ask).await;
            assert_eq!(found, status, "{method} {path}: {answer}");
        }
        day
    }

    fn door(&self, world: &World, token: &str, place: &Path) -> Vec<String> {
        let file = place.join(format!("{}.token", uuid::Uuid::new_v4()));
        std::fs::write(&file, token).unwrap();
        vec![
            format!("--url=https://localhost:{}", self.gate.humans.port()),
            format!("--ca={}", world.scene.file("gate-ca.pem").display()),
            format!("--token-file={}", file.display()),
        ]
    }

    fn disk(&self) -> Vec<String> {
        vec![format!("--ledger={}", self.data.join("ledger").display())]
    }
}

const STRICTER: &str = "\
apiVersion: gateward.dev/v1alpha1
kind: Policy
metadata: {name: stricter}
spec:
  rules:
  - name: no-looking
    effect: deny
    reason: Eyes shut.
    verbs: [list]
    apiGroups: [\"\"]
    resources: [pods]
  - name: big-maps
    effect: hold
    reason: Too big.
    verbs: [create]
    apiGroups: [\"\"]
    resources: [configmaps]
    matchConditions:
    - name: big
      expression: object.data.exists(k, object.data[k].size() > 1000)
  - name: added-keys
    effect: hold
    reason: Keys are added.
    verbs: [patch]
    apiGroups: [\"\"]
    resources: [configmaps]
    matchConditions:
    - name: b
      expression: has(object.data.b)
  - name: locked
    effect: deny
    reason: It is locked.
    verbs: [delete]
    apiGroups: [\"\"]
    resources: [configmaps]
    matchConditions:
    - name: was-locked
      expression: has(oldObject.metadata.labels) && 'locked' in oldObject.metadata.labels
";

#[test]
fn recorded_requests_are_judged_by_two_sets_of_policies_and_nothing_is_dropped_silently() {
    let world = world();
    run(async {
        let day = Day::pass(world).await;
        let place = Place::new(&[("new.yaml", STRICTER)]);
        let mut told = Vec::new();
        for place_of_records in [
            day.disk(),
            day.door(world, &world.approver_token(), place.dir.path()),
        ] {
            let mut arguments = vec![
                "policy",
                "diff",
                "default-pack",
                "new.yaml",
                "--default-pack",
                "--since",
                &day.begun,
            ];
            arguments.extend(place_of_records.iter().map(String::as_str));
            // The door shows what is durable; the last answers may be a sync ahead of it.
            let mut tries = 0;
            let document = loop {
                let (code, document) = place.json(&arguments);
                assert_eq!(code, 0, "{document}");
                tries += 1;
                if document["requests"] == json!(9) || tries == 50 {
                    break document;
                }
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            };
            let table = place.run(&arguments);
            assert!(out(&table).contains("allow → deny"), "{}", said(&table));
            assert!(out(&table).contains("4 cannot be told"), "{}", said(&table));
            told.push(document);
        }
        let document = &told[0];
        assert_eq!(document, &told[1], "offline and through the door");
        // Ten requests came, two of them for the same hold.
        assert_eq!(document["requests"], json!(9), "{document}");
        assert_eq!(
            (
                &document["changed"],
                &document["same"],
                &document["unknown"]
            ),
            (&json!(3), &json!(2), &json!(4)),
            "{document}"
        );
        let changes: Vec<_> = document["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| {
                assert_eq!(
                    (&it["agent"], &it["count"]),
                    (&json!("triage-bot"), &json!(1))
                );
                format!(
                    "{}: {} → {} by {}",
                    it["operation"].as_str().unwrap(),
                    it["old"]["verdict"].as_str().unwrap(),
                    it["new"]["verdict"].as_str().unwrap(),
                    it["new"]["rule"].as_str().unwrap()
                )
            })
            .collect();
        for change in [
            "list pods: allow → deny by stricter/no-looking",
            "create configmaps: allow → hold by stricter/big-maps",
            "patch configmaps: allow → hold by stricter/added-keys",
        ] {
            assert!(
                changes.contains(&change.to_owned()),
                "{change}: {changes:?}"
            );
        }
        let unknown: Vec<_> = document["unknownBecause"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| (it["why"].as_str().unwrap(), it["count"].as_u64().unwrap()))
            .collect();
        assert_eq!(
            unknown,
            [
                ("never-judged", 1),
                ("body-not-recorded", 2),
                ("object-not-recorded", 1)
            ]
        );
        assert!(!document.to_string().contains("hunter2"));
    });
}

#[test]
fn a_record_is_explained_by_the_rules_of_today() {
    let world = world();
    run(async {
        let day = Day::pass(world).await;
        let place = Place::new(&[("new.yaml", STRICTER)]);
        let auditor = day.door(world, &world.approver_token(), place.dir.path());
        let find = |query: &'static str| {
            let path = format!("/api/v1/records?namespace={}&{query}", day.namespace);
            let (gate, token) = (&day.gate, world.approver_token());
            async move {
                for _ in 0..100 {
                    let found = json_of(world.human_at(gate, "GET", &path, &token)).await.1;
                    if let Some(first) = found["items"].as_array().and_then(|items| items.first()) {
                        return first["id"].as_str().unwrap().to_owned();
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                panic!("no record for {query}");
            }
        };
        let big = find("verb=create&resource=configmaps").await;
        let held = find("verb=create&resource=pods").await;
        for place_of_records in [day.disk(), auditor] {
            let of = |id: &str| {
                let mut arguments = vec![
                    "explain",
                    "--policy",
                    "new.yaml",
                    "--default-pack",
                    "--record",
                    id,
                ];
                arguments.extend(place_of_records.iter().map(String::as_str));
                place.json(&arguments)
            };
            let (code_of, document) = of(&big);
            let item = &document["items"][0];
            assert_eq!(
                (code_of, &item["verdict"], &item["rule"]),
                (0, &json!("hold"), &json!("big-maps")),
                "{document}"
            );
            assert_eq!(
                (&item["recorded"]["verdict"], &item["recorded"]["rule"]),
                (&json!("allow"), &json!("configuration"))
            );
            let (code_of, document) = of(&held);
            let item = &document["items"][0];
            assert_eq!(
                (code_of, &item["recorded"]["rule"]),
                (0, &json!("privileged-pods")),
                "{document}"
            );
            assert!(
                item["why"].as_str().unwrap().contains("not on record"),
                "{document}"
            );
            let mut missing = vec![
                "explain",
                "--default-pack",
                "--record",
                "01a210f3-0350-70e8-bb3d-49f5c8da39a4",
            ];
            missing.extend(place_of_records.iter().map(String::as_str));
            let output = place.run(&missing);
            assert_eq!(code(&output), 1);
            assert!(
                said(&output).contains("there is no record"),
                "{}",
                said(&output)
            );
        }
    });
}

#[test]
fn only_auditors_read_the_ledger_through_the_door() {
    let world = world();
    run(async {
        let claims = world.claims(
            gateward::demo::scene::HUMANS_AUDIENCE,
            "mallory",
            json!({"groups": ["approvers"]}),
        );
        let approver = world.mint(&claims);
        let digest = "a".repeat(64);
        for path in ["/api/v1/entries", &format!("/api/v1/bodies/{digest}")] {
            let (status, answer) =
                json_of(world.human_at(&world.gate, "GET", path, &approver)).await;
            assert_eq!(status, 403, "{path}: {answer}");
        }
        for (path, expected) in [
            ("/api/v1/entries?limit=1000000", 200),
            ("/api/v1/entries?from=99999999999", 200),
            ("/api/v1/entries?from=-1", 400),
            ("/api/v1/entries?since=soon", 400),
            ("/api/v1/bodies/..%2f..%2fledger.key", 404),
            ("/api/v1/bodies/zz", 404),
        ] {
            let (status, answer) = json_of(world.human("GET", path)).await;
            assert_eq!(status, expected, "{path}: {answer}");
            if status == 200 {
                assert!(answer["items"].as_array().unwrap().len() <= 500, "{path}");
            }
        }
    });
}
