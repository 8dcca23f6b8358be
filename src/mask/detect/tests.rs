//! Tests of the detectors: the cases of the pack, the promise of the hints, what is found in
//! every format, and how seldom ordinary texts are taken for secrets.

use std::path::Path;

use super::*;

mod cases;
mod hints;
mod literals;
mod ordinary;
mod recall;
mod telling;

/// What the tests measure, the guide says, so that it can get neither worse nor better unsaid.
fn stated(figures: &str) {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guide/masking.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    assert!(
        guide.contains(figures),
        "docs/guide/masking.md does not say:\n{figures}"
    );
}
