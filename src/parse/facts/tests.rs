//! What objects and patches mean, case by case. The Pod Security Standards are held against
//! Kubernetes' own code in `tests/it/pod_security.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use http::Method;

use super::*;
use crate::parse::{json, path};

fn info(method: &str, path: &str) -> RequestInfo {
    path::parse(&method.parse::<Method>().unwrap(), path).unwrap()
}

fn node(text: &str) -> Node {
    json::parse(text.as_bytes()).unwrap_or_else(|refusal| panic!("{text}: {refusal:?}"))
}

fn whole(path: &str, object: &str) -> ObjectFacts {
    of_result(
        &info("POST", path),
        &node(object),
        &Old::Absent,
        &Embedders::default(),
    )
    .unwrap()
}

fn body(media: Media, path: &str, text: &str) -> ObjectFacts {
    let method = if media == Media::Json {
        "POST"
    } else {
        "PATCH"
    };
    let embedders = Embedders::default();
    of_body(&info(method, path), &media, &node(text), &embedders).unwrap()
}

fn pairs(findings: &[Finding]) -> Vec<(&str, &str)> {
    findings
        .iter()
        .map(|found| (&*found.field, &*found.value))
        .collect()
}

fn fields(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|found| &*found.field).collect()
}

fn controls<'a>(violations: impl Iterator<Item = &'a Violation>) -> Vec<Control> {
    violations.map(|found| found.control).collect()
}

const PODS: &str = "/api/v1/namespaces/f/pods";
const POD: &str = "/api/v1/namespaces/f/pods/p";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/f/deployments/d";
const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
const BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
const SERVICES: &str = "/api/v1/namespaces/f/services";
const NAMESPACE: &str = "/api/v1/namespaces/f";

#[test]
fn what_the_path_alone_says() {
    for (method, path, expected) in [
        ("GET", "/api/v1/secrets", "secrets"),
        ("DELETE", "/api/v1/namespaces/f/secrets/s", "secrets"),
        ("GET", "/apis/x.io/v1/secrets", ""),
        ("GET", "/api/v1/namespaces/secrets/pods", ""),
        ("GET", POD, ""),
        ("GET", "/api/v1/namespaces/f/pods/p/exec", "execLike"),
        ("POST", "/api/v1/namespaces/f/pods/p/attach", "execLike"),
        (
            "POST",
            "/api/v1/namespaces/f/pods/p/portforward",
            "execLike",
        ),
        ("GET", "/api/v1/namespaces/f/pods/p/proxy", "execLike"),
        ("GET", "/api/v1/nodes/n/proxy/x", "execLike"),
        ("GET", "/api/v1/namespaces/f/services/s/proxy/x", "execLike"),
        (
            "PATCH",
            "/api/v1/namespaces/f/pods/p/ephemeralcontainers",
            "execLike",
        ),
        ("GET", "/api/v1/namespaces/f/pods/p/ephemeralcontainers", ""),
        ("GET", "/api/v1/namespaces/f/pods/p/log", ""),
        (
            "POST",
            "/api/v1/namespaces/f/serviceaccounts/s/token",
            "mintsToken",
        ),
        ("POST", "/api/v1/namespaces/f/serviceaccounts", ""),
        ("DELETE", PODS, "deletesCollection"),
        ("DELETE", POD, ""),
        ("DELETE", NAMESPACE, "deletesNamespace"),
    ] {
        let facts = serde_json::to_value(of_request(&info(method, path), Vec::new())).unwrap();
        let given: Vec<_> = facts
            .as_object()
            .unwrap()
            .iter()
            .filter(|(_, v)| **v == true)
            .collect();
        let given: Vec<&str> = given.into_iter().map(|(name, _)| &**name).collect();
        let expected: Vec<&str> = expected.split_terminator(' ').collect();
        assert_eq!(given, expected, "{method} {path}");
    }
    // Every namespace there is.
    let all = of_request(&info("DELETE", "/api/v1/namespaces"), Vec::new());
    assert!(all.deletes_namespace && all.deletes_collection);
}

#[test]
fn the_names_of_facts_are_stable() {
    let json = serde_json::to_value(Facts::default()).unwrap();
    let names: Vec<&str> = json
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let expected = "secrets execLike execCommand mintsToken deletesCollection deletedObjects deletesNamespace \
        unclear privileged hostNamespaces hostUsers hostPath hostPorts addedCapabilities \
        runAsRoot podSecurity images commands nodeName serviceAccounts serviceAccountGrants serviceAccountGrantsKnown projectedTokens \
        secretsExposed configMapsExposed tolerations priorityClasses rbac serviceTypes \
        externalIPs externalNames podSecurityLabels secretTypes apiServerCalls";
    assert_eq!(names.join(" "), expected);
    assert_eq!(
        json["podSecurity"],
        serde_json::json!({"baseline": [], "restricted": []})
    );
}

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
fn a_pod_is_told_whole() {
    let found = whole(
        PODS,
        r#"{"spec":{"nodeName":"n1","serviceAccount":"robot","automountServiceAccountToken":false,
            "hostUsers":false,"priorityClassName":"system-node-critical",
            "tolerations":[{"operator":"Exists"},{"key":"gpu","operator":"Exists"}],
            "imagePullSecrets":[{"name":"pull"}],
            "securityContext":{"runAsUser":0},
            "initContainers":[{"name":"i","image":"reg.example.com:5000/a/b@sha256:ab","args":["--password=x"]}],
            "containers":[{"name":"c","image":"nginx","command":["sh","-c","id"],
              "ports":[{"containerPort":1,"hostPort":8080}],
              "env":[{"name":"A","valueFrom":{"secretKeyRef":{"name":"s1","key":"k"}}},
                     {"name":"B","valueFrom":{"configMapKeyRef":{"name":"c1","key":"k"}}},{"name":"C","value":"x"}],
              "envFrom":[{"secretRef":{"name":"s2"}},{"configMapRef":{"name":"c2"}}],
              "securityContext":{"runAsNonRoot":false,"capabilities":{"add":["KILL"]}}}],
            "volumes":[{"name":"a","secret":{"secretName":"s3"}},{"name":"b","configMap":{"name":"c3"}},
              {"name":"c","projected":{"sources":[{"secret":{"name":"s4"}},{"configMap":{"name":"c4"}},
                 {"serviceAccountToken":{"audience":"vault","path":"t"}},{"podCertificate":{"signerName":"x/y"}}]}},
              {"name":"d","csi":{"driver":"d","nodePublishSecretRef":{"name":"s5"}}},
              {"name":"e","azureFile":{"secretName":"s6","shareName":"x"}},
              {"name":"f","image":{"reference":"quay.io/x/y:1"}}]}}"#,
    );
    let names = |findings: &[Finding]| {
        let mut names: Vec<_> = findings.iter().map(|found| found.value.clone()).collect();
        names.sort();
        names.join(" ")
    };
    assert_eq!(names(&found.secrets_exposed), "pull s1 s2 s3 s4 s5 s6");
    assert_eq!(names(&found.config_maps_exposed), "c1 c2 c3 c4");
    assert_eq!(names(&found.projected_tokens), "vault x/y");
    assert_eq!(names(&found.tolerations), "* gpu");
    assert_eq!(names(&found.priority_classes), "system-node-critical");
    assert_eq!(pairs(&found.node_name), [("spec.nodeName", "n1")]);
    assert_eq!(pairs(&found.host_users), [("spec.hostUsers", "false")]);
    assert_eq!(
        pairs(&found.commands),
        [
            ("spec.initContainers[0].args", ""),
            ("spec.containers[0].command", "sh")
        ]
    );
    assert_eq!(
        pairs(&found.run_as_root),
        [
            ("spec.securityContext.runAsUser", "0"),
            ("spec.containers[0].securityContext.runAsNonRoot", "false"),
        ]
    );
    let added = "spec.containers[0].securityContext.capabilities.add[0]";
    assert_eq!(pairs(&found.added_capabilities), [(added, "KILL")]);
    assert_eq!(
        pairs(&found.host_ports),
        [("spec.containers[0].ports[0].hostPort", "8080")]
    );
    let account = &found.service_accounts[0];
    assert_eq!(
        (&*account.field, &*account.name, account.automount),
        ("spec.serviceAccount", "robot", Some(false))
    );
    let images: Vec<_> = found
        .images
        .iter()
        .map(|i| [&*i.container, &i.registry, &i.repository, &i.tag, &i.digest].join("|"))
        .collect();
    assert_eq!(
        images,
        [
            "i|reg.example.com:5000|a/b||sha256:ab",
            "c|docker.io|library/nginx|latest|",
            "|quay.io|x/y|1|"
        ]
    );
    // Arguments are nobody's business.
    assert!(!serde_json::to_string(&found).unwrap().contains("password"));
    assert_eq!(
        whole(PODS, r#"{"spec":{}}"#).service_accounts[0].name,
        "default"
    );
}

#[test]
fn images_are_named_as_container_runtimes_read_them() {
    for (image, expected) in [
        ("nginx", "docker.io library/nginx latest "),
        ("nginx:1.2", "docker.io library/nginx 1.2 "),
        ("docker.io/nginx", "docker.io library/nginx latest "),
        ("index.docker.io/a/b", "docker.io a/b latest "),
        ("a/b", "docker.io a/b latest "),
        ("quay.io/x:1", "quay.io x 1 "),
        ("r:5000/x", "r:5000 x latest "),
        ("localhost/x", "localhost x latest "),
        ("Reg/x", "Reg x latest "),
        ("a/b:5/c", "docker.io a/b:5/c latest "),
        ("x@sha256:ab", "docker.io library/x  sha256:ab"),
        ("x:1@sha256:ab", "docker.io library/x 1 sha256:ab"),
    ] {
        let Image {
            registry,
            repository,
            tag,
            digest,
            ..
        } = Image::of(String::new(), "", image);
        assert_eq!(
            format!("{registry} {repository} {tag} {digest}"),
            expected,
            "{image}"
        );
    }
}

#[test]
fn people_are_shown_only_what_there_is() {
    let shown = |change: fn(&mut Facts)| {
        let mut facts = Facts::default();
        change(&mut facts);
        serde_json::Value::Object(facts.shown())
    };
    let one = || Finding {
        field: "f".to_owned(),
        value: "v".to_owned(),
    };
    let (found, none) = (
        serde_json::json!({"field": "f", "value": "v"}),
        Vec::<Finding>::new(),
    );
    for (shown, expected) in [
        (shown(|_| {}), serde_json::json!({})),
        (
            shown(|it| it.secrets = true),
            serde_json::json!({"secrets": true}),
        ),
        (
            shown(|it| it.deleted_objects = 1),
            serde_json::json!({"deletedObjects": 1}),
        ),
        (
            shown(|it| it.exec_command.push("sh".to_owned())),
            serde_json::json!({"execCommand": ["sh"]}),
        ),
    ] {
        assert_eq!(shown, expected);
    }
    let mut facts = Facts::default();
    facts.object.rbac.grants.push(one());
    let rbac =
        serde_json::json!({"grants": [found], "escalation": none, "roles": none, "subjects": none});
    assert_eq!(
        serde_json::Value::Object(facts.shown()),
        serde_json::json!({"rbac": rbac})
    );
}

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

#[test]
fn what_is_null_is_not_there() {
    let found = whole(
        PODS,
        r#"{"spec":{"containers":[{"name":"c","image":"i","env":[{"name":"E","valueFrom":null}]}],"volumes":[
            {"name":"a","secret":null,"emptyDir":{}},{"name":"b","configMap":null,"emptyDir":{}},
            {"name":"c","image":{"pullPolicy":"Always"}},{"name":"d","cephfs":{"secretRef":{"name":"s"}}}]}}"#,
    );
    assert_eq!(
        pairs(&found.secrets_exposed),
        [("spec.volumes[3].cephfs.secretRef", "s")]
    );
    assert!(found.config_maps_exposed.is_empty() && found.images.len() == 1);
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

#[test]
fn roles_say_what_they_grant() {
    let rule = |verbs: &str, groups: &str, resources: &str| {
        let list = |words: &str| {
            let words: Vec<String> = words
                .split(' ')
                .map(|w| format!("{:?}", w.trim_matches('_')))
                .collect();
            words.join(",")
        };
        let rule = format!(
            r#"{{"rules":[{{"verbs":[{}],"apiGroups":[{}],"resources":[{}]}}]}}"#,
            list(verbs),
            list(groups),
            list(resources)
        );
        let found = whole(ROLES, &rule).rbac;
        let values = |findings: &[Finding]| {
            let values: Vec<_> = findings.iter().map(|found| found.value.clone()).collect();
            values.join(" ")
        };
        (values(&found.grants), values(&found.escalation))
    };
    // `_` is the core group.
    for (verbs, groups, resources, grants, escalation) in [
        ("get list", "_", "pods", "", ""),
        ("get", "_", "secrets", "secrets", ""),
        ("get", "x.io", "secrets", "", ""),
        ("delete", "_", "secrets", "", ""),
        (
            "escalate",
            "rbac.authorization.k8s.io",
            "roles",
            "escalate",
            "escalate",
        ),
        ("bind", "_", "pods", "bind", "bind"),
        ("impersonate", "_", "users", "impersonate", "impersonate"),
        (
            "impersonate:user-info",
            "authentication.k8s.io",
            "users",
            "impersonate",
            "impersonate",
        ),
        (
            "impersonate-on:user-info:list",
            "_",
            "pods",
            "impersonate",
            "impersonate",
        ),
        ("create", "_", "pods/exec", "exec", ""),
        ("get", "_", "*/attach", "exec", ""),
        ("patch", "_", "pods/ephemeralcontainers", "exec", ""),
        ("get", "_", "nodes/proxy", "nodesProxy", "nodesProxy"),
        ("patch", "_", "nodes/proxy", "nodesProxy", "nodesProxy"),
        ("delete", "_", "nodes/proxy", "nodesProxy", "nodesProxy"),
        ("*", "_", "users", "impersonate wildcard", "impersonate"),
        ("*", "_", "groups", "impersonate wildcard", "impersonate"),
        (
            "*",
            "authentication.k8s.io",
            "uids",
            "impersonate wildcard",
            "impersonate",
        ),
        (
            "*",
            "authentication.k8s.io",
            "userextras/scopes",
            "impersonate wildcard",
            "impersonate",
        ),
        ("*", "authentication.k8s.io", "tokenreviews", "wildcard", ""),
        ("*", "_", "userextras/scopes", "wildcard", ""),
        (
            "approve",
            "certificates.k8s.io",
            "signers",
            "certificates",
            "certificates",
        ),
        ("binding", "_", "pods", "", ""),
        ("create", "_", "serviceaccounts/token", "tokens", "tokens"),
        (
            "sign",
            "certificates.k8s.io",
            "signers",
            "certificates",
            "certificates",
        ),
        (
            "update",
            "certificates.k8s.io",
            "certificatesigningrequests/approval",
            "certificates",
            "certificates",
        ),
        ("*", "apps", "deployments", "wildcard", ""),
        ("*", "_", "secrets", "wildcard secrets", ""),
        (
            "*",
            "rbac.authorization.k8s.io",
            "clusterroles",
            "escalate bind wildcard",
            "escalate bind",
        ),
        (
            "*",
            "*",
            "*",
            "escalate bind impersonate wildcard secrets exec exec nodesProxy tokens certificates",
            "escalate bind impersonate nodesProxy tokens certificates",
        ),
    ] {
        let expected = (grants.to_owned(), escalation.to_owned());
        assert_eq!(
            rule(verbs, groups, resources),
            expected,
            "{verbs} {groups} {resources}"
        );
    }
    let aggregated = whole(
        ROLES,
        r#"{"metadata":{"labels":{"rbac.authorization.k8s.io/aggregate-to-view":"true"}},"aggregationRule":{},
            "rules":[{"nonResourceURLs":["*"],"verbs":["get"]}]}"#,
    );
    assert_eq!(
        pairs(&aggregated.rbac.grants),
        [
            ("rules[0]", "wildcard"),
            ("aggregationRule", "aggregated"),
            (
                r#"metadata.labels["rbac.authorization.k8s.io/aggregate-to-view"]"#,
                "aggregated"
            ),
        ]
    );
    assert_eq!(aggregated.rbac.escalation.len(), 2);
}

#[test]
fn a_patched_role_may_grant_what_it_does_not_say() {
    let role = "/apis/rbac.authorization.k8s.io/v1/clusterroles/r";
    for (patch, expected) in [
        (
            r#"[{"op":"add","path":"/rules/0/verbs/-","value":"*"}]"#,
            "escalate",
        ),
        (
            r#"[{"op":"add","path":"/rules/0/verbs/-","value":"bind"}]"#,
            "bind",
        ),
        (
            r#"[{"op":"add","path":"/rules/0/resources/-","value":"nodes/proxy"}]"#,
            "nodesProxy",
        ),
        (
            r#"[{"op":"replace","path":"/rules","value":[{"verbs":["impersonate"]}]}]"#,
            "impersonate",
        ),
    ] {
        let found = body(Media::JsonPatch, role, patch);
        assert!(
            found.rbac.escalation.iter().any(|it| it.value == expected),
            "{patch}"
        );
    }
    let merged = body(
        Media::MergePatch,
        role,
        r#"{"metadata":{"labels":{"a":"b"}}}"#,
    );
    assert!(merged.rbac.grants.is_empty());
}

#[test]
fn bindings_say_who_gets_what() {
    let found = whole(
        BINDINGS,
        r#"{"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"cluster-admin"},
            "subjects":[{"kind":"User","name":"eve"},{"kind":"Group","name":"system:authenticated"},
                        {"kind":"ServiceAccount","name":"robot","namespace":"f"},{"kind":"Group","name":"system:serviceaccounts:f"},
                        {"kind":"Group","name":"system:serviceaccounts"},{"kind":"Group","name":"system:serviceaccountsx"}]}"#,
    );
    assert_eq!(
        pairs(&found.rbac.roles),
        [("roleRef", "ClusterRole/cluster-admin")]
    );
    let robot = &found.rbac.subjects[2];
    assert_eq!(
        (&*robot.field, &*robot.kind, &*robot.namespace, &*robot.name),
        ("subjects[2]", "ServiceAccount", "f", "robot")
    );
    assert_eq!(
        pairs(&found.rbac.escalation),
        [
            ("roleRef", "role"),
            ("subjects[1]", "everyone"),
            ("subjects[3]", "everyone"),
            ("subjects[4]", "everyone")
        ]
    );
    let patch = r#"[{"op":"add","path":"/subjects/-","value":{"kind":"Group","name":"system:unauthenticated"}}]"#;
    let found = body(Media::JsonPatch, BINDINGS, patch);
    assert_eq!(pairs(&found.rbac.escalation), [("/subjects/-", "everyone")]);
}

#[test]
fn services_say_what_they_take_over() {
    let found = whole(
        SERVICES,
        r#"{"spec":{"type":"ExternalName","externalName":"evil.example.com","externalIPs":["10.0.0.1","10.0.0.2"]}}"#,
    );
    assert_eq!(pairs(&found.service_types), [("spec.type", "ExternalName")]);
    assert_eq!(
        pairs(&found.external_names),
        [("spec.externalName", "evil.example.com")]
    );
    assert_eq!(
        pairs(&found.external_ips)[1],
        ("spec.externalIPs[1]", "10.0.0.2")
    );
    let status = format!("{SERVICES}/s/status");
    let patch = r#"{"status":{"loadBalancer":{"ingress":[{"ip":"8.8.8.8"}]}}}"#;
    let found = body(Media::MergePatch, &status, patch);
    assert_eq!(
        pairs(&found.external_ips),
        [("status.loadBalancer.ingress[0].ip", "8.8.8.8")]
    );
    let patch = r#"[{"op":"add","path":"/spec/externalIPs/-","value":"8.8.8.8"}]"#;
    let found = body(Media::JsonPatch, &format!("{SERVICES}/s"), patch);
    assert_eq!(
        pairs(&found.external_ips),
        [("/spec/externalIPs/-", "8.8.8.8")]
    );
}

#[test]
fn namespaces_cannot_lose_their_labels_unseen() {
    let enforce = |level: &str| {
        format!(
            r#"{{"metadata":{{"labels":{{"a":"b","pod-security.kubernetes.io/enforce":"{level}"}}}}}}"#
        )
    };
    let key = r#"metadata.labels["pod-security.kubernetes.io/enforce"]"#;
    let bare = r#"{"metadata":{"labels":{"a":"b"}}}"#;
    let put = |new: &str, old: Option<&str>| {
        let old = old.map_or(Old::Unknown, |old| Old::Known(node(old).into()));
        let info = info("PUT", NAMESPACE);
        let found = of_result(&info, &node(new), &old, &Embedders::default()).unwrap();
        let labels = found.pod_security_labels.into_iter();
        labels.map(|it| (it.field, it.value)).collect::<Vec<_>>()
    };
    let one = |field: &str, value: &str| vec![(field.to_owned(), value.to_owned())];
    let (privileged, baseline) = (enforce("privileged"), enforce("baseline"));
    assert_eq!(put(&privileged, Some(&baseline)), one(key, "privileged"));
    assert_eq!(put(&baseline, Some(&baseline)), []);
    assert_eq!(put(bare, Some(&baseline)), one(key, ""));
    assert_eq!(put(r#"{"metadata":{}}"#, Some(bare)), []);
    assert_eq!(put(bare, None), one("metadata.labels", ""));
    // An apply that creates takes nothing away.
    let applied = of_result(
        &info("PATCH", NAMESPACE),
        &node(bare),
        &Old::Absent,
        &Embedders::default(),
    );
    assert!(applied.unwrap().pod_security_labels.is_empty());
    let created = whole("/api/v1/namespaces", &privileged);
    assert_eq!(pairs(&created.pod_security_labels), [(key, "privileged")]);
    assert!(
        whole("/api/v1/namespaces", bare)
            .pod_security_labels
            .is_empty()
    );
    for (media, patch, touched) in [
        (
            Media::MergePatch,
            r#"{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":null}}}"#,
            true,
        ),
        (Media::MergePatch, r#"{"metadata":{"labels":null}}"#, true),
        (Media::MergePatch, r#"{"metadata":null}"#, true),
        (
            Media::StrategicPatch,
            r#"{"metadata":{"$patch":"replace"}}"#,
            true,
        ),
        (Media::MergePatch, bare, false),
        (
            Media::StrategicPatch,
            r#"{"metadata":{"labels":{"$patch":"replace"}}}"#,
            true,
        ),
        (
            Media::ApplyPatch,
            r#"{"kind":"Namespace","apiVersion":"v1"}"#,
            true,
        ),
        (
            Media::JsonPatch,
            r#"[{"op":"remove","path":"/metadata/labels/pod-security.kubernetes.io~1enforce"}]"#,
            true,
        ),
        (
            Media::JsonPatch,
            r#"[{"op":"remove","path":"/metadata/labels"}]"#,
            true,
        ),
        (
            Media::JsonPatch,
            r#"[{"op":"add","path":"/metadata/labels/a","value":"b"}]"#,
            false,
        ),
    ] {
        let found = body(media, NAMESPACE, patch);
        assert_eq!(!found.pod_security_labels.is_empty(), touched, "{patch}");
    }
}

#[test]
fn what_the_cluster_adds_to_a_pod_its_changes_do_not_ask_for() {
    let pod = node(
        r#"{"spec":{"nodeName":"n","containers":[{}],"volumes":[
            {"name":"kube-api-access-x7","projected":{"sources":[
                {"serviceAccountToken":{"path":"token"}},{"configMap":{"name":"kube-root-ca.crt"}},
                {"configMap":{"name":"kube-root-ca.crt"},"secret":{"name":"s"}}]}},
            {"name":"c","configMap":{"name":"kube-root-ca.crt"}}]}}"#,
    );
    let found = |method: &str, path: &str, old: Old| {
        let embedders = Embedders::default();
        let found = of_result(&info(method, path), &pod, &old, &embedders).unwrap();
        assert_eq!(found.secrets_exposed.len(), 1);
        let volume = "spec.volumes[0].projected.sources[2].configMap";
        assert_eq!(fields(&found.config_maps_exposed)[0], volume);
        assert_eq!(found.config_maps_exposed.len(), 2);
        (found.node_name.len(), found.projected_tokens.len())
    };
    let known = || Old::Known(pod.clone().into());
    assert_eq!(found("PATCH", POD, known()), (0, 0));
    assert_eq!(found("PATCH", POD, Old::Unknown), (1, 1));
    assert_eq!(found("PATCH", POD, Old::Absent), (1, 1));
    assert_eq!(found("POST", PODS, Old::Unknown), (1, 1));
    // A custom resource may do with its pods whatever it wants.
    let things = "/apis/x.io/v1/namespaces/f/pods/p";
    assert_eq!(found("PATCH", things, known()), (1, 1));
}

#[test]
fn secrets_that_become_tokens_are_known() {
    for (kind, token) in [
        ("kubernetes.io/service-account-token", true),
        ("bootstrap.kubernetes.io/token", true),
        ("Opaque", false),
    ] {
        let object = whole(
            "/api/v1/namespaces/f/secrets",
            &format!(r#"{{"type":"{kind}"}}"#),
        );
        assert_eq!(pairs(&object.secret_types), [("type", kind)]);
        let mut facts = Facts::default();
        facts.set_object(&info("POST", "/api/v1/namespaces/f/secrets"), object);
        assert_eq!(facts.mints_token, token, "{kind}");
    }
}

#[test]
fn what_the_api_server_will_call_is_known() {
    for (path, object, expected) in [
        (
            "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
            r#"{"webhooks":[{},{"clientConfig":{"url":"https://evil.example.com/x?token=y"}}]}"#,
            ("webhooks[1].clientConfig.url", "https://evil.example.com/x"),
        ),
        (
            "/apis/apiregistration.k8s.io/v1/apiservices",
            r#"{"spec":{"service":{"namespace":"f","name":"s"},"group":"x.io"}}"#,
            ("spec.service", "f/s"),
        ),
        (
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            r#"{"spec":{"conversion":{"strategy":"Webhook","webhook":{"clientConfig":{"service":{"namespace":"f","name":"s"}}}}}}"#,
            ("spec.conversion.webhook.clientConfig.service", "f/s"),
        ),
        (
            "/apis/apiextensions.k8s.io/v1beta1/customresourcedefinitions",
            r#"{"spec":{"conversion":{"webhookClientConfig":{"url":"https://x"}}}}"#,
            ("spec.conversion.webhookClientConfig.url", "https://x"),
        ),
    ] {
        assert_eq!(
            pairs(&whole(path, object).api_server_calls),
            [expected],
            "{path}"
        );
    }
}

#[test]
fn what_is_too_much_is_refused_and_never_cut() {
    let containers = vec![r#"{"securityContext":{"privileged":true}}"#; 3000].join(",");
    let object = node(&format!(r#"{{"spec":{{"containers":[{containers}]}}}}"#));
    let long = "k".repeat(5000);
    let nested = node(&format!(
        r#"{{"{long}":{{"a":{{"b":[{{"containers":[{{}}]}}]}}}}}}"#
    ));
    let operation = r#"{"op":"add","path":"/spec/hostPID","value":true}"#;
    let patch = node(&format!("[{}]", vec![operation; 10_000].join(",")));
    let embedders = Embedders::default();
    let things = info("POST", "/apis/x.io/v1/namespaces/f/things");
    for refused in [
        of_result(&info("POST", PODS), &object, &Old::Absent, &embedders),
        of_result(&things, &nested, &Old::Absent, &embedders),
        of_result(&info("POST", PODS), &nested, &Old::Absent, &embedders),
        of_body(&info("PATCH", POD), &Media::JsonPatch, &patch, &embedders),
    ] {
        assert!(matches!(refused, Err(Refusal::NotUnderstood { .. })));
    }
    let some = vec![r#"{"securityContext":{"privileged":true}}"#; 100].join(",");
    let found = whole(PODS, &format!(r#"{{"spec":{{"containers":[{some}]}}}}"#));
    assert_eq!((found.privileged.len(), found.images.len()), (100, 100));
}

#[test]
fn as_much_is_judged_at_once_as_an_object_may_need() {
    let list = |count: usize, item: &str| vec![item; count].join(",");
    let pod = |field: &str, items: String| (PODS, format!(r#"{{"spec":{{"{field}":[{items}]}}}}"#));
    let images = |count| {
        pod(
            "containers",
            list(count, r#"{"image":"registry.example.com/a/b:1"}"#),
        )
    };
    let secrets = |count| pod("imagePullSecrets", list(count, r#"{"name":"a-secret"}"#));
    let taints = |count| pod("tolerations", list(count, r#"{"key":"a-taint"}"#));
    let subjects = |count| {
        let subject = r#"{"kind":"ServiceAccount","name":"robot","namespace":"a-namespace"}"#;
        (
            BINDINGS,
            format!(r#"{{"subjects":[{}]}}"#, list(count, subject)),
        )
    };
    let judged = |(path, object): (&str, String)| {
        let embedders = Embedders::default();
        of_result(
            &info("POST", path),
            &node(&object),
            &Old::Absent,
            &embedders,
        )
        .is_ok()
    };
    for (few, many) in [
        (images(400), images(600)),
        (secrets(5000), secrets(6000)),
        (taints(5000), taints(6000)),
        (subjects(4000), subjects(5000)),
    ] {
        assert!(judged(few) && !judged(many));
    }
}

#[test]
fn options_of_a_deletion_are_no_object() {
    let facts = of_body(
        &info("DELETE", POD),
        &Media::Json,
        &node(r#"{"spec":{"hostPID":true}}"#),
        &Embedders::default(),
    );
    assert_eq!(facts.unwrap(), ObjectFacts::default());
}
