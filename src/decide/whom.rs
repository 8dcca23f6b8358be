//! Whom a rule is about, or a mask. Part of room ④.

use super::Party;
use super::rule::{Globs, any, within};

/// Patterns of names; none of a kind means everybody.
#[derive(Debug, Clone)]
pub(super) struct Whom {
    pub agents: Globs,
    pub principals: Globs,
    pub groups: Globs,
    pub except_groups: Globs,
}

impl Whom {
    /// Whether it is this caller.
    pub fn matches(&self, caller: &Party<'_>) -> bool {
        within(&self.agents, caller.agent)
            && self.matches_principal(caller)
            && self.matches_groups(caller)
            && !self.excepts(caller)
    }

    /// An agent that acts for nobody is nobody's.
    pub fn matches_principal(&self, caller: &Party<'_>) -> bool {
        let within = |principal| within(&self.principals, principal);
        self.principals.is_none() || caller.principal.is_some_and(within)
    }

    /// Whether one of the caller's groups is named, if any is.
    pub fn matches_groups(&self, caller: &Party<'_>) -> bool {
        let mut groups = caller.groups.iter();
        self.groups.is_none() || groups.any(|group| within(&self.groups, group))
    }

    /// Whether the caller is in a group that is excepted.
    pub fn excepts(&self, caller: &Party<'_>) -> bool {
        let except = self.except_groups.as_deref().unwrap_or_default();
        caller.groups.iter().any(|group| any(except, group))
    }

    /// Whether it is about some only.
    pub fn names_some(&self) -> bool {
        self.agents.is_some() || self.principals.is_some() || self.groups.is_some()
    }
}
