//! A layer's journal: everything that was done to it from outside, in order, and what it said to that.
//!
//! ```text
//! call  ──►  layer  ──►  said           another layer of the same beginning, told the same, has to say the same
//! ```
//!
//! That is what `crate::experiment::audit` holds layers to. Signals are shared pages, so keeping one costs a pointer, and the page. A
//! journal begins when it is asked for (`Wanted::Journal`); before that nothing is kept. Next: `crate::layer`, where it is kept.

use super::{Directive, Extract, Report, Signal};

/// What is done to a layer.
#[derive(Clone, Debug)]
pub enum Call<T> {
    /// The coordinator tells it something.
    Directive(Directive<T>),
    /// A prediction comes from below.
    Prediction(Signal<T>),
    /// An error comes from above.
    Error(Signal<T>),
    /// A prediction of its own, of this version, was replaced unheard.
    Lost(u64),
    /// It sets its state from the prediction heard.
    Forward,
    /// It takes a step.
    Relax,
    /// It measures its residual.
    Residual,
    /// It reports.
    Report,
    /// It predicts the layer above.
    SpeakPrediction,
    /// It says its error to the layer below.
    SpeakError,
    /// A part of what it holds is changed by an experimenter. No run does this.
    Disturb(Part),
}

/// What a layer says to a call.
#[derive(Clone, Debug)]
pub enum Said<T> {
    /// Nothing.
    Nothing,
    /// To a neighbour.
    Signal(Signal<T>),
    /// To the coordinator.
    Report(Report),
    /// To whoever asked.
    Extract(Extract<T>),
    /// Its residual.
    Residual(f64),
    /// That it can't do it, and why.
    Fault(String),
}

/// A line of a journal.
#[derive(Clone, Debug)]
pub struct Entry<T> {
    /// What was done.
    pub call: Call<T>,
    /// What it said.
    pub said: Said<T>,
    /// What it kept when it was done.
    pub stored: Stored,
}

/// How many numbers a layer keeps besides its state, its weights and what it last heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// The state it was told to remember.
    pub remembered: usize,
    /// State and currents of the free equilibrium that deviations are measured from.
    pub ground: usize,
    /// Hebbian products collected since it last learnt.
    pub collected: usize,
    /// The Hebbian product of the step before, where weights move during a phase.
    pub previous: usize,
}

/// A part of what a layer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Its state.
    State,
    /// Its outgoing weights: magnitudes, not signs.
    Magnitudes,
    /// Its outgoing weights: signs, not magnitudes.
    Signs,
    /// The matrix that errors come down through, where it is one of its own.
    Feedback,
    /// The state it was told to remember, or that deviations are measured from, with its currents.
    Remembered,
    /// What it has collected.
    Collected,
}
