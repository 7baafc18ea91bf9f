//! A free-running layer's side of the settling protocol.
//!
//! A layer *moves* until its residual is at most half the tolerance, everything it could say is spoken and nothing is waiting
//! to be heard; then it *rests* and reports. At rest its state is frozen, so its report stays true until it hears something
//! new. Then it answers (its error may have changed though its state did not), and either stays at rest, if its residual is
//! still within the tolerance, and reports again, or moves again. The gap between half and whole tolerance keeps a layer from
//! flickering. A layer that has used its steps or was told to halt rests whatever its residual, and still answers.
//!
//! A layer that has something to say and can't say it yet (too much of what it said is unanswered) *waits*: it takes no step, so
//! that no more piles up unsaid, and it does not count as resting, whatever else is true of it. Otherwise the network could be
//! declared quiet around a state that its neighbours have never heard of.

use crate::signal::Repose;

/// What a layer does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Take a step, then say what is new.
    Move,
    /// Report if `report`, then wait for a directive or a signal (or, with something unspoken, until it can be said).
    Rest {
        /// Something changed since the last report.
        report: bool,
    },
}

/// One layer's rest, in one phase.
#[derive(Clone, Debug)]
pub struct Settler {
    tolerance: f64,
    steps_max: u64,
    repose: Repose,
    reported: bool,
}

impl Settler {
    /// At the beginning of a phase: moving, nothing reported.
    pub fn new(tolerance: f64, steps_max: u64) -> Self {
        Self { tolerance, steps_max, repose: Repose::Moving, reported: false }
    }

    /// Something was heard or spoken: the last report is out of date.
    pub fn stir(&mut self) {
        self.reported = false;
    }

    /// Told to halt: no more steps in this phase.
    pub fn halt(&mut self) {
        self.repose = Repose::Halted;
        self.reported = false;
    }

    /// Whether it moves, and if not, why. Only a turn brings a layer to rest: one that was stirred or told to halt since may have
    /// something to say, so that a recount must not count it as resting.
    pub fn repose(&self) -> Repose {
        if self.reported { self.repose } else { Repose::Moving }
    }

    /// What to do now that everything waiting has been heard and everything new has been said. `residual` is measured with all
    /// that; `spoken` is false if something could not be said yet; `can_move` is false for a layer without a state of its own.
    pub fn turn(&mut self, residual: f64, step: u64, standing: Standing) -> Turn {
        let Standing { spoken, can_move } = standing;
        // A residual that is not a number compares with nothing: it never counts as settled, and the budget bounds it.
        self.repose = match self.repose {
            Repose::Halted => Repose::Halted,
            _ if step >= self.steps_max && can_move => Repose::Exhausted,
            // With no tolerance a layer rests only when not a single bit of it would move; it wakes at the next signal.
            Repose::Settled if residual <= self.tolerance => Repose::Settled,
            _ if residual <= 0.5 * self.tolerance || !can_move => Repose::Settled,
            _ => Repose::Moving,
        };
        match self.repose {
            _ if !spoken => {
                self.reported = false;
                Turn::Rest { report: false }
            }
            Repose::Moving => {
                self.reported = false;
                Turn::Move
            }
            _ => Turn::Rest { report: !std::mem::replace(&mut self.reported, true) },
        }
    }
}

/// How a layer stands besides its residual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Everything that could be said has been said.
    pub spoken: bool,
    /// The layer has a state of its own.
    pub can_move: bool,
}
