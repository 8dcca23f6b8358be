//! The resources of Kubernetes' own API groups: what they are called, and whether they lie in a
//! namespace. For tools that read manifests and look at policies; no request is judged by it.
//! Part of `parse`; a test holds it against a real API server.

/// A resource of one of Kubernetes' own API groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Builtin {
    /// Its API group, empty for the core group.
    pub group: &'static str,
    /// Its name in paths and rules, plural.
    pub resource: &'static str,
    /// What its objects are called.
    pub kind: &'static str,
    /// Whether its objects lie in a namespace.
    pub namespaced: bool,
    /// Its subresources.
    pub subresources: &'static [&'static str],
}

/// Every built-in resource of Kubernetes 1.26 to 1.37, all feature gates on.
pub fn all() -> impl Iterator<Item = Builtin> {
    TABLE.iter().map(
        |&(group, resource, kind, namespaced, subresources)| Builtin {
            group,
            resource,
            kind,
            namespaced,
            subresources,
        },
    )
}

/// Whether this is one of Kubernetes' own API groups: all of its resources are known.
pub fn is_group(group: &str) -> bool {
    all().any(|known| known.group == group)
}

/// The resource of this name.
pub fn resource(group: &str, resource: &str) -> Option<Builtin> {
    all().find(|known| known.group == group && known.resource == resource)
}

/// The resource whose objects are of this kind.
pub fn kind(group: &str, kind: &str) -> Option<Builtin> {
    all().find(|known| known.group == group && known.kind == kind)
}

type Row = (
    &'static str,
    &'static str,
    &'static str,
    bool,
    &'static [&'static str],
);

/// Group, resource, kind, whether it lies in a namespace, subresources; as discovery tells.
#[rustfmt::skip]
const TABLE: &[Row] = &[
    ("", "bindings", "Binding", true, &[]),
    ("", "componentstatuses", "ComponentStatus", false, &[]),
    ("", "configmaps", "ConfigMap", true, &[]),
    ("", "endpoints", "Endpoints", true, &[]),
    ("", "events", "Event", true, &[]),
    ("", "limitranges", "LimitRange", true, &[]),
    ("", "namespaces", "Namespace", false, &["finalize", "status"]),
    ("", "nodes", "Node", false, &["proxy", "status"]),
    ("", "persistentvolumeclaims", "PersistentVolumeClaim", true, &["status"]),
    ("", "persistentvolumes", "PersistentVolume", false, &["status"]),
    ("", "pods", "Pod", true, &["attach", "binding", "ephemeralcontainers", "eviction", "exec", "log", "portforward", "proxy", "resize", "status"]),
    ("", "podtemplates", "PodTemplate", true, &[]),
    ("", "replicationcontrollers", "ReplicationController", true, &["scale", "status"]),
    ("", "resourcequotas", "ResourceQuota", true, &["status"]),
    ("", "secrets", "Secret", true, &[]),
    ("", "serviceaccounts", "ServiceAccount", true, &["token"]),
    ("", "services", "Service", true, &["proxy", "status"]),
    ("admissionregistration.k8s.io", "mutatingadmissionpolicies", "MutatingAdmissionPolicy", false, &[]),
    ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings", "MutatingAdmissionPolicyBinding", false, &[]),
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration", false, &[]),
    ("admissionregistration.k8s.io", "validatingadmissionpolicies", "ValidatingAdmissionPolicy", false, &["status"]),
    ("admissionregistration.k8s.io", "validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding", false, &[]),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations", "ValidatingWebhookConfiguration", false, &[]),
    ("apiextensions.k8s.io", "customresourcedefinitions", "CustomResourceDefinition", false, &["status"]),
    ("apiregistration.k8s.io", "apiservices", "APIService", false, &["status"]),
    ("apps", "controllerrevisions", "ControllerRevision", true, &[]),
    ("apps", "daemonsets", "DaemonSet", true, &["status"]),
    ("apps", "deployments", "Deployment", true, &["scale", "status"]),
    ("apps", "replicasets", "ReplicaSet", true, &["scale", "status"]),
    ("apps", "statefulsets", "StatefulSet", true, &["scale", "status"]),
    ("authentication.k8s.io", "selfsubjectreviews", "SelfSubjectReview", false, &[]),
    ("authentication.k8s.io", "tokenreviews", "TokenReview", false, &[]),
    ("authorization.k8s.io", "localsubjectaccessreviews", "LocalSubjectAccessReview", true, &[]),
    ("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview", false, &[]),
    ("authorization.k8s.io", "selfsubjectrulesreviews", "SelfSubjectRulesReview", false, &[]),
    ("authorization.k8s.io", "subjectaccessreviews", "SubjectAccessReview", false, &[]),
    ("autoscaling", "horizontalpodautoscalers", "HorizontalPodAutoscaler", true, &["status"]),
    ("batch", "cronjobs", "CronJob", true, &["status"]),
    ("batch", "jobs", "Job", true, &["status"]),
    ("certificates.k8s.io", "certificatesigningrequests", "CertificateSigningRequest", false, &["approval", "status"]),
    ("certificates.k8s.io", "clustertrustbundles", "ClusterTrustBundle", false, &[]),
    ("certificates.k8s.io", "podcertificaterequests", "PodCertificateRequest", true, &["status"]),
    ("coordination.k8s.io", "leasecandidates", "LeaseCandidate", true, &[]),
    ("coordination.k8s.io", "leases", "Lease", true, &[]),
    ("discovery.k8s.io", "endpointslices", "EndpointSlice", true, &[]),
    ("events.k8s.io", "events", "Event", true, &[]),
    ("flowcontrol.apiserver.k8s.io", "flowschemas", "FlowSchema", false, &["status"]),
    ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations", "PriorityLevelConfiguration", false, &["status"]),
    ("internal.apiserver.k8s.io", "storageversions", "StorageVersion", false, &["status"]),
    ("lifecycle.k8s.io", "evictionrequests", "EvictionRequest", true, &["status"]),
    ("lifecycle.k8s.io", "evictions", "Eviction", true, &["status"]),
    ("networking.k8s.io", "clustercidrs", "ClusterCIDR", false, &[]),
    ("networking.k8s.io", "ingressclasses", "IngressClass", false, &[]),
    ("networking.k8s.io", "ingresses", "Ingress", true, &["status"]),
    ("networking.k8s.io", "ipaddresses", "IPAddress", false, &[]),
    ("networking.k8s.io", "networkpolicies", "NetworkPolicy", true, &[]),
    ("networking.k8s.io", "servicecidrs", "ServiceCIDR", false, &["status"]),
    ("node.k8s.io", "runtimeclasses", "RuntimeClass", false, &[]),
    ("policy", "poddisruptionbudgets", "PodDisruptionBudget", true, &["status"]),
    ("rbac.authorization.k8s.io", "clusterrolebindings", "ClusterRoleBinding", false, &[]),
    ("rbac.authorization.k8s.io", "clusterroles", "ClusterRole", false, &[]),
    ("rbac.authorization.k8s.io", "rolebindings", "RoleBinding", true, &[]),
    ("rbac.authorization.k8s.io", "roles", "Role", true, &[]),
    ("resource.k8s.io", "deviceclasses", "DeviceClass", false, &[]),
    ("resource.k8s.io", "devicetaintrules", "DeviceTaintRule", false, &["status"]),
    ("resource.k8s.io", "podschedulingcontexts", "PodSchedulingContext", true, &["status"]),
    ("resource.k8s.io", "resourceclaimparameters", "ResourceClaimParameters", true, &[]),
    ("resource.k8s.io", "resourceclaims", "ResourceClaim", true, &["status"]),
    ("resource.k8s.io", "resourceclaimtemplates", "ResourceClaimTemplate", true, &[]),
    ("resource.k8s.io", "resourceclasses", "ResourceClass", false, &[]),
    ("resource.k8s.io", "resourceclassparameters", "ResourceClassParameters", true, &[]),
    ("resource.k8s.io", "resourcepoolstatusrequests", "ResourcePoolStatusRequest", false, &["status"]),
    ("resource.k8s.io", "resourceslices", "ResourceSlice", false, &[]),
    ("scheduling.k8s.io", "compositepodgroups", "CompositePodGroup", true, &["status"]),
    ("scheduling.k8s.io", "podgroups", "PodGroup", true, &["status"]),
    ("scheduling.k8s.io", "priorityclasses", "PriorityClass", false, &[]),
    ("scheduling.k8s.io", "workloads", "Workload", true, &[]),
    ("storage.k8s.io", "csidrivers", "CSIDriver", false, &[]),
    ("storage.k8s.io", "csinodes", "CSINode", false, &["status"]),
    ("storage.k8s.io", "csistoragecapacities", "CSIStorageCapacity", true, &[]),
    ("storage.k8s.io", "storageclasses", "StorageClass", false, &[]),
    ("storage.k8s.io", "volumeattachments", "VolumeAttachment", false, &["status"]),
    ("storage.k8s.io", "volumeattributesclasses", "VolumeAttributesClass", false, &[]),
    ("storagemigration.k8s.io", "storageversionmigrations", "StorageVersionMigration", false, &["status"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_and_its_kind_are_found_in_their_own_group_alone() {
        assert!(is_group("") && is_group("apps") && !is_group("example.com"));
        let kind_of = |group, name| resource(group, name).map(|found| found.kind);
        assert_eq!(kind_of("apps", "deployments"), Some("Deployment"));
        assert_eq!(kind_of("events.k8s.io", "events"), Some("Event"));
        assert_eq!(kind_of("apps", "pods"), None);
        let resource_of = |group, name| kind(group, name).map(|found| found.resource);
        assert_eq!(
            resource_of("networking.k8s.io", "Ingress"),
            Some("ingresses")
        );
        assert_eq!(resource_of("apps", "Pod"), None);
    }
}
