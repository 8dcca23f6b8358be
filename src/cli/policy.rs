//! `gateward policy`: tests of policies, and what a change of them would change.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::json;

use super::junit;
use super::rules::{RuleFiles, said};
use crate::config::cases::load_cases;
use crate::output::{AlreadySaid, Output, line, plain, print, table};
use crate::suppose::cases::{Tried, try_all, untried};

/// Tests policies, and compares them on what was recorded.
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Tries decision cases: a caller and a request, and what the rules should say to it.
    Test(Test),
    /// Judges recorded requests by two sets of policies, and shows what would change.
    Diff(Box<super::diff::Diff>),
}

/// Arguments of `policy test`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes:  0 all as expected, 1 some not, 2 the cases or policies \
                        cannot be used"
)]
pub struct Test {
    /// Files of cases: YAML of kind PolicyTest
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    rules: RuleFiles,
    /// Write the results as JUnit's XML, too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Form of the result
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

impl Policy {
    /// Runs the command.
    ///
    /// # Errors
    /// What failed, or cannot be used.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Test(test) => test.run(),
            Self::Diff(diff) => diff.run().await,
        }
    }
}

impl Test {
    fn run(self) -> anyhow::Result<()> {
        let rules = self.rules.load(self.output)?;
        let (mut cases, mut problems) = (Vec::new(), Vec::new());
        for file in &self.files {
            match load_cases(file, &rules.policy) {
                Ok(found) => cases.extend(found),
                Err(found) => problems.extend(found),
            }
        }
        if !problems.is_empty() {
            return Err(said(self.output, &problems));
        }
        let tried = try_all(cases, &rules).map_err(|found| said(self.output, &found))?;
        if let Some(file) = &self.junit {
            std::fs::write(file, junit::report(&tried))
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        let failed = tried.iter().filter(|tried| !tried.passed()).count();
        let untried: Vec<String> = untried(&tried, &rules)
            .iter()
            .map(|(policy, rule)| format!("{policy}/{rule}"))
            .collect();
        let items: Vec<_> = tried.iter().map(Tried::document).collect();
        let document = json!({
            "passed": tried.len() - failed,
            "failed": failed,
            "items": items,
            "untriedRules": untried,
        });
        print(self.output, &document, |_| {
            results(&tried, failed, &untried)
        })?;
        match failed {
            0 => Ok(()),
            _ => Err(AlreadySaid.into()),
        }
    }
}

fn results(tried: &[Tried<'_>], failed: usize, untried: &[String]) {
    let row = |tried: &Tried<'_>| {
        let result = if tried.passed() { "ok" } else { "FAIL" };
        let place = format!("{}:{}", tried.at.file().display(), tried.at.line);
        let cells = [
            result,
            tried.name(),
            &tried.expected(),
            &tried.found(),
            &place,
        ];
        cells.map(plain).to_vec()
    };
    table(
        &["RESULT", "CASE", "EXPECTED", "FOUND", "AT"],
        tried.iter().map(row).collect(),
        "There is no case.",
    );
    for tried in tried.iter().filter(|tried| !tried.passed()) {
        let why = match tried.found.why.as_str() {
            "" => "no rule speaks of it, or not of all that it may do",
            why => why,
        };
        line("");
        line(plain(&format!("{}: {why}", tried.name())));
    }
    line(format!(
        "\n{} as expected, {failed} not",
        tried.len() - failed
    ));
    if !untried.is_empty() {
        line(format!(
            "{} rules decided no case: {}",
            untried.len(),
            untried.join(", ")
        ));
    }
}
