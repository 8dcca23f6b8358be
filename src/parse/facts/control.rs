//! The controls of the Pod Security Standards, and what violates them. Part of `facts`.

use serde::ser::{Serialize, SerializeStruct as _, Serializer};

/// The value of a violation where something should be said and is not.
pub(super) const UNSET: &str = "unset";

/// One control of the standards, by the name that Kubernetes gives its check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Control {
    /// Baseline: AppArmor profiles are the runtime's or the node's own.
    AppArmorProfile,
    /// Baseline: no capabilities are added beyond the usual ones.
    #[serde(rename = "capabilities_baseline")]
    CapabilitiesBaseline,
    /// Baseline: no namespaces of the node are shared.
    HostNamespaces,
    /// Baseline: no directories of the node are mounted.
    HostPathVolumes,
    /// Baseline: no ports of the node are taken.
    HostPorts,
    /// Baseline: probes and lifecycle hooks name no other host.
    HostProbesAndHostLifecycle,
    /// Baseline: no container is privileged.
    Privileged,
    /// Baseline: `/proc` is masked, save in a user namespace.
    ProcMount,
    /// Baseline: SELinux types are those of containers; no user, no role.
    SeLinuxOptions,
    /// Baseline: seccomp is not switched off.
    #[serde(rename = "seccompProfile_baseline")]
    SeccompProfileBaseline,
    /// Baseline: only kernel settings that stay within the pod.
    Sysctls,
    /// Baseline: no processes of a Windows node.
    WindowsHostProcess,
    /// Restricted: no privilege escalation.
    AllowPrivilegeEscalation,
    /// Restricted: all capabilities are dropped.
    #[serde(rename = "capabilities_restricted")]
    CapabilitiesRestricted,
    /// Restricted: `/proc` is masked.
    #[serde(rename = "procMount_restricted")]
    ProcMountRestricted,
    /// Restricted: volumes of a few kinds only.
    RestrictedVolumes,
    /// Restricted: runs as non-root, save in a user namespace.
    RunAsNonRoot,
    /// Restricted: does not run as user 0, save in a user namespace.
    RunAsUser,
    /// Restricted: a seccomp profile is set.
    #[serde(rename = "seccompProfile_restricted")]
    SeccompProfileRestricted,
}

impl Control {
    /// Whether it belongs to the baseline.
    fn is_baseline(self) -> bool {
        !matches!(
            self,
            Control::AllowPrivilegeEscalation
                | Control::CapabilitiesRestricted
                | Control::ProcMountRestricted
                | Control::RestrictedVolumes
                | Control::RunAsNonRoot
                | Control::RunAsUser
                | Control::SeccompProfileRestricted
        )
    }

    /// Whether a stricter control takes its place in the restricted standard.
    fn is_replaced(self) -> bool {
        matches!(
            self,
            Control::CapabilitiesBaseline
                | Control::HostPathVolumes
                | Control::ProcMount
                | Control::SeccompProfileBaseline
        )
    }
}

/// One violation of one control.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Violation {
    /// The control.
    pub control: Control,
    /// The field at fault.
    pub field: String,
    /// What it says; `unset` if it should say something.
    pub value: String,
}

/// All violations. Written as `{"baseline": […], "restricted": […]}`: an empty list means
/// that Pod Security Admission would let every pod of the object in at that level.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodSecurity(pub(super) Vec<Violation>);

impl PodSecurity {
    /// What violates the baseline standard.
    pub fn baseline(&self) -> impl Iterator<Item = &Violation> {
        self.0.iter().filter(|found| found.control.is_baseline())
    }

    /// What violates the restricted standard, which contains the baseline.
    pub fn restricted(&self) -> impl Iterator<Item = &Violation> {
        self.0.iter().filter(|found| !found.control.is_replaced())
    }

    /// Whether one of these controls is violated.
    pub fn violates(&self, controls: &[Control]) -> bool {
        self.0.iter().any(|found| controls.contains(&found.control))
    }
}

impl Serialize for PodSecurity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("PodSecurity", 2)?;
        fields.serialize_field("baseline", &self.baseline().collect::<Vec<_>>())?;
        fields.serialize_field("restricted", &self.restricted().collect::<Vec<_>>())?;
        fields.end()
    }
}
