//! Sessions: an agent's run of work, summed up from its records. Part of `store`; derived
//! like the index, in the same transaction.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Row, named_params, params, params_from_iter};
use serde::{Deserialize, Serialize};

use super::records::{OutcomeRow, RecordRow, record_row};
use super::{MAX_ROWS, Store, StoreError, capped, signed, unsigned};

/// One session, summed up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionRow {
    /// The ledger position of its first record; a cursor for lists.
    pub first_position: u64,
    /// Its id.
    pub id: String,
    /// The agent.
    pub agent: String,
    /// Whom the agent acts for.
    pub principal: Option<String>,
    /// Its first moment, in microseconds since the Unix epoch.
    pub first_us: i64,
    /// The last thing known of it: the start or the end of a record.
    pub last_us: i64,
    /// How many records.
    pub records: u64,
    /// How many were allowed.
    pub allowed: u64,
    /// How many were held.
    pub held: u64,
    /// How many were denied.
    pub denied: u64,
    /// Bytes of all answers.
    pub bytes: u64,
    /// Masked values in all answers.
    pub masked: u64,
}

/// A session with a page of its records, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// The sums.
    pub summary: SessionRow,
    /// At most [`MAX_ROWS`]; ask again after the last position for more.
    pub records: Vec<RecordRow>,
}

/// Which sessions to list, those that began last first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SessionQuery {
    /// Only this agent's.
    pub agent: Option<String>,
    /// Only those for this principal.
    pub principal: Option<String>,
    /// Only those with something at or after this moment (microseconds since the epoch).
    pub since_us: Option<i64>,
    /// Only those that began before this moment.
    pub until_us: Option<i64>,
    /// Only those whose first position is lower: the last one of the page before.
    pub before: Option<u64>,
    /// How many; [`MAX_ROWS`] at most and 100 if not given.
    pub limit: Option<usize>,
}

impl Store {
    /// The sessions that match, those that began last first.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn sessions(&self, query: SessionQuery) -> Result<Vec<SessionRow>, StoreError> {
        self.reading(move |c| {
            let mut sql = "SELECT * FROM sessions WHERE true".to_owned();
            let mut bound: Vec<Value> = Vec::new();
            for (clause, value) in [
                (" AND agent = ?", query.agent.map(Value::from)),
                (" AND principal = ?", query.principal.map(Value::from)),
                (" AND last_us >= ?", query.since_us.map(Value::from)),
                (" AND first_us < ?", query.until_us.map(Value::from)),
                (
                    " AND first_position < ?",
                    query.before.map(|p| signed(p).into()),
                ),
            ] {
                if let Some(value) = value {
                    sql.push_str(clause);
                    bound.push(value);
                }
            }
            sql.push_str(" ORDER BY first_position DESC LIMIT ?");
            bound.push(capped(query.limit.unwrap_or(100)).into());
            let rows = c
                .prepare_cached(&sql)?
                .query_map(params_from_iter(bound), session_row)?
                .collect::<Result<_, _>>()?;
            Ok(rows)
        })
        .await
    }

    /// Session `id` with its records after position `after` (from the first if `None`).
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn session(
        &self,
        id: String,
        after: Option<u64>,
    ) -> Result<Option<Session>, StoreError> {
        self.reading(move |c| {
            let summary = c
                .prepare_cached("SELECT * FROM sessions WHERE id = ?1")?
                .query_row([&id], session_row)
                .optional()?;
            let Some(summary) = summary else {
                return Ok(None);
            };
            let records = c
                .prepare_cached(
                    "SELECT * FROM records WHERE session = ?1 AND position > ?2
                     AND verdict <> 'rehearsal' ORDER BY position LIMIT ?3",
                )?
                .query_map(
                    params![id, after.map_or(-1, signed), capped(MAX_ROWS)],
                    record_row,
                )?
                .collect::<Result<_, _>>()?;
            Ok(Some(Session { summary, records }))
        })
        .await
    }
}

/// Counts a new record in.
pub(super) fn begin_record(c: &Connection, record: &RecordRow) -> Result<(), StoreError> {
    if record.session.is_empty() {
        return Ok(());
    }
    c.prepare_cached(
        "INSERT INTO sessions VALUES (:position, :id, :agent, :principal, :first, :last, 1,
             :verdict = 'allow', :verdict = 'hold', :verdict = 'deny', :bytes, :masked)
         ON CONFLICT (id) DO UPDATE SET
             first_us = min(first_us, excluded.first_us),
             last_us = max(last_us, excluded.last_us),
             records = records + 1,
             allowed = allowed + excluded.allowed,
             held = held + excluded.held,
             denied = denied + excluded.denied,
             bytes = bytes + excluded.bytes,
             masked = masked + excluded.masked",
    )?
    .execute(named_params! {
        ":position": signed(record.position),
        ":id": record.session,
        ":agent": record.agent,
        ":principal": record.principal,
        ":first": record.time_us,
        ":last": record.ended_us.unwrap_or(record.time_us),
        ":verdict": record.verdict,
        ":bytes": signed(record.bytes.unwrap_or(0)),
        ":masked": signed(record.masked.unwrap_or(0)),
    })?;
    Ok(())
}

/// Counts a record's outcome in.
pub(super) fn end_record(
    c: &Connection,
    session: &str,
    outcome: &OutcomeRow,
) -> Result<(), StoreError> {
    c.prepare_cached(
        "UPDATE sessions SET last_us = max(last_us, ?1), bytes = bytes + ?2,
             masked = masked + ?3 WHERE id = ?4",
    )?
    .execute(params![
        outcome.ended_us,
        signed(outcome.bytes.unwrap_or(0)),
        signed(outcome.masked.unwrap_or(0)),
        session,
    ])?;
    Ok(())
}

fn session_row(row: &Row<'_>) -> rusqlite::Result<SessionRow> {
    Ok(SessionRow {
        first_position: unsigned(row.get("first_position")?),
        id: row.get("id")?,
        agent: row.get("agent")?,
        principal: row.get("principal")?,
        first_us: row.get("first_us")?,
        last_us: row.get("last_us")?,
        records: unsigned(row.get("records")?),
        allowed: unsigned(row.get("allowed")?),
        held: unsigned(row.get("held")?),
        denied: unsigned(row.get("denied")?),
        bytes: unsigned(row.get("bytes")?),
        masked: unsigned(row.get("masked")?),
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
mod tests {
    use super::super::records::tests::{intent, open, record};
    use super::*;

    #[tokio::test]
    async fn a_session_sums_its_records_and_pages_them_in_order() {
        let (_dir, store) = open();
        let with = |position, verdict: &str| RecordRow {
            verdict: verdict.to_owned(),
            bytes: Some(10),
            ..record(position, "bot")
        };
        let nobody = RecordRow {
            session: String::new(),
            ..record(9, "")
        };
        let rows = [
            with(1, "allow"),
            with(2, "hold"),
            with(3, "deny"),
            with(4, "refused"),
            record(5, "other"),
            nobody,
        ];
        store.index(rows.map(intent).into(), 10).await.unwrap();

        let listed = store.sessions(SessionQuery::default()).await.unwrap();
        let ids: Vec<_> = listed.iter().map(|s| s.id.as_str()).collect();
        assert_eq!(ids, ["s-other", "s-bot"]);
        let bot = &listed[1];
        assert_eq!(
            (bot.records, bot.allowed, bot.held, bot.denied),
            (4, 1, 1, 1)
        );
        assert_eq!((bot.bytes, bot.first_us, bot.last_us), (40, 1001, 1004));

        let page = store
            .session("s-bot".to_owned(), Some(2))
            .await
            .unwrap()
            .unwrap();
        let positions: Vec<_> = page.records.iter().map(|r| r.position).collect();
        assert_eq!(positions, [3, 4]);
    }

    #[tokio::test]
    async fn every_filter_narrows() {
        let (_dir, store) = open();
        let ann = RecordRow {
            principal: Some("ann".to_owned()),
            ..record(7, "two")
        };
        let batch = vec![intent(record(0, "one")), intent(ann)];
        store.index(batch, 8).await.unwrap();
        type Narrow<'a> = &'a dyn Fn(&mut SessionQuery);
        let cases: &[(Narrow<'_>, &[&str])] = &[
            (&|_| (), &["s-two", "s-one"]),
            (&|q| q.agent = Some("one".to_owned()), &["s-one"]),
            (&|q| q.principal = Some("ann".to_owned()), &["s-two"]),
            (&|q| q.since_us = Some(1007), &["s-two"]),
            (&|q| q.until_us = Some(1007), &["s-one"]),
            (&|q| q.before = Some(7), &["s-one"]),
            (&|q| q.limit = Some(1), &["s-two"]),
        ];
        for (narrow, expected) in cases {
            let mut query = SessionQuery::default();
            narrow(&mut query);
            let rows = store.sessions(query.clone()).await.unwrap();
            let ids: Vec<_> = rows.iter().map(|s| s.id.as_str()).collect();
            assert_eq!(ids, *expected, "{query:?}");
        }
    }
}
