//! `asynapse gradient`: the estimate of a rule for weights and a batch from outside, beside the exact gradient.
//!
//! ```text
//! estimate.W1, estimate.b1, …      what the rule makes of +∂𝓛/∂W_l: batch mean, sign as PyTorch's .grad
//! reference.W1, reference.b1, …    backpropagation, or for the Hopfield energy recurrent backpropagation
//! free.x1 … free.xL                states at the end of the free phase, B × n_l
//! nudged.x1 … nudged.xL            at the end of the last phase (of −λ in symmetric, λ/2 in richardson nudging)
//! ```
//!
//! An output without a state of its own (predictive coding) is given as its current `a_L`, the logits. The rule `backprop` has no
//! phases: its estimate is the reference, and `free.*` and `nudged.*` are absent. Next: `given` (input), `tensors` (files).

mod given;
mod tensors;

use std::path::Path;

use serde::Serialize;

pub use given::Given;
use given::Narrowed;

use super::assemble::{self, AssembleError};
use super::compare::exact;
use super::machine::{Closeness, Procedure, Purpose, StepError, closeness};
use crate::config::{Config, ScheduleMode};
use crate::energy::{EnergyKind, Loss};
use crate::math::{Dtype, Field, Real};
use crate::network::{NetworkSpec, Parameters, Weights};
use crate::reference::implicit::ImplicitError;
use crate::rule::{Nudging, Plan, PlannedPhase, RuleName};
use crate::run::RunError;
use crate::settling::{PhaseRecord, StopReason};
use crate::signal::{Motion, Reading, Teaching};
use tensors::Written;

/// How far a row of targets may be from the sum one that cross-entropy requires: the rounding of a softmax in `f32`.
const SUM_APART_MOST: f64 = 1e-6;

/// Why there is no estimate.
#[derive(Debug, thiserror::Error)]
pub enum GradientError {
    /// The configuration can't be run.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    /// The weights do not go with the configuration.
    #[error("model.widths: the weights are not those of a network {0}")]
    Widths(String),
    /// There is no exact gradient to compare with.
    #[error("energy = \"hopfield\": {0}")]
    Implicit(#[from] ImplicitError),
    /// Inference failed.
    #[error(transparent)]
    Step(#[from] StepError),
    /// A number of the result is not finite.
    #[error("tensor `{0}` of the result is not finite; nothing was written")]
    NotFinite(String),
    /// The input does not go with the configuration, or the result could not be written.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// How one phase went.
#[derive(Clone, Debug, Serialize)]
pub struct PhaseSummary {
    /// `free`, `nudged` or `clamped`.
    pub phase: &'static str,
    /// λ or β of a nudged phase.
    pub nudge: Option<f64>,
    /// True if every layer was read when the first error reached it. Such a phase is over then and goes to no equilibrium.
    pub first_arrival: bool,
    /// Most inference steps of any layer.
    pub n_infer_iters: u64,
    /// Why it ended.
    pub stop_reason: StopReason,
    /// Largest `|∂E/∂x|` at its end.
    pub residual: f64,
    /// States (units × samples) above the tolerance at its end.
    pub unsettled: usize,
}

/// One weight matrix with its bias, and the layer they lead to.
#[derive(Clone, Debug, Serialize)]
pub struct LayerSummary {
    /// Layer `l`, from 1.
    pub layer: usize,
    /// Of the estimate of `W_l, b_l` to the reference.
    #[serde(flatten)]
    pub closeness: Closeness,
    /// ‖nudged.x_l − free.x_l‖ over units and samples; `None` for a rule without phases.
    pub equilibrium_distance: Option<f64>,
}

/// Everything but the tensors.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// `n_0 … n_L`, from the weights.
    pub widths: Vec<usize>,
    /// Samples.
    pub batch: usize,
    /// Mean loss: of the forward pass, or for the Hopfield energy at the free equilibrium.
    pub loss: f64,
    /// The rule that made the estimate.
    pub rule: RuleName,
    /// The energy.
    pub energy: EnergyKind,
    /// λ or β.
    pub nudge: f64,
    /// Its sides.
    pub nudging: Nudging,
    /// The schedule; `None` for a rule without phases.
    pub schedule: Option<ScheduleMode>,
    /// In which it was computed and is written.
    pub dtype: Dtype,
    /// Of the configuration; feedback weights that are not tied are drawn from it.
    pub seed: u64,
    /// Of the program.
    pub version: &'static str,
    /// Per weight matrix.
    pub layers: Vec<LayerSummary>,
    /// Over all parameters.
    pub whole: Closeness,
    /// ‖nudged.x − free.x‖ over all layers.
    pub equilibrium_distance: Option<f64>,
    /// In the order in which they ran.
    pub phases: Vec<PhaseSummary>,
}

/// The result.
#[derive(Clone, Debug)]
pub struct Estimated<T> {
    /// The numbers about it.
    pub summary: Summary,
    /// `∂𝓛/∂W_l` and `∂𝓛/∂b_l` as the rule estimates them, sign as PyTorch's `.grad`.
    pub estimate: Weights<T>,
    /// The exact ones.
    pub reference: Weights<T>,
    /// `x_0 … x_{L−1}` and `x_L` or `a_L` at the end of the free phase, `n_l × B`; empty for a rule without phases.
    pub free: Vec<Field<T>>,
    /// The same at the end of the last phase.
    pub nudged: Vec<Field<T>>,
}

/// Runs the configured rule in the configured schedule, once, on what was given.
///
/// # Errors
/// A network the configuration and the weights don't make, targets that the loss or the clamped output can't have, a Hopfield
/// network without an exact gradient, inference that failed.
pub fn gradient<T: Real>(config: &Config, given: &Given) -> Result<Estimated<T>, GradientError> {
    let network = assemble::network(config).map_err(AssembleError::from)?;
    let Narrowed { weights, data, target } = given.narrowed::<T>()?;
    if !network.fits(&weights) {
        return Err(GradientError::Widths(network.to_string()));
    }
    let plan = assemble::plan(config, &network)?;
    check_target(&network, plan.as_ref(), &target)
        .map_err(|problem| given.batch_problem(format!("tensor `y`: {problem}")))?;
    let (reference, loss) = exact(&network, &weights, &data, &target)?;
    let (mut free, mut nudged, mut phases) = (Vec::new(), Vec::new(), Vec::new());
    let estimate = match &plan {
        None => reference.iter().map(negative).collect(),
        Some(plan) => {
            let procedure = Procedure { plan: Some(plan), limits: assemble::limits(config) };
            let mut machine = assemble::machine_in(config, &network, weights, config.schedule.mode)?;
            let record = machine.step_seen((&data, &target), procedure, Purpose::Show, &mut |phase, machine| {
                if phase == 0 {
                    free = machine.states()?;
                }
                Ok(())
            })?;
            nudged = machine.states()?;
            phases = plan.phases.iter().zip(&record.phases).map(|(planned, record)| told(planned, record)).collect();
            record.estimate.unwrap_or_default()
        }
    };
    let (close, whole) = closeness(&estimate, &reference);
    let apart: Vec<f64> =
        free.iter().zip(&nudged).skip(1).map(|(free, nudged)| squared_distance(free, nudged)).collect();
    let layers = close.into_iter().enumerate().map(|(index, closeness)| {
        let equilibrium_distance = apart.get(index).map(|squared| squared.sqrt());
        LayerSummary { layer: index + 1, closeness, equilibrium_distance }
    });
    let summary = Summary {
        widths: network.widths().to_vec(),
        batch: data.ncols(),
        loss,
        rule: config.learning.rule,
        energy: network.energy(),
        nudge: config.learning.nudge,
        nudging: config.learning.nudging,
        schedule: plan.is_some().then_some(config.schedule.mode),
        dtype: T::DTYPE,
        seed: config.seed,
        version: env!("CARGO_PKG_VERSION"),
        layers: layers.collect(),
        whole,
        equilibrium_distance: plan.is_some().then(|| apart.iter().sum::<f64>().sqrt()),
        phases,
    };
    Ok(Estimated { summary, estimate: estimate.iter().map(negative).collect(), reference, free, nudged })
}

impl<T: Real> Estimated<T> {
    /// Writes the tensors, with the summary as JSON under `asynapse` in the file's metadata. Whole or not at all.
    ///
    /// # Errors
    /// A number that is not finite; a file that can't be written.
    pub fn write(&self, path: &Path) -> Result<(), GradientError> {
        let mut tensors: Vec<Written<T>> = Vec::new();
        for (what, weights) in [("estimate", &self.estimate), ("reference", &self.reference)] {
            for (layer, parameters) in (1..).zip(weights) {
                let (shape, numbers) =
                    (parameters.weights.shape().to_vec(), parameters.weights.iter().copied().collect());
                tensors.push(Written { name: format!("{what}.W{layer}"), shape, numbers });
                let (shape, numbers) = (vec![parameters.bias.len()], parameters.bias.clone());
                tensors.push(Written { name: format!("{what}.b{layer}"), shape, numbers });
            }
        }
        for (what, states) in [("free", &self.free), ("nudged", &self.nudged)] {
            for (layer, state) in states.iter().enumerate().skip(1) {
                // In memory a column is a sample; outside a row is one.
                let (shape, numbers) = (vec![state.ncols(), state.nrows()], state.t().iter().copied().collect());
                tensors.push(Written { name: format!("{what}.x{layer}"), shape, numbers });
            }
        }
        if let Some(bad) = tensors.iter().find(|tensor| tensor.numbers.iter().any(|number| !number.is_finite())) {
            return Err(GradientError::NotFinite(bad.name.clone()));
        }
        let about = serde_json::to_string(&self.summary).map_err(|error| RunError::content(path, error.to_string()))?;
        Ok(tensors::write(path, &tensors, &about)?)
    }
}

/// Targets for which the loss has the gradient that is computed, and which a clamped output can be put on.
fn check_target<T: Real>(network: &NetworkSpec, plan: Option<&Plan>, target: &Field<T>) -> Result<(), String> {
    if network.loss() == Loss::CrossEntropy {
        for (sample, row) in target.columns().into_iter().enumerate() {
            let sum: f64 = row.iter().map(|t| t.wide()).sum();
            if (sum - 1.0).abs() > SUM_APART_MOST {
                let help = "cross-entropy needs rows that sum to 1; other targets need model.loss=squared-error";
                return Err(format!("row {sample} sums to {sum}; {help}"));
            }
        }
    }
    plan.map_or(Ok(()), |plan| plan.admits(network, target)).map_err(|error| error.to_string())
}

fn told(planned: &PlannedPhase, record: &PhaseRecord) -> PhaseSummary {
    let (phase, nudge) = match planned.motion {
        Motion::Forward | Motion::Relax { teaching: Teaching::Free, .. } => ("free", None),
        Motion::Relax { teaching: Teaching::Nudged(nudge), .. } | Motion::Deviate { nudge } => ("nudged", Some(nudge)),
        Motion::Relax { teaching: Teaching::Clamped, .. } => ("clamped", None),
    };
    PhaseSummary {
        phase,
        nudge,
        first_arrival: matches!(planned.reading, Reading::FirstArrival(_)),
        n_infer_iters: record.steps(),
        stop_reason: record.reason,
        residual: record.residual(),
        unsettled: record.reports.iter().map(|report| report.unsettled).sum(),
    }
}

fn negative<T: Real>(parameters: &Parameters<T>) -> Parameters<T> {
    Parameters { weights: parameters.weights.mapv(|g| -g), bias: parameters.bias.iter().map(|&g| -g).collect() }
}

fn squared_distance<T: Real>(a: &Field<T>, b: &Field<T>) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| (a.wide() - b.wide()).powi(2)).sum()
}
