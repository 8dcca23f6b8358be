//! All literals are found wherever they stand, and nothing else.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::mask::detect::literals::{Hits, Literals};
use crate::mask::detect::names::STEMS;

fn all() -> (Vec<&'static str>, Literals) {
    let rules: Vec<&'static Rule> = pack::rules().iter().collect();
    let anchors = rules.iter().flat_map(|rule| match &rule.finds {
        Finds::Regex { anchors, .. } => anchors.as_slice(),
        _ => &[],
    });
    let mut literals: Vec<&str> = anchors.map(|anchor| &**anchor).collect();
    literals.extend(STEMS);
    literals.extend([names::KEY, nested::GZIP, r"\u", r"\/"]);
    literals.sort_unstable();
    literals.dedup();
    (literals, Literals::new(&rules))
}

/// Literals, their beginnings and their ends, one after the other.
fn text() -> impl Strategy<Value = String> {
    let parts = all().0.into_iter().flat_map(|literal| {
        let middle = literal.len() / 2;
        [literal, &literal[..middle], &literal[middle..], "x"]
    });
    let parts = prop::sample::select(parts.collect::<Vec<_>>());
    prop::collection::vec(parts, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn a_literal_is_found_wherever_it_stands(text in text()) {
        let (literals, searched) = all();
        let places = Hits::new(&searched, text.as_bytes()).collect::<Vec<_>>();
        prop_assert!(places.is_sorted_by_key(|(at, ..)| *at));
        prop_assert!(places.iter().all(|(at, hit, _)| hit.contains(at)));
        let found: BTreeSet<(usize, usize)> =
            places.iter().map(|(_, hit, _)| (hit.start, hit.end)).collect();
        let mut expected = BTreeSet::new();
        for literal in literals {
            let starts = (0..text.len()).filter(|at| text[*at..].starts_with(literal));
            expected.extend(starts.map(|start| (start, start + literal.len())));
        }
        prop_assert_eq!(found, expected);
    }
}
