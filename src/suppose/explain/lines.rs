//! An explanation for people, line by line. Part of `suppose`; what a stranger wrote stays
//! within its line.

use serde_json::{Map, Value};

use super::{Explained, Judged, effect, matching, nearest};
use crate::config::cases::Expected;
use crate::decide::{Part, Verdict};
use crate::suppose::Found;

impl Explained<'_> {
    /// For people, line by line.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.verdict(), format!("  {}", self.line)];
        if let Some(judged) = &self.judged {
            lines.push(format!("  {}", judged.operation));
        }
        lines.push(format!("  {}", self.circumstances));
        if let Some(recorded) = &self.recorded {
            let rule = match recorded.rule.as_str() {
                "" => String::new(),
                rule => format!(" by {}/{rule}", recorded.policy),
            };
            lines.push(format!("  recorded as {}{rule}", recorded.verdict));
        }
        if let Some(judged) = &self.judged {
            judged.say(&mut lines);
        }
        for note in &self.notes {
            lines.push(format!("\nNote: {note}"));
        }
        // Only the breaks of this file make lines: those within a stranger's text do not.
        let apart = |text: String| match text.strip_prefix('\n') {
            Some(text) => vec![String::new(), text.to_owned()],
            None => vec![text],
        };
        lines.into_iter().flat_map(apart).collect()
    }

    fn verdict(&self) -> String {
        let Found {
            policy, rule, why, ..
        } = &self.found;
        match self.found.verdict {
            Expected::Allow => format!("ALLOWED by {policy}/{rule}"),
            Expected::Hold => format!("HELD by {policy}/{rule}: {why}"),
            Expected::Deny => format!("DENIED by {policy}/{rule}: {why}"),
            Expected::Failed => {
                format!("REFUSED, because {policy}/{rule} cannot be evaluated: {why}")
            }
            Expected::Default => "REFUSED, because no rule allows it".to_owned(),
            Expected::Refused if self.recorded.is_some() => format!("CANNOT BE TOLD: {why}"),
            Expected::Refused => format!("REFUSED before any rule is asked: {why}"),
        }
    }
}

impl Judged<'_> {
    fn say(&self, lines: &mut Vec<String>) {
        let explanation = &self.explanation;
        if !self.facts.is_empty() {
            lines.push("\nWhat it means".to_owned());
            lines.extend(facts(&self.facts));
        }
        let matching: Vec<&Part<'_>> = matching(explanation).collect();
        if !matching.is_empty() {
            lines.push("\nRules that match".to_owned());
        }
        for part in matching {
            let judgement = &explanation.judgement;
            let decides = (judgement.policy, judgement.rule) == (part.policy, part.rule);
            lines.push(format!(
                "  {:<5} {}/{}{}",
                effect(part.effect),
                part.policy,
                part.rule,
                if decides { " (decides)" } else { "" }
            ));
            for (field, wanted) in &part.selects {
                lines.push(format!("          {field}: {wanted}"));
            }
            if let Some(cause) = &part.failed {
                lines.push(format!("          cannot be evaluated: {cause}"));
            }
        }
        if let Some(hold) = explanation.judgement.hold {
            let groups = match &*hold.approver_groups {
                [] => "the configuration's approvers".to_owned(),
                groups => groups.join(", "),
            };
            lines.push(format!(
                "\nIt waits at most {} for {} of: {groups}",
                hold.expires_after, hold.quorum
            ));
        }
        self.say_what_would_change(lines);
    }

    fn say_what_would_change(&self, lines: &mut Vec<String>) {
        let explanation = &self.explanation;
        let nearest = nearest(explanation);
        if explanation.without.is_none() && nearest.is_empty() {
            return;
        }
        lines.push("\nWhat would change it".to_owned());
        if let Some(without) = &explanation.without {
            let names: Vec<String> = without
                .rules
                .iter()
                .map(|(policy, rule)| format!("{policy}/{rule}"))
                .collect();
            let verdict = match without.verdict {
                Verdict::Allow => "allowed",
                Verdict::Hold => "held",
                Verdict::Deny => "denied",
                Verdict::Failed => "refused, as a condition fails",
                Verdict::DefaultDeny => "refused, as no rule allows it",
            };
            let by = match without.rule.as_str() {
                "" => String::new(),
                rule => format!(" by {}/{rule}", without.policy),
            };
            lines.push(format!(
                "  if {} did not match, it would be {verdict}{by}",
                names.join(" and ")
            ));
        }
        for part in nearest {
            lines.push(format!(
                "  {}/{} would {} it, but for:",
                part.policy,
                part.rule,
                effect(part.effect)
            ));
            for miss in &part.misses {
                lines.push(format!(
                    "          {}: {} (here: {})",
                    miss.field, miss.wanted, miss.found
                ));
            }
        }
    }
}

/// One line for a finding, and no more than a screen of them.
/// Facts for people, line by line.
pub fn facts(facts: &Map<String, Value>) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, value) in facts {
        say_fact(name, value, &mut lines);
    }
    lines
}

fn say_fact(name: &str, value: &Value, lines: &mut Vec<String>) {
    const MOST: usize = 8;
    let items = match value {
        Value::Array(items) => items,
        Value::Object(entries) => {
            for (inner, value) in entries {
                say_fact(&format!("{name}.{inner}"), value, lines);
            }
            return;
        }
        value => {
            lines.push(format!("  {name}: {value}"));
            return;
        }
    };
    for item in items.iter().take(MOST) {
        let text = |key: &str| item.get(key).and_then(Value::as_str);
        let value = ["value", "image", "name"].into_iter().find_map(text);
        let said = match (text("field"), value) {
            (Some(field), None | Some("")) => field.to_owned(),
            (Some(field), Some(value)) => format!("{field} = {value}"),
            _ => item
                .as_str()
                .map_or_else(|| item.to_string(), str::to_owned),
        };
        lines.push(format!("  {name}: {said}"));
    }
    if items.len() > MOST {
        lines.push(format!("  {name}: and {} more", items.len() - MOST));
    }
}
