//! Attacks that make credentials, or rights, out of what an agent may write: behind the rules
//! that come with the gate, at a cluster in which the agent may do everything.

use gateward::demo::scene::AGENT;
use serde_json::{Value, json};

use super::stage::{Stage, cluster_saw, everything};
use crate::harness::{json_of, run, world};

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const ADMISSION: &str = "/apis/admissionregistration.k8s.io/v1";
const CERTIFICATES: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

/// Method, path, media type, body, and the rule that stops it.
type Attack<'a> = (&'a str, String, &'a str, Value, &'a str);

/// The default pack, and nothing else; nobody waits for people who never come.
async fn default_pack() -> Stage {
    Stage::with(json!([everything("allow")]), |document| {
        document["spec"]["policies"] = json!({"defaultPack": true});
        document["spec"]["holds"]["maxPerAgent"] = json!(1000);
    })
    .await
}

async fn send(
    stage: &Stage,
    method: &str,
    path: &str,
    media_type: &str,
    body: &Value,
) -> (u16, Value) {
    let mut request = world().ask_at(stage.gate(), method, path);
    if !body.is_null() {
        request = request
            .header("content-type", media_type)
            .body(body.to_string());
    }
    json_of(request).await
}

/// Each is stopped by its rule, with this status.
async fn stopped(stage: &Stage, status: u16, attacks: &[Attack<'_>]) {
    for (method, path, media_type, body, rule) in attacks {
        let what = format!("{method} {path} {media_type} {body}");
        let (got, answer) = send(stage, method, path, media_type, body).await;
        assert_eq!(got, status, "{what}: {answer}");
        let message = answer["message"].as_str().unwrap();
        assert!(
            message.contains(&format!("by rule \"{rule}\"")),
            "{what}: {message}"
        );
    }
}

/// Whatever the agent really changed in the cluster.
async fn changed(part: &str) -> Vec<Value> {
    let real = |event: &Value| {
        let uri = event["requestURI"].as_str().unwrap();
        event["impersonatedUser"]["username"] == AGENT
            && !matches!(event["verb"].as_str(), Some("get" | "list" | "watch"))
            && !uri.contains("dryRun=All")
    };
    cluster_saw(part).await.into_iter().filter(real).collect()
}

fn named(api_version: &str, kind: &str, name: &str, more: Value) -> Value {
    let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}});
    object
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    object
}

#[test]
fn threat_28_no_token_is_minted() {
    run(async {
        let namespace = world().namespace("threat-28");
        let in_namespace = format!("/api/v1/namespaces/{namespace}");
        world()
            .scene
            .control
            .kubectl(&["-n", &namespace, "create", "serviceaccount", "strong"])
            .unwrap();
        let stage = default_pack().await;
        let token = format!("{in_namespace}/serviceaccounts/strong/token");
        let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": {"audiences": [], "expirationSeconds": 86400}});
        let filled = |metadata: Value| {
            let mut metadata = metadata;
            metadata["annotations"] = json!({"kubernetes.io/service-account.name": "strong"});
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata,
                "type": "kubernetes.io/service-account-token"})
        };
        let bootstrap = named(
            "v1",
            "Secret",
            "bootstrap-token-abcdef",
            json!({
            "type": "bootstrap.kubernetes.io/token",
            "stringData": {"token-id": "abcdef", "token-secret": "0123456789abcdef",
                "usage-bootstrap-authentication": "true"}}),
        );
        let secrets = format!("{in_namespace}/secrets");
        let (requests, filled_ones) = ("mint-service-account-tokens", "mint-token-secrets");
        stopped(
            &stage,
            403,
            &[
                ("POST", token.clone(), JSON, request.clone(), requests),
                (
                    "POST",
                    format!("{token}?dryRun=All"),
                    JSON,
                    request,
                    requests,
                ),
                (
                    "POST",
                    token.clone(),
                    "application/yaml",
                    json!({}),
                    requests,
                ),
                ("GET", token, JSON, Value::Null, requests),
                (
                    "POST",
                    secrets.clone(),
                    JSON,
                    filled(json!({"name": "minted"})),
                    filled_ones,
                ),
                (
                    "POST",
                    secrets.clone(),
                    JSON,
                    filled(json!({"generateName": "minted-"})),
                    filled_ones,
                ),
                (
                    "POST",
                    format!("{secrets}?dryRun=All"),
                    JSON,
                    filled(json!({"name": "minted"})),
                    filled_ones,
                ),
                (
                    "PATCH",
                    format!("{secrets}/minted?fieldManager=t"),
                    APPLY,
                    filled(json!({"name": "minted"})),
                    filled_ones,
                ),
                (
                    "POST",
                    "/api/v1/namespaces/kube-system/secrets".to_owned(),
                    JSON,
                    bootstrap,
                    filled_ones,
                ),
            ],
        )
        .await;
        // The result is such a Secret, whatever the patch says.
        world().admin_creates(&namespace, &named("v1", "Secret", "theirs", json!({
            "metadata": {"name": "theirs", "annotations": {"kubernetes.io/service-account.name": "default"}},
            "type": "kubernetes.io/service-account-token"})));
        let theirs = format!("{secrets}/theirs");
        let strong =
            json!({"metadata": {"annotations": {"kubernetes.io/service-account.name": "strong"}}});
        let pointer = json!([{"op": "replace", "value": "strong",
            "path": "/metadata/annotations/kubernetes.io~1service-account.name"}]);
        stopped(
            &stage,
            403,
            &[
                ("PATCH", theirs.clone(), MERGE, strong.clone(), filled_ones),
                ("PATCH", theirs.clone(), STRATEGIC, strong, filled_ones),
                ("PATCH", theirs, JSON_PATCH, pointer, filled_ones),
            ],
        )
        .await;
        assert_eq!(changed(&namespace).await, Vec::<Value>::new());
        let bootstrap = changed("/kube-system/secrets").await;
        assert!(bootstrap.is_empty(), "{bootstrap:?}");
    });
}

#[test]
fn threat_28_no_certificate_is_requested_or_approved() {
    run(async {
        let name = format!("threat-28-{}", uuid::Uuid::new_v4());
        let key = rcgen::KeyPair::generate().unwrap();
        let mut wanted = rcgen::CertificateParams::default();
        wanted
            .distinguished_name
            .push(rcgen::DnType::CommonName, "eve");
        use base64::Engine as _;
        let pem = wanted.serialize_request(&key).unwrap().pem().unwrap();
        let pem = base64::engine::general_purpose::STANDARD.encode(pem);
        let csr = |name: &str| {
            named(
                "certificates.k8s.io/v1",
                "CertificateSigningRequest",
                name,
                json!({
            "spec": {"request": pem, "signerName": "kubernetes.io/kube-apiserver-client",
                "usages": ["client auth"]}}),
            )
        };
        world().admin_creates("default", &csr(&name));
        let stage = default_pack().await;
        let condition = json!({"type": "Approved", "status": "True", "reason": "x"});
        let status = json!({"status": {"conditions": [condition]}});
        let mut approved = csr(&name);
        approved["status"] = status["status"].clone();
        let rule = "mint-certificates";
        let one = format!("{CERTIFICATES}/{name}");
        let own = format!("{name}-own");
        let issued = json!({"status": {"certificate": pem}});
        stopped(
            &stage,
            403,
            &[
                ("POST", CERTIFICATES.to_owned(), JSON, csr(&own), rule),
                (
                    "PATCH",
                    format!("{CERTIFICATES}/{own}?fieldManager=t"),
                    APPLY,
                    csr(&own),
                    rule,
                ),
                ("PUT", format!("{one}/approval"), JSON, approved, rule),
                (
                    "PATCH",
                    format!("{one}/approval"),
                    MERGE,
                    status.clone(),
                    rule,
                ),
                ("PATCH", format!("{one}/approval"), STRATEGIC, status, rule),
                ("PATCH", format!("{one}/status"), MERGE, issued, rule),
                (
                    "POST",
                    "/apis/certificates.k8s.io/v1beta1/namespaces/default/podcertificaterequests"
                        .to_owned(),
                    JSON,
                    json!({}),
                    rule,
                ),
                ("DELETE", one, JSON, json!({}), rule),
            ],
        )
        .await;
        assert_eq!(changed(&name).await, Vec::<Value>::new());
    });
}

#[test]
fn threat_28_no_right_is_given_away_unseen() {
    run(async {
        let id = uuid::Uuid::new_v4();
        let name = format!("threat-28-{id}");
        let role = |name: &str, verbs: Value, groups: Value, resources: Value| {
            named(
                "rbac.authorization.k8s.io/v1",
                "ClusterRole",
                name,
                json!({
                "rules": [{"verbs": verbs, "apiGroups": groups, "resources": resources}]}),
            )
        };
        let rbac = "rbac.authorization.k8s.io";
        let calm = role(&name, json!(["get"]), json!([""]), json!(["pods"]));
        world().admin_creates("default", &calm);
        let binding = |role: &str, subject: Value| {
            named(
                "rbac.authorization.k8s.io/v1",
                "ClusterRoleBinding",
                &format!("{name}-b"),
                json!({
                "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": role},
                "subjects": [subject]}),
            )
        };
        let eve = json!({"kind": "User", "name": "eve", "apiGroup": rbac});
        let all = json!({"kind": "Group", "name": "system:authenticated", "apiGroup": rbac});
        let mut aggregated = role(
            &format!("{name}-a"),
            json!(["get"]),
            json!([""]),
            json!(["pods"]),
        );
        aggregated["metadata"]["labels"] =
            json!({"rbac.authorization.k8s.io/aggregate-to-admin": "true"});
        let grants = |verbs: Value, group: &str, resources: Value| {
            role(&format!("{name}-g"), verbs, json!([group]), resources)
        };
        let escalate = json!({"rules": [{"verbs": ["escalate"], "apiGroups": [rbac], "resources": ["clusterroles"]}]});
        let add = json!([{"op": "add", "path": "/rules/-", "value": escalate["rules"][0]}]);
        let (roles, bindings) = (
            format!("{RBAC}/clusterroles"),
            format!("{RBAC}/clusterrolebindings"),
        );
        let one = format!("{roles}/{name}");
        let rule = "rbac-escalation";
        stopped(
            &default_pack().await,
            429,
            &[
                (
                    "POST",
                    roles.clone(),
                    JSON,
                    grants(json!(["escalate"]), rbac, json!(["clusterroles"])),
                    rule,
                ),
                (
                    "POST",
                    roles.clone(),
                    JSON,
                    grants(json!(["bind"]), rbac, json!(["clusterroles"])),
                    rule,
                ),
                (
                    "POST",
                    roles.clone(),
                    JSON,
                    grants(json!(["impersonate"]), "", json!(["users"])),
                    rule,
                ),
                (
                    "POST",
                    roles.clone(),
                    JSON,
                    grants(json!(["create"]), "", json!(["serviceaccounts/token"])),
                    rule,
                ),
                (
                    "POST",
                    roles.clone(),
                    JSON,
                    grants(json!(["get"]), "", json!(["nodes/proxy"])),
                    rule,
                ),
                (
                    "POST",
                    roles.clone(),
                    JSON,
                    grants(
                        json!(["update"]),
                        "certificates.k8s.io",
                        json!(["certificatesigningrequests/approval"]),
                    ),
                    rule,
                ),
                (
                    "POST",
                    roles.clone(),
                    JSON,
                    grants(json!(["*"]), "*", json!(["*"])),
                    rule,
                ),
                ("POST", roles.clone(), JSON, aggregated, rule),
                (
                    "PATCH",
                    format!("{roles}/{name}-g?fieldManager=t"),
                    APPLY,
                    grants(json!(["bind"]), rbac, json!(["roles"])),
                    rule,
                ),
                ("PATCH", one.clone(), MERGE, escalate.clone(), rule),
                ("PATCH", one.clone(), STRATEGIC, escalate, rule),
                ("PATCH", one.clone(), JSON_PATCH, add, rule),
                (
                    "PUT",
                    one.clone(),
                    JSON,
                    role(
                        &name,
                        json!(["impersonate"]),
                        json!([""]),
                        json!(["groups"]),
                    ),
                    rule,
                ),
                (
                    "POST",
                    bindings.clone(),
                    JSON,
                    binding("cluster-admin", eve.clone()),
                    rule,
                ),
                ("POST", bindings.clone(), JSON, binding("view", all), rule),
                // Less than that is held as well.
                ("POST", bindings, JSON, binding("view", eve), "rbac-writes"),
                (
                    "PATCH",
                    one.clone(),
                    MERGE,
                    json!({"metadata": {"labels": {"a": "b"}}}),
                    "rbac-writes",
                ),
                ("DELETE", one, JSON, json!({}), "rbac-writes"),
                (
                    "POST",
                    "/api/v1/namespaces/default/serviceaccounts".to_owned(),
                    JSON,
                    named("v1", "ServiceAccount", &name, json!({})),
                    "service-account-writes",
                ),
            ],
        )
        .await;
        assert_eq!(changed(&id.to_string()).await, Vec::<Value>::new());
        let made = changed("/clusterrole").await;
        let ours = made
            .iter()
            .filter(|event| event.to_string().contains(&id.to_string()));
        assert_eq!(ours.count(), 0, "{made:?}");
    });
}

#[test]
fn threat_28_nothing_is_put_into_the_api_servers_way_unseen() {
    run(async {
        let id = uuid::Uuid::new_v4();
        let name = format!("threat-28-{id}");
        let control = &world().scene.control;
        let url = json!({"url": "https://eve.example.com/"});
        let webhook = json!({"name": "eve.example.com", "clientConfig": url, "sideEffects": "None",
            "admissionReviewVersions": ["v1"], "failurePolicy": "Ignore",
            "rules": [{"operations": ["CREATE"], "apiGroups": ["threat28.example.com"],
                "apiVersions": ["v1"], "resources": ["nothings"]}]});
        let kind =
            |kind: &str, more: Value| named("admissionregistration.k8s.io/v1", kind, &name, more);
        let hooks = kind(
            "ValidatingWebhookConfiguration",
            json!({"webhooks": [webhook]}),
        );
        world().admin_creates("default", &hooks);
        let service = named(
            "apiregistration.k8s.io/v1",
            "APIService",
            "v1.threat28.example.com",
            json!({
            "spec": {"group": "threat28.example.com", "version": "v1", "groupPriorityMinimum": 1,
                "versionPriority": 1, "service": {"namespace": "default", "name": "eve"}}}),
        );
        let schema = json!({"openAPIV3Schema": {"type": "object"}});
        let crd = |conversion: Value| {
            named(
                "apiextensions.k8s.io/v1",
                "CustomResourceDefinition",
                "conversions.threat28.example.com",
                json!({"spec": {"group": "threat28.example.com",
                "names": {"kind": "Conversion", "plural": "conversions"}, "scope": "Namespaced",
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}],
                "conversion": conversion}}),
            )
        };
        world().admin_creates("default", &crd(json!({"strategy": "None"})));
        let by_webhook = json!({"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": url}});
        let conversion = json!({"spec": {"conversion": by_webhook}});
        let (admission, extension) = ("admission-writes", "api-extension-writes");
        let (services, crds) = (
            "/apis/apiregistration.k8s.io/v1/apiservices",
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        );
        let one = format!("{crds}/conversions.threat28.example.com");
        let hook = format!("{ADMISSION}/validatingwebhookconfigurations/{name}");
        let turned = json!([{"op": "replace", "path": "/webhooks/0/clientConfig/url", "value": "https://mallory.example.com/"}]);
        let spec = json!({"spec": {"validations": [{"expression": "true"}],
            "matchConstraints": {"resourceRules": []}}});
        let stage = default_pack().await;
        let (_, mut put) = send(&stage, "GET", &one, JSON, &Value::Null).await;
        put["spec"]["conversion"] = by_webhook;
        stopped(
            &stage,
            429,
            &[
                (
                    "POST",
                    format!("{ADMISSION}/mutatingwebhookconfigurations"),
                    JSON,
                    kind(
                        "MutatingWebhookConfiguration",
                        json!({"webhooks": [webhook]}),
                    ),
                    admission,
                ),
                (
                    "POST",
                    format!("{ADMISSION}/validatingadmissionpolicies"),
                    JSON,
                    kind("ValidatingAdmissionPolicy", spec),
                    admission,
                ),
                (
                    "POST",
                    format!("{ADMISSION}/mutatingadmissionpolicies"),
                    JSON,
                    kind("MutatingAdmissionPolicy", json!({"spec": {}})),
                    admission,
                ),
                ("PATCH", hook.clone(), JSON_PATCH, turned, admission),
                ("DELETE", hook, JSON, json!({}), admission),
                ("POST", services.to_owned(), JSON, service, extension),
                (
                    "PATCH",
                    format!("{services}/v1.apps"),
                    MERGE,
                    json!({"spec": {"service": {"namespace": "default", "name": "eve"}}}),
                    extension,
                ),
                ("PATCH", one.clone(), MERGE, conversion, extension),
                ("PUT", one, JSON, put, extension),
            ],
        )
        .await;
        for part in [
            &id.to_string(),
            "threat28",
            "v1.apps",
            "/admissionregistration.k8s.io/",
        ] {
            assert_eq!(changed(part).await, Vec::<Value>::new());
        }
        control
            .kubectl(&["delete", "validatingwebhookconfiguration", &name])
            .unwrap();
    });
}

/// Where the API server dials for exec and logs, with its own certificate.
#[test]
fn threat_28_no_node_moves_to_another_address() {
    run(async {
        let control = &world().scene.control;
        let addresses = || {
            let path = "jsonpath={.status.addresses}{.status.daemonEndpoints}";
            control
                .kubectl(&["get", "node", "node-0", "-o", path])
                .unwrap()
        };
        let before = addresses();
        let stage = default_pack().await;
        let status = "/api/v1/nodes/node-0/status".to_owned();
        let moved = json!({"status": {"addresses": [{"type": "InternalIP", "address": "10.6.6.6"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 6666}}}});
        let pointer = json!([{"op": "replace", "path": "/status/daemonEndpoints/kubeletEndpoint/Port", "value": 6666}]);
        let (_, mut node) = send(&stage, "GET", "/api/v1/nodes/node-0", JSON, &Value::Null).await;
        node["status"] = moved["status"].clone();
        let rule = "node-status";
        stopped(
            &stage,
            403,
            &[
                ("PATCH", status.clone(), MERGE, moved.clone(), rule),
                ("PATCH", status.clone(), STRATEGIC, moved, rule),
                ("PATCH", status.clone(), JSON_PATCH, pointer, rule),
                (
                    "PATCH",
                    format!("{status}?fieldManager=t&force=true"),
                    APPLY,
                    node.clone(),
                    rule,
                ),
                ("PUT", status, JSON, node.clone(), rule),
            ],
        )
        .await;
        stopped(
            &stage,
            429,
            &[
                (
                    "PUT",
                    "/api/v1/nodes/node-0".to_owned(),
                    JSON,
                    node,
                    "node-writes",
                ),
                (
                    "POST",
                    "/api/v1/nodes".to_owned(),
                    JSON,
                    named("v1", "Node", "eve", json!({})),
                    "node-writes",
                ),
            ],
        )
        .await;
        assert_eq!(addresses(), before);
    });
}
