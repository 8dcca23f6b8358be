//! The Pod Security Standards, against `k8s.io/pod-security-admission` itself: every pod of
//! its own test data, thousands made from them by chance, and both in everything that
//! embeds a pod.

use std::collections::BTreeSet;
use std::sync::Arc;

use gateward::parse::facts::{Control, ObjectFacts, Violation};
use gateward::parse::{self, Embedders};
use http::{HeaderMap, Method};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::oracle;

const PODS: usize = 6000;

#[derive(Deserialize)]
struct Judged {
    source: String,
    pod: Value,
    baseline: BTreeSet<String>,
    restricted: BTreeSet<String>,
}

/// The path of a request, and how its kind holds a pod's template.
type Embedder = (&'static str, fn(&Value) -> Value);

const EMBEDDERS: &[Embedder] = &[
    ("/api/v1/namespaces/n/pods", Value::clone),
    (
        "/api/v1/namespaces/n/podtemplates",
        |pod| json!({"template": pod}),
    ),
    ("/api/v1/namespaces/n/replicationcontrollers", workload),
    ("/apis/apps/v1/namespaces/n/deployments", workload),
    ("/apis/apps/v1/namespaces/n/statefulsets", workload),
    ("/apis/apps/v1beta2/namespaces/n/replicasets", workload),
    ("/apis/extensions/v1beta1/namespaces/n/daemonsets", workload),
    ("/apis/batch/v1/namespaces/n/jobs", workload),
    (
        "/apis/batch/v1beta1/namespaces/n/cronjobs",
        |pod| json!({"spec": {"jobTemplate": workload(pod)}}),
    ),
    (
        "/apis/example.com/v1/namespaces/n/robots",
        |pod| json!({"spec": {"head": pod}}),
    ),
];

fn workload(pod: &Value) -> Value {
    json!({"spec": {"template": pod}})
}

#[test]
fn threat_14_pod_security_is_what_kubernetes_says() {
    // Another seed looks at other pods; the failing one is in the message.
    let seed = std::env::var("GATEWARD_SEED").unwrap_or_else(|_| "20782".to_owned());
    let testdata = oracle::module("k8s.io/pod-security-admission").join("test/testdata");
    let said = oracle::run(
        "podsecurity",
        &[
            &format!("-testdata={}", testdata.display()),
            &format!("-count={PODS}"),
            &format!("-seed={seed}"),
        ],
        b"",
    );
    let mut upstream = 0;
    let mut seen = BTreeSet::new();
    for (at, line) in said.lines().enumerate() {
        let judged: Judged = serde_json::from_str(line).unwrap();
        upstream += usize::from(judged.source.ends_with(".yaml"));
        seen.extend(judged.baseline.iter().chain(&judged.restricted).cloned());
        compare(&judged, EMBEDDERS[0]);
        compare(&judged, EMBEDDERS[at % EMBEDDERS.len()]);
    }
    assert!(upstream > 100 && said.lines().count() == upstream + PODS);
    // Every control was violated by something, or nothing was proven of it.
    assert_eq!(seen.len(), 19, "{seen:?}");
}

fn compare(judged: &Judged, (path, embed): Embedder) {
    let custom = path.contains("example.com");
    // A custom resource is searched for what looks like a pod; one without containers does
    // not.
    if custom && !looks_like_a_pod(&judged.pod) {
        return;
    }
    let pod = &judged.pod;
    let found = facts(path, &embed(pod)).pod_security;
    for (level, found, judged) in [
        ("baseline", names(found.baseline()), &judged.baseline),
        ("restricted", names(found.restricted()), &judged.restricted),
    ] {
        // What a controller makes of its own kind nobody knows (a volume of two sources, a
        // field in another case), so there the gate may see more than Kubernetes would.
        let agreed = found == *judged || (custom && found.is_superset(judged));
        assert!(
            agreed,
            "{level} at {path}: {found:?}, not {judged:?}: {pod}"
        );
    }
}

fn looks_like_a_pod(pod: &Value) -> bool {
    ["containers", "initContainers", "ephemeralContainers"]
        .iter()
        .filter_map(|list| pod["spec"][list].as_array())
        .flatten()
        .any(Value::is_object)
}

fn names<'a>(violations: impl Iterator<Item = &'a Violation>) -> BTreeSet<String> {
    violations.map(|found| name(found.control)).collect()
}

fn name(control: Control) -> String {
    serde_json::to_value(control)
        .unwrap()
        .as_str()
        .unwrap()
        .to_owned()
}

/// By the way a request takes.
fn facts(path: &str, object: &Value) -> ObjectFacts {
    let head = parse::head(Arc::from("c"), &Method::POST, path, None, &HeaderMap::new()).unwrap();
    let ask = head
        .with_body(object.to_string().into(), &Embedders::default())
        .unwrap();
    ask.facts().object.clone()
}

#[derive(Deserialize)]
struct Named {
    image: String,
    registry: String,
    repository: String,
    tag: String,
    digest: String,
}

#[test]
fn images_are_named_as_container_runtimes_name_them() {
    let digest = format!("sha256:{}", "a1".repeat(32));
    let images = [
        "nginx",
        "nginx:1.27",
        "library/nginx",
        "a/b/c",
        "docker.io/nginx",
        "index.docker.io/nginx:x",
        "docker.io/a/nginx",
        "localhost/x",
        "localhost:5000/x:1",
        "registry.example.com/a/b:v1",
        "registry.example.com:5000/a",
        "a.b/c",
        "127.0.0.1/x",
        "[::1]:5000/x:y",
        "nginx:5000",
        "Registry/a",
        &format!("nginx@{digest}"),
        &format!("nginx:1@{digest}"),
        &format!("ghcr.io/a/b/c@{digest}"),
        &format!("ghcr.io:443/a/b/c:d@{digest}"),
    ]
    .join(" ");
    let testdata = oracle::module("k8s.io/pod-security-admission").join("test/testdata");
    let said = oracle::run(
        "podsecurity",
        &[
            &format!("-testdata={}", testdata.display()),
            &format!("-images={images}"),
        ],
        b"",
    );
    let mut compared = 0;
    for line in said.lines().filter(|line| line.starts_with("{\"image\"")) {
        let named: Named = serde_json::from_str(line).unwrap();
        let pod = json!({"spec": {"containers": [{"name": "c", "image": named.image}]}});
        let found = facts("/api/v1/namespaces/n/pods", &pod);
        let image = &found.images[0];
        let ours = [
            &image.registry,
            &image.repository,
            &image.tag,
            &image.digest,
        ];
        let theirs = [
            &named.registry,
            &named.repository,
            &named.tag,
            &named.digest,
        ];
        assert_eq!(ours, theirs, "{}", named.image);
        compared += 1;
    }
    assert_eq!(compared, images.split(' ').count());
}
