//! Random networks and batches, and the same plan run by different machines.

use std::time::Duration;

use asynapse::energy::{Activation, Loss};
use asynapse::engine::{Engine, EngineSettings, Schedule};
use asynapse::math::optimizer::{OptimizerKind, OptimizerSpec};
use asynapse::math::random::{Purpose, Stream};
use asynapse::math::{Field, Numerics, Real};
use asynapse::network::{Init, NetworkSpec, Weights};
use asynapse::reference::Synchronous;
use asynapse::rule::{FreePhase, Nudging, Plan, RuleName};
use asynapse::settling::{Limits, PhaseRecord};
use asynapse::signal::{Extract, Message, Wanted};
use ndarray::Array2;

pub(crate) const RATE: f64 = 0.1;

pub(crate) fn spec(widths: &[usize], activation: Activation, loss: Loss) -> NetworkSpec {
    NetworkSpec::new(widths, activation, loss).expect("a valid network")
}

pub(crate) fn adam() -> OptimizerSpec {
    OptimizerSpec { kind: OptimizerKind::Adam, rate: 1e-2, ..OptimizerSpec::sgd(0.0) }
}

pub(crate) fn settings(schedule: Schedule, threads: usize, message: Message) -> EngineSettings {
    EngineSettings {
        schedule,
        threads,
        message,
        rate: RATE,
        optimizer: adam(),
        numerics: Numerics::default(),
        stall: Duration::from_secs(20),
    }
}

/// Standard-normal data and one-hot targets.
pub(crate) fn batch<T: Real>(network: &NetworkSpec, size: usize, seed: u64) -> (Field<T>, Field<T>) {
    let mut stream = Stream::new(seed, Purpose::Trial, 77);
    let (inputs, outputs) = (network.widths()[0], network.widths()[network.depth()]);
    let data = Array2::from_shape_simple_fn((inputs, size), || T::of(stream.normal()));
    let mut target = Array2::zeros((outputs, size));
    for sample in 0..size {
        target[[stream.below(outputs), sample]] = T::one();
    }
    (data, target)
}

pub(crate) fn weights<T: Real>(network: &NetworkSpec, seed: u64) -> Weights<T> {
    network.initial_weights(Init::TorchLinear, seed)
}

/// One training step of the synchronous reference.
pub(crate) fn reference_step<T: Real>(
    reference: &mut Synchronous<T>,
    plan: &Plan,
    limits: Limits,
    (data, target): &(Field<T>, Field<T>),
) -> Vec<PhaseRecord> {
    reference.present(data, target);
    let mut records = Vec::new();
    for (index, phase) in plan.phases.iter().enumerate() {
        records.push(reference.run_phase(phase, limits));
        if phase.coefficient != 0.0 {
            reference.collect(plan, index);
        }
    }
    records
}

/// The same by actors.
pub(crate) fn engine_step<T: Real>(
    engine: &mut Engine<T>,
    plan: &Plan,
    limits: Limits,
    (data, target): &(Field<T>, Field<T>),
) -> Vec<PhaseRecord> {
    engine.present(data, target).expect("present");
    let mut records = Vec::new();
    for (index, phase) in plan.phases.iter().enumerate() {
        records.push(engine.run_phase(phase, limits).expect("phase"));
        if phase.coefficient != 0.0 {
            engine.collect(plan, index).expect("collect");
        }
    }
    records
}

pub(crate) fn engine_weights<T: Real>(engine: &mut Engine<T>) -> Weights<T> {
    let extracts = engine.extract(Wanted::Weights).expect("weights");
    extracts.into_iter().filter_map(|e| if let Extract::Weights(p, _) = e { Some(p) } else { None }).collect()
}

pub(crate) fn engine_estimate<T: Real>(engine: &mut Engine<T>) -> Weights<T> {
    let extracts = engine.extract(Wanted::Estimate).expect("estimate");
    extracts.into_iter().filter_map(|e| if let Extract::Estimate(p) = e { Some(p) } else { None }).collect()
}

pub(crate) fn engine_states<T: Real>(engine: &mut Engine<T>) -> Vec<Field<T>> {
    let extracts = engine.extract(Wanted::State).expect("states");
    extracts.into_iter().filter_map(|e| if let Extract::State(x) = e { Some(x) } else { None }).collect()
}

/// ‖a − b‖ over all numbers of two sets of weights; `sign` −1 compares an estimate of −∂𝓛/∂W with a gradient.
pub(crate) fn distance<T: Real>(a: &Weights<T>, b: &Weights<T>, sign: f64) -> f64 {
    let numbers = |w: &Weights<T>| w.iter().flat_map(|p| p.numbers().map(Real::wide)).collect::<Vec<f64>>();
    numbers(a).iter().zip(numbers(b)).map(|(a, b)| (a * sign - b).powi(2)).sum::<f64>().sqrt()
}

pub(crate) fn norm<T: Real>(a: &Weights<T>) -> f64 {
    a.iter().flat_map(|p| p.numbers()).map(|n| n.wide().powi(2)).sum::<f64>().sqrt()
}

/// A one-sided plan.
pub(crate) fn plan(rule: RuleName, network: &NetworkSpec, nudge: f64, free: FreePhase) -> Plan {
    Plan::named(rule, network, nudge, Nudging::OneSided, free).expect("a plan").expect("phases")
}
