//! Tests of the detectors: the cases of the pack, the promise of the hints, what is found in
//! every format, and how seldom ordinary texts are taken for secrets.

use super::*;

mod cases;
mod hints;
