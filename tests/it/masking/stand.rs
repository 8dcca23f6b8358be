//! What the hunts for canaries stand on: a planted namespace, a gate as a process of its own
//! in front of it, and all that anybody got to see.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, OnceLock};

use aho_corasick::AhoCorasick;
use gateward::demo::scene::CLUSTER;
use serde_json::{Value, json};

use super::planted::{GROUP, Planted};
use crate::canaries::{Served, around, files, forms};
use crate::harness::{World, world};

pub struct Stand {
    pub world: &'static World,
    pub namespace: String,
    pub served: Served,
    pub dir: PathBuf,
    planted: Mutex<Planted>,
    places: Mutex<Vec<(String, Vec<u8>)>>,
}

/// What an agent sends over HTTP.
#[derive(Clone, Copy)]
pub struct Sent<'a> {
    pub method: &'a str,
    pub accept: &'a str,
    pub content_type: &'a str,
    pub body: &'a str,
}

pub const GET: Sent<'_> = Sent {
    method: "GET",
    accept: "application/json",
    content_type: "application/json",
    body: "",
};

impl Stand {
    /// Blocks, so not to be called on the runtime.
    pub fn new(test: &str) -> Self {
        let world = world();
        static KINDS: OnceLock<()> = OnceLock::new();
        KINDS.get_or_init(|| custom_kinds(world));
        let namespace = world.namespace(test);
        let planted = Planted::plant(world, &namespace);
        let (configuration, data) = world.configured(|document| policy(world, document));
        let served = Served::start(&configuration, &data.with_extension("log"));
        Self {
            world,
            namespace,
            served,
            dir: data.parent().unwrap().to_owned(),
            planted: Mutex::new(planted),
            places: Mutex::default(),
        }
    }

    /// Something that an agent saw.
    pub fn take(&self, what: &str, bytes: &[u8]) {
        let place = (what.to_owned(), bytes.to_owned());
        self.places.lock().unwrap().push(place);
    }

    /// Plants more.
    pub fn plant<T>(&self, place: &str, make: impl FnOnce(&mut Planted) -> T) -> T {
        make(self.planted.lock().unwrap().at(place))
    }

    /// A request to the agents' door; status and body.
    pub async fn send(&self, path: &str, sent: Sent<'_>) -> (u16, String) {
        let url = self.served.agents(&format!("/clusters/{CLUSTER}{path}"));
        let request = self
            .world
            .client()
            .request(sent.method.parse().unwrap(), url);
        let request = request
            .bearer_auth(self.world.agent_token())
            .header("accept", sent.accept)
            .header("content-type", sent.content_type);
        let answer = request.body(sent.body.to_owned()).send().await.unwrap();
        let (status, headers) = (
            answer.status().as_u16(),
            format!("{:?}\n", answer.headers()),
        );
        let text = answer.text().await.unwrap();
        let what = format!("{} {path} accepting {}: {status}", sent.method, sent.accept);
        self.take(&what, format!("{headers}{text}").as_bytes());
        (status, text)
    }

    /// The same as it comes to a client that takes gzip.
    pub async fn packed(&self, path: &str, accept: &str) -> Vec<u8> {
        let url = self.served.agents(&format!("/clusters/{CLUSTER}{path}"));
        let request = self
            .world
            .client()
            .get(url)
            .bearer_auth(self.world.agent_token())
            .header("accept", accept)
            .header("accept-encoding", "gzip");
        let answer = request.send().await.unwrap();
        assert_eq!(answer.headers()["content-encoding"], "gzip", "{path}");
        answer.bytes().await.unwrap().into()
    }

    /// A kubeconfig as `gateward kubeconfig` writes it.
    pub fn kubeconfig(&self) -> PathBuf {
        self.world.agent_kubeconfig_at(self.served.ports[0])
    }

    /// Runs a client in the stand's directory, and takes what it says.
    pub fn run(&self, command: &mut Command) -> Output {
        let command = command.current_dir(&self.dir).stdin(Stdio::null());
        let output = command.output().unwrap();
        let all = [&*output.stdout, &*output.stderr].concat();
        self.take(&format!("{command:?}"), &all);
        output
    }

    /// kubectl through the gate, in the namespace; what it says.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        let output = self.run(&mut self.kubectl_command(arguments));
        let text = [&*output.stdout, &*output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(output.status.success(), "{arguments:?}: {text}");
        text
    }

    pub fn kubectl_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.world.scene.control.kubectl_command(&self.kubeconfig());
        command.args(["-n", &self.namespace]).args(arguments);
        command
    }

    /// kubectl as the administrator, past the gate.
    pub fn admin(&self, arguments: &[&str]) -> String {
        let arguments = [&["-n", &self.namespace][..], arguments].concat();
        self.world.scene.control.kubectl(&arguments).unwrap()
    }

    /// An object as it really is.
    pub fn real(&self, name: &str) -> Value {
        serde_json::from_str(&self.admin(&["get", name, "-o", "json"])).unwrap()
    }

    /// Stops the gate and looks for every canary in everything: what was taken, and what the
    /// gate keeps and said.
    pub fn end(self) {
        let metrics = format!("http://127.0.0.1:{}/metrics", self.served.ports[2]);
        let metrics = crate::harness::RUNTIME.block_on(async {
            let answer = reqwest::get(metrics).await.unwrap();
            answer.text().await.unwrap()
        });
        assert!(metrics.contains("gateward_"), "{metrics}");
        self.take("metrics", metrics.as_bytes());
        self.served.stop();
        let mut places = self.places.into_inner().unwrap();
        places.extend(files(&self.dir.join("data")).unwrap());
        let log = std::fs::read(self.dir.join("data.log")).unwrap();
        places.push(("the log".to_owned(), log));
        for (place, text) in [
            ("/ledger/", "secrets"),
            ("gateward.db", "configmaps"),
            ("the log", "TRACE"),
        ] {
            let mut of_place = places.iter().filter(|(name, _)| name.contains(place));
            let says = |bytes: &[u8]| memchr::memmem::find(bytes, text.as_bytes()).is_some();
            assert!(
                of_place.any(|(_, bytes)| says(bytes)),
                "{place} does not say {text}"
            );
        }
        let planted = self.planted.into_inner().unwrap();
        assert!(planted.canaries.len() > 100, "{}", planted.canaries.len());
        let size: usize = places.iter().map(|(_, bytes)| bytes.len()).sum();
        println!(
            "{} canaries, {} places, {size} bytes",
            planted.canaries.len(),
            places.len()
        );
        let leaks = leaks(&planted, &places);
        let count = leaks.len();
        let first = leaks.into_iter().take(40).collect::<Vec<_>>().join("\n");
        assert!(count == 0, "{count} leaks:\n{first}");
    }
}

/// One line for each canary that stands anywhere.
fn leaks(planted: &Planted, places: &[(String, Vec<u8>)]) -> Vec<String> {
    let (mut of, mut all) = (Vec::new(), Vec::new());
    for (canary, parts) in &planted.canaries {
        for form in parts.iter().flat_map(|part| forms(part)) {
            of.push(canary);
            all.push(form);
        }
    }
    // One look for all of them: there are thousands, in many megabytes.
    let search = AhoCorasick::new(&all).unwrap();
    let mut leaks: BTreeMap<&String, (usize, String)> = BTreeMap::new();
    for (place, bytes) in places {
        for found in search.find_iter(bytes).map(|hit| hit.pattern().as_usize()) {
            let (canary, form) = (of[found], &all[found]);
            let first = || format!("{place}: {}", around(bytes, form));
            leaks.entry(canary).or_insert_with(|| (0, first())).0 += 1;
        }
    }
    let line = |(canary, (count, first)): (&String, (usize, String))| {
        format!("{canary}, {count} times, first in {first}")
    };
    leaks.into_iter().map(line).collect()
}

/// Everything is allowed; some fields of one kind are hidden.
fn policy(world: &World, document: &mut Value) {
    let policy = json!({
        "apiVersion": "gateward.dev/v1alpha1", "kind": "Policy", "metadata": {"name": "test"},
        "spec": {
            "rules": [
                {"name": "all", "effect": "allow", "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"],
                    "subresources": ["*"]},
                {"name": "paths", "effect": "allow", "verbs": ["*"], "nonResourceURLs": ["*"]}],
            "masks": [{"name": "vaults", "apiGroups": [GROUP], "resources": ["vaults"],
                "fields": ["spec.shelf", "spec.pin", "spec.users[*].pin", "**.hidden"]}],
        },
    });
    let file = world
        .dir
        .join(format!("canaries-{}.yaml", uuid::Uuid::new_v4()));
    std::fs::write(&file, policy.to_string()).unwrap();
    document["spec"]["policies"] = json!({"files": [file], "defaultPack": false});
}

/// The kinds that the administrator adds to the cluster; their tables show what is hidden.
fn custom_kinds(world: &World) {
    let kind = |singular: &str, kind: &str, column: Value, rule: Value| {
        let plural = format!("{singular}s");
        json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.{GROUP}")},
            "spec": {
                "group": GROUP, "scope": "Namespaced",
                "names": {"plural": plural, "singular": singular, "kind": kind},
                "versions": [{
                    "name": "v1", "served": true, "storage": true,
                    "additionalPrinterColumns": [
                        column, {"name": "Url", "type": "string", "jsonPath": ".spec.url"},
                        {"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
                    "schema": {"openAPIV3Schema": {
                        "type": "object", "properties": {"spec": {
                            "type": "object", "x-kubernetes-preserve-unknown-fields": true,
                            "properties": {"size": {"type": "integer", "maximum": 100},
                                "shelf": {"type": "string"}, "url": {"type": "string"}},
                            "x-kubernetes-validations": [rule]}}}},
                }],
            },
        })
    };
    let column = |name: &str, path: &str| json!({"name": name, "type": "string", "jsonPath": path});
    // What is wrong with an object is said with its values.
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [
        kind("vault", "Vault", column("Shelf", ".spec.shelf"), json!({
            "rule": "!has(self.size) || self.size != 13",
            "messageExpression": "'13 is no size on ' + self.shelf + ' of ' + self.url"})),
        kind("application", "Application", column("Repo", ".spec.source.repoURL"), json!({
            "rule": "!has(self.size) || self.size != 13",
            "messageExpression": "'13 is no size at ' + self.url"})),
    ]});
    let control = &world.scene.control;
    control.apply(&list.to_string()).unwrap();
    for plural in ["vaults", "applications"] {
        let name = format!("crd/{plural}.{GROUP}");
        let wait = [
            "wait",
            "--for=condition=Established",
            "--timeout=30s",
            &name,
        ];
        control.kubectl(&wait).unwrap();
    }
}
