//! Where a request reaches, beyond what its path says. Part of room ④; pure, and knows only
//! Kubernetes' own resources: whatever else may lie in namespaces is taken to do so.

use crate::parse::RequestInfo;

/// Whether the request may reach objects in namespaces that its path does not name.
pub(super) fn spans_namespaces(info: &RequestInfo) -> bool {
    let is_namespaces = info.resource == "namespaces" && info.api_group.is_empty();
    info.namespace.is_empty()
        && match info.verb {
            "list" | "watch" | "deletecollection" => !is_cluster_scoped(info),
            // Whatever a namespace is called in its body, rules on that name are about it.
            "create" => is_namespaces,
            _ => false,
        }
}

/// Built-in resources that lie in no namespace, so that a rule on a namespace is never about
/// them. Groups below `k8s.io` are reserved, no custom resource can take these names.
/// `namespaces` is not among them: each object counts as lying in the namespace it is.
fn is_cluster_scoped(info: &RequestInfo) -> bool {
    matches!(
        (info.api_group.as_str(), info.resource.as_str()),
        ("", "nodes" | "persistentvolumes" | "componentstatuses")
            | ("admissionregistration.k8s.io", _)
            | ("apiextensions.k8s.io", "customresourcedefinitions")
            | ("apiregistration.k8s.io", "apiservices")
            | (
                "certificates.k8s.io",
                "certificatesigningrequests" | "clustertrustbundles"
            )
            | ("flowcontrol.apiserver.k8s.io", _)
            | (
                "networking.k8s.io",
                "ingressclasses" | "ipaddresses" | "servicecidrs"
            )
            | ("node.k8s.io", "runtimeclasses")
            | (
                "rbac.authorization.k8s.io",
                "clusterroles" | "clusterrolebindings"
            )
            | ("resource.k8s.io", "deviceclasses" | "resourceslices")
            | ("scheduling.k8s.io", "priorityclasses")
            | (
                "storage.k8s.io",
                "csidrivers"
                    | "csinodes"
                    | "storageclasses"
                    | "volumeattachments"
                    | "volumeattributesclasses"
            )
    )
}
