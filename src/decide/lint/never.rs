//! Rules, and parts of rules, that no request can match. Part of the lints.

use http::{HeaderMap, Method};

use super::cover::all;
use super::{Lint, Look};
use crate::decide::glob::Glob;
use crate::decide::policy::{Effect, Fact, Verb};
use crate::decide::rule::{Rule, Target, Verbs};
use crate::parse::builtin::{self, Builtin};
use crate::parse::{self};

/// The subresources that are `create`, whichever method opens them.
const CONNECTS: [&str; 4] = ["exec", "attach", "portforward", "proxy"];

pub(super) fn look(look: &mut Look<'_>, rule: &Rule, clusters: Option<&[&str]>) {
    clusters_exist(look, rule, clusters);
    somebody_is_left(look, rule);
    match &rule.target {
        Target::Paths(_) => {
            path_verbs(look);
            paths(look);
        }
        Target::Resource {
            groups, resources, ..
        } => {
            groups_exist(look);
            // Only where everything is a resource of Kubernetes' own, everything is known.
            if let Some(known) = own_resources(groups, resources) {
                resources_exist(look, groups, resources);
                subresources_exist(look, &known);
                lie_in_namespaces(look, groups, resources);
                facts_fit(look, &known);
            }
            connections(look, rule);
            names_in_paths(look, rule);
            facts_of_writes(look, rule);
        }
    }
}

fn clusters_exist(look: &mut Look<'_>, rule: &Rule, clusters: Option<&[&str]>) {
    let (Some(known), Some(globs)) = (clusters, &rule.clusters) else {
        return;
    };
    for (index, glob) in globs.iter().enumerate() {
        if !known.iter().any(|cluster| glob.matches(cluster)) {
            look.warn(
                Lint::NeverMatches,
                &format!("clusters[{index}]"),
                format!("no cluster of the configuration is called \"{glob}\""),
                nearest(&glob.to_string(), known.iter().copied())
                    .or_else(|| Some(format!("there are: {}", known.join(", ")))),
            );
        }
    }
}

fn somebody_is_left(look: &mut Look<'_>, rule: &Rule) {
    let (Some(groups), Some(except)) = (&rule.whom.groups, &rule.whom.except_groups) else {
        return;
    };
    if all(except, groups) {
        look.warn(
            Lint::NeverMatches,
            "subjects.exceptGroups",
            "everybody in the groups that the rule is about is excepted from it".to_owned(),
            Some("leave one of the two out".to_owned()),
        );
    }
}

/// The gate itself refuses to write outside of resources.
fn path_verbs(look: &mut Look<'_>) {
    let unknown = |verb: &Verb| !matches!(verb, Verb::Any | Verb::Get | Verb::Head);
    let spec = look.spec;
    for (index, _) in spec.verbs.iter().enumerate().filter(|(_, v)| unknown(v)) {
        look.warn(
            Lint::NeverMatches,
            &format!("verbs[{index}]"),
            "the gate lets nothing but GET and HEAD through to paths that are no resource"
                .to_owned(),
            Some("leave it out".to_owned()),
        );
    }
}

fn paths(look: &mut Look<'_>) {
    let spec = look.spec;
    for (index, path) in spec.non_resource_urls.iter().flatten().enumerate() {
        let example = match path.strip_suffix('*') {
            Some("" | "/") => continue,
            Some(prefix) => format!("{prefix}x"),
            None => path.clone(),
        };
        let head = parse::head("c".into(), &Method::GET, &example, None, &HeaderMap::new());
        let (message, suggestion) = match head {
            Ok(head) if head.info().is_resource => (
                format!("\"{path}\" is the path of an API resource"),
                "name its apiGroups and resources instead".to_owned(),
            ),
            Ok(_) => continue,
            Err(refusal) => (
                format!("the gate refuses a request for \"{path}\" by itself"),
                refusal.sentence(),
            ),
        };
        let field = format!("nonResourceURLs[{index}]");
        look.warn(Lint::NeverMatches, &field, message, Some(suggestion));
    }
}

/// A group without a dot is Kubernetes' own or nobody's.
fn groups_exist(look: &mut Look<'_>) {
    let spec = look.spec;
    for (index, group) in spec.api_groups.iter().flatten().enumerate() {
        if group.contains('*') || builtin::is_group(group) {
            continue;
        }
        let near = nearest(group, builtin::all().map(|known| known.group));
        let reserved = group.ends_with(".k8s.io") && near.is_some();
        if !group.contains('.') || reserved {
            look.warn(
                Lint::NeverMatches,
                &format!("apiGroups[{index}]"),
                format!("there is no API group \"{group}\""),
                near,
            );
        }
    }
}

/// The resources that a rule is about, if all its groups are Kubernetes' own.
fn own_resources(groups: &[Glob], resources: &[Glob]) -> Option<Vec<Builtin>> {
    let own = |glob: &Glob| matches!(glob, Glob::Exact(group) if builtin::is_group(group));
    groups.iter().all(own).then(|| {
        let meant = |known: &Builtin| {
            groups.iter().any(|glob| glob.matches(known.group))
                && resources.iter().any(|glob| glob.matches(known.resource))
        };
        builtin::all().filter(meant).collect()
    })
}

fn of_groups(groups: &[Glob]) -> impl Iterator<Item = Builtin> {
    builtin::all().filter(|known| groups.iter().any(|glob| glob.matches(known.group)))
}

fn resources_exist(look: &mut Look<'_>, groups: &[Glob], resources: &[Glob]) {
    for (index, glob) in resources.iter().enumerate() {
        if of_groups(groups).any(|known| glob.matches(known.resource)) {
            continue;
        }
        let elsewhere = builtin::all().find(|known| glob.matches(known.resource));
        let suggestion = match elsewhere {
            Some(known) => Some(format!("it is in the group \"{}\"", known.group)),
            None => nearest(
                &glob.to_string(),
                of_groups(groups).map(|known| known.resource),
            ),
        };
        let field = format!("resources[{index}]");
        let message = format!("there is no \"{glob}\" in these API groups");
        look.warn(Lint::NeverMatches, &field, message, suggestion);
    }
    let known = |known: Builtin| resources.iter().any(|glob| glob.matches(known.resource));
    if !of_groups(groups).any(known) {
        return;
    }
    for (index, group) in groups.iter().enumerate() {
        let of_group = |known: &Builtin| group.matches(known.group);
        if !builtin::all().filter(of_group).any(known) {
            look.warn(
                Lint::NeverMatches,
                &format!("apiGroups[{index}]"),
                format!("none of the resources are in the group \"{group}\""),
                Some("leave it out".to_owned()),
            );
        }
    }
}

fn subresources_exist(look: &mut Look<'_>, known: &[Builtin]) {
    let spec = look.spec;
    for (index, wanted) in spec.subresources.iter().flatten().enumerate() {
        let Ok(glob) = Glob::compile(wanted) else {
            continue;
        };
        let all = || known.iter().flat_map(|known| known.subresources);
        if known.is_empty() || glob.matches("") || all().any(|it| glob.matches(it)) {
            continue;
        }
        look.warn(
            Lint::NeverMatches,
            &format!("subresources[{index}]"),
            format!("none of the resources has a subresource \"{wanted}\""),
            nearest(wanted, all().copied()),
        );
    }
}

fn lie_in_namespaces(look: &mut Look<'_>, groups: &[Glob], resources: &[Glob]) {
    if look.spec.namespaces.is_none() {
        return;
    }
    for (index, glob) in resources.iter().enumerate() {
        let mut meant = of_groups(groups)
            .filter(|known| glob.matches(known.resource))
            .peekable();
        // A Namespace counts as lying in itself.
        let outside = |known: Builtin| {
            !known.namespaced && (known.group, known.resource) != ("", "namespaces")
        };
        if meant.peek().is_some() && meant.all(outside) {
            look.warn(
                Lint::NeverMatches,
                &format!("resources[{index}]"),
                format!("\"{glob}\" lie in no namespace, and the rule names namespaces"),
                Some("make a rule without namespaces for them".to_owned()),
            );
        }
    }
}

fn facts_fit(look: &mut Look<'_>, known: &[Builtin]) {
    let spec = look.spec;
    for (index, fact) in spec.facts.iter().flatten().enumerate() {
        let Some(about) = fact.about() else { continue };
        let fits = |known: &Builtin| {
            // TokenRequests, too, mint tokens.
            let token = *fact == Fact::MintsToken && known.resource == "serviceaccounts";
            token || about_of(known) == about
        };
        if !known.is_empty() && !known.iter().any(fits) {
            look.warn(
                Lint::NeverMatches,
                &format!("facts[{index}]"),
                format!("none of the resources can show the fact {}", fact.name()),
                Some("name the resources that it is about, or leave it out".to_owned()),
            );
        }
    }
}

fn about_of(known: &Builtin) -> parse::facts::About {
    parse::facts::About::of(&parse::RequestInfo {
        is_resource: true,
        verb: "create",
        api_group: known.group.to_owned(),
        api_version: "v1".to_owned(),
        resource: known.resource.to_owned(),
        subresource: String::new(),
        namespace: String::new(),
        name: String::new(),
        path: String::new(),
    })
}

/// An allow rule for exec and the like must allow `create`; `get` is never asked there.
fn connections(look: &mut Look<'_>, rule: &Rule) {
    let connects = |subresource: &String| CONNECTS.contains(&subresource.as_str());
    let spec = look.spec;
    let only = spec
        .subresources
        .as_ref()
        .is_some_and(|all| all.iter().all(connects));
    let create = Verbs::of(Verb::Create);
    if only && rule.effect == Effect::Allow && !rule.verbs.meets(create) {
        look.warn(
            Lint::NeverMatches,
            "verbs",
            "exec, attach, portforward and proxy are \"create\", whichever method opens them"
                .to_owned(),
            Some("write verbs: [create]".to_owned()),
        );
    }
}

/// A create or a whole collection has no name in its path.
fn names_in_paths(look: &mut Look<'_>, rule: &Rule) {
    let spec = look.spec;
    let nameless = |verb: &Verb| matches!(verb, Verb::Create | Verb::DeleteCollection);
    let whole = spec.subresources.iter().flatten().all(String::is_empty);
    if rule.effect == Effect::Allow
        && spec.resource_names.is_some()
        && whole
        && spec.verbs.iter().all(nameless)
    {
        look.warn(
            Lint::NeverMatches,
            "resourceNames",
            "a request that creates, or deletes a collection, has no name in its path".to_owned(),
            Some("leave it out, and ask for the name with a condition".to_owned()),
        );
    }
}

/// Only a request that carries an object shows what an object means.
fn facts_of_writes(look: &mut Look<'_>, rule: &Rule) {
    let spec = look.spec;
    let of_objects = |fact: &Fact| fact.about().is_some() && *fact != Fact::MintsToken;
    let writes = [Verb::Create, Verb::Update, Verb::Patch];
    let carries = writes.iter().any(|verb| rule.verbs.meets(Verbs::of(*verb)));
    let facts = spec.facts.as_deref().unwrap_or_default();
    if !facts.is_empty() && facts.iter().all(of_objects) && !carries {
        look.warn(
            Lint::NeverMatches,
            "facts",
            "only a create, update or patch shows what an object means".to_owned(),
            Some("add one of these verbs, or leave the facts out".to_owned()),
        );
    }
}

/// `did you mean "pods"?`, if something is near.
fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let near = known
        .map(|known| (strsim::damerau_levenshtein(word, known), known))
        .filter(|(distance, known)| *distance <= 1 + known.len() / 6)
        .min_by_key(|(distance, _)| *distance);
    near.map(|(_, known)| format!("did you mean \"{known}\"?"))
}
