//! The decision at a consistent cut: all layers stand at the same step and have heard everything of that step.
//!
//! ```text
//! settled     max_l residual_l ≤ tolerance
//! diverged    a number is not finite; or the energy stands above where it began, after rising at three looks in a row or
//!             at the end of the budget
//! plateau     at three looks in a row the energy is no lower than the lowest seen, by more than plateau · |E|, and no higher
//!             than rounding and chatter explain, and the residual is no lower than the lowest seen
//! budget      step = steps_max
//! ```
//!
//! in this order. Why the plateau clause exists: the derivative of ReLU jumps at zero, units settle *on* the kink and chatter,
//! and their residual stays near η times the jump for ever although the energy has arrived. Why energy alone is not enough: on
//! deep chains, and on any network near its minimum, it falls too slowly to see while the residual still shrinks at every look.

use super::{Limits, StopReason};

/// Looks in a row that a slow clause needs.
const IN_A_ROW: u32 = 3;

/// Rounding lifts an energy that has arrived by a few units in the last place; a rise is more than this share of it,
const RISE_RELATIVE: f64 = 1e-3;
/// or, near zero, more than this (summed over the batch).
const RISE_ABSOLUTE: f64 = 1e-6;

/// What is seen at a look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// Steps taken.
    pub step: u64,
    /// Largest residual of any layer.
    pub residual: f64,
    /// Total energy, summed over the batch in the order of the layers.
    pub energy: f64,
    /// All numbers are finite.
    pub finite: bool,
}

/// Decides at every look whether a phase goes on.
#[derive(Clone, Debug)]
pub struct Stopper {
    limits: Limits,
    first: Option<f64>,
    before: Option<f64>,
    lowest: f64,
    smallest: f64,
    flat: u32,
    rising: u32,
}

impl Stopper {
    /// At the beginning of a phase.
    pub fn new(limits: Limits) -> Self {
        Self { limits, first: None, before: None, lowest: f64::INFINITY, smallest: f64::INFINITY, flat: 0, rising: 0 }
    }

    /// The step at which to look next, `None` when the budget is used.
    pub fn next_look(&self, step: u64) -> Option<u64> {
        let Limits { steps_max, tolerance, check_every, .. } = self.limits;
        let every = if tolerance > 0.0 { check_every } else { steps_max };
        (step < steps_max).then(|| (step + every.max(1)).min(steps_max))
    }

    /// Looks; the reason if the phase is over.
    pub fn look(&mut self, look: Look) -> Option<StopReason> {
        let Limits { steps_max, tolerance, plateau, .. } = self.limits;
        if !look.finite || !look.energy.is_finite() {
            return Some(StopReason::Diverged);
        }
        if tolerance > 0.0 && look.residual <= tolerance {
            return Some(StopReason::Settled);
        }
        if let Some(before) = self.before {
            // Energies that chatter go up and down around where they arrived, so it is the lowest that counts, not the last.
            let (fall, slack) = (self.lowest - look.energy, RISE_RELATIVE * self.lowest.abs() + RISE_ABSOLUTE);
            let still = fall <= plateau * self.lowest.abs() && -fall <= slack && look.residual >= self.smallest;
            self.flat = if still { self.flat + 1 } else { 0 };
            self.rising = if look.energy - before > RISE_RELATIVE * before.abs() { self.rising + 1 } else { 0 };
        }
        self.lowest = self.lowest.min(look.energy);
        self.smallest = self.smallest.min(look.residual);
        self.before = Some(look.energy);
        let first = *self.first.get_or_insert(look.energy);
        let above = look.energy > first + RISE_RELATIVE * first.abs() + RISE_ABSOLUTE;
        if above && (self.rising >= IN_A_ROW || look.step >= steps_max) {
            return Some(StopReason::Diverged);
        }
        if tolerance > 0.0 && plateau > 0.0 && self.flat >= IN_A_ROW {
            return Some(StopReason::Plateau);
        }
        (look.step >= steps_max).then_some(StopReason::StepBudget)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits { steps_max: 100, tolerance: 1e-3, check_every: 10, plateau: 1e-9 }
    }

    fn run(limits: Limits, looks: impl IntoIterator<Item = (f64, f64)>) -> (u64, Option<StopReason>) {
        let mut stopper = Stopper::new(limits);
        let mut step = 0;
        for (residual, energy) in looks {
            if let Some(reason) = stopper.look(Look { step, residual, energy, finite: true }) {
                return (step, Some(reason));
            }
            match stopper.next_look(step) {
                Some(next) => step = next,
                None => return (step, None),
            }
        }
        (step, None)
    }

    #[test]
    fn settles_at_the_first_look_within_tolerance_and_not_before() {
        let looks = (0..).map(|i| (2e-3 / f64::from(1 << i), 1.0 / f64::from(i + 1)));
        assert_eq!(run(limits(), looks), (10, Some(StopReason::Settled)));
    }

    #[test]
    fn a_budget_that_runs_out_is_never_called_settled() {
        let falling = (0..).map(|i| (1.0, 1.0 / f64::from(i + 1)));
        assert_eq!(run(limits(), falling), (100, Some(StopReason::StepBudget)));
        // Without a tolerance the only looks are at the beginning and the end, and even a residual of zero ends nothing.
        let at_rest = (0..).map(|i| (0.0, 1.0 / f64::from(i + 1)));
        assert_eq!(run(Limits::steps(7), at_rest), (7, Some(StopReason::StepBudget)));
    }

    #[test]
    fn plateau_fires_on_a_constant_energy_and_not_on_a_slowly_falling_one() {
        assert_eq!(run(limits(), std::iter::repeat((1.0, 5.0))), (30, Some(StopReason::Plateau)));
        let slow = (0..).map(|i| (1.0, 5.0 * (1.0 - 1e-7 * f64::from(i))));
        assert_eq!(run(limits(), slow).1, Some(StopReason::StepBudget));
        let chatter = (0..).map(|i| (1.0, 5.0 + 1e-3 * f64::from(i % 2)));
        assert_eq!(run(limits(), chatter).1, Some(StopReason::Plateau));
        let growing = [5.0, 1.0, 1.2, 1.5, 1.9, 2.4, 2.9, 3.5, 4.1, 4.5, 4.9].map(|e| (1.0, e));
        assert_eq!(run(limits(), growing).1, Some(StopReason::StepBudget), "an instability that grows is no plateau");
        let shrinking = (0..).map(|i| (0.5 / f64::from(i + 1), 5.0));
        assert_eq!(run(limits(), shrinking).1, Some(StopReason::StepBudget), "the residual still falls");
        let off = Limits { plateau: 0.0, ..limits() };
        assert_eq!(run(off, std::iter::repeat((1.0, 5.0))).1, Some(StopReason::StepBudget));
    }

    #[test]
    fn divergence_fires_on_rising_energy_and_bad_numbers_and_not_on_a_single_bump() {
        let rising = (0..).map(|i| (1.0, f64::from(i)));
        assert_eq!(run(limits(), rising), (30, Some(StopReason::Diverged)));
        let bump = [5.0, 4.0, 4.5, 3.0, 2.0, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5].map(|e| (1.0, e));
        assert_eq!(run(limits(), bump).1, Some(StopReason::StepBudget));
        let risen = [(1.0, 5.0), (1.0, 5.1)];
        assert_eq!(run(Limits::steps(7), risen), (7, Some(StopReason::Diverged)), "above its beginning at the end");
        assert_eq!(run(Limits::steps(7), [(1.0, 5.0), (1.0, 5.001)]).1, Some(StopReason::StepBudget), "rounding");
        assert_eq!(run(limits(), [(f64::NAN, f64::NAN)]).1, Some(StopReason::Diverged));
        let look = Look { step: 0, residual: 0.0, energy: 1.0, finite: false };
        assert_eq!(Stopper::new(limits()).look(look), Some(StopReason::Diverged));
    }
}
