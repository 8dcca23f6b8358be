//! Rows of holds and of the answers to them. Part of `store`. It knows which rows are live
//! and writes them whole or not at all; what an answer is worth is `approve`'s business.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, named_params, params, params_from_iter};
use serde::Deserialize;

use super::{Store, StoreError, capped};
use row::{List, hold_row, list};

mod row;

pub use row::{Answer, HoldRow, HoldStatus, NewHold, Vote};

/// What came of filing a hold.
#[derive(Debug)]
pub enum Filed {
    /// It is new.
    New(HoldRow),
    /// There is a live one, or a denial in force, for this digest.
    Found(HoldRow),
    /// The agent has as many pending holds as it may have.
    TooMany,
}

/// Which holds to list, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HoldFilter {
    /// Only those that stand so.
    pub state: Option<HoldStatus>,
    /// Only this agent's.
    pub agent: Option<String>,
    /// Only for this cluster.
    pub cluster: Option<String>,
    /// Only those with a lower number: the last number of the page before.
    pub before: Option<i64>,
    /// How many; [`super::MAX_ROWS`] at most and 100 if not given.
    pub limit: Option<usize>,
}

impl Store {
    /// Finds what is live for this digest, or files `new` under `id`, in one transaction.
    /// A live hold with other terms (the policy has changed since) is replaced. `limit` is
    /// how many pending holds the agent may have.
    ///
    /// # Errors
    /// Any [`StoreError`]; nothing was filed then.
    pub async fn file_hold(
        &self,
        id: String,
        new: NewHold,
        now: i64,
        limit: usize,
    ) -> Result<Filed, StoreError> {
        self.writing(move |tx| {
            tx.prepare_cached(
                "UPDATE holds SET state = 'expired' WHERE digest = ?1
                 AND state IN ('pending', 'approved') AND expires_at <= ?2",
            )?
            .execute(params![new.digest, now])?;
            if let Some(found) = live(tx, &new.digest, now)? {
                if found.state == HoldStatus::Denied || found.filed.same_terms(&new) {
                    return Ok(Filed::Found(found));
                }
                tx.execute(
                    "UPDATE holds SET state = 'replaced' WHERE id = ?1",
                    [&found.id],
                )?;
            }
            let pending: i64 = tx
                .prepare_cached(
                    "SELECT count(*) FROM holds
                     WHERE agent = ?1 AND state = 'pending' AND expires_at > ?2",
                )?
                .query_row(params![new.agent, now], |row| row.get(0))?;
            if usize::try_from(pending).unwrap_or(usize::MAX) >= limit {
                return Ok(Filed::TooMany);
            }
            insert(tx, &id, &new, now)?;
            load(tx, &id)?
                .map(Filed::New)
                .ok_or(StoreError::Raced { id })
        })
        .await
    }

    /// Reads hold `id`, lets `change` alter its state, times and votes, and writes that back,
    /// all in one transaction; the write demands that the state is still the one read.
    /// `None` if there is no such hold. If `change` answers an error nothing is written.
    ///
    /// # Errors
    /// What `change` answers, or any [`StoreError`].
    pub async fn change_hold<E>(
        &self,
        id: String,
        change: impl FnOnce(&mut HoldRow) -> Result<(), E> + Send + 'static,
    ) -> Result<Option<HoldRow>, E>
    where
        E: From<StoreError> + Send + 'static,
    {
        self.writing(move |tx| {
            let Some(before) = load(tx, &id)? else {
                return Ok(None);
            };
            let mut after = before.clone();
            change(&mut after)?;
            save(tx, &before, &after)?;
            Ok(Some(after))
        })
        .await
    }

    /// Hold `id`, if there is one.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn hold(&self, id: String) -> Result<Option<HoldRow>, StoreError> {
        self.reading(move |c| load(c, &id)).await
    }

    /// The holds that match, newest first.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn holds(&self, filter: HoldFilter) -> Result<Vec<HoldRow>, StoreError> {
        self.reading(move |c| {
            let mut sql = "SELECT * FROM holds WHERE true".to_owned();
            let mut bound: Vec<Value> = Vec::new();
            let mut narrow = |clause: &str, value: Option<Value>| {
                if let Some(value) = value {
                    sql.push_str(clause);
                    bound.push(value);
                }
            };
            let state = filter.state.map(|s| s.as_str().to_owned().into());
            narrow(" AND state = ?", state);
            narrow(" AND agent = ?", filter.agent.map(Value::from));
            narrow(" AND cluster = ?", filter.cluster.map(Value::from));
            narrow(" AND number < ?", filter.before.map(Value::from));
            sql.push_str(" ORDER BY number DESC LIMIT ?");
            bound.push(capped(filter.limit.unwrap_or(100)).into());
            let rows: Vec<HoldRow> = c
                .prepare_cached(&sql)?
                .query_map(params_from_iter(bound), hold_row)?
                .collect::<Result<_, _>>()?;
            rows.into_iter().map(|row| with_votes(c, row)).collect()
        })
        .await
    }

    /// Marks as expired what nobody answered, or used, until `now`; answers their ids.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn expire_holds(&self, now: i64) -> Result<Vec<String>, StoreError> {
        self.writing(move |tx| {
            let ids = tx
                .prepare_cached(
                    "UPDATE holds SET state = 'expired'
                     WHERE state IN ('pending', 'approved') AND expires_at <= ?1 RETURNING id",
                )?
                .query_map([now], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            Ok(ids)
        })
        .await
    }

    /// Removes holds, with their votes, that neither wait nor bind anybody and whose last
    /// state ended before `before`; answers how many. The ledger keeps what happened.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn prune_holds(&self, before: i64) -> Result<usize, StoreError> {
        self.writing(move |tx| {
            Ok(tx.execute(
                "DELETE FROM holds
                 WHERE state NOT IN ('pending', 'approved') AND expires_at < ?1",
                [before],
            )?)
        })
        .await
    }
}

/// What binds this digest now. A denial comes first: in doubt the answer is no.
fn live(c: &Connection, digest: &[u8; 32], now: i64) -> Result<Option<HoldRow>, StoreError> {
    c.prepare_cached(
        "SELECT * FROM holds WHERE digest = ?1 AND expires_at > ?2
         AND state IN ('denied', 'pending', 'approved')
         ORDER BY state = 'denied' DESC, number DESC LIMIT 1",
    )?
    .query_row(params![digest, now], hold_row)
    .optional()?
    .map(|row| with_votes(c, row))
    .transpose()
}

fn load(c: &Connection, id: &str) -> Result<Option<HoldRow>, StoreError> {
    c.prepare_cached("SELECT * FROM holds WHERE id = ?1")?
        .query_row([id], hold_row)
        .optional()?
        .map(|row| with_votes(c, row))
        .transpose()
}

fn insert(c: &Connection, id: &str, new: &NewHold, now: i64) -> Result<(), StoreError> {
    c.prepare_cached(
        "INSERT INTO holds (id, digest, state, filed_at, expires_at, wait_us,
             agent, principal, issuer, aliases, caller_groups,
             cluster, method, verb, api_group, resource, subresource, namespace, name,
             path, query, content_type, body, facts,
             policy, policy_digest, rule, reason, approver_groups, quorum)
         VALUES (:id, :digest, 'pending', :filed_at, :expires_at, :wait_us,
             :agent, :principal, :issuer, :aliases, :caller_groups,
             :cluster, :method, :verb, :api_group, :resource, :subresource, :namespace, :name,
             :path, :query, :content_type, :body, :facts,
             :policy, :policy_digest, :rule, :reason, :approver_groups, :quorum)",
    )?
    .execute(named_params! {
        ":id": id,
        ":digest": new.digest,
        ":filed_at": now,
        ":expires_at": now.saturating_add(new.wait_us),
        ":wait_us": new.wait_us,
        ":agent": new.agent,
        ":principal": new.principal,
        ":issuer": new.issuer,
        ":aliases": List(&new.aliases),
        ":caller_groups": List(&new.caller_groups),
        ":cluster": new.cluster,
        ":method": new.method,
        ":verb": new.verb,
        ":api_group": new.api_group,
        ":resource": new.resource,
        ":subresource": new.subresource,
        ":namespace": new.namespace,
        ":name": new.name,
        ":path": new.path,
        ":query": new.query,
        ":content_type": new.content_type,
        ":body": new.body,
        ":facts": new.facts,
        ":policy": new.policy,
        ":policy_digest": new.policy_digest,
        ":rule": new.rule,
        ":reason": new.reason,
        ":approver_groups": List(&new.approver_groups),
        ":quorum": new.quorum,
    })?;
    Ok(())
}

/// Compare and set: the state must still be the one that was read.
fn save(c: &Connection, before: &HoldRow, after: &HoldRow) -> Result<(), StoreError> {
    let written = c
        .prepare_cached(
            "UPDATE holds SET state = ?1, expires_at = ?2, decided_at = ?3, used_at = ?4
             WHERE id = ?5 AND state = ?6",
        )?
        .execute(params![
            after.state.as_str(),
            after.expires_at,
            after.decided_at,
            after.used_at,
            before.id,
            before.state.as_str(),
        ])?;
    if written != 1 {
        return Err(StoreError::Raced {
            id: before.id.clone(),
        });
    }
    if before.votes == after.votes {
        return Ok(());
    }
    c.execute("DELETE FROM approvals WHERE hold = ?1", [&before.id])?;
    for vote in &after.votes {
        c.prepare_cached("INSERT INTO approvals VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
            .execute(params![
                before.id,
                vote.voter,
                List(&vote.aliases),
                vote.issuer,
                vote.answer.as_str(),
                vote.comment,
                vote.at,
            ])?;
    }
    Ok(())
}

fn with_votes(c: &Connection, mut hold: HoldRow) -> Result<HoldRow, StoreError> {
    hold.votes = c
        .prepare_cached("SELECT * FROM approvals WHERE hold = ?1 ORDER BY at, voter")?
        .query_map([&hold.id], |row| {
            Ok(Vote {
                voter: row.get("voter")?,
                aliases: list(row, "aliases")?,
                issuer: row.get("issuer")?,
                answer: row.get("answer")?,
                comment: row.get("comment")?,
                at: row.get("at")?,
            })
        })?
        .collect::<Result<_, _>>()?;
    Ok(hold)
}
