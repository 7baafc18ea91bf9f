//! What can be seen of a layer on a wall clock: when it stepped, spoke and heard. Written down by whoever drives the layer
//! (`crate::engine::wall_clock`), not by the layer, which reads no clock.
//!
//! Times are nanoseconds of a monotonic clock that began with the process the layer lives in. Two processes have two clocks; what lies
//! between them is estimated by whoever compares them (`crate::experiment::delay::wall`).

use serde::{Deserialize, Serialize};

/// Everything seen of one layer since it was asked for last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sightings {
    /// What the layer's clock says now.
    pub clock: u64,
    /// When the last phase began for it.
    pub began: Option<u64>,
    /// Its steps.
    pub steps: Vec<StepSeen>,
    /// What it said and heard.
    pub passings: Vec<PassingSeen>,
    /// Steps for which there was no room.
    pub steps_dropped: u64,
    /// Signals for which there was no room.
    pub passings_dropped: u64,
}

impl Sightings {
    /// Most steps that are kept: with [`Self::PASSINGS_MOST`] some 800 kB, which fits into one message between processes.
    pub const STEPS_MOST: usize = 12_000;
    /// Most signals that are kept.
    pub const PASSINGS_MOST: usize = 12_000;
}

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepSeen {
    /// When it was done.
    pub at: u64,
    /// Its number in the phase.
    pub step: u64,
    /// `max |∂E/∂x|` before it.
    pub residual: f64,
    /// ‖x − x̄‖ after it, x̄ being the state when it was asked for last.
    pub displacement: f64,
    /// ‖x − f(a)‖ after it, where there is such an error; otherwise not a number.
    pub error: f64,
    /// Some bit of the state is not what it was.
    pub differs: bool,
}

/// Which neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// The layer below.
    Below,
    /// The layer above.
    Above,
}

/// A signal that was said or heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassingSeen {
    /// When.
    pub at: u64,
    /// To or from whom.
    pub side: Side,
    /// Said, or else heard.
    pub said: bool,
    /// Its version.
    pub version: u64,
}
