//! What the Pod Security Standards forbid, as of Kubernetes 1.37. Part of `facts`; held
//! against `k8s.io/pod-security-admission` by a differential test.
//!
//! Source: <https://kubernetes.io/docs/concepts/security/pod-security-standards/>.

use super::control::{Control, UNSET};
use super::found::Found;
use super::pod::{Container, Pod, is_good_seccomp, is_zero, items, present, text};
use crate::parse::Node;

const CAPABILITIES: &[&str] = &[
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

const SYSCTLS: &[&str] = &[
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
    "net.ipv4.tcp_slow_start_after_idle",
    "net.ipv4.tcp_notsent_lowat",
];

const SELINUX_TYPES: &[&str] = &[
    "",
    "container_t",
    "container_init_t",
    "container_kvm_t",
    "container_engine_t",
];

const VOLUMES: &[&str] = &[
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// Judges what one pod says.
pub(super) fn judge(pod: &Pod<'_>, found: &mut Found) {
    app_armor_annotations(pod, found);
    host_namespaces(pod, found);
    volumes(pod, found);
    sysctls(pod, found);
    let context = pod.get("securityContext");
    if let Some(context) = context {
        common_context(context, &pod.at("securityContext"), found);
    }
    for container in &pod.containers {
        host_ports(container, found);
        probe_hosts(container, found);
        let field = container.at("securityContext");
        if let Some(context) = present(container.node, "securityContext") {
            common_context(context, &field, found);
            container_context(pod, context, &field, found);
        }
    }
}

fn app_armor_annotations(pod: &Pod<'_>, found: &mut Found) {
    let annotations = pod.metadata.and_then(|it| present(it, "annotations"));
    for (key, value) in annotations.map(Node::entries).unwrap_or_default() {
        let value = value.as_str().unwrap_or_default();
        let fine =
            value.is_empty() || value == "runtime/default" || value.starts_with("localhost/");
        if key.starts_with("container.apparmor.security.beta.kubernetes.io/") && !fine {
            let field = format!("{}.annotations[\"{key}\"]", pod.metadata_field);
            found.violation(Control::AppArmorProfile, field, value);
        }
    }
}

fn host_namespaces(pod: &Pod<'_>, found: &mut Found) {
    for name in ["hostNetwork", "hostPID", "hostIPC"] {
        if pod.get(name).and_then(Node::as_bool) == Some(true) {
            found.both(
                Control::HostNamespaces,
                |facts| &mut facts.host_namespaces,
                pod.at(name),
                "true",
            );
        }
    }
}

fn volumes(pod: &Pod<'_>, found: &mut Found) {
    for (at, volume) in items(pod.spec, "volumes").iter().enumerate() {
        let field = pod.at(&format!("volumes[{at}]"));
        if let Some(path) = present(volume, "hostPath") {
            let path = path.get("path").and_then(Node::as_str).unwrap_or_default();
            found.both(
                Control::HostPathVolumes,
                |facts| &mut facts.host_path,
                format!("{field}.hostPath"),
                path,
            );
        }
        if VOLUMES.iter().any(|kind| present(volume, kind).is_some()) {
            continue;
        }
        let kind = volume
            .entries()
            .iter()
            .find(|(key, value)| &**key != "name" && !key.starts_with('$') && *value != Node::Null)
            .map(|(key, _)| &**key);
        // A patch may name a volume without saying what it is.
        if kind.is_some() || !found.part {
            found.violation(Control::RestrictedVolumes, field, kind.unwrap_or(UNSET));
        }
    }
}

fn sysctls(pod: &Pod<'_>, found: &mut Found) {
    let Some(context) = pod.get("securityContext") else {
        return;
    };
    for (at, sysctl) in items(Some(context), "sysctls").iter().enumerate() {
        let name = sysctl
            .get("name")
            .and_then(Node::as_str)
            .unwrap_or_default();
        // A patch of a value alone; only the name is judged.
        let unnamed = found.part && sysctl.get("name").is_none();
        if !SYSCTLS.contains(&name) && !unnamed {
            let field = pod.at(&format!("securityContext.sysctls[{at}].name"));
            found.violation(Control::Sysctls, field, name);
        }
    }
}

/// What pods and containers say alike.
fn common_context(context: &Node, field: &str, found: &mut Found) {
    if let Some(profile) = present(context, "appArmorProfile") {
        let kind = text(profile, "type");
        if !matches!(kind, "RuntimeDefault" | "Localhost") && says(profile, "type", found) {
            let field = format!("{field}.appArmorProfile.type");
            found.violation(Control::AppArmorProfile, field, kind);
        }
    }
    if let Some(profile) = present(context, "seccompProfile") {
        let kind = text(profile, "type");
        if !is_good_seccomp(profile) && says(profile, "type", found) {
            let field = format!("{field}.seccompProfile.type");
            found.violation(Control::SeccompProfileBaseline, field, kind);
        }
    }
    if let Some(options) = present(context, "seLinuxOptions") {
        for (key, allowed) in [("type", SELINUX_TYPES), ("user", &[""]), ("role", &[""])] {
            let value = text(options, key);
            if !allowed.contains(&value) {
                let field = format!("{field}.seLinuxOptions.{key}");
                found.violation(Control::SeLinuxOptions, field, value);
            }
        }
    }
    let windows = present(context, "windowsOptions");
    if windows
        .and_then(|it| it.get("hostProcess"))
        .and_then(Node::as_bool)
        == Some(true)
    {
        let field = format!("{field}.windowsOptions.hostProcess");
        found.violation(Control::WindowsHostProcess, field, "true");
    }
    root(context, field, found);
}

/// What says so in words; whether it violates anything is judged elsewhere.
fn root(context: &Node, field: &str, found: &mut Found) {
    if context.get("runAsUser").is_some_and(is_zero) {
        let field = format!("{field}.runAsUser");
        found.note(|facts| &mut facts.run_as_root, field, "0");
    }
    if context.get("runAsNonRoot").and_then(Node::as_bool) == Some(false) {
        let field = format!("{field}.runAsNonRoot");
        found.note(|facts| &mut facts.run_as_root, field, "false");
    }
}

fn container_context(pod: &Pod<'_>, context: &Node, field: &str, found: &mut Found) {
    if context.get("privileged").and_then(Node::as_bool) == Some(true) {
        found.both(
            Control::Privileged,
            |facts| &mut facts.privileged,
            format!("{field}.privileged"),
            "true",
        );
    }
    if let Some(mount) = present(context, "procMount") {
        let value = mount.as_str().unwrap_or_default();
        if value != "Default" {
            let field = format!("{field}.procMount");
            if !pod.has_user_namespace() {
                found.violation(Control::ProcMount, field.clone(), value);
            }
            found.violation(Control::ProcMountRestricted, field, value);
        }
    }
    let capabilities = present(context, "capabilities");
    for (at, added) in items(capabilities, "add").iter().enumerate() {
        let field = format!("{field}.capabilities.add[{at}]");
        let added = added.as_str().unwrap_or_default();
        found.note(|facts| &mut facts.added_capabilities, field.clone(), added);
        if !CAPABILITIES.contains(&added) {
            found.violation(Control::CapabilitiesBaseline, field.clone(), added);
        }
        if added != "NET_BIND_SERVICE" && (!pod.is_windows() || found.part) {
            found.violation(Control::CapabilitiesRestricted, field, added);
        }
    }
}

/// One capability that stands outside of what is known as a pod.
pub(super) fn added_capability(field: &str, added: &str, found: &mut Found) {
    let known = CAPABILITIES.contains(&added);
    if !known && found.violation(Control::CapabilitiesBaseline, field.to_owned(), added) {
        found.violation(Control::CapabilitiesRestricted, field.to_owned(), added);
        found.note(
            |facts| &mut facts.added_capabilities,
            field.to_owned(),
            added,
        );
    }
}

fn host_ports(container: &Container<'_>, found: &mut Found) {
    for (at, port) in items(Some(container.node), "ports").iter().enumerate() {
        let Some(port) = port.get("hostPort").and_then(Node::as_number) else {
            continue;
        };
        if port.parse::<f64>() != Ok(0.0) {
            found.both(
                Control::HostPorts,
                |facts| &mut facts.host_ports,
                container.at(&format!("ports[{at}].hostPort")),
                port,
            );
        }
    }
}

fn probe_hosts(container: &Container<'_>, found: &mut Found) {
    for handler in [
        &["livenessProbe"][..],
        &["readinessProbe"],
        &["startupProbe"],
        &["lifecycle", "postStart"],
        &["lifecycle", "preStop"],
    ] {
        for action in ["httpGet", "tcpSocket"] {
            let host = container
                .node
                .at(handler)
                .and_then(|it| it.at(&[action, "host"]))
                .and_then(Node::as_str)
                .unwrap_or_default();
            if !host.is_empty() {
                let field = container.at(&format!("{}.{action}.host", handler.join(".")));
                found.violation(Control::HostProbesAndHostLifecycle, field, host);
            }
        }
    }
}

/// Whether this is judged at all: in a patch, only what it says.
fn says(node: &Node, key: &str, found: &Found) -> bool {
    !found.part || node.get(key).is_some()
}
