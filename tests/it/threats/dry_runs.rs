//! Attacks by dry runs that are none: the API server ignores the query of a DELETE that has a
//! body, and some requests run whatever they say.

use serde_json::{Value, json};

use super::stage::{Stage, everything};
use super::trap::{Answer, authorization, request};
use crate::harness::{pod, run, world};

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
/// `DeleteOptions` that say nothing, and such that say `dryRun: [All]`.
const NO_OPTIONS: &[u8] = b"k8s\0\x0a\x13\x0a\x02v1\x12\x0dDeleteOptions\x12\x00";
const DRY_OPTIONS: &[u8] = b"k8s\0\x0a\x13\x0a\x02v1\x12\x0dDeleteOptions\x12\x05\x2a\x03All";

/// Looking is allowed, and whatever is a dry run.
fn rules() -> Value {
    let mut looks = everything("allow");
    looks["name"] = json!("looks");
    looks["verbs"] = json!(["get", "list"]);
    let mut rehearses = everything("allow");
    rehearses["name"] = json!("rehearses");
    rehearses["matchConditions"] = json!([{"name": "dry", "expression": "ask.dryRun"}]);
    json!([looks, rehearses])
}

struct Rehearsals {
    namespace: String,
    stage: Stage,
}

impl Rehearsals {
    /// A gate that lets dry runs through, and a ConfigMap to be deleted.
    async fn of_a_victim() -> Self {
        let namespace = world().namespace("threat-13");
        let victim = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "victim", "labels": {"a": "b"}}});
        world().admin_creates(&namespace, &victim);
        let stage = Stage::new(rules()).await;
        Self { namespace, stage }
    }

    async fn send(&self, method: &str, target: &str, media_type: &str, body: &[u8]) -> Answer {
        let path = format!(
            "/clusters/local/api/v1/namespaces/{}/{target}",
            self.namespace
        );
        let mut lines = authorization();
        if !body.is_empty() {
            lines += &format!(
                "Content-Type: {media_type}\r\nContent-Length: {}\r\n",
                body.len()
            );
        }
        let mut bytes = request(method, &path, &lines, "").into_bytes();
        bytes.extend_from_slice(body);
        self.stage.raw(&bytes).await
    }

    fn as_admin(&self, arguments: &[&str]) -> String {
        let control = &world().scene.control;
        let output = control.kubectl(&[&["-n", &self.namespace], arguments].concat());
        output.unwrap_or_else(|failure| failure.to_string())
    }

    /// What there is of it in the cluster: its UID, and no time of deletion.
    fn left_of(&self, object: &str) -> String {
        self.as_admin(&[
            "get",
            object,
            "-o",
            "jsonpath={.metadata.uid} {.metadata.deletionTimestamp}",
        ])
    }
}

/// What the gate is on guard against, as the API server has it.
#[test]
fn a_delete_with_a_body_deletes_whatever_its_query_says() {
    let namespace = world().namespace("threat-13");
    let control = &world().scene.control;
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}});
    world().admin_creates(&namespace, &object);
    let options = world().dir.join(format!("{}.json", uuid::Uuid::new_v4()));
    std::fs::write(&options, "{}").unwrap();
    let path = format!("/api/v1/namespaces/{namespace}/configmaps/c?dryRun=All");
    let file = options.to_str().unwrap();
    control
        .kubectl(&["delete", "--raw", &path, "-f", file])
        .unwrap();
    let left = control.kubectl(&["-n", &namespace, "get", "configmap", "c"]);
    assert!(left.unwrap_err().to_string().contains("NotFound"));
}

#[test]
fn threat_13_a_dry_run_that_would_delete_is_judged_as_a_delete() {
    run(async {
        let dry = Rehearsals::of_a_victim().await;
        let before = dry.left_of("configmap/victim");
        let attacks: [(&str, &str, &[u8], u16); 19] = [
            // In earnest, and not allowed.
            ("", "", b"", 403),
            ("", JSON, b"{}", 403),
            ("", JSON, br#"{"dryRun":[]}"#, 403),
            ("", JSON, br#"{"DryRun":["All"]}"#, 403),
            ("", YAML, b"kind: DeleteOptions", 403),
            ("", PROTOBUF, NO_OPTIONS, 403),
            ("?gracePeriodSeconds=0", "", b"", 403),
            // A dry run by its query, in earnest by its body.
            ("?dryRun=All", JSON, b"{}", 400),
            (
                "?dryRun=All",
                JSON,
                br#"{"kind":"DeleteOptions","apiVersion":"v1"}"#,
                400,
            ),
            (
                "?dryRun=All",
                JSON,
                br#"{"propagationPolicy":"Background"}"#,
                400,
            ),
            ("?dryRun=All", JSON, br#"{"dryRun":[]}"#, 400),
            ("?dryRun=All", JSON, br#"{"dryRun":null}"#, 400),
            ("?dryRun=All", JSON, br#"{"DryRun":["All"]}"#, 400),
            (
                "?dryRun=All",
                JSON,
                br#"{"dryRun":["All"],"dryRun":[]}"#,
                400,
            ),
            ("?dryRun=All", YAML, b"kind: DeleteOptions", 400),
            ("?dryRun=All", PROTOBUF, NO_OPTIONS, 400),
            ("?dryRun=All", JSON, b" ", 400),
            ("?dryRun=all", "", b"", 400),
            ("?DryRun=All", "", b"", 400),
        ];
        for (query, media_type, body, status) in attacks {
            for target in ["configmaps/victim", "configmaps"] {
                let what = format!("{target}{query} {}", String::from_utf8_lossy(body));
                let target = format!("{target}{query}");
                let answer = dry.send("DELETE", &target, media_type, body).await;
                assert_eq!(answer.status, status, "{what}: {answer:?}");
            }
        }
        assert_eq!(dry.left_of("configmap/victim"), before);
        // What is one goes through and is one, though the gate adds a body of its own.
        for (target, media_type, body) in [
            ("configmaps/victim?dryRun=All", "", &b""[..]),
            ("configmaps/victim?dryRun=All&gracePeriodSeconds=0", "", b""),
            ("configmaps/victim", JSON, br#"{"dryRun":["All"]}"#),
            ("configmaps/victim", YAML, b"dryRun: [All]"),
            ("configmaps/victim", PROTOBUF, DRY_OPTIONS),
            (
                "configmaps/victim?dryRun=All",
                JSON,
                br#"{"dryRun":["All"]}"#,
            ),
            ("configmaps?dryRun=All&labelSelector=a%3Db", "", b""),
            (
                "configmaps?labelSelector=a%3Db",
                JSON,
                br#"{"dryRun":["All"]}"#,
            ),
        ] {
            let answer = dry.send("DELETE", target, media_type, body).await;
            assert_eq!(answer.status, 200, "{target}: {answer:?}");
            assert_eq!(dry.left_of("configmap/victim"), before, "{target}");
            let intent = &dry.stage.record_of(&answer).await["intent"];
            assert_eq!(intent["what"]["dryRun"], true, "{target}: {intent}");
        }
    });
}

#[test]
fn threat_13_whatever_else_says_it_is_a_dry_run_is_one_or_is_refused() {
    run(async {
        let dry = Rehearsals::of_a_victim().await;
        world().admin_creates(&dry.namespace, &pod("p", false));
        let mut unbound = pod("unbound", false);
        unbound["spec"].as_object_mut().unwrap().remove("nodeName");
        world().admin_creates(&dry.namespace, &unbound);
        let eviction = |options: Value| {
            json!({"apiVersion": "policy/v1", "kind": "Eviction",
                "metadata": {"name": "p"}, "deleteOptions": options})
        };
        let binding = json!({"apiVersion": "v1", "kind": "Binding",
            "metadata": {"name": "unbound"}, "target": {"kind": "Node", "name": "node-0"}});
        let before = dry.left_of("pod/p");
        for (target, body, status) in [
            ("pods/p/eviction", eviction(json!({"dryRun": ["All"]})), 403),
            ("pods/p/eviction?dryRun=All", eviction(json!({})), 201),
            ("pods/p/eviction?dryRun=All", eviction(json!(null)), 201),
            ("pods/unbound/binding?dryRun=All", binding, 201),
            // Mints a token that works.
            (
                "serviceaccounts/default/token?dryRun=All",
                json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}),
                403,
            ),
        ] {
            let body = body.to_string();
            let answer = dry.send("POST", target, JSON, body.as_bytes()).await;
            assert_eq!(answer.status, status, "{target} {body}: {answer:?}");
        }
        let answer = dry
            .send("POST", "pods/p/exec?command=id&dryRun=All", "", b"")
            .await;
        assert_eq!(answer.status, 400, "{answer:?}");
        assert_eq!(dry.left_of("pod/p"), before);
        let node = dry.as_admin(&["get", "pod", "unbound", "-o", "jsonpath={.spec.nodeName}"]);
        assert_eq!(node, "");
    });
}
