//! What an evaluation may cost. Part of the CEL engine; knows no clock: the same expression
//! over the same values costs the same everywhere.
//!
//! One unit is about the visit of one node, of one element, or of ten bytes of text; what
//! is about to be made is paid for before it is made, so the budget bounds memory too.

use super::run::Trouble;
use super::value::Map;

/// What one evaluation may cost: as much as the API server grants to one expression.
pub const PER_EVALUATION: u64 = 1_000_000;
/// What all evaluations for one request may cost together.
pub const PER_REQUEST: u64 = 5_000_000;

/// A budget that is being spent.
#[derive(Debug)]
pub struct Meter {
    left: u64,
    /// What is kept back for the evaluations after this one.
    reserve: u64,
}

impl Meter {
    /// The budget of one request; each evaluation gets [`PER_EVALUATION`] of it at most.
    pub fn for_request() -> Self {
        Self {
            left: 0,
            reserve: PER_REQUEST,
        }
    }

    /// A budget of exactly this much for one evaluation.
    pub fn of(units: u64) -> Self {
        Self {
            left: 0,
            reserve: units,
        }
    }

    /// Opens the next evaluation.
    pub(super) fn begin(&mut self) {
        let total = self.reserve.saturating_add(self.left);
        self.left = total.min(PER_EVALUATION);
        self.reserve = total - self.left;
    }

    /// Pays. What cannot be paid spends all that is left, for good: whoever swallows the
    /// error gets no further.
    pub(super) fn pay(&mut self, units: u64) -> Result<(), Trouble> {
        match self.left.checked_sub(units) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                self.left = 0;
                self.reserve = 0;
                Err(Trouble::Spent)
            }
        }
    }

    /// Pays for reading or making this many bytes of text.
    pub(super) fn pay_text(&mut self, bytes: usize) -> Result<(), Trouble> {
        self.pay(1 + bytes as u64 / 10)
    }

    /// Pays for visiting or making this many elements.
    pub(super) fn pay_elements(&mut self, count: usize) -> Result<(), Trouble> {
        self.pay(1 + count as u64)
    }

    /// Pays for looking a key up.
    pub(super) fn pay_search(&mut self, map: &Map<'_>) -> Result<(), Trouble> {
        self.pay(1 + map.len() as u64 / 8)
    }

    /// Whether nothing is left.
    pub fn is_spent(&self) -> bool {
        self.left == 0 && self.reserve == 0
    }
}
