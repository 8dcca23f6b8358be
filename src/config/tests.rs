//! Tests of `config`: one good file, and everything that can be wrong with it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::time::Duration;

use tempfile::TempDir;

use super::*;

const GOOD: &str = r"apiVersion: gateward.dev/v1alpha1
kind: GatewardConfiguration
spec:
  clusters:
    - name: dev
      kubeconfig:
        file: kubeconfig
        context: dev
    - name: home
      inCluster: {}
  doors:
    agents:
      tls: {certificateFile: tls.crt, keyFile: tls.key}
    humans:
      listen: 127.0.0.1:9444
      tls: {certificateFile: tls.crt, keyFile: tls.key}
  identity:
    agents:
      authentication:
        jwt:
          - issuer: {url: https://issuer.test, audiences: [gate]}
            claimMappings: {username: {claim: sub, prefix: ''}}
    humans:
      authenticationFile: humans.yaml
      approverGroups: [approvers]
  policies:
    files: [policies]
  dataDirectory: data
";

const HUMANS: &str = r"apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt:
  - issuer: {url: https://issuer.test, audiences: [console]}
    claimMappings: {username: {claim: email, prefix: ''}}
";

const KUBECONFIG: &str = r"apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: 'https://127.0.0.1:6443'}}]
users: [{name: u, user: {token: t}}]
contexts: [{name: dev, context: {cluster: c, user: u}}]
";

const POLICY: &str = r"apiVersion: gateward.dev/v1alpha1
kind: Policy
metadata: {name: ours}
spec:
  rules:
    - name: widgets
      effect: allow
      verbs: [create]
      apiGroups: [example.com]
      resources: [widgets]
";

/// A directory with everything that `GOOD` names.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let made = rcgen::generate_simple_self_signed(vec!["gate".to_owned()]).unwrap();
        place.write("tls.crt", &made.cert.pem());
        place.write("tls.key", &made.signing_key.serialize_pem());
        place.write("humans.yaml", HUMANS);
        place.write("kubeconfig", KUBECONFIG);
        place.write("policies/ours.yaml", POLICY);
        place
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// `GOOD` with one passage replaced.
    fn with(&self, from: &str, to: &str) -> PathBuf {
        assert!(GOOD.contains(from), "{from}");
        self.write("gate.yaml", &GOOD.replacen(from, to, 1))
    }

    /// What is wrong, one line each, without the directory's name.
    fn faults(&self, path: &Path) -> Vec<String> {
        let directory = format!("{}/", self.0.path().display());
        check(path)
            .iter()
            .map(|problem| problem.to_string().replace(&directory, ""))
            .collect()
    }
}

#[test]
fn a_good_file_is_read_whole() {
    let place = Place::new();
    let config = load(&place.write("gate.yaml", GOOD)).unwrap();
    let root = place.0.path();
    assert_eq!(&*config.clusters[0].name, "dev");
    assert_eq!(
        config.clusters[0].connection,
        Connection::Kubeconfig(Kubeconfig {
            file: root.join("kubeconfig"),
            context: Some("dev".to_owned()),
        })
    );
    assert_eq!(config.clusters[1].connection, Connection::InCluster);
    assert_eq!(config.doors.agents.listen, "0.0.0.0:8443".parse().unwrap());
    assert_eq!(config.doors.agents.tls.key_file, root.join("tls.key"));
    assert_eq!(
        config.doors.humans.listen,
        "127.0.0.1:9444".parse().unwrap()
    );
    assert_eq!(
        config.doors.operators.listen,
        "127.0.0.1:8445".parse().unwrap()
    );
    assert_eq!(config.humans.approver_groups, ["approvers"]);
    assert_eq!(config.holds.short_wait.duration(), Duration::from_secs(20));
    assert_eq!(config.record.reads, ReadDurability::DurableBeforeAnswer);
    assert_eq!(config.limits.max_body_bytes, 3 << 20);
    assert_eq!(config.data_directory, root.join("data"));
    let rules: Vec<_> = config.policy.rules().collect();
    assert!(rules.contains(&("ours", "widgets")));
    assert!(rules.contains(&("default", "proxy")));
}

#[test]
fn a_mistake_is_shown_with_its_place_and_a_way_out() {
    let place = Place::new();
    let table: &[(&str, &str, &[&str])] = &[
        (
            "    agents:\n      tls",
            "    agent:\n      tls",
            &[
                "gate.yaml:12:5: spec.doors.agent: unknown field \"agent\"; did you mean \"agents\"?",
                "gate.yaml:12:5: spec.doors.agents: is missing; add \"agents\"",
            ],
        ),
        (
            "127.0.0.1:9444",
            "localhost",
            &[
                "gate.yaml:15:15: spec.doors.humans.listen: \"localhost\" is not an address to listen \
               on; write an IP address and a port, like 0.0.0.0:8443 or [::]:8443",
            ],
        ),
        (
            "127.0.0.1:9444",
            "9444",
            &[
                "gate.yaml:15:15: spec.doors.humans.listen: expected a string, found 9444; put it in \
               quotes: \"9444\"",
            ],
        ),
        (
            "127.0.0.1:9444",
            "0.0.0.0:8443",
            &[
                "gate.yaml:15:15: spec.doors.humans.listen: 0.0.0.0:8443 is where the agents' door \
               listens already; give every door its own port",
            ],
        ),
        (
            "[approvers]",
            "approvers",
            &[
                "gate.yaml:25:23: spec.identity.humans.approverGroups: expected a list, found \
               \"approvers\"; write it as a list: [\"approvers\"]",
            ],
        ),
        (
            "name: home",
            "name: dev",
            &[
                "gate.yaml:9:13: spec.clusters[1].name: spec.clusters[0] is called \"dev\" too; give \
               every cluster its own name",
            ],
        ),
        (
            "name: home",
            "name: Home",
            &[
                "gate.yaml:9:13: spec.clusters[1].name: \"Home\" is not a valid name; use lower-case \
               letters, digits and \"-\", at most 63 characters, with a letter or digit at both \
               ends",
            ],
        ),
        (
            "      inCluster: {}\n",
            "",
            &[
                "gate.yaml:9:7: spec.clusters[1]: neither kubeconfig nor inCluster is given; give \
               exactly one of the two",
            ],
        ),
        (
            "context: dev",
            "context: dex",
            &[
                "gate.yaml:8:18: spec.clusters[0].kubeconfig.context: kubeconfig has no context \
               \"dex\"; did you mean \"dev\"?",
            ],
        ),
        (
            "keyFile: tls.key",
            "keyFile: no.key",
            &[
                "gate.yaml:13:48: spec.doors.agents.tls.keyFile: no.key cannot be read: No such file \
               or directory (os error 2); relative paths start at the configuration's own \
               directory",
            ],
        ),
        (
            "audiences: [gate]",
            "audiences: [console]",
            &[
                "gate.yaml:24:7: spec.identity.humans: tokens of https://issuer.test for the audience \
               \"console\" would open both doors, and an agent could approve what it asks for; give \
               each door an audience of its own",
            ],
        ),
        (
            "url: https://issuer.test",
            "url: http://issuer.test",
            &[
                "gate.yaml:21:27: spec.identity.agents.authentication.jwt[0].issuer.url: must begin \
               with https://",
            ],
        ),
        (
            "audiences: [gate]",
            "audience: [gate]",
            &[
                "gate.yaml:21:21: spec.identity.agents.authentication.jwt[0].issuer.audiences: is \
                 missing; add \"audiences\"",
                "gate.yaml:21:48: spec.identity.agents.authentication.jwt[0].issuer.audience: \
                 unknown field \"audience\"; did you mean \"audiences\"?",
            ],
        ),
        (
            "humans.yaml",
            "human.yaml",
            &[
                "gate.yaml:24:27: spec.identity.humans.authenticationFile: human.yaml cannot be read: \
               No such file or directory (os error 2); check the path",
            ],
        ),
        (
            "[policies]",
            "[policy]",
            &[
                "gate.yaml:27:13: spec.policies.files[0]: policy cannot be read: No such file or \
               directory (os error 2); check the path",
            ],
        ),
        (
            "  dataDirectory: data",
            "  holds: {shortWait: 20, retryAfter: 6m}\n  dataDirectory: data",
            &[
                "gate.yaml:28:22: spec.holds.shortWait: expected a string, found 20; put it in \
               quotes: \"20\"",
            ],
        ),
        (
            "  dataDirectory: data",
            "  holds: {shortWait: 20min, maxPerAgent: 0}\n  dataDirectory: data",
            &[
                "gate.yaml:28:22: spec.holds.shortWait: \"20min\" is not a length of time; write it \
                 like 20s, 15m or 1h30m",
                "gate.yaml:28:42: spec.holds.maxPerAgent: 0 is less than 1",
            ],
        ),
        (
            "  dataDirectory: data",
            "  record: {reads: durable}\n  dataDirectory: tls.key",
            &[
                "gate.yaml:28:19: spec.record.reads: unknown value \"durable\"; known here: \
               durable-before-answer, durable-before-forward",
            ],
        ),
        (
            "    files: [policies]",
            "    files:",
            &[
                "gate.yaml:27:10: spec.policies.files: expected a list, found nothing; give it a \
               value, or remove the field",
            ],
        ),
        (
            "inCluster: {}",
            "inCluster:",
            &[
                "gate.yaml:10:16: spec.clusters[1].inCluster: expected a mapping, found nothing; give \
               it a value, or remove the field",
            ],
        ),
        (
            "dataDirectory: data",
            "dataDirectory: tls.key",
            &[
                "gate.yaml:28:18: spec.dataDirectory: tls.key is not a directory; name a directory; \
               it is created if absent",
            ],
        ),
        (
            "kind: GatewardConfiguration",
            "kind: Policy",
            &["gate.yaml:2:7: kind: unknown value \"Policy\"; known here: GatewardConfiguration"],
        ),
    ];
    for (from, to, expected) in table {
        let path = place.with(from, to);
        assert_eq!(place.faults(&path), *expected, "{from} -> {to}");
    }
}

#[test]
fn one_run_finds_the_mistakes_of_every_part_and_file() {
    let place = Place::new();
    place.write(
        "humans.yaml",
        "kind: AuthenticationConfiguration\nkind: x\n",
    );
    place.write("tls.key", "no key at all");
    place.write(
        "policies/a.yaml",
        &POLICY.replace("verbs: [create]", "verbs: [crate]\n      color: red"),
    );
    place.write(
        "policies/b.yaml",
        &format!(
            "{}---\n{}",
            POLICY.replace("ours", "b"),
            POLICY.replace("[widgets]", "[pods/log]")
        ),
    );
    place.write("policies/not-a-policy.txt", "{");
    let faults = place.faults(&place.with("name: home", "name: dev"));
    let heads: Vec<&str> = faults
        .iter()
        .map(|fault| fault.split_once(": ").unwrap().0)
        .collect();
    assert_eq!(
        heads,
        [
            "gate.yaml:9:13",
            "gate.yaml:13:48",
            "gate.yaml:16:48",
            "humans.yaml:2:1",
            "policies/a.yaml:8:15",
            "policies/a.yaml:9:7",
            "policies/b.yaml:21:19",
            "policies/ours.yaml:3:18",
        ],
        "{faults:#?}"
    );
    assert!(
        faults[4].ends_with("did you mean \"create\"?"),
        "{}",
        faults[4]
    );
    assert!(
        faults[5].contains("spec.rules[0].color: unknown field"),
        "{}",
        faults[5]
    );
    assert!(
        faults[6].ends_with("write resources: [pods], subresources: [log]"),
        "{}",
        faults[6]
    );
}

#[test]
fn policies_are_checked_even_beside_a_broken_configuration() {
    let place = Place::new();
    place.write("policies/ours.yaml", &POLICY.replace("effect", "efect"));
    let faults = place.faults(&place.with("inCluster", "incluster"));
    assert!(
        faults[0].starts_with("gate.yaml:10:7: spec.clusters[1].incluster"),
        "{faults:#?}"
    );
    assert!(faults[1].starts_with("policies/ours.yaml:"), "{faults:#?}");
}

#[test]
fn what_is_no_document_is_refused_with_its_place() {
    let place = Place::new();
    let table = [
        (
            "",
            "gate.yaml: is empty; write a document of kind GatewardConfiguration",
        ),
        ("# nothing\n", "gate.yaml: is empty"),
        ("[1, 2]", "gate.yaml:1:1: expected a mapping, found a list"),
        ("a: [", "gate.yaml:1:"),
        (
            "apiVersion: a\nkind: b\nkind: c\n",
            "gate.yaml:3:1: is not valid YAML: duplicate mapping key `kind`",
        ),
        (
            "a: &a [x, x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\n\
             c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c]\n\
             e: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]\nf: &f [*e, *e, *e, *e, *e, *e, *e, *e]\n\
             g: &g [*f, *f, *f, *f, *f, *f, *f, *f, *f, *f]\nh: &h [*g, *g, *g, *g, *g, *g, *g, *g]\n",
            "gate.yaml:",
        ),
    ];
    for (text, expected) in table {
        let faults = place.faults(&place.write("gate.yaml", text));
        assert!(faults[0].starts_with(expected), "{text:?}: {faults:#?}");
    }
    let missing = place.faults(&place.0.path().join("none.yaml"));
    assert_eq!(
        missing,
        ["none.yaml: cannot be read: No such file or directory (os error 2); check the path"]
    );
    let second = place.faults(&place.write("gate.yaml", &format!("{GOOD}---\n{POLICY}")));
    assert!(
        second[0].starts_with("gate.yaml:30:1: a second document"),
        "{second:#?}"
    );
}

#[test]
fn names_that_know_no_limits_cannot_be_allowed() {
    let place = Place::new();
    let path = place.with(
        "      approverGroups",
        "      allowedSystemNames: [system:masters, alice, 'system:*', 'system:*:x', 'system:m*', 'system:nodes', 'system:serviceaccount:agents:*']\n      approverGroups",
    );
    let faults = place.faults(&path);
    let fields: Vec<&str> = faults
        .iter()
        .filter_map(|fault| fault.split(": ").nth(1))
        .collect();
    let at = |index| format!("spec.identity.humans.allowedSystemNames[{index}]");
    assert_eq!(fields, [at(0), at(1), at(2), at(3), at(4)], "{faults:#?}");
}

#[test]
fn a_set_without_policies_is_a_mistake() {
    let place = Place::new();
    let faults = place.faults(&place.with("files: [policies]", "defaultPack: false"));
    assert_eq!(faults.len(), 1);
    assert!(faults[0].starts_with("gate.yaml:27:5: spec.policies: without any policy"));
}

#[test]
fn the_default_pack_stands_alone() {
    let set = load_policies(&PolicySources::default()).unwrap();
    assert!(set.rules().count() > 20);
}

#[test]
fn diagnostics_have_a_form_for_programs() {
    let place = Place::new();
    let found = check(&place.with("name: home", "name: dev"));
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json[0]["line"], 9);
    assert_eq!(json[0]["field"], "spec.clusters[1].name");
    assert_eq!(json[0]["suggestion"], "give every cluster its own name");
}
