//! Policies change while the gate serves: no request is dropped, nothing unchecked comes
//! into force, and the record says which rules judged.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gateward::record::entry::{Entry, Event, System};
use serde_json::json;

use crate::bad_input::served::Served;
use crate::harness::{World, json_of, run, world};

const LOOKING: &str = "\
apiVersion: gateward.dev/v1alpha1
kind: Policy
metadata: {name: ours}
spec:
  rules:
  - {name: looking, effect: allow, verbs: [get, list], apiGroups: ['*'], resources: ['*']}
";

const NO_PODS: &str = "  \
- {name: no-pods, effect: deny, reason: Pods are none of its business., verbs: [list], apiGroups: [''], resources: [pods]}
";

/// A gate, and the directory that its policies are read from.
fn start(world: &World) -> (Served, PathBuf, PathBuf) {
    let policies = world.dir.join(format!("policies-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&policies).unwrap();
    write(&policies, LOOKING);
    let (configuration, data) = world.configured(|document| {
        document["spec"]["policies"] = json!({"files": [policies], "defaultPack": false});
    });
    (Served::start(&configuration), policies, data)
}

fn write(policies: &Path, text: &str) {
    std::fs::write(policies.join("ours.yaml"), text).unwrap();
}

async fn status(gate: &Served, world: &World) -> u16 {
    json_of(gate.ask(world, "GET", "/api/v1/namespaces/default/pods"))
        .await
        .0
}

async fn metrics(gate: &Served) -> String {
    let url = format!("http://{}/metrics", gate.operators);
    reqwest::get(url).await.unwrap().text().await.unwrap()
}

/// Waits for what takes a look or two at the files.
async fn until(what: &str, mut seen: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !seen().await {
        assert!(begun.elapsed() < Duration::from_secs(20), "never: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn loaded(entries: &[Entry]) -> Vec<String> {
    entries
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::System(system) => match &**system {
                System::PolicyLoaded { digest } => Some(digest.clone()),
                _ => None,
            },
            _ => None,
        })
        .collect()
}

/// Under which policies each look at the pods was judged, in order.
fn judged(entries: &[Entry]) -> Vec<String> {
    let digest = |entry: &Entry| match &entry.event {
        Event::Intent(intent) => Some(intent.grounds.policy_digest.clone()),
        Event::Refused(refused) => Some(refused.grounds.clone()?.policy_digest),
        _ => None,
    };
    entries.iter().filter_map(digest).collect()
}

#[test]
fn changed_files_come_into_force_without_a_dropped_request_and_are_on_record() {
    let world = world();
    run(async {
        let (gate, policies, data) = start(world);
        gate.becomes_ready().await;
        assert_eq!(status(&gate, world).await, 200);
        write(&policies, &format!("{LOOKING}{NO_PODS}"));
        // Every answer meanwhile is a verdict, of the old rules and then of the new ones.
        let mut answers = Vec::new();
        until("the new rules", async || {
            answers.push(status(&gate, world).await);
            answers.last() == Some(&403)
        })
        .await;
        assert!(answers.iter().all(|code| [200, 403].contains(code)));
        // A second file counts, too, and so does its end.
        write(&policies, LOOKING);
        let more = policies.join("more.yml");
        let more_rules = format!("{LOOKING}{NO_PODS}").replace("name: ours", "name: more");
        std::fs::write(&more, more_rules).unwrap();
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(status(&gate, world).await, 403);
        std::fs::remove_file(&more).unwrap();
        until("the first rules again", async || {
            status(&gate, world).await == 200
        })
        .await;
        assert_eq!(gate.readyz("policy").await, (true, None));

        let entries = gate.stop();
        let (loaded, judged) = (loaded(&entries), judged(&entries));
        assert!(loaded.len() >= 4, "{loaded:?}");
        assert_eq!(
            loaded.first(),
            loaded.last(),
            "the same rules, the same digest"
        );
        assert_ne!(loaded[0], loaded[1]);
        assert!(judged.iter().all(|digest| loaded.contains(digest)));
        assert_eq!(
            (judged.first(), judged.last()),
            (loaded.first(), loaded.last())
        );
        // What was in force can be read years later, by its digest.
        let shelf = data.join("blobs/sha256").join(&loaded[1][..2]);
        let document = std::fs::read_to_string(shelf.join(&loaded[1])).unwrap();
        assert!(document.contains("none of its business"), "{document}");
    });
}

#[test]
fn files_that_cannot_be_used_leave_the_policy_before_in_force_and_everybody_is_told() {
    let world = world();
    run(async {
        let (gate, policies, _) = start(world);
        gate.becomes_ready().await;
        assert!(metrics(&gate).await.contains("gateward_policy_current 1"));
        for (bad, why) in [
            (LOOKING.replace("effect:", "efect:"), "did you mean"),
            (LOOKING.replace("- {name", "- {{name"), "is not valid YAML"),
            (String::new(), "holds no policy"),
        ] {
            write(&policies, &bad);
            until(why, async || {
                let (ready, problem) = gate.readyz("policy").await;
                assert!(ready, "the policy before is a policy");
                problem.is_some_and(|problem| {
                    assert!(problem.contains("stays in force"), "{problem}");
                    problem.contains(why)
                })
            })
            .await;
            assert_eq!(status(&gate, world).await, 200);
        }
        let told = metrics(&gate).await;
        assert!(told.contains("gateward_policy_current 0"), "{told}");
        assert!(
            told.contains("gateward_policy_loads_total{outcome=\"invalid\"} 3"),
            "{told}"
        );
        assert!(gate.log().contains("the policy before stays in force"));

        write(&policies, &format!("{LOOKING}{NO_PODS}"));
        until("the rules that are right", async || {
            status(&gate, world).await == 403
        })
        .await;
        assert_eq!(gate.readyz("policy").await, (true, None));
        assert!(metrics(&gate).await.contains("gateward_policy_current 1"));
        assert_eq!(
            loaded(&gate.stop()).len(),
            2,
            "nothing that was bad is on record as loaded"
        );
    });
}

#[test]
fn a_hangup_signal_reads_the_policies_and_ends_nothing() {
    let world = world();
    run(async {
        let (gate, _, _) = start(world);
        gate.becomes_ready().await;
        let loads = async || {
            let text = metrics(&gate).await;
            let line = "gateward_policy_loads_total{outcome=\"loaded\"} ";
            let rest = text.split(line).nth(1);
            rest.and_then(|rest| rest.lines().next()?.parse::<u64>().ok())
                .unwrap_or_default()
        };
        until("the first look", async || loads().await == 1).await;
        gate.signal("HUP");
        until("one more", async || loads().await == 2).await;
        assert_eq!(status(&gate, world).await, 200);
        assert_eq!(loaded(&gate.stop()).len(), 1, "the same rules are not news");
    });
}
