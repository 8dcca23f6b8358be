//! Tests of facts: pods are found wherever objects hold them, in kinds that are known, in
//! kinds that are not, and in lists.

use super::*;

const PRIVILEGED: &str = r#"{"containers":[{},{"securityContext":{"privileged":true}}]}"#;

/// A pod's spec in every kind that embeds one: path of the request, before, after, field.
const EMBEDDERS: &[(&str, &str, &str, &str)] = &[
    (PODS, r#"{"spec":"#, "}", "spec"),
    (
        "/api/v1/namespaces/f/podtemplates",
        r#"{"template":{"spec":"#,
        "}}",
        "template.spec",
    ),
    (
        "/api/v1/namespaces/f/replicationcontrollers",
        r#"{"spec":{"template":{"spec":"#,
        "}}}",
        "spec.template.spec",
    ),
    (
        "/apis/apps/v1/namespaces/f/deployments",
        r#"{"spec":{"template":{"spec":"#,
        "}}}",
        "spec.template.spec",
    ),
    (
        "/apis/apps/v1beta2/namespaces/f/statefulsets",
        r#"{"spec":{"template":{"spec":"#,
        "}}}",
        "spec.template.spec",
    ),
    (
        "/apis/apps/v1/namespaces/f/replicasets",
        r#"{"spec":{"template":{"spec":"#,
        "}}}",
        "spec.template.spec",
    ),
    (
        "/apis/extensions/v1beta1/namespaces/f/daemonsets",
        r#"{"spec":{"template":{"spec":"#,
        "}}}",
        "spec.template.spec",
    ),
    (
        "/apis/batch/v1/namespaces/f/jobs",
        r#"{"spec":{"template":{"spec":"#,
        "}}}",
        "spec.template.spec",
    ),
    (
        "/apis/batch/v1beta1/namespaces/f/cronjobs",
        r#"{"spec":{"jobTemplate":{"spec":{"template":{"spec":"#,
        "}}}}}",
        "spec.jobTemplate.spec.template.spec",
    ),
    (
        "/apis/argoproj.io/v1alpha1/namespaces/f/rollouts",
        r#"{"spec":{"template":{"spec":"#,
        "}}}",
        "spec.template.spec",
    ),
    (
        "/apis/x.io/v1/namespaces/f/things",
        r#"{"a":[{"b":"#,
        "}]}",
        "a[0].b",
    ),
    // What an old Deployment looked like, to be rolled back to.
    (
        "/apis/apps/v1/namespaces/f/controllerrevisions",
        r#"{"data":{"spec":{"template":{"spec":"#,
        "}}}}",
        "data.spec.template.spec",
    ),
];

#[test]
fn threat_14_what_a_pod_asks_for_is_found_in_every_embedder() {
    let spec = r#"{"hostPID":true,"volumes":[{"name":"v","hostPath":{"path":"/etc"}}],
        "containers":[{"name":"c","image":"i","securityContext":{"privileged":true}}]}"#;
    for (path, before, after, field) in EMBEDDERS {
        let object = format!("{before}{spec}{after}");
        for media in [
            Media::Json,
            Media::MergePatch,
            Media::StrategicPatch,
            Media::ApplyPatch,
        ] {
            let found = body(media, path, &object);
            let place = |inner: &str| format!("{field}.{inner}");
            let privileged = place("containers[0].securityContext.privileged");
            assert_eq!(pairs(&found.privileged), [(&*privileged, "true")], "{path}");
            let host = place("hostPID");
            assert_eq!(pairs(&found.host_namespaces), [(&*host, "true")], "{path}");
            let mounted = place("volumes[0].hostPath");
            assert_eq!(pairs(&found.host_path), [(&*mounted, "/etc")], "{path}");
            assert_eq!(
                controls(found.pod_security.baseline()),
                [
                    Control::HostNamespaces,
                    Control::HostPathVolumes,
                    Control::Privileged
                ],
                "{path}"
            );
            assert_eq!(found.images.len(), 1, "{path}");
        }
        assert_eq!(whole(path, &object), body(Media::Json, path, &object));
    }
}

#[test]
fn threat_14_privilege_needs_no_known_place() {
    for (path, object, expected) in [
        (
            PODS,
            r#"{"spec":{"steps":[{"securityContext":{"privileged":true}}]}}"#,
            "spec.steps[0].securityContext.privileged",
        ),
        (PODS, r#"{"a":{"Privileged":true}}"#, "a.Privileged"),
        (
            "/apis/tekton.dev/v1/namespaces/f/tasks",
            r#"{"spec":{"steps":[{"securityContext":{"privileged":true}}]}}"#,
            "spec.steps[0].securityContext.privileged",
        ),
        (
            "/apis/x.io/v1/namespaces/f/things",
            r#"{"spec":{"containers":[{}],"x":{"privileged":true}}}"#,
            "spec.x.privileged",
        ),
        (
            "/apis/x.io/v1/namespaces/f/things",
            r#"{"spec":{"containers":[{}],"template":{"spec":{"containers":[{"securityContext":{"privileged":true}}]}}}}"#,
            "spec.template.spec.containers[0].securityContext.privileged",
        ),
        (
            "/api/v1/namespaces/f/pods/p/ephemeralcontainers",
            r#"{"ephemeralContainers":[{"securityContext":{"privileged":true}}]}"#,
            "ephemeralContainers[0].securityContext.privileged",
        ),
    ] {
        assert_eq!(
            fields(&whole(path, object).privileged),
            [expected],
            "{object}"
        );
    }
    for object in [
        r#"{"spec":{"containers":[{"securityContext":{"privileged":false}}]}}"#,
        r#"{"metadata":{"labels":{"privileged":"true"}}}"#,
        r#"{"data":{"privileged":"true"}}"#,
        r#"{"spec":{"containers":[{"securityContext":{"privileged":null}}]}}"#,
        r#"{"spec":{"unprivileged":true}}"#,
    ] {
        for path in [PODS, "/apis/x.io/v1/namespaces/f/things"] {
            assert!(whole(path, object).privileged.is_empty(), "{object}");
        }
    }
}

#[test]
fn single_fields_of_unknown_kinds_speak_for_themselves() {
    let found = whole(
        "/apis/argoproj.io/v1alpha1/namespaces/f/workflows",
        r#"{"spec":{"hostNetwork":true,"volumes":[{"hostPath":{"path":"/"}}],
            "templates":[{"container":{"image":"i","securityContext":{"capabilities":{"add":["NET_RAW","KILL"]}}}}]}}"#,
    );
    assert_eq!(fields(&found.host_namespaces), ["spec.hostNetwork"]);
    assert_eq!(pairs(&found.host_path), [("spec.volumes[0].hostPath", "/")]);
    let added = "spec.templates[0].container.securityContext.capabilities.add[0]";
    assert_eq!(pairs(&found.added_capabilities), [(added, "NET_RAW")]);
    assert_eq!(
        controls(found.pod_security.baseline()),
        [
            Control::HostNamespaces,
            Control::HostPathVolumes,
            Control::CapabilitiesBaseline
        ]
    );
    // A directory of a node, of a kind that embeds no pod.
    let volume = whole(
        "/api/v1/persistentvolumes",
        r#"{"spec":{"hostPath":{"path":"/var"}}}"#,
    );
    assert_eq!(pairs(&volume.host_path), [("spec.hostPath", "/var")]);
}

#[test]
fn custom_resources_hold_pods_where_the_configuration_says() {
    let mut embedders = Embedders::default();
    for path in [
        "spec.steps[*]",
        "spec.pod",
        "spec.groups[*].template",
        "spec.map[*]",
    ] {
        embedders.add("x.io", "things", path).unwrap();
    }
    for bad in ["", "spec.", "spec[0]", "[*]", "a.*"] {
        assert!(embedders.add("x.io", "things", bad).is_err(), "{bad}");
    }
    let object = r#"{"spec":{"steps":[{"name":"s","image":"one"}],"pod":{"nodeName":"n","containers":[{"image":"two"}]},
        "groups":[{"template":{"metadata":{"annotations":{"container.apparmor.security.beta.kubernetes.io/c":"unconfined"}},
                               "spec":{"serviceAccountName":"robot"}}}],
        "map":{"k":{"image":"three"}}}}"#;
    let at = |path: &str| {
        of_result(&info("POST", path), &node(object), &Old::Absent, &embedders).unwrap()
    };
    let found = at("/apis/x.io/v1/namespaces/f/things");
    let images: Vec<_> = found
        .images
        .iter()
        .map(|image| (&*image.field, &*image.image))
        .collect();
    assert_eq!(
        images,
        [
            ("spec.steps[0].image", "one"),
            ("spec.pod.containers[0].image", "two"),
            ("spec.map.k.image", "three"),
        ]
    );
    assert_eq!(fields(&found.node_name), ["spec.pod.nodeName"]);
    let accounts: Vec<_> = found
        .service_accounts
        .iter()
        .map(|account| &*account.name)
        .collect();
    assert_eq!(accounts, ["default", "robot"]);
    assert!(found.pod_security.violates(&[Control::AppArmorProfile]));
    // Another resource: only what looks like a pod.
    assert_eq!(at("/apis/x.io/v1/namespaces/f/others").images.len(), 1);
}

#[test]
fn lists_are_judged_item_by_item() {
    let list = format!(
        r#"{{"kind":"List","apiVersion":"v1","items":[
            {{"apiVersion":"apps/v1","kind":"Deployment","spec":{{"template":{{"spec":{PRIVILEGED}}}}}}},
            {{"apiVersion":"v1","kind":"Service","spec":{{"type":"LoadBalancer","externalIPs":["1.2.3.4"]}}}},
            {{"apiVersion":"v1","kind":"Pod","spec":{PRIVILEGED}}}]}}"#
    );
    let found = whole(PODS, &list);
    let inner = "spec.containers[1].securityContext.privileged";
    assert_eq!(
        fields(&found.privileged),
        [
            format!("items[0].spec.template.{inner}"),
            format!("items[2].{inner}")
        ]
    );
    assert_eq!(
        pairs(&found.external_ips),
        [("items[1].spec.externalIPs[0]", "1.2.3.4")]
    );
    assert_eq!(
        pairs(&found.service_types),
        [("items[1].spec.type", "LoadBalancer")]
    );
}

#[test]
fn threat_14_a_list_is_one_by_its_kind_and_its_items() {
    let things = "/apis/x.io/v1/namespaces/f/things";
    for object in [
        r#"{"kind":"Thing","items":[{}],"spec":{"hostPID":true}}"#,
        r#"{"kind":"ThingList","items":[],"spec":{"hostPID":true}}"#,
    ] {
        assert_eq!(
            fields(&whole(things, object).host_namespaces),
            ["spec.hostPID"],
            "{object}"
        );
    }
}
