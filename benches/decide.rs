//! What one decision costs, by the number of rules: 10, 1,000, and the pack that is shipped,
//! side by side in the same run. CPU time of this thread; rounds alternate, so that a machine
//! that changes speed changes it for all.
//!
//! The rules are those of many teams, each with namespaces of its own: by name and by
//! pattern, some with facts or conditions. The 10 are the first of the 1,000, and whatever
//! is asked gets the same answer from both. Reading the request is not a part of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    reason = "a bench stops loudly"
)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Duration;

use gateward::decide::{Judgement, Party, PolicySet, Verdict, judge};
use gateward::parse::{self, Ask, Embedders};
use jiff::Timestamp;

/// The gate's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const DECISIONS: u32 = 10_000;
const ROUNDS: usize = 21;

/// In a namespace of the first team, by an agent of it: what is asked, and the answer.
const ASKS: [(&str, &str, Verdict); 6] = [
    (
        "get a pod",
        "GET /api/v1/namespaces/team-0-dev/pods/web",
        Verdict::Allow,
    ),
    (
        "list secrets",
        "GET /api/v1/namespaces/team-0-prod/secrets",
        Verdict::Deny,
    ),
    (
        "create a deployment",
        "POST /apis/apps/v1/namespaces/team-0-prod/deployments",
        Verdict::Hold,
    ),
    (
        "exec",
        "POST /api/v1/namespaces/team-0-dev/pods/web/exec?command=sh",
        Verdict::Hold,
    ),
    (
        "delete a namespace",
        "DELETE /api/v1/namespaces/team-0-dev",
        Verdict::Deny,
    ),
    ("list all pods", "GET /api/v1/pods", Verdict::DefaultDeny),
];

fn main() {
    let sets = [
        ("10 rules", compile(&rules(10))),
        ("1000 rules", compile(&rules(1000))),
        (
            "default pack",
            compile(include_str!("../policies/default.yaml")),
        ),
    ];
    let asks = ASKS.map(|(name, line, verdict)| {
        let ask = ask(line);
        for (set, policy) in &sets[..2] {
            assert_eq!(decided(&ask, policy).verdict, verdict, "{name}, {set}");
        }
        (name, ask)
    });
    // By set and ask, one of each round.
    let mut costs = sets.each_ref().map(|_| asks.each_ref().map(|_| Vec::new()));
    for _ in 0..ROUNDS {
        for (at, (_, ask)) in asks.iter().enumerate() {
            for ((_, policy), costs) in sets.iter().zip(&mut costs) {
                costs[at].push(measure(ask, policy));
            }
        }
    }
    let costs = costs.map(|costs| costs.map(median));
    println!(
        "{:<20}{:>14}{:>14}{:>14}",
        "µs per decision", sets[0].0, sets[1].0, sets[2].0
    );
    for (at, (name, _)) in asks.iter().enumerate() {
        let [ten, thousand, pack] = costs.map(|costs| costs[at]);
        println!("{name:<20}{ten:>14.2}{thousand:>14.2}{pack:>14.2}");
    }
    let mean = |costs: [f64; ASKS.len()]| costs.iter().sum::<f64>() / ASKS.len() as f64;
    let [ten, thousand, pack] = costs.map(mean);
    println!("{:<20}{ten:>14.2}{thousand:>14.2}{pack:>14.2}", "mean");
    let verdict = |met: bool| if met { "met" } else { "missed" };
    let ratio = thousand / ten;
    println!(
        "goal: decide 1000 rules / 10 rules = {ratio:.2} (<= 1.2) {}",
        verdict(ratio <= 1.2)
    );
    println!(
        "goal: decide 1000 rules = {thousand:.1} µs (<= 10 µs) {}",
        verdict(thousand <= 10.0)
    );
}

/// Three rules for everyone, and then eight for each team.
fn rules(count: usize) -> String {
    let mut rules = vec![
        r#"{name: namespaces, effect: deny, reason: no., verbs: [delete, deletecollection], apiGroups: [""], resources: [namespaces]}"#.to_owned(),
        r#"{name: privileged, effect: hold, reason: look., verbs: [create, update, patch], apiGroups: ["*"], resources: ["*"], facts: [privileged, hostPath, hostNamespaces]}"#.to_owned(),
        r#"{name: images, effect: hold, reason: look., verbs: [create, update, patch], apiGroups: ["", apps, batch], resources: ["*"], matchConditions: [{name: ours, expression: "facts.images.exists(image, image.registry != 'registry.example.com')"}]}"#.to_owned(),
    ];
    for team in (0..).take(count.div_ceil(8)) {
        let who = format!("{{groups: [team-{team}]}}");
        rules.extend([
            format!(r#"{{name: reads-{team}, effect: allow, subjects: {who}, verbs: [get, list, watch], apiGroups: ["", apps, batch], resources: ["*"], namespaces: ["team-{team}-*"]}}"#),
            format!(r#"{{name: writes-{team}, effect: allow, subjects: {who}, verbs: [create, update, patch, delete], apiGroups: [apps], resources: [deployments, statefulsets], namespaces: [team-{team}-dev, team-{team}-prod]}}"#),
            format!(r#"{{name: exec-{team}, effect: hold, reason: look., verbs: [create], apiGroups: [""], resources: [pods], subresources: [exec, attach], namespaces: ["team-{team}-*"]}}"#),
            format!(r#"{{name: secrets-{team}, effect: deny, reason: no., verbs: ["*"], apiGroups: [""], resources: [secrets], namespaces: [team-{team}-prod]}}"#),
            format!(r#"{{name: root-{team}, effect: deny, reason: no., verbs: [create, update, patch], apiGroups: ["", apps, batch], resources: ["*"], namespaces: [team-{team}-prod], facts: [runAsRoot, addedCapabilities]}}"#),
            format!(r#"{{name: scale-{team}, effect: hold, reason: look., verbs: [create, update, patch], apiGroups: [apps], resources: [deployments], namespaces: [team-{team}-prod], matchConditions: [{{name: many, expression: "object.spec.replicas > 10"}}]}}"#),
            format!(r#"{{name: bot-{team}, effect: allow, subjects: {{agents: [bot-{team}]}}, verbs: [get, update], apiGroups: [""], resources: [configmaps], namespaces: [team-{team}-dev], resourceNames: ["settings-*"]}}"#),
            format!(r#"{{name: crds-{team}, effect: allow, subjects: {who}, clusters: [bench], verbs: ["*"], apiGroups: [team-{team}.example.com], resources: ["*"]}}"#),
        ]);
    }
    rules.truncate(count);
    let mut document =
        "{apiVersion: gateward.dev/v1alpha1, kind: Policy, metadata: {name: bench}, spec: {rules: [\n"
            .to_owned();
    for rule in rules {
        let _ = writeln!(document, "{rule},");
    }
    document + "]}}"
}

fn compile(document: &str) -> PolicySet {
    PolicySet::compile(vec![serde_saphyr::from_str(document).unwrap()]).unwrap()
}

fn ask(line: &str) -> Ask {
    let (method, target) = line.split_once(' ').unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query = (!query.is_empty()).then_some(query);
    let mut headers = http::HeaderMap::new();
    headers.insert("content-type", "application/json".parse().unwrap());
    let body = match path.ends_with("/deployments") {
        true => deployment().to_string().into(),
        false => bytes::Bytes::new(),
    };
    parse::head(
        "bench".into(),
        &method.parse().unwrap(),
        path,
        query,
        &headers,
    )
    .and_then(|head| head.with_body(body, &Embedders::default()))
    .unwrap()
}

fn deployment() -> serde_json::Value {
    let container = serde_json::json!({
        "name": "web", "image": "registry.example.com/web:1.2.3",
        "ports": [{"containerPort": 8080}],
        "env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "web", "key": "token"}}}],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
        "securityContext": {"runAsNonRoot": true, "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
    });
    serde_json::json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {"replicas": 12, "selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"serviceAccountName": "web", "containers": [container], "volumes": [{"name": "tmp", "emptyDir": {}}]},
        }},
    })
}

fn decided<'p>(ask: &Ask, policy: &'p PolicySet) -> Judgement<'p> {
    let groups = ["agents".to_owned(), "team-0".to_owned()];
    let caller = Party {
        agent: "coder-7",
        principal: Some("alice@example.com"),
        groups: &groups,
        ..Party::default()
    };
    judge(caller, ask, policy, Timestamp::UNIX_EPOCH)
}

/// µs per decision.
fn measure(ask: &Ask, policy: &PolicySet) -> f64 {
    let before = cpu();
    for _ in 0..DECISIONS {
        black_box(decided(black_box(ask), black_box(policy)));
    }
    (cpu() - before).as_secs_f64() * 1e6 / f64::from(DECISIONS)
}

/// User and system time of this thread, from the scheduler's own nanosecond counters.
fn cpu() -> Duration {
    // They are brought up to date when the scheduler takes over.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
