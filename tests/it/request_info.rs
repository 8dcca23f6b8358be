//! `RequestInfo`, against the API server's own: thousands of requests made by chance and
//! those that were ever worth a thought. Where the gate accepts one, both see the same, and
//! what the gate would send is once more the same. Where it refuses, nothing is compared.

mod generate;

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gateward::parse::{self, Ask, Embedders};
use http::{HeaderMap, HeaderValue, Method, header};
use serde::{Deserialize, Serialize};

use crate::oracle;
use generate::Chance;

/// How many requests one process of the oracle judges.
const BATCH: usize = 24_000;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Line {
    method: String,
    target: String,
}

impl Line {
    fn new(method: &str, target: &str) -> Self {
        let (method, target) = (method.to_owned(), target.to_owned());
        Self { method, target }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{} {:?}", self.method, self.target)
    }
}

/// Of both sides.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    is_resource: bool,
    verb: String,
    api_group: String,
    api_version: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
    #[serde(deserialize_with = "decoded")]
    path: Vec<u8>,
    field_selector: String,
    label_selector: String,
    /// Why the API server answers 400 or 500 before anything else.
    error: String,
}

fn decoded<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    let text = Option::<String>::deserialize(from)?.unwrap_or_default();
    STANDARD.decode(text).map_err(serde::de::Error::custom)
}

impl fmt::Display for Info {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.error.is_empty() {
            return write!(to, "error: {}", self.error);
        }
        for (field, value) in [
            ("verb", &*self.verb),
            ("apiGroup", &*self.api_group),
            ("apiVersion", &*self.api_version),
            ("resource", &*self.resource),
            ("subresource", &*self.subresource),
            ("namespace", &*self.namespace),
            ("name", &*self.name),
            ("fieldSelector", &*self.field_selector),
            ("labelSelector", &*self.label_selector),
            ("path", &*String::from_utf8_lossy(&self.path)),
        ] {
            if !value.is_empty() {
                write!(to, "{field}={value:?} ")?;
            }
        }
        write!(to, "isResource={}", self.is_resource)
    }
}

/// A request through the gate's parse, with a body where one is needed.
fn ask(line: &Line) -> Option<Ask> {
    let method = Method::from_bytes(line.method.as_bytes()).ok()?;
    let (path, query) = match line.target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (&*line.target, None),
    };
    let mut headers = HeaderMap::new();
    if method == Method::PATCH {
        let media = HeaderValue::from_static("application/merge-patch+json");
        headers.insert(header::CONTENT_TYPE, media);
    }
    let head = parse::head("c".into(), &method, path, query, &headers).ok()?;
    let body = match method {
        Method::POST | Method::PUT | Method::PATCH if head.body_limit() > 0 => "{}",
        _ => "",
    };
    head.with_body(body.into(), &Embedders::default()).ok()
}

/// What the gate sees in it.
fn ours(ask: &Ask) -> Info {
    let info = ask.info();
    let selects = info.is_resource && matches!(info.verb, "list" | "watch" | "deletecollection");
    let selector = |wanted: &str| {
        url::form_urlencoded::parse(ask.query().as_bytes())
            .find(|(name, _)| selects && name == wanted)
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    };
    // What is behind `proxy/` may be encoded: it names nothing at the API server, and is
    // never sent anywhere. Everywhere else an encoded path would have been refused.
    let path = if info.subresource == "proxy" {
        percent_decoded(&info.path)
    } else {
        info.path.clone().into_bytes()
    };
    Info {
        is_resource: info.is_resource,
        verb: info.verb.to_owned(),
        api_group: info.api_group.clone(),
        api_version: info.api_version.clone(),
        resource: info.resource.clone(),
        subresource: info.subresource.clone(),
        namespace: info.namespace.clone(),
        name: info.name.clone(),
        path,
        field_selector: selector("fieldSelector"),
        label_selector: selector("labelSelector"),
        error: String::new(),
    }
}

fn percent_decoded(path: &str) -> Vec<u8> {
    let mut pieces = path.split('%');
    let mut decoded = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let digits = piece.get(..2).unwrap_or_default();
        match u8::from_str_radix(digits, 16) {
            Ok(byte) => decoded.extend([&[byte], &piece.as_bytes()[2..]].concat()),
            Err(_) => decoded.extend([b"%", piece.as_bytes()].concat()),
        }
    }
    decoded
}

/// The request line that goes upstream.
fn rebuilt(ask: &Ask) -> Line {
    let path = &ask.info().path;
    let target = match ask.query() {
        "" => path.clone(),
        query => format!("{path}?{query}"),
    };
    Line::new(ask.method().as_str(), &target)
}

fn theirs(lines: &[&Line]) -> Vec<Info> {
    let asked: Vec<String> = lines
        .iter()
        .map(|line| serde_json::to_string(line).unwrap())
        .collect();
    let said = oracle::run("requestinfo", &[], asked.join("\n").as_bytes());
    let said: Vec<Info> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(said.len(), lines.len());
    said
}

/// The one deliberate difference: a GET that opens a stream into a pod is a `create` (as
/// `threat_07` demands, and the API server itself has asked for since 1.35, beside `get`).
fn opened(mut theirs: Info, method: &str) -> Info {
    let stream = matches!(&*theirs.subresource, "exec" | "attach" | "portforward");
    if stream && method == "GET" && theirs.verb == "get" {
        "create".clone_into(&mut theirs.verb);
    }
    theirs
}

/// How many of `lines` are accepted, by verb, and by whether a selector names one object.
/// Ends the test with the shortest of the disagreements, if there are any.
fn compare(lines: &[Line], label: &str) -> BTreeMap<String, usize> {
    let asks: Vec<(&Line, Ask, Line)> = lines
        .iter()
        .filter_map(|line| {
            let ask = ask(line)?;
            let sent = rebuilt(&ask);
            Some((line, ask, sent))
        })
        .collect();
    let both: Vec<&Line> = asks
        .iter()
        .flat_map(|(line, _, sent)| [*line, sent])
        .collect();
    let said = theirs(&both);
    let (mut accepted, mut wrong) = (BTreeMap::new(), Vec::new());
    for ((line, ask, sent), said) in asks.iter().zip(said.chunks(2)) {
        let (ours, theirs) = (ours(ask), opened(said[0].clone(), &line.method));
        let one = if !ours.field_selector.is_empty() && !ours.name.is_empty() {
            " one"
        } else {
            ""
        };
        *accepted.entry(format!("{}{one}", ours.verb)).or_default() += 1;
        if ours != theirs {
            wrong.push((line, format!("  ours:   {ours}\n  theirs: {theirs}")));
        }
        if said[1] != said[0] {
            let what = format!(
                "  sent:   {sent}\n  theirs: {}\n  then:   {}",
                said[0], said[1]
            );
            wrong.push((line, what));
        }
        let again = self::ask(sent).map(|ask| (self::ours(&ask), rebuilt(&ask)));
        if again != Some((ours, sent.clone())) {
            wrong.push((line, format!("  sent:   {sent}\n  again:  {again:?}")));
        }
    }
    // The same target by another method says little new.
    wrong.sort_by_key(|(line, _)| (line.target.len(), &line.target, &line.method));
    wrong.dedup_by_key(|(line, _)| &line.target);
    let shortest: Vec<String> = wrong
        .iter()
        .take(5)
        .map(|(line, what)| format!("{line}\n{what}"))
        .collect();
    assert!(
        wrong.is_empty(),
        "{label}: {} targets of {} requests; the shortest:\n{}",
        wrong.len(),
        lines.len(),
        shortest.join("\n")
    );
    accepted
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is not a number"))
    })
}

#[test]
fn threat_10_thousands_of_requests_mean_what_the_api_server_says() {
    let seed = number("GATEWARD_DIFFERENTIAL_SEED", 1_020_304);
    let count = number("GATEWARD_DIFFERENTIAL_COUNT", BATCH as u64);
    for batch in 0..count.div_ceil(BATCH as u64) {
        let seed = seed.wrapping_add(batch);
        let mut chance = Chance::new(seed);
        let lines: Vec<Line> = (0..BATCH).map(|_| generate::request(&mut chance)).collect();
        let accepted = compare(&lines, &format!("GATEWARD_DIFFERENTIAL_SEED={seed}"));
        // Nothing is proven of what is refused.
        let sum: usize = accepted.values().sum();
        assert!(sum * 10 > lines.len() * 3, "only {sum} were accepted");
        for what in ACCEPTED {
            assert!(accepted.get(*what) > Some(&30), "{what}: {accepted:?}");
        }
        println!("{sum} of {} were accepted: {accepted:?}", lines.len());
    }
}

/// What must be among the accepted.
const ACCEPTED: &[&str] = &[
    "get",
    "list",
    "list one",
    "watch",
    "watch one",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
    "head",
];

#[test]
fn threat_10_tricks_mean_what_the_api_server_says_or_are_refused() {
    let lines: Vec<Line> = TRICKS
        .iter()
        .flat_map(|target| {
            [
                "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get", "WATCH",
            ]
            .map(|method| Line::new(method, target))
        })
        .collect();
    let accepted = compare(&lines, "tricks");
    assert!(accepted.len() > 8, "{accepted:?}");
}

#[test]
fn label_selectors_are_accepted_if_the_api_server_reads_them() {
    let mut chance = Chance::new(number("GATEWARD_DIFFERENTIAL_SEED", 1_020_304));
    let selectors: Vec<String> = (0..6000)
        .map(|_| generate::edited_label_selector(&mut chance))
        .collect();
    // It keeps the name that a field selector demands only if all else decodes.
    let named = "/api/v1/pods?fieldSelector=metadata.name%3Dx&labelSelector=";
    let lines: Vec<Line> = selectors
        .iter()
        .map(|text| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>())
        .map(|text| Line::new("GET", &format!("{named}{text}")))
        .collect();
    let mut accepted = 0;
    for (said, (selector, line)) in theirs(&lines.iter().collect::<Vec<_>>())
        .iter()
        .zip(selectors.iter().zip(&lines))
    {
        let read = said.name == "x";
        // White space other than a space is read, but no query may hold it.
        if !selector.contains(char::is_control) {
            assert_eq!(ask(line).is_some(), read, "{selector:?}");
        }
        accepted += usize::from(read);
    }
    assert!((1000..5000).contains(&accepted), "{accepted}");
}

#[test]
fn ordinary_requests_are_accepted() {
    let lines: Vec<Line> = ORDINARY
        .iter()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(method, target)| Line::new(method, target))
        .collect();
    for line in &lines {
        assert!(ask(line).is_some(), "refused: {line}");
    }
    compare(&lines, "ordinary");
}

/// What kubectl, client-go, Helm and controllers send.
const ORDINARY: &[&str] = &[
    "GET /",
    "GET /api",
    "GET /api?timeout=32s",
    "GET /apis",
    "GET /apis/apps",
    "GET /apis/apps/v1?timeout=32s",
    "GET /version",
    "GET /version?timeout=32s",
    "GET /healthz",
    "GET /readyz?verbose",
    "GET /livez/ping",
    "GET /openapi/v2?timeout=32s",
    "GET /openapi/v3",
    "GET /openapi/v3/apis/apps/v1?hash=0AB1",
    "GET /.well-known/openid-configuration",
    "HEAD /",
    "GET /api/v1/pods?limit=500",
    "GET /api/v1/namespaces/default/pods?limit=500",
    "GET /api/v1/namespaces/default/pods?limit=500&continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEifQ%3D%3D",
    "GET /api/v1/namespaces/default/pods?labelSelector=app%3Dweb%2Ctier+in+%28a%2Cb%29&limit=500",
    "GET /api/v1/namespaces/default/pods?labelSelector=app%21%3Dweb%2C%21canary%2Crelease",
    "GET /api/v1/namespaces/default/pods?labelSelector=app.kubernetes.io%2Fname%3Dweb",
    "GET /api/v1/namespaces/default/secrets?labelSelector=name%3Dx%2Cowner%3Dhelm%2Cstatus+in+%28deployed%2Cuninstalled%29",
    "GET /api/v1/namespaces/default/pods?fieldSelector=metadata.name%3Dweb-0&watch=true",
    "GET /api/v1/namespaces/default/pods?fieldSelector=metadata.name%3Dweb-0&resourceVersion=0&timeoutSeconds=32&watch=true",
    "GET /api/v1/pods?fieldSelector=spec.nodeName%3Dn1%2Cstatus.phase%21%3DFailed",
    "GET /api/v1/pods?allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&sendInitialEvents=true&timeout=7m&timeoutSeconds=420&watch=true",
    "GET /api/v1/namespaces/default/pods?includeObject=Object",
    "GET /api/v1/namespaces?watch=1",
    "GET /api/v1/namespaces/default",
    "PATCH /api/v1/namespaces/default?fieldManager=kubectl-label",
    "PUT /api/v1/namespaces/default/finalize",
    "GET /api/v1/namespaces/default/status",
    "DELETE /api/v1/namespaces/default",
    "GET /api/v1/namespaces/default/pods/web-0",
    "HEAD /api/v1/namespaces/default/pods/web-0",
    "GET /api/v1/namespaces/default/pods/web-0?resourceVersion=0",
    "POST /api/v1/namespaces/default/pods?fieldManager=kubectl-create&fieldValidation=Strict",
    "POST /api/v1/namespaces/default/pods?dryRun=All&fieldManager=kubectl-create",
    "PUT /api/v1/namespaces/default/pods/web-0",
    "PATCH /apis/apps/v1/namespaces/default/deployments/web?fieldManager=kubectl&force=true",
    "PATCH /apis/apps/v1/namespaces/default/deployments/web/scale",
    "DELETE /api/v1/namespaces/default/pods/web-0",
    "DELETE /api/v1/namespaces/default/pods/web-0?gracePeriodSeconds=0&propagationPolicy=Background",
    "DELETE /api/v1/namespaces/default/pods?labelSelector=app%3Dweb",
    "GET /api/v1/namespaces/default/pods/web-0/log?container=c&follow=true&tailLines=10&timestamps=true",
    "GET /api/v1/namespaces/default/pods/web-0/exec?command=sh&command=-c&command=ls%20-l&container=c&stderr=true&stdout=true",
    "POST /api/v1/namespaces/default/pods/web-0/exec?command=sh&container=c&stdin=true&stdout=true&tty=true",
    "POST /api/v1/namespaces/default/pods/web-0/attach?container=c&stdout=true",
    "GET /api/v1/namespaces/default/pods/web-0/portforward?ports=80",
    "POST /api/v1/namespaces/default/pods/web-0/portforward",
    "POST /api/v1/namespaces/default/pods/web-0/eviction",
    "POST /api/v1/namespaces/default/pods/web-0/binding",
    "PATCH /api/v1/namespaces/default/pods/web-0/ephemeralcontainers",
    "PATCH /api/v1/namespaces/default/pods/web-0/resize",
    "POST /api/v1/namespaces/default/serviceaccounts/default/token",
    "GET /api/v1/nodes/n1",
    "GET /api/v1/nodes/n1/proxy/stats/summary",
    "GET /api/v1/namespaces/default/services/https:web:443/proxy/a%20b/?x=y;z",
    "GET /apis/rbac.authorization.k8s.io/v1/clusterroles/system:aggregate-to-admin",
    "DELETE /apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com",
    "GET /apis/metrics.k8s.io/v1beta1/namespaces/default/pods",
    "GET /apis/coordination.k8s.io/v1/namespaces/kube-system/leases/x?timeout=5s",
    "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
    "GET /apis/example.com/v1/namespaces/a/namespaced/b",
    "GET /api/v1/namespaces/status/pods",
    "GET /api/v1/namespaces/proxy/pods/watch",
];

/// Each is asked with every method.
const TRICKS: &[&str] = &[
    "",
    "*",
    "//",
    "/?",
    "/??",
    "/%",
    "/%2f",
    "/#",
    "/.",
    "/..",
    "x",
    "http://x/api/v1/pods",
    "//x/api/v1/pods",
    "///api/v1/pods",
    "/api/",
    "/api//",
    "/api/v1/",
    "/api//v1/pods",
    "/api/v1//pods",
    "/api/v1/pods/",
    "/api/v1/pods//",
    "/api/v1/pods/%2f",
    "/api/v1/./pods",
    "/api/../api/v1/pods",
    "/API/v1/pods",
    "/apis",
    "/apis/",
    "/apis/apps/v1/",
    "/apis/apps//deployments",
    "/apis//v1/deployments",
    "/apix/v1/pods",
    "/healthz/../api/v1/secrets",
    "/healthz%2f..%2fapi/v1/secrets",
    "/api/v1/%6eamespaces/default/secrets",
    "/api/v1/namespaces/default%2Fpods",
    "/api/v1/namespaces/default/pods%2Ffoo%2Flog",
    "/api/v1/namespaces//pods",
    "/api/v1/namespaces/",
    "/api/v1/namespaces/a/",
    "/api/v1/namespaces/a/status",
    "/api/v1/namespaces/a/status/",
    "/api/v1/namespaces/a/status/b",
    "/api/v1/namespaces/a/finalize",
    "/api/v1/namespaces/a/finalize/b/c",
    "/api/v1/namespaces/a/namespaces",
    "/api/v1/namespaces/a/namespaces/b",
    "/api/v1/namespaces/namespaces",
    "/api/v1/namespaces/namespaces/namespaces",
    "/api/v1/namespaces/namespaces/status",
    "/api/v1/namespaces/status/status",
    "/api/v1/namespaces/watch/proxy/status",
    "/api/v1/namespaces/a/pods/b/c/d",
    "/api/v1/namespaces/a/pods/exec",
    "/api/v1/namespaces/a/pods/b/exec",
    "/api/v1/namespaces/a/pods/b/exec/",
    "/api/v1/namespaces/a/pods/b/exec/c",
    "/api/v1/namespaces/a/pods/b/attach",
    "/api/v1/namespaces/a/pods/b/portforward",
    "/api/v1/nodes/b/exec",
    "/apis/x.io/v1/vms/v/portforward",
    "/api/v1/namespaces/a/exec",
    "/api/v1/watch",
    "/api/v1/watch/",
    "/api/v1/watch/pods",
    "/api/v1/watch/pods?watch=false",
    "/api/v1/watch/namespaces/a/pods/b",
    "/api/v1/watch/watch/pods",
    "/api/watch/pods",
    "/apis/watch/v1/pods",
    "/apis/apps/watch/pods",
    "/api/v1/proxy",
    "/api/v1/proxy/nodes/n",
    "/api/v1/proxy/namespaces/a/services/b/c",
    "/api/v1/nodes/n/proxy",
    "/api/v1/nodes/n/proxy/",
    "/api/v1/nodes/n/proxy//",
    "/api/v1/nodes/n/proxy/a//b/../c/%2e%2E/%2f/",
    "/api/v1/nodes/n/proxy/%zz",
    "/api/v1/nodes/n/proxy/%",
    "/api/v1/nodes/n/proxy/%4",
    "/api/v1/nodes/n/proxy/%ff%00",
    "/api/v1/nodes/n/proxy/#x",
    "/api/v1/nodes/n/proxy/a;b",
    "/api/v1/nodes/n/proxy/?%zz&&a=b;c",
    "/api/v1/nodes//proxy/x",
    "/api/v1/nodes/%6e/proxy/x",
    "/api/v1/namespaces/a/services/https:b:443/proxy",
    "/api/v1/pods;x=1",
    "/api/v1/pods%3Fwatch=1",
    "/api/v1/pods%00",
    "/api/v1/pods%zz",
    "/api/v1/pods%",
    "/api/v1/pods#x",
    "/api/v1/pods x",
    "/api/v1/pods\t",
    "/api/v1/pods\r\nX: y",
    "/api/v1/pods\u{7f}",
    "/api/v1/pods/\u{e9}",
    "/api/v1/pods/a+b",
    "/api/v1/pods/a:b@c,d=e$f!g'h(i)j*k",
    "/api/v1\\pods",
    "/api/v1/pods?",
    "/api/v1/pods??watch=true",
    "/api/v1/pods?&",
    "/api/v1/pods?watch",
    "/api/v1/pods?watch=",
    "/api/v1/pods?watch=0",
    "/api/v1/pods?watch=1",
    "/api/v1/pods?watch=yes",
    "/api/v1/pods?watch=no",
    "/api/v1/pods?watch=False",
    "/api/v1/pods?watch=true#x",
    "/api/v1/pods?watch=0&watch=1",
    "/api/v1/pods?watch=%31",
    "/api/v1/pods?w%61tch=1",
    "/api/v1/pods?watch=1;limit=2",
    "/api/v1/pods?Watch=1",
    "/api/v1/pods?+watch=1",
    "/api/v1/pods?watch=1+",
    "/api/v1/pods?watch=%zz",
    "/api/v1/pods?watch=1&x=%zz",
    "/api/v1/pods?limit=x&fieldSelector=metadata.name%3Da",
    "/api/v1/pods?limit=99999999999999999999&fieldSelector=metadata.name%3Da",
    "/api/v1/pods?timeoutSeconds=&watch=no&fieldSelector=metadata.name%3Da",
    "/api/v1/pods?fieldSelector=metadata.name%3Da",
    "/api/v1/pods?fieldSelector=metadata.name=a",
    "/api/v1/pods?fieldSelector=metadata.name%3Da;b",
    "/api/v1/pods?fieldSelector=metadata.name%3Da&continue=a;b",
    "/api/v1/pods?fieldSelector=metadata.name%3Da%00",
    "/api/v1/pods?fieldSelector=metadata.name%3D",
    "/api/v1/pods?fieldSelector=metadata.name%3D%3Da",
    "/api/v1/pods?fieldSelector=metadata.name%3D%3D%3Da",
    "/api/v1/pods?fieldSelector=metadata.name%21%3Da",
    "/api/v1/pods?fieldSelector=metadata.name%3Da%2Cmetadata.name%3Db",
    "/api/v1/pods?fieldSelector=metadata.name%3Da%2Cmetadata.name%21%3Db",
    "/api/v1/pods?fieldSelector=metadata.name%3Da%5C%2Cb",
    "/api/v1/pods?fieldSelector=metadata.name%3Da%5C%3Db",
    "/api/v1/pods?fieldSelector=metadata.name%3Da%5C%5C%2Cx%3Dy",
    "/api/v1/pods?fieldSelector=metadata.name%3Da%5C",
    "/api/v1/pods?fieldSelector=metadata.name%3Da%5Cb",
    "/api/v1/pods?fieldSelector=a%5C%2Cmetadata.name%3Db",
    "/api/v1/pods?fieldSelector=a%21b%3Dc%2Cmetadata.name%3Dd",
    "/api/v1/pods?fieldSelector=+metadata.name%3Da",
    "/api/v1/pods?fieldSelector=metadata.name%3D+a",
    "/api/v1/pods?fieldSelector=metadata.name+%3Da",
    "/api/v1/pods?fieldSelector=Metadata.name%3Da",
    "/api/v1/pods?fieldSelector=metadata.name%3D.",
    "/api/v1/pods?fieldSelector=metadata.name%3D..",
    "/api/v1/pods?fieldSelector=metadata.name%3D...",
    "/api/v1/pods?fieldSelector=metadata.name%3Da%2Fb",
    "/api/v1/pods?fieldSelector=metadata.name%3Da%2525",
    "/api/v1/pods?fieldSelector=metadata.name%3D%C3%A9",
    "/api/v1/pods?fieldSelector=metadata.name%3D%ff",
    "/api/v1/pods?fieldSelector=%2C%2Cmetadata.name%3Da%2C",
    "/api/v1/pods?fieldSelector=metadata.namespace%3Da%2Cmetadata.name%3Db",
    "/api/v1/pods?fieldSelector=metadata.name%3Da&fieldSelector=metadata.name%3Db",
    "/api/v1/pods/b?fieldSelector=metadata.name%3Da",
    "/api/v1/namespaces/a/pods/b/log?fieldSelector=metadata.name%3Da&watch=true",
    "/api/v1/namespaces?fieldSelector=metadata.name%3Da",
    "/api/v1/namespaces/a?fieldSelector=metadata.name%3Db",
    "/api/v1/pods?fieldSelector=metadata.name%3Da&labelSelector=%21%21",
    "/api/v1/pods?fieldSelector=metadata.name%3Da&labelSelector=a%3D%3D%3Db",
    "/api/v1/pods?fieldSelector=metadata.name%3Da&labelSelector=-a",
    "/api/v1/pods?fieldSelector=metadata.name%3Da&labelSelector=a%2C",
    "/api/v1/pods?fieldSelector=metadata.name%3Da&labelSelector=a+in+b",
    "/api/v1/pods?fieldSelector=metadata.name%3Da&labelSelector=a%3E1",
    "/api/v1/pods?fieldSelector=metadata.name%3Da&labelSelector=a%3Eb",
    "/api/v1/pods?fieldSelector=metadata.name%3Da&shardSelector=%21",
    "/api/v1/pods?fieldSelector=metadata.name%3Da&sendInitialEvents=x",
    "/api/v1/pods?fieldSelector=metadata.name%3Da&resourceVersionMatch=x",
    "/api/v1/pods?fieldSelector=metadata.name%3Da&timeout=x",
    "/api/v1/pods?fieldSelector=metadata.name%3Da&pretty=x",
];
