//! The test of locality: a layer is built again, alone, and told nothing but what its journal says it heard.
//!
//! ```text
//! local        what a layer says and learns = f(how it began, what it was told, what it heard)
//! replayed     the same beginning, the same directives and signals, no neighbours, all other weights drawn anew
//! ```
//!
//! If every answer has the same bits (signals with their stamps, reports, estimates, weights, optimiser states, feedback
//! weights), then nothing else has gone into it. A layer that has read anything of another one, of a clock or of a global gives other
//! bits here, since that is gone or is another by now. What the test can't see is a dependence on something that is the same in both
//! worlds, such as the description of the network, which every layer has.
//!
//! Next: `reads`, which asks what of its own and of what it heard an update depends on.

use serde::Serialize;

use crate::layer::Layer;
use crate::math::optimizer::OptimizerState;
use crate::math::{Real, values};
use crate::network::{Parameters, Weights};
use crate::signal::journal::{Call, Entry, Said, Stored};
use crate::signal::{Directive, Extract, Signal, Wanted};

/// Whatever can be told what a layer is told. A trait, so that the test can be given something that is not local.
pub trait Subject<T> {
    /// Does as it is told, and answers.
    fn act(&mut self, call: Call<T>) -> Said<T>;
}

impl<T: Real> Subject<T> for Layer<T> {
    fn act(&mut self, call: Call<T>) -> Said<T> {
        self.replay(call)
    }
}

/// A subject of which a journal is kept by whoever drives it. (A [`Layer`] in an engine keeps its own.)
#[derive(Debug)]
pub struct Witnessed<S, T> {
    /// Who acts.
    pub subject: S,
    /// What was done to it, and what it said.
    pub journal: Vec<Entry<T>>,
}

impl<T: Clone, S: Subject<T>> Witnessed<S, T> {
    /// Nothing has been done to it yet.
    pub fn new(subject: S) -> Self {
        Self { subject, journal: Vec::new() }
    }

    /// Does it, and writes it down.
    pub fn act(&mut self, call: Call<T>) -> Said<T> {
        let said = self.subject.act(call.clone());
        self.journal.push(Entry { call, said: said.clone(), stored: Stored::default() });
        said
    }
}

/// What came of replaying one layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Replay {
    /// Which layer.
    pub layer: usize,
    /// Things done to it.
    pub calls: usize,
    /// Numbers in its answers, all compared bit for bit.
    pub numbers: usize,
    /// Updates of its weights among the calls.
    pub updates: usize,
    /// The first answer that differs; `None`: it is local.
    pub differs: Option<String>,
}

impl Replay {
    /// True if every answer was the same.
    pub fn is_local(&self) -> bool {
        self.differs.is_none()
    }
}

/// Replays every layer alone. `weights` are those that all began with; in the world in which layer `l` is built again, all but its
/// own are `strangers`. `build` makes layer `l` in a world of these weights.
pub fn replay_alone<T: Real, S: Subject<T>>(
    journals: &[Vec<Entry<T>>],
    weights: &Weights<T>,
    strangers: &Weights<T>,
    build: impl Fn(usize, &Weights<T>) -> S,
) -> Vec<Replay> {
    let alone = |(layer, journal): (usize, &Vec<Entry<T>>)| {
        let mut world = strangers.clone();
        if let (Some(own), Some(stranger)) = (weights.get(layer), world.get_mut(layer)) {
            stranger.clone_from(own);
        }
        one(layer, journal, build(layer, &world))
    };
    journals.iter().enumerate().map(alone).collect()
}

fn one<T: Real>(layer: usize, journal: &[Entry<T>], mut subject: impl Subject<T>) -> Replay {
    let mut found = Replay { layer, calls: journal.len(), numbers: 0, updates: 0, differs: None };
    for (index, entry) in journal.iter().enumerate() {
        let answer = bits(&subject.act(entry.call.clone()));
        found.numbers += answer.len();
        found.updates += usize::from(matches!(entry.call, Call::Directive(Directive::Learn)));
        if found.differs.is_none() && answer != bits(&entry.said) {
            let updates = found.updates;
            found.differs =
                Some(format!("{} (call {} of {}, after {updates} updates)", name(entry), index + 1, journal.len()));
        }
    }
    found
}

/// What an answer was, in words.
fn name<T>(entry: &Entry<T>) -> String {
    let of_signal = |what: &str, signal: &Signal<T>| {
        format!("the {what} said at step {} of phase {}", signal.stamp.step, signal.stamp.phase)
    };
    match (&entry.call, &entry.said) {
        (Call::SpeakPrediction, Said::Signal(signal)) => of_signal("prediction", signal),
        (Call::SpeakError, Said::Signal(signal)) => of_signal("error", signal),
        (Call::Directive(Directive::Extract(wanted)), _) => match wanted {
            Wanted::Weights => "the weights or their optimiser",
            Wanted::Estimate => "the estimate",
            Wanted::State => "the state",
            Wanted::Feedback => "the feedback weights",
            Wanted::Precision => "the precisions",
            Wanted::Journal => "the journal",
            Wanted::Clock | Wanted::Sightings => "what was seen of it",
        }
        .to_owned(),
        (_, Said::Residual(_)) => "the residual".to_owned(),
        (_, Said::Report(report)) => format!("the report of step {} of phase {}", report.step, report.phase),
        (_, Said::Fault(fault)) => format!("the refusal: {fault}"),
        _ => "an answer where there was none".to_owned(),
    }
}

/// Every number of an answer, as bits. The first says what kind of answer it is.
pub(super) fn bits<T: Real>(said: &Said<T>) -> Vec<u64> {
    let one = |number: T| number.wide().to_bits();
    let all = |numbers: &[T]| numbers.iter().map(|&number| one(number)).collect::<Vec<u64>>();
    let parameters = |p: &Parameters<T>| [all(values(&p.weights)), all(&p.bias)].concat();
    let optimizer = |s: &OptimizerState<T>| [vec![s.updates], all(&s.first), all(&s.second)].concat();
    match said {
        Said::Nothing => vec![0],
        Said::Signal(Signal { stamp, content, numbers }) => {
            let stamp = vec![1, *content as u64, stamp.phase, stamp.step, stamp.version, stamp.answers];
            [stamp, all(values(numbers))].concat()
        }
        Said::Report(report) => {
            let (spoken, heard) = (report.spoken, report.heard);
            vec![
                2,
                report.phase,
                report.step,
                report.residual.to_bits(),
                report.unsettled as u64,
                report.energy.to_bits(),
                report.score.map_or(0, |score| score.loss.to_bits()),
                spoken.above,
                spoken.below,
                heard.above,
                heard.below,
                report.staleness,
            ]
        }
        Said::Residual(residual) => vec![3, residual.to_bits()],
        Said::Fault(text) => std::iter::once(4).chain(text.bytes().map(u64::from)).collect(),
        Said::Extract(extract) => match extract {
            Extract::Weights(own, states) => {
                let states: Vec<u64> = states.iter().flatten().flat_map(optimizer).collect();
                [vec![5], parameters(own), states].concat()
            }
            Extract::Estimate(estimate) => [vec![6], parameters(estimate)].concat(),
            Extract::State(state) => [vec![7], all(values(state))].concat(),
            Extract::Feedback(state) => {
                let of_optimizer: Vec<u64> = state.optimizer.iter().flat_map(optimizer).collect();
                [vec![8], all(values(&state.matrix)), of_optimizer].concat()
            }
            Extract::Precision(logarithms) => [vec![9], all(logarithms)].concat(),
            Extract::Journal(entries) => vec![10, entries.len() as u64],
            Extract::Nothing => vec![11],
            // No layer says this: whoever drives it does.
            Extract::Seen(_) => vec![12],
            // Of layers in other processes only, which keep no journals.
            Extract::Answer(answer) => vec![13, answer.ticket().generation, answer.ticket().step],
        },
    }
}
