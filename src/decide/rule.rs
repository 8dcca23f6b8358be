//! One compiled rule, and whether it matches a request. Part of room ④; pure, and
//! allocates nothing while it matches.
//!
//! The one idea: an allow rule must cover everything that the request may reach, a hold or
//! deny rule matches as soon as the request may reach anything that the rule names.

use std::sync::Arc;

use jiff::Timestamp;

use super::HoldTerms;
use super::conditions::Conditions;
use super::glob::Glob;
use super::party::Party;
use super::policy::{Effect, Fact, Verb};
pub(super) use super::reach::spans_namespaces;
use super::whom::Whom;
use crate::parse::{Ask, Facts, Node, Old, RequestInfo};

/// Patterns of which any may match; `None` means that nothing was said.
pub(super) type Globs = Option<Box<[Glob]>>;

/// A set of verbs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verbs(u16);

/// A rule, ready to match.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub policy: Arc<str>,
    pub name: Arc<str>,
    pub effect: Effect,
    pub reason: Arc<str>,
    pub whom: Whom,
    pub clusters: Globs,
    pub verbs: Verbs,
    pub target: Target,
    /// Asked when everything else matches; empty for most rules.
    pub conditions: Conditions,
    /// Given exactly for `Effect::Hold`.
    pub hold: Option<Arc<HoldTerms>>,
}

/// What a rule names.
#[derive(Debug, Clone)]
pub(super) enum Target {
    Resource {
        groups: Box<[Glob]>,
        resources: Box<[Glob]>,
        subresources: Globs,
        namespaces: Globs,
        names: Globs,
        facts: Option<Box<[Fact]>>,
    },
    Paths(Box<[Glob]>),
}

/// A request as rules see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub caller: Party<'a>,
    pub cluster: &'a str,
    pub info: &'a RequestInfo,
    pub facts: &'a Facts,
    /// What comes of a write.
    pub object: Known<'a>,
    /// What a write finds.
    pub old: Known<'a>,
    pub dry_run: bool,
    pub now: Timestamp,
    /// What comes of the request is not known yet: what depends on it is left open.
    pub open: bool,
    /// A hold or deny rule on any of these stops the request.
    pub any_of: Verbs,
    /// Every one of these must be allowed.
    pub all_of: Verbs,
}

/// An object, as far as it is known when a request is judged.
#[derive(Debug, Clone, Copy)]
pub(super) enum Known<'a> {
    Object(&'a Node),
    /// There is none.
    Nothing,
    /// There is one, or several, and nobody has looked.
    Unknown,
}

impl<'a> Known<'a> {
    /// The one place that says what is known of the objects of a request: after it, and
    /// before it.
    fn objects_of(ask: &'a Ask) -> (Self, Self) {
        let object = match (ask.object(), ask.info().verb) {
            (Some(object), _) => Self::Object(object),
            (None, "update" | "patch") => Self::Unknown,
            (None, _) => Self::Nothing,
        };
        let old = match (ask.old(), ask.info().verb) {
            (Old::Known(old), _) => Self::Object(old),
            (Old::Unknown, "update" | "patch" | "delete" | "deletecollection") => Self::Unknown,
            (Old::Unknown | Old::Absent, _) => Self::Nothing,
        };
        (object, old)
    }
}

impl<'a> View<'a> {
    pub(super) fn of(caller: impl Into<Party<'a>>, ask: &'a Ask, now: Timestamp) -> Self {
        let applies = ask
            .content_type()
            .is_some_and(|media_type| media_type.starts_with("application/apply-patch"));
        let (object, old) = Known::objects_of(ask);
        Self {
            object,
            old,
            dry_run: ask.dry_run(),
            now,
            ..Self::new(caller, ask.cluster(), ask.info(), ask.facts(), applies)
        }
    }

    /// Of what is known of every request; its objects are not, and it is 1970.
    /// `applies`: a server-side apply, which creates what is not there.
    pub(super) fn new(
        caller: impl Into<Party<'a>>,
        cluster: &'a str,
        info: &'a RequestInfo,
        facts: &'a Facts,
        applies: bool,
    ) -> Self {
        let verb = Verbs::asked(info.verb);
        let create = Verbs::of(Verb::Create);
        let connects = info.is_resource
            && matches!(
                info.subresource.as_str(),
                "exec" | "attach" | "portforward" | "proxy"
            );
        // The HTTP method of a connection says nothing: WebSocket comes as GET, SPDY as POST.
        let (any_of, all_of) = if connects {
            (verb.and(create).and(Verbs::of(Verb::Get)), create)
        } else if applies {
            (verb.and(create), verb.and(create))
        } else {
            (verb, verb)
        };
        Self {
            caller: caller.into(),
            cluster,
            info,
            facts,
            object: Known::Unknown,
            old: Known::Unknown,
            dry_run: false,
            now: Timestamp::UNIX_EPOCH,
            open: false,
            any_of,
            all_of,
        }
    }

    /// The same before anybody knows what comes of the request: rules that depend on it
    /// allow, and neither hold nor deny.
    pub(super) fn left_open(self) -> Self {
        Self { open: true, ..self }
    }
}

impl Rule {
    /// Whether the rule matches, its verbs and its conditions aside.
    pub(super) fn matches(&self, view: &View<'_>) -> bool {
        self.matches_target(view)
            && within(&self.clusters, view.cluster)
            && self.whom.matches(&view.caller)
    }

    fn matches_target(&self, view: &View<'_>) -> bool {
        let info = view.info;
        match &self.target {
            Target::Paths(paths) => !info.is_resource && any(paths, &info.path),
            Target::Resource {
                groups,
                resources,
                subresources,
                namespaces,
                names,
                facts,
            } => {
                info.is_resource
                    && any(groups, &info.api_group)
                    && any(resources, &info.resource)
                    && self.matches_subresource(subresources, &info.subresource)
                    && self.matches_place(namespaces, &info.namespace, spans_namespaces(info))
                    && self.matches_place(names, &info.name, info.name.is_empty())
                    && self.matches_facts(facts.as_deref(), view)
            }
        }
    }

    /// Any of the facts. One that depends on what comes of the request is left open while
    /// that is not known, and taken as given by a hold or deny rule where nobody can tell.
    pub(super) fn matches_facts(&self, wanted: Option<&[Fact]>, view: &View<'_>) -> bool {
        let allows = self.effect == Effect::Allow;
        wanted.is_none_or(|wanted| {
            wanted
                .iter()
                .any(|fact| match view.open && fact.is_of_object() {
                    true => allows,
                    false => fact.holds(view.facts) || (!allows && fact.is_unclear(view.facts)),
                })
        })
    }

    pub(super) fn matches_subresource(&self, wanted: &Globs, subresource: &str) -> bool {
        match wanted {
            Some(wanted) => any(wanted, subresource),
            None => subresource.is_empty() || self.effect != Effect::Allow,
        }
    }

    /// `unsaid`: the request does not say which one, or means several.
    pub(super) fn matches_place(&self, wanted: &Globs, place: &str, unsaid: bool) -> bool {
        match wanted {
            None => true,
            Some(_) if unsaid => self.effect != Effect::Allow,
            Some(wanted) => !place.is_empty() && any(wanted, place),
        }
    }
}

impl Verbs {
    /// Matched by `*` alone.
    const UNKNOWN: u16 = 1 << 15;

    pub(super) const fn none() -> Self {
        Self(0)
    }

    pub(super) const fn of(verb: Verb) -> Self {
        Self(match verb {
            Verb::Any => u16::MAX,
            Verb::Get => 1,
            Verb::List => 1 << 1,
            Verb::Watch => 1 << 2,
            Verb::Create => 1 << 3,
            Verb::Update => 1 << 4,
            Verb::Patch => 1 << 5,
            Verb::Delete => 1 << 6,
            Verb::DeleteCollection => 1 << 7,
            Verb::Head => 1 << 8,
            Verb::Post => 1 << 9,
            Verb::Put => 1 << 10,
            Verb::Options => 1 << 11,
        })
    }

    /// One by one, what a set may hold.
    pub(super) fn singles() -> impl Iterator<Item = Self> {
        (0..u16::BITS).map(|bit| Self(1 << bit))
    }

    fn asked(verb: &str) -> Self {
        Self::of(match verb {
            "get" => Verb::Get,
            "list" => Verb::List,
            "watch" => Verb::Watch,
            "create" => Verb::Create,
            "update" => Verb::Update,
            "patch" => Verb::Patch,
            "delete" => Verb::Delete,
            "deletecollection" => Verb::DeleteCollection,
            "head" => Verb::Head,
            "post" => Verb::Post,
            "put" => Verb::Put,
            "options" => Verb::Options,
            _ => return Self(Self::UNKNOWN),
        })
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn both(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Their names, in the words of rules.
    pub(super) fn words(self) -> String {
        if self.0 == u16::MAX {
            return "*".to_owned();
        }
        let known = [
            (Verb::Get, "get"),
            (Verb::List, "list"),
            (Verb::Watch, "watch"),
            (Verb::Create, "create"),
            (Verb::Update, "update"),
            (Verb::Patch, "patch"),
            (Verb::Delete, "delete"),
            (Verb::DeleteCollection, "deletecollection"),
            (Verb::Head, "head"),
            (Verb::Post, "post"),
            (Verb::Put, "put"),
            (Verb::Options, "options"),
        ];
        let mine = known.iter().filter(|(verb, _)| self.meets(Self::of(*verb)));
        mine.map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
    }

    /// For the one verb that a request may need beside or instead of its own.
    pub(super) const fn name(self) -> Option<&'static str> {
        if self.meets(Self::of(Verb::Create)) {
            Some("create")
        } else {
            None
        }
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

pub(super) fn any(globs: &[Glob], text: &str) -> bool {
    globs.iter().any(|glob| glob.matches(text))
}

pub(super) fn within(globs: &Globs, text: &str) -> bool {
    globs.as_ref().is_none_or(|globs| any(globs, text))
}
