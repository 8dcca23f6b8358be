//! Tests of facts: what a patch says, what it does not tell, and what it cannot hide.

use super::*;

const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/f/deployments/d";

#[test]
fn a_patch_speaks_only_of_what_it_touches() {
    for (path, patch) in [
        (DEPLOYMENT, r#"{"spec":{"replicas":3}}"#),
        (DEPLOYMENT, r#"{"metadata":{"labels":{"a":"b"}}}"#),
        (
            DEPLOYMENT,
            r#"{"spec":{"template":{"metadata":{"annotations":{"restartedAt":"now"}}}}}"#,
        ),
        (
            "/apis/apps/v1/namespaces/f/deployments/d/scale",
            r#"{"spec":{"replicas":3}}"#,
        ),
    ] {
        let expected = ObjectFacts {
            about: About::Pods,
            ..ObjectFacts::default()
        };
        assert_eq!(
            body(Media::StrategicPatch, path, patch),
            expected,
            "{patch}"
        );
    }
    // kubectl set image: fine for the baseline, cannot be told for the restricted standard.
    let patch = r#"{"spec":{"template":{"spec":{"$setElementOrder/containers":[{"name":"c"}],
        "containers":[{"name":"c","image":"i"}]}}}}"#;
    let found = body(Media::StrategicPatch, DEPLOYMENT, patch);
    assert!(controls(found.pod_security.baseline()).is_empty());
    let untold: Vec<_> = found
        .pod_security
        .restricted()
        .map(|it| &*it.value)
        .collect();
    assert_eq!(untold, ["a patch does not tell"; 5]);
    assert_eq!((found.images.len(), found.service_accounts.len()), (1, 0));
    // What was safe only in a user namespace.
    for patch in [
        r#"{"spec":{"template":{"spec":{"hostUsers":null}}}}"#,
        r#"{"spec":{"template":{"spec":{"hostUsers":true}}}}"#,
        r#"{"spec":{"template":{"spec":{"$patch":"replace","containers":[]}}}}"#,
    ] {
        let found = body(Media::StrategicPatch, DEPLOYMENT, patch);
        assert_eq!(
            controls(found.pod_security.baseline()),
            [Control::ProcMount],
            "{patch}"
        );
    }
    let found = body(Media::MergePatch, POD, r#"{"spec":{"hostUsers":false}}"#);
    assert!(controls(found.pod_security.baseline()).is_empty());
}

#[test]
fn a_patch_is_not_held_to_what_it_does_not_say() {
    for (spec, control) in [
        (
            r#"{"securityContext":{"appArmorProfile":{"localhostProfile":"p"}}}"#,
            Control::AppArmorProfile,
        ),
        (
            r#"{"securityContext":{"seccompProfile":{"localhostProfile":"p"}}}"#,
            Control::SeccompProfileBaseline,
        ),
        (
            r#"{"securityContext":{"sysctls":[{"value":"1"}]}}"#,
            Control::Sysctls,
        ),
        (r#"{"volumes":[{"name":"v"}]}"#, Control::RestrictedVolumes),
    ] {
        let pod = format!(r#"{{"spec":{spec}}}"#);
        assert!(whole(PODS, &pod).pod_security.violates(&[control]), "{pod}");
        let patched = body(Media::StrategicPatch, POD, &pod);
        assert!(!patched.pod_security.violates(&[control]), "{pod}");
    }
    // What it says counts, beside what it does not tell of the rest.
    let said = r#"{"spec":{"os":{"name":"windows"},"containers":[{"name":"c","securityContext":{
        "allowPrivilegeEscalation":true,"runAsNonRoot":false,"runAsUser":0,
        "seccompProfile":{"type":"Unconfined"},"capabilities":{"add":["KILL"]}}}]}}"#;
    let restricted = |found: &ObjectFacts| {
        let found = found.pod_security.restricted();
        let said = found.filter(|it| it.value != "a patch does not tell");
        said.map(|it| it.field.replace("spec.containers[0].securityContext.", ""))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        restricted(&body(Media::StrategicPatch, POD, said)),
        [
            "capabilities.add[0]",
            "allowPrivilegeEscalation",
            "seccompProfile.type",
            "runAsNonRoot",
            "runAsUser"
        ]
    );
    // A pod of Windows is not asked for what Windows does not have.
    assert_eq!(
        restricted(&whole(PODS, said)),
        ["runAsNonRoot", "runAsUser"]
    );
    let quiet = r#"{"spec":{"containers":[{"name":"c"}]}}"#;
    let patched = body(Media::StrategicPatch, POD, quiet);
    assert!(restricted(&patched).is_empty() && patched.images.is_empty());
    let mounts = r#"{"spec":{"automountServiceAccountToken":true}}"#;
    let accounts = body(Media::MergePatch, POD, mounts).service_accounts;
    assert_eq!(
        (&*accounts[0].name, accounts[0].automount),
        ("default", Some(true))
    );
}

#[test]
fn threat_14_json_patches_cannot_hide_it() {
    let found = |path: &str, patch: &str| body(Media::JsonPatch, path, patch);
    for (path, patch, expected) in [
        (
            POD,
            r#"[{"op":"add","path":"/spec/containers/0/securityContext","value":{}},
                {"op":"add","path":"/spec/containers/0/securityContext/privileged","value":true}]"#,
            "/spec/containers/0/securityContext/privileged",
        ),
        (
            POD,
            r#"[{"op":"replace","path":"/spec/containers/3","value":{"securityContext":{"privileged":true}}}]"#,
            "/spec/containers/3",
        ),
        (
            POD,
            r#"[{"op":"add","path":"/spec/containers/-","value":{"securityContext":{"privileged":true}}}]"#,
            "/spec/containers/-",
        ),
        (
            POD,
            r#"[{"op":"replace","path":"/spec/containers/-1","value":{"securityContext":{"privileged":true}}}]"#,
            "/spec/containers/-1",
        ),
        (
            POD,
            r#"[{"op":"replace","path":"","value":{"spec":{"containers":[{"securityContext":{"privileged":true}}]}}}]"#,
            "",
        ),
        (
            "/apis/x.io/v1/namespaces/f/things/t",
            r#"[{"op":"add","path":"/a/privileged","value":true}]"#,
            "/a/privileged",
        ),
    ] {
        assert_eq!(
            fields(&found(path, patch).privileged),
            [expected],
            "{patch}"
        );
    }
    for (patch, control) in [
        (
            r#"[{"op":"add","path":"/spec/template/spec/hostNetwork","value":true}]"#,
            Control::HostNamespaces,
        ),
        (
            r#"[{"op":"add","path":"/spec/template/spec/volumes/-","value":{"name":"x","hostPath":{"path":"/"}}}]"#,
            Control::HostPathVolumes,
        ),
        (
            r#"[{"op":"add","path":"/spec/template/spec/volumes/0/hostPath/path","value":"/"}]"#,
            Control::HostPathVolumes,
        ),
        (
            r#"[{"op":"add","path":"/spec/template/spec/containers/0/securityContext/capabilities/add/-","value":"SYS_ADMIN"}]"#,
            Control::CapabilitiesBaseline,
        ),
        (
            r#"[{"op":"replace","path":"/spec/template/spec/securityContext/seccompProfile/type","value":"Unconfined"}]"#,
            Control::SeccompProfileBaseline,
        ),
        (
            r#"[{"op":"add","path":"/spec/template/metadata/annotations/container.apparmor.security.beta.kubernetes.io~1c","value":"unconfined"}]"#,
            Control::AppArmorProfile,
        ),
        (
            r#"[{"op":"remove","path":"/spec/template/spec/hostUsers"}]"#,
            Control::ProcMount,
        ),
        (
            r#"[{"op":"move","from":"/spec/template/spec/hostUsers","path":"/metadata/labels/a"}]"#,
            Control::ProcMount,
        ),
    ] {
        let found = found(DEPLOYMENT, patch);
        assert_eq!(
            controls(found.pod_security.baseline()),
            [control],
            "{patch}"
        );
    }
}

#[test]
fn threat_14_what_a_json_patch_moves_cannot_be_told() {
    let deep = format!(
        r#"[{{"op":"add","path":"{}","value":1}}]"#,
        "/a".repeat(101)
    );
    for (path, patch, unclear) in [
        (
            DEPLOYMENT,
            r#"[{"op":"copy","from":"/spec/x","path":"/spec/template/spec/hostPID"}]"#,
            true,
        ),
        (
            DEPLOYMENT,
            r#"[{"op":"copy","from":"/metadata/annotations/a","path":"/metadata/annotations/b"}]"#,
            true,
        ),
        (
            "/apis/x.io/v1/namespaces/f/things/t",
            r#"[{"op":"move","from":"/spec/a","path":"/spec/b"}]"#,
            true,
        ),
        (
            SERVICES,
            r#"[{"op":"move","from":"/spec/a","path":"/spec/externalIPs"}]"#,
            true,
        ),
        (
            NAMESPACE,
            r#"[{"op":"copy","from":"/metadata/labels/a","path":"/metadata/labels/b"}]"#,
            true,
        ),
        (POD, &deep, true),
        (POD, &deep.replacen("/a", "", 1), false),
        (
            POD,
            r#"[{"op":"copy","from":"/spec/nodeName","path":"/metadata/labels/n"}]"#,
            false,
        ),
        (
            "/api/v1/namespaces/f/configmaps/c",
            r#"[{"op":"move","from":"/data/a","path":"/data/b"}]"#,
            false,
        ),
        (
            POD,
            r#"[{"op":"test","path":"/spec/hostPID","value":true}]"#,
            false,
        ),
        (
            POD,
            r#"[{"op":"add","path":"/x/privileged","value":false}]"#,
            false,
        ),
        (POD, r#"[{"op":"remove","path":"/x/privileged"}]"#, false),
    ] {
        let found = body(Media::JsonPatch, path, patch);
        assert_eq!(!found.unclear.is_empty(), unclear, "{patch}");
        assert!(found.privileged.is_empty(), "{patch}");
        assert_eq!(found.is_unclear(found.about), unclear);
    }
}
