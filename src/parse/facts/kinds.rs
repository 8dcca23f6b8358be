//! Kinds that mean something by a field or two: Services, Namespaces, Secrets, and what
//! extends the API. Part of `facts`.

use super::found::Found;
use super::pod::{items, join, present};
use crate::parse::{Node, Old, RequestInfo};

/// Prefix of the labels that Pod Security Admission obeys.
const POD_SECURITY: &str = "pod-security.kubernetes.io/";

/// Types of Secrets that the API server itself accepts as credentials.
pub(super) fn is_token(secret_type: &str) -> bool {
    matches!(
        secret_type,
        "kubernetes.io/service-account-token" | "bootstrap.kubernetes.io/token"
    )
}

/// Where a Service leads, and what it takes over.
pub(super) fn service(info: &RequestInfo, object: &Node, found: &mut Found) {
    let spec = object.get("spec").unwrap_or(&Node::Null);
    if info.subresource.is_empty() {
        if let Some(kind) = spec.get("type").and_then(Node::as_str) {
            found.note(
                |facts| &mut facts.service_types,
                "spec.type".to_owned(),
                kind,
            );
        }
        if let Some(name) = spec.get("externalName").and_then(Node::as_str) {
            let field = "spec.externalName".to_owned();
            found.note(|facts| &mut facts.external_names, field, name);
        }
        for (at, address) in items(Some(spec), "externalIPs").iter().enumerate() {
            let field = format!("spec.externalIPs[{at}]");
            let address = address.as_str().unwrap_or_default();
            found.note(|facts| &mut facts.external_ips, field, address);
        }
    }
    // kube-proxy takes these over as well.
    let balancer = object.at(&["status", "loadBalancer"]);
    if info.subresource == "status" {
        for (at, ingress) in items(balancer, "ingress").iter().enumerate() {
            if let Some(address) = ingress.get("ip").and_then(Node::as_str) {
                let field = format!("status.loadBalancer.ingress[{at}].ip");
                found.note(|facts| &mut facts.external_ips, field, address);
            }
        }
    }
}

/// Compared with what was there, if that is known.
pub(super) fn namespace(verb: &str, object: &Node, old: &Old, found: &mut Found) {
    fn labels(object: &Node) -> &[(Box<str>, Node)] {
        let labels = object.at(&["metadata", "labels"]);
        labels.map(Node::entries).unwrap_or_default()
    }
    let field = |key: &str| format!("metadata.labels[\"{key}\"]");
    let new = labels(object);
    let was = match old {
        Old::Unknown => None,
        Old::Absent => Some(Default::default()),
        Old::Known(old) => Some(labels(old)),
    };
    for (key, value) in new.iter().filter(|(key, _)| key.starts_with(POD_SECURITY)) {
        let same = was.is_some_and(|was| was.iter().any(|old| (&old.0, &old.1) == (key, value)));
        if !same {
            let value = value.as_str().unwrap_or_default();
            found.note(|facts| &mut facts.pod_security_labels, field(key), value);
        }
    }
    for (key, _) in was.unwrap_or_default() {
        let gone = key.starts_with(POD_SECURITY) && new.iter().all(|(other, _)| other != key);
        if gone {
            found.note(|facts| &mut facts.pod_security_labels, field(key), "");
        }
    }
    // What replaces, or removes without saying so, may take labels away.
    let replaces = if found.part {
        replaces_labels(object)
    } else {
        verb != "create"
    };
    if was.is_none() && replaces {
        let field = "metadata.labels".to_owned();
        found.note(|facts| &mut facts.pod_security_labels, field, "");
    }
}

/// Whether a patch speaks of metadata or labels as a whole; an apply does so always.
fn replaces_labels(object: &Node) -> bool {
    let whole = |node: Option<&Node>| {
        node.is_some_and(|node| {
            *node == Node::Null || node.entries().iter().any(|(key, _)| key.starts_with('$'))
        })
    };
    whole(object.get("metadata"))
        || whole(object.at(&["metadata", "labels"]))
        || object.get("kind").is_some()
}

/// A Secret's type.
pub(super) fn secret(object: &Node, found: &mut Found) {
    if let Some(kind) = object.get("type").and_then(Node::as_str) {
        found.note(|facts| &mut facts.secret_types, "type".to_owned(), kind);
    }
}

/// Webhooks, APIServices and CRD conversion.
pub(super) fn extension(info: &RequestInfo, object: &Node, found: &mut Found) {
    match &*info.api_group {
        "admissionregistration.k8s.io" => {
            for (at, webhook) in items(Some(object), "webhooks").iter().enumerate() {
                let field = format!("webhooks[{at}].clientConfig");
                call(webhook.get("clientConfig"), &field, found);
            }
        }
        "apiregistration.k8s.io" => {
            call(object.get("spec"), "spec", found);
        }
        "apiextensions.k8s.io" => {
            let conversion = object.at(&["spec", "conversion"]);
            for path in [&["webhook", "clientConfig"][..], &["webhookClientConfig"]] {
                let field = format!("spec.conversion.{}", path.join("."));
                call(conversion.and_then(|it| it.at(path)), &field, found);
            }
        }
        _ => {}
    }
}

fn call(config: Option<&Node>, field: &str, found: &mut Found) {
    let Some(config) = config else {
        return;
    };
    if let Some(url) = config.get("url").and_then(Node::as_str) {
        // A query may hold a token.
        let url = url.split(['?', '#']).next().unwrap_or_default();
        found.note(|facts| &mut facts.api_server_calls, join(field, "url"), url);
    }
    if let Some(service) = present(config, "service") {
        let text = |key| service.get(key).and_then(Node::as_str).unwrap_or_default();
        let value = format!("{}/{}", text("namespace"), text("name"));
        found.note(
            |facts| &mut facts.api_server_calls,
            join(field, "service"),
            value,
        );
    }
}
