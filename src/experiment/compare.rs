//! `asynapse compare`: one batch through reference, lock-step, free-running and backpropagation, layer by layer.

use serde::Serialize;

use super::assemble::{self, AssembleError};
use super::machine::{Closeness, Procedure, Purpose, StepError, closeness};
use crate::config::{Config, Groups, ScheduleMode};
use crate::energy::EnergyKind;
use crate::math::{Field, Real};
use crate::network::{NetworkSpec, Parameters, Weights};
use crate::reference::implicit::{self, ImplicitError};
use crate::reference::{Order, backprop};
use crate::settling::StopReason;
use crate::signal::{Message, Reading};

/// What one program made of the batch.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// `reference`, `lock-step`, `free-running`, or `virtual-time` where it is the configured mode.
    pub schedule: &'static str,
    /// Against backpropagation, per weight matrix `W_1 … W_L` with its bias.
    pub layers: Vec<Closeness>,
    /// Against backpropagation, over all parameters.
    pub whole: Closeness,
    /// True if every layer was read when the first error reached it: the last phase then goes to no equilibrium.
    pub first_arrival: bool,
    /// Inference steps of the last phase.
    pub n_infer_iters: u64,
    /// Why it ended.
    pub stop_reason: StopReason,
    /// Largest `|∂E/∂x|` at its end.
    pub residual: f64,
    /// States above the tolerance at its end.
    pub unsettled: usize,
    /// Largest difference of any state from the reference's.
    pub state_distance: f64,
    /// True if estimate and states are the reference's, bit for bit.
    pub bit_identical: bool,
}

/// The comparison.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Samples in the batch.
    pub batch: usize,
    /// Mean loss of the batch.
    pub loss: f64,
    /// One entry per program.
    pub entries: Vec<Entry>,
}

/// Why there is no comparison.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The configuration can't be run.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    /// A program failed.
    #[error("{schedule}: {source}")]
    Step {
        /// Which.
        schedule: &'static str,
        /// How.
        source: StepError,
    },
    /// There is no exact gradient to compare with.
    #[error("energy = \"hopfield\": {0}")]
    Implicit(#[from] ImplicitError),
    /// Backpropagation compared with itself.
    #[error("learning.rule = \"backprop\" has nothing to compare: it is what the rules are compared with")]
    NoRule,
}

/// Runs it on the first `batch_size` training samples, with the initial weights of the seed.
pub fn compare<T: Real>(config: &Config) -> Result<Comparison, CompareError> {
    let network = assemble::network(config).map_err(AssembleError::from)?;
    let plan = assemble::plan(config, &network)?.ok_or(CompareError::NoRule)?;
    let splits = assemble::data(config, &network)?;
    let count = config.data.batch_size.min(splits.train.len());
    let (data, target) = splits.train.batch::<T>(&(0..count).collect::<Vec<_>>());
    plan.admits(&network, &target).map_err(AssembleError::from)?;
    let weights = network.initial_weights::<T>(config.model.init, config.seed);
    let (exact, loss) = exact(&network, &weights, &data, &target)?;
    let procedure = Procedure { plan: Some(&plan), limits: assemble::limits(config) };
    let mut entries: Vec<Entry> = Vec::new();
    let mut reference = None;
    let modes = [
        ("reference", ScheduleMode::Reference),
        ("lock-step", ScheduleMode::LockStep),
        ("free-running", ScheduleMode::FreeRunning),
    ];
    let asked = config.schedule.mode == ScheduleMode::VirtualTime;
    for (schedule, mode) in modes.into_iter().chain(asked.then_some(("virtual-time", ScheduleMode::VirtualTime))) {
        // One layer after another is an order that actors do not have: there is nothing to compare it with but backpropagation.
        if mode != ScheduleMode::Reference && config.schedule.order == Order::GaussSeidel {
            continue;
        }
        // Groups of neurons run free only if they say bare errors, which is not asked for by default.
        let cut = config.model.groups != Groups::Count(1);
        if cut && mode == ScheduleMode::FreeRunning && config.links.message != Message::Error {
            continue;
        }
        let failed = |source| CompareError::Step { schedule, source };
        let mut machine = assemble::machine_in(config, &network, weights.clone(), mode).map_err(failed)?;
        let record = machine.step((&data, &target), procedure, Purpose::Show).map_err(failed)?;
        let states = machine.states().map_err(failed)?;
        let estimate = record.estimate.unwrap_or_default();
        let (layers, whole) = closeness(&estimate, &exact);
        let (first_estimate, first_states) = reference.get_or_insert_with(|| (estimate.clone(), states.clone()));
        let last = record.phases.last();
        entries.push(Entry {
            schedule,
            layers,
            whole,
            first_arrival: plan.phases.last().is_some_and(|phase| matches!(phase.reading, Reading::FirstArrival(_))),
            n_infer_iters: last.map_or(0, |phase| phase.steps()),
            stop_reason: last.map_or(StopReason::Wave, |phase| phase.reason),
            residual: last.map_or(0.0, |phase| phase.residual()),
            unsettled: last.map_or(0, |phase| phase.reports.iter().map(|report| report.unsettled).sum()),
            state_distance: state_distance(first_states, &states),
            bit_identical: *first_estimate == estimate && *first_states == states,
        });
    }
    Ok(Comparison { batch: count, loss, entries })
}

/// The gradient a rule of this energy is held against, and the mean loss: backpropagation, or for the Hopfield energy, whose output
/// is no feedforward function, recurrent backpropagation at the free equilibrium.
pub(super) fn exact<T: Real>(
    network: &NetworkSpec,
    weights: &Weights<T>,
    data: &Field<T>,
    target: &Field<T>,
) -> Result<(Weights<T>, f64), ImplicitError> {
    if network.energy() != EnergyKind::Hopfield {
        let gradient = backprop::gradient(network, weights, data, target);
        return Ok((gradient.parameters, gradient.score.loss / data.ncols() as f64));
    }
    let wide = |p: &Parameters<T>| Parameters {
        weights: p.weights.mapv(Real::wide),
        bias: p.bias.iter().map(|b| b.wide()).collect(),
    };
    let narrow = |p: &Parameters<f64>| Parameters {
        weights: p.weights.mapv(T::of),
        bias: p.bias.iter().map(|&b| T::of(b)).collect(),
    };
    let weights: Weights<f64> = weights.iter().map(wide).collect();
    let found = implicit::gradient(network, &weights, &data.mapv(Real::wide), &target.mapv(Real::wide))?;
    Ok((found.parameters.iter().map(narrow).collect(), found.loss))
}

fn state_distance<T: Real>(a: &[Field<T>], b: &[Field<T>]) -> f64 {
    let apart = |(a, b): (&Field<T>, &Field<T>)| {
        a.iter().zip(b).map(|(&a, &b)| (a.wide() - b.wide()).abs()).fold(0.0, f64::max)
    };
    a.iter().zip(b).map(apart).fold(0.0, f64::max)
}
