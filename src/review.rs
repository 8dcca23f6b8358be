//! Granted versus used → findings.
//!
//! An access review asks of every grant whether anybody needed it. This room compares what the
//! policy lets pass with what the records show. It changes no policy and reads no ledger: its
//! counts come from the search index, which is derived. Not a step of the walk; people call it.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use crate::store::{Store, StoreError, UsageRow};

/// A rule, by its policy's name and its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleName {
    /// The policy's name.
    pub policy: String,
    /// The rule's name.
    pub rule: String,
}

/// How often one agent did one kind of thing in one namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// The agent.
    pub agent: String,
    /// The cluster.
    pub cluster: String,
    /// RBAC's verb.
    pub verb: String,
    /// API group.
    pub api_group: String,
    /// Plural resource; empty for non-resource paths.
    pub resource: String,
    /// Subresource, or empty.
    pub subresource: String,
    /// Namespace, or empty.
    pub namespace: String,
    /// How many requests were allowed.
    pub allowed: u64,
    /// How many were held.
    pub held: u64,
    /// How many were denied.
    pub denied: u64,
    /// The first one.
    pub first: Timestamp,
    /// The last one.
    pub last: Timestamp,
    /// The rules that decided them; empty if only the default did.
    pub rules: BTreeSet<RuleName>,
}

/// Something that a reviewer should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Finding {
    /// A rule decided nothing in the period.
    RuleNeverMatched(RuleName),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RuleNeverMatched(name) => write!(
                f,
                "rule {} of policy {} decided no request in this period; remove it, or note why it stays",
                name.rule, name.policy
            ),
        }
    }
}

/// What was used since a moment, sorted by agent, cluster, verb, resource, namespace.
///
/// # Errors
/// [`StoreError::TooMuch`] if the period has more than 100 000 distinct kinds of use: nothing is
/// ever left out in silence. Any other [`StoreError`].
pub async fn usage(store: &Store, since: Timestamp) -> Result<Vec<Usage>, StoreError> {
    let rows = store.usage(since.as_microsecond()).await?;
    let mut all: Vec<Usage> = Vec::new();
    // Sorted: rows that differ only in the rule are neighbours.
    for row in rows {
        let next = Usage::from(row);
        match all.last_mut() {
            Some(last) if last.same_kind(&next) => last.add(next),
            _ => all.push(next),
        }
    }
    Ok(all)
}

/// The rules of `rules` that decided nothing in `usage`, in their order. A rule that is shadowed
/// by a stronger one (deny over hold over allow) decides nothing, too.
pub fn findings(usage: &[Usage], rules: &[(String, String)]) -> Vec<Finding> {
    let used: BTreeSet<(&str, &str)> = usage
        .iter()
        .flat_map(|u| &u.rules)
        .map(|name| (name.policy.as_str(), name.rule.as_str()))
        .collect();
    rules
        .iter()
        .filter(|(policy, rule)| !used.contains(&(policy.as_str(), rule.as_str())))
        .map(|(policy, rule)| {
            Finding::RuleNeverMatched(RuleName {
                policy: policy.clone(),
                rule: rule.clone(),
            })
        })
        .collect()
}

impl Usage {
    fn same_kind(&self, other: &Self) -> bool {
        self.agent == other.agent
            && self.cluster == other.cluster
            && self.verb == other.verb
            && self.api_group == other.api_group
            && self.resource == other.resource
            && self.subresource == other.subresource
            && self.namespace == other.namespace
    }

    fn add(&mut self, other: Self) {
        self.allowed += other.allowed;
        self.held += other.held;
        self.denied += other.denied;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.rules.extend(other.rules);
    }
}

impl From<UsageRow> for Usage {
    fn from(row: UsageRow) -> Self {
        let moment = |us| Timestamp::from_microsecond(us).unwrap_or(Timestamp::UNIX_EPOCH);
        let name = row.policy.zip(row.rule);
        Self {
            agent: row.agent,
            cluster: row.cluster,
            verb: row.verb,
            api_group: row.api_group,
            resource: row.resource,
            subresource: row.subresource,
            namespace: row.namespace,
            allowed: row.allowed,
            held: row.held,
            denied: row.denied,
            first: moment(row.first_us),
            last: moment(row.last_us),
            rules: name
                .map(|(policy, rule)| RuleName { policy, rule })
                .into_iter()
                .collect(),
        }
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]
mod tests {
    use super::*;
    use crate::store::{IndexRow, RecordRow};

    fn record(position: u64, verdict: &str, rule: Option<&str>) -> RecordRow {
        RecordRow {
            position,
            id: format!("r-{position}"),
            time_us: 1_000_000 * i64::try_from(position).unwrap(),
            agent: "bot".to_owned(),
            cluster: "prod".to_owned(),
            verb: "create".to_owned(),
            resource: "pods".to_owned(),
            namespace: "shop".to_owned(),
            verdict: verdict.to_owned(),
            policy: rule.map(|_| "team".to_owned()),
            rule: rule.map(str::to_owned),
            ..RecordRow::default()
        }
    }

    async fn used(rows: Vec<RecordRow>, since: i64) -> Vec<Usage> {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("gate.db")).unwrap();
        let batch = rows.into_iter().map(|r| IndexRow::Record(Box::new(r)));
        store.index(batch.collect(), 0).await.unwrap();
        usage(&store, Timestamp::from_second(since).unwrap())
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn one_kind_of_use_is_one_row_whatever_rule_decided() {
        let all = used(
            vec![
                record(1, "allow", Some("too-early")),
                record(2, "allow", Some("pods")),
                record(3, "hold", Some("privileged")),
                record(4, "deny", None),
                record(5, "allow", Some("pods")),
                record(6, "refused", None),
            ],
            2,
        )
        .await;
        let [one] = all.as_slice() else {
            panic!("{all:?}");
        };
        assert_eq!((one.allowed, one.held, one.denied), (2, 1, 1));
        assert_eq!((one.first.as_second(), one.last.as_second()), (2, 5));
        let rules: Vec<_> = one.rules.iter().map(|r| r.rule.as_str()).collect();
        assert_eq!(rules, ["pods", "privileged"]);
    }

    #[tokio::test]
    async fn every_field_of_the_kind_separates() {
        let change: [fn(&mut RecordRow); 8] = [
            |_| (),
            |r| r.agent = "x".to_owned(),
            |r| r.cluster = "x".to_owned(),
            |r| r.verb = "x".to_owned(),
            |r| r.api_group = "x".to_owned(),
            |r| r.resource = "x".to_owned(),
            |r| r.subresource = "x".to_owned(),
            |r| r.namespace = "x".to_owned(),
        ];
        let rows = change.iter().zip(1..).map(|(change, position)| {
            let mut row = record(position, "allow", Some("pods"));
            change(&mut row);
            row
        });
        let all = used(rows.collect(), 0).await;
        assert_eq!(all.len(), change.len());
    }

    #[tokio::test]
    async fn a_rule_that_decided_nothing_is_found_by_its_full_name() {
        let all = used(vec![record(1, "allow", Some("pods"))], 0).await;
        let rule = |policy: &str, rule: &str| (policy.to_owned(), rule.to_owned());
        let rules = [
            rule("team", "pods"),
            rule("team", "secrets"),
            rule("other", "pods"),
        ];
        let said: Vec<String> = findings(&all, &rules)
            .iter()
            .map(Finding::to_string)
            .collect();
        assert_eq!(said.len(), 2);
        assert!(
            said[0].starts_with("rule secrets of policy team "),
            "{said:?}"
        );
        assert!(
            said[1].starts_with("rule pods of policy other "),
            "{said:?}"
        );
    }
}
