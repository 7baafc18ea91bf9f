//! The programs that can make a training step, behind one face: actors in lock-step, actors free-running, layers in virtual time,
//! the synchronous reference, and backpropagation. A user compares them by changing one key.

mod stored;

use crate::energy::Score;
use crate::engine::afar::Distant;
use crate::engine::virtual_time::VirtualNetwork;
use crate::engine::virtual_time::links::Tally;
use crate::engine::virtual_time::record::EventLog;
use crate::engine::{Engine, EngineError, Traffic};
use crate::math::{Field, Real};
use crate::network::{NetworkSpec, Parameters, Weights};
use crate::reference::{Baseline, Synchronous, backprop};
use crate::rule::{Plan, PlannedPhase};
use crate::settling::{Limits, PhaseRecord, StopReason};
use crate::signal::{BadNumber, Extract, Wanted};

/// One of the programs.
pub enum Machine<T: Real> {
    /// The synchronous program.
    Reference(Box<Synchronous<T>>),
    /// Layers as actors.
    Actors(Box<Engine<T>>),
    /// Layers in virtual time.
    Virtual(Box<VirtualNetwork<T>>),
    /// The same with layers in processes of their own.
    Apart(Box<VirtualNetwork<T, Distant<T>>>),
    /// The baseline.
    Backprop(Box<Baseline<T>>),
}

impl<T: Real> Machine<T> {
    /// The end of the work, said to processes that run layers.
    pub fn dismiss(self) {
        match self {
            Self::Actors(engine) => engine.dismiss(),
            Self::Apart(network) => network.dismiss(),
            Self::Reference(_) | Self::Virtual(_) | Self::Backprop(_) => {}
        }
    }
}

/// Why a step could not be made.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Processes could not be brought to work together.
    #[cfg(unix)]
    #[error(transparent)]
    Process(#[from] crate::process::ProcessError),
    /// This system has no Unix sockets and process groups.
    #[error("workers above 1 need a Unix system")]
    NoProcesses,
    /// A number was not finite; no weight was changed by this step.
    #[error(
        "layer {layer}, unit {}: a number is not finite at inference step {} of phase {phase}; \
         choose a smaller inference.activity_lr or learning.param_lr", .bad.unit, .bad.step
    )]
    NotFinite {
        /// Which phase of the plan, counted from 0.
        phase: usize,
        /// The layer where it came up first.
        layer: usize,
        /// The unit and the step.
        bad: BadNumber,
    },
    /// Actors and the reference run phases; without a plan there are none.
    #[error("no phases were planned")]
    NoPlan,
    /// The loss of plain backpropagation is not finite; no weight was changed by this step.
    #[error("the loss is {0}; choose a smaller learning.param_lr")]
    Loss(f64),
}

/// What a training step did.
#[derive(Clone, Debug)]
pub struct StepRecord<T> {
    /// Loss (sum over the batch) and accuracy in the free phase, before the update.
    pub score: Score,
    /// One per phase; none for backpropagation.
    pub phases: Vec<PhaseRecord>,
    /// The estimate of −∂𝓛/∂W, if it was asked for.
    pub estimate: Option<Weights<T>>,
}

/// How a step is made.
#[derive(Clone, Copy, Debug)]
pub struct Procedure<'a> {
    /// The phases; backpropagation has none.
    pub plan: Option<&'a Plan>,
    /// What ends them.
    pub limits: Limits,
}

/// What a step is for, besides running the phases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Update the weights.
    Learn,
    /// Update the weights and hand out the estimate.
    LearnAndShow,
    /// Hand out the estimate; leave the weights.
    Show,
}

impl<T: Real> Machine<T> {
    /// One training step.
    pub fn step(
        &mut self,
        batch: (&Field<T>, &Field<T>),
        procedure: Procedure<'_>,
        purpose: Purpose,
    ) -> Result<StepRecord<T>, StepError> {
        self.step_seen(batch, procedure, purpose, &mut |_, _| Ok(()))
    }

    /// One training step in which somebody looks at the machine after every phase, which is counted from 0. Backpropagation has
    /// no phases and shows nothing.
    pub fn step_seen(
        &mut self,
        (data, target): (&Field<T>, &Field<T>),
        procedure: Procedure<'_>,
        purpose: Purpose,
        see: &mut dyn FnMut(usize, &mut Self) -> Result<(), StepError>,
    ) -> Result<StepRecord<T>, StepError> {
        if let Self::Backprop(baseline) = self {
            return backprop_step(baseline, data, target, purpose);
        }
        self.present(data, target)?;
        let mut phases = Vec::new();
        let Some(plan) = procedure.plan else { return Err(StepError::NoPlan) };
        for (index, planned) in plan.phases.iter().enumerate() {
            let record = self.run_phase(planned, procedure.limits)?;
            // An energy that rose is recorded and learnt from, as the published programs do; there is no learning from NaN.
            if let Some((layer, bad)) = record.bad() {
                return Err(StepError::NotFinite { phase: index, layer, bad });
            }
            phases.push(record);
            if planned.coefficient != 0.0 {
                self.collect(plan, index)?;
            }
            see(index, self)?;
        }
        let score = phases.first().and_then(PhaseRecord::score).unwrap_or_default();
        let estimate = if purpose == Purpose::Learn { None } else { Some(self.estimate()?) };
        if purpose != Purpose::Show {
            self.learn()?;
        }
        Ok(StepRecord { score, phases, estimate })
    }

    /// Loss and accuracy of a batch, without learning.
    pub fn evaluate(
        &mut self,
        (data, target): (&Field<T>, &Field<T>),
        network: &NetworkSpec,
        procedure: Procedure<'_>,
    ) -> Result<Score, StepError> {
        if let Self::Backprop(baseline) = self {
            let currents = backprop::forward(network, baseline.weights(), data);
            let output = network.activation(network.depth());
            return Ok(currents.last().map(|top| network.loss().score(output, top, target)).unwrap_or_default());
        }
        let free = procedure.plan.and_then(|plan| plan.phases.first()).ok_or(StepError::NoPlan)?;
        self.present(data, target)?;
        let record = self.run_phase(free, procedure.limits)?;
        Ok(record.score().unwrap_or_default())
    }

    /// The number of the next batch, which noise is a function of; without it batches are numbered from 1.
    pub fn number(&mut self, batch: u64) -> Result<(), StepError> {
        match self {
            Self::Reference(reference) => reference.number(batch),
            Self::Actors(engine) => engine.number(batch)?,
            Self::Virtual(network) => network.number(batch)?,
            Self::Apart(network) => network.number(batch)?,
            // It has neither states nor signals.
            Self::Backprop(_) => {}
        }
        Ok(())
    }

    /// A new batch.
    pub(super) fn present(&mut self, data: &Field<T>, target: &Field<T>) -> Result<(), StepError> {
        match self {
            Self::Reference(reference) => reference.present(data, target),
            Self::Actors(engine) => engine.present(data, target)?,
            Self::Virtual(network) => network.present(data, target)?,
            Self::Apart(network) => network.present(data, target)?,
            Self::Backprop(_) => {}
        }
        Ok(())
    }

    /// One phase to its end.
    pub(super) fn run_phase(&mut self, planned: &PlannedPhase, limits: Limits) -> Result<PhaseRecord, StepError> {
        Ok(match self {
            Self::Reference(reference) => reference.run_phase(planned, limits),
            Self::Actors(engine) => engine.run_phase(planned, limits)?,
            Self::Virtual(network) => network.run_phase(planned, limits)?,
            Self::Apart(network) => network.run_phase(planned, limits)?,
            Self::Backprop(_) => PhaseRecord { reason: StopReason::Wave, reports: Vec::new() },
        })
    }

    /// Adds phase `index` of a plan to the estimate.
    pub(super) fn collect(&mut self, plan: &Plan, index: usize) -> Result<(), StepError> {
        match self {
            Self::Reference(reference) => reference.collect(plan, index),
            Self::Actors(engine) => engine.collect(plan, index)?,
            Self::Virtual(network) => network.collect(plan, index)?,
            Self::Apart(network) => network.collect(plan, index)?,
            Self::Backprop(_) => {}
        }
        Ok(())
    }

    fn learn(&mut self) -> Result<(), StepError> {
        match self {
            Self::Reference(reference) => reference.learn(),
            Self::Actors(engine) => engine.learn()?,
            Self::Virtual(network) => network.learn()?,
            Self::Apart(network) => network.learn()?,
            Self::Backprop(_) => {}
        }
        Ok(())
    }

    /// What was collected: −∂𝓛/∂W, batch mean.
    pub(super) fn estimate(&mut self) -> Result<Weights<T>, StepError> {
        if let Self::Reference(reference) = self {
            return Ok(reference.estimate());
        }
        let is_estimate = |extract| if let Extract::Estimate(parameters) = extract { Some(parameters) } else { None };
        Ok(self.extract(Wanted::Estimate)?.into_iter().filter_map(is_estimate).collect())
    }

    /// What every layer hands out; nothing where there are no layers.
    fn extract(&mut self, wanted: Wanted) -> Result<Vec<Extract<T>>, StepError> {
        match self {
            Self::Actors(engine) => Ok(engine.extract(wanted)?),
            Self::Virtual(network) => Ok(network.extract(wanted)?),
            Self::Apart(network) => Ok(network.extract(wanted)?),
            Self::Reference(_) | Self::Backprop(_) => Ok(Vec::new()),
        }
    }

    /// `x_0 … x_{L−1}` and `a_L`; empty for backpropagation, which keeps none.
    pub fn states(&mut self) -> Result<Vec<Field<T>>, StepError> {
        if let Self::Reference(reference) = self {
            return Ok(reference.states());
        }
        let is_state = |extract| if let Extract::State(state) = extract { Some(state) } else { None };
        Ok(self.extract(Wanted::State)?.into_iter().filter_map(is_state).collect())
    }

    /// Keys what is drawn in virtual time from now on by the number of the batch, so that a resumed run draws what it would have drawn.
    pub fn count_batches_from(&mut self, batch: u64) {
        match self {
            Self::Virtual(network) => network.set_batches(batch),
            Self::Apart(network) => network.set_batches(batch),
            Self::Reference(_) | Self::Actors(_) | Self::Backprop(_) => {}
        }
    }

    /// Logs every event from now on, if there are any; otherwise the log comes back.
    pub(super) fn log_to(&mut self, log: EventLog) -> Option<EventLog> {
        match self {
            Self::Virtual(network) => network.log_to(log),
            Self::Apart(network) => network.log_to(log),
            Self::Reference(_) | Self::Actors(_) | Self::Backprop(_) => return Some(log),
        }
        None
    }

    /// Takes the log out, to be finished.
    pub(super) fn take_log(&mut self) -> Option<EventLog> {
        match self {
            Self::Virtual(network) => network.take_log(),
            Self::Apart(network) => network.take_log(),
            Self::Reference(_) | Self::Actors(_) | Self::Backprop(_) => None,
        }
    }

    /// Groups of neurons and what passed between them so far, where layers are cut.
    pub fn traffic(&self) -> Option<Traffic> {
        match self {
            Self::Actors(engine) => engine.traffic(),
            Self::Virtual(network) => network.traffic(),
            Self::Apart(network) => network.traffic(),
            Self::Reference(_) | Self::Backprop(_) => None,
        }
    }

    /// What has happened on every link in virtual time, by the numbers of nodes; nothing elsewhere.
    pub fn tallies(&self) -> Vec<((usize, usize), Tally)> {
        match self {
            Self::Virtual(network) => network.tallies(),
            Self::Apart(network) => network.tallies(),
            Self::Reference(_) | Self::Actors(_) | Self::Backprop(_) => Vec::new(),
        }
    }
}

fn backprop_step<T: Real>(
    baseline: &mut Baseline<T>,
    data: &Field<T>,
    target: &Field<T>,
    purpose: Purpose,
) -> Result<StepRecord<T>, StepError> {
    let gradient = baseline.gradient(data, target);
    if !gradient.score.loss.is_finite() {
        return Err(StepError::Loss(gradient.score.loss));
    }
    let minus = |parameters: &Parameters<T>| Parameters {
        weights: parameters.weights.mapv(|g| -g),
        bias: parameters.bias.iter().map(|&g| -g).collect(),
    };
    let estimate = (purpose != Purpose::Learn).then(|| gradient.parameters.iter().map(minus).collect());
    if purpose != Purpose::Show {
        baseline.learn(&gradient);
    }
    Ok(StepRecord { score: gradient.score, phases: Vec::new(), estimate })
}

/// How close an estimate of −∂𝓛/∂W is to a gradient.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Closeness {
    /// Cosine of the angle between them.
    pub cosine: f64,
    /// ‖estimate − gradient‖ / ‖gradient‖.
    pub relative_distance: f64,
    /// ‖estimate − gradient‖.
    pub distance: f64,
}

/// Closeness for every layer's weights, then over all parameters. `estimate` has the sign of −gradient.
pub fn closeness<T: Real>(estimate: &Weights<T>, gradient: &Weights<T>) -> (Vec<Closeness>, Closeness) {
    let mut all = [0.0_f64; 4];
    let of = |[dot, ee, gg, apart]: [f64; 4]| Closeness {
        cosine: dot / (ee.sqrt() * gg.sqrt()),
        relative_distance: apart.sqrt() / gg.sqrt(),
        distance: apart.sqrt(),
    };
    let layers = estimate
        .iter()
        .zip(gradient)
        .map(|(estimate, gradient)| {
            let mut sums = [0.0_f64; 4];
            for (e, g) in estimate.numbers().zip(gradient.numbers()) {
                let (e, g) = (-e.wide(), g.wide());
                for (sum, term) in sums.iter_mut().zip([e * g, e * e, g * g, (e - g) * (e - g)]) {
                    *sum += term;
                }
            }
            all.iter_mut().zip(sums).for_each(|(all, sum)| *all += sum);
            of(sums)
        })
        .collect();
    (layers, of(all))
}
