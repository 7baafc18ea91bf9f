//! What the driver asks of a member and what a member answers: everything that ever passes between them.
//!
//! ```text
//! a batch    Present
//! a phase    Ends · Begin · Window … Window · Count · Finish       Halt, GoOn and Count come between windows, too
//! between    Direct: directives for single nodes
//! ```
//!
//! Every errand is answered once, in order. Nothing in either refers to memory of the other side but pages of numbers, which are never
//! written again, so a member may live in another process (`crate::engine::afar`). A new errand belongs there, too.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::kernel::{Key, Time};
use super::links::{Passage, Tally};
use super::record::Record;
use crate::engine::EngineError;
use crate::math::Field;
use crate::signal::{Directive, Extract, Phase, Report};

/// What an event carries.
#[derive(Clone, Debug)]
pub enum Carried<T> {
    /// Nothing: a clock, or a time-out.
    Nothing,
    /// A signal.
    Signal(Passage<T>),
    /// The version that arrived.
    Version(u64),
}

/// An event of a node in another shard.
#[derive(Clone, Debug)]
pub struct Letter<T> {
    /// Its place in the order of events; `key.node` says to whom.
    pub key: Key,
    /// What it carries.
    pub carried: Carried<T>,
}

/// What a layer does at its ticks during a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Gait {
    /// The forward wave.
    Wave,
    /// All its steps, at every tick.
    Clocked,
    /// Steps until it may rest.
    Resting,
}

/// The beginning of a phase.
#[derive(Clone, Debug, PartialEq)]
pub struct Opening {
    /// Which.
    pub phase: Phase,
    /// How layers move in it.
    pub gait: Gait,
    /// When.
    pub now: Time,
    /// Somebody keeps a log.
    pub logged: bool,
    /// Of every link that leaves this member, the version last heard at its other end, as in [`Ends::spoken`].
    pub heard: Vec<(u32, u64)>,
}

/// A stretch of time.
#[derive(Debug)]
pub struct Window<T> {
    /// Everything before this is to be done. With zero nothing is done, and the answer says what has been sent and what comes next.
    pub until: Time,
    /// What the others sent it.
    pub letters: Vec<Letter<T>>,
}

/// What the driver asks.
#[derive(Debug)]
pub enum Errand<T> {
    /// A new batch.
    Present {
        /// Its number, by which draws are keyed.
        batch: u64,
        /// Its samples.
        size: usize,
        /// `n_0 × size`, for the input.
        data: Arc<Field<T>>,
        /// `n_L × size`, for the output.
        target: Arc<Field<T>>,
    },
    /// A phase begins; what was left unheard is sent once more.
    Begin(Opening),
    /// Go on.
    Window(Window<T>),
    /// Report.
    Count {
        /// The present moment.
        now: Time,
        /// Everything that has arrived is heard first.
        drain: bool,
    },
    /// In step: go on to this step.
    GoOn(u64),
    /// Take no more steps in this phase.
    Halt,
    /// The phase is over, and nothing is under way.
    Finish {
        /// The state is one that a later phase begins with.
        remember: bool,
    },
    /// How far links have been heard.
    Ends,
    /// Directives for single nodes, ascending.
    Direct(Vec<(usize, Directive<T>)>),
}

/// What came of a window.
#[derive(Debug)]
pub struct Outcome<T> {
    /// Its next event, if there is one. It is not before `until`.
    pub next: Option<Time>,
    /// Its last event so far.
    pub now: Time,
    /// Events of this window.
    pub events: u64,
    /// For others.
    pub letters: Vec<Letter<T>>,
    /// Events of this window in order, if somebody keeps a log.
    pub records: Vec<Record>,
}

/// Reports of a member.
#[derive(Clone, Debug, PartialEq)]
pub struct Counted {
    /// Of its nodes, in their order.
    pub reports: Vec<Report>,
    /// The forward wave has passed all of them.
    pub waved: bool,
    /// So many have read their product at the first arrival, before anything was heard for this count.
    pub arrived: usize,
}

/// How far links have been heard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// Every link that leaves the member, in the order of its nodes and their sides, and the version last said on it.
    pub spoken: Vec<(u32, u64)>,
    /// Every link that comes in from elsewhere, likewise, and the version last heard.
    pub heard: Vec<(u32, u64)>,
    /// Between two nodes of the member something was said that was not heard.
    pub unheard: bool,
}

/// What a member has counted on one side of a node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Counts {
    /// The link that leads away; the one that comes back is numbered `link ^ 1`.
    pub link: u32,
    /// The node.
    pub from: usize,
    /// The one next door.
    pub to: usize,
    /// What the sender knows of the link that leads away.
    pub sent: Tally,
    /// What the receiver knows of the one that comes back.
    pub heard: Tally,
}

/// What a member answers.
#[derive(Debug)]
pub enum Reply<T> {
    /// It is done.
    Done,
    /// To [`Errand::Window`].
    Outcome(Outcome<T>),
    /// To [`Errand::Count`].
    Counted(Counted),
    /// To [`Errand::Ends`].
    Ends(Ends),
    /// To [`Errand::Direct`]: what was asked for, in the order of the nodes.
    Extracts(Vec<Extract<T>>),
}

impl<T> Reply<T> {
    pub(super) fn outcome(self) -> Result<Outcome<T>, EngineError> {
        if let Self::Outcome(outcome) = self { Ok(outcome) } else { Err(EngineError::Unasked) }
    }

    pub(super) fn counted(self) -> Result<Counted, EngineError> {
        if let Self::Counted(counted) = self { Ok(counted) } else { Err(EngineError::Unasked) }
    }

    pub(super) fn ends(self) -> Result<Ends, EngineError> {
        if let Self::Ends(ends) = self { Ok(ends) } else { Err(EngineError::Unasked) }
    }

    pub(super) fn extracts(self) -> Result<Vec<Extract<T>>, EngineError> {
        if let Self::Extracts(extracts) = self { Ok(extracts) } else { Err(EngineError::Unasked) }
    }
}
