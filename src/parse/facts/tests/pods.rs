//! Tests of facts: what a pod uses and exposes, and the images it runs.

use super::*;

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
