//! The search index: one row per record, derived from the ledger. Part of `store`. It is
//! never the truth: it can be emptied and built again, and it says how far it has come.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Row, named_params, params_from_iter};
use serde::{Deserialize, Serialize};

use super::{Store, StoreError, capped, sessions, signed, unsigned};

/// The verdict of what the gate asks of the cluster to judge a write: in the index, and found
/// by whoever looks for it, but not an act of the agent's.
const REHEARSAL: &str = "rehearsal";

/// One change of the index, made from one ledger entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexRow {
    /// A record's first entry: an intent, or a refusal that is complete at once. Ignored if
    /// the record is there already.
    Record(Box<RecordRow>),
    /// A record's outcome. Ignored if the record is unknown or has its outcome already.
    Outcome(OutcomeRow),
}

/// One record. The last six fields are the outcome: empty until it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordRow {
    /// The position of the record's first entry in the ledger.
    pub position: u64,
    /// The record's id.
    pub id: String,
    /// When the request came: RFC 3339, as it stands in the ledger.
    pub time: String,
    /// The same in microseconds since the Unix epoch.
    pub time_us: i64,
    /// The session's id; empty if it belongs to none (nobody was identified).
    pub session: String,
    /// The agent's user name; empty if nobody was identified.
    pub agent: String,
    /// Whom the agent acts for.
    pub principal: Option<String>,
    /// The cluster; empty if the request named none.
    pub cluster: String,
    /// RBAC's verb.
    pub verb: String,
    /// API group.
    pub api_group: String,
    /// Plural resource.
    pub resource: String,
    /// Subresource, or empty.
    pub subresource: String,
    /// Namespace, or empty.
    pub namespace: String,
    /// Object name, or empty.
    pub name: String,
    /// Canonical path at the API server.
    pub path: String,
    /// `allow`, `hold` or `deny`; any other word (`refused`, `rehearsal`) counts as none of them.
    pub verdict: String,
    /// The policy that decided.
    pub policy: Option<String>,
    /// The rule that decided.
    pub rule: Option<String>,
    /// The hold it waits for, or went through.
    pub hold: Option<String>,
    /// Who approved.
    pub approver: Option<String>,
    /// When it ended, in microseconds since the Unix epoch.
    pub ended_us: Option<i64>,
    /// The HTTP status that the agent got; empty with an `ended_us` if nobody knows.
    pub status: Option<u16>,
    /// How long it took, in microseconds.
    pub duration_us: Option<i64>,
    /// Bytes of the answer's body.
    pub bytes: Option<u64>,
    /// How many values were masked.
    pub masked: Option<u64>,
    /// Why it was refused.
    pub refusal: Option<String>,
}

/// How a record ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutcomeRow {
    /// The record's id.
    pub id: String,
    /// When it ended, in microseconds since the Unix epoch.
    pub ended_us: i64,
    /// The HTTP status that the agent got.
    pub status: Option<u16>,
    /// How long it took, in microseconds.
    pub duration_us: Option<i64>,
    /// Bytes of the answer's body.
    pub bytes: Option<u64>,
    /// How many values were masked.
    pub masked: Option<u64>,
    /// Why it was refused.
    pub refusal: Option<String>,
}

/// Which records to find, newest first. Every field that is given narrows the search.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RecordQuery {
    /// The record's id.
    pub id: Option<String>,
    /// The agent; `*` stands for any characters.
    pub agent: Option<String>,
    /// The principal.
    pub principal: Option<String>,
    /// The cluster.
    pub cluster: Option<String>,
    /// The verb.
    pub verb: Option<String>,
    /// The resource.
    pub resource: Option<String>,
    /// The namespace.
    pub namespace: Option<String>,
    /// The object's name.
    pub name: Option<String>,
    /// The verdict. Without it and without an id, rehearsals (what the gate asked of the cluster
    /// to judge a write) are left out.
    pub verdict: Option<String>,
    /// The session.
    pub session: Option<String>,
    /// The hold.
    pub hold: Option<String>,
    /// From this moment on, in microseconds since the Unix epoch.
    pub since_us: Option<i64>,
    /// Until just before this moment.
    pub until_us: Option<i64>,
    /// Words in the path or in the reason of the refusal, in one piece and as written.
    pub text: Option<String>,
    /// Only positions lower than this: the last position of the page before.
    pub before: Option<u64>,
    /// How many; [`super::MAX_ROWS`] at most and 100 if not given.
    pub limit: Option<usize>,
}

impl Store {
    /// Takes a batch into the index and notes that all ledger entries before `up_to` are in,
    /// both or neither. Taking the same entries in twice changes nothing.
    ///
    /// # Errors
    /// Any [`StoreError`]; the index is as it was then.
    pub async fn index(&self, batch: Vec<IndexRow>, up_to: u64) -> Result<(), StoreError> {
        self.writing(move |tx| {
            for row in &batch {
                match row {
                    IndexRow::Record(record) => {
                        if insert(tx, record)? && record.verdict != REHEARSAL {
                            sessions::begin_record(tx, record)?;
                        }
                    }
                    IndexRow::Outcome(outcome) => {
                        if let Some(session) = finish(tx, outcome)? {
                            sessions::end_record(tx, &session, outcome)?;
                        }
                    }
                }
            }
            tx.execute(
                "UPDATE index_progress SET indexed = max(indexed, ?1)",
                [signed(up_to)],
            )?;
            Ok(())
        })
        .await
    }

    /// How many ledger entries are in the index: the position to go on from.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn indexed_up_to(&self) -> Result<u64, StoreError> {
        self.reading(|c| {
            let indexed = c.query_row("SELECT indexed FROM index_progress", [], |r| r.get(0))?;
            Ok(unsigned(indexed))
        })
        .await
    }

    /// Empties the index, to be built again from position 0. Holds are not touched.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn clear_index(&self) -> Result<(), StoreError> {
        self.writing(|tx| {
            tx.execute_batch(
                "DELETE FROM records; DELETE FROM sessions;
                 UPDATE index_progress SET indexed = 0;",
            )?;
            Ok(())
        })
        .await
    }

    /// The records that match, newest first.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn search(&self, query: RecordQuery) -> Result<Vec<RecordRow>, StoreError> {
        self.reading(move |c| {
            let (sql, bound) = select(query);
            let rows = c
                .prepare_cached(&sql)?
                .query_map(params_from_iter(bound), record_row)?
                .collect::<Result<_, _>>()?;
            Ok(rows)
        })
        .await
    }
}

/// The statement is put together from fixed clauses; every value is bound.
fn select(query: RecordQuery) -> (String, Vec<Value>) {
    let mut sql = "SELECT * FROM records WHERE true".to_owned();
    if query.verdict.is_none() && query.id.is_none() {
        sql.push_str(" AND verdict <> 'rehearsal'");
    }
    let mut bound = Vec::new();
    let mut narrow = |clause: &str, value: Option<Value>| {
        if let Some(value) = value {
            sql.push_str(clause);
            bound.push(value);
        }
    };
    match query.agent {
        Some(agent) if agent.contains('*') => {
            narrow(" AND agent GLOB ?", Some(glob(&agent).into()));
        }
        agent => narrow(" AND agent = ?", agent.map(Value::from)),
    }
    for (clause, value) in [
        (" AND id = ?", query.id),
        (" AND principal = ?", query.principal),
        (" AND cluster = ?", query.cluster),
        (" AND verb = ?", query.verb),
        (" AND resource = ?", query.resource),
        (" AND namespace = ?", query.namespace),
        (" AND name = ?", query.name),
        (" AND verdict = ?", query.verdict),
        (" AND session = ?", query.session),
        (" AND hold = ?", query.hold),
        (
            " AND instr(path || char(10) || coalesce(refusal, ''), ?) > 0",
            query.text,
        ),
    ] {
        narrow(clause, value.map(Value::from));
    }
    narrow(" AND time_us >= ?", query.since_us.map(Value::from));
    narrow(" AND time_us < ?", query.until_us.map(Value::from));
    narrow(" AND position < ?", query.before.map(|p| signed(p).into()));
    sql.push_str(" ORDER BY position DESC LIMIT ?");
    bound.push(capped(query.limit.unwrap_or(100)).into());
    (sql, bound)
}

/// Only `*` is special; SQLite's other two metacharacters are put into brackets.
fn glob(pattern: &str) -> String {
    let mut escaped = String::with_capacity(pattern.len());
    for c in pattern.chars() {
        match c {
            '?' => escaped.push_str("[?]"),
            '[' => escaped.push_str("[[]"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Whether the record is new.
fn insert(c: &Connection, row: &RecordRow) -> Result<bool, StoreError> {
    let inserted = c
        .prepare_cached(
            "INSERT INTO records VALUES (:position, :id, :time, :time_us, :session, :agent,
                 :principal, :cluster, :verb, :api_group, :resource, :subresource, :namespace,
                 :name, :path, :verdict, :policy, :rule, :hold, :approver,
                 :ended_us, :status, :duration_us, :bytes, :masked, :refusal)
             ON CONFLICT DO NOTHING",
        )?
        .execute(named_params! {
            ":position": signed(row.position),
            ":id": row.id,
            ":time": row.time,
            ":time_us": row.time_us,
            ":session": row.session,
            ":agent": row.agent,
            ":principal": row.principal,
            ":cluster": row.cluster,
            ":verb": row.verb,
            ":api_group": row.api_group,
            ":resource": row.resource,
            ":subresource": row.subresource,
            ":namespace": row.namespace,
            ":name": row.name,
            ":path": row.path,
            ":verdict": row.verdict,
            ":policy": row.policy,
            ":rule": row.rule,
            ":hold": row.hold,
            ":approver": row.approver,
            ":ended_us": row.ended_us,
            ":status": row.status,
            ":duration_us": row.duration_us,
            ":bytes": row.bytes.map(signed),
            ":masked": row.masked.map(signed),
            ":refusal": row.refusal,
        })?;
    Ok(inserted == 1)
}

/// Fills in the outcome; answers the session if the record was waiting for it.
fn finish(c: &Connection, outcome: &OutcomeRow) -> Result<Option<String>, StoreError> {
    let session = c
        .prepare_cached(
            "UPDATE records SET ended_us = :ended_us, status = :status,
                 duration_us = :duration_us, bytes = :bytes, masked = :masked,
                 refusal = coalesce(:refusal, refusal)
             WHERE id = :id AND ended_us IS NULL RETURNING session",
        )?
        .query_row(
            named_params! {
                ":id": outcome.id,
                ":ended_us": outcome.ended_us,
                ":status": outcome.status,
                ":duration_us": outcome.duration_us,
                ":bytes": outcome.bytes.map(signed),
                ":masked": outcome.masked.map(signed),
                ":refusal": outcome.refusal,
            },
            |row| row.get(0),
        )
        .optional()?;
    Ok(session)
}

pub(super) fn record_row(row: &Row<'_>) -> rusqlite::Result<RecordRow> {
    Ok(RecordRow {
        position: unsigned(row.get("position")?),
        id: row.get("id")?,
        time: row.get("time")?,
        time_us: row.get("time_us")?,
        session: row.get("session")?,
        agent: row.get("agent")?,
        principal: row.get("principal")?,
        cluster: row.get("cluster")?,
        verb: row.get("verb")?,
        api_group: row.get("api_group")?,
        resource: row.get("resource")?,
        subresource: row.get("subresource")?,
        namespace: row.get("namespace")?,
        name: row.get("name")?,
        path: row.get("path")?,
        verdict: row.get("verdict")?,
        policy: row.get("policy")?,
        rule: row.get("rule")?,
        hold: row.get("hold")?,
        approver: row.get("approver")?,
        ended_us: row.get("ended_us")?,
        status: row.get("status")?,
        duration_us: row.get("duration_us")?,
        bytes: row.get::<_, Option<i64>>("bytes")?.map(unsigned),
        masked: row.get::<_, Option<i64>>("masked")?.map(unsigned),
        refusal: row.get("refusal")?,
    })
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]
pub(super) mod tests {
    use super::*;

    pub(in crate::store) fn open() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("gate.db")).unwrap();
        (dir, store)
    }

    pub(in crate::store) fn record(position: u64, agent: &str) -> RecordRow {
        RecordRow {
            position,
            id: format!("r-{position}"),
            time: "2026-11-01T00:00:00Z".to_owned(),
            time_us: 1000 + i64::try_from(position).unwrap(),
            session: format!("s-{agent}"),
            agent: agent.to_owned(),
            cluster: "prod".to_owned(),
            verb: "get".to_owned(),
            resource: "pods".to_owned(),
            namespace: "shop".to_owned(),
            path: "/api/v1/namespaces/shop/pods".to_owned(),
            verdict: "allow".to_owned(),
            ..RecordRow::default()
        }
    }

    pub(in crate::store) fn intent(row: RecordRow) -> IndexRow {
        IndexRow::Record(Box::new(row))
    }

    async fn found(store: &Store, query: RecordQuery) -> Vec<u64> {
        let rows = store.search(query).await.unwrap();
        rows.into_iter().map(|r| r.position).collect()
    }

    #[tokio::test]
    async fn an_outcome_fills_its_record_once_and_a_second_pass_changes_nothing() {
        let (_dir, store) = open();
        let outcome = OutcomeRow {
            id: "r-0".to_owned(),
            ended_us: 2000,
            status: Some(200),
            duration_us: Some(1000),
            bytes: Some(5),
            masked: Some(2),
            refusal: None,
        };
        let batch = vec![
            intent(record(0, "bot")),
            IndexRow::Outcome(outcome.clone()),
            IndexRow::Outcome(OutcomeRow {
                status: Some(500),
                ..outcome.clone()
            }),
            IndexRow::Outcome(OutcomeRow {
                id: "r-unknown".to_owned(),
                ..outcome
            }),
        ];
        store.index(batch.clone(), 4).await.unwrap();
        store.index(batch, 4).await.unwrap();
        let rows = store.search(RecordQuery::default()).await.unwrap();
        let expected = RecordRow {
            ended_us: Some(2000),
            status: Some(200),
            duration_us: Some(1000),
            bytes: Some(5),
            masked: Some(2),
            ..record(0, "bot")
        };
        assert_eq!(rows, vec![expected]);
        let session = store
            .session("s-bot".to_owned(), None)
            .await
            .unwrap()
            .unwrap();
        assert_eq!((session.summary.records, session.summary.bytes), (1, 5));
        assert_eq!((session.summary.masked, session.summary.last_us), (2, 2000));
    }

    #[tokio::test]
    async fn progress_is_kept_with_its_batch_never_falls_back_and_can_be_cleared() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gate.db");
        let store = Store::open(&path).unwrap();
        store
            .index(vec![intent(record(0, "bot"))], 1)
            .await
            .unwrap();
        store.index(Vec::new(), 0).await.unwrap();
        drop(store);
        let store = Store::open(&path).unwrap();
        assert_eq!(store.indexed_up_to().await.unwrap(), 1);
        store.clear_index().await.unwrap();
        assert_eq!(store.indexed_up_to().await.unwrap(), 0);
        assert!(found(&store, RecordQuery::default()).await.is_empty());
        assert!(
            store
                .session("s-bot".to_owned(), None)
                .await
                .unwrap()
                .is_none()
        );
        store
            .index(vec![intent(record(0, "bot"))], 1)
            .await
            .unwrap();
        assert_eq!(found(&store, RecordQuery::default()).await, [0]);
    }

    #[tokio::test]
    async fn every_filter_narrows() {
        let (_dir, store) = open();
        let special = RecordRow {
            principal: Some("ann".to_owned()),
            cluster: "dev".to_owned(),
            verb: "delete".to_owned(),
            resource: "secrets".to_owned(),
            namespace: "bank".to_owned(),
            name: "db".to_owned(),
            path: "/api/v1/namespaces/bank/secrets/db".to_owned(),
            verdict: "deny".to_owned(),
            hold: Some("h-1".to_owned()),
            refusal: Some("rule keep-secrets says no".to_owned()),
            ..record(1, "deploy[1]?x")
        };
        let rows = [record(0, "bot"), special, record(2, "deploy[1]zx")];
        store
            .index(rows.into_iter().map(intent).collect(), 3)
            .await
            .unwrap();

        let some = |s: &str| Some(s.to_owned());
        type Narrow<'a> = &'a dyn Fn(&mut RecordQuery);
        let cases: &[(&str, Narrow<'_>, &[u64])] = &[
            ("none", &|_| (), &[2, 1, 0]),
            ("id", &|q| q.id = some("r-1"), &[1]),
            ("agent", &|q| q.agent = some("bot"), &[0]),
            ("agent glob", &|q| q.agent = some("dep*"), &[2, 1]),
            (
                "glob is literal but *",
                &|q| q.agent = some("deploy[1]?*"),
                &[1],
            ),
            ("principal", &|q| q.principal = some("ann"), &[1]),
            ("cluster", &|q| q.cluster = some("dev"), &[1]),
            ("verb", &|q| q.verb = some("delete"), &[1]),
            ("resource", &|q| q.resource = some("secrets"), &[1]),
            ("namespace", &|q| q.namespace = some("bank"), &[1]),
            ("name", &|q| q.name = some("db"), &[1]),
            ("verdict", &|q| q.verdict = some("deny"), &[1]),
            ("session", &|q| q.session = some("s-bot"), &[0]),
            ("hold", &|q| q.hold = some("h-1"), &[1]),
            ("since", &|q| q.since_us = Some(1001), &[2, 1]),
            ("until", &|q| q.until_us = Some(1001), &[0]),
            ("text in path", &|q| q.text = some("bank/secr"), &[1]),
            ("text in refusal", &|q| q.text = some("keep-secrets"), &[1]),
            ("page", &|q| q.before = Some(2), &[1, 0]),
            ("limit", &|q| q.limit = Some(1), &[2]),
            ("injection", &|q| q.agent = some("' OR 1=1 --"), &[]),
        ];
        for (what, narrow, expected) in cases {
            let mut query = RecordQuery::default();
            narrow(&mut query);
            assert_eq!(found(&store, query).await, *expected, "{what}");
        }
    }

    #[tokio::test]
    async fn no_search_answers_more_than_the_limit() {
        let (_dir, store) = open();
        let batch = (0..1005).map(|n| intent(record(n, "bot"))).collect();
        store.index(batch, 1005).await.unwrap();
        let query = RecordQuery {
            limit: Some(usize::MAX),
            ..RecordQuery::default()
        };
        assert_eq!(found(&store, query).await.len(), crate::store::MAX_ROWS);
    }
}
