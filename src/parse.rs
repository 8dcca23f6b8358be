//! ③ HTTP → Ask. An unknown shape is refused.
//!
//! First [`head`] judges request line and headers, then [`Head::with_body`] the body; the
//! result is the only source from which `forward` builds what goes upstream. This room is
//! pure: it opens nothing, knows no clock and no policy, and decides nothing. It stands
//! between `identify` and `decide`.

mod accept;
mod body;
pub mod builtin;
mod coding;
pub mod facts;
mod foresee;
mod header;
mod json;
mod node;
mod path;
mod protobuf;
mod query;
mod selector;
mod survey;
mod value;
mod yaml;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, header as names};

pub use facts::{Embedders, Facts};
pub use foresee::{Old, read_answer};
pub use node::Node;
pub use path::cluster_of;
pub use survey::{Collection, Rights};

use crate::refusal::Refusal;

/// What a request is about, by the API server's own rules (`RequestInfo`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestInfo {
    /// Whether this is about an API resource; otherwise only `verb` and `path` count.
    pub is_resource: bool,
    /// RBAC's verb: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`,
    /// `deletecollection`; for non-resource paths the lower-case HTTP method. Exec,
    /// attach and portforward are `create`, whatever the method.
    pub verb: &'static str,
    /// API group, empty for the core group.
    pub api_group: String,
    /// API version, `v1`.
    pub api_version: String,
    /// Plural resource name, `pods`.
    pub resource: String,
    /// Subresource, empty if none.
    pub subresource: String,
    /// Namespace, empty for cluster-scoped and all-namespaces requests.
    pub namespace: String,
    /// Object name, empty for collections.
    pub name: String,
    /// The canonical path at the API server, without query: `/api/v1/pods`.
    pub path: String,
}

impl RequestInfo {
    /// Exec, attach or portforward: the only requests that may be upgraded.
    fn opens_stream(&self) -> bool {
        matches!(&*self.subresource, "exec" | "attach" | "portforward")
    }
}

/// One parsed API request: exactly what the API server would make of it.
#[derive(Debug, Clone)]
pub struct Ask {
    cluster: Arc<str>,
    method: Method,
    info: RequestInfo,
    query: String,
    accept: String,
    gzip: bool,
    content_type: Option<&'static str>,
    media: body::Media,
    /// Which of `DeleteOptions` the query sets.
    delete_options: Vec<(&'static str, String)>,
    body: Bytes,
    /// The body with the precondition that binds it to the judged object.
    bound: Option<Bytes>,
    tree: Option<Arc<Node>>,
    /// What comes of it, if a dry run said so.
    object: Option<Arc<Node>>,
    old: Old,
    facts: Facts,
    dry_run: bool,
    user_agent: String,
}

impl Ask {
    /// The cluster's configured name.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }
    /// The HTTP method.
    pub fn method(&self) -> &Method {
        &self.method
    }
    /// Verb, resource, namespace, name and path.
    pub fn info(&self) -> &RequestInfo {
        &self.info
    }
    /// The canonical query, without `?`; empty if none.
    pub fn query(&self) -> &str {
        &self.query
    }
    /// The `Accept` header that goes upstream: only types that can be masked.
    pub fn accept(&self) -> &str {
        &self.accept
    }
    /// Whether the client takes the answer in gzip.
    pub fn takes_gzip(&self) -> bool {
        self.gzip
    }
    /// The content type that goes upstream with the body.
    pub fn content_type(&self) -> Option<&'static str> {
        self.content_type
    }
    /// The body as it was asked for, written anew from its tree; empty if none.
    pub fn body(&self) -> &Bytes {
        &self.body
    }
    /// The body that goes upstream: as asked for, and bound to the judged object.
    pub fn sent_body(&self) -> &Bytes {
        self.bound.as_ref().unwrap_or(&self.body)
    }
    /// The tree of the body; none if there is no body.
    pub fn tree(&self) -> Option<&Node> {
        self.tree.as_deref()
    }
    /// What comes of a write: the result of its dry run, else the object that it carries;
    /// none for deletions, reads, and patches that nobody rehearsed.
    pub fn object(&self) -> Option<&Node> {
        match (&self.object, self.info.verb) {
            (Some(object), _) => Some(object),
            (None, "create" | "update") => self.tree(),
            _ => None,
        }
    }
    /// The object before a write.
    pub fn old(&self) -> &Old {
        &self.old
    }
    /// What the request means.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }
    /// Whether the API server will persist nothing (`dryRun=All`, by its own rules).
    /// Servers behind an APIService may have rules of their own.
    pub fn dry_run(&self) -> bool {
        self.dry_run
    }
    /// The client's `User-Agent`, cut at 256 bytes, printable ASCII only.
    pub fn user_agent(&self) -> &str {
        &self.user_agent
    }
    /// Whether it can neither change nor run anything.
    pub fn is_read(&self) -> bool {
        reads(self.info.verb) && !self.facts.exec_like
    }

    /// Whether `forward` can carry it, to be asked after the decision and before a hold,
    /// so that what is denied is denied, and nobody approves what cannot happen.
    ///
    /// # Errors
    /// `NotUnderstood` for streams (exec, attach, portforward) and for proxied requests.
    pub fn carried(&self) -> Result<(), Refusal> {
        let what = match &*self.info.subresource {
            "exec" | "attach" | "portforward" => "streams into pods cannot be recorded yet",
            "proxy" => "what is behind a proxy cannot be judged or masked",
            _ => return Ok(()),
        };
        Err(not_understood(format!(
            "{}/{}: {what}, so the gate does not carry it; ask an operator for what you need",
            self.info.resource, self.info.subresource
        )))
    }

    /// An ask through the real parse, for the tests of later rooms; JSON (for PATCH a
    /// JSON Patch if the body is an array, else a merge patch).
    #[cfg(test)]
    #[expect(clippy::panic, reason = "for tests only")]
    pub(crate) fn for_test(cluster: &str, method: &str, path_and_query: &str, body: &str) -> Self {
        let (path, query) = match path_and_query.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path_and_query, None),
        };
        let content_type = match (method, body.starts_with('[')) {
            ("PATCH", true) => "application/json-patch+json",
            ("PATCH", false) => "application/merge-patch+json",
            _ => "application/json",
        };
        let mut headers = HeaderMap::new();
        if !body.is_empty() {
            headers.insert(
                names::CONTENT_TYPE,
                http::HeaderValue::from_static(content_type),
            );
        }
        let method = Method::from_bytes(method.as_bytes()).unwrap_or_default();
        head(cluster.into(), &method, path, query, &headers)
            .and_then(|head| {
                head.with_body(
                    Bytes::copy_from_slice(body.as_bytes()),
                    &Embedders::default(),
                )
            })
            .unwrap_or_else(|refusal| panic!("{method} {path_and_query}: {refusal:?}"))
    }
}

/// Everything that can be known before the body.
#[derive(Debug)]
pub struct Head {
    ask: Ask,
}

/// Judges request line and headers of a request to a cluster; `rest_path` is the path at
/// the API server, as [`cluster_of`] splits it off.
///
/// # Errors
/// `Malformed` for whatever can be read in more than one way, `NotAcceptable` if no
/// accepted answer can be masked, `NotUnderstood` for writes outside of resources.
pub fn head(
    cluster: Arc<str>,
    method: &Method,
    rest_path: &str,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Head, Refusal> {
    let mut info = path::parse(method, rest_path)?;
    header::check(headers, &info)?;
    let mut query = query::parse(query, &info)?;
    let accept = accept::negotiate(&header::accept(headers)?, &info)?;
    let media = body::Media::of(header::one(headers, &names::CONTENT_TYPE)?, info.verb);
    if info.is_resource && info.verb == "get" && info.name.is_empty() {
        info.verb = if query.watch { "watch" } else { "list" };
        info.name = query.name.take().unwrap_or_default();
    }
    let ask = Ask {
        cluster,
        method: method.clone(),
        query: std::mem::take(&mut query.canonical),
        accept,
        gzip: coding::takes_gzip(headers),
        content_type: None,
        media,
        delete_options: std::mem::take(&mut query.delete_options),
        body: Bytes::new(),
        bound: None,
        tree: None,
        object: None,
        old: Old::Unknown,
        facts: facts::of_request(&info, std::mem::take(&mut query.command)),
        // A dry run of a TokenRequest mints a real token.
        dry_run: query.dry_run && info.subresource != "token",
        user_agent: header::user_agent(headers),
        info,
    };
    Ok(Head { ask })
}

impl Head {
    /// Verb, resource, namespace, name and path.
    pub fn info(&self) -> &RequestInfo {
        &self.ask.info
    }

    /// The most bytes that the body may have: 0 if there must be none, else 3 MiB, which
    /// is the API server's own limit.
    pub fn body_limit(&self) -> usize {
        let bodiless = matches!(self.ask.method, Method::GET | Method::HEAD);
        if bodiless || self.ask.info.opens_stream() {
            0
        } else {
            body::MAX_BODY
        }
    }

    /// Judges the body, whole; empty if there is none. `embedders`: where custom resources
    /// hold pods.
    ///
    /// # Errors
    /// `Malformed`, `UnsupportedMediaType`, `BodyTooLarge`, or `NotUnderstood` for JSON
    /// Patches that would reveal what is masked, and for objects with more containers,
    /// volumes and the like than are judged.
    pub fn with_body(self, body: Bytes, embedders: &Embedders) -> Result<Ask, Refusal> {
        let limit = self.body_limit();
        let mut ask = self.ask;
        if body.is_empty() {
            if ask.info.verb == "patch" && ask.info.subresource != "proxy" {
                return Err(malformed("a PATCH without a body: send the patch"));
            }
            return Ok(ask);
        }
        if limit == 0 {
            return Err(malformed(format!(
                "a body with {} {}, which takes none: leave it out",
                ask.method,
                shown(&ask.info.path)
            )));
        }
        if body.len() > limit {
            return Err(Refusal::BodyTooLarge { limit });
        }
        if ask.info.subresource == "proxy" {
            // It belongs to whatever is proxied to, and is never sent.
            return Ok(ask);
        }
        let tree = body::read(&ask.media, &body, &ask.info)?;
        if matches!(ask.info.verb, "delete" | "deletecollection") {
            ask.dry_run = body::delete_dry_run(&tree, &ask.delete_options)?;
        }
        let object = facts::of_body(&ask.info, &ask.media, &tree, embedders)?;
        ask.facts.set_object(&ask.info, object);
        ask.body = tree.to_json().into();
        ask.content_type = Some(ask.media.upstream());
        ask.tree = Some(Arc::new(tree));
        Ok(ask)
    }
}

fn reads(verb: &str) -> bool {
    matches!(verb, "get" | "list" | "watch" | "head" | "options")
}

fn malformed(what: impl Into<String>) -> Refusal {
    Refusal::Malformed { what: what.into() }
}

fn not_understood(what: impl Into<String>) -> Refusal {
    Refusal::NotUnderstood { what: what.into() }
}

/// A stranger's text in a sentence: quoted, escaped, cut.
fn shown(text: &str) -> String {
    const MAX: usize = 80;
    let mut characters = text.chars();
    let cut: String = characters.by_ref().take(MAX).collect();
    if characters.next().is_some() {
        format!("{cut:?}…")
    } else {
        format!("{cut:?}")
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]
mod tests {
    use super::*;

    fn try_ask(
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Ask, Refusal> {
        let (path, query) = target
            .split_once('?')
            .map_or((target, None), |(path, query)| (path, Some(query)));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(
                name.parse::<http::HeaderName>().unwrap(),
                value.parse().unwrap(),
            );
        }
        head("c".into(), &method.parse().unwrap(), path, query, &map)?.with_body(
            Bytes::copy_from_slice(body.as_bytes()),
            &Embedders::default(),
        )
    }

    fn ask(method: &str, target: &str, body: &str) -> Ask {
        Ask::for_test("c", method, target, body)
    }

    const PODS: &str = "/api/v1/namespaces/f/pods";
    const POD: &str = "/api/v1/namespaces/f/pods/p";

    #[test]
    fn list_watch_and_name_come_from_the_query() {
        for (target, verb, name) in [
            ("/api/v1/pods", "list", ""),
            ("/api/v1/pods?watch=true", "watch", ""),
            ("/api/v1/pods?watch=0", "list", ""),
            ("/api/v1/pods?fieldSelector=metadata.name%3Dx", "list", "x"),
            (
                "/api/v1/pods?watch=1&fieldSelector=metadata.name%3Dx",
                "watch",
                "x",
            ),
            ("/api/v1/namespaces/f/pods/p", "get", "p"),
            ("/api/v1/namespaces?watch=1", "watch", ""),
            ("/api/v1/namespaces/f", "get", "f"),
            ("/version", "get", ""),
        ] {
            let ask = ask("GET", target, "");
            assert_eq!(
                (ask.info().verb, &*ask.info().name),
                (verb, name),
                "{target}"
            );
            assert!(ask.is_read(), "{target}");
        }
    }

    #[test]
    fn a_read_is_rebuilt_whole() {
        let got = try_ask(
            "GET",
            "/api/v1/namespaces/f/secrets?limit=500&watch=0",
            &[
                ("accept", "application/yaml, */*"),
                ("user-agent", "kubectl/v1.37"),
            ],
            "",
        )
        .unwrap();
        assert_eq!(got.cluster(), "c");
        assert_eq!(got.method(), Method::GET);
        assert_eq!(got.info().path, "/api/v1/namespaces/f/secrets");
        assert_eq!(got.query(), "limit=500&watch=false");
        assert_eq!(got.accept(), "application/json");
        assert_eq!(got.user_agent(), "kubectl/v1.37");
        assert_eq!(got.content_type(), None);
        assert!(got.body().is_empty() && got.tree().is_none());
        assert!(got.facts().secrets && !got.dry_run());
        assert_eq!(got.carried(), Ok(()));
    }

    #[test]
    fn a_write_sends_what_was_judged() {
        let yaml = "kind: Pod\nspec:\n  containers:\n  - securityContext: {privileged: true}\n";
        let json =
            r#"{"kind":"Pod","spec":{"containers":[{"securityContext":{"privileged":true}}]}}"#;
        for (method, target, content_type, upstream) in [
            ("POST", PODS, "application/yaml", "application/json"),
            (
                "PATCH",
                POD,
                "application/apply-patch+yaml",
                "application/apply-patch+yaml",
            ),
        ] {
            let got = try_ask(method, target, &[("content-type", content_type)], yaml).unwrap();
            assert_eq!(got.body(), json);
            assert_eq!(got.content_type(), Some(upstream));
            assert_eq!(
                got.facts().object.privileged[0].field,
                "spec.containers[0].securityContext.privileged"
            );
            assert_eq!(
                got.tree().unwrap().get("kind").unwrap().as_str(),
                Some("Pod")
            );
            assert!(!got.is_read());
        }
    }

    #[test]
    fn bodies_are_refused_where_none_belongs_and_when_too_long() {
        for (method, target) in [
            ("GET", POD),
            ("HEAD", POD),
            ("GET", "/version"),
            ("POST", "/api/v1/namespaces/f/pods/p/exec"),
        ] {
            let got = try_ask(method, target, &[], "{}");
            assert!(
                matches!(got, Err(Refusal::Malformed { .. })),
                "{method} {target}"
            );
        }
        let long = format!("{}{{}}", " ".repeat(body::MAX_BODY - 1));
        assert!(try_ask("POST", PODS, &[], &long[1..]).is_ok());
        let got = try_ask("POST", PODS, &[], &long);
        assert!(matches!(got, Err(Refusal::BodyTooLarge { limit }) if limit == 3 << 20));
        assert!(matches!(
            try_ask("PATCH", POD, &[], ""),
            Err(Refusal::Malformed { .. })
        ));
        let path = format!("{POD}/ephemeralcontainers");
        assert!(ask("POST", &path, r#"{"kind":"Pod"}"#).facts().exec_like);
    }

    #[test]
    fn limits_are_known_before_the_body() {
        for (method, path, limit) in [
            ("GET", POD, 0),
            ("HEAD", "/version", 0),
            ("POST", PODS, body::MAX_BODY),
            ("DELETE", POD, body::MAX_BODY),
            ("POST", "/api/v1/namespaces/f/pods/p/attach", 0),
            ("POST", "/api/v1/nodes/n/proxy/run", body::MAX_BODY),
        ] {
            let head = head(
                "c".into(),
                &method.parse().unwrap(),
                path,
                None,
                &HeaderMap::new(),
            )
            .unwrap();
            assert_eq!(head.body_limit(), limit, "{method} {path}");
            assert_eq!(head.info().path, path);
        }
    }

    #[test]
    fn threat_07_streams_are_one_action_with_their_command_known() {
        let target = format!("{POD}/exec?command=rm&command=-rf&command=%2F&stdin=1");
        let websocket = [("connection", "Upgrade"), ("upgrade", "websocket")];
        for (method, headers) in [("GET", &websocket[..]), ("POST", &[])] {
            let got = try_ask(method, &target, headers, "").unwrap();
            assert_eq!(got.info().verb, "create");
            assert_eq!(got.facts().exec_command, ["rm", "-rf", "/"]);
            assert!(got.facts().exec_like && !got.is_read());
            assert!(matches!(got.carried(), Err(Refusal::NotUnderstood { .. })));
        }
    }

    #[test]
    fn threat_08_no_upgrade_on_watch_or_log() {
        let websocket = [("connection", "Upgrade"), ("upgrade", "websocket")];
        for target in [
            "/api/v1/pods?watch=true",
            "/api/v1/namespaces/f/pods/p/log?follow=true",
        ] {
            assert!(try_ask("GET", target, &websocket, "").is_err(), "{target}");
        }
    }

    #[test]
    fn threat_09_proxied_requests_can_be_denied_by_name_and_are_never_carried() {
        let got = try_ask(
            "POST",
            "/api/v1/nodes/n/proxy/run/ns/p/c?cmd=id",
            &[],
            "anything",
        )
        .unwrap();
        assert_eq!(
            (&*got.info().resource, &*got.info().subresource),
            ("nodes", "proxy")
        );
        assert!(got.facts().exec_like && got.body().is_empty() && got.query().is_empty());
        assert!(got.carried().is_err());
        assert!(try_ask("PATCH", "/api/v1/nodes/n/proxy/x", &[], "").is_ok());
        let got = ask("GET", "/api/v1/nodes/n/proxy/configz", "");
        assert!(!got.is_read() && got.carried().is_err());
        let log = ask("GET", "/api/v1/namespaces/f/pods/p/log", "");
        assert!(log.is_read() && log.carried().is_ok());
    }

    #[test]
    fn dry_runs_of_writes_are_in_the_query() {
        assert!(ask("POST", &format!("{PODS}?dryRun=All"), "{}").dry_run());
        assert!(ask("PUT", &format!("{POD}?dryRun=All"), "{}").dry_run());
        assert!(ask("PATCH", &format!("{POD}?dryRun=All"), "{}").dry_run());
        assert!(!ask("POST", PODS, r#"{"dryRun":["All"]}"#).dry_run());
        let token = "/api/v1/namespaces/f/serviceaccounts/s/token?dryRun=All";
        assert!(
            !ask("POST", token, "{}").dry_run(),
            "a token is minted all the same"
        );
    }

    #[test]
    fn threat_13_a_delete_with_a_body_is_judged_by_its_body() {
        let with = |query: &str, body: &str| try_ask("DELETE", &format!("{POD}{query}"), &[], body);
        for (query, body, dry_run) in [
            ("", "", false),
            ("?dryRun=All", "", true),
            ("", "{}", false),
            ("", r#"{"kind":"DeleteOptions","dryRun":["All"]}"#, true),
            ("", r#"{"dryRun":[]}"#, false),
            ("", r#"{"DryRun":["All"]}"#, false),
            ("?dryRun=All", r#"{"dryRun":["All"]}"#, true),
            (
                "?gracePeriodSeconds=0",
                r#"{"gracePeriodSeconds":0}"#,
                false,
            ),
            (
                "?propagationPolicy=Orphan",
                r#"{"propagationPolicy":"Orphan"}"#,
                false,
            ),
            ("?orphanDependents=1", r#"{"orphanDependents":true}"#, false),
            ("?timeout=3s", "{}", false),
        ] {
            assert_eq!(
                with(query, body).unwrap().dry_run(),
                dry_run,
                "{query} {body}"
            );
        }
        for (query, body) in [
            ("?dryRun=All", "{}"),
            ("?dryRun=All", r#"{"propagationPolicy":"Background"}"#),
            ("?dryRun=All", r#"{"dryRun":[]}"#),
            ("?dryRun=All", r#"{"DryRun":["All"]}"#),
            ("?gracePeriodSeconds=0", r#"{"gracePeriodSeconds":30}"#),
            ("?propagationPolicy=Orphan", r#"{"propagationPolicy":null}"#),
            ("", r#"{"dryRun":["all"]}"#),
            ("", r#"{"dryRun":["All","All"]}"#),
            ("", r#"{"dryRun":"All"}"#),
            ("", r#"{"dryRun":true}"#),
        ] {
            assert!(
                matches!(with(query, body), Err(Refusal::Malformed { .. })),
                "{query} {body}"
            );
        }
        assert!(try_ask("DELETE", &format!("{PODS}?dryRun=All"), &[], "{}").is_err());
    }

    #[test]
    fn cbor_and_patches_in_protobuf_are_unsupported() {
        for (method, target, content_type) in [
            ("PATCH", POD, "application/vnd.kubernetes.protobuf"),
            ("POST", PODS, "application/cbor"),
            ("PATCH", POD, "application/apply-patch+cbor"),
        ] {
            let got = try_ask(method, target, &[("content-type", content_type)], "k8s\0");
            assert!(
                matches!(got, Err(Refusal::UnsupportedMediaType { ref media_type }) if media_type == content_type),
                "{content_type}: {got:?}"
            );
        }
    }

    #[test]
    fn strangers_text_is_escaped_and_cut() {
        assert_eq!(shown("a\u{1b}[31m"), "\"a\\u{1b}[31m\"");
        assert!(shown(&"x".repeat(500)).chars().count() < 90);
    }
}
