//! Tests of facts: what the Pod Security Standards say against a pod, case by case. They are
//! held against Kubernetes' own code in `tests/it/pod_security.rs`.

use super::*;

#[test]
fn a_pod_speaks_for_its_containers_and_they_for_themselves() {
    let violations = |pod: &str, container: &str| {
        let pod = format!(
            r#"{{"spec":{{{pod}"containers":[{{"securityContext":{{{container}
                "allowPrivilegeEscalation":false,"capabilities":{{"drop":["ALL"]}}}}}}]}}}}"#
        );
        let found = whole(PODS, &pod);
        let found = found.pod_security.0.iter().map(|it| {
            let place = it
                .field
                .replace("spec.containers[0].securityContext", "own");
            format!("{place} {}", it.value)
        });
        found.collect::<Vec<_>>().join(", ")
    };
    let quiet = "own.seccompProfile.type unset, own.runAsNonRoot unset";
    let good = r#""securityContext":{"runAsNonRoot":true,"seccompProfile":{"type":"Localhost"}},"#;
    for (pod, container, expected) in [
        ("", "", quiet),
        (good, "", ""),
        (
            "",
            r#""runAsNonRoot":true,"seccompProfile":{"type":"RuntimeDefault"},"#,
            "",
        ),
        (
            good,
            r#""runAsNonRoot":false,"runAsUser":0,"#,
            "own.runAsNonRoot false, own.runAsUser 0",
        ),
        (good, r#""runAsUser":0.0,"#, "own.runAsUser 0"),
        (good, r#""runAsUser":1,"#, ""),
        (
            good,
            r#""seccompProfile":{"type":"Unconfined"},"#,
            "own.seccompProfile.type Unconfined, own.seccompProfile.type Unconfined",
        ),
        (
            r#""securityContext":{"runAsNonRoot":false,"runAsUser":0,"seccompProfile":{"type":"Localhost"}},"#,
            r#""runAsNonRoot":true,"#,
            "spec.securityContext.runAsNonRoot false, spec.securityContext.runAsUser 0",
        ),
        // In a user namespace root is nobody outside.
        (
            r#""hostUsers":false,"securityContext":{"runAsUser":0},"#,
            r#""procMount":"Unmasked","#,
            "own.procMount Unmasked, own.seccompProfile.type unset",
        ),
        (
            r#""hostUsers":true,"#,
            r#""procMount":"Unmasked","#,
            &*format!("own.procMount Unmasked, own.procMount Unmasked, {quiet}"),
        ),
        (good, r#""procMount":"Default","#, ""),
        (good, r#""privileged":true,"#, "own.privileged true"),
        (good, r#""windowsOptions":{"hostProcess":false},"#, ""),
        (good, r#""appArmorProfile":{"type":"Localhost"},"#, ""),
        (
            good,
            r#""seLinuxOptions":{"type":"spc_t","role":"r","level":"s0"},"#,
            "own.seLinuxOptions.type spc_t, own.seLinuxOptions.role r",
        ),
        (good, r#""seLinuxOptions":{"type":"container_t"},"#, ""),
    ] {
        assert_eq!(violations(pod, container), expected, "{pod} {container}");
    }
}

#[test]
fn what_the_standards_let_a_pod_do() {
    let violations = |path: &str, spec: &str| {
        let annotations = match path {
            "" => String::new(),
            value => format!(
                r#""annotations":{{"container.apparmor.security.beta.kubernetes.io/c":"{value}"}}"#
            ),
        };
        let found = whole(
            PODS,
            &format!(r#"{{"metadata":{{{annotations}}},"spec":{{{spec}}}}}"#),
        );
        let found = found.pod_security.0.iter();
        found
            .map(|it| format!("{} {}", it.field, it.value))
            .collect::<Vec<_>>()
            .join(", ")
    };
    for (annotation, spec, expected) in [
        ("runtime/default", "", ""),
        ("localhost/x", "", ""),
        (
            "unconfined",
            "",
            r#"metadata.annotations["container.apparmor.security.beta.kubernetes.io/c"] unconfined"#,
        ),
        ("", r#""hostPID":false,"hostIPC":null"#, ""),
        (
            "",
            r#""ephemeralContainers":[{"ports":[{"hostPort":0},{"containerPort":1},{"hostPort":1}],
                "securityContext":{"runAsNonRoot":true,"allowPrivilegeEscalation":false,"capabilities":{"drop":["ALL"]},
                "seccompProfile":{"type":"Localhost"}},"livenessProbe":{"tcpSocket":{"host":"h"},"httpGet":{"host":""}},
                "lifecycle":{"preStop":{"httpGet":{"host":"h"}}}}]"#,
            "spec.ephemeralContainers[0].ports[2].hostPort 1, \
             spec.ephemeralContainers[0].livenessProbe.tcpSocket.host h, \
             spec.ephemeralContainers[0].lifecycle.preStop.httpGet.host h",
        ),
        (
            "",
            r#""securityContext":{"sysctls":[{"name":"net.ipv4.tcp_rmem"},{"name":"net.x"}]}"#,
            "spec.securityContext.sysctls[1].name net.x",
        ),
        (
            "",
            r#""volumes":[{"name":"a","emptyDir":{}},{"name":"b","nfs":{}},{"name":"c"},{"name":"d","$patch":"delete"}]"#,
            "spec.volumes[1] nfs, spec.volumes[2] unset, spec.volumes[3] unset",
        ),
    ] {
        assert_eq!(
            violations(annotation, spec),
            expected,
            "{annotation} {spec}"
        );
    }
}
