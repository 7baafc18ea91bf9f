//! A training step as a transaction: an update is applied exactly once on every layer or on none, whoever dies in between.
//!
//! ```text
//! coordinator                                             every layer
//! generation g on the disk, weights of step s ─install─►  at (g, s); whatever was staged is forgotten      ─installed─►
//! the phases of step s + 1 are over           ─prepare─►  the update is worked out beside the weights      ─vote─►
//! all votes are finite                        ─commit──►  the staged weights become the weights, s ← s + 1 ─applied─►
//! one of them is not                          ─abort───►  the staged weights are dropped
//! a checkpoint is due, all have applied       ─store───►  the weights of step s are handed out             ─stored─►
//! everything is on the disk, then the name that makes it count (manifest): the commit point
//! ```
//!
//! Whatever is lost, a worker or a connection, ends the generation. The next one has a higher number, which is on the disk before
//! anybody is spoken to; all layers, survivors too, go back to the newest manifest; and an order or answer of another generation
//! is refused, so that the dead and the late change nothing. In lock-step a step is a function of weights, batch and seed, so what
//! is done again has the same bits.
//!
//! Both sides are machines without I/O ([`Coordinator`], [`Participant`]: an event in, actions out), and so is the limit to how
//! often is begun anew ([`Budget`]). Who carries them out: `crate::layer` stages and applies, `crate::engine` carries orders and
//! answers, `crate::run` writes, `crate::experiment` begins generations. `tests/it/transaction.rs` walks every order of events of
//! two and three layers with deaths everywhere, and shows that it sees the mistakes one could make.

mod budget;
mod coordinator;
mod participant;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use budget::{BARREN_MOST, Budget, Decision, Exhausted, RESTARTS_MOST, WITHIN};
pub use coordinator::{Coordinator, CoordinatorAction, CoordinatorEvent};
pub use participant::{Participant, ParticipantAction, ParticipantEvent};

/// A step in a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ticket {
    /// Which life of the run.
    pub generation: u64,
    /// Training steps made with this one.
    pub step: u64,
}

impl Ticket {
    /// The step after this one.
    pub fn next(self) -> Self {
        Self { step: self.step + 1, ..self }
    }
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {} of generation {}", self.step, self.generation)
    }
}

/// From the coordinator to every layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Order {
    /// The weights that were just given are those of this step.
    Install(Ticket),
    /// Work out the update that leads to this step, and vote.
    Prepare(Ticket),
    /// Apply it.
    Commit(Ticket),
    /// Drop it.
    Abort(Ticket),
    /// Hand out the weights of this step.
    Store(Ticket),
}

/// From a layer to the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Answer {
    /// It has the weights of this step.
    Installed(Ticket),
    /// The update to this step is staged, and whether all its numbers are finite.
    Vote(Ticket, bool),
    /// The update to this step is made.
    Applied(Ticket),
    /// The weights of this step are handed out.
    Stored(Ticket),
}

impl Order {
    /// The step it is about.
    pub fn ticket(self) -> Ticket {
        match self {
            Self::Install(ticket)
            | Self::Prepare(ticket)
            | Self::Commit(ticket)
            | Self::Abort(ticket)
            | Self::Store(ticket) => ticket,
        }
    }
}

impl Answer {
    /// The step it is about.
    pub fn ticket(self) -> Ticket {
        match self {
            Self::Installed(ticket) | Self::Vote(ticket, _) | Self::Applied(ticket) | Self::Stored(ticket) => ticket,
        }
    }
}

/// An order or answer that does not belong to the present generation and step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} came at {at}")]
pub struct OutOfTurn {
    /// What came.
    pub what: String,
    /// Where the machine was.
    pub at: String,
    /// It is of an earlier generation: late, and to be expected after a loss.
    pub is_late: bool,
}
