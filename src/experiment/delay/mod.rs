//! `asynapse delay`: how long it takes until a layer feels what happened elsewhere.
//!
//! ```text
//! rest       the free equilibrium x̄                                         of the plan's first phase
//! down       at t = 0 the output is nudged or clamped                       as the plan's first taught phase says
//! up         at t = 0 the input becomes another one, the output stays free
//! measured   per layer: arrival (the first bit that differs), onset, rise, settling, overshoot (`rise.rs`)
//! expected   the arrival in closed form, from clocks and delays alone (`closed_form.rs`)
//! ```
//!
//! The taught phase runs `inference.max_infer_iters` steps at every layer, in virtual time, with no other end: a layer that rests as soon
//! as its residual is below a tolerance would hold back the foot of a wave. Where the free phase was a relaxation, which stops short
//! of the equilibrium, a second run without the switch says what each layer would have done anyway; arrival is the first difference.
//!
//! Read on: [`closed_form`], [`rise`], [`watch`], `wave` (how it is measured), then [`depth`] (networks of 2 to 128 layers), [`trace`] (the
//! event timeline), `files`, and [`wall`]: the same on the wall clock.

pub mod closed_form;
pub mod depth;
mod files;
mod heat;
pub mod rise;
pub mod trace;
pub mod wall;
pub mod watch;
mod wave;

pub use files::{Written, write};
pub use wave::measure;

use serde::Serialize;

use super::assemble::AssembleError;
use super::machine::StepError;
use crate::config::Config;
use crate::engine::EngineError;
use crate::plot::PlotError;
use crate::run::RunError;
use watch::Seen;

/// A layer counts as come to rest if the largest |∂E/∂x| is at most this share of its displacement.
const AT_REST: f64 = 1e-3;

/// Which way a wave runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the output.
    Down,
    /// From the input.
    Up,
}

impl Direction {
    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Up => "up",
        }
    }
}

/// What the layers rest on before the switch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Rest {
    /// The first batch of the data, with the initial weights of the seed.
    #[default]
    Data,
    /// A black input and no biases, so that every state is exactly zero and no step is too small to be seen.
    Zero,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// Network, data, clocks, links.
    pub config: Config,
    /// Which waves.
    pub directions: Vec<Direction>,
    /// Share of the final displacement that counts as onset.
    pub threshold: f64,
    /// Before the switch.
    pub rest: Rest,
    /// Number of layers of the networks of the sweep; empty: no sweep.
    pub depths: Vec<usize>,
}

/// What was measured of one layer. Times in units of model time from the switch on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// `down` or `up`.
    pub direction: Direction,
    /// Which layer.
    pub layer: usize,
    /// Which of its groups; 0 where it is whole.
    pub group: usize,
    /// The number of the node in what was seen: the layer's, where layers are whole.
    #[serde(skip)]
    pub node: usize,
    /// Links between it and the switch.
    pub hops: usize,
    /// The first step after which any bit differed.
    pub arrival: Option<f64>,
    /// When that has to be; empty where there is no closed form.
    pub closed_form: Option<f64>,
    /// The same without delays on the links.
    pub synchronous: Option<f64>,
    /// First step above threshold × displacement.
    pub onset: Option<f64>,
    /// 10 % of the displacement.
    pub rise10: Option<f64>,
    /// 50 %.
    pub rise50: Option<f64>,
    /// 90 %.
    pub rise90: Option<f64>,
    /// From here on within 5 % of it; empty if the layer had not come to rest by the end of the run.
    pub settling: Option<f64>,
    /// (largest − final) / final.
    pub overshoot: Option<f64>,
    /// ‖x − x̄‖ at the end of the run.
    pub displacement: f64,
    /// max |∂E/∂x| at the end of the run.
    pub residual: f64,
}

impl Row {
    /// What it is called in this wave.
    pub fn name<'a>(&self, wave: &'a Wave) -> &'a str {
        wave.names.get(self.node).map_or("", String::as_str)
    }

    /// True if the layer had come to rest by the end of the run.
    pub fn is_at_rest(&self) -> bool {
        self.residual <= AT_REST * self.displacement
    }

    /// True if something reached it sooner than anything can.
    pub fn is_too_early(&self) -> bool {
        matches!((self.arrival, self.closed_form), (Some(arrival), Some(least)) if arrival < least)
    }

    /// True if arrival and closed form are the same number.
    pub fn agrees(&self) -> bool {
        self.arrival.is_some() && self.arrival == self.closed_form
    }
}

/// One wave.
#[derive(Debug)]
pub struct Wave {
    /// Which way.
    pub direction: Direction,
    /// What was done at t = 0.
    pub switch: String,
    /// One per layer or group that can move, nearest first.
    pub rows: Vec<Row>,
    /// What nodes are called, in their order.
    pub names: Vec<String>,
    /// How long the run was, in units of model time, or milliseconds on the wall clock.
    pub length: f64,
    /// The name of that unit.
    pub unit: &'static str,
    /// Everything that was seen.
    pub seen: Seen,
}

/// Why there is no measurement.
#[derive(Debug, thiserror::Error)]
pub enum DelayError {
    /// The configuration can't be run.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    /// It can be run, but has no wave.
    #[error("{0}")]
    Unfit(String),
    /// There is no equilibrium to start from, or the run left all bounds.
    #[error("{0}")]
    Restless(String),
    /// No layers, or no processes.
    #[error(transparent)]
    Step(#[from] StepError),
    /// A layer refused.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A figure could not be drawn or written.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// A file could not be written.
    #[error(transparent)]
    Run(#[from] RunError),
}
