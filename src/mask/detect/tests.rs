//! Tests of the detectors: the cases of the pack, the promise of the hints, and which names tell.

use super::*;

mod cases;
mod hints;
mod telling;
