//! `asynapse audit`: what an algorithm asks of a layer, measured on what its layers did.
//!
//! ```text
//! run       some updates by actors, in lock-step and free-running, each layer keeping a journal of all that is done to it
//! replay    every layer alone from its journal: the same bits, or it has read something else        `replay`
//! reads     one thing changed at a time: has the update other bits?                                  `reads`
//! counts    phases, signals, bytes, directives, numbers kept from one phase for another             `counts`
//! tolerance how narrow, how noisy, how late before the estimate turns from the gradient             `tolerance`
//! ```
//!
//! Nothing in a report card is written down in the program: `algorithms` only says which settings make which algorithm. `card` turns
//! measurements into tables and figures.

pub mod algorithms;
pub mod card;

pub mod counts;
pub mod reads;
pub mod replay;
pub mod tolerance;

use serde::Serialize;

use self::counts::{Counts, counts};
use self::reads::{Read, Transport, reads, transport};
use self::replay::{Replay, replay_alone};
use self::tolerance::Tolerance;
use super::assemble::{self, AssembleError};
use super::compare::{CompareError, exact};
use super::machine::{Machine, Procedure, Purpose, closeness};
use crate::config::{Config, ConfigError, Groups, Loaded, ScheduleMode};
use crate::layer::{Layer, LayerSettings, Voice};
use crate::math::{Dtype, Field, Real, values};
use crate::network::{NetworkSpec, Weights};
use crate::reference::Order;
use crate::rule::Plan;
use crate::settling::PhaseRecord;
use crate::signal::journal::{Entry, Said};
use crate::signal::{Extract, Wanted};

/// What one algorithm did in one schedule.
#[derive(Clone, Debug, Serialize)]
pub struct Observed {
    /// `lock-step` or `free-running`.
    pub schedule: &'static str,
    /// Of the first update with the exact gradient, over all parameters.
    pub cosine: f64,
    /// Why each phase of the first update ended.
    pub ended: Vec<String>,
    /// One per layer.
    pub replays: Vec<Replay>,
    /// One list per weight matrix, `W_1` first.
    pub reads: Vec<Vec<Read>>,
    /// What an update took.
    pub counts: Counts,
}

/// How errors come down through one connection.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Descent {
    /// The weights' number: `W_2` and up; nothing comes down to the data.
    pub weights: usize,
    /// How the forward weights move the state below in lock-step, measured.
    pub transport: Transport,
    /// Cosine of the matrix used and the forward weights, after the updates; 1 where there is only one matrix.
    pub cosine: f64,
}

/// The report card of one algorithm.
#[derive(Clone, Debug, Serialize)]
pub struct Card {
    /// Its name.
    pub algorithm: String,
    /// In words.
    pub meaning: String,
    /// The settings it ran with, beside the configuration.
    pub overrides: Vec<String>,
    /// Weights and biases of the network.
    pub parameters: usize,
    /// Why nothing could be observed of its layers; `None`: something was.
    pub no_layers: Option<String>,
    /// Lock-step, then free-running.
    pub observed: Vec<Observed>,
    /// One per connection that errors come down through.
    pub descents: Vec<Descent>,
    /// How much it bears.
    pub tolerances: Vec<Tolerance>,
}

/// What is to be audited.
#[derive(Clone, Debug)]
pub struct Request {
    /// Name and text of the configuration.
    pub origin: String,
    /// See `origin`.
    pub text: String,
    /// The algorithm's name and meaning.
    pub name: String,
    /// In words.
    pub meaning: String,
    /// All overrides.
    pub overrides: Vec<String>,
    /// Updates that are observed, at least one; the second begins with weights and optimisers that have learnt.
    pub updates: usize,
    /// Fewer trials of the tolerances.
    pub quick: bool,
}

/// Why there is no card.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The configuration can't be read.
    #[error("{algorithm}: {source}")]
    Config {
        /// For which algorithm.
        algorithm: String,
        /// What is wrong.
        source: ConfigError,
    },
    /// It can't be run.
    #[error("{algorithm}: {source}")]
    Run {
        /// Which algorithm.
        algorithm: String,
        /// Why.
        source: Box<CompareError>,
    },
    /// What it runs can't be observed layer by layer.
    #[error("{algorithm}: {what}")]
    Unseen {
        /// Which algorithm.
        algorithm: String,
        /// Why.
        what: &'static str,
    },
}

impl Request {
    /// Its configuration.
    pub fn load(&self) -> Result<Loaded, AuditError> {
        let loaded = crate::config::load_text(&self.origin, &self.text, &self.overrides);
        loaded.map_err(|source| AuditError::Config { algorithm: self.name.clone(), source })
    }
}

/// Audits one algorithm.
pub fn audit(request: &Request) -> Result<Card, AuditError> {
    let algorithm = || request.name.clone();
    let config = request.load()?.config;
    if config.workers != 1 {
        let what = "journals stay in the process that keeps them; set workers = 1";
        return Err(AuditError::Unseen { algorithm: algorithm(), what });
    }
    if config.model.groups != Groups::Count(1) {
        let what = "layers are audited whole; set model.groups = 1";
        return Err(AuditError::Unseen { algorithm: algorithm(), what });
    }
    if config.schedule.order == Order::GaussSeidel {
        let what =
            "layers that act one after another are not actors and keep no journal; set schedule.order = \"jacobi\"";
        return Err(AuditError::Unseen { algorithm: algorithm(), what });
    }
    let card = match config.dtype {
        Dtype::F32 => audit_in::<f32>(request, &config),
        Dtype::F64 => audit_in::<f64>(request, &config),
    };
    card.map_err(|source| AuditError::Run { algorithm: algorithm(), source: Box::new(source) })
}

/// A network, weights, and batches to learn from.
pub(super) struct Ground<T> {
    pub(super) network: NetworkSpec,
    pub(super) weights: Weights<T>,
    pub(super) batches: Vec<(Field<T>, Field<T>)>,
    /// The exact gradient for the first batch.
    pub(super) exact: Weights<T>,
}

impl<T: Real> Ground<T> {
    fn new(config: &Config, updates: usize) -> Result<Self, CompareError> {
        let network = assemble::network(config).map_err(AssembleError::from)?;
        let splits = assemble::data(config, &network)?;
        let size = config.data.batch_size.min(splits.train.len());
        let starts = (0..updates).map(|update| (update * size) % (splits.train.len() + 1 - size));
        let batches: Vec<_> =
            starts.map(|start| splits.train.batch::<T>(&(start..start + size).collect::<Vec<_>>())).collect();
        let weights = network.initial_weights::<T>(config.model.init, config.seed);
        let (exact, _) = exact(&network, &weights, &batches[0].0, &batches[0].1)?;
        Ok(Self { network, weights, batches, exact })
    }
}

fn audit_in<T: Real>(request: &Request, config: &Config) -> Result<Card, CompareError> {
    let ground = Ground::<T>::new(config, request.updates)?;
    let mut card = Card {
        algorithm: request.name.clone(),
        meaning: request.meaning.clone(),
        overrides: request.overrides.clone(),
        parameters: ground.weights.iter().map(|weights| weights.numbers().count()).sum(),
        no_layers: None,
        observed: Vec::new(),
        descents: Vec::new(),
        tolerances: Vec::new(),
    };
    let Some(plan) = assemble::plan(config, &ground.network)? else {
        let what =
            "one program holds all weights and activities and goes back through them: there are no layers to observe";
        card.no_layers = Some(what.to_owned());
        return Ok(card);
    };
    plan.admits(&ground.network, &ground.batches[0].1).map_err(AssembleError::from)?;
    for mode in [ScheduleMode::LockStep, ScheduleMode::FreeRunning] {
        let run = record(config, &ground, &plan, mode)?;
        if mode == ScheduleMode::LockStep {
            card.descents = descents(config, &ground, &run.journals);
        }
        card.observed.push(observe(config, &ground, run));
    }
    card.tolerances = tolerance::tolerances(request, &ground);
    Ok(card)
}

/// What a run left behind.
struct Run<T> {
    mode: ScheduleMode,
    journals: Vec<Vec<Entry<T>>>,
    phases: Vec<PhaseRecord>,
    cosine: f64,
}

/// The updates, by actors that keep journals.
fn record<T: Real>(
    config: &Config,
    ground: &Ground<T>,
    plan: &Plan,
    mode: ScheduleMode,
) -> Result<Run<T>, CompareError> {
    let schedule = name(mode);
    let failed = |source| CompareError::Step { schedule, source };
    let mut machine = assemble::machine_in(config, &ground.network, ground.weights.clone(), mode).map_err(failed)?;
    // From here on there are journals; so far nothing was done.
    journals(&mut machine).map_err(failed)?;
    let procedure = Procedure { plan: Some(plan), limits: assemble::limits(config) };
    let (mut phases, mut cosine) = (Vec::new(), f64::NAN);
    for (update, (data, target)) in ground.batches.iter().enumerate() {
        let last = plan.phases.len() - 1;
        let mut see = |phase, machine: &mut Machine<T>| if phase == last { machine.states().map(drop) } else { Ok(()) };
        let record = machine.step_seen((data, target), procedure, Purpose::LearnAndShow, &mut see).map_err(failed)?;
        if update == 0 {
            cosine = closeness(&record.estimate.unwrap_or_default(), &ground.exact).1.cosine;
            phases = record.phases;
        }
        // Weights, optimisers, feedback weights and precisions go into the journals as answers.
        machine.snapshot().map_err(failed)?;
    }
    Ok(Run { mode, journals: journals(&mut machine).map_err(failed)?, phases, cosine })
}

fn journals<T: Real>(machine: &mut Machine<T>) -> Result<Vec<Vec<Entry<T>>>, super::StepError> {
    let Machine::Actors(engine) = machine else { return Ok(Vec::new()) };
    let is_journal = |extract| if let Extract::Journal(journal) = extract { Some(journal) } else { None };
    Ok(engine.extract(Wanted::Journal)?.into_iter().filter_map(is_journal).collect())
}

/// A layer as it begins in a run of this configuration.
fn layer<T: Real>(
    config: &Config,
    network: &NetworkSpec,
    mode: ScheduleMode,
    index: usize,
    world: &Weights<T>,
) -> Layer<T> {
    let voice = match mode {
        ScheduleMode::FreeRunning => Voice::Plain(config.links.message),
        _ => Voice::Adjoint,
    };
    let (rate, optimizer, numerics) =
        (config.inference.activity_lr, assemble::optimizer(config), assemble::numerics(config));
    let settings = LayerSettings { rate, optimizer, voice, numerics };
    Layer::new(network, index, world.get(index).cloned(), settings)
}

fn observe<T: Real>(config: &Config, ground: &Ground<T>, run: Run<T>) -> Observed {
    let build = |index, world: &Weights<T>| layer(config, &ground.network, run.mode, index, world);
    let strangers = ground.network.initial_weights::<T>(config.model.init, config.seed.wrapping_add(1));
    let with_weights = run.journals.iter().take(ground.network.depth()).enumerate();
    Observed {
        schedule: name(run.mode),
        cosine: run.cosine,
        ended: run.phases.iter().map(|phase| phase.reason.to_string()).collect(),
        replays: replay_alone(&run.journals, &ground.weights, &strangers, build),
        reads: with_weights.map(|(index, journal)| reads(journal, || build(index, &ground.weights))).collect(),
        counts: counts(&run.journals),
    }
}

/// Feedback against forward weights, for every hidden layer.
fn descents<T: Real>(config: &Config, ground: &Ground<T>, journals: &[Vec<Entry<T>>]) -> Vec<Descent> {
    let hidden = journals.iter().enumerate().take(ground.network.depth()).skip(1);
    let of = |(index, journal): (usize, &Vec<Entry<T>>)| {
        let mut matrices = (None, None);
        for entry in journal {
            match &entry.said {
                Said::Extract(Extract::Weights(own, _)) => matrices.0 = Some(&own.weights),
                Said::Extract(Extract::Feedback(state)) => matrices.1 = Some(&state.matrix),
                _ => {}
            }
        }
        let build = || layer(config, &ground.network, ScheduleMode::LockStep, index, &ground.weights);
        let cosine = match matrices {
            (Some(forward), Some(back)) => cosine(forward, back),
            // Only one matrix was ever handed out.
            _ => 1.0,
        };
        Descent { weights: index + 1, transport: transport(journal, build), cosine }
    };
    hidden.map(of).collect()
}

fn cosine<T: Real>(a: &Field<T>, b: &Field<T>) -> f64 {
    let sum =
        |a: &Field<T>, b: &Field<T>| values(a).iter().zip(values(b)).map(|(a, b)| a.wide() * b.wide()).sum::<f64>();
    sum(a, b) / (sum(a, a) * sum(b, b)).sqrt()
}

fn name(mode: ScheduleMode) -> &'static str {
    if mode == ScheduleMode::FreeRunning { "free-running" } else { "lock-step" }
}
