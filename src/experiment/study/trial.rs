//! What most studies are made of: one update of one algorithm under one disturbance, held against the exact gradient.
//!
//! ```text
//! cosine     of the estimate and the exact gradient (backpropagation; for the Hopfield energy recurrent backpropagation)
//! apart      ‖ĝ − ĝ₀‖ / ‖ĝ₀‖       ĝ₀: the estimate of the synchronous program, undisturbed
//! ```
//!
//! An estimate that is zero throughout has no direction and counts as cosine 0.
//!
//! A [`Curve`] is an algorithm with settings; its points are tried with every seed. A seed draws the initial weights and everything that
//! befalls signals. A trial that can't be made keeps the program's sentence: it is a row like the others, and never a number.
//!
//! Next: `disturbance.rs` (what is varied), then `fidelity.rs`.

use serde::Serialize;

use super::parallel::parallel;
use super::{Bench, StudyError};
use crate::config::{Config, Loaded};
use crate::data::dataset::Splits;
use crate::experiment::assemble::{self, AssembleError};
use crate::experiment::audit::algorithms::Algorithm;
use crate::experiment::audit::tolerance::first_line;
use crate::experiment::compare::exact;
use crate::experiment::machine::{Closeness, Machine, Procedure, Purpose, closeness};
use crate::experiment::sweep::first_batch;
use crate::math::{Dtype, Field, Real};
use crate::network::{NetworkSpec, Parameters, Weights};
use crate::settling::StopReason;

/// Settings of a point: of its value, the seed, and the number of the output layer.
pub(super) type Words = Box<dyn Fn(f64, u64, usize) -> Vec<String> + Sync>;

/// One line of a figure.
pub(super) struct Curve {
    /// What the legend says.
    pub(super) name: String,
    /// Which algorithm.
    pub(super) algorithm: &'static Algorithm,
    /// Settings of all its trials, the undisturbed one too.
    pub(super) always: Vec<String>,
    /// Where it is tried, in the order of growing disturbance.
    pub(super) values: Vec<f64>,
    /// The disturbance.
    pub(super) words: Words,
}

/// One trial.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Which curve.
    pub curve: String,
    /// Which algorithm.
    pub algorithm: &'static str,
    /// Which seed.
    pub seed: u64,
    /// How much of it.
    pub value: f64,
    /// With the exact gradient.
    pub cosine: Option<f64>,
    /// From the undisturbed estimate.
    pub apart: Option<f64>,
    /// The same cosine without any disturbance.
    pub undisturbed: Option<f64>,
    /// Steps of the last phase, of the layer that took most.
    pub steps: Option<u64>,
    /// Why the phase ended that ended least well.
    pub ended: Option<StopReason>,
    /// Age of the oldest signal when it was heard, in τ. A layer that has made all its steps hears what comes later at the end of
    /// the phase, so it may be above what signals are under way.
    pub oldest: Option<f64>,
    /// Mean age.
    pub mean_age: Option<f64>,
    /// Why there are no numbers.
    pub problem: Option<String>,
}

/// An estimate, and what came of getting it.
struct Found<T> {
    estimate: Weights<T>,
    steps: u64,
    ended: StopReason,
    /// The oldest and the mean.
    ages: Option<(f64, f64)>,
}

/// What the trials of one curve and seed share.
struct Problem<'a, T> {
    network: NetworkSpec,
    weights: Weights<T>,
    exact: Weights<T>,
    batch: (&'a Field<T>, &'a Field<T>),
}

/// Tries every curve with every seed; rows in the order of curves, seeds and values.
pub(super) fn rows(bench: &Bench<'_>, curves: &[Curve]) -> Result<Vec<Row>, StudyError> {
    let base = bench.base()?.config;
    let network = assemble::network(&base).map_err(AssembleError::from)?;
    let splits = assemble::data(&first_batch(&base), &network)?;
    let work: Vec<(&Curve, u64)> =
        curves.iter().flat_map(|curve| bench.seeds().into_iter().map(move |seed| (curve, seed))).collect();
    let made = parallel(
        bench.jobs,
        &work,
        |&(curve, seed)| match base.dtype {
            Dtype::F32 => unit::<f32>(bench, curve, seed, &splits),
            Dtype::F64 => unit::<f64>(bench, curve, seed, &splits),
        },
        &|done, all| bench.progress(done, all),
    );
    Ok(made.into_iter().flatten().collect())
}

/// All points of one curve with one seed.
fn unit<T: Real>(bench: &Bench<'_>, curve: &Curve, seed: u64, splits: &Splits) -> Vec<Row> {
    let row = |value: f64| Row {
        curve: curve.name.clone(),
        algorithm: curve.algorithm.name,
        seed,
        value,
        cosine: None,
        apart: None,
        undisturbed: None,
        steps: None,
        ended: None,
        oldest: None,
        mean_age: None,
        problem: None,
    };
    let failed = |problem: String| {
        let with = |&value: &f64| Row { problem: Some(problem.clone()), ..row(value) };
        curve.values.iter().map(with).collect()
    };
    let load = |more: &[String]| -> Result<Loaded, String> {
        let words = [&curve.always[..], &[format!("seed={seed}")], more].concat();
        bench.load(Some(curve.algorithm), &words).map_err(|error| first_line(&error.to_string()))
    };
    let calm = [&curve.always[..], &[format!("seed={seed}")]].concat();
    let calm = match bench.load_calm(curve.algorithm, &calm) {
        Ok(loaded) => loaded.config,
        Err(problem) => return failed(first_line(&problem.to_string())),
    };
    let count = calm.data.batch_size.min(splits.train.len());
    let (data, target) = splits.train.batch::<T>(&(0..count).collect::<Vec<_>>());
    let problem = match problem(&calm, (&data, &target)) {
        Ok(problem) => problem,
        Err(why) => return failed(why),
    };
    let still = tried(&calm, &problem);
    let undisturbed = still.as_ref().ok().map(|found| closeness(&found.estimate, &problem.exact).1.cosine);
    let measure = |value: f64| -> Result<Row, String> {
        let loaded = load(&(curve.words)(value, seed, problem.network.depth()))?;
        let found = tried(&loaded.config, &problem)?;
        let Closeness { cosine, .. } = closeness(&found.estimate, &problem.exact).1;
        let is_zero = found.estimate.iter().flat_map(Parameters::numbers).all(|number| number == T::zero());
        let cosine = if is_zero { 0.0 } else { cosine };
        if !cosine.is_finite() {
            return Err("the estimate is not finite".to_owned());
        }
        let apart = still.as_ref().ok().map(|still| closeness(&found.estimate, &minus(&still.estimate)).1);
        Ok(Row {
            cosine: Some(cosine),
            apart: apart.map(|apart| apart.relative_distance),
            undisturbed,
            steps: Some(found.steps),
            ended: Some(found.ended),
            oldest: found.ages.map(|(oldest, _)| oldest),
            mean_age: found.ages.map(|(_, mean)| mean),
            ..row(value)
        })
    };
    let of = |&value: &f64| measure(value).unwrap_or_else(|why| Row { problem: Some(why), undisturbed, ..row(value) });
    curve.values.iter().map(of).collect()
}

fn problem<'a, T: Real>(config: &Config, batch: (&'a Field<T>, &'a Field<T>)) -> Result<Problem<'a, T>, String> {
    let network = assemble::network(config).map_err(|error| error.to_string())?;
    let weights = network.initial_weights::<T>(config.model.init, config.seed);
    let (exact, _) = exact(&network, &weights, batch.0, batch.1).map_err(|error| error.to_string())?;
    Ok(Problem { network, weights, exact, batch })
}

fn tried<T: Real>(config: &Config, problem: &Problem<'_, T>) -> Result<Found<T>, String> {
    let Problem { network, weights, batch, .. } = problem;
    let plan = assemble::plan(config, network).map_err(|error| error.to_string())?;
    if let Some(plan) = &plan {
        plan.admits(network, batch.1).map_err(|error| error.to_string())?;
    }
    let procedure = Procedure { plan: plan.as_ref(), limits: assemble::limits(config) };
    let failed = |error: crate::experiment::StepError| error.to_string();
    let mut machine = assemble::machine_in(config, network, weights.clone(), config.schedule.mode).map_err(failed)?;
    let record = machine.step(*batch, procedure, Purpose::Show).map_err(failed)?;
    let ages = match &machine {
        Machine::Virtual(_) | Machine::Apart(_) => {
            let tallies = machine.tallies();
            let oldest = tallies.iter().map(|(_, tally)| tally.age_most.units()).fold(0.0, f64::max);
            let heard: u64 = tallies.iter().map(|(_, tally)| tally.heard).sum();
            let sum: f64 = tallies.iter().map(|(_, tally)| tally.age.units()).sum();
            Some((oldest, sum / heard.max(1) as f64))
        }
        _ => None,
    };
    let ended = record.phases.iter().map(|phase| phase.reason).max_by_key(|reason| badness(*reason));
    Ok(Found {
        estimate: record.estimate.unwrap_or_default(),
        steps: record.phases.last().map_or(0, |phase| phase.steps()),
        ended: ended.unwrap_or(StopReason::Wave),
        ages,
    })
}

fn badness(reason: StopReason) -> usize {
    match reason {
        StopReason::Wave => 0,
        StopReason::Settled => 1,
        StopReason::Plateau => 2,
        StopReason::StepBudget => 3,
        StopReason::SignalsLost | StopReason::EventBudget => 4,
        StopReason::Diverged => 5,
    }
}

/// Estimates have the sign of the descent, what they are held against the other.
fn minus<T: Real>(weights: &Weights<T>) -> Weights<T> {
    let one = |p: &Parameters<T>| Parameters {
        weights: p.weights.mapv(|number| -number),
        bias: p.bias.iter().map(|&number| -number).collect(),
    };
    weights.iter().map(one).collect()
}
