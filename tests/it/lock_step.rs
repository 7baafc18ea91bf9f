//! Oracle: another schedule. Layers that are actors against the synchronous program, bit for bit.

use asynapse::energy::{Activation, Loss};
use asynapse::engine::{Engine, Schedule};
use asynapse::math::Real;
use asynapse::network::NetworkSpec;
use asynapse::reference::Synchronous;
use asynapse::rule::{FreePhase, Plan, RuleName};
use asynapse::settling::{Limits, StopReason};
use asynapse::signal::Message;

use crate::common::RATE;
use crate::common::{adam, batch, engine_states, engine_step, engine_weights, reference_step, settings, spec, weights};

struct Case {
    network: NetworkSpec,
    plan: Plan,
    limits: Limits,
    batches: Vec<usize>,
    steps: usize,
    threads: usize,
    seed: u64,
}

fn agree_bit_for_bit<T: Real>(case: &Case) {
    let initial = weights::<T>(&case.network, case.seed);
    let mut reference = Synchronous::new(&case.network, initial.clone(), RATE, adam());
    let chosen = settings(Schedule::LockStep, case.threads, Message::ErrorEcho);
    let mut engine = Engine::new(&case.network, initial, chosen).expect("engine");
    for step in 0..case.steps {
        let sample = batch::<T>(&case.network, case.batches[step % case.batches.len()], case.seed * 1000 + step as u64);
        let expected = reference_step(&mut reference, &case.plan, case.limits, &sample);
        let records = engine_step(&mut engine, &case.plan, case.limits, &sample);
        for (expected, record) in expected.iter().zip(&records) {
            assert_eq!((expected.reason, expected.steps()), (record.reason, record.steps()), "step {step}");
            assert_eq!(expected.energy().to_bits(), record.energy().to_bits(), "energy at step {step}");
            assert_eq!(expected.residual().to_bits(), record.residual().to_bits(), "residual at step {step}");
            assert_eq!(expected.score(), record.score(), "score at step {step}");
        }
        assert_eq!(reference.states(), engine_states(&mut engine), "states at step {step}");
        reference.learn();
        engine.learn().expect("learn");
    }
    assert!(*reference.weights() == engine_weights(&mut engine), "final weights");
}

fn nudge(network: &NetworkSpec, free: FreePhase) -> Plan {
    crate::common::plan(RuleName::PcNudge, network, 0.05, free)
}

#[test]
fn final_weights_are_the_references_after_1000_steps() {
    for (seed, threads) in [(1, 1), (2, 2)] {
        let network = spec(&[12, 10, 8, 4], Activation::Relu, Loss::CrossEntropy);
        let plan = nudge(&network, FreePhase::Forward);
        let case = Case { plan, network, limits: Limits::steps(20), batches: vec![16], steps: 1000, threads, seed };
        agree_bit_for_bit::<f32>(&case);
    }
}

#[test]
fn every_activation_loss_rule_and_number_type_agrees() {
    for (seed, activation) in (10..).zip(Activation::ALL) {
        for loss in [Loss::CrossEntropy, Loss::SquaredError] {
            for rule in [RuleName::PcNudge, RuleName::PcClamped] {
                let mut network = spec(&[7, 9, 6, 5, 3], activation, loss);
                network = network.with_precision(&[0.5, 2.0, 1.0, 0.7]).expect("precisions");
                if loss == Loss::SquaredError {
                    network = network.with_output(Activation::Tanh).expect("an output activation");
                }
                let plan = crate::common::plan(rule, &network, 0.1, FreePhase::Relax);
                let limits = Limits { steps_max: 60, tolerance: 1e-4, check_every: 7, plateau: 1e-9 };
                let case = Case { plan, network, limits, batches: vec![5, 1, 16, 33], steps: 8, threads: 2, seed };
                agree_bit_for_bit::<f32>(&case);
                agree_bit_for_bit::<f64>(&case);
            }
        }
    }
}

/// A network of two layers has no hidden state; everything still has to run.
#[test]
fn the_smallest_network_agrees() {
    let network = spec(&[5, 3], Activation::Tanh, Loss::CrossEntropy);
    let plan = nudge(&network, FreePhase::Forward);
    let case = Case { plan, network, limits: Limits::steps(3), batches: vec![4], steps: 20, threads: 1, seed: 3 };
    agree_bit_for_bit::<f64>(&case);
}

/// The detector of divergence fires in both at the same step and names the same layer, and not below the border.
#[test]
fn a_rate_beyond_the_border_is_called_diverged_by_both_and_never_settled() {
    let network = spec(&[6, 8, 8, 3], Activation::Identity, Loss::SquaredError);
    let plan = crate::common::plan(RuleName::PcClamped, &network, 1.0, FreePhase::Forward);
    let sample = batch::<f64>(&network, 4, 9);
    for (rate, expected) in [(0.1, StopReason::Settled), (5.0, StopReason::Diverged)] {
        let limits = Limits { steps_max: 20_000, tolerance: 1e-9, check_every: 10, plateau: 0.0 };
        let mut reference = Synchronous::new(&network, weights(&network, 4), rate, adam());
        let records = reference_step(&mut reference, &plan, limits, &sample);
        let chosen = asynapse::engine::EngineSettings { rate, ..settings(Schedule::LockStep, 1, Message::ErrorEcho) };
        let mut engine = Engine::new(&network, weights(&network, 4), chosen).expect("engine");
        let by_actors = engine_step(&mut engine, &plan, limits, &sample);
        assert_eq!(records[1].reason, expected, "rate {rate}");
        assert_eq!((by_actors[1].reason, by_actors[1].steps()), (expected, records[1].steps()));
        assert_eq!(by_actors[1].bad(), records[1].bad());
    }
}
