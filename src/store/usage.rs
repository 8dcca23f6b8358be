//! What was used, counted: the raw material of an access review. Part of `store`; what the
//! counts mean is `review`'s business.

use rusqlite::params;

use super::{Store, StoreError, signed, unsigned};

/// How many rows a review may carry before it must be narrowed. It refuses rather than leave
/// something out: an access review with silent gaps is worse than none.
const MAX_USAGE: usize = 100_000;

/// How often one agent did one kind of thing under one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
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
    /// The policy that decided.
    pub policy: Option<String>,
    /// The rule that decided.
    pub rule: Option<String>,
    /// How many were allowed.
    pub allowed: u64,
    /// How many were held.
    pub held: u64,
    /// How many were denied.
    pub denied: u64,
    /// The first time, in microseconds since the Unix epoch.
    pub first_us: i64,
    /// The last time.
    pub last_us: i64,
}

impl Store {
    /// Counts the decided records since a moment (microseconds since the Unix epoch), sorted
    /// by all fields from `agent` to `rule`.
    ///
    /// # Errors
    /// [`StoreError::TooMuch`] above 100 000 rows, or any other [`StoreError`].
    pub async fn usage(&self, since_us: i64) -> Result<Vec<UsageRow>, StoreError> {
        self.reading(move |c| usage(c, since_us, MAX_USAGE)).await
    }
}

fn usage(
    c: &rusqlite::Connection,
    since_us: i64,
    limit: usize,
) -> Result<Vec<UsageRow>, StoreError> {
    let rows: Vec<UsageRow> = c
        .prepare_cached(
            "SELECT agent, cluster, verb, api_group, resource, subresource, namespace, policy,
                 rule, sum(verdict = 'allow') AS allowed, sum(verdict = 'hold') AS held,
                 sum(verdict = 'deny') AS denied, min(time_us) AS first_us,
                 max(time_us) AS last_us
             FROM records
             WHERE time_us >= ?1 AND agent <> '' AND verdict IN ('allow', 'hold', 'deny')
             GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
             ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9 LIMIT ?2",
        )?
        .query_map(params![since_us, signed(limit as u64 + 1)], |row| {
            Ok(UsageRow {
                agent: row.get("agent")?,
                cluster: row.get("cluster")?,
                verb: row.get("verb")?,
                api_group: row.get("api_group")?,
                resource: row.get("resource")?,
                subresource: row.get("subresource")?,
                namespace: row.get("namespace")?,
                policy: row.get("policy")?,
                rule: row.get("rule")?,
                allowed: unsigned(row.get("allowed")?),
                held: unsigned(row.get("held")?),
                denied: unsigned(row.get("denied")?),
                first_us: row.get("first_us")?,
                last_us: row.get("last_us")?,
            })
        })?
        .collect::<Result<_, _>>()?;
    if rows.len() > limit {
        return Err(StoreError::TooMuch { limit });
    }
    Ok(rows)
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
    use super::super::records::tests::{intent, open, record};
    use super::*;

    #[tokio::test]
    async fn too_many_kinds_of_use_are_refused_not_cut() {
        let (_dir, store) = open();
        let batch = vec![intent(record(0, "one")), intent(record(1, "two"))];
        store.index(batch, 2).await.unwrap();
        let counted = |limit| store.reading(move |c| usage(c, 0, limit));
        assert_eq!(counted(2).await.unwrap().len(), 2);
        assert!(matches!(
            counted(1).await,
            Err(StoreError::TooMuch { limit: 1 })
        ));
    }
}
