//! Checks the conditions of a rule. Part of the compilation of policies.

use std::collections::HashSet;

use super::super::conditions::{Condition, Conditions, MOST};
use super::super::policy::RuleSpec;
use super::Check;

impl Check<'_> {
    pub(super) fn conditions(&mut self, at: &str, spec: &RuleSpec) -> Conditions {
        let at = format!("{at}.matchConditions");
        if spec.match_conditions.len() > MOST {
            let message = format!("more than {} conditions", MOST);
            self.error(&at, message, Some("make several rules of it".to_owned()));
        }
        let mut names = HashSet::new();
        let mut compiled = Vec::with_capacity(spec.match_conditions.len());
        for (index, condition) in spec.match_conditions.iter().enumerate() {
            let at = format!("{at}[{index}]");
            self.name(&format!("{at}.name"), &condition.name);
            if !names.insert(condition.name.as_str()) {
                self.error(
                    &format!("{at}.name"),
                    format!(
                        "another condition of this rule is called \"{}\" too",
                        condition.name
                    ),
                    Some("give every condition its own name".to_owned()),
                );
            }
            match Condition::compile(condition) {
                Ok(condition) => compiled.push(condition),
                Err((message, suggestion)) => {
                    self.error(&format!("{at}.expression"), message, suggestion);
                }
            }
        }
        compiled.into()
    }
}
