//! Where kinds hold pods: the built-in ones by a table, custom resources by configured
//! paths, and everything else by its looks. Part of `facts`.

use super::baseline;
use super::control::Control;
use super::found::{Finding, Found, List};
use super::pod::{self, Pod, items, join, present};
use crate::parse::{Node, RequestInfo};

/// Where custom resources hold pods, beyond what is found by its looks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Embedders(Vec<Embedder>);

/// The longest path that is followed, in bytes: bounds what a stranger's keys can cost.
const MAX_PATH: usize = 4096;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Embedder {
    api_group: String,
    resource: String,
    path: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    /// Every item of a list, or every value of an object.
    Each,
}

impl Embedders {
    /// Adds a path in a resource: keys, dots between them, `[*]` for every item of a list
    /// or every value of an object: `spec.steps[*]`. What stands there is a pod template
    /// (it holds `spec`), a pod's spec (it holds containers), or one container.
    ///
    /// # Errors
    /// A sentence if it is not such a path.
    pub fn add(&mut self, api_group: &str, resource: &str, path: &str) -> Result<(), String> {
        let mut steps = Vec::new();
        for part in path.split('.') {
            let key = part.trim_end_matches("[*]");
            if key.is_empty() || key.contains(['[', ']', '*']) {
                return Err(format!(
                    "\"{path}\" is not a path like spec.template or spec.steps[*]"
                ));
            }
            steps.push(Step::Key(key.to_owned()));
            let each = (part.len() - key.len()) / "[*]".len();
            steps.extend(std::iter::repeat_n(Step::Each, each));
        }
        self.0.push(Embedder {
            api_group: api_group.to_owned(),
            resource: resource.to_owned(),
            path: steps,
        });
        Ok(())
    }

    /// Adds those of another configuration.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }
}

/// Notes every pod of an object.
pub(super) fn judge(info: &RequestInfo, object: &Node, embedders: &Embedders, found: &mut Found) {
    if let Some(path) = built_in(&info.api_group, &info.resource) {
        if serves_no_spec(info) {
            return;
        }
        let template = path.iter().try_fold(object, |node, step| node.get(step));
        if let Some(template) = template {
            pod::judge(&Pod::of_template(template, &path.join(".")), found);
        }
        // Before Kubernetes 1.22 this was a kind of its own.
        if info.subresource == "ephemeralcontainers" && Pod::is_spec(object) {
            pod::judge(&Pod::of_spec(Some(object), String::new()), found);
        }
        search_privilege(object, &mut String::new(), found);
        return;
    }
    for embedder in &embedders.0 {
        if embedder.api_group == info.api_group && embedder.resource == info.resource {
            follow(object, &embedder.path, String::new(), found);
        }
    }
    search(object, &mut String::new(), found);
}

/// The path of the pod template in a built-in kind, in whatever version.
fn built_in(group: &str, resource: &str) -> Option<&'static [&'static str]> {
    match (group, resource) {
        ("", "pods") => Some(&[]),
        ("", "podtemplates") => Some(&["template"]),
        ("", "replicationcontrollers")
        | ("batch", "jobs")
        | ("apps" | "extensions", "deployments" | "replicasets" | "daemonsets" | "statefulsets") => {
            Some(&["spec", "template"])
        }
        ("batch", "cronjobs") => Some(&["spec", "jobTemplate", "spec", "template"]),
        _ => None,
    }
}

/// Subresources of built-in kinds that cannot change a pod's spec.
fn serves_no_spec(info: &RequestInfo) -> bool {
    !matches!(&*info.subresource, "" | "ephemeralcontainers" | "resize")
}

fn follow(node: &Node, path: &[Step], field: String, found: &mut Found) {
    if field.len() > MAX_PATH {
        return found.give_up();
    }
    match path.split_first() {
        Some((Step::Key(key), rest)) => {
            if let Some(next) = present(node, key) {
                follow(next, rest, join(&field, key), found);
            }
        }
        Some((Step::Each, rest)) => {
            for (at, item) in node.items().iter().enumerate() {
                follow(item, rest, format!("{field}[{at}]"), found);
            }
            for (key, value) in node.entries() {
                follow(value, rest, join(&field, key), found);
            }
        }
        None if present(node, "spec").is_some() => {
            pod::judge(&Pod::of_template(node, &field), found);
        }
        None if Pod::is_spec(node) => pod::judge(&Pod::of_spec(Some(node), field), found),
        None => pod::judge(&Pod::of_container(node, field), found),
    }
}

/// Privilege where a built-in kind has no place for it, as far as this gate knows; a newer
/// API server may know more.
fn search_privilege(node: &Node, path: &mut String, found: &mut Found) {
    if path.len() > MAX_PATH {
        return found.give_up();
    }
    each_field(node, path, found, |key, value, path, found| {
        let named = key.is_some_and(|key| key.eq_ignore_ascii_case("privileged"));
        if named && value.as_bool() == Some(true) {
            found.unexpected_privilege(path);
        }
        search_privilege(value, path, found);
    });
}

/// Pods at any depth, and single fields that say alone what they mean, wherever they are.
fn search(node: &Node, path: &mut String, found: &mut Found) {
    if path.len() > MAX_PATH {
        return found.give_up();
    }
    if present(node, "spec").is_some_and(Pod::is_spec) {
        pod::judge(&Pod::of_template(node, path), found);
    } else if Pod::is_spec(node) {
        pod::judge(&Pod::of_spec(Some(node), path.clone()), found);
    }
    each_field(node, path, found, |key, value, path, found| {
        if let Some(key) = key {
            telling_field(key, value, path, found);
        }
        search(value, path, found);
    });
}

fn telling_field(key: &str, value: &Node, path: &str, found: &mut Found) {
    let is_true = value.as_bool() == Some(true);
    let field = || path.to_owned();
    match key {
        "hostNetwork" | "hostPID" | "hostIPC" if is_true => {
            let list: List<Finding> = |facts| &mut facts.host_namespaces;
            found.both(Control::HostNamespaces, list, field(), "true");
        }
        "hostPath" => {
            if let Some(of_node) = value.get("path").and_then(Node::as_str) {
                let list: List<Finding> = |facts| &mut facts.host_path;
                found.both(Control::HostPathVolumes, list, field(), of_node);
                found.violation(Control::RestrictedVolumes, field(), "hostPath");
            }
        }
        "capabilities" => {
            for (at, added) in items(Some(value), "add").iter().enumerate() {
                let added = added.as_str().unwrap_or_default();
                baseline::added_capability(&format!("{path}.add[{at}]"), added, found);
            }
        }
        _ if key.eq_ignore_ascii_case("privileged") && is_true => {
            let list: List<Finding> = |facts| &mut facts.privileged;
            found.both(Control::Privileged, list, field(), "true");
        }
        _ => {}
    }
}

/// Every value in an object, with its key, or in a list; `path` leads to it meanwhile.
fn each_field(
    node: &Node,
    path: &mut String,
    found: &mut Found,
    look: impl Fn(Option<&str>, &Node, &mut String, &mut Found),
) {
    let length = path.len();
    for (key, value) in node.entries() {
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(key);
        look(Some(key), value, path, found);
        path.truncate(length);
    }
    for (at, item) in node.items().iter().enumerate() {
        path.push_str(&format!("[{at}]"));
        look(None, item, path, found);
        path.truncate(length);
    }
}
