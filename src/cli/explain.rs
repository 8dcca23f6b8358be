//! `gateward explain`: why a request is allowed, held or denied, and what would change that.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::past::Records;
use super::rules::{RuleFiles, said, text, unusable};
use crate::config::cases::ManifestVerb;
use crate::config::{self, Rules};
use crate::output::{Output, line, plain, print};
use crate::suppose::explain::{self, Explained};
use crate::suppose::replay::Replay;
use crate::suppose::{Manifest, Problem, Request, Supposed, Who, of_manifest};

/// Arguments of `explain`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    gateward explain --default-pack --agent coder 'DELETE /api/v1/namespaces/web'\n  \
    gateward explain --config gate.yaml --agent coder -f deployment.yaml --verb apply\n  \
    gateward explain --config gate.yaml --ledger data/ledger --record 01a210f3-0350-70e8-bb3d-49f5c8da39a4")]
pub struct Explain {
    /// The request's line: `GET /api/v1/namespaces/web/pods`
    #[arg(value_name = "REQUEST", conflicts_with_all = ["filename", "record"])]
    ask: Option<String>,
    /// A manifest as kubectl takes it; `-` is standard input
    #[arg(short, long, value_name = "FILE", conflicts_with = "record")]
    filename: Option<PathBuf>,
    /// The id of a record in the ledger
    #[arg(long, value_name = "ID")]
    record: Option<String>,
    #[command(flatten)]
    rules: RuleFiles,
    #[command(flatten)]
    caller: Caller,
    #[command(flatten)]
    more: More,
    /// Form of the result
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    records: Records,
}

/// Who asks, and where and when.
#[derive(Debug, Args)]
#[command(next_help_heading = "Who asks, where and when")]
struct Caller {
    /// The agent's name
    #[arg(long, required_unless_present = "record", conflicts_with = "record")]
    agent: Option<String>,
    /// The name of whom it acts for
    #[arg(long)]
    principal: Option<String>,
    /// A group of the caller; may be given again
    #[arg(long, value_name = "GROUP")]
    group: Vec<String>,
    /// The issuer's URL
    #[arg(long, default_value = "")]
    issuer: String,
    /// The cluster's name
    #[arg(long, default_value = "test")]
    cluster: String,
    /// The time, as RFC 3339; now if left out
    #[arg(long)]
    now: Option<Timestamp>,
}

/// More of the request, and of what it would meet.
#[derive(Debug, Args)]
#[command(next_help_heading = "More of the request")]
struct More {
    /// The body of REQUEST: a YAML or JSON file; `-` is standard input
    #[arg(long, value_name = "FILE", requires = "ask")]
    body: Option<PathBuf>,
    /// The body's content type
    #[arg(long, value_name = "TYPE", requires = "ask")]
    content_type: Option<String>,
    /// What is done with the manifest
    #[arg(long, value_enum, default_value = "create")]
    verb: Verb,
    /// The resource of a kind that is not Kubernetes' own, in the plural
    #[arg(long, requires = "filename")]
    resource: Option<String>,
    /// The subresource that the manifest goes to
    #[arg(long, requires = "filename")]
    subresource: Option<String>,
    /// The namespace of a manifest that names none
    #[arg(short, long, default_value = "default")]
    namespace: String,
    /// What comes of a write: a YAML or JSON file
    #[arg(long, value_name = "FILE")]
    object: Option<PathBuf>,
    /// The object before a write: a YAML or JSON file
    #[arg(long, value_name = "FILE")]
    old_object: Option<PathBuf>,
    /// What the service accounts of pods may do, as in facts.rbac.grants: secrets,exec
    #[arg(long, value_name = "GRANTS", value_delimiter = ',')]
    service_account_grants: Option<Vec<String>>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Verb {
    Create,
    Update,
    Patch,
    Apply,
    Delete,
    Get,
}

impl Explain {
    /// Runs the command.
    ///
    /// # Errors
    /// What cannot be read or used.
    pub async fn run(self) -> anyhow::Result<()> {
        let rules = self.rules.load(self.output)?;
        let explained = match &self.record {
            Some(id) => vec![self.recorded(id, &rules).await?],
            None => {
                let supposed = self.supposed()?;
                supposed.iter().map(|it| explain::of(it, &rules)).collect()
            }
        };
        let items: Vec<Value> = explained.iter().map(Explained::document).collect();
        print(self.output, &json!({"items": items}), |_| {
            for (index, explained) in explained.iter().enumerate() {
                if index > 0 {
                    line("");
                }
                explained.lines().iter().for_each(|text| line(plain(text)));
            }
        })
    }

    async fn recorded<'r>(&self, id: &str, rules: &'r Rules) -> anyhow::Result<Explained<'r>> {
        let told = self.records.find(id).await?;
        let replay = Replay::of(&told.past, told.body.clone(), told.result.as_deref());
        match replay {
            Ok(replay) => Ok(explain::of_record(&replay, rules)),
            Err(unknown) => {
                let refused = told.past.refused.as_deref().unwrap_or_default();
                anyhow::bail!(
                    "record {id} cannot be judged: {}{}{}",
                    unknown.sentence(),
                    if refused.is_empty() {
                        ""
                    } else {
                        "; it was answered: "
                    },
                    plain(refused)
                )
            }
        }
    }

    fn supposed(&self) -> anyhow::Result<Vec<Supposed>> {
        let requests = match (&self.ask, &self.filename) {
            (Some(line), _) => vec![self.of_line(line)?],
            (None, Some(file)) => self.of_file(file)?,
            (None, None) => {
                return Err(unusable(
                    "what is to be explained? give a request's line, -f FILE, or --record ID",
                ));
            }
        };
        let object = self.object(self.more.object.as_deref())?;
        let old_object = self.object(self.more.old_object.as_deref())?;
        let caller = &self.caller;
        let supposed = |request| Supposed {
            who: Who {
                agent: caller.agent.clone().unwrap_or_default(),
                principal: caller.principal.clone(),
                groups: caller.group.clone(),
                issuer: caller.issuer.clone(),
                uid: Some(String::new()),
                extra: Some(std::collections::BTreeMap::new()),
            },
            cluster: caller.cluster.clone(),
            now: caller.now.unwrap_or_else(Timestamp::now),
            request,
            object: object.clone(),
            old_object: old_object.clone(),
            grants: self.more.service_account_grants.clone(),
        };
        Ok(requests.into_iter().map(supposed).collect())
    }

    fn of_line(&self, ask: &str) -> anyhow::Result<Request> {
        let body = self.object(self.more.body.as_deref())?;
        let content_type = self.more.content_type.as_deref();
        Request::of_line(ask, body.as_ref(), content_type).map_err(problem)
    }

    fn of_file(&self, file: &Path) -> anyhow::Result<Vec<Request>> {
        let documents = self.documents(file)?;
        if documents.is_empty() {
            return Err(unusable(&format!("{} is empty", file.display())));
        }
        let of_list = |document: Value| match document.get("items").and_then(Value::as_array) {
            Some(items) if document.get("kind").and_then(Value::as_str) == Some("List") => {
                items.clone()
            }
            _ => vec![document],
        };
        documents
            .into_iter()
            .flat_map(of_list)
            .map(|object| {
                of_manifest(Manifest {
                    object: &object,
                    verb: self.more.verb.into(),
                    resource: self.more.resource.as_deref(),
                    subresource: self.more.subresource.as_deref(),
                    namespace: &self.more.namespace,
                })
                .map_err(problem)
            })
            .collect()
    }

    fn object(&self, file: Option<&Path>) -> anyhow::Result<Option<Value>> {
        let Some(file) = file else { return Ok(None) };
        let mut documents = self.documents(file)?.into_iter();
        match (documents.next(), documents.next()) {
            (Some(object), None) => Ok(Some(object)),
            _ => Err(unusable(&format!("{} is not one document", file.display()))),
        }
    }

    fn documents(&self, file: &Path) -> anyhow::Result<Vec<Value>> {
        let text = text(file).map_err(|error| unusable(&format!("{error:#}")))?;
        config::documents(file, &text).map_err(|problem| said(self.output, &[problem]))
    }
}

fn problem(problem: Problem) -> anyhow::Error {
    let Problem {
        message,
        suggestion,
        field,
    } = problem;
    let suggestion = suggestion.map(|it| format!("; {it}")).unwrap_or_default();
    unusable(&format!("the {field} {message}{suggestion}"))
}

impl From<Verb> for ManifestVerb {
    fn from(verb: Verb) -> Self {
        match verb {
            Verb::Create => Self::Create,
            Verb::Update => Self::Update,
            Verb::Patch => Self::Patch,
            Verb::Apply => Self::Apply,
            Verb::Delete => Self::Delete,
            Verb::Get => Self::Get,
        }
    }
}
