//! What the restricted Pod Security Standard demands, as of Kubernetes 1.37. Part of
//! `facts`; held against `k8s.io/pod-security-admission` by a differential test.
//!
//! What a patch does not say cannot be demanded of it: there a control counts as violated
//! as soon as the patch touches the pod's spec.

use super::control::{Control, UNSET};
use super::found::Found;
use super::pod::{Container, Pod, is_good_seccomp, is_zero, items, present, text};
use crate::parse::Node;

const UNTOLD: &str = "a patch does not tell";

/// Judges one pod: what must be said, and what gives way in a user namespace.
pub(super) fn judge(pod: &Pod<'_>, found: &mut Found) {
    let context = pod.get("securityContext");
    let windows = pod.is_windows() && !found.part;
    if !windows {
        for container in &pod.containers {
            escalation_and_drop(container, found);
        }
        seccomp_is_set(pod, context, found);
    }
    if !pod.has_user_namespace() {
        non_root(pod, context, found);
    }
    if found.part {
        untold(pod, found);
    }
}

fn escalation_and_drop(container: &Container<'_>, found: &mut Found) {
    let context = present(container.node, "securityContext");
    let escalation = context.and_then(|it| present(it, "allowPrivilegeEscalation"));
    let said = escalation.and_then(Node::as_bool);
    if said != Some(false) && (said.is_some() || !found.part) {
        found.violation(
            Control::AllowPrivilegeEscalation,
            container.at("securityContext.allowPrivilegeEscalation"),
            if said.is_some() { "true" } else { UNSET },
        );
    }
    let capabilities = context.and_then(|it| present(it, "capabilities"));
    let all = items(capabilities, "drop")
        .iter()
        .any(|dropped| dropped.as_str() == Some("ALL"));
    if !all && !found.part {
        found.violation(
            Control::CapabilitiesRestricted,
            container.at("securityContext.capabilities.drop"),
            UNSET,
        );
    }
}

fn seccomp_is_set(pod: &Pod<'_>, context: Option<&Node>, found: &mut Found) {
    let profile = |context: Option<&Node>| {
        let profile = context.and_then(|it| present(it, "seccompProfile"));
        profile.map(|it| (is_good_seccomp(it), text(it, "type").to_owned()))
    };
    let of_pod = profile(context);
    let bad = |found: &mut Found, field: String, value: &str| {
        found.violation(Control::SeccompProfileRestricted, field, value);
    };
    if let Some((false, kind)) = &of_pod {
        bad(found, pod.at("securityContext.seccompProfile.type"), kind);
    }
    for container in &pod.containers {
        let field = container.at("securityContext.seccompProfile.type");
        match profile(present(container.node, "securityContext")) {
            Some((true, _)) => {}
            Some((false, kind)) => bad(found, field, &kind),
            None if matches!(of_pod, Some((true, _))) || found.part => {}
            None => bad(found, field, UNSET),
        }
    }
}

fn non_root(pod: &Pod<'_>, context: Option<&Node>, found: &mut Found) {
    let said = |context: Option<&Node>| {
        context
            .and_then(|it| it.get("runAsNonRoot"))
            .and_then(Node::as_bool)
    };
    let zero = |context: Option<&Node>| {
        context
            .and_then(|it| it.get("runAsUser"))
            .is_some_and(is_zero)
    };
    if said(context) == Some(false) {
        found.violation(
            Control::RunAsNonRoot,
            pod.at("securityContext.runAsNonRoot"),
            "false",
        );
    }
    if zero(context) {
        found.violation(Control::RunAsUser, pod.at("securityContext.runAsUser"), "0");
    }
    for container in &pod.containers {
        let of_container = present(container.node, "securityContext");
        let fault = match said(of_container) {
            Some(true) => None,
            Some(false) => Some("false"),
            None if said(context) == Some(true) || found.part => None,
            None => Some(UNSET),
        };
        if let Some(value) = fault {
            let field = container.at("securityContext.runAsNonRoot");
            found.violation(Control::RunAsNonRoot, field, value);
        }
        if zero(of_container) {
            let field = container.at("securityContext.runAsUser");
            found.violation(Control::RunAsUser, field, "0");
        }
    }
}

/// What a patch leaves open once it touches a pod's spec.
fn untold(pod: &Pod<'_>, found: &mut Found) {
    let Some(spec) = pod.spec else {
        return;
    };
    for control in [
        Control::AllowPrivilegeEscalation,
        Control::CapabilitiesRestricted,
        Control::RunAsNonRoot,
        Control::RunAsUser,
        Control::SeccompProfileRestricted,
    ] {
        found.violation(control, pod.field.clone(), UNTOLD);
    }
    // Outside of a user namespace, what was fine in it is no more.
    let leaves = spec
        .get("hostUsers")
        .is_some_and(|it| *it != Node::Bool(false));
    let replaces = ["$patch", "$retainKeys"]
        .iter()
        .any(|key| spec.get(key).is_some());
    if leaves || replaces || *spec == Node::Null {
        found.violation(Control::ProcMount, pod.at("hostUsers"), UNTOLD);
    }
}
