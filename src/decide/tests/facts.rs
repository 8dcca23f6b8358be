//! What rules call a fact: which requests show each of them, and which leave it open.

use std::collections::BTreeSet;

use super::super::policy::Fact;
use super::*;

/// All that there are.
fn all() -> Vec<Fact> {
    let schema = serde_json::to_value(schemars::schema_for!(Fact)).unwrap();
    let kinds = schema["oneOf"].as_array().unwrap().iter();
    let fact = |kind: &serde_json::Value| serde_json::from_value(kind["const"].clone()).unwrap();
    kinds.map(fact).collect()
}

fn names(holds: impl Fn(Fact) -> bool) -> Vec<String> {
    let facts = all().into_iter().filter(|fact| holds(*fact));
    let mut names: Vec<_> = facts.map(Fact::name).collect();
    names.sort();
    names
}

fn words(line: &str) -> Vec<&str> {
    let mut words: Vec<_> = line.split_whitespace().collect();
    words.sort_unstable();
    words
}

/// A pod with nothing to say against it; `spec` and `container` are added to it, and `context`
/// to what confines the container.
fn pod(spec: &str, container: &str, context: &str) -> String {
    format!(
        r#"{{"spec":{{{spec}"containers":[{{"name":"c","image":"i@sha256:ab",{container}
            "securityContext":{{{context}"runAsNonRoot":true,"capabilities":{{"drop":["ALL"]}},
            "seccompProfile":{{"type":"RuntimeDefault"}}}}}}]}}}}"#
    )
}

const PODS: &str = "POST /api/v1/namespaces/a/pods";
const SERVICES: &str = "POST /api/v1/namespaces/a/services";
const ROLES: &str = "POST /apis/rbac.authorization.k8s.io/v1/namespaces/a/roles";
const CONFINED: &str = r#""allowPrivilegeEscalation":false,"#;

/// Requests, and the facts that each shows.
fn table() -> Vec<(&'static str, String, &'static str)> {
    let spec = |text: &str| pod(text, "", CONFINED);
    let container = |text: &str| pod("", text, CONFINED);
    let context = |text: &str| pod("", "", &format!("{CONFINED}{text}"));
    let rules = |verb: &str, resource: &str| {
        format!(
            r#"{{"rules":[{{"verbs":["{verb}"],"apiGroups":[""],"resources":["{resource}"]}}]}}"#
        )
    };
    let service = |text: &str| format!(r#"{{"spec":{{{text}}}}}"#);
    vec![
        (PODS, spec(""), ""),
        ("GET /api/v1/secrets", String::new(), "secrets"),
        (
            "GET /api/v1/namespaces/a/pods/p/exec?command=id",
            String::new(),
            "execLike",
        ),
        (
            "POST /api/v1/namespaces/a/serviceaccounts/s/token",
            "{}".to_owned(),
            "mintsToken",
        ),
        (
            "DELETE /api/v1/namespaces/a/pods",
            String::new(),
            "deletesCollection",
        ),
        (
            "DELETE /api/v1/namespaces/a",
            String::new(),
            "deletesNamespace",
        ),
        (
            PODS,
            context(r#""privileged":true,"#),
            "privileged podSecurityBaseline podSecurityRestricted",
        ),
        (
            PODS,
            spec(r#""hostPID":true,"#),
            "hostNamespaces podSecurityBaseline podSecurityRestricted",
        ),
        (
            PODS,
            spec(r#""volumes":[{"name":"v","hostPath":{"path":"/"}}],"#),
            "hostPath podSecurityBaseline podSecurityRestricted",
        ),
        (
            PODS,
            container(r#""ports":[{"hostPort":80}],"#),
            "hostPorts podSecurityBaseline podSecurityRestricted",
        ),
        (
            PODS,
            pod("", "", CONFINED).replace(r#""drop""#, r#""add":["NET_BIND_SERVICE"],"drop""#),
            "addedCapabilities",
        ),
        (
            PODS,
            spec(r#""securityContext":{"runAsUser":0},"#),
            "runAsRoot podSecurityRestricted",
        ),
        (
            PODS,
            pod("", "", ""),
            "allowPrivilegeEscalation podSecurityRestricted",
        ),
        (
            PODS,
            context(r#""procMount":"Unmasked","#),
            "procMount podSecurityBaseline podSecurityRestricted",
        ),
        (
            PODS,
            pod(
                r#""hostUsers":false,"#,
                "",
                &format!(r#"{CONFINED}"procMount":"Unmasked","#),
            ),
            "procMount podSecurityRestricted",
        ),
        (
            PODS,
            spec(r#""securityContext":{"seccompProfile":{"type":"Unconfined"}},"#),
            "seccomp podSecurityBaseline podSecurityRestricted",
        ),
        (
            PODS,
            context(r#""appArmorProfile":{"type":"Unconfined"},"#),
            "appArmor podSecurityBaseline podSecurityRestricted",
        ),
        (
            PODS,
            context(r#""seLinuxOptions":{"user":"root"},"#),
            "seLinux podSecurityBaseline podSecurityRestricted",
        ),
        (
            PODS,
            spec(r#""securityContext":{"sysctls":[{"name":"kernel.x"}]},"#),
            "sysctls podSecurityBaseline podSecurityRestricted",
        ),
        (
            PODS,
            context(r#""windowsOptions":{"hostProcess":true},"#),
            "hostProcess podSecurityBaseline podSecurityRestricted",
        ),
        (
            PODS,
            container(r#""livenessProbe":{"httpGet":{"host":"h"}},"#),
            "probeHosts podSecurityBaseline podSecurityRestricted",
        ),
        (
            PODS,
            spec(r#""imagePullSecrets":[{"name":"s"}],"#),
            "secretsExposed",
        ),
        (
            PODS,
            spec(r#""volumes":[{"configMap":{"name":"c"}}],"#),
            "configMapsExposed",
        ),
        (
            PODS,
            spec(r#""volumes":[{"projected":{"sources":[{"serviceAccountToken":{}}]}}],"#),
            "projectedTokens",
        ),
        (PODS, spec(r#""nodeName":"n","#), "nodeName"),
        (
            PODS,
            spec(r#""tolerations":[{"operator":"Exists"}],"#),
            "toleratesEverything",
        ),
        (PODS, spec(r#""tolerations":[{"key":"k"}],"#), ""),
        (
            PODS,
            spec(r#""priorityClassName":"system-x","#),
            "systemPriority",
        ),
        (PODS, spec(r#""priorityClassName":"high","#), ""),
        (
            PODS,
            spec("").replace("@sha256:ab", ":1"),
            "imageWithoutDigest",
        ),
        (ROLES, rules("bind", "x"), "rbacEscalation"),
        (ROLES, rules("*", "x"), "wildcardGrant"),
        (ROLES, rules("get", "secrets"), "secretsGrant"),
        (ROLES, rules("get", "pods/exec"), "execGrant"),
        (ROLES, rules("get", "pods"), ""),
        (
            SERVICES,
            service(r#""externalIPs":["1.2.3.4"]"#),
            "externalIPs",
        ),
        (
            SERVICES,
            service(r#""type":"LoadBalancer""#),
            "loadBalancer",
        ),
        (SERVICES, service(r#""type":"NodePort""#), "nodePort"),
        (
            SERVICES,
            service(r#""type":"ExternalName""#),
            "externalName",
        ),
        (
            SERVICES,
            service(r#""externalName":"x.example""#),
            "externalName",
        ),
        (SERVICES, service(r#""type":"ClusterIP""#), ""),
        (
            "POST /api/v1/namespaces",
            r#"{"metadata":{"labels":{"pod-security.kubernetes.io/warn":"x"}}}"#.to_owned(),
            "podSecurityLabels",
        ),
        (
            "POST /apis/apiregistration.k8s.io/v1/apiservices",
            r#"{"spec":{"service":{"name":"s"}}}"#.to_owned(),
            "apiServerCalls",
        ),
    ]
}

#[test]
fn every_fact_is_shown_by_what_means_it_and_by_nothing_else() {
    let mut seen = BTreeSet::new();
    for (line, body, expected) in table() {
        let facts = Asked::with_body(line, &body).facts;
        let shown = names(|fact| fact.holds(&facts));
        assert_eq!(shown, words(expected), "{line} {body}");
        seen.extend(shown);
    }
    // What the roles say of a pod's service account, no body says.
    let mut facts = Facts::default();
    facts.object.service_account_grants.push(finding("spec"));
    let shown = names(|fact| fact.holds(&facts));
    assert_eq!(shown, ["powerfulServiceAccount"]);
    seen.extend(shown);
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), names(|_| true));
}

#[test]
fn what_a_patch_leaves_open_are_the_facts_of_its_kind() {
    let unclear = |path: &str| {
        let (method, path) = (http::Method::PATCH, format!("/{path}"));
        // Too deep for anybody to say what it is.
        let patch = format!(
            r#"[{{"op":"add","path":"{}","value":1}}]"#,
            "/a".repeat(101)
        );
        let mut headers = http::HeaderMap::new();
        headers.insert(
            "content-type",
            "application/json-patch+json".parse().unwrap(),
        );
        let ask = crate::parse::head("dev".into(), &method, &path, None, &headers)
            .and_then(|head| head.with_body(patch.into(), &Embedders::default()))
            .unwrap();
        names(|fact| fact.is_unclear(ask.facts()))
    };
    let table = [
        ("api/v1/namespaces/a/secrets/s", "mintsToken"),
        (
            "apis/rbac.authorization.k8s.io/v1/namespaces/a/roles/r",
            "rbacEscalation wildcardGrant secretsGrant execGrant",
        ),
        (
            "api/v1/namespaces/a/services/s",
            "externalIPs loadBalancer nodePort externalName",
        ),
        ("api/v1/namespaces/a", "podSecurityLabels"),
        (
            "apis/apiregistration.k8s.io/v1/apiservices/s",
            "apiServerCalls",
        ),
        ("api/v1/namespaces/a/configmaps/c", ""),
    ];
    // What the path alone tells, nothing leaves open.
    let by_path = "secrets execLike deletesCollection deletesNamespace";
    assert_eq!(names(|fact| !fact.is_of_object()), words(by_path));
    let mut left: BTreeSet<_> = words(by_path).into_iter().collect();
    for (path, expected) in table {
        assert_eq!(unclear(path), words(expected), "{path}");
        left.extend(words(expected));
    }
    let of_pods = names(|fact| !left.contains(&*fact.name()));
    assert_eq!(unclear("api/v1/namespaces/a/pods/p"), of_pods);
    assert_eq!(unclear("apis/x.io/v1/namespaces/a/things/t"), of_pods);
}
