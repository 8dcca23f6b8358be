//! `gateward policy diff`: recorded requests, judged by two sets of policies.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::audit::moment;
use super::past::{Records, Told};
use super::rules::said;
use crate::config::cases::Expected;
use crate::config::{Rules, load_rules};
use crate::output::{Output, line, plain, print, table};
use crate::record::asked::What;
use crate::suppose::Found;
use crate::suppose::replay::{Replay, Unknown};

/// How many record ids are named for each change.
const EXAMPLES: usize = 3;
/// How many different changes are told apart.
const MOST_CHANGES: usize = 2_000;

/// Arguments of `policy diff`.
#[derive(Debug, Args)]
pub struct Diff {
    /// The policies as they are: a file, a directory, a configuration, or `default-pack`
    old: PathBuf,
    /// The policies as they would be
    new: PathBuf,
    /// The guardrails that come with Gateward, too, on both sides
    #[arg(long)]
    default_pack: bool,
    /// Requests not older than this: a duration (10m, 24h, 7d) or an RFC 3339 time
    #[arg(long, default_value = "7d")]
    since: String,
    /// Form of the result
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    records: Records,
}

/// What would be said, and by which rule.
type Said = (Expected, String);

/// What would change, for whom.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Change {
    old: Said,
    new: Said,
    agent: String,
    operation: String,
    namespace: String,
}

/// How often, and where to look.
#[derive(Debug, Default)]
struct Count {
    count: u64,
    records: Vec<String>,
}

#[derive(Debug, Default)]
struct Tally {
    same: u64,
    /// Of these: by another rule than before.
    other_rule: u64,
    changed: u64,
    changes: BTreeMap<Change, Count>,
    /// Changes that are not told apart any more.
    more: u64,
    unknown: BTreeMap<Unknown, Count>,
}

impl Diff {
    /// Runs the command.
    ///
    /// # Errors
    /// What cannot be read.
    pub async fn run(self) -> anyhow::Result<()> {
        let old = self.rules(&self.old)?;
        let new = self.rules(&self.new)?;
        let since = moment(Some(&self.since), Timestamp::now())?.unwrap_or_default();
        let mut reader = self.records.since(since.parse()?)?;
        let mut tally = Tally::default();
        while let Some(told) = reader.next().await? {
            tally.add(&told, &old, &new);
        }
        let unreadable = reader.unreadable;
        let document = tally.document(&since, unreadable);
        print(self.output, &document, |_| tally.show(&since, unreadable))
    }

    fn rules(&self, path: &Path) -> anyhow::Result<Rules> {
        let rules = match path.to_str() {
            Some("default-pack") => load_rules(&[], true),
            _ => load_rules(&[path.to_owned()], self.default_pack),
        };
        rules.map_err(|problems| said(self.output, &problems))
    }
}

impl Tally {
    fn add(&mut self, told: &Told, old: &Rules, new: &Rules) {
        let id = told.past.id.to_string();
        let judged = Replay::of(&told.past, told.body.clone(), told.result.as_deref())
            .and_then(|replay| Ok((replay.judge(old)?, replay.judge(new)?)));
        let (old, new) = match judged {
            Ok(judged) => judged,
            Err(unknown) => {
                self.unknown.entry(unknown).or_default().add(id);
                return;
            }
        };
        if old.verdict == new.verdict {
            self.same += 1;
            self.other_rule += u64::from((old.policy, old.rule) != (new.policy, new.rule));
            return;
        }
        self.changed += 1;
        let what = &told.past.what;
        let change = Change {
            old: by(&old),
            new: by(&new),
            agent: told.past.who.agent.clone().unwrap_or_default(),
            operation: operation(what),
            namespace: what.namespace.clone(),
        };
        if self.changes.len() >= MOST_CHANGES && !self.changes.contains_key(&change) {
            self.more += 1;
            return;
        }
        self.changes.entry(change).or_default().add(id);
    }

    fn untold(&self) -> u64 {
        self.unknown.values().map(|count| count.count).sum()
    }

    fn document(&self, since: &str, unreadable: u64) -> Value {
        let said = |(verdict, rule): &Said| json!({"verdict": verdict, "rule": rule});
        let changes = self.sorted();
        let changes: Vec<Value> = changes
            .iter()
            .map(|(change, count)| {
                json!({
                    "agent": change.agent,
                    "operation": change.operation,
                    "namespace": change.namespace,
                    "old": said(&change.old),
                    "new": said(&change.new),
                    "count": count.count,
                    "records": count.records,
                })
            })
            .collect();
        let unknown: Vec<Value> = self
            .unknown
            .iter()
            .map(|(why, count)| {
                json!({
                    "why": why,
                    "sentence": why.sentence(),
                    "count": count.count,
                    "records": count.records,
                })
            })
            .collect();
        json!({
            "since": since,
            "requests": self.same + self.changed + self.untold(),
            "same": self.same,
            "byAnotherRule": self.other_rule,
            "changed": self.changed,
            "unknown": self.untold(),
            "items": changes,
            "changesNotShown": self.more,
            "unknownBecause": unknown,
            "unreadableEntries": unreadable,
        })
    }

    /// The most frequent first.
    fn sorted(&self) -> Vec<(&Change, &Count)> {
        let mut changes: Vec<_> = self.changes.iter().collect();
        changes.sort_by_key(|(_, count)| std::cmp::Reverse(count.count));
        changes
    }

    fn show(&self, since: &str, unreadable: u64) {
        let rows = self.sorted().into_iter().map(|(change, count)| {
            let cells = [
                format!("{} → {}", word(change.old.0), word(change.new.0)),
                count.count.to_string(),
                change.agent.clone(),
                change.operation.clone(),
                change.namespace.clone(),
                format!("{} → {}", or_none(&change.old.1), or_none(&change.new.1)),
                count.records.join(", "),
            ];
            cells.map(|cell| plain(&cell)).to_vec()
        });
        let headings = [
            "CHANGE",
            "COUNT",
            "AGENT",
            "OPERATION",
            "NAMESPACE",
            "RULE",
            "RECORDS",
        ];
        table(&headings, rows.collect(), "Nothing would change.");
        line(format!(
            "\n{} requests since {since}: {} judged the same ({} of them by another rule), {} \
             would change, {} cannot be told",
            self.same + self.changed + self.untold(),
            self.same,
            self.other_rule,
            self.changed,
            self.untold()
        ));
        if self.more > 0 {
            line(format!(
                "{} more requests would change in ways that are not listed",
                self.more
            ));
        }
        for (why, count) in &self.unknown {
            line(format!(
                "  {} cannot be told: {} (such as {})",
                count.count,
                why.sentence(),
                count.records.join(", ")
            ));
        }
        if unreadable > 0 {
            line(format!(
                "{unreadable} entries of the ledger could not be read"
            ));
        }
    }
}

impl Count {
    fn add(&mut self, id: String) {
        self.count += 1;
        if self.records.len() < EXAMPLES {
            self.records.push(id);
        }
    }
}

fn by(found: &Found<'_>) -> Said {
    let rule = match found.rule {
        "" => String::new(),
        rule => format!("{}/{rule}", found.policy),
    };
    (found.verdict, rule)
}

/// Without the object's name: one line tells of all objects of a kind.
fn operation(what: &What) -> String {
    if what.resource.is_empty() {
        return format!("{} {}", what.verb, what.path);
    }
    let mut words = format!("{} {}", what.verb, what.resource);
    for (mark, part) in [(".", &what.api_group), ("/", &what.subresource)] {
        if !part.is_empty() {
            words = format!("{words}{mark}{part}");
        }
    }
    words
}

fn word(verdict: Expected) -> String {
    let word = json!(verdict);
    word.as_str().unwrap_or_default().to_owned()
}

fn or_none(rule: &str) -> &str {
    if rule.is_empty() { "no rule" } else { rule }
}
