//! When a loop of the reference ends: the numbers that are not finite, and the looks at which the stopping rule is asked.
//!
//! The rule itself is `crate::settling::Stopper`, the one thing here that layers under lock-step ask too.

use crate::math::{Field, Real, extent, values};
use crate::settling::{Limits, Look, PhaseRecord, StopReason, Stopper};
use crate::signal::{BadNumber, Report};

/// The looks at one phase.
pub(super) struct Looks {
    stopper: Stopper,
    at: u64,
    /// The first number of each layer that was not finite.
    pub(super) bad: Vec<Option<BadNumber>>,
}

impl Looks {
    /// Before the first step of a phase of a network with `depth` + 1 layers.
    pub(super) fn new(limits: Limits, depth: usize) -> Self {
        Self { stopper: Stopper::new(limits), at: 0, bad: vec![None; depth + 1] }
    }

    /// After `step` steps: the record of the phase, if it ends here.
    pub(super) fn look(
        &mut self,
        step: u64,
        reports: impl FnOnce(&[Option<BadNumber>]) -> Vec<Report>,
    ) -> Option<PhaseRecord> {
        if step != self.at {
            return None;
        }
        let record = PhaseRecord { reason: StopReason::StepBudget, reports: reports(&self.bad) };
        let finite = self.bad.iter().all(Option::is_none);
        let look = Look { step, residual: record.residual(), energy: record.energy(), finite };
        if let Some(reason) = self.stopper.look(look) {
            return Some(PhaseRecord { reason, ..record });
        }
        self.at = self.stopper.next_look(step).expect("a used budget ends the phase");
        None
    }
}

/// Sets `slot`, unless it is set, to the first of `numbers` that is not finite.
pub(super) fn note_bad<T: Real>(slot: &mut Option<BadNumber>, step: u64, numbers: &Field<T>) {
    if slot.is_none() && !extent(values(numbers)).finite {
        let at = numbers.iter().position(|number| !number.is_finite());
        *slot = at.map(|at| BadNumber { step, unit: at / numbers.ncols() });
    }
}
