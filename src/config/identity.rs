//! Whose tokens open which door. Part of `config`: finds the `AuthenticationConfiguration`
//! of each door, inline or in its own file, and holds the two against each other.

use std::path::Path;

use super::diagnostic::Diagnostic;
use super::document::IdentitySpec;
use super::node::{self, Source};
use super::resolve::beside;
use super::shape;
use super::{AgentIdentity, HumanIdentity};
use crate::identify::AuthenticationConfiguration;

/// `None` only if something was noted.
pub(super) fn resolve(
    spec: IdentitySpec,
    source: &Source,
    problems: &mut Vec<Diagnostic>,
) -> Option<(AgentIdentity, HumanIdentity)> {
    let (agents, humans) = (spec.agents, spec.humans);
    for (door, names) in [
        ("agents", &agents.allowed_system_names),
        ("humans", &humans.allowed_system_names),
    ] {
        system_names(door, names, source, problems);
    }
    if humans.approver_groups.is_empty() {
        problems.push(source.problem(
            "spec.identity.humans.approverGroups",
            "nobody could approve anything".to_owned(),
            Some("name at least one group".to_owned()),
        ));
    }
    let of_agents = find(
        "agents",
        agents.authentication,
        agents.authentication_file.as_deref(),
        source,
        problems,
    );
    let of_humans = find(
        "humans",
        humans.authentication,
        humans.authentication_file.as_deref(),
        source,
        problems,
    );
    let (of_agents, of_humans) = (of_agents?, of_humans?);
    for (issuer, audience) in in_common(&of_agents, &of_humans) {
        problems.push(source.problem(
            "spec.identity.humans",
            format!(
                "tokens of {issuer} for the audience \"{audience}\" would open both doors, and an \
                 agent could approve what it asks for"
            ),
            Some("give each door an audience of its own".to_owned()),
        ));
    }
    Some((
        AgentIdentity {
            authentication: of_agents,
            allowed_system_names: agents.allowed_system_names,
        },
        HumanIdentity {
            authentication: of_humans,
            allowed_system_names: humans.allowed_system_names,
            approver_groups: humans.approver_groups,
            auditor_groups: humans.auditor_groups,
        },
    ))
}

fn system_names(door: &str, names: &[String], source: &Source, problems: &mut Vec<Diagnostic>) {
    for (index, name) in names.iter().enumerate() {
        let prefix = name.strip_suffix('*');
        let masters = match prefix {
            Some(prefix) => "system:masters".starts_with(prefix),
            None => name == "system:masters",
        };
        if masters || !name.starts_with("system:") || prefix.unwrap_or(name).contains('*') {
            problems.push(
                source.problem(
                    &format!("spec.identity.{door}.allowedSystemNames[{index}]"),
                    format!("\"{name}\" cannot be allowed here"),
                    Some(
                        "name users and groups that begin with \"system:\", exactly or with one \"*\" at \
                     the end; system:masters knows no limits and never passes"
                        .to_owned(),
                    ),
                ),
            );
        }
    }
}

fn find(
    door: &str,
    inline: Option<AuthenticationConfiguration>,
    file: Option<&Path>,
    source: &Source,
    problems: &mut Vec<Diagnostic>,
) -> Option<AuthenticationConfiguration> {
    let field = format!("spec.identity.{door}");
    match (inline, file) {
        (Some(inline), None) => {
            problems.extend(faults(&inline).into_iter().map(|(fault, sentence)| {
                source.problem(&format!("{field}.authentication.{fault}"), sentence, None)
            }));
            Some(inline)
        }
        (None, Some(file)) => {
            let file = beside(&source.file, file);
            let found = match node::read(&file) {
                Ok(found) => found,
                Err(problem) if problem.line > 0 => {
                    problems.push(problem);
                    return None;
                }
                Err(problem) => {
                    problems.push(source.problem(
                        &format!("{field}.authenticationFile"),
                        format!("{} {}", file.display(), problem.message),
                        Some("check the path".to_owned()),
                    ));
                    return None;
                }
            };
            let [document] = found.as_slice() else {
                problems.push(Diagnostic::of_file(
                    &file,
                    format!("holds {} documents instead of one", found.len()),
                    Some("write one document of kind AuthenticationConfiguration".to_owned()),
                ));
                return None;
            };
            let typed = shape::typed(document, problems)?;
            problems.extend(
                faults(&typed)
                    .into_iter()
                    .map(|(fault, sentence)| document.problem(&fault, sentence, None)),
            );
            Some(typed)
        }
        (inline, _) => {
            let message = match inline {
                Some(_) => "both authentication and authenticationFile are given",
                None => "neither authentication nor authenticationFile is given",
            };
            problems.push(source.problem(
                &field,
                message.to_owned(),
                Some("give exactly one of the two".to_owned()),
            ));
            None
        }
    }
}

/// (field, sentence) of everything that the identify room finds wrong.
fn faults(authentication: &AuthenticationConfiguration) -> Vec<(String, String)> {
    let problems = authentication.validate().err().map(|error| error.problems);
    problems
        .into_iter()
        .flatten()
        .map(|problem| (problem.field, problem.sentence))
        .collect()
}

/// Every (issuer, audience) that both configurations accept.
fn in_common<'a>(
    one: &'a AuthenticationConfiguration,
    other: &'a AuthenticationConfiguration,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    one.accepted()
        .filter(|pair| other.accepted().any(|theirs| theirs == *pair))
}
