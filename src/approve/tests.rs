//! What a hold must survive. Threats 15, 16, 17 and 23 by their numbers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use super::digest::Fields;
use super::digest::tests::{KEY, fields};
use super::*;
use crate::store::NewHold;

const MINUTE: Duration = Duration::from_secs(60);

fn start() -> Timestamp {
    "2026-11-01T12:00:00Z".parse().unwrap()
}

fn request(fields: Fields<'_>) -> HoldRequest {
    with(fields, |_| ())
}

fn with(f: Fields<'_>, change: impl FnOnce(&mut NewHold)) -> HoldRequest {
    let mut row = NewHold {
        digest: *f.digest(&KEY).as_bytes(),
        wait_us: micros(Terms::EXPIRES_AFTER),
        agent: f.agent.to_owned(),
        principal: f.principal.map(str::to_owned),
        issuer: f.issuer.to_owned(),
        aliases: vec![
            "bot".to_owned(),
            "ann@example.com".to_owned(),
            "4711".to_owned(),
        ],
        caller_groups: vec!["agents".to_owned()],
        cluster: f.cluster.to_owned(),
        method: "POST".to_owned(),
        verb: "create".to_owned(),
        api_group: String::new(),
        resource: "pods".to_owned(),
        subresource: String::new(),
        namespace: "shop".to_owned(),
        name: String::new(),
        path: f.path.to_owned(),
        query: f.query.to_owned(),
        content_type: f.content_type.map(str::to_owned),
        body: f.body.to_vec(),
        facts: "{}".to_owned(),
        policy: "guardrails".to_owned(),
        policy_digest: "sha256:0".to_owned(),
        rule: "privileged-pods".to_owned(),
        reason: "A privileged pod owns its node.".to_owned(),
        approver_groups: Vec::new(),
        quorum: 1,
    };
    change(&mut row);
    HoldRequest::for_test(row)
}

fn person(name: &str) -> Voter {
    Voter {
        name: name.to_owned(),
        aliases: Vec::new(),
        groups: vec!["sre".to_owned(), "security".to_owned()],
        issuer: "https://people.test".to_owned(),
    }
}

struct Room {
    holds: Holds,
    dir: tempfile::TempDir,
}

impl Room {
    fn new() -> Self {
        Self::limited(Limits::default())
    }

    fn limited(limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("gate.db")).unwrap();
        let holds = Holds::new(store, limits, KEY);
        Self { holds, dir }
    }

    /// The room after a restart.
    fn reopened(self) -> Self {
        let Self { holds, dir } = self;
        let limits = holds.limits;
        drop(holds);
        let store = Store::open(&dir.path().join("gate.db")).unwrap();
        let holds = Holds::new(store, limits, KEY);
        Self { holds, dir }
    }

    async fn pending(&self, request: HoldRequest) -> String {
        match self.holds.present(request, start()).await.unwrap() {
            HoldState::Pending { id, .. } => id,
            other => panic!("not pending: {other:?}"),
        }
    }

    async fn says(&self, id: &str, who: &str, answer: Answer) -> Result<HoldView, ApproveError> {
        self.holds.vote(id, &person(who), answer, "", start()).await
    }

    async fn approved(&self, request: HoldRequest) -> String {
        let id = self.pending(request).await;
        let view = self.says(&id, "carol", Answer::Approve).await.unwrap();
        assert_eq!(view.state, HoldStatus::Approved);
        id
    }
}

fn rejected(outcome: Result<impl std::fmt::Debug, Refusal>, because: &str) {
    match outcome {
        Err(Refusal::HoldRejected { comment, .. }) => {
            assert!(comment.contains(because), "{comment}");
        }
        other => panic!("not rejected: {other:?}"),
    }
}

#[tokio::test]
async fn one_yes_makes_one_approval() {
    let room = Room::new();
    let id = room.approved(request(fields())).await;
    let later = start() + MINUTE;
    let again = room.holds.present(request(fields()), later).await.unwrap();
    let expires = start() + 5 * MINUTE;
    assert_eq!(
        again,
        HoldState::Approved {
            id: id.clone(),
            expires
        }
    );
    let approval = room
        .holds
        .spend(&id, fields().digest(&KEY), later)
        .await
        .unwrap();
    assert_eq!(approval.hold(), id);
    assert_eq!(approval.digest(), fields().digest(&KEY));
    assert_eq!(approval.approvers(), ["carol"]);
    assert_eq!(approval.at(), later);
    let view = room.holds.get(&id).await.unwrap();
    assert_eq!((view.state, view.used), (HoldStatus::Used, Some(later)));
}

#[tokio::test]
async fn threat_15_an_approval_is_worth_nothing_to_another_caller_or_for_another_body() {
    let room = Room::new();
    let id = room.approved(request(fields())).await;
    let others = [
        Fields {
            agent: "oidc:other",
            ..fields()
        },
        Fields {
            principal: Some("oidc:eve"),
            ..fields()
        },
        Fields {
            principal: None,
            ..fields()
        },
        Fields {
            body: b"{\"kind\":\"Pod\",\"spec\":{}}",
            ..fields()
        },
        Fields {
            query: "dryRun=All",
            ..fields()
        },
    ];
    for other in others {
        let spent = room.holds.spend(&id, other.digest(&KEY), start()).await;
        rejected(spent, "different request");
        assert_ne!(room.pending(request(other)).await, id);
    }
    // None of this has used it up.
    room.holds
        .spend(&id, fields().digest(&KEY), start())
        .await
        .unwrap();
}

#[tokio::test]
async fn threat_23_an_approval_does_not_cross_clusters() {
    let room = Room::new();
    let id = room.approved(request(fields())).await;
    let staging = Fields {
        cluster: "staging",
        ..fields()
    };
    rejected(
        room.holds.spend(&id, staging.digest(&KEY), start()).await,
        "different request",
    );
    assert_ne!(room.pending(request(staging)).await, id);
}

#[tokio::test]
async fn threat_15_an_approval_is_spent_once() {
    let room = Room::new();
    let id = room.approved(request(fields())).await;
    room.holds
        .spend(&id, fields().digest(&KEY), start())
        .await
        .unwrap();
    rejected(
        room.holds.spend(&id, fields().digest(&KEY), start()).await,
        "used already",
    );
    assert_ne!(room.pending(request(fields())).await, id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threat_15_of_many_spends_at_the_same_moment_one_wins() {
    let room = Room::new();
    // A second store on the same file stands for a second process.
    let second = Holds::new(
        Store::open(&room.dir.path().join("gate.db")).unwrap(),
        Limits::default(),
        KEY,
    );
    let id = room.approved(request(fields())).await;
    let spends = (0..16).map(|n| {
        let holds = if n % 2 == 0 { &room.holds } else { &second };
        let (holds, id) = (holds.clone(), id.clone());
        tokio::spawn(async move { holds.spend(&id, fields().digest(&KEY), start()).await })
    });
    let spends: Vec<_> = spends.collect();
    let mut wins = 0;
    for spend in spends {
        match spend.await.unwrap() {
            Ok(_) => wins += 1,
            // Who comes second is told so; the store itself does not fail.
            lost => rejected(lost, "used already"),
        }
    }
    assert_eq!(wins, 1);
}

#[tokio::test]
async fn threat_15_what_is_overdue_is_neither_approved_nor_spent() {
    let room = Room::new();
    let id = room.pending(request(fields())).await;
    let carol = person("carol");
    let end = start() + 15 * MINUTE;
    let vote = |at| room.holds.vote(&id, &carol, Answer::Approve, "", at);
    let error = vote(end).await.unwrap_err();
    assert!(matches!(error, ApproveError::Expired { .. }), "{error}");
    assert_eq!(error.code(), 410);

    let last = end - Duration::from_micros(1);
    vote(last).await.unwrap();
    let spend = |at| room.holds.spend(&id, fields().digest(&KEY), at);
    rejected(spend(last + 5 * MINUTE).await, "in time");
    spend(last + 5 * MINUTE - Duration::from_micros(1))
        .await
        .unwrap();
}

#[tokio::test]
async fn silence_means_no_and_the_next_ask_starts_anew() {
    let room = Room::new();
    let id = room.pending(request(fields())).await;
    let end = start() + 15 * MINUTE;
    assert!(room.holds.expire(end - MINUTE).await.unwrap().is_empty());
    assert_eq!(room.holds.expire(end).await.unwrap(), [id.as_str()]);
    let digest = fields().digest(&KEY);
    rejected(room.holds.spend(&id, digest, start()).await, "in time");
    rejected(room.holds.wait(&id, MINUTE).await, "in time");
    let error = room.says(&id, "carol", Answer::Approve).await.unwrap_err();
    assert_eq!(error.code(), 410);

    // Also without the sweep.
    let second = room.holds.present(request(fields()), end).await.unwrap();
    let third = room
        .holds
        .present(request(fields()), end + 15 * MINUTE)
        .await
        .unwrap();
    assert!(matches!(third, HoldState::Pending { .. }));
    assert_ne!(second, third);
}

#[tokio::test]
async fn threat_15_who_asks_cannot_answer_under_any_name() {
    let room = Room::new();
    let id = room.pending(request(fields())).await;
    let mut selves: Vec<Voter> = [
        "oidc:bot",
        "OIDC:Bot",
        "bot",
        "people:bot",
        "oidc:ann@example.com",
        "ann@example.com",
        "Ann@Example.COM",
        "4711",
    ]
    .map(person)
    .into();
    selves.push(Voter {
        aliases: vec!["someone".to_owned(), "ANN@example.com".to_owned()],
        ..person("people:0815")
    });
    for own in &selves {
        for answer in [Answer::Approve, Answer::Deny] {
            let error = room
                .holds
                .vote(&id, own, answer, "", start())
                .await
                .unwrap_err();
            assert_eq!(error.code(), 403);
            let said = error.to_string();
            assert!(
                said.contains("own request, made for oidc:ann@example.com"),
                "{said}"
            );
        }
    }
    let error = room.says(&id, "  ", Answer::Approve).await.unwrap_err();
    assert!(matches!(error, ApproveError::Nameless));

    // Agent and principal count though no alias repeats them.
    let staging = Fields {
        cluster: "staging",
        ..fields()
    };
    let bare = room
        .pending(with(staging, |hold| hold.aliases.clear()))
        .await;
    for own in ["Bot", "ann@example.com"] {
        let error = room.says(&bare, own, Answer::Approve).await.unwrap_err();
        assert!(matches!(error, ApproveError::OwnRequest { .. }), "{error}");
    }
    assert_eq!(
        room.holds.get(&id).await.unwrap().state,
        HoldStatus::Pending
    );
}

#[tokio::test]
async fn threat_15_a_person_counts_once_however_many_groups_and_names() {
    let room = Room::new();
    let two = with(fields(), |hold| {
        hold.quorum = 2;
        hold.approver_groups = vec!["sre".to_owned(), "security".to_owned()];
    });
    let id = room.pending(two).await;
    let view = room.says(&id, "oidc:carol", Answer::Approve).await.unwrap();
    assert_eq!(view.state, HoldStatus::Pending);
    let renamed = Voter {
        aliases: vec!["oidc:carol".to_owned()],
        ..person("c.jones")
    };
    for again in [person("oidc:carol"), person("Carol"), renamed] {
        let error = room
            .holds
            .vote(&id, &again, Answer::Approve, "", start())
            .await
            .unwrap_err();
        assert_eq!(error.code(), 409);
        assert!(
            error.to_string().contains("needs 2 people and has 1"),
            "{error}"
        );
    }
    let spent = room.holds.spend(&id, fields().digest(&KEY), start()).await;
    assert!(matches!(spent, Err(Refusal::Held { .. })), "{spent:?}");

    let view = room.says(&id, "dave", Answer::Approve).await.unwrap();
    assert_eq!(view.state, HoldStatus::Approved);
    let approval = room
        .holds
        .spend(&id, fields().digest(&KEY), start())
        .await
        .unwrap();
    assert_eq!(approval.approvers(), ["dave", "oidc:carol"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threat_15_two_votes_of_one_person_at_the_same_moment_count_once() {
    let room = Room::new();
    let id = room.pending(with(fields(), |hold| hold.quorum = 2)).await;
    let votes: Vec<_> = (0..8)
        .map(|_| {
            let (holds, id) = (room.holds.clone(), id.clone());
            tokio::spawn(async move {
                let carol = person("carol");
                holds
                    .vote(&id, &carol, Answer::Approve, "", start())
                    .await
                    .is_ok()
            })
        })
        .collect();
    let mut counted = 0;
    for vote in votes {
        counted += u32::from(vote.await.unwrap());
    }
    assert_eq!(counted, 1);
    assert_eq!(
        room.holds.get(&id).await.unwrap().state,
        HoldStatus::Pending
    );
}

#[tokio::test]
async fn only_the_required_groups_may_answer() {
    let room = Room::new();
    let owners = with(fields(), |hold| {
        hold.approver_groups = vec!["owners".to_owned(), "security".to_owned()];
    });
    let id = room.pending(owners).await;
    let outsider = Voter {
        groups: vec!["sre".to_owned(), "Owners".to_owned()],
        ..person("dave")
    };
    for answer in [Answer::Approve, Answer::Deny] {
        let error = room
            .holds
            .vote(&id, &outsider, answer, "", start())
            .await
            .unwrap_err();
        assert_eq!(error.code(), 403);
        assert!(error.to_string().contains("owners or security"), "{error}");
    }
    room.says(&id, "carol", Answer::Approve).await.unwrap();
}

#[tokio::test]
async fn one_no_is_a_no_and_stays_one_for_a_while() {
    let room = Room::new();
    let id = room.pending(with(fields(), |hold| hold.quorum = 2)).await;
    room.says(&id, "carol", Answer::Approve).await.unwrap();
    // Carol has thought again.
    let said_at = start() + 14 * MINUTE;
    let view = room
        .holds
        .vote(
            &id,
            &person("carol"),
            Answer::Deny,
            "not on a Friday",
            said_at,
        )
        .await
        .unwrap();
    assert_eq!((view.state, view.votes.len()), (HoldStatus::Denied, 1));
    let error = room.says(&id, "dave", Answer::Approve).await.unwrap_err();
    assert_eq!(error.code(), 409);
    assert!(error.to_string().contains("denied already"), "{error}");
    rejected(
        room.holds.spend(&id, fields().digest(&KEY), said_at).await,
        "Friday",
    );

    let end = said_at + 15 * MINUTE;
    let expected = HoldState::Denied {
        id: id.clone(),
        rule: "privileged-pods".to_owned(),
        by: "carol".to_owned(),
        comment: "not on a Friday".to_owned(),
        expires: end,
    };
    let just_before = end - Duration::from_micros(1);
    // The demands of the policy do not matter to a denial.
    for quorum in [2, 1] {
        let again = with(fields(), |hold| hold.quorum = quorum);
        let state = room.holds.present(again, just_before).await.unwrap();
        assert_eq!(state, expected);
    }
    let state = room.holds.present(request(fields()), end).await.unwrap();
    assert!(matches!(state, HoldState::Pending { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threat_16_equal_asks_at_the_same_moment_file_one_hold() {
    let room = Room::new();
    let second = Holds::new(
        Store::open(&room.dir.path().join("gate.db")).unwrap(),
        Limits::default(),
        KEY,
    );
    let asks: Vec<_> = (0..16)
        .map(|n| {
            let holds = if n % 2 == 0 { &room.holds } else { &second };
            let holds = holds.clone();
            tokio::spawn(async move { holds.present(request(fields()), start()).await.unwrap() })
        })
        .collect();
    let mut states = Vec::new();
    for ask in asks {
        states.push(ask.await.unwrap());
    }
    assert!(
        states.iter().all(|state| state.id() == states[0].id()),
        "{states:?}"
    );
    let filed = |state: &&HoldState| matches!(state, HoldState::Pending { new: true, .. });
    assert_eq!(states.iter().filter(filed).count(), 1, "{states:?}");
    assert_eq!(
        room.holds.list(HoldFilter::default()).await.unwrap().len(),
        1
    );
}

#[tokio::test]
async fn threat_16_an_agent_cannot_bury_its_approvers() {
    let room = Room::limited(Limits {
        pending_per_agent: 2,
        ..Limits::default()
    });
    let numbered = |path: &'static str| Fields { path, ..fields() };
    let first = room.pending(request(numbered("/1"))).await;
    room.pending(request(numbered("/2"))).await;
    let third = |at| room.holds.present(request(numbered("/3")), at);
    assert_eq!(
        third(start()).await.unwrap_err(),
        Refusal::TooManyHolds { limit: 2 }
    );
    // Those that wait are found still, and others may ask.
    assert_eq!(room.pending(request(numbered("/1"))).await, first);
    room.pending(request(Fields {
        agent: "oidc:other",
        ..fields()
    }))
    .await;
    // A decision makes room; so does time.
    room.says(&first, "carol", Answer::Approve).await.unwrap();
    third(start()).await.unwrap();
    let fourth = request(numbered("/4"));
    room.holds
        .present(fourth, start() + 15 * MINUTE)
        .await
        .unwrap();
}

#[tokio::test]
async fn threat_15_a_policy_that_demands_more_voids_what_was_approved_under_less() {
    let demands: [fn(&mut NewHold); 4] = [
        |hold| hold.quorum = 2,
        |hold| hold.approver_groups = vec!["security".to_owned()],
        |hold| hold.rule = "another".to_owned(),
        |hold| hold.policy = "another".to_owned(),
    ];
    for demand in demands {
        let room = Room::new();
        let id = room.approved(request(fields())).await;
        assert_ne!(room.pending(with(fields(), demand)).await, id);
        rejected(
            room.holds.spend(&id, fields().digest(&KEY), start()).await,
            "policy has changed",
        );
    }
    // A new text of the policy with the same demands changes nothing.
    let room = Room::new();
    let id = room.approved(request(fields())).await;
    let reworded = with(fields(), |hold| hold.policy_digest = "sha256:1".to_owned());
    let state = room.holds.present(reworded, start()).await.unwrap();
    assert!(matches!(state, HoldState::Approved { id: same, .. } if same == id));
}

#[tokio::test]
async fn a_restart_loses_nothing() {
    let room = Room::new();
    let two = || with(fields(), |hold| hold.quorum = 2);
    let id = room.pending(two()).await;
    room.says(&id, "carol", Answer::Approve).await.unwrap();
    let before = room.holds.get(&id).await.unwrap();

    let room = room.reopened();
    assert_eq!(room.holds.get(&id).await.unwrap(), before);
    assert_eq!(room.pending(two()).await, id);
    assert_eq!(
        room.says(&id, "carol", Answer::Approve)
            .await
            .unwrap_err()
            .code(),
        409
    );
    room.says(&id, "dave", Answer::Approve).await.unwrap();

    let room = room.reopened();
    room.holds
        .spend(&id, fields().digest(&KEY), start())
        .await
        .unwrap();

    let room = room.reopened();
    rejected(
        room.holds.spend(&id, fields().digest(&KEY), start()).await,
        "used already",
    );
}

#[tokio::test]
async fn a_short_hold_is_woken_by_its_own_decision_only() {
    let room = Room::new();
    let id = room.pending(request(fields())).await;
    let other = room
        .pending(request(Fields {
            cluster: "staging",
            ..fields()
        }))
        .await;
    let waiting = tokio::spawn({
        let (holds, id) = (room.holds.clone(), id.clone());
        async move { holds.wait(&id, MINUTE).await }
    });
    while room.holds.decided.receiver_count() == 0 {
        tokio::task::yield_now().await;
    }
    room.says(&other, "carol", Answer::Deny).await.unwrap();
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert!(!waiting.is_finished());
    room.says(&id, "carol", Answer::Approve).await.unwrap();
    let state = tokio::time::timeout(Duration::from_secs(10), waiting).await;
    let state = state.expect("not woken").unwrap().unwrap();
    assert!(matches!(state, HoldState::Approved { .. }), "{state:?}");
}

#[tokio::test]
async fn a_short_hold_ends_by_time_and_sees_what_was_decided_before() {
    let room = Room::new();
    let id = room.pending(request(fields())).await;
    let short = Duration::from_millis(20);
    let state = room.holds.wait(&id, short).await.unwrap();
    assert!(matches!(state, HoldState::Pending { .. }), "{state:?}");
    room.says(&id, "carol", Answer::Deny).await.unwrap();
    let state = room.holds.wait(&id, Duration::ZERO).await.unwrap();
    assert!(matches!(state, HoldState::Denied { .. }), "{state:?}");
}

#[tokio::test]
async fn threat_17_no_state_is_a_proof_and_an_undecided_hold_cannot_be_spent() {
    let room = Room::new();
    let id = room.pending(request(fields())).await;
    let digest = fields().digest(&KEY);
    let spent = room.holds.spend(&id, digest, start()).await;
    assert!(matches!(spent, Err(Refusal::Held { .. })), "{spent:?}");
    room.says(&id, "carol", Answer::Deny).await.unwrap();
    rejected(room.holds.spend(&id, digest, start()).await, "");
    rejected(
        room.holds.spend("h-0", digest, start()).await,
        "no such hold",
    );
}

#[tokio::test]
async fn what_is_unknown_is_said_to_be() {
    let room = Room::new();
    let error = room
        .says("h-0", "carol", Answer::Approve)
        .await
        .unwrap_err();
    assert_eq!(error.code(), 404);
    assert_eq!(room.holds.get("h-0").await.unwrap_err().code(), 404);
    rejected(room.holds.wait("h-0", MINUTE).await, "no such hold");
}

#[tokio::test]
async fn lists_are_narrowed_and_newest_first() {
    let room = Room::new();
    let first = room.approved(request(fields())).await;
    let staging = Fields {
        cluster: "staging",
        ..fields()
    };
    let second = room.pending(request(staging)).await;
    let other = Fields {
        agent: "oidc:other",
        ..fields()
    };
    let third = room.pending(request(other)).await;
    type Narrow<'a> = &'a dyn Fn(&mut HoldFilter);
    let cases: &[(Narrow<'_>, &[&str])] = &[
        (&|_| (), &[&third, &second, &first]),
        (&|f| f.state = Some(HoldStatus::Approved), &[&first]),
        (&|f| f.agent = Some("oidc:other".to_owned()), &[&third]),
        (&|f| f.cluster = Some("staging".to_owned()), &[&second]),
        (&|f| f.limit = Some(1), &[&third]),
        (&|f| f.before = Some(2), &[&first]),
    ];
    for (narrow, expected) in cases {
        let mut filter = HoldFilter::default();
        narrow(&mut filter);
        let views = room.holds.list(filter.clone()).await.unwrap();
        let ids: Vec<_> = views.iter().map(|v| v.id.as_str()).collect();
        assert_eq!(ids, *expected, "{filter:?}");
    }
    assert_eq!(
        room.holds.list(HoldFilter::default()).await.unwrap()[2]
            .votes
            .len(),
        1
    );
}

#[tokio::test]
async fn only_what_is_over_is_forgotten() {
    let room = Room::new();
    let kept = room.pending(request(fields())).await;
    let used = room
        .approved(request(Fields {
            cluster: "staging",
            ..fields()
        }))
        .await;
    let digest = Fields {
        cluster: "staging",
        ..fields()
    }
    .digest(&KEY);
    room.holds.spend(&used, digest, start()).await.unwrap();
    let denied = room
        .pending(request(Fields {
            cluster: "dev",
            ..fields()
        }))
        .await;
    room.says(&denied, "carol", Answer::Deny).await.unwrap();

    assert_eq!(room.holds.prune(start() + 6 * MINUTE).await.unwrap(), 1);
    assert_eq!(room.holds.get(&used).await.unwrap_err().code(), 404);
    assert_eq!(room.holds.prune(start() + 60 * MINUTE).await.unwrap(), 1);
    room.holds.get(&kept).await.unwrap();
}

#[test]
fn ids_are_short_sayable_and_do_not_repeat() {
    let ids: std::collections::HashSet<String> = (0..1000).map(|_| new_id().unwrap()).collect();
    assert_eq!(ids.len(), 1000);
    for id in ids {
        let letters = id.strip_prefix("h-").unwrap();
        assert_eq!(letters.len(), 10);
        let sayable =
            |c: char| c.is_ascii_alphanumeric() && !"ilou".contains(c) && !c.is_uppercase();
        assert!(letters.chars().all(sayable), "{id}");
    }
}
