//! What a request is judged on beside its object: which objects the deletion of a collection
//! would delete, and what the service accounts of its pods may do. Each is found by questions
//! to the cluster, one after the other.
//!
//! The questions are reads, made here and only out of the ask itself; `foresee` sends them as
//! the caller and brings the answers. It decides nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::{Ask, Node, Old, RequestInfo, facts};
use crate::parse::facts::Finding;
use crate::refusal::Refusal;

/// The most objects that one request may delete.
pub const MOST_DELETED: usize = 10_000;

/// How many objects one answer lists.
const PAGE: usize = 500;

/// The most roles that are read for one request.
const MOST_ROLES: usize = 50;

/// Names and versions are enough; a server that cannot say so little says all.
const PARTIAL: &str =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

const RBAC: &str = "rbac.authorization.k8s.io";

/// Roles that every cluster binds to everybody, and restores at each start of its API server.
const OF_EVERYBODY: [&str; 4] = [
    "system:basic-user",
    "system:discovery",
    "system:public-info-viewer",
    "system:service-account-issuer-discovery",
];

impl Ask {
    /// Begins to list what this deletion of a collection would delete; none if it is no such
    /// deletion.
    pub fn collection(&self) -> Option<Collection> {
        self.has_collection().then(|| Collection {
            of: self.reading(list_of(&self.info), String::new(), PARTIAL),
            selectors: selectors(&self.query),
            items: Vec::new(),
            next: Some(String::new()),
        })
    }

    pub(super) fn has_collection(&self) -> bool {
        self.info.is_resource && self.info.verb == "deletecollection"
    }

    /// Begins to read what the service accounts of its pods may do; none if it makes no pods,
    /// or none in a namespace.
    pub fn rights(&self) -> Option<Rights> {
        let accounts = &self.facts.object.service_accounts;
        let makes = matches!(self.info.verb, "create" | "update" | "patch");
        if accounts.is_empty() || !makes || self.info.namespace.is_empty() {
            return None;
        }
        Some(Rights {
            of: self.reading(self.info.clone(), String::new(), "application/json"),
            names: accounts.iter().map(|it| it.name.clone()).collect(),
            open: vec![Role::bindings(&self.info.namespace), Role::bindings("")],
            bound: BTreeMap::new(),
            grants: BTreeMap::new(),
            known: true,
        })
    }

    /// This request, with what its service accounts may do.
    #[must_use]
    pub fn with_rights(mut self, rights: Rights) -> Self {
        let object = &mut self.facts.object;
        object.service_account_grants_known = rights.known;
        object.service_account_grants = object
            .service_accounts
            .iter()
            .flat_map(|account| {
                let grants = rights.grants.get(&account.name).into_iter().flatten();
                grants.map(|grant| Finding {
                    field: account.field.clone(),
                    value: (*grant).to_owned(),
                })
            })
            .collect();
        self
    }
}

impl Ask {
    /// This request, if all its service accounts might do this.
    #[must_use]
    pub fn supposing(mut self, grants: &[String]) -> Self {
        let object = &mut self.facts.object;
        object.service_account_grants_known = true;
        object.service_account_grants = object
            .service_accounts
            .iter()
            .flat_map(|account| {
                grants.iter().map(|grant| Finding {
                    field: account.field.clone(),
                    value: grant.clone(),
                })
            })
            .collect();
        self
    }
}

/// The objects that a deletion of a collection matches, as far as they are listed.
#[derive(Debug)]
pub struct Collection {
    of: Ask,
    selectors: String,
    items: Vec<Node>,
    /// Where the next page begins; none after the last one.
    next: Option<String>,
}

impl Collection {
    /// The next page to ask for; none when all is listed.
    pub fn question(&self) -> Option<Ask> {
        let next = self.next.as_deref()?;
        let mut query = format!("{}limit={PAGE}", self.selectors);
        if !next.is_empty() {
            let next: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
            let _ = write!(query, "&continue={next}");
        }
        Some(Ask {
            query,
            ..self.of.clone()
        })
    }

    /// Takes the answer; none if the cluster gave none.
    ///
    /// # Errors
    /// [`Refusal::NotForeseen`]: nobody can tell what would be deleted, or it is too much.
    pub fn answer(&mut self, page: Option<&Node>) -> Result<(), Refusal> {
        let Some(page) = page else {
            return Err(Refusal::NotForeseen {
                what: "what it would delete cannot be listed; who deletes a collection needs the \
                       right to list it",
                inside: "a list was refused".to_owned(),
            });
        };
        for item in page.get("items").map(Node::items).unwrap_or_default() {
            let metadata = item.get("metadata").map(Node::entries).unwrap_or_default();
            let named =
                |(key, _): &&(Box<str>, Node)| matches!(&**key, "namespace" | "name" | "uid");
            let kept = metadata.iter().filter(named).cloned().collect();
            self.items
                .push(Node::Object(vec![("metadata".into(), Node::Object(kept))]));
        }
        if self.items.len() > MOST_DELETED {
            return Err(Refusal::NotForeseen {
                what: "it would delete more than 10000 objects at once; narrow it with a selector",
                inside: format!("{} objects and more", self.items.len()),
            });
        }
        let next = page.at(&["metadata", "continue"]).and_then(Node::as_str);
        self.next = next.filter(|next| !next.is_empty()).map(str::to_owned);
        Ok(())
    }

    /// What is deleted, as the object before the deletion: in order, so that the same objects
    /// are the same list.
    pub fn finish(mut self) -> Old {
        let key = |item: &Node| {
            ["namespace", "name", "uid"].map(|key| {
                let text = item.at(&["metadata", key]).and_then(Node::as_str);
                text.unwrap_or_default().to_owned()
            })
        };
        self.items.sort_by_cached_key(key);
        let list = vec![
            ("kind".into(), Node::String("List".into())),
            ("items".into(), Node::Array(self.items)),
        ];
        Old::Known(Node::Object(list).into())
    }
}

/// What the service accounts of a request's pods may do, as far as it is read.
#[derive(Debug)]
pub struct Rights {
    of: Ask,
    /// The accounts, all in the request's namespace.
    names: BTreeSet<String>,
    open: Vec<Role>,
    /// To whom each role that is read is bound.
    bound: BTreeMap<Role, BTreeSet<String>>,
    grants: BTreeMap<String, BTreeSet<&'static str>>,
    known: bool,
}

/// A role, or the bindings of a namespace (an empty one: of the cluster).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Role {
    resource: &'static str,
    namespace: String,
    name: String,
}

impl Role {
    fn bindings(namespace: &str) -> Self {
        Self {
            resource: match namespace {
                "" => "clusterrolebindings",
                _ => "rolebindings",
            },
            namespace: namespace.to_owned(),
            name: String::new(),
        }
    }
}

impl Rights {
    /// The next question; none when there is none left.
    pub fn question(&self) -> Option<Ask> {
        let role = self.open.last()?;
        let namespace = match &*role.namespace {
            "" => String::new(),
            namespace => format!("/namespaces/{namespace}"),
        };
        let mut path = format!("/apis/{RBAC}/v1{namespace}/{}", role.resource);
        let (verb, query) = match &*role.name {
            "" => ("list", format!("limit={PAGE}")),
            name => {
                let _ = write!(path, "/{name}");
                ("get", String::new())
            }
        };
        let info = RequestInfo {
            is_resource: true,
            verb,
            api_group: RBAC.to_owned(),
            api_version: "v1".to_owned(),
            resource: role.resource.to_owned(),
            subresource: String::new(),
            namespace: role.namespace.clone(),
            name: role.name.clone(),
            path,
        };
        Some(self.of.reading(info, query, "application/json"))
    }

    /// Takes the answer; none if the cluster gave none, above all because the caller may not
    /// read it. A role that is gone grants nothing, and is an answer too: an empty object.
    pub fn answer(&mut self, found: Option<&Node>) {
        let (Some(role), Some(found)) = (self.open.pop(), found) else {
            self.known = false;
            return;
        };
        if role.name.is_empty() {
            let more = found.at(&["metadata", "continue"]).and_then(Node::as_str);
            self.known &= more.unwrap_or_default().is_empty();
            for binding in found.get("items").map(Node::items).unwrap_or_default() {
                self.binding(binding, &role.namespace);
            }
            return;
        }
        let grants = facts::grants(found);
        for account in self.bound.get(&role).into_iter().flatten() {
            let all = self.grants.entry(account.clone()).or_default();
            all.extend(&grants);
        }
    }

    fn binding(&mut self, binding: &Node, namespace: &str) {
        let role = |key| binding.at(&["roleRef", key]).and_then(Node::as_str);
        let (Some(kind), Some(name)) = (role("kind"), role("name")) else {
            return;
        };
        let subjects = binding.get("subjects").map(Node::items).unwrap_or_default();
        let own = &self.of.info.namespace;
        let bound = |account: &&String| subjects.iter().any(|it| names(it, own, account));
        let accounts: Vec<String> = self.names.iter().filter(bound).cloned().collect();
        if accounts.is_empty() || OF_EVERYBODY.contains(&name) {
            return;
        }
        let role = match kind {
            "Role" => Role {
                resource: "roles",
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            },
            _ => Role {
                resource: "clusterroles",
                namespace: String::new(),
                name: name.to_owned(),
            },
        };
        if !is_segment(name) || self.bound.len() >= MOST_ROLES {
            self.known = false;
            return;
        }
        if !self.bound.contains_key(&role) {
            self.open.push(role.clone());
        }
        self.bound.entry(role).or_default().extend(accounts);
    }
}

/// Whether a subject of a binding is this service account, or a group in which it is.
fn names(subject: &Node, namespace: &str, account: &str) -> bool {
    let text = |key| subject.get(key).and_then(Node::as_str).unwrap_or_default();
    match (text("kind"), text("name")) {
        ("ServiceAccount", name) => name == account && text("namespace") == namespace,
        ("User", name) => {
            let rest = name.strip_prefix("system:serviceaccount:");
            rest.and_then(|rest| rest.strip_prefix(namespace))
                .and_then(|rest| rest.strip_prefix(':'))
                == Some(account)
        }
        ("Group", name) => match name.strip_prefix("system:serviceaccounts") {
            Some("") => true,
            Some(rest) => rest.strip_prefix(':') == Some(namespace),
            None => name == "system:authenticated",
        },
        _ => false,
    }
}

/// Whether a role's name can stand in a path as it is: those of the API server can, save for
/// what is encoded differently by whoever writes the path.
fn is_segment(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':');
    !matches!(name, "" | "." | "..") && name.bytes().all(plain)
}

fn list_of(info: &RequestInfo) -> RequestInfo {
    RequestInfo {
        verb: "list",
        ..info.clone()
    }
}

/// Those parameters of a canonical query that choose objects, each with an `&` behind.
fn selectors(query: &str) -> String {
    let chooses = |pair: &&str| {
        let name = pair.split('=').next();
        matches!(name, Some("labelSelector" | "fieldSelector"))
    };
    let pairs = query.split('&').filter(chooses);
    pairs.flat_map(|pair| [pair, "&"]).collect()
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
    use crate::parse::{Embedders, json};

    fn tree(text: &str) -> Node {
        json::parse(text.as_bytes()).unwrap()
    }

    fn target(ask: &Ask) -> String {
        match ask.query() {
            "" => ask.info().path.clone(),
            query => format!("{}?{query}", ask.info().path),
        }
    }

    const DELETION: &str = "/api/v1/namespaces/f/pods?labelSelector=app%3Dx&dryRun=All&fieldSelector=spec.nodeName%3Dn";

    #[test]
    fn a_collection_is_listed_page_by_page_by_the_same_selectors() {
        let ask = Ask::for_test("prod", "DELETE", DELETION, "");
        let mut collection = ask.collection().unwrap();
        let first = collection.question().unwrap();
        assert!(first.is_read());
        assert_eq!(first.info().verb, "list");
        let page = "/api/v1/namespaces/f/pods?fieldSelector=spec.nodeName%3Dn&labelSelector=app%3Dx&limit=500";
        let sorted = |target: &str| {
            let (path, query) = target.split_once('?').unwrap();
            let mut pairs: Vec<_> = query.split('&').map(str::to_owned).collect();
            pairs.sort();
            (path.to_owned(), pairs)
        };
        assert_eq!(sorted(&target(&first)), sorted(page));
        let item = |name: &str| {
            format!(
                r#"{{"metadata":{{"name":"{name}","uid":"u-{name}","labels":{{}}}},"spec":{{}}}}"#
            )
        };
        let list = tree(&format!(
            r#"{{"metadata":{{"continue":"a b"}},"items":[{},{}]}}"#,
            item("b"),
            item("c")
        ));
        collection.answer(Some(&list)).unwrap();
        assert!(target(&collection.question().unwrap()).ends_with("&continue=a+b"));
        let list = tree(&format!(r#"{{"metadata":{{}},"items":[{}]}}"#, item("a")));
        collection.answer(Some(&list)).unwrap();
        assert!(collection.question().is_none());
        let ask = ask
            .judged_on(None, collection.finish(), &Embedders::default())
            .unwrap();
        assert_eq!(ask.facts().deleted_objects, 3);
        let Old::Known(list) = ask.old() else {
            panic!("{:?}", ask.old())
        };
        assert_eq!(
            String::from_utf8(list.to_json()).unwrap(),
            r#"{"kind":"List","items":[{"metadata":{"name":"a","uid":"u-a"}},{"metadata":{"name":"b","uid":"u-b"}},{"metadata":{"name":"c","uid":"u-c"}}]}"#
        );
        assert!(!ask.is_bound());
    }

    #[test]
    fn what_cannot_be_listed_or_is_too_much_is_refused() {
        let ask = Ask::for_test("prod", "DELETE", "/api/v1/namespaces/f/pods", "");
        let refused = ask.collection().unwrap().answer(None);
        assert!(matches!(refused, Err(Refusal::NotForeseen { .. })));
        let of = |objects: usize| {
            let items = vec!["{}"; objects].join(",");
            let list = tree(&format!(r#"{{"items":[{items}]}}"#));
            ask.collection().unwrap().answer(Some(&list))
        };
        assert_eq!(of(MOST_DELETED), Ok(()));
        let refused = of(MOST_DELETED + 1);
        assert!(matches!(refused, Err(Refusal::NotForeseen { .. })));
        assert!(
            Ask::for_test("prod", "DELETE", "/api/v1/namespaces/f/pods/p", "")
                .collection()
                .is_none()
        );
    }

    const POD: &str = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},"spec":{"serviceAccountName":"robot","containers":[{"name":"c","image":"i"}]}}"#;

    fn pod() -> Ask {
        Ask::for_test("prod", "POST", "/api/v1/namespaces/f/pods", POD)
    }

    /// Answers every question by its path; none for what is not there.
    fn asked(answers: &[(&str, &str)]) -> (Vec<String>, Ask) {
        let mut rights = pod().rights().unwrap();
        let mut questions = Vec::new();
        while let Some(question) = rights.question() {
            assert!(question.is_read());
            let path = question.info().path.clone();
            let answer = answers.iter().find(|(of, _)| path.ends_with(of));
            rights.answer(answer.map(|(_, answer)| tree(answer)).as_ref());
            questions.push(path);
        }
        (questions, pod().with_rights(rights))
    }

    fn found(ask: &Ask) -> (Vec<&str>, bool) {
        let object = &ask.facts().object;
        let grants = object.service_account_grants.iter();
        (
            grants.map(|found| &*found.value).collect(),
            object.service_account_grants_known,
        )
    }

    #[test]
    fn a_service_account_has_what_its_roles_grant() {
        let bindings = r#"{"items":[
            {"roleRef":{"kind":"Role","name":"reader"},"subjects":[{"kind":"ServiceAccount","namespace":"f","name":"robot"}]},
            {"roleRef":{"kind":"ClusterRole","name":"edit"},"subjects":[{"kind":"ServiceAccount","namespace":"g","name":"robot"}]},
            {"roleRef":{"kind":"ClusterRole","name":"view"},"subjects":[{"kind":"ServiceAccount","namespace":"f","name":"other"}]}]}"#;
        let everywhere = r#"{"items":[
            {"roleRef":{"kind":"ClusterRole","name":"system:discovery"},"subjects":[{"kind":"Group","name":"system:authenticated"}]},
            {"roleRef":{"kind":"ClusterRole","name":"all:exec"},"subjects":[{"kind":"Group","name":"system:serviceaccounts:f"}]},
            {"roleRef":{"kind":"ClusterRole","name":"others"},"subjects":[{"kind":"Group","name":"system:serviceaccounts:ff"}]}]}"#;
        let (questions, ask) = asked(&[
            ("namespaces/f/rolebindings", bindings),
            ("v1/clusterrolebindings", everywhere),
            (
                "namespaces/f/roles/reader",
                r#"{"rules":[{"apiGroups":[""],"resources":["secrets"],"verbs":["get"]}]}"#,
            ),
            (
                "v1/clusterroles/all:exec",
                r#"{"rules":[{"apiGroups":[""],"resources":["pods/exec"],"verbs":["create"]}]}"#,
            ),
        ]);
        assert_eq!(questions.len(), 4, "{questions:?}");
        assert_eq!(found(&ask), (vec!["exec", "secrets"], true));
        let field = &ask.facts().object.service_account_grants[0].field;
        assert_eq!(field, "spec.serviceAccountName");
    }

    #[test]
    fn a_service_account_is_meant_by_its_name_and_its_groups() {
        let (own, all) = ("system:serviceaccount", "system:serviceaccounts");
        for (kind, name, namespace, expected) in [
            ("ServiceAccount", "robot", "f", true),
            ("ServiceAccount", "robot", "g", false),
            ("ServiceAccount", "other", "f", false),
            ("User", &*format!("{own}:f:robot"), "", true),
            ("User", &*format!("{own}:ff:robot"), "", false),
            ("User", &*format!("{own}:f:other"), "", false),
            ("User", "robot", "", false),
            ("Group", all, "", true),
            ("Group", &*format!("{all}:f"), "", true),
            ("Group", &*format!("{all}:g"), "", false),
            ("Group", "system:authenticated", "", true),
            ("Group", "robot", "f", false),
            ("Robot", "robot", "f", false),
        ] {
            let subject =
                format!(r#"{{"kind":"{kind}","name":"{name}","namespace":"{namespace}"}}"#);
            assert_eq!(names(&tree(&subject), "f", "robot"), expected, "{subject}");
        }
    }

    #[test]
    fn of_many_roles_or_strange_ones_nothing_is_known() {
        let bound = |roles: &[String]| {
            let binding = |name: &String| {
                format!(
                    r#"{{"roleRef":{{"kind":"Role","name":"{name}"}},"subjects":[{{"kind":"Group","name":"system:serviceaccounts"}}]}}"#
                )
            };
            let items: Vec<String> = roles.iter().map(binding).collect();
            let bindings = format!(r#"{{"items":[{}]}}"#, items.join(","));
            let (questions, ask) = asked(&[
                ("v1/clusterrolebindings", r#"{"items":[]}"#),
                ("f/rolebindings", &bindings),
                ("-role", "{}"),
            ]);
            (questions.len(), found(&ask).1)
        };
        let many =
            |roles: usize| -> Vec<String> { (0..roles).map(|at| format!("{at}-role")).collect() };
        assert_eq!(bound(&many(MOST_ROLES)), (MOST_ROLES + 2, true));
        assert_eq!(bound(&many(MOST_ROLES + 1)), (MOST_ROLES + 2, false));
        assert_eq!(bound(&["a:b_c.d-role".to_owned()]), (3, true));
        for strange in ["..", "a/b-role", "a%b-role", "é-role"] {
            assert_eq!(bound(&[strange.to_owned()]), (2, false), "{strange}");
        }
    }

    #[test]
    fn nothing_is_read_for_what_makes_no_pods_or_makes_them_nowhere() {
        for (path, body) in [
            ("/api/v1/namespaces/f/configmaps", "{}"),
            ("/apis/x.io/v1/things", POD),
        ] {
            let ask = Ask::for_test("prod", "POST", path, body);
            assert!(ask.rights().is_none(), "{path}");
        }
    }

    #[test]
    fn what_the_caller_may_not_read_is_not_known() {
        let (_, ask) = asked(&[("namespaces/f/rolebindings", r#"{"items":[]}"#)]);
        assert_eq!(found(&ask), (vec![], false));
        let (_, ask) = asked(&[
            ("namespaces/f/rolebindings", r#"{"items":[]}"#),
            ("clusterrolebindings", r#"{"items":[]}"#),
        ]);
        assert_eq!(found(&ask), (vec![], true));
        // What has more pages than one is not known either.
        let (_, ask) = asked(&[
            (
                "namespaces/f/rolebindings",
                r#"{"metadata":{"continue":"x"},"items":[]}"#,
            ),
            ("clusterrolebindings", r#"{"items":[]}"#),
        ]);
        assert_eq!(found(&ask), (vec![], false));
        assert!(
            Ask::for_test("prod", "GET", "/api/v1/namespaces/f/pods", "")
                .rights()
                .is_none()
        );
    }
}
