//! The documents say what is so: every YAML block in them is read by the program itself,
//! every link leads somewhere, and the references name every field. Needs no cluster.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use gateward::config;
use serde_json::Value;

/// Put around a policy or an `AuthenticationConfiguration`, to have it checked.
const AROUND: &str = "\
apiVersion: gateward.dev/v1alpha1
kind: GatewardConfiguration
spec:
  clusters: [{name: production, kubeconfig: {file: production.kubeconfig}}]
  doors:
    agents: {tls: {certificateFile: gate.crt, keyFile: gate.key}}
    humans: {tls: {certificateFile: gate.crt, keyFile: gate.key}}
  identity:
    agents: {authenticationFile: agents.yaml}
    humans: {authenticationFile: humans.yaml, approverGroups: [approvers]}
  policies: {files: [policies]}
  dataDirectory: data
";

const POLICY: &str = "\
apiVersion: gateward.dev/v1alpha1
kind: Policy
metadata: {name: one}
spec: {rules: [{name: one, effect: allow, verbs: [get], apiGroups: [''], resources: [pods]}]}
";

const AUTHENTICATION: &str = "\
apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt:
- issuer: {url: https://idp.example.com, audiences: [AUDIENCE]}
  claimMappings: {username: {claim: sub, prefix: ''}}
";

const KUBECONFIG: &str = "\
apiVersion: v1
kind: Config
current-context: gateward
clusters: [{name: c, cluster: {server: 'https://10.0.0.1:6443'}}]
contexts: [{name: gateward, context: {cluster: c, user: gateward}}]
users: [{name: gateward, user: {token: t}}]
";

#[test]
fn every_yaml_block_is_what_it_says() {
    let mut wrong = String::new();
    let mut checked = 0;
    for (document, block) in blocks("yaml") {
        let kind = block.lines().find_map(|line| line.strip_prefix("kind: "));
        let problems = match kind {
            Some("GatewardConfiguration") => check(&[("gate.yaml", &block)]),
            Some("Policy") => check(&[("policies/one.yaml", &block)]),
            Some("PolicyTest") => try_cases(&block),
            Some("AuthenticationConfiguration") => check(&[("agents.yaml", &block)]),
            Some("ClusterRole" | "ClusterRoleBinding" | "NetworkPolicy") => {
                serde_saphyr::from_multiple::<Value>(&block)
                    .err()
                    .map(|e| e.to_string())
            }
            _ => Some("say with kind: what this is, or teach this test to check it".to_owned()),
        };
        checked += 1;
        if let Some(problems) = problems {
            let _ = writeln!(wrong, "{}:\n{block}{problems}\n", document.display());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(checked > 5, "the blocks were not found");
}

#[test]
fn every_link_leads_somewhere() {
    let mut wrong = String::new();
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            if link.starts_with("https://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => document.clone(),
                file => document.parent().unwrap().join(file),
            };
            let found = if anchor.is_empty() {
                target.exists()
            } else {
                std::fs::read_to_string(&target).is_ok_and(|text| anchors(&text).contains(anchor))
            };
            if !found {
                let _ = writeln!(wrong, "{}: {link}", document.display());
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_references_name_every_field() {
    let mut wrong = String::new();
    for (page, schema) in [
        ("docs/guide/config.md", "schemas/gatewardconfiguration.json"),
        ("docs/guide/policy.md", "schemas/policy.json"),
        ("docs/guide/policy-tools.md", "schemas/policytest.json"),
    ] {
        let text = std::fs::read_to_string(root().join(page)).unwrap();
        let schema = std::fs::read_to_string(root().join(schema)).unwrap();
        let mut fields = BTreeSet::new();
        fields_of(&serde_json::from_str(&schema).unwrap(), &mut fields);
        assert!(fields.len() > 10, "{page}: the schema has no fields");
        for field in fields {
            if !text.contains(&format!("`{field}`")) {
                let _ = writeln!(wrong, "{page} does not name `{field}`");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Techniques of the Containers matrix of MITRE ATT&CK 17.
const TECHNIQUES: &[&str] = &[
    "T1036",
    "T1046",
    "T1053.007",
    "T1068",
    "T1069",
    "T1070",
    "T1078",
    "T1098.006",
    "T1110",
    "T1133",
    "T1136",
    "T1190",
    "T1204.003",
    "T1485",
    "T1490",
    "T1496",
    "T1498",
    "T1499",
    "T1525",
    "T1528",
    "T1543.005",
    "T1550.001",
    "T1552.001",
    "T1552.007",
    "T1562.001",
    "T1609",
    "T1610",
    "T1611",
    "T1612",
    "T1613",
];

#[test]
fn the_page_of_the_default_pack_has_every_rule_with_its_reason_and_its_technique() {
    let read = |file: &str| std::fs::read_to_string(root().join(file)).unwrap();
    let pack: Value = serde_saphyr::from_str(&read("policies/default.yaml")).unwrap();
    let rules = pack["spec"]["rules"].as_array().unwrap().iter();
    let rules: Vec<(&str, &str)> = rules
        .map(|rule| {
            (
                rule["effect"].as_str().unwrap(),
                rule["name"].as_str().unwrap(),
            )
        })
        .collect();
    let page = read("docs/guide/default-pack.md");
    let mut effect = "";
    let mut told = Vec::new();
    for line in page.lines() {
        match line {
            "## Denied" => effect = "deny",
            "## Held" => effect = "hold",
            "## Allowed" => effect = "allow",
            _ if line.starts_with("## ") => effect = "",
            _ => {}
        }
        if effect.is_empty() || !line.starts_with("| `") {
            continue;
        }
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [rule, about, why, techniques] = cells[..] else {
            panic!("four cells: {line}");
        };
        assert!(!about.is_empty() && !why.is_empty(), "{line}");
        for technique in techniques.split(", ").filter(|one| *one != "none") {
            let id = technique.trim_start_matches('[').split(']').next().unwrap();
            assert!(TECHNIQUES.contains(&id), "{id} in {line}");
            let address = id.replace('.', "/");
            assert_eq!(
                technique,
                format!("[{id}](https://attack.mitre.org/techniques/{address}/)")
            );
        }
        told.push((effect, rule.trim_matches('`')));
    }
    assert_eq!(told, rules, "the page and the pack, in the same order");
}

/// The checker's problems with a configuration made of `files`, those that the documents
/// speak of standing beside them.
fn check(files: &[(&str, &str)]) -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["gate.example.com".to_owned()]).unwrap();
    let certificate = made.cert.pem();
    let key = made.signing_key.serialize_pem();
    let audience = |name| AUTHENTICATION.replace("AUDIENCE", name);
    let (agents, humans) = (audience("gateward-agents"), audience("gateward-humans"));
    let around = [
        ("gate.yaml", AROUND),
        ("gate.crt", &certificate),
        ("gate.key", &key),
        ("production.kubeconfig", KUBECONFIG),
        ("agents.yaml", &agents),
        ("humans.yaml", &humans),
        ("policies/one.yaml", POLICY),
    ];
    std::fs::create_dir(dir.path().join("policies")).unwrap();
    for (name, text) in around.iter().chain(files) {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let problems = config::check(&dir.path().join("gate.yaml"));
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// What is wrong with cases, held against the shipped guardrails.
fn try_cases(block: &str) -> Option<String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), block).unwrap();
    let rules = config::load_rules(&[], true).unwrap();
    let tried = config::cases::load_cases(file.path(), &rules.policy)
        .and_then(|cases| gateward::suppose::cases::try_all(cases, &rules));
    match tried {
        Ok(tried) => {
            let wrong = tried.iter().find(|tried| !tried.passed())?;
            Some(format!("{}: found {}", wrong.name(), wrong.found()))
        }
        Err(problems) => Some(format!("{problems:?}")),
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Markdown file of the project.
fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for dir in ["", "docs", "docs/guide", "docs/decisions"] {
        let entries = std::fs::read_dir(root().join(dir)).unwrap();
        found.extend(entries.map(|entry| entry.unwrap().path()));
    }
    found.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    found.sort();
    found
}

/// The fenced blocks in this language, with the document in which they stand.
fn blocks(language: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        for block in text.split(&format!("\n```{language}\n")).skip(1) {
            let (block, _) = block.split_once("\n```").expect("a fence that ends");
            found.push((document.clone(), format!("{block}\n")));
        }
    }
    found
}

/// The anchors that GitHub makes of headings.
fn anchors(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .chars()
                .filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-' || *c == '_')
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
        .collect()
}

fn fields_of(schema: &Value, found: &mut BTreeSet<String>) {
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        found.extend(properties.keys().cloned());
    }
    match schema {
        Value::Object(members) => members.values().for_each(|value| fields_of(value, found)),
        Value::Array(items) => items.iter().for_each(|item| fields_of(item, found)),
        _ => {}
    }
}
