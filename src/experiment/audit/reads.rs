//! What an update depends on, found by changing one thing at a time: the journal is replayed with this thing changed, and the estimate
//! that the layer hands out before it learns either has other bits or has not.
//!
//! ```text
//! estimate of W_{l+1}   ←   own state · own weights · own feedback weights · predictions heard · errors heard ·
//!                           λ announced · read-out's coefficient told · state remembered · product of another phase
//! ```
//!
//! A dependence counts whichever way it takes: own weights that move the state, and thereby the product, are read. One that is
//! forgotten to the last bit does not count: a descent to equilibrium forgets where it began. And it is a statement about one schedule: where an error comes with an echo, the layer below works with its own weights on what it predicts now.

use std::sync::Arc;

use serde::Serialize;

use super::replay::{Subject, bits};
use crate::math::Real;
use crate::signal::journal::{Call, Entry, Part, Said};
use crate::signal::{Directive, Extract, Motion, Origin, Phase, Reading, Signal, Teaching};

/// Something that an update might read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The layer's own state, during the last phase.
    OwnState,
    /// Its own outgoing weights.
    OwnWeights,
    /// The matrix of its own that errors come down through.
    OwnFeedback,
    /// Predictions from below.
    Predictions,
    /// Errors from above.
    Errors,
    /// λ or β, as announced with a phase.
    Strength,
    /// The coefficient of the read-out.
    Coefficient,
    /// The state of another phase, remembered.
    Remembered,
    /// The Hebbian product of another phase.
    OtherProduct,
}

impl Source {
    /// All, in the order of the report.
    pub const ALL: [Self; 9] = [
        Self::OwnState,
        Self::OwnWeights,
        Self::OwnFeedback,
        Self::Predictions,
        Self::Errors,
        Self::Strength,
        Self::Coefficient,
        Self::Remembered,
        Self::OtherProduct,
    ];

    /// As tables say it.
    pub fn name(self) -> &'static str {
        match self {
            Self::OwnState => "own state",
            Self::OwnWeights => "own weights",
            Self::OwnFeedback => "own feedback weights",
            Self::Predictions => "predictions heard",
            Self::Errors => "errors heard",
            Self::Strength => "λ announced",
            Self::Coefficient => "coefficient told",
            Self::Remembered => "state remembered",
            Self::OtherProduct => "other phase's product",
        }
    }
}

impl Source {
    /// As figures say it, in the letters of the equations.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::OwnState => "x",
            Self::OwnWeights => "W",
            Self::OwnFeedback => "B",
            Self::Predictions => "a heard",
            Self::Errors => "d heard",
            Self::Strength => "λ",
            Self::Coefficient => "c",
            Self::Remembered => "x kept",
            Self::OtherProduct => "h kept",
        }
    }
}

/// Whether the first update of a layer read something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Read {
    /// What.
    pub source: Source,
    /// `None`: the layer was never given any.
    pub read: Option<bool>,
}

/// What the first update of a layer read. `build` makes the layer as it began.
pub fn reads<T: Real, S: Subject<T>>(journal: &[Entry<T>], build: impl Fn() -> S) -> Vec<Read> {
    let first = first_update(journal);
    let plain: Vec<Call<T>> = first.iter().map(|entry| entry.call.clone()).collect();
    let before = answers(build(), plain.clone(), is_estimate);
    let has_feedback = journal.iter().any(|entry| matches!(entry.said, Said::Extract(Extract::Feedback(_))));
    let of = |source| {
        let other = changed(source, first, &plain).filter(|_| source != Source::OwnFeedback || has_feedback);
        Read { source, read: other.map(|calls| answers(build(), calls, is_estimate) != before) }
    };
    Source::ALL.into_iter().map(of).collect()
}

/// How a layer's own forward weights move its state in the last phase: weight transport, as it acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// Not at all.
    None,
    /// By their signs alone.
    Signs,
    /// By their values.
    Weights,
}

/// Whether the state at the end of the last phase depends on the layer's outgoing weights, all signals heard being the same. In
/// lock-step, where errors come ready for use, that can only be by feedback through them.
pub fn transport<T: Real, S: Subject<T>>(journal: &[Entry<T>], build: impl Fn() -> S) -> Transport {
    let plain: Vec<Call<T>> = first_update(journal).iter().map(|entry| entry.call.clone()).collect();
    let before = answers(build(), plain.clone(), is_state);
    let moves = |part| answers(build(), inserted(&plain, 0, part), is_state) != before;
    match (moves(Part::Magnitudes), moves(Part::Signs)) {
        (true, _) => Transport::Weights,
        (false, true) => Transport::Signs,
        (false, false) => Transport::None,
    }
}

/// Everything before the layer first learnt.
fn first_update<T>(journal: &[Entry<T>]) -> &[Entry<T>] {
    let learns = |entry: &Entry<T>| matches!(entry.call, Call::Directive(Directive::Learn));
    &journal[..journal.iter().position(learns).unwrap_or(journal.len())]
}

fn is_estimate<T>(said: &Said<T>) -> bool {
    matches!(said, Said::Extract(Extract::Estimate(_)))
}

fn is_state<T>(said: &Said<T>) -> bool {
    matches!(said, Said::Extract(Extract::State(_)))
}

fn answers<T: Real>(mut subject: impl Subject<T>, calls: Vec<Call<T>>, wanted: fn(&Said<T>) -> bool) -> Vec<Vec<u64>> {
    calls.into_iter().map(|call| subject.act(call)).filter(wanted).map(|said| bits(&said)).collect()
}

/// The state changed when the last phase begins, and when the product is read: by then an equilibrium may have forgotten the first.
fn other_states<T: Clone>(calls: &[Call<T>], begun: usize) -> Vec<Call<T>> {
    let mut changed = Vec::with_capacity(calls.len() + 2);
    for (at, call) in calls.iter().enumerate() {
        if at == begun || (at > begun && matches!(call, Call::Directive(Directive::Collect { .. }))) {
            changed.push(Call::Disturb(Part::State));
        }
        changed.push(call.clone());
    }
    changed
}

fn inserted<T: Clone>(calls: &[Call<T>], at: usize, part: Part) -> Vec<Call<T>> {
    let mut calls = calls.to_vec();
    calls.insert(at, Call::Disturb(part));
    calls
}

/// The calls with this source changed; `None` if there is none of it.
fn changed<T: Real>(source: Source, journal: &[Entry<T>], plain: &[Call<T>]) -> Option<Vec<Call<T>>> {
    let begins = |entry: &Entry<T>| matches!(entry.call, Call::Directive(Directive::Begin(_)));
    let after_last_begin = journal.iter().rposition(begins).map(|at| at + 1);
    let has = |wanted: fn(&Entry<T>) -> bool| journal.iter().any(wanted);
    match source {
        Source::OwnState => after_last_begin.map(|at| other_states(plain, at)),
        Source::OwnWeights => Some(inserted(plain, 0, Part::Magnitudes)),
        Source::OwnFeedback => Some(inserted(plain, 0, Part::Feedback)),
        Source::Predictions => {
            let is_one = |entry: &Entry<T>| matches!(entry.call, Call::Prediction(_));
            has(is_one).then(|| plain.iter().map(quieter_predictions).collect())
        }
        Source::Errors => {
            let is_one = |entry: &Entry<T>| matches!(entry.call, Call::Error(_));
            has(is_one).then(|| plain.iter().map(quieter_errors).collect())
        }
        Source::Strength => {
            let calls: Vec<Call<T>> = plain.iter().map(weaker).collect();
            differ(&calls, plain).then_some(calls)
        }
        Source::Coefficient => {
            let calls: Vec<Call<T>> = plain.iter().map(smaller).collect();
            differ(&calls, plain).then_some(calls)
        }
        Source::Remembered => {
            let at = journal.iter().position(begins_remembered).or_else(|| {
                // Deviations are measured from what is remembered when their phase begins.
                journal.iter().rposition(begins_deviating).map(|at| at + 1)
            });
            at.map(|at| inserted(plain, at, Part::Remembered))
        }
        Source::OtherProduct => {
            let at = journal.iter().rposition(|entry| begins(entry) && entry.stored.collected > 0)?;
            Some(inserted(plain, at, Part::Collected))
        }
    }
}

/// True for the beginning of a phase where another one ended.
pub(super) fn begins_remembered<T>(entry: &Entry<T>) -> bool {
    let motion = match &entry.call {
        Call::Directive(Directive::Begin(phase)) => phase.motion,
        _ => return false,
    };
    matches!(motion, Motion::Relax { from: Origin::Remembered, .. })
}

/// True for the beginning of a phase in deviation variables.
fn begins_deviating<T>(entry: &Entry<T>) -> bool {
    matches!(entry.call, Call::Directive(Directive::Begin(Phase { motion: Motion::Deviate { .. }, .. })))
}

/// True if the directives differ: signals are not changed here.
fn differ<T>(a: &[Call<T>], b: &[Call<T>]) -> bool {
    a.iter().zip(b).any(|pair| match pair {
        (Call::Directive(Directive::Begin(a)), Call::Directive(Directive::Begin(b))) => a != b,
        (
            Call::Directive(Directive::Collect { coefficient: a }),
            Call::Directive(Directive::Collect { coefficient: b }),
        ) => a != b,
        _ => false,
    })
}

/// By how much things are changed: a factor that is exact in binary.
const FACTOR: f64 = 0.875;

fn quieter<T: Real>(signal: &Signal<T>) -> Signal<T> {
    let numbers = Arc::new(signal.numbers.mapv(|number| T::of(FACTOR) * number));
    Signal { numbers, ..signal.clone() }
}

fn quieter_predictions<T: Real>(call: &Call<T>) -> Call<T> {
    if let Call::Prediction(signal) = call { Call::Prediction(quieter(signal)) } else { call.clone() }
}

fn quieter_errors<T: Real>(call: &Call<T>) -> Call<T> {
    if let Call::Error(signal) = call { Call::Error(quieter(signal)) } else { call.clone() }
}

fn weaker<T: Clone>(call: &Call<T>) -> Call<T> {
    let Call::Directive(Directive::Begin(phase)) = call else { return call.clone() };
    let motion = match phase.motion {
        Motion::Relax { teaching: Teaching::Nudged(nudge), from } => {
            Motion::Relax { teaching: Teaching::Nudged(FACTOR * nudge), from }
        }
        Motion::Deviate { nudge } => Motion::Deviate { nudge: FACTOR * nudge },
        other => other,
    };
    Call::Directive(Directive::Begin(Phase { motion, ..*phase }))
}

fn smaller<T: Clone>(call: &Call<T>) -> Call<T> {
    match call {
        Call::Directive(Directive::Collect { coefficient }) => {
            Call::Directive(Directive::Collect { coefficient: FACTOR * coefficient })
        }
        Call::Directive(Directive::Begin(phase)) => {
            let reading = match phase.reading {
                Reading::AtEnd => Reading::AtEnd,
                Reading::Continual(coefficient) => Reading::Continual(FACTOR * coefficient),
                Reading::FirstArrival(coefficient) => Reading::FirstArrival(FACTOR * coefficient),
            };
            Call::Directive(Directive::Begin(Phase { reading, ..*phase }))
        }
        other => other.clone(),
    }
}
