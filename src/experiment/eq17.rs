//! `asynapse compare --eq17`: the paper's corrected estimate beside the ones that do reach the next order, at λ, λ/2 and λ/4.
//!
//! In double precision whatever `dtype` says, because third-order remainders are compared; every phase is run to a residual. Next:
//! `crate::reference::eq17` for the correction and what is wrong with it.

use serde::Serialize;

use super::assemble::{self, AssembleError};
use super::compare::CompareError;
use super::machine::closeness;
use crate::config::Config;
use crate::energy::EnergyKind;
use crate::math::Field;
use crate::network::{FeedbackKind, NetworkSpec, Weights};
use crate::reference::{Synchronous, backprop, eq17};
use crate::rule::{FreePhase, Nudging, Plan, RuleName, Variables};
use crate::settling::{Limits, StopReason};

/// Residual to which phases are run if the configuration names none, and how long.
const LIMITS: (f64, u64) = (1e-12, 50_000);

/// Relative errors of one way to read the gradient at one λ.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// λ.
    pub nudge: f64,
    /// `one-sided`, `symmetric`, `richardson` or `eq17`.
    pub estimate: &'static str,
    /// ‖estimate − gradient‖ / ‖gradient‖ for W_1 … W_L.
    pub layers: Vec<f64>,
    /// Over all parameters.
    pub whole: f64,
    /// Why the last phase ended.
    pub stop_reason: StopReason,
}

/// The table, on the batch of `compare`.
pub fn table(config: &Config) -> Result<Vec<Row>, CompareError> {
    let network = assemble::network(config).map_err(AssembleError::from)?;
    if network.energy() != EnergyKind::PredictiveCoding || config.learning.rule != RuleName::PcNudge {
        return Err(AssembleError::Misfit(
            "--eq17 is worked out for the rule pc-nudge with the energy predictive-coding".to_owned(),
        )
        .into());
    }
    let of_units = (1..network.depth()).any(|layer| network.unit_precision::<f64>(layer).is_some());
    if of_units || network.feedback() != FeedbackKind::Tied {
        return Err(AssembleError::Misfit(
            "--eq17 is worked out for tied feedback and one precision per layer, which is not learned".to_owned(),
        )
        .into());
    }
    if config.inference.variables != Variables::State || assemble::numerics(config).acts() {
        return Err(AssembleError::Misfit(
            "--eq17 is worked out for states in full precision: leave out inference.variables and [numerics]"
                .to_owned(),
        )
        .into());
    }
    let splits = assemble::data(config, &network)?;
    let count = config.data.batch_size.min(splits.train.len());
    let batch = splits.train.batch::<f64>(&(0..count).collect::<Vec<_>>());
    let weights = network.initial_weights::<f64>(config.model.init, config.seed);
    let exact = backprop::gradient(&network, &weights, &batch.0, &batch.1).parameters;
    let tolerance = config.inference.tolerance;
    let limits = if tolerance > 0.0 { assemble::limits(config) } else { Limits::tolerance(LIMITS.0, LIMITS.1) };
    let mut rows = Vec::new();
    for nudge in [1.0, 0.5, 0.25].map(|part| part * config.learning.nudge) {
        for (name, nudging) in
            [("one-sided", Nudging::OneSided), ("symmetric", Nudging::Symmetric), ("richardson", Nudging::Richardson)]
        {
            let plan = Plan::named(RuleName::PcNudge, &network, nudge, nudging, FreePhase::Forward)
                .map_err(AssembleError::from)?
                .ok_or(CompareError::NoRule)?;
            let run = run(config, &network, &weights, &batch, &plan, limits);
            let row = |estimate, numbers: &Weights<f64>| {
                let (layers, whole) = closeness(numbers, &exact);
                let layers = layers.iter().map(|layer| layer.relative_distance).collect();
                Row { nudge, estimate, layers, whole: whole.relative_distance, stop_reason: run.reason }
            };
            rows.push(row(name, &run.estimate));
            if nudging == Nudging::OneSided {
                let hidden = ..network.depth();
                let states = (&run.free[hidden], &run.nudged[hidden]);
                rows.push(row("eq17", &eq17::corrected(&network, &weights, &batch.1, states, nudge)));
            }
        }
    }
    Ok(rows)
}

struct Run {
    estimate: Weights<f64>,
    free: Vec<Field<f64>>,
    nudged: Vec<Field<f64>>,
    reason: StopReason,
}

fn run(
    config: &Config,
    network: &NetworkSpec,
    weights: &Weights<f64>,
    batch: &(Field<f64>, Field<f64>),
    plan: &Plan,
    limits: Limits,
) -> Run {
    let rate = config.inference.activity_lr;
    let mut reference = Synchronous::new(network, weights.clone(), rate, assemble::optimizer(config));
    reference.present(&batch.0, &batch.1);
    let (mut free, mut reason) = (Vec::new(), StopReason::Wave);
    for (index, phase) in plan.phases.iter().enumerate() {
        reason = reference.run_phase(phase, limits).reason;
        if phase.coefficient != 0.0 {
            reference.collect(plan, index);
        }
        if index == 0 {
            free = reference.states();
        }
    }
    Run { estimate: reference.estimate(), free, nudged: reference.states(), reason }
}
