//! Text → the parser's tree. Part of the checker; bounds length and depth before the
//! parser sees them.

use cel::common::ast::{IdedExpr, SourceInfo};

use super::super::Fault;
use super::DEEPEST;

/// The longest expression, in bytes.
const LONGEST: usize = 8 * 1024;
/// Parses a text; everything that `parse` of the crate could be hurt by is refused before.
pub(super) fn parse(text: &str) -> Result<(IdedExpr, SourceInfo), Fault> {
    let first = |message: &str, suggestion: Option<&str>| Fault {
        line: 1,
        column: 1,
        message: message.to_owned(),
        suggestion: suggestion.map(str::to_owned),
    };
    if text.trim().is_empty() {
        return Err(first("the expression is empty", None));
    }
    if text.len() > LONGEST {
        return Err(first(
            "the expression is longer than 8 KiB",
            Some("make several of it"),
        ));
    }
    if nesting(text) > 2 * DEEPEST {
        return Err(first(
            "the expression has too many operators in a row",
            Some("make several of it"),
        ));
    }
    let parser = cel::Env::default().parser();
    parser.parse_with_source_info(text).map_err(|errors| {
        let Some(error) = errors.errors.into_iter().next() else {
            return first("the expression cannot be read", None);
        };
        let (line, column) = error.pos;
        Fault {
            line: usize::try_from(line).unwrap_or(1).max(1),
            column: usize::try_from(column).unwrap_or(1).max(1),
            message: error.msg.lines().next().unwrap_or_default().to_owned(),
            suggestion: None,
        }
    })
}

/// A bound on how deep the parser's tree may become: brackets nest, and so do operators
/// and selections in a row. What stands between commas, `&&` and `||` begins anew.
fn nesting(text: &str) -> usize {
    let mut deepest = 0_usize;
    // For each open bracket, how many operators stand before it.
    let mut rows = vec![0_usize];
    let mut total = 0_usize;
    let mut quote: Option<char> = None;
    let mut before = ' ';
    for c in text.chars() {
        match (quote, c) {
            (Some(open), c) if c == open && before != '\\' => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '(' | '[' | '{') => {
                rows.push(0);
                total += 1;
            }
            (None, ')' | ']' | '}') => {
                total -= rows.pop().unwrap_or(0).min(total);
                // What was in brackets is one more part of the row outside.
                if let Some(row) = rows.last_mut() {
                    *row += 1;
                }
            }
            (None, '+' | '-' | '*' | '/' | '%' | '.' | '<' | '>' | '=' | '!' | '?' | ':') => {
                if let Some(row) = rows.last_mut() {
                    *row += 1;
                }
                total += 1;
            }
            (None, ',' | '&' | '|') => {
                if let Some(row) = rows.last_mut() {
                    total -= (*row).min(total);
                    *row = 0;
                }
            }
            _ => {}
        }
        deepest = deepest.max(total);
        before = if before == '\\' { ' ' } else { c };
    }
    deepest
}
