//! Part of ⑦ mask: reads the pack of rules, which is a part of the program.
//!
//! A test reads it too, compiles every expression and tries every case, so that a pack that
//! cannot be read never gets into a release.

use std::ops::Range;
use std::sync::LazyLock;

use regex::bytes::{Regex, RegexBuilder};

use super::checks::Check;
use super::guards::Guard;
use super::names::Telling;
use super::numbers::Number;
use super::plain;

/// The rules, and the cases that prove them.
pub(super) const PACK: &str = include_str!("pack.yaml");

/// A rule, compiled.
#[derive(Debug)]
pub(super) struct Rule {
    pub name: String,
    /// What it finds, in one line.
    pub says: String,
    /// Whether it is on by default.
    pub on: bool,
    pub finds: Finds,
    check: Option<Check>,
    /// The find stands alone: no letter or digit adjoins.
    alone: bool,
}

/// How a rule finds.
#[derive(Debug)]
pub(super) enum Finds {
    /// A regular expression, where one of the anchors stands. Hides its first group.
    Regex {
        anchors: Vec<String>,
        guard: Guard,
        regex: Regex,
    },
    /// The value beside a telling name of these kinds, if both match.
    Beside {
        kinds: Vec<Telling>,
        name: Option<Regex>,
        value: Option<Regex>,
    },
    /// A number that proves itself.
    Number(Number),
    /// Base64 that holds too much to be looked into.
    TooMuch,
}

/// A rule as it is written.
#[derive(Debug, serde::Deserialize)]
struct Written {
    name: String,
    says: String,
    #[serde(default = "on")]
    on: bool,
    #[serde(default)]
    anchors: Vec<String>,
    #[serde(default)]
    guard: Guard,
    regex: Option<String>,
    #[serde(default)]
    beside: Vec<Telling>,
    named: Option<String>,
    number: Option<Number>,
    #[serde(default)]
    too_much: bool,
    check: Option<Check>,
    #[serde(default)]
    alone: bool,
}

fn on() -> bool {
    true
}

/// All rules, in the order of the pack.
pub(super) fn rules() -> &'static [Rule] {
    static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
        let written: Vec<Written> = serde_saphyr::from_str(PACK).unwrap_or_default();
        written.into_iter().filter_map(Written::compile).collect()
    });
    &RULES
}

impl Rule {
    /// What is hidden, if this find is one.
    pub fn accepts(&self, text: &[u8], range: Range<usize>) -> Option<Range<usize>> {
        if self.alone && !plain::stands_alone(text, &range) {
            return None;
        }
        match self.check {
            Some(check) => check.accepts(text, range),
            None => Some(range),
        }
    }
}

impl Written {
    fn compile(self) -> Option<Rule> {
        let finds = match (self.number, self.beside.is_empty()) {
            _ if self.too_much => Finds::TooMuch,
            (Some(number), _) => Finds::Number(number),
            (None, true) => Finds::Regex {
                anchors: self.anchors,
                guard: self.guard,
                regex: compiled(&self.regex?)?,
            },
            (None, false) => Finds::Beside {
                kinds: self.beside,
                name: self
                    .named
                    .as_deref()
                    .map(compiled)
                    .map_or(Some(None), |regex| regex.map(Some))?,
                value: self
                    .regex
                    .as_deref()
                    .map(compiled)
                    .map_or(Some(None), |regex| regex.map(Some))?,
            },
        };
        Some(Rule {
            name: self.name,
            says: self.says,
            on: self.on,
            finds,
            check: self.check,
            alone: self.alone,
        })
    }
}

fn compiled(regex: &str) -> Option<Regex> {
    RegexBuilder::new(regex).unicode(false).build().ok()
}
