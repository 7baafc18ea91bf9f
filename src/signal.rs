//! The three planes: what layers tell each other, what the coordinator tells layers, and what layers report.
//!
//! ```text
//! coordinator ─directive─► layer            layer l−1 ─prediction─► layer l ─prediction─► layer l+1
//! coordinator ◄─report──── layer            layer l−1 ◄───error──── layer l ◄───error──── layer l+1
//! ```
//!
//! They never mix: no weight, no global loss and no clock crosses a connection; the data reach layer 0 only, the target the
//! output layer only; and no report carries a state or a weight. What may be asked for in addition, by checkpoints and
//! comparisons only, is an [`Extract`]; no decision of the simulation depends on one.

pub mod journal;
pub mod sighting;

use std::sync::Arc;

use journal::Entry;
use serde::{Deserialize, Serialize};
use sighting::Sightings;

use crate::energy::Score;
use crate::math::Field;
use crate::math::optimizer::OptimizerState;
use crate::network::{FeedbackState, Parameters};
use crate::transaction::{Answer, Order};

/// What a layer sends down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// The weighted prediction error and the version of the prediction it answers; the layer below, which remembers that
    /// prediction, works out the error it would get now. Stable under delay.
    #[default]
    #[serde(rename = "error+echo")]
    ErrorEcho,
    /// The error alone. After a round trip it returns the layer's own curvature, so the stable step shrinks with delay.
    #[serde(rename = "error")]
    Error,
    /// The state itself; the layer below forms the error. Equal to the echo but for rounding.
    #[serde(rename = "state")]
    State,
}

/// When and in answer to what a signal was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Number of the phase, counted by the coordinator from 1.
    pub phase: u64,
    /// Steps its sender had taken in that phase.
    pub step: u64,
    /// Grows by one with each new value on this link, never repeats: what settling is computed from.
    pub version: u64,
    /// The version of the other direction's signal it was computed from (the echo); 0 if none.
    pub answers: u64,
}

/// What the numbers of a signal are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// Upward: the current `a_l = W_l s_{l−1} + b_l`.
    Prediction,
    /// Downward: `d_l = −∂E/∂a_l`, ready for `W_lᵀ d_l`.
    Adjoint,
    /// Downward: `e_l`, to be corrected by the echo and multiplied with `f'` below.
    Error,
    /// Downward: `e_l + r(a_l)`, the state as the error's other half, where `r` is the layer's response to a current.
    State,
}

/// One signal between neighbours. The numbers are shared, never copied: many may read what one published.
#[derive(Clone, Debug)]
pub struct Signal<T> {
    /// When it was made.
    pub stamp: Stamp,
    /// What it is.
    pub content: Content,
    /// `n_l × batch`, for the layer `l` its link leads to or comes from.
    pub numbers: Arc<Field<T>>,
}

impl<T> Signal<T> {
    /// The same for one more reader; nothing is copied but the reference.
    pub(crate) fn share(&self) -> Self {
        Self { stamp: self.stamp, content: self.content, numbers: Arc::clone(&self.numbers) }
    }
}

/// How a phase moves the states.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Motion {
    /// The free phase of predictive coding in one wave: `x_l = f(a_l)` as the prediction arrives (Eq. 20).
    Forward,
    /// Descent of `E = I + λ𝓛` by Euler steps.
    Relax {
        /// What the output is told.
        teaching: Teaching,
        /// Where the states begin.
        from: Origin,
    },
    /// The same descent from the free equilibrium, in the variables `u = (x − x̄)/λ`: signals are deviations in units of λ, and the
    /// residual is that of u (`energy::deviation`).
    Deviate {
        /// λ; zero: the linearised network.
        nudge: f64,
    },
}

/// What the output is told of the target during a phase.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Teaching {
    /// Nothing: λ = 0.
    Free,
    /// The loss with this weight, λ or β; negative for the other side of a symmetric nudge.
    Nudged(f64),
    /// The target in place of its state. A predictive-coding output, which has no state, is nudged by Π_L, which is the same.
    Clamped,
}

/// When the Hebbian products of a phase are read.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reading {
    /// When the coordinator says so, at the end.
    AtEnd,
    /// Each layer by itself at every step: its weights move by `η c / B` times what its Hebbian product has changed since the step
    /// before (continual equilibrium propagation). The number is the read-out's coefficient c.
    Continual(f64),
    /// Each layer by itself, when the first error reaches it; in lock-step, at the step at which it must. The number is the
    /// read-out's coefficient.
    FirstArrival(f64),
}

/// Where a relaxation begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// Where the previous phase ended.
    Here,
    /// All free states zero.
    Zero,
    /// Where the phase ended that the layer was told to remember.
    Remembered,
}

/// One phase, as announced to every layer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// Its number.
    pub number: u64,
    /// Free, nudged or clamped.
    pub motion: Motion,
    /// Lock-step: the step at which to report and wait. Free-running: the most steps a layer may take.
    pub steps: u64,
    /// Residual at or below which a layer may rest; zero: only an exhausted budget ends the phase.
    pub tolerance: f64,
    /// When Hebbian products are read.
    pub reading: Reading,
}

/// What the coordinator tells a layer. Reliable, ordered, read before signals.
#[derive(Clone, Debug)]
pub enum Directive<T> {
    /// A new batch: its size, the data (layer 0 only), the target (output layer only).
    Present {
        /// Samples in the batch.
        batch: usize,
        /// `n_0 × batch`.
        data: Option<Arc<Field<T>>>,
        /// `n_L × batch`.
        target: Option<Arc<Field<T>>>,
    },
    /// Other data for the input, in the middle of a batch: everyone keeps what was heard.
    Show(Arc<Field<T>>),
    /// A phase begins.
    Begin(Phase),
    /// Lock-step: go on to this step, then report again.
    Continue(u64),
    /// Free-running: report once more what you last reported, with energies.
    Recount,
    /// Free-running: take no more steps in this phase; keep answering until everything spoken is heard.
    Halt,
    /// The number of the next batch, which noise is a function of; without it batches are numbered from 1.
    Number(u64),
    /// Remember the present state, for a later phase that begins where this one ended.
    Remember,
    /// Add `coefficient × Hebbian product` of the present equilibrium to the estimate.
    Collect {
        /// The read-out's coefficient of this phase.
        coefficient: f64,
    },
    /// Update the outgoing weights from what was collected.
    Learn,
    /// The same as a transaction, where layers may die: prepare, vote, commit.
    Transact(Order),
    /// Hand out what is named, for a checkpoint or a comparison.
    Extract(Wanted),
    /// Take these weights and, if given, optimiser states.
    Install(Box<Extract<T>>),
}

/// What an [`Directive::Extract`] asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wanted {
    /// Outgoing weights and optimiser states.
    Weights,
    /// The collected estimate of −∂𝓛/∂W, batch mean.
    Estimate,
    /// The state.
    State,
    /// Feedback weights and their optimiser state, where they are not the weights.
    Feedback,
    /// Learned precisions.
    Precision,
    /// Everything that was done to the layer from outside since it was asked for last ([`journal`]); the first time, nothing. From
    /// then on it is written down.
    Journal,
    /// What its clock says, for whoever wants to compare clocks.
    Clock,
    /// What was seen of it on the wall clock since it was asked for last ([`sighting`]); the first time, nothing. From then on it is
    /// written down, as displacement from the state at that moment.
    Sightings,
}

/// What a layer hands out.
#[derive(Clone, Debug)]
pub enum Extract<T> {
    /// Outgoing weights, with the optimiser states of weights and bias.
    Weights(Parameters<T>, Option<[OptimizerState<T>; 2]>),
    /// Estimate of −∂𝓛/∂W_{l+1} and −∂𝓛/∂b_{l+1}.
    Estimate(Parameters<T>),
    /// `x_l`, or the current `a_L` at the output.
    State(Field<T>),
    /// `B_{l+1}`.
    Feedback(FeedbackState<T>),
    /// ln Π of every unit of this layer.
    Precision(Vec<T>),
    /// What was written down.
    Journal(Vec<Entry<T>>),
    /// What its clock says, and what was seen.
    Seen(Box<Sightings>),
    /// The answer to [`Directive::Transact`].
    Answer(Answer),
    /// This layer has none: the output owns no outgoing weights, tied feedback has no matrix of its own.
    Nothing,
}

/// Versions on the two sides of a layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// On the link with the layer above.
    pub above: u64,
    /// On the link with the layer below.
    pub below: u64,
}

/// Whether a free-running layer moves, and if not, why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Repose {
    /// It is still taking steps.
    Moving,
    /// Its residual is within tolerance and everything it knows is spoken.
    Settled,
    /// It has used its steps.
    Exhausted,
    /// It was told to halt.
    Halted,
}

/// A number that is not finite, and where it came up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadNumber {
    /// The step of the phase at which it was first seen.
    pub step: u64,
    /// The neuron's index within its layer.
    pub unit: usize,
}

/// What a layer reports about a phase. Sums are over the batch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Which layer.
    pub layer: usize,
    /// Which group of it.
    pub group: usize,
    /// In which phase; a report of another phase is dropped.
    pub phase: u64,
    /// Steps taken in it.
    pub step: u64,
    /// `max |∂E/∂x_l|` over units and samples, given everything heard.
    pub residual: f64,
    /// Units times samples whose own residual exceeds the tolerance.
    pub unsettled: usize,
    /// This layer's share of the energy: `½ Π_l Σ ε_l²`, or `λ Σ 𝓛` at the output; in deviation variables `(E(x) − E(x̄))/λ²`.
    pub energy: f64,
    /// At the output: loss and accuracy of the currents it has heard.
    pub score: Option<Score>,
    /// The first number that was not finite.
    pub bad: Option<BadNumber>,
    /// Last versions spoken.
    pub spoken: Versions,
    /// Last versions heard.
    pub heard: Versions,
    /// Whether it moves.
    pub repose: Repose,
    /// Largest number of versions by which a heard answer was behind, in this phase.
    pub staleness: u64,
}
