//! Patterns with `*`, as rules use them for names. Part of room ④; pure, and never
//! backtracks: the cost of a match grows with the length of the text alone.

use std::fmt;

/// One pattern: literal text in which each `*` stands for any run of characters, also none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Glob {
    /// `*`
    Anything,
    /// No `*` at all.
    Exact(Box<str>),
    /// What must come first, in between in this order, and last.
    Parts {
        first: Box<str>,
        between: Box<[Box<str>]>,
        last: Box<str>,
    },
}

impl Glob {
    /// Reads a pattern; the error is a sentence for its author.
    pub(crate) fn compile(pattern: &str) -> Result<Self, String> {
        if pattern.contains("**") {
            return Err(format!(
                "\"{pattern}\" contains \"**\", but a single \"*\" stands for any text already"
            ));
        }
        if pattern == "*" {
            return Ok(Self::Anything);
        }
        let Some((first, rest)) = pattern.split_once('*') else {
            return Ok(Self::Exact(pattern.into()));
        };
        let (between, last) = rest.rsplit_once('*').unwrap_or(("", rest));
        Ok(Self::Parts {
            first: first.into(),
            between: between
                .split('*')
                .filter(|part| !part.is_empty())
                .map(Into::into)
                .collect(),
            last: last.into(),
        })
    }

    /// Whether it surely matches whatever the other one matches. It may say no where it does.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Anything, _) => true,
            (_, Self::Anything) => false,
            (_, Self::Exact(text)) => self.matches(text),
            (
                Self::Parts {
                    first,
                    between,
                    last,
                },
                Self::Parts {
                    first: other_first,
                    last: other_last,
                    ..
                },
            ) => {
                let wider = between.is_empty()
                    && other_first.starts_with(&**first)
                    && other_last.ends_with(&**last);
                wider || self == other
            }
            (Self::Exact(_), Self::Parts { .. }) => false,
        }
    }

    /// Whether the whole text matches.
    pub(crate) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Anything => true,
            Self::Exact(exact) => **exact == *text,
            Self::Parts {
                first,
                between,
                last,
            } => {
                let Some(mut rest) = text
                    .strip_prefix(&**first)
                    .and_then(|text| text.strip_suffix(&**last))
                else {
                    return false;
                };
                between.iter().all(|part| match rest.split_once(&**part) {
                    Some((_, after)) => {
                        rest = after;
                        true
                    }
                    None => false,
                })
            }
        }
    }
}

/// As its author wrote it.
impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anything => f.write_str("*"),
            Self::Exact(exact) => f.write_str(exact),
            Self::Parts {
                first,
                between,
                last,
            } => {
                write!(f, "{first}*")?;
                for part in between {
                    write!(f, "{part}*")?;
                }
                f.write_str(last)
            }
        }
    }
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

    #[test]
    fn a_star_stands_for_any_text_and_everything_else_for_itself() {
        let table = [
            ("*", "", true),
            ("*", "anything", true),
            ("", "", true),
            ("", "x", false),
            ("prod", "prod", true),
            ("prod", "Prod", false),
            ("prod", "prod2", false),
            ("prod-*", "prod-eu", true),
            ("prod-*", "prod-", true),
            ("prod-*", "prod", false),
            ("*-prod", "eu-prod", true),
            ("*-prod", "eu-prod-2", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "acb", false),
            ("a*b*b", "ab", false),
            ("a*b*b", "abb", true),
            ("*b*", "abc", true),
            ("*b*", "ac", false),
            ("a.c", "abc", false),
        ];
        for (pattern, text, expected) in table {
            let glob = Glob::compile(pattern).unwrap();
            assert_eq!(glob.matches(text), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn a_pattern_covers_what_it_surely_matches_and_is_written_as_it_was() {
        let patterns = [
            "*", "", "a", "a*", "*a", "a*b", "ab*", "*b*", "a*b*c", "*-prod",
        ];
        let texts = ["", "a", "ab", "aab", "b", "axb", "axbyc", "eu-prod", "ba"];
        for one in patterns.map(|pattern| Glob::compile(pattern).unwrap()) {
            assert!(one.covers(&one), "{one}");
            for other in patterns.map(|pattern| Glob::compile(pattern).unwrap()) {
                let wider = texts
                    .iter()
                    .all(|text| !other.matches(text) || one.matches(text));
                assert!(wider || !one.covers(&other), "{one} covers {other}");
            }
        }
        let covers = |one: &str, other: &str| {
            Glob::compile(one)
                .unwrap()
                .covers(&Glob::compile(other).unwrap())
        };
        assert!(covers("a*", "ab*") && covers("*", "") && covers("a*b", "a*b"));
        assert!(!covers("ab*", "a*") && !covers("a", "*"));
        for pattern in patterns {
            assert_eq!(Glob::compile(pattern).unwrap().to_string(), pattern);
        }
    }

    #[test]
    fn two_stars_in_a_row_are_refused() {
        assert!(Glob::compile("a**b").unwrap_err().contains("single"));
    }
}
