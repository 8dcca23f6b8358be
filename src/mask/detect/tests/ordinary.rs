//! How often something ordinary is taken for a secret: in `tests/corpus`, in our own pages, and
//! in any folder that `GATEWARD_CORPUS` names.
//!
//! The corpus: what etcd and the API server logged when our tests started them, and objects
//! that this API server answered; manifests, and log lines of workloads (klog, logfmt, JSON,
//! access logs, Java, Python), which were written for this test.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::*;

#[derive(Default)]
struct Count {
    strings: usize,
    bytes: usize,
    /// Strings in which something was found: by which detector, and what.
    found: Vec<(&'static str, String)>,
}

impl Count {
    fn string(&mut self, file: &Path, text: &str, name: Option<&str>) {
        self.strings += 1;
        self.bytes += text.len();
        let found = Detectors::standard().scan(text.as_bytes(), name.map(str::as_bytes));
        if let Some(first) = found.first() {
            let around = first.start.saturating_sub(30)..(first.end + 20).min(text.len());
            let around = String::from_utf8_lossy(&text.as_bytes()[around]).into_owned();
            let name = name.unwrap_or_default();
            let found = format!("{}: {} {name}: {around}", file.display(), first.detector);
            self.found.push((first.detector, found));
        }
    }

    /// Every string of a document, with the name beside it.
    fn document(&mut self, file: &Path, value: &Value, name: Option<&str>) {
        match value {
            Value::String(text) => self.string(file, text, name),
            Value::Array(items) => items
                .iter()
                .for_each(|item| self.document(file, item, name)),
            Value::Object(members) => {
                let variable = members.get("name").and_then(Value::as_str);
                for (key, value) in members {
                    let name = variable.filter(|_| key == "value").unwrap_or(key);
                    self.document(file, value, Some(name));
                }
            }
            _ => {}
        }
    }

    fn file(&mut self, file: &Path) {
        let Ok(text) = fs::read_to_string(file) else {
            return;
        };
        let extension = file.extension().and_then(|extension| extension.to_str());
        let documents: Option<Vec<Value>> = match extension {
            Some("json") => serde_json::from_str(&text)
                .ok()
                .map(|document| vec![document]),
            Some("jsonl") => text
                .lines()
                .map(|line| serde_json::from_str(line).ok())
                .collect(),
            Some("yaml" | "yml") => serde_saphyr::from_multiple(&text).ok(),
            _ => None,
        };
        match documents {
            Some(documents) => documents
                .iter()
                .for_each(|document| self.document(file, document, None)),
            None => text.lines().for_each(|line| self.string(file, line, None)),
        }
    }

    /// How many of 1,000 strings had a find.
    fn rate(&self) -> f64 {
        1000.0 * self.found.len() as f64 / self.strings.max(1) as f64
    }

    fn lines(&self) -> String {
        let lines = self.found.iter().map(|(_, line)| line.as_str());
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// Manifests, logs and pages; not programs.
const EXTENSIONS: [&str; 7] = ["json", "jsonl", "log", "md", "txt", "yaml", "yml"];

fn files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            self::files(&path, files);
        } else if EXTENSIONS
            .iter()
            .any(|known| path.extension() == Some(known.as_ref()))
        {
            files.push(path);
        }
    }
}

fn count(folders: &[PathBuf]) -> Count {
    let mut count = Count::default();
    let mut all = Vec::new();
    folders.iter().for_each(|folder| files(folder, &mut all));
    all.sort();
    all.iter().for_each(|file| count.file(file));
    count
}

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Nothing at all is found in the corpus: whatever is, is wrong, and belongs into the pack as
/// a case that is left. The guide states it.
#[test]
fn ordinary_objects_and_logs_are_left_as_they_are() {
    let count = count(&[root("tests/corpus")]);
    assert_eq!(count.lines(), "");
    super::stated(&format!(
        "{} strings of ordinary objects and logs ({} KB), {} with a find",
        count.strings,
        count.bytes / 1000,
        count.found.len()
    ));
}

/// Pages and policies speak of secrets, and show some.
#[test]
fn pages_about_secrets_are_readable() {
    let count = count(&[root("docs"), root("policies"), root("deploy")]);
    eprintln!(
        "{} strings, {:.3} of 1,000 with a find\n{}",
        count.strings,
        count.rate(),
        count.lines()
    );
    assert!(count.rate() < 1.0, "{}", count.lines());
}

/// Prints what is found in a folder, and how much.
#[test]
#[ignore = "GATEWARD_CORPUS must name a folder"]
fn a_folder_is_counted() {
    let folder = std::env::var_os("GATEWARD_CORPUS").expect("GATEWARD_CORPUS names a folder");
    let count = count(&[folder.into()]);
    let mut detectors: BTreeMap<&str, usize> = BTreeMap::new();
    for (detector, _) in &count.found {
        *detectors.entry(detector).or_default() += 1;
    }
    eprintln!(
        "{}\n{} strings ({:.1} MB), {} with a find, {:.3} of 1,000: {detectors:?}",
        count.lines(),
        count.strings,
        count.bytes as f64 / 1e6,
        count.found.len(),
        count.rate()
    );
}

/// Few strings of ordinary objects are hinted: what is looked at closer costs much more.
#[test]
fn hints_are_rare_in_ordinary_objects() {
    let objects = fs::read_to_string(root("tests/corpus/objects.jsonl")).unwrap();
    let (mut strings, mut hinted) = (0, 0);
    for string in objects.split('"').filter(|string| string.len() > 2) {
        strings += 1;
        hinted += usize::from(Detectors::standard().is_hinted(format!("\"{string}\"").as_bytes()));
    }
    assert!(hinted * 20 < strings, "{hinted} of {strings}");
}
