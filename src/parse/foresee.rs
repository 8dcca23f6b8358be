//! What must be asked of the cluster before a write can be judged on its result: the object
//! as it stands, and the same write as a dry run. And, once the answers are in, the write
//! bound to exactly the object that was judged.
//!
//! Only requests are made here, and only out of the ask itself; `foresee` sends them. It
//! decides nothing.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;

use super::body::Media;
use super::{Ask, Embedders, Node, RequestInfo, facts, json};
use crate::refusal::Refusal;

/// The subresources that the API server stores like the object they belong to, and dry-runs
/// by its own rules. What others do with `dryRun` only their servers know.
const STORED: [&str; 7] = [
    "",
    "status",
    "scale",
    "finalize",
    "approval",
    "ephemeralcontainers",
    "resize",
];

/// The object before a write; before the deletion of a collection, the list of all objects that
/// it deletes, by namespace, name and uid.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Old {
    /// Nobody looked, or the caller may not see it.
    #[default]
    Unknown,
    /// There is none.
    Absent,
    /// As it stood when the write was judged.
    Known(Arc<Node>),
}

/// Reads what the API server answered to a rehearsal.
///
/// # Errors
/// [`Refusal::NotForeseen`] when it is not one JSON object.
pub fn read_answer(body: &[u8]) -> Result<Node, Refusal> {
    let not_foreseen = |inside: String| Refusal::NotForeseen {
        what: "the cluster answered a dry run with something that is not an API object",
        inside,
    };
    match json::parse(body) {
        Ok(tree @ Node::Object(_)) => Ok(tree),
        Ok(_) => Err(not_foreseen("not an object".to_owned())),
        Err(refusal) => Err(not_foreseen(refusal.sentence())),
    }
}

impl Ask {
    /// Whether the cluster is asked what would come of it, by [`Ask::look`], by
    /// [`Ask::rehearsal`] or by [`Ask::collection`].
    pub fn is_foreseen(&self) -> bool {
        self.has_look() || self.has_rehearsal() || self.has_collection()
    }

    /// The read of the object that this write is about; none if it is about none by name.
    pub fn look(&self) -> Option<Self> {
        if !self.has_look() {
            return None;
        }
        let scale = self.info.subresource == "scale";
        let path = match self.info.path.strip_suffix(&*self.info.subresource) {
            Some(path) if !scale && !self.info.subresource.is_empty() => {
                path.trim_end_matches('/').to_owned()
            }
            _ => self.info.path.clone(),
        };
        let info = RequestInfo {
            verb: "get",
            subresource: if scale { "scale" } else { "" }.to_owned(),
            path,
            ..self.info.clone()
        };
        Some(self.reading(info, String::new(), "application/json"))
    }

    /// A read that the gate makes of it, at the same cluster.
    pub(super) fn reading(&self, info: RequestInfo, query: String, accept: &str) -> Self {
        Self {
            cluster: self.cluster.clone(),
            method: Method::GET,
            query,
            accept: accept.to_owned(),
            gzip: false,
            content_type: None,
            media: Media::Json,
            delete_options: Vec::new(),
            body: Bytes::new(),
            bound: None,
            tree: None,
            object: None,
            old: Old::Unknown,
            facts: facts::of_request(&info, Vec::new()),
            dry_run: false,
            user_agent: self.user_agent.clone(),
            info,
        }
    }

    /// The same write as a dry run; none if its body says by itself what comes of it, or if
    /// nobody can tell that a dry run of it would be one.
    pub fn rehearsal(&self) -> Option<Self> {
        if !self.has_rehearsal() {
            return None;
        }
        let mut rehearsal = self.clone();
        rehearsal.bound = None;
        rehearsal.accept = "application/json".to_owned();
        if !self.dry_run {
            rehearsal.query = match &*self.query {
                "" => "dryRun=All".to_owned(),
                query => format!("dryRun=All&{query}"),
            };
            rehearsal.dry_run = true;
        }
        Some(rehearsal)
    }

    /// Whether what comes of it can be told from its own bytes or by a dry run. A patch of
    /// a subresource that the API server does not store itself cannot.
    ///
    /// # Errors
    /// [`Refusal::NotUnderstood`].
    pub fn can_be_foreseen(&self) -> Result<(), Refusal> {
        if self.info.verb == "patch" && self.info.is_resource && !self.is_stored() {
            return Err(super::not_understood(format!(
                "a patch of {}/{}, of which only its own server knows what comes: send the whole \
                 object with PUT",
                self.info.resource, self.info.subresource
            )));
        }
        Ok(())
    }

    /// This write, judged on what the cluster says of it: the result of its dry run and the
    /// object before. The body that will be sent is bound to that object, so that nobody
    /// can swap it between judgement and execution. `embedders`: where custom resources hold
    /// pods.
    ///
    /// # Errors
    /// `NotUnderstood` if the result has more to say than the gate judges at once.
    pub fn judged_on(
        mut self,
        result: Option<Node>,
        old: Old,
        embedders: &Embedders,
    ) -> Result<Self, Refusal> {
        if let Some(result) = result {
            let meant = facts::of_result(&self.info, &result, &old, embedders)?;
            self.facts.set_object(&self.info, meant);
            self.object = Some(Arc::new(result));
        }
        self.facts.deleted_objects = match (self.info.verb, &old) {
            ("deletecollection", Old::Known(all)) => items_of(all).len() as u64,
            _ => 0,
        };
        self.old = old;
        self.bound = self.bind();
        Ok(self)
    }

    /// Whether it is a JSON Patch (RFC 6902).
    pub fn is_json_patch(&self) -> bool {
        self.media == Media::JsonPatch
    }

    /// The same request with another body. What it means must be judged anew, by
    /// [`judged_on`](Self::judged_on).
    #[must_use]
    pub fn with_body(mut self, tree: Node) -> Self {
        self.body = tree.to_json().into();
        self.tree = Some(Arc::new(tree));
        self
    }

    /// The content type of what is sent.
    pub fn sent_content_type(&self) -> Option<&'static str> {
        match (self.content_type, &self.bound) {
            (None, Some(_)) => Some("application/json"),
            (given, _) => given,
        }
    }

    /// Whether the body that is sent holds a precondition of the gate's own: a conflict
    /// then means that the object changed since it was judged.
    pub fn is_bound(&self) -> bool {
        self.bound.is_some()
    }

    fn has_look(&self) -> bool {
        let named = !self.info.name.is_empty() && self.info.is_resource;
        let writes = matches!(self.info.verb, "update" | "patch" | "delete");
        named && writes && self.is_stored()
    }

    fn has_rehearsal(&self) -> bool {
        let changes = match self.info.verb {
            "update" | "patch" => self.is_stored(),
            "create" => self.info.subresource.is_empty() && self.is_named_by_the_cluster(),
            _ => false,
        };
        self.info.is_resource && changes && !self.body.is_empty()
    }

    fn is_stored(&self) -> bool {
        STORED.contains(&&*self.info.subresource)
    }

    /// `generateName` without a name: the API server makes one up.
    fn is_named_by_the_cluster(&self) -> bool {
        let metadata = self.tree.as_ref().and_then(|tree| tree.get("metadata"));
        let given = |key| {
            metadata
                .and_then(|metadata| metadata.get(key))
                .and_then(Node::as_str)
                .is_some_and(|text| !text.is_empty())
        };
        given("generateName") && !given("name")
    }

    /// The body with the precondition; none if there is nothing to bind it to.
    fn bind(&self) -> Option<Bytes> {
        let tree = match self.info.verb {
            "delete" => self.bound_delete()?,
            "create" => {
                let name = metadata(self.object.as_deref()?, "name")?;
                with_metadata(self.tree.as_deref()?, "name", name)
            }
            "update" | "patch" => {
                let version = metadata(self.object.as_deref()?, "resourceVersion");
                let old = match &self.old {
                    Old::Known(old) => metadata(old, "resourceVersion"),
                    _ => None,
                };
                self.bound_to_version(version.or(old)?)?
            }
            _ => return None,
        };
        Some(tree.to_json().into())
    }

    /// Whatever the client says of the version: its dry run succeeded, so it said this one,
    /// or one that means any (`0`, none, a patch that removes it).
    fn bound_to_version(&self, version: &str) -> Option<Node> {
        const POINTER: &str = "/metadata/resourceVersion";
        let tree = self.tree.as_deref()?;
        if self.media != Media::JsonPatch {
            return Some(with_metadata(tree, "resourceVersion", version));
        }
        let mut operations = tree.items().to_vec();
        operations.push(object([
            ("op", text("add")),
            ("path", text(POINTER)),
            ("value", text(version)),
        ]));
        Some(Node::Array(operations))
    }

    /// `DeleteOptions` with the judged object's UID. A body makes the API server ignore the
    /// query, so what stands there moves into the body.
    fn bound_delete(&self) -> Option<Node> {
        let Old::Known(old) = &self.old else {
            return None;
        };
        let uid = metadata(old, "uid")?;
        let mut entries = match self.tree.as_deref() {
            Some(tree) => tree.entries().to_vec(),
            None => self
                .delete_options
                .iter()
                .map(|(name, value)| ((*name).into(), delete_option(name, value)))
                .collect(),
        };
        let mut preconditions = Vec::new();
        if let Some(at) = entries
            .iter()
            .position(|(key, _)| &**key == "preconditions")
        {
            let (_, given) = entries.remove(at);
            preconditions = given.entries().to_vec();
        }
        if preconditions.iter().any(|(key, _)| &**key == "uid") {
            return None;
        }
        preconditions.push(("uid".into(), text(uid)));
        entries.push(("preconditions".into(), Node::Object(preconditions)));
        Some(Node::Object(entries))
    }
}

fn items_of(list: &Node) -> &[Node] {
    list.get("items").map(Node::items).unwrap_or_default()
}

fn delete_option(name: &str, value: &str) -> Node {
    match name {
        "dryRun" => Node::Array(vec![text(value)]),
        "gracePeriodSeconds" => Node::Number(value.into()),
        "orphanDependents" => Node::Bool(value == "true"),
        _ => text(value),
    }
}

fn metadata<'a>(object: &'a Node, key: &str) -> Option<&'a str> {
    object
        .at(&["metadata", key])
        .and_then(Node::as_str)
        .filter(|text| !text.is_empty())
}

/// The tree with a field of its metadata set.
fn with_metadata(tree: &Node, key: &str, value: &str) -> Node {
    let mut entries = tree.entries().to_vec();
    let mut fields = match entries.iter().position(|(name, _)| &**name == "metadata") {
        Some(at) => entries.remove(at).1.entries().to_vec(),
        None => Vec::new(),
    };
    fields.retain(|(name, _)| &**name != key);
    fields.push((key.into(), text(value)));
    entries.push(("metadata".into(), Node::Object(fields)));
    Node::Object(entries)
}

fn text(value: &str) -> Node {
    Node::String(value.into())
}

fn object<const N: usize>(fields: [(&str, Node); N]) -> Node {
    Node::Object(
        fields
            .into_iter()
            .map(|(key, value)| (key.into(), value))
            .collect(),
    )
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

    const POD: &str = "/api/v1/namespaces/f/pods/p";
    const OLD: &str = r#"{"kind":"Pod","metadata":{"name":"p","uid":"u","resourceVersion":"5"}}"#;

    fn tree(text: &str) -> Node {
        json::parse(text.as_bytes()).unwrap()
    }

    fn old() -> Old {
        Old::Known(Arc::new(tree(OLD)))
    }

    fn judged(ask: Ask, result: Option<&str>, old: Old) -> Ask {
        ask.judged_on(result.map(tree), old, &Embedders::default())
            .unwrap()
    }

    fn sent(ask: &Ask) -> &str {
        std::str::from_utf8(ask.sent_body()).unwrap()
    }

    #[test]
    fn what_is_asked_of_the_cluster_follows_from_the_ask() {
        for (method, target, body, look, run) in [
            ("GET", POD, "", "", ""),
            (
                "POST",
                "/api/v1/namespaces/f/pods",
                r#"{"metadata":{"name":"a"}}"#,
                "",
                "",
            ),
            (
                "POST",
                "/api/v1/namespaces/f/pods?fieldManager=m",
                r#"{"metadata":{"generateName":"a-"}}"#,
                "",
                "/api/v1/namespaces/f/pods?dryRun=All&fieldManager=m",
            ),
            (
                "POST",
                "/api/v1/namespaces/f/pods",
                r#"{"metadata":{"generateName":"a-","name":"a"}}"#,
                "",
                "",
            ),
            (
                "PUT",
                POD,
                "{}",
                POD,
                "/api/v1/namespaces/f/pods/p?dryRun=All",
            ),
            (
                "PATCH",
                "/api/v1/namespaces/f/pods/p?dryRun=All",
                "{}",
                POD,
                "/api/v1/namespaces/f/pods/p?dryRun=All",
            ),
            (
                "PATCH",
                "/api/v1/namespaces/f/pods/p/ephemeralcontainers",
                "{}",
                POD,
                "/api/v1/namespaces/f/pods/p/ephemeralcontainers?dryRun=All",
            ),
            (
                "PUT",
                "/apis/apps/v1/namespaces/f/deployments/status/status",
                "{}",
                "/apis/apps/v1/namespaces/f/deployments/status",
                "/apis/apps/v1/namespaces/f/deployments/status/status?dryRun=All",
            ),
            (
                "PATCH",
                "/apis/apps/v1/namespaces/f/deployments/d/scale",
                "{}",
                "/apis/apps/v1/namespaces/f/deployments/d/scale",
                "/apis/apps/v1/namespaces/f/deployments/d/scale?dryRun=All",
            ),
            (
                "PUT",
                "/apis/kubevirt.io/v1/namespaces/f/vms/v/start",
                "{}",
                "",
                "",
            ),
            ("DELETE", POD, "", POD, ""),
            ("DELETE", "/api/v1/namespaces/f/pods", "", "", ""),
            ("POST", "/api/v1/namespaces/f/pods/p/eviction", "{}", "", ""),
            (
                "POST",
                "/api/v1/namespaces/f/pods/p/exec?command=ls",
                "",
                "",
                "",
            ),
        ] {
            let ask = Ask::for_test("c", method, target, body);
            let shown = |ask: Option<Ask>| match ask {
                None => String::new(),
                Some(ask) if ask.query.is_empty() => ask.info.path,
                Some(ask) => format!("{}?{}", ask.info.path, ask.query),
            };
            assert!(
                ask.look().is_none_or(|look| look.is_read()),
                "{method} {target}"
            );
            assert!(
                ask.rehearsal().is_none_or(|run| run.dry_run()),
                "{method} {target}"
            );
            assert_eq!(
                (shown(ask.look()).as_str(), shown(ask.rehearsal()).as_str()),
                (look, run),
                "{method} {target}"
            );
            let listed = ask.info.verb == "deletecollection";
            let foreseen = listed || !look.is_empty() || !run.is_empty();
            assert_eq!(ask.is_foreseen(), foreseen, "{method} {target}");
            assert_eq!(ask.can_be_foreseen(), Ok(()), "{method} {target}");
        }
        let patch = Ask::for_test(
            "c",
            "PATCH",
            "/apis/kubevirt.io/v1/namespaces/f/vms/v/start",
            "{}",
        );
        assert!(patch.can_be_foreseen().is_err() && !patch.is_foreseen());
    }

    #[test]
    fn threat_14_every_write_is_bound_to_the_object_that_was_judged() {
        for (method, body, expected) in [
            (
                "PUT",
                r#"{"spec":{}}"#,
                r#"{"spec":{},"metadata":{"resourceVersion":"5"}}"#,
            ),
            (
                "PATCH",
                r#"{"metadata":{"resourceVersion":"0","name":"p"}}"#,
                r#"{"metadata":{"name":"p","resourceVersion":"5"}}"#,
            ),
            (
                "PATCH",
                r#"{"metadata":null}"#,
                r#"{"metadata":{"resourceVersion":"5"}}"#,
            ),
            (
                "PATCH",
                r#"[{"op":"remove","path":"/metadata/resourceVersion"}]"#,
                r#"[{"op":"remove","path":"/metadata/resourceVersion"},{"op":"add","path":"/metadata/resourceVersion","value":"5"}]"#,
            ),
        ] {
            let ask = Ask::for_test("c", method, POD, body);
            let judged = judged(ask, Some(OLD), old());
            assert!(judged.is_bound(), "{body}");
            assert_eq!(judged.is_json_patch(), body.starts_with('['));
            assert_eq!(judged.sent_content_type(), judged.content_type());
            assert_eq!(sent(&judged), expected);
            assert_eq!(
                judged.body(),
                body,
                "approvals are about what was asked for"
            );
            // The next rehearsal is of what was asked for, too.
            assert_eq!(sent(&judged.rehearsal().unwrap()), body);
        }
    }

    #[test]
    fn threat_14_a_patch_means_what_comes_of_it_and_not_what_it_says() {
        let deployment = "/apis/apps/v1/namespaces/f/deployments/d";
        let result = |spec: &str| format!(r#"{{"spec":{{"template":{{"spec":{spec}}}}}}}"#);
        let of = |body: &str, spec: &str| {
            let ask = Ask::for_test("c", "PATCH", deployment, body);
            judged(ask, Some(&result(spec)), Old::Unknown).facts
        };
        let moves = r#"[{"op":"move","from":"/spec/a","path":"/spec/template/spec/hostPID"}]"#;
        assert!(
            !Ask::for_test("c", "PATCH", deployment, moves)
                .facts
                .object
                .unclear
                .is_empty()
        );
        let harmless = of(moves, "{}");
        assert!(harmless.object.unclear.is_empty() && harmless.object.host_namespaces.is_empty());
        assert_eq!(
            of(moves, r#"{"hostPID":true}"#)
                .object
                .host_namespaces
                .len(),
            1
        );
        let label = r#"{"metadata":{"labels":{"a":"b"}}}"#;
        let volumes = r#"{"volumes":[{"name":"v","hostPath":{"path":"/"}}]}"#;
        assert_eq!(of(label, volumes).object.host_path.len(), 1);

        // What the request says by itself stays.
        let exec = "/api/v1/namespaces/f/pods/p/ephemeralcontainers";
        let ask = judged(Ask::for_test("c", "PATCH", exec, "{}"), Some(OLD), old());
        assert!(ask.facts.exec_like);
    }

    #[test]
    fn a_deletion_is_bound_to_the_object_and_keeps_its_options() {
        let delete = |target: &str, body: &str| {
            judged(Ask::for_test("c", "DELETE", target, body), None, old())
        };
        let ask = delete(POD, "");
        assert_eq!(sent(&ask), r#"{"preconditions":{"uid":"u"}}"#);
        assert_eq!(ask.sent_content_type(), Some("application/json"));
        let options = "gracePeriodSeconds=0&propagationPolicy=Orphan";
        assert_eq!(
            sent(&delete(&format!("{POD}?{options}"), "")),
            r#"{"gracePeriodSeconds":0,"propagationPolicy":"Orphan","preconditions":{"uid":"u"}}"#
        );
        let options = "dryRun=All&orphanDependents=0";
        assert_eq!(
            sent(&delete(&format!("{POD}?{options}"), "")),
            r#"{"dryRun":["All"],"orphanDependents":false,"preconditions":{"uid":"u"}}"#
        );
        assert_eq!(
            sent(&delete(POD, r#"{"preconditions":{"resourceVersion":"5"}}"#)),
            r#"{"preconditions":{"resourceVersion":"5","uid":"u"}}"#
        );
        assert!(!delete(POD, r#"{"preconditions":{"uid":"mine"}}"#).is_bound());
        let unknown = judged(Ask::for_test("c", "DELETE", POD, ""), None, Old::Unknown);
        assert!(!unknown.is_bound() && sent(&unknown).is_empty());
    }

    #[test]
    fn a_generated_name_is_the_one_that_was_judged() {
        let body = r#"{"metadata":{"generateName":"a-"}}"#;
        let ask = Ask::for_test("c", "POST", "/api/v1/namespaces/f/pods", body);
        let judged = judged(ask, Some(r#"{"metadata":{"name":"a-x7"}}"#), Old::Unknown);
        assert_eq!(
            sent(&judged),
            r#"{"metadata":{"generateName":"a-","name":"a-x7"}}"#
        );
    }
}
