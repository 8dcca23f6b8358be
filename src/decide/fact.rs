//! Which facts a request shows. Part of room ④; pure, and looks at nothing but the facts
//! that `parse` found.

use super::policy::Fact;
use crate::parse::Facts;
use crate::parse::facts::{About, Control, Finding, Image};

impl Fact {
    /// Whether the request is known to mean this.
    pub fn holds(self, facts: &Facts) -> bool {
        let object = &facts.object;
        let violates = |controls: &[Control]| object.pod_security.violates(controls);
        match self {
            Fact::Secrets => facts.secrets,
            Fact::ExecLike => facts.exec_like,
            Fact::MintsToken => facts.mints_token,
            Fact::DeletesCollection => facts.deletes_collection,
            Fact::DeletesNamespace => facts.deletes_namespace,
            Fact::Privileged => !object.privileged.is_empty(),
            Fact::HostNamespaces => !object.host_namespaces.is_empty(),
            Fact::HostPath => !object.host_path.is_empty(),
            Fact::HostPorts => !object.host_ports.is_empty(),
            Fact::AddedCapabilities => !object.added_capabilities.is_empty(),
            Fact::RunAsRoot => !object.run_as_root.is_empty(),
            Fact::AllowPrivilegeEscalation => violates(&[Control::AllowPrivilegeEscalation]),
            Fact::ProcMount => violates(&[Control::ProcMount, Control::ProcMountRestricted]),
            Fact::Seccomp => violates(&[Control::SeccompProfileBaseline]),
            Fact::AppArmor => violates(&[Control::AppArmorProfile]),
            Fact::SeLinux => violates(&[Control::SeLinuxOptions]),
            Fact::Sysctls => violates(&[Control::Sysctls]),
            Fact::HostProcess => violates(&[Control::WindowsHostProcess]),
            Fact::ProbeHosts => violates(&[Control::HostProbesAndHostLifecycle]),
            Fact::PodSecurityBaseline => object.pod_security.baseline().next().is_some(),
            Fact::PodSecurityRestricted => object.pod_security.restricted().next().is_some(),
            Fact::SecretsExposed => !object.secrets_exposed.is_empty(),
            Fact::ConfigMapsExposed => !object.config_maps_exposed.is_empty(),
            Fact::PowerfulServiceAccount => !object.service_account_grants.is_empty(),
            Fact::ProjectedTokens => !object.projected_tokens.is_empty(),
            Fact::NodeName => !object.node_name.is_empty(),
            Fact::ToleratesEverything => says(&object.tolerations, "*"),
            Fact::SystemPriority => {
                let mut classes = object.priority_classes.iter();
                classes.any(|class| class.value.starts_with("system-"))
            }
            Fact::ImageWithoutDigest => object.images.iter().any(has_no_digest),
            Fact::RbacEscalation => !object.rbac.escalation.is_empty(),
            Fact::WildcardGrant => says(&object.rbac.grants, "wildcard"),
            Fact::SecretsGrant => says(&object.rbac.grants, "secrets"),
            Fact::ExecGrant => says(&object.rbac.grants, "exec"),
            Fact::ExternalIps => !object.external_ips.is_empty(),
            Fact::LoadBalancer => says(&object.service_types, "LoadBalancer"),
            Fact::NodePort => says(&object.service_types, "NodePort"),
            Fact::ExternalName => {
                says(&object.service_types, "ExternalName") || !object.external_names.is_empty()
            }
            Fact::PodSecurityLabels => !object.pod_security_labels.is_empty(),
            Fact::ApiServerCalls => !object.api_server_calls.is_empty(),
        }
    }

    /// Whether the request may mean this, and does not say so.
    pub fn is_unclear(self, facts: &Facts) -> bool {
        self.about()
            .is_some_and(|about| facts.object.is_unclear(about))
    }

    /// Whether it depends on an object, and so on what comes of the request.
    pub fn is_of_object(self) -> bool {
        self.about().is_some()
    }

    /// As it is written in a rule.
    pub(super) fn name(self) -> String {
        let json = serde_json::to_value(self).unwrap_or_default();
        json.as_str().unwrap_or_default().to_owned()
    }

    /// Whose objects show it; none if the path alone does.
    pub(super) fn about(self) -> Option<About> {
        match self {
            Fact::Secrets | Fact::ExecLike | Fact::DeletesCollection | Fact::DeletesNamespace => {
                None
            }
            Fact::MintsToken => Some(About::Secrets),
            Fact::RbacEscalation | Fact::WildcardGrant | Fact::SecretsGrant | Fact::ExecGrant => {
                Some(About::Rbac)
            }
            Fact::ExternalIps | Fact::LoadBalancer | Fact::NodePort | Fact::ExternalName => {
                Some(About::Services)
            }
            Fact::PodSecurityLabels => Some(About::Namespaces),
            Fact::ApiServerCalls => Some(About::Extensions),
            _ => Some(About::Pods),
        }
    }
}

fn says(findings: &[Finding], value: &str) -> bool {
    findings.iter().any(|found| found.value == value)
}

fn has_no_digest(image: &Image) -> bool {
    image.digest.is_empty()
}
