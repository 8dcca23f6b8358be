//! What roles grant and bindings bind. Part of `facts`; an absent list in a patch may hold
//! anything, so there it counts as everything.
//!
//! Source: <https://kubernetes.io/docs/concepts/security/rbac-good-practices/>.

use std::collections::BTreeSet;

use super::found::{Found, Subject};
use super::pod::{items, present, text};
use crate::parse::{Node, RequestInfo};

/// Groups in which strangers are.
const EVERYONE: [&str; 3] = [
    "system:anonymous",
    "system:unauthenticated",
    "system:authenticated",
];

/// Grants that make more of a caller than it is.
const ESCALATING: [&str; 6] = [
    "escalate",
    "bind",
    "impersonate",
    "nodesProxy",
    "tokens",
    "certificates",
];

/// Notes what an object of `rbac.authorization.k8s.io` means.
pub(super) fn judge(info: &RequestInfo, object: &Node, found: &mut Found) {
    match &*info.resource {
        "roles" | "clusterroles" => role(object, found),
        "rolebindings" | "clusterrolebindings" => binding(object, found),
        _ => {}
    }
}

/// What a role grants out of the ordinary, each once.
pub(in crate::parse) fn grants(role: &Node) -> BTreeSet<&'static str> {
    let rules = items(Some(role), "rules").iter();
    let rules = rules.map(|node| Rule { node, part: false });
    rules.flat_map(|rule| rule.grants()).collect()
}

fn role(object: &Node, found: &mut Found) {
    for (at, node) in items(Some(object), "rules").iter().enumerate() {
        let rule = Rule {
            node,
            part: found.part,
        };
        let field = format!("rules[{at}]");
        for grant in rule.grants() {
            found.note(|facts| &mut facts.rbac.grants, field.clone(), grant);
            if ESCALATING.contains(&grant) {
                found.note(|facts| &mut facts.rbac.escalation, field.clone(), grant);
            }
        }
    }
    if present(object, "aggregationRule").is_some() {
        aggregated("aggregationRule".to_owned(), found);
    }
    let labels = object.at(&["metadata", "labels"]);
    for (key, _) in labels.map(Node::entries).unwrap_or_default() {
        if key.starts_with("rbac.authorization.k8s.io/aggregate-to-") {
            aggregated(format!("metadata.labels[\"{key}\"]"), found);
        }
    }
}

fn aggregated(field: String, found: &mut Found) {
    found.note(|facts| &mut facts.rbac.grants, field.clone(), "aggregated");
    found.note(|facts| &mut facts.rbac.escalation, field, "aggregated");
}

fn binding(object: &Node, found: &mut Found) {
    if let Some(role) = present(object, "roleRef") {
        let name = text(role, "name");
        let value = format!("{}/{name}", text(role, "kind"));
        found.note(|facts| &mut facts.rbac.roles, "roleRef".to_owned(), value);
        if name == "cluster-admin" {
            let field = "roleRef".to_owned();
            found.note(|facts| &mut facts.rbac.escalation, field, "role");
        }
    }
    for (at, node) in items(Some(object), "subjects").iter().enumerate() {
        let field = format!("subjects[{at}]");
        let subject = Subject {
            field: found.place(field.clone()),
            kind: text(node, "kind").to_owned(),
            namespace: text(node, "namespace").to_owned(),
            name: text(node, "name").to_owned(),
        };
        let name = text(node, "name");
        // Every service account, of the cluster or of a namespace.
        let accounts =
            name == "system:serviceaccounts" || name.starts_with("system:serviceaccounts:");
        if EVERYONE.contains(&name) || accounts {
            found.note(|facts| &mut facts.rbac.escalation, field, "everyone");
        }
        let size = subject.field.len() + name.len() + text(node, "namespace").len() + 16;
        found.push(|facts| &mut facts.rbac.subjects, size, subject);
    }
}

/// One rule of a role.
struct Rule<'a> {
    node: &'a Node,
    part: bool,
}

impl Rule<'_> {
    fn grants(&self) -> Vec<&'static str> {
        let rbac = "rbac.authorization.k8s.io";
        let roles = ["roles", "clusterroles"];
        let csr = "certificates.k8s.io";
        let may = |verbs: &[&str], group: &str, resources: &[&str]| {
            self.verb(verbs) && self.has("apiGroups", group) && self.resource(resources)
        };
        // Verbs that mean one thing only count wherever they stand.
        [
            ("escalate", self.names("escalate") || may(&[], rbac, &roles)),
            ("bind", self.names("bind") || may(&[], rbac, &roles)),
            (
                "impersonate",
                self.names("impersonate")
                    || may(&[], "", &["users", "groups", "serviceaccounts"])
                    || may(&[], "authentication.k8s.io", &["uids", "userextras"]),
            ),
            ("wildcard", self.is_wild()),
            ("secrets", may(&["get", "list", "watch"], "", &["secrets"])),
            (
                "exec",
                may(&["get", "create"], "", &["pods/exec", "pods/attach"]),
            ),
            (
                "exec",
                may(&["update", "patch"], "", &["pods/ephemeralcontainers"]),
            ),
            (
                "nodesProxy",
                may(
                    &["get", "create", "update", "patch", "delete"],
                    "",
                    &["nodes/proxy"],
                ),
            ),
            ("tokens", may(&["create"], "", &["serviceaccounts/token"])),
            (
                "certificates",
                may(&["approve", "sign"], csr, &["signers"])
                    || may(
                        &["update", "patch"],
                        csr,
                        &["certificatesigningrequests/approval"],
                    ),
            ),
        ]
        .into_iter()
        .filter_map(|(grant, given)| given.then_some(grant))
        .collect()
    }

    /// Whether a list holds a word or `*`.
    fn has(&self, list: &str, word: &str) -> bool {
        self.any(list, |item| item == "*" || item == word)
    }

    fn any(&self, list: &str, wanted: impl Fn(&str) -> bool) -> bool {
        match self.node.get(list) {
            None => self.part,
            Some(items) => items
                .items()
                .iter()
                .any(|item| item.as_str().is_some_and(&wanted)),
        }
    }

    /// Whether `*` or one of these is granted.
    fn verb(&self, verbs: &[&str]) -> bool {
        self.any("verbs", |item| item == "*" || verbs.contains(&item))
    }

    /// Whether a verb of this name is granted, or one below it (`impersonate:user-info`,
    /// `impersonate-on:…`).
    fn names(&self, verb: &str) -> bool {
        let verbs = items(Some(self.node), "verbs");
        verbs.iter().filter_map(Node::as_str).any(|item| {
            item.strip_prefix(verb)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '-']))
        })
    }

    /// RBAC's own reading: exact, `*`, or `*/subresource`.
    fn resource(&self, resources: &[&str]) -> bool {
        self.any("resources", |item| {
            item == "*"
                || resources.iter().any(|resource| {
                    item == *resource
                        || match (item.strip_prefix("*/"), resource.split_once('/')) {
                            (Some(every), Some((_, subresource))) => every == subresource,
                            _ => false,
                        }
                        // userextras/scopes and the like.
                        || (*resource == "userextras" && item.starts_with("userextras/"))
                })
        })
    }

    fn is_wild(&self) -> bool {
        ["verbs", "apiGroups", "resources", "nonResourceURLs"]
            .iter()
            .any(|list| {
                items(Some(self.node), list)
                    .iter()
                    .any(|item| item.as_str() == Some("*"))
            })
    }
}
