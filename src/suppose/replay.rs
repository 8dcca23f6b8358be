//! Requests of the past against rules of today. Part of `suppose`.
//!
//! A record holds no secret and not everything: bodies are masked, of a refused request there
//! is none, and of a patch only the result may be there. Where the rules would look at what is
//! not there, the answer is that it cannot be told, and why; never a guess.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use serde::Serialize;
use serde_json::Value;

use super::{Found, Request, Supposed, Who};
use crate::config::Rules;
use crate::decide::{self, Asked, Party, PolicySet};
use crate::mask::{MASK, MASK_BASE64};
use crate::parse::{self, Ask, Old};
use crate::record::asked::What;
use crate::record::past::Past;

/// Why it cannot be told what rules would say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unknown {
    /// It never came as far as the rules: nobody was identified, or it could not be read.
    NeverJudged,
    /// The rules look at its body, which is not on record.
    BodyNotRecorded,
    /// The rules look at what came of it, or at what was there, which is not on record.
    ObjectNotRecorded,
    /// The rules look at what only the cluster knew: how many objects were deleted, what a
    /// service account might do.
    ClusterNotAsked,
    /// The rules look at an object in which values are masked.
    Masked,
    /// Its path or query is on record in part only.
    Cut,
    /// Its caller's groups are on record in part only.
    GroupsCut,
    /// The rules look at attributes of its caller that are not on record.
    CallerNotRecorded,
    /// Nobody knows what kind of patch it was: it is older than records that say so.
    PatchTypeNotRecorded,
    /// What is on record cannot be read as a request any more.
    Unreadable,
}

impl Unknown {
    /// For people.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::NeverJudged => "refused before any rule was asked, and would be again",
            Self::BodyNotRecorded => "the rules look at the body, which is not on record",
            Self::ObjectNotRecorded => {
                "the rules look at what came of it, or was there before, which is not on record"
            }
            Self::ClusterNotAsked => {
                "the rules look at what only the cluster knew then: how many objects would be \
                 deleted, or what a service account may do"
            }
            Self::Masked => "the rules look at an object in which values are masked on record",
            Self::Cut => "its path or query is too long to be on record whole",
            Self::GroupsCut => "its caller has more groups than are on record",
            Self::CallerNotRecorded => {
                "the rules look at the caller's uid or extra, which are not on record"
            }
            Self::PatchTypeNotRecorded => "the record does not say what type of patch it was",
            Self::Unreadable => "what is on record cannot be read as a request any more",
        }
    }
}

/// A request of the past, ready to be judged.
#[derive(Debug)]
pub struct Replay<'a> {
    past: &'a Past,
    supposed: Supposed,
    /// Nothing but its path is there to be judged by.
    unread: Option<Unknown>,
    masked: bool,
}

impl<'a> Replay<'a> {
    /// `body`, `result`: the bytes of the record's body and result, if they are kept.
    ///
    /// # Errors
    /// Why it can never be judged.
    pub fn of(past: &'a Past, body: Option<Bytes>, result: Option<&[u8]>) -> Result<Self, Unknown> {
        let what = &past.what;
        let who = who(past).ok_or(Unknown::NeverJudged)?;
        if what.verb.is_empty() {
            return Err(Unknown::NeverJudged);
        }
        if past.is_cut() {
            return Err(Unknown::Cut);
        }
        if past.who.more_groups > 0 {
            return Err(Unknown::GroupsCut);
        }
        let method = Method::from_bytes(what.method.as_bytes()).map_err(|_| Unknown::Unreadable)?;
        // A whole object is what comes of an update.
        let known = match (result, what.verb.as_str()) {
            (None, "update") => body.as_deref(),
            (result, _) => result,
        };
        let object: Option<Value> = known.and_then(|bytes| serde_json::from_slice(bytes).ok());
        let is_masked = |bytes: &[u8]| {
            [MASK, MASK_BASE64]
                .iter()
                .any(|mask| memchr::memmem::find(bytes, mask.as_bytes()).is_some())
        };
        let masked = result.is_some_and(is_masked) || body.as_deref().is_some_and(is_masked);
        let patch = what.verb == "patch";
        let relabels = what.resource == "namespaces"
            && what.api_group.is_empty()
            && matches!(what.verb.as_str(), "update" | "patch");
        let missing = if what.body_bytes > 0 && body.is_none() {
            Some(Unknown::BodyNotRecorded)
        } else if patch && object.is_none() || relabels {
            // The gate judges a patch by what comes of it, and a Namespace by what it was.
            Some(Unknown::ObjectNotRecorded)
        } else {
            None
        };
        if patch && what.content_type.is_empty() {
            return Err(Unknown::PatchTypeNotRecorded);
        }
        Ok(Self {
            past,
            supposed: Supposed {
                who,
                cluster: what.cluster.clone(),
                now: past.time,
                request: request(method, what, body),
                object,
                // Never on record.
                old_object: None,
                grants: None,
            },
            unread: missing,
            masked,
        })
    }

    /// The request, to be explained.
    pub fn supposed(&self) -> &Supposed {
        &self.supposed
    }

    /// What these rules would say to it.
    ///
    /// # Errors
    /// Why that cannot be told.
    pub fn judge<'r>(&self, rules: &'r Rules) -> Result<Found<'r>, Unknown> {
        let ask = self.ask(rules)?;
        let (party, now) = (self.supposed.who.party(), self.supposed.now);
        let policy = &rules.policy;
        // What follows from the path alone needs nothing else.
        let by_path = decide::judge_unread(party, &ask, policy, now);
        let judgement = match (by_path, self.unread) {
            (Some(judgement), _) => judgement,
            (None, Some(unknown)) => return Err(unknown),
            (None, None) => {
                self.is_told(&ask, party, policy)?;
                decide::judge(party, &ask, policy, now)
            }
        };
        Ok(Found::of(&ask, judgement))
    }

    /// The request, as far as it is on record, as the gate would read it.
    ///
    /// # Errors
    /// [`Unknown::Unreadable`].
    pub fn ask(&self, rules: &Rules) -> Result<Ask, Unknown> {
        let ask = self
            .supposed
            .request
            .ask(&self.supposed.cluster, &rules.embedders)
            .map_err(|_| Unknown::Unreadable)?;
        let Some(object) = &self.supposed.object else {
            return Ok(ask);
        };
        let node = parse::read_answer(object.to_string().as_bytes());
        let node = node.map_err(|_| Unknown::Unreadable)?;
        // Facts of a pod depend on whether it was there before, not on how it was; conditions
        // that ask how it was are not asked.
        let old = match self.past.status {
            Some(200) => Old::Known(Arc::new(node.clone())),
            _ => Old::Unknown,
        };
        ask.judged_on(Some(node), old, &rules.embedders)
            .map_err(|_| Unknown::Unreadable)
    }

    /// Whether what the conditions would look at is there, and not masked.
    fn is_told(&self, ask: &Ask, party: Party<'_>, policy: &PolicySet) -> Result<(), Unknown> {
        let asked = |what| decide::is_asked(what, party, ask, policy);
        let changes = matches!(
            ask.info().verb,
            "update" | "patch" | "delete" | "deletecollection"
        );
        if changes && asked(Asked::OldObject) {
            return Err(Unknown::ObjectNotRecorded);
        }
        let counts = ask.info().verb == "deletecollection" && asked(Asked::Count);
        if counts || (ask.rights().is_some() && asked(Asked::Rights)) {
            return Err(Unknown::ClusterNotAsked);
        }
        if self.masked && asked(Asked::Objects) {
            return Err(Unknown::Masked);
        }
        match asked(Asked::Attributes) {
            true => Err(Unknown::CallerNotRecorded),
            false => Ok(()),
        }
    }

    /// The record.
    pub fn past(&self) -> &Past {
        self.past
    }
}

fn request(method: Method, what: &What, body: Option<Bytes>) -> Request {
    let content_type = match what.content_type.as_str() {
        "" => "application/json",
        content_type => content_type,
    };
    let body = match body {
        Some(body) => body,
        // A patch needs a body to be read as one; these say nothing.
        None if what.verb != "patch" => Bytes::new(),
        None if content_type.starts_with("application/json-patch") => Bytes::from_static(b"[]"),
        None => Bytes::from_static(b"{}"),
    };
    Request {
        method,
        target: match what.query.as_str() {
            "" => what.path.clone(),
            query => format!("{}?{query}", what.path),
        },
        content_type: (!body.is_empty()).then(|| content_type.to_owned()),
        body,
    }
}

fn who(past: &Past) -> Option<Who> {
    let who = &past.who;
    Some(Who {
        agent: who.agent.clone()?,
        principal: who.principal.clone(),
        groups: who.groups.clone(),
        issuer: who.issuer.clone().unwrap_or_default(),
        // Not on record: a condition that asks for them fails.
        uid: None,
        extra: None,
    })
}
