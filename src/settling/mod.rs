//! When a phase is over: computed from what was reported, never guessed from silence.
//!
//! - [`Stopper`]: the decision at a consistent cut (lock-step and the reference look at one every `check_every` steps);
//! - [`Settler`]: a free-running layer's side of the protocol, moving or at rest;
//! - [`Detector`]: the coordinator's side, which says "settled" only when nothing spoken is unheard and all are at rest;
//! - [`Outstanding`]: the same for groups of neurons within one process, a count instead of a report from each.
//!
//! All are without I/O. `tests/it/settling.rs` walks every interleaving of small networks through the last
//! two, and through the two tempting rules that are wrong. Next: `crate::layer`.

mod detector;
mod outstanding;
mod record;
mod settler;
mod stopper;

pub use detector::{Detector, Verdict};
pub use outstanding::Outstanding;
pub use record::PhaseRecord;
pub use settler::{Settler, Standing, Turn};
pub use stopper::{Look, Stopper};

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a phase ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopReason {
    /// Every residual is within the tolerance, given everything that was spoken.
    Settled,
    /// The energy has stopped falling although some residuals exceed the tolerance: states chatter on kinks of the activation.
    Plateau,
    /// The steps were used up. With `tolerance = 0` this is what was asked for; otherwise it did not converge.
    StepBudget,
    /// A number was not finite, or the energy rose again and again.
    Diverged,
    /// A single wave has passed through every layer (the forward free phase).
    Wave,
    /// Nothing moves any more, but a signal was lost and nobody will send it again: nothing can be said of the whole.
    SignalsLost,
    /// More events than were allowed: the phase was broken off.
    EventBudget,
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Settled => "settled",
            Self::Plateau => "plateau",
            Self::StepBudget => "step-budget",
            Self::Diverged => "diverged",
            Self::Wave => "wave",
            Self::SignalsLost => "signals-lost",
            Self::EventBudget => "event-budget",
        })
    }
}

/// What ends a phase.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// `max_infer_iters`.
    pub steps_max: u64,
    /// Residual at or below which a layer counts as settled; zero: run exactly `steps_max`.
    pub tolerance: f64,
    /// Steps between two looks, when there is a tolerance.
    pub check_every: u64,
    /// Relative fall of the energy between two looks below which it counts as not falling; zero: no such clause.
    pub plateau: f64,
}

impl Limits {
    /// Exactly `steps` steps.
    pub fn steps(steps: u64) -> Self {
        Self { steps_max: steps, tolerance: 0.0, check_every: 10, plateau: 0.0 }
    }

    /// Until every residual is at most `tolerance`, for at most `steps_max` steps.
    pub fn tolerance(tolerance: f64, steps_max: u64) -> Self {
        Self { steps_max, tolerance, check_every: 10, plateau: 0.0 }
    }
}
