//! One pod, wherever it was found: what it runs, mounts and runs as. Part of `facts`.
//!
//! Fields are read as the API server reads them: `null` is unset, names are exact. What has
//! a wrong type is refused there and read as unset here.

use super::found::{Found, ServiceAccount};
use super::image::Image;
use super::{baseline, restricted};
use crate::parse::Node;

/// A pod, or what looks like one.
#[derive(Debug)]
pub(super) struct Pod<'a> {
    /// The path of its spec.
    pub field: String,
    /// None where a patch does not touch it, or for a container that stands alone.
    pub spec: Option<&'a Node>,
    pub metadata: Option<&'a Node>,
    /// The path of its metadata.
    pub metadata_field: String,
    /// Init, normal and ephemeral ones.
    pub containers: Vec<Container<'a>>,
}

/// One container.
#[derive(Debug)]
pub(super) struct Container<'a> {
    pub field: String,
    pub node: &'a Node,
}

/// The fields that hold containers.
const CONTAINERS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

impl<'a> Pod<'a> {
    /// From an object that holds `metadata` and `spec`.
    pub(super) fn of_template(template: &'a Node, field: &str) -> Self {
        let metadata = present(template, "metadata");
        Self {
            metadata,
            metadata_field: join(field, "metadata"),
            ..Self::of_spec(template.get("spec"), join(field, "spec"))
        }
    }

    pub(super) fn of_spec(spec: Option<&'a Node>, field: String) -> Self {
        let mut containers = Vec::new();
        for list in CONTAINERS {
            for (at, node) in items(spec, list).iter().enumerate() {
                let field = join(&field, &format!("{list}[{at}]"));
                containers.push(Container { field, node });
            }
        }
        Self {
            field,
            spec,
            metadata: None,
            metadata_field: String::new(),
            containers,
        }
    }

    /// From a container without a pod around it, as some custom resources have them.
    pub(super) fn of_container(node: &'a Node, field: String) -> Self {
        Self {
            field: field.clone(),
            spec: None,
            metadata: None,
            metadata_field: String::new(),
            containers: vec![Container { field, node }],
        }
    }

    /// Whether an object has the shape of a pod's spec.
    pub(super) fn is_spec(node: &Node) -> bool {
        CONTAINERS.iter().any(|list| {
            items(Some(node), list)
                .iter()
                .any(|item| matches!(item, Node::Object(_)))
        })
    }

    /// A field of the spec that is not null.
    pub(super) fn get(&self, key: &str) -> Option<&'a Node> {
        self.spec.and_then(|spec| present(spec, key))
    }

    /// The path of a field of the spec.
    pub(super) fn at(&self, key: &str) -> String {
        join(&self.field, key)
    }

    pub(super) fn is_windows(&self) -> bool {
        let name = self.get("os").and_then(|os| os.get("name"));
        name.and_then(Node::as_str) == Some("windows")
    }

    pub(super) fn has_user_namespace(&self) -> bool {
        self.get("hostUsers").and_then(Node::as_bool) == Some(false)
    }
}

impl Container<'_> {
    /// The path of a field.
    pub(super) fn at(&self, key: &str) -> String {
        join(&self.field, key)
    }
}

/// A field that is not null.
pub(super) fn present<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    node.get(key).filter(|value| **value != Node::Null)
}

/// The items of a list; none if it is not there.
pub(super) fn items<'a>(node: Option<&'a Node>, key: &str) -> &'a [Node] {
    node.and_then(|node| node.get(key))
        .map(Node::items)
        .unwrap_or_default()
}

/// JSON knows more than one zero.
pub(super) fn is_zero(node: &Node) -> bool {
    let number = node.as_number().and_then(|text| text.parse().ok());
    number.is_some_and(|value: f64| value == 0.0)
}

/// Whether a seccomp profile is one that confines.
pub(super) fn is_good_seccomp(profile: &Node) -> bool {
    matches!(text(profile, "type"), "RuntimeDefault" | "Localhost")
}

/// A path, one step longer.
pub(super) fn join(path: &str, step: &str) -> String {
    if path.is_empty() {
        step.to_owned()
    } else {
        format!("{path}.{step}")
    }
}

/// A string; empty if it is not there.
pub(super) fn text<'a>(node: &'a Node, key: &str) -> &'a str {
    node.get(key).and_then(Node::as_str).unwrap_or_default()
}

/// Notes everything that a pod means, once for each pod.
pub(super) fn judge(pod: &Pod<'_>, found: &mut Found) {
    if !found.is_new(&pod.field) {
        return;
    }
    baseline::judge(pod, found);
    restricted::judge(pod, found);
    identity(pod, found);
    place(pod, found);
    for container in &pod.containers {
        program(container, found);
        environment(container, found);
    }
    for (at, volume) in items(pod.spec, "volumes").iter().enumerate() {
        volume_sources(volume, &pod.at(&format!("volumes[{at}]")), found);
    }
}

/// As whom it runs, and what it pulls images with.
fn identity(pod: &Pod<'_>, found: &mut Found) {
    for (at, secret) in items(pod.spec, "imagePullSecrets").iter().enumerate() {
        let field = pod.at(&format!("imagePullSecrets[{at}]"));
        found.note(
            |facts| &mut facts.secrets_exposed,
            field,
            text(secret, "name"),
        );
    }
    let Some(spec) = pod.spec else {
        return;
    };
    // The old name still counts where the new one is empty.
    let named = ["serviceAccountName", "serviceAccount"]
        .into_iter()
        .map(|key| (key, text(spec, key)))
        .find(|(_, name)| !name.is_empty());
    let automount = spec
        .get("automountServiceAccountToken")
        .and_then(Node::as_bool);
    if found.part && named.is_none() && automount.is_none() {
        return;
    }
    let (key, name) = named.unwrap_or(("serviceAccountName", "default"));
    let account = ServiceAccount {
        field: found.place(pod.at(key)),
        name: name.to_owned(),
        automount,
    };
    let size = account.field.len() + account.name.len();
    found.push(|facts| &mut facts.service_accounts, size, account);
}

/// Where it runs, and before whom.
fn place(pod: &Pod<'_>, found: &mut Found) {
    if let Some(own) = pod.get("hostUsers").and_then(Node::as_bool) {
        let field = pod.at("hostUsers");
        found.note(|facts| &mut facts.host_users, field, own.to_string());
    }
    if let Some(name) = pod.get("nodeName").and_then(Node::as_str) {
        found.note(|facts| &mut facts.node_name, pod.at("nodeName"), name);
    }
    if let Some(name) = pod.get("priorityClassName").and_then(Node::as_str) {
        let field = pod.at("priorityClassName");
        found.note(|facts| &mut facts.priority_classes, field, name);
    }
    for (at, taint) in items(pod.spec, "tolerations").iter().enumerate() {
        let key = match text(taint, "key") {
            "" => "*",
            key => key,
        };
        let field = pod.at(&format!("tolerations[{at}]"));
        found.note(|facts| &mut facts.tolerations, field, key);
    }
}

fn program(container: &Container<'_>, found: &mut Found) {
    let image = text(container.node, "image");
    if !image.is_empty() || !found.part {
        let name = text(container.node, "name");
        let image = Image::of(found.place(container.at("image")), name, image);
        found.push(|facts| &mut facts.images, image.size(), image);
    }
    if let [first, ..] = items(Some(container.node), "command") {
        let program = first.as_str().unwrap_or_default();
        let field = container.at("command");
        found.note(|facts| &mut facts.commands, field, program);
    }
    // Arguments may hold what is secret.
    if !items(Some(container.node), "args").is_empty() {
        found.note(|facts| &mut facts.commands, container.at("args"), "");
    }
}

fn environment(container: &Container<'_>, found: &mut Found) {
    for (at, variable) in items(Some(container.node), "env").iter().enumerate() {
        let Some(from) = present(variable, "valueFrom") else {
            continue;
        };
        let field = container.at(&format!("env[{at}].valueFrom"));
        references(from, "secretKeyRef", "configMapKeyRef", &field, found);
    }
    for (at, from) in items(Some(container.node), "envFrom").iter().enumerate() {
        let field = container.at(&format!("envFrom[{at}]"));
        references(from, "secretRef", "configMapRef", &field, found);
    }
}

fn references(from: &Node, secret: &str, config_map: &str, field: &str, found: &mut Found) {
    if let Some(reference) = present(from, secret) {
        let field = join(field, secret);
        found.note(
            |facts| &mut facts.secrets_exposed,
            field,
            text(reference, "name"),
        );
    }
    if let Some(reference) = present(from, config_map) {
        let field = join(field, config_map);
        found.note(
            |facts| &mut facts.config_maps_exposed,
            field,
            text(reference, "name"),
        );
    }
}

fn volume_sources(volume: &Node, field: &str, found: &mut Found) {
    for (kind, source) in volume.entries() {
        let at = join(field, kind);
        match &**kind {
            "secret" if *source != Node::Null => {
                let name = text(source, "secretName");
                found.note(|facts| &mut facts.secrets_exposed, at, name);
            }
            "configMap" if *source != Node::Null => {
                let name = text(source, "name");
                found.note(|facts| &mut facts.config_maps_exposed, at, name);
            }
            "projected" => {
                for (index, source) in items(Some(source), "sources").iter().enumerate() {
                    projected(source, &format!("{at}.sources[{index}]"), found);
                }
            }
            "image" => {
                let reference = text(source, "reference");
                if !reference.is_empty() {
                    let field = found.place(join(&at, "reference"));
                    let image = Image::of(field, "", reference);
                    found.push(|facts| &mut facts.images, image.size(), image);
                }
            }
            // Storage that is mounted with a Secret's help.
            _ => {
                for key in ["secretRef", "nodePublishSecretRef", "secretName"] {
                    let Some(secret) = present(source, key) else {
                        continue;
                    };
                    let name = secret.as_str().unwrap_or(text(secret, "name"));
                    found.note(|facts| &mut facts.secrets_exposed, join(&at, key), name);
                }
            }
        }
    }
}

fn projected(source: &Node, field: &str, found: &mut Found) {
    // The cluster's certificate is in every namespace and, by the API server, in every pod.
    let everywhere = present(source, "configMap").map(|it| text(it, "name"));
    if everywhere != Some("kube-root-ca.crt") || source.entries().len() > 1 {
        references(source, "secret", "configMap", field, found);
    }
    for (kind, what) in [
        ("serviceAccountToken", "audience"),
        ("podCertificate", "signerName"),
    ] {
        if let Some(source) = present(source, kind) {
            let value = text(source, what);
            found.note(
                |facts| &mut facts.projected_tokens,
                join(field, kind),
                value,
            );
        }
    }
}
