//! Checks how a hold is answered. Part of the compilation of policies.

use super::super::period::Period;
use super::super::policy::{Effect, RuleSpec};
use super::Check;

impl Check<'_> {
    /// How long, by which groups, by how many; none for a rule that holds nothing.
    pub(super) fn hold(
        &mut self,
        at: &str,
        spec: &RuleSpec,
    ) -> Option<(Period, Box<[String]>, u32)> {
        if spec.effect != Effect::Hold {
            if spec.hold.is_some() {
                self.error(
                    &format!("{at}.hold"),
                    "only a rule with \"effect: hold\" has a hold".to_owned(),
                    Some("remove it, or set \"effect: hold\"".to_owned()),
                );
            }
            return None;
        }
        let hold = spec.hold.clone().unwrap_or_default();
        let seconds = hold.expires_after.duration().as_secs();
        if !(10..=86_400).contains(&seconds) {
            self.error(
                &format!("{at}.hold.expiresAfter"),
                format!("{} is not between 10s and 24h", hold.expires_after),
                None,
            );
        }
        if !(1..=10).contains(&hold.quorum) {
            self.error(
                &format!("{at}.hold.quorum"),
                format!("{} is not between 1 and 10", hold.quorum),
                None,
            );
        }
        for (index, group) in hold.approver_groups.iter().enumerate() {
            if group.is_empty() || group.contains('*') {
                self.error(
                    &format!("{at}.hold.approverGroups[{index}]"),
                    format!("\"{group}\" is not the name of a group; patterns do not work here"),
                    None,
                );
            }
        }
        Some((hold.expires_after, hold.approver_groups.into(), hold.quorum))
    }
}
