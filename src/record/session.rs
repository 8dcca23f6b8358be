//! Sessions: which records belong to one run of an agent's work.
//!
//! Part of ⑧ record. The same agent, for the same principal, from the same issuer, at the
//! same cluster, without a longer pause. Kept in memory only: after a restart a run of work
//! goes on under a new id. It reads no clock; time is given.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use crate::identify::Caller;

/// Remembers which sessions go on.
#[derive(Debug)]
pub struct Sessions {
    idle: Duration,
    limit: usize,
    live: HashMap<Key, Session>,
}

/// What all requests of one session have in common.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Key {
    agent: String,
    principal: Option<String>,
    issuer: String,
    /// The cluster's name; empty until it is known.
    pub cluster: String,
}

impl Key {
    /// The key of this caller, at no cluster yet.
    pub fn new(caller: &Caller) -> Self {
        Self {
            agent: caller.agent().to_owned(),
            principal: caller.principal().map(ToOwned::to_owned),
            issuer: caller.issuer().to_owned(),
            cluster: String::new(),
        }
    }
}

#[derive(Debug)]
struct Session {
    id: Uuid,
    last: Timestamp,
}

impl Sessions {
    /// A session ends with a pause of `idle`. At most `limit` are remembered; beyond that,
    /// the one that was silent longest ends early.
    pub fn new(idle: Duration, limit: usize) -> Self {
        let live = HashMap::new();
        Self { idle, limit, live }
    }

    /// The session that a request at time `now` belongs to; `fresh` if it begins one.
    pub fn of(&mut self, key: Key, now: Timestamp, fresh: Uuid) -> Uuid {
        if self.live.len() >= self.limit && !self.live.contains_key(&key) {
            self.make_room(now);
        }
        let idle = self.idle;
        match self.live.entry(key) {
            Entry::Occupied(mut known) => {
                let session = known.get_mut();
                if has_ended(session, now, idle) {
                    session.id = fresh;
                }
                session.last = session.last.max(now);
                session.id
            }
            Entry::Vacant(new) => {
                let (id, last) = (fresh, now);
                new.insert(Session { id, last });
                fresh
            }
        }
    }

    fn make_room(&mut self, now: Timestamp) {
        let idle = self.idle;
        self.live.retain(|_, s| !has_ended(s, now, idle));
        if self.live.len() >= self.limit {
            let oldest = self.live.values().map(|s| s.last).min();
            self.live.retain(|_, s| Some(s.last) != oldest);
        }
    }
}

fn has_ended(session: &Session, now: Timestamp, idle: Duration) -> bool {
    now.duration_since(session.last).unsigned_abs() >= idle && now > session.last
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

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn key(caller: &Caller, cluster: &str) -> Key {
        let mut key = Key::new(caller);
        cluster.clone_into(&mut key.cluster);
        key
    }

    #[test]
    fn a_session_goes_on_until_a_pause() {
        let mut sessions = Sessions::new(Duration::from_secs(60), 10);
        let caller = Caller::for_test("agent", Some("anna"), &[]);
        let table = [(100, 1), (130, 1), (189, 1), (249, 4), (240, 4), (308, 4)];
        for (i, (second, expected)) in (1..).zip(table) {
            let id = sessions.of(key(&caller, "prod"), at(second), Uuid::from_u128(i));
            assert_eq!(id, Uuid::from_u128(expected), "at {second}");
        }
    }

    #[test]
    fn threat_23_agent_principal_and_cluster_each_part_sessions() {
        let mut sessions = Sessions::new(Duration::from_secs(60), 10);
        let callers = [
            ("a", None),
            ("b", None),
            ("a", Some("anna")),
            ("a", Some("b")),
        ];
        for (i, (agent, principal)) in (1..).zip(callers) {
            let caller = Caller::for_test(agent, principal, &[]);
            let one = sessions.of(key(&caller, "one"), at(1), Uuid::from_u128(i));
            let two = sessions.of(key(&caller, "two"), at(1), Uuid::from_u128(i + 100));
            assert_eq!(one, Uuid::from_u128(i));
            assert_eq!(two, Uuid::from_u128(i + 100));
        }
    }

    #[test]
    fn memory_is_bounded_and_the_most_silent_session_goes_first() {
        let mut sessions = Sessions::new(Duration::from_secs(60), 3);
        for i in 1..=4_i64 {
            let caller = Caller::for_test(&format!("agent {i}"), None, &[]);
            sessions.of(key(&caller, "c"), at(i), Uuid::from_u128(1));
            assert!(sessions.live.len() <= 3);
        }
        let first = Caller::for_test("agent 1", None, &[]);
        let last = Caller::for_test("agent 4", None, &[]);
        let fresh = Uuid::from_u128(2);
        assert_ne!(sessions.of(key(&last, "c"), at(5), fresh), fresh);
        assert_eq!(sessions.of(key(&first, "c"), at(5), fresh), fresh);
    }
}
