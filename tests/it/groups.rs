//! Layers cut into groups of neurons, down to single ones. Oracles: the synchronous program with shares added in the same order
//! (bits), and the network that is not cut (rounding).

use asynapse::energy::{Activation, EnergyKind, Loss};
use asynapse::engine::{Engine, EngineError, Schedule};
use asynapse::math::Real;
use asynapse::network::{Grouping, NetworkSpec};
use asynapse::reference::Synchronous;
use asynapse::rule::{FreePhase, Plan, RuleName};
use asynapse::settling::{Limits, PhaseRecord};
use asynapse::signal::{Message, Wanted};

use crate::common::{
    RATE, adam, batch, distance, engine_states, engine_step, engine_weights, norm, plan, reference_step, settings,
    spec, weights,
};

const STEPS: usize = 6;

pub(crate) fn cases() -> Vec<(NetworkSpec, Plan)> {
    let coding = |activation, loss| spec(&[7, 9, 8, 5], activation, loss);
    let energy = |kind| {
        let network = spec(&[7, 9, 6, 4], Activation::Sigmoid, Loss::SquaredError);
        network.with_energy(kind).expect("an energy")
    };
    let mut cases = Vec::new();
    for rule in [RuleName::PcNudge, RuleName::PcClamped, RuleName::FirstStep] {
        let network = coding(Activation::Relu, Loss::CrossEntropy);
        cases.push((network.clone(), plan(rule, &network, 0.1, FreePhase::Forward)));
    }
    let network = coding(Activation::Tanh, Loss::SquaredError);
    cases.push((network.clone(), plan(RuleName::PcNudge, &network, 0.1, FreePhase::Relax)));
    for (kind, rule) in [(EnergyKind::Hopfield, RuleName::Ep), (EnergyKind::Rate, RuleName::Chl)] {
        let network = energy(kind);
        cases.push((network.clone(), plan(rule, &network, 0.1, FreePhase::Relax)));
    }
    cases
}

pub(crate) fn same_records(one: &[PhaseRecord], other: &[PhaseRecord], what: &str) {
    for (one, other) in one.iter().zip(other) {
        assert_eq!(one.reason, other.reason, "{what}");
        let bits = |record: &PhaseRecord| (record.steps(), record.residual().to_bits(), record.energy().to_bits());
        assert_eq!(bits(one), bits(other), "{what}");
    }
}

fn agrees<T: Real>(grouping: Grouping, size: usize, threads: usize, limits: Limits) {
    for (network, plan) in cases() {
        let what = format!("{network} {grouping:?} {:?}", network.energy());
        let cut = network.clone().with_groups(grouping);
        let w = weights::<T>(&network, 3);
        let mut reference = Synchronous::new(&cut, w.clone(), RATE, adam());
        let mut whole = Synchronous::new(&network, w.clone(), RATE, adam());
        let of = settings(Schedule::LockStep, threads, Message::ErrorEcho);
        let mut engine = Engine::new(&cut, w, of).expect("an engine");
        for step in 0..STEPS {
            let sample = batch::<T>(&network, size, step as u64);
            let records = reference_step(&mut reference, &plan, limits, &sample);
            same_records(&records, &engine_step(&mut engine, &plan, limits, &sample), &what);
            reference_step(&mut whole, &plan, limits, &sample);
            assert!(engine_states(&mut engine) == reference.states(), "{what}: states");
            engine.learn().expect("learn");
            reference.learn();
            whole.learn();
            assert!(engine_weights(&mut engine) == *reference.weights(), "{what}: weights after step {step}");
        }
        let apart = distance(reference.weights(), whole.weights(), 1.0) / norm(whole.weights());
        assert!(apart < 1e-3, "{what}: {apart} from the network that is not cut");
    }
}

#[test]
fn groups_are_bit_identical_to_the_reference_that_adds_shares_in_the_same_order() {
    let limits = Limits::steps(12);
    for grouping in [Grouping::Count(2), Grouping::Count(3), Grouping::Neuron] {
        agrees::<f32>(grouping, 5, 1, limits);
        agrees::<f64>(grouping, 1, 2, limits);
    }
}

#[test]
fn groups_settle_when_the_reference_does() {
    agrees::<f64>(Grouping::Count(3), 4, 2, Limits::tolerance(1e-4, 400));
}

#[test]
fn shares_change_the_rounding_and_nothing_else() {
    let network = spec(&[40, 30, 5], Activation::Tanh, Loss::CrossEntropy);
    let cut = network.clone().with_groups(Grouping::Count(7));
    let w = weights::<f64>(&network, 9);
    let sample = batch::<f64>(&network, 3, 9);
    let plan = plan(RuleName::PcNudge, &network, 0.01, FreePhase::Forward);
    let estimates = [&network, &cut].map(|network| {
        let mut reference = Synchronous::new(network, w.clone(), RATE, adam());
        reference_step(&mut reference, &plan, Limits::steps(30), &sample);
        reference.estimate()
    });
    let apart = distance(&estimates[0], &estimates[1], 1.0) / norm(&estimates[0]);
    assert!(apart > 0.0 && apart < 1e-12, "{apart}");
}

#[test]
fn a_cut_network_takes_the_weights_and_optimiser_states_of_a_whole_one() {
    let network = spec(&[7, 9, 8, 5], Activation::Tanh, Loss::CrossEntropy);
    let plan = plan(RuleName::PcNudge, &network, 0.1, FreePhase::Forward);
    let of = settings(Schedule::LockStep, 1, Message::ErrorEcho);
    let engine = |grouping| {
        let network = network.clone().with_groups(grouping);
        Engine::new(&network, weights::<f64>(&network, 1), of).expect("an engine")
    };
    let mut first = engine(Grouping::Count(3));
    for step in 0..3 {
        engine_step(&mut first, &plan, Limits::steps(5), &batch(&network, 4, step));
        first.learn().expect("learn");
    }
    let mut moved = first.extract(Wanted::Weights).expect("weights");
    moved.truncate(network.depth());
    let mut second = engine(Grouping::Count(3));
    second.install(moved).expect("it fits");
    for engine in [&mut first, &mut second] {
        engine_step(engine, &plan, Limits::steps(5), &batch(&network, 4, 8));
        engine.learn().expect("learn");
    }
    assert!(engine_weights(&mut first) == engine_weights(&mut second));
}

#[test]
fn what_groups_cannot_do_is_refused() {
    let network = spec(&[3, 4, 2], Activation::Tanh, Loss::CrossEntropy).with_groups(Grouping::Neuron);
    for message in [Message::ErrorEcho, Message::State] {
        let of = settings(Schedule::FreeRunning, 1, message);
        let refused = Engine::new(&network, weights::<f32>(&network, 1), of).err();
        assert!(matches!(refused, Some(EngineError::Echoes)), "{refused:?}");
    }
    let of = settings(Schedule::FreeRunning, 1, Message::Error);
    let mut engine = Engine::new(&network, weights::<f32>(&network, 1), of).expect("an engine");
    let plan = plan(RuleName::FirstStep, &network, 1.0, FreePhase::Forward);
    let (data, target) = batch(&network, 3, 1);
    engine.present(&data, &target).expect("present");
    let limits = Limits::steps(1);
    engine.run_phase(&plan.phases[0], limits).expect("a wave has no first arrival");
    let refused = engine.run_phase(&plan.phases[1], limits).err();
    assert!(matches!(refused, Some(EngineError::Partial)), "{refused:?}");
}
