//! Files of decision cases → cases with their places. Part of `config`; says what is wrong
//! with a file, and judges nothing: `suppose` does.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::diagnostic::{Diagnostic, nearest};
use super::node::{self, Source};
use super::shape;
use crate::decide::PolicySet;
use crate::decide::policy::ApiVersion;

/// Cases for `gateward policy test`: who asks for what, and what the rules should say.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyTest {
    /// The version of this document's format.
    pub api_version: ApiVersion,
    /// The kind of this document.
    pub kind: PolicyTestKind,
    /// What holds for every case that does not say otherwise.
    #[serde(default)]
    pub defaults: Defaults,
    /// The cases, at least one.
    pub cases: Vec<Case>,
}

/// The kind of a document of cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PolicyTestKind {
    /// Cases.
    PolicyTest,
}

/// What holds for every case that does not say otherwise.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Defaults {
    /// Who asks.
    pub caller: Names,
    /// The cluster's name. Default: `test`.
    pub cluster: Option<String>,
    /// The time, as RFC 3339. Default: 1970-01-01T00:00:00Z.
    pub now: Option<String>,
}

/// Who asks, by the names that rules know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Names {
    /// The agent's user name.
    pub agent: Option<String>,
    /// The user name of whom it acts for; empty for nobody.
    pub principal: Option<String>,
    /// Its groups.
    pub groups: Option<Vec<String>>,
    /// The issuer's URL.
    pub issuer: Option<String>,
    /// Its uid.
    pub uid: Option<String>,
    /// Its other attributes.
    pub extra: Option<BTreeMap<String, Vec<String>>>,
}

/// A request, as `ask` or as `manifest`, and what the rules should say to it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Case {
    /// Its name in reports. Default: the request.
    #[serde(default)]
    pub name: Option<String>,
    /// Who asks; what is left out is as in `defaults`.
    #[serde(default)]
    pub caller: Names,
    /// The cluster's name.
    #[serde(default)]
    pub cluster: Option<String>,
    /// The time, as RFC 3339.
    #[serde(default)]
    pub now: Option<String>,
    /// The request's line: method, path and query, `GET /api/v1/namespaces/web/pods?watch=1`.
    #[serde(default)]
    pub ask: Option<String>,
    /// The request's body; a text is sent as it is. Default: for POST, PUT and PATCH an empty
    /// object.
    #[serde(default)]
    pub body: Option<Value>,
    /// The body's content type. Default: `application/json`; for PATCH a JSON Patch if the
    /// body is a list, else a merge patch.
    #[serde(default)]
    pub content_type: Option<String>,
    /// An object as kubectl takes it, instead of `ask`.
    #[serde(default)]
    pub manifest: Option<Value>,
    /// What is done with the manifest. Default: `create`.
    #[serde(default)]
    pub verb: Option<ManifestVerb>,
    /// The resource of the manifest's kind, in the plural; only needed for kinds that are not
    /// Kubernetes' own.
    #[serde(default)]
    pub resource: Option<String>,
    /// The subresource that the manifest goes to.
    #[serde(default)]
    pub subresource: Option<String>,
    /// What comes of a write, as the cluster's dry run would tell. Default: for a create or an
    /// update what is sent; of a patch only what it says is known.
    #[serde(default)]
    pub object: Option<Value>,
    /// The object before the write. Default: none if `object` is given, else it is not known.
    #[serde(default)]
    pub old_object: Option<Value>,
    /// What the service accounts of its pods may do, as in `facts.rbac.grants`: `secrets`,
    /// `exec`, … Default: it is not known.
    #[serde(default)]
    pub service_account_grants: Option<Vec<String>>,
    /// What the rules should say.
    pub verdict: Expected,
    /// The rule that should decide. Default: any.
    #[serde(default)]
    pub rule: Option<String>,
    /// The policy of that rule. Default: any.
    #[serde(default)]
    pub policy: Option<String>,
}

/// What is done with a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ManifestVerb {
    /// POST, as `kubectl create`.
    Create,
    /// PUT, as `kubectl replace`.
    Update,
    /// PATCH with the manifest as a merge patch.
    Patch,
    /// Server-side apply, as `kubectl apply --server-side`.
    Apply,
    /// DELETE, as `kubectl delete -f`.
    Delete,
    /// GET, as `kubectl get -f`.
    Get,
}

/// What rules say to a request.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Expected {
    /// A rule allows it, and none holds or denies it.
    Allow,
    /// A rule holds it, and none denies it.
    Hold,
    /// A rule denies it.
    Deny,
    /// No rule allows it.
    Default,
    /// A rule's condition cannot be evaluated, and it is refused.
    Failed,
    /// The gate refuses it before any rule is asked.
    Refused,
}

/// One case of a file, the defaults filled in.
#[derive(Debug, Clone)]
pub struct CaseAt {
    /// The case; its caller, cluster and time are complete.
    pub case: Case,
    /// The time.
    pub now: Timestamp,
    /// The line at which it stands, from 1.
    pub line: u32,
    field: String,
    source: Arc<Source>,
}

impl CaseAt {
    /// A problem of a field of the case; empty for the case as a whole.
    pub fn problem(&self, field: &str, message: String, suggestion: Option<String>) -> Diagnostic {
        let field = match field {
            "" => self.field.clone(),
            field => format!("{}.{field}", self.field),
        };
        self.source.problem(&field, message, suggestion)
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.source.file
    }
}

/// Reads files of cases. The rules that they expect must be among those of `policy`.
///
/// # Errors
/// Everything that is wrong with the file.
pub fn load_cases(file: &Path, policy: &PolicySet) -> Result<Vec<CaseAt>, Vec<Diagnostic>> {
    let sources = node::read(file).map_err(|problem| vec![problem])?;
    let mut problems = Vec::new();
    let mut cases = Vec::new();
    for source in sources {
        let Some(test) = shape::typed::<PolicyTest>(&source, &mut problems) else {
            continue;
        };
        let source = Arc::new(source);
        if test.cases.is_empty() {
            problems.push(source.problem("cases", "there is no case".to_owned(), None));
        }
        for (index, case) in test.cases.into_iter().enumerate() {
            let field = format!("cases[{index}]");
            let at = CaseAt {
                line: source.problem(&field, String::new(), None).line,
                case: with_defaults(case, &test.defaults),
                now: Timestamp::UNIX_EPOCH,
                field,
                source: source.clone(),
            };
            cases.extend(checked(at, policy, &mut problems));
        }
    }
    if cases.is_empty() && problems.is_empty() {
        let message = "holds no cases".to_owned();
        let suggestion = Some("write a document of kind PolicyTest".to_owned());
        problems.push(Diagnostic::of_file(file, message, suggestion));
    }
    match problems.is_empty() {
        true => Ok(cases),
        false => Err(problems),
    }
}

fn with_defaults(mut case: Case, defaults: &Defaults) -> Case {
    let (mine, theirs) = (case.caller, defaults.caller.clone());
    case.caller = Names {
        agent: mine.agent.or(theirs.agent),
        principal: mine.principal.or(theirs.principal),
        groups: mine.groups.or(theirs.groups),
        issuer: mine.issuer.or(theirs.issuer),
        uid: mine.uid.or(theirs.uid),
        extra: mine.extra.or(theirs.extra),
    };
    case.cluster = case
        .cluster
        .or_else(|| defaults.cluster.clone())
        .or_else(|| Some("test".to_owned()));
    case.now = case.now.or_else(|| defaults.now.clone());
    case
}

/// None only if something was noted.
fn checked(mut at: CaseAt, policy: &PolicySet, problems: &mut Vec<Diagnostic>) -> Option<CaseAt> {
    let before = problems.len();
    let case = &at.case;
    if case.caller.agent.as_deref().unwrap_or_default().is_empty() {
        problems.push(at.problem(
            "caller.agent",
            "nobody asks".to_owned(),
            Some("name an agent here, or under defaults.caller".to_owned()),
        ));
    }
    for (field, given) in of_manifests(case) {
        if given && case.manifest.is_none() {
            problems.push(at.problem(
                field,
                format!("\"{field}\" is about a manifest, and there is none"),
                Some("say it in \"ask\"".to_owned()),
            ));
        }
    }
    if case.ask.is_some() == case.manifest.is_some() {
        problems.push(at.problem(
            "",
            "a case has either \"ask\" or \"manifest\"".to_owned(),
            Some("write ask: GET /api/v1/namespaces/web/pods".to_owned()),
        ));
    }
    for (field, given) in [
        ("body", case.body.is_some()),
        ("contentType", case.content_type.is_some()),
    ] {
        if given && case.manifest.is_some() {
            let message = format!("the manifest is the body: \"{field}\" has no place here");
            problems.push(at.problem(field, message, Some("remove it".to_owned())));
        }
    }
    expectation(&at, policy, problems);
    let now = at.case.now.as_deref().map(str::parse::<Timestamp>);
    match now.unwrap_or(Ok(Timestamp::UNIX_EPOCH)) {
        Ok(now) => at.now = now,
        Err(error) => problems.push(at.problem(
            "now",
            format!("is not a time: {error}"),
            Some("write it like 2026-11-24T09:30:00Z".to_owned()),
        )),
    }
    (problems.len() == before).then_some(at)
}

fn of_manifests(case: &Case) -> [(&'static str, bool); 3] {
    [
        ("verb", case.verb.is_some()),
        ("resource", case.resource.is_some()),
        ("subresource", case.subresource.is_some()),
    ]
}

/// A misspelled rule would fail for the wrong reason, or never.
fn expectation(at: &CaseAt, policy: &PolicySet, problems: &mut Vec<Diagnostic>) {
    let case = &at.case;
    let by_rule = !matches!(case.verdict, Expected::Default | Expected::Refused);
    for (field, wanted) in [("rule", &case.rule), ("policy", &case.policy)] {
        let Some(wanted) = wanted.as_deref() else {
            continue;
        };
        let known = || {
            policy.rules().filter_map(move |(of, rule)| match field {
                "policy" => Some(of),
                _ => (case.policy.as_deref().is_none_or(|policy| policy == of)).then_some(rule),
            })
        };
        if !by_rule && !wanted.is_empty() {
            let message = "no rule decides, if this is the verdict".to_owned();
            problems.push(at.problem(field, message, Some("remove it".to_owned())));
        } else if by_rule && !known().any(|name| name == wanted) {
            let mut names: Vec<&str> = known().collect();
            names.dedup();
            let near = nearest(wanted, names.into_iter()).filter(|text| text.starts_with("did"));
            let message = format!("there is no {field} \"{wanted}\" among the policies given");
            problems.push(at.problem(field, message, near));
        }
    }
}
