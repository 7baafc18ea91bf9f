//! Weights that move during the nudged phase. Oracles: equilibrium propagation, whose estimate the steps add up to as the learning
//! rate goes to zero, with the first power of it; the synchronous program, bit for bit.

use asynapse::data::dataset::{Sizes, generated};
use asynapse::energy::{Activation, EnergyKind, Loss};
use asynapse::engine::{Engine, EngineSettings, Schedule};
use asynapse::math::Real;
use asynapse::math::optimizer::{OptimizerKind, OptimizerSpec};
use asynapse::network::{Feedback, FeedbackKind, Init, NetworkSpec, Weights};
use asynapse::reference::Synchronous;
use asynapse::rule::{FreePhase, Nudging, Plan, RuleName};
use asynapse::settling::Limits;
use asynapse::signal::Message;

use crate::common::{
    RATE, batch, distance, engine_estimate, engine_states, engine_step, engine_weights, norm, reference_step, settings,
    spec, weights,
};

fn hopfield(rho: Activation) -> NetworkSpec {
    spec(&[6, 8, 7, 4], rho, Loss::SquaredError).with_energy(EnergyKind::Hopfield).expect("bounded")
}

fn plan(network: &NetworkSpec, beta: f64, nudging: Nudging, free: FreePhase) -> Plan {
    Plan::named(RuleName::Ep, network, beta, nudging, free).expect("a plan").expect("phases")
}

fn continual(network: &NetworkSpec, beta: f64, nudging: Nudging, free: FreePhase) -> Plan {
    plan(network, beta, nudging, free)
        .continually(RuleName::Ep, network, &OptimizerSpec::sgd(0.1))
        .expect("a continual plan")
}

/// Sum of all moves of the weights, divided by η: W_after − W_before.
fn moved(before: &Weights<f64>, after: &Weights<f64>, rate: f64) -> Weights<f64> {
    let mut moved = after.clone();
    for (moved, before) in moved.iter_mut().zip(before) {
        moved.weights -= &before.weights;
        moved.weights /= rate;
        moved.bias.iter_mut().zip(&before.bias).for_each(|(m, b)| *m = (*m - b) / rate);
    }
    moved
}

#[test]
fn the_moves_add_up_to_the_estimate_of_equilibrium_propagation_as_the_rate_goes_to_zero() {
    for (nudging, rho) in [(Nudging::OneSided, Activation::Sigmoid), (Nudging::Negative, Activation::Tanh)] {
        let network = hopfield(rho);
        let (w, sample) = (weights::<f64>(&network, 5), batch::<f64>(&network, 6, 5));
        let limits = Limits::tolerance(1e-13, 100_000);
        let mut at_end = Synchronous::new(&network, w.clone(), RATE, OptimizerSpec::sgd(0.1));
        reference_step(&mut at_end, &plan(&network, 0.3, nudging, FreePhase::Relax), limits, &sample);
        let expected = at_end.estimate();
        let error = |rate: f64| {
            let plan = continual(&network, 0.3, nudging, FreePhase::Relax);
            let mut reference = Synchronous::new(&network, w.clone(), RATE, OptimizerSpec::sgd(rate));
            reference_step(&mut reference, &plan, limits, &sample);
            let (sum, weights) = (reference.estimate(), reference.weights().clone());
            reference.learn();
            assert!(weights == *reference.weights(), "they have moved already");
            let told = distance(&moved(&w, &weights, rate), &sum, 1.0) / norm(&sum);
            assert!(told < 1e-12 / rate, "the estimate is what the weights have moved by: {told}");
            distance(&sum, &expected, 1.0) / norm(&expected)
        };
        assert!(error(1e-9) < 1e-7, "{nudging:?}: {}", error(1e-9));
        let errors = [1e-2, 5e-3, 2.5e-3].map(error);
        let order = (errors[0] / errors[2]).log2() / 2.0;
        assert!((order - 1.0).abs() < 0.1 && errors[0] > 1e-6, "{nudging:?}: order {order}, {errors:?}");
    }
}

fn bits_agree<T: Real>(network: &NetworkSpec, free: FreePhase, limits: Limits) {
    let optimizer = OptimizerSpec::sgd(0.05);
    let plan = continual(network, 0.4, Nudging::OneSided, free);
    let mut reference = Synchronous::new(network, weights::<T>(network, 7), RATE, optimizer);
    let chosen = EngineSettings { optimizer, ..settings(Schedule::LockStep, 2, Message::ErrorEcho) };
    let mut engine = Engine::new(network, weights::<T>(network, 7), chosen).expect("engine");
    let initial = weights::<T>(network, 7);
    for (step, size) in [4, 4, 1, 9].into_iter().enumerate() {
        let sample = batch::<T>(network, size, step as u64);
        let expected = reference_step(&mut reference, &plan, limits, &sample);
        let records = engine_step(&mut engine, &plan, limits, &sample);
        for (expected, record) in expected.iter().zip(&records) {
            assert_eq!((expected.reason, expected.steps()), (record.reason, record.steps()), "step {step}");
            assert_eq!(expected.residual().to_bits(), record.residual().to_bits(), "step {step}");
            assert_eq!(expected.energy().to_bits(), record.energy().to_bits(), "step {step}");
        }
        assert_eq!(reference.states(), engine_states(&mut engine), "step {step}");
        assert!(reference.estimate() == engine_estimate(&mut engine), "estimate of step {step}");
        reference.learn();
        engine.learn().expect("learn");
        assert!(*reference.weights() == engine_weights(&mut engine), "weights after step {step}");
    }
    assert!(*reference.weights() != initial, "something was learnt");
}

#[test]
fn layers_agree_with_the_synchronous_program_bit_for_bit() {
    for (rho, free) in [(Activation::HardSigmoid, FreePhase::Persistent), (Activation::Tanh, FreePhase::Relax)] {
        for limits in [Limits::steps(25), Limits { steps_max: 90, tolerance: 1e-4, check_every: 7, plateau: 1e-9 }] {
            let tied = hopfield(rho);
            let feedback = Feedback { kind: FeedbackKind::SignSymmetric, init: Init::Xavier, seed: 4 };
            for network in [tied.clone(), tied.with_feedback(feedback)] {
                bits_agree::<f32>(&network, free, limits);
                bits_agree::<f64>(&network, free, limits);
            }
        }
    }
}

/// Differences of a layer's own successive moments telescope too, whatever the order in which signals come.
#[test]
fn free_running_the_moves_add_up_to_the_estimate_as_well() {
    let network = hopfield(Activation::Sigmoid);
    let limits = Limits::tolerance(1e-10, 1_000_000);
    for seed in 0..10 {
        let (w, sample) = (weights::<f64>(&network, seed), batch::<f64>(&network, 4, seed));
        let mut at_end = Synchronous::new(&network, w.clone(), RATE, OptimizerSpec::sgd(0.1));
        let ordinary = plan(&network, 0.3, Nudging::OneSided, FreePhase::Relax);
        reference_step(&mut at_end, &ordinary, Limits::tolerance(1e-12, 100_000), &sample);
        for threads in [1, 2] {
            let optimizer = OptimizerSpec::sgd(1e-8);
            let chosen = EngineSettings { optimizer, ..settings(Schedule::FreeRunning, threads, Message::ErrorEcho) };
            let mut engine = Engine::new(&network, w.clone(), chosen).expect("engine");
            let plan = continual(&network, 0.3, Nudging::OneSided, FreePhase::Relax);
            engine_step(&mut engine, &plan, limits, &sample);
            let found = engine_estimate(&mut engine);
            let far = distance(&found, &at_end.estimate(), 1.0) / norm(&found);
            assert!(far < 1e-5, "seed {seed}, {threads} threads: {far}");
            engine.learn().expect("learn");
            let after = engine_weights(&mut engine);
            let told = distance(&moved(&w, &after, 1e-8), &found, 1.0) / norm(&found);
            assert!(told < 1e-4, "the weights have moved by the estimate: {told}");
        }
    }
}

/// With a rate at which the moves stay small against the states' own: at 0.1 this network learns by `ep` and not continually.
#[test]
fn it_learns_digits() {
    let splits = generated(0, Sizes { train: 600, validation: 0, test: 200 });
    let network = spec(&[784, 32, 10], Activation::HardSigmoid, Loss::SquaredError)
        .with_energy(EnergyKind::Hopfield)
        .expect("bounded");
    let plan = continual(&network, 0.5, Nudging::OneSided, FreePhase::Relax);
    let mut reference = Synchronous::new(&network, weights::<f32>(&network, 0), 0.5, OptimizerSpec::sgd(0.02));
    let everything: Vec<usize> = (0..splits.test.len()).collect();
    let test = splits.test.batch::<f32>(&everything);
    let correct = |reference: &mut Synchronous<f32>| {
        reference.present(&test.0, &test.1);
        let record = reference.run_phase(&plan.phases[0], Limits::steps(20));
        record.score().expect("the output's score").correct
    };
    assert!(correct(&mut reference) < 60, "chance");
    for epoch in 0..10 {
        for samples in splits.train.order(true, 0, epoch).chunks(10) {
            reference_step(&mut reference, &plan, Limits::steps(15), &splits.train.batch(samples));
            reference.learn();
        }
    }
    let correct = correct(&mut reference);
    assert!(correct > 100, "{correct} of 200");
}

#[test]
fn what_has_no_meaning_is_refused() {
    let network = hopfield(Activation::Sigmoid);
    let sgd = OptimizerSpec::sgd(0.1);
    let refuse = |nudging, rule, optimizer: OptimizerSpec| {
        let plan = plan(&network, 0.1, nudging, FreePhase::Relax);
        plan.continually(rule, &network, &optimizer).expect_err("no plan").to_string()
    };
    assert!(refuse(Nudging::Symmetric, RuleName::Ep, sgd).contains("one-sided or negative"));
    assert!(refuse(Nudging::Richardson, RuleName::Ep, sgd).contains("one-sided or negative"));
    assert!(refuse(Nudging::OneSided, RuleName::Chl, sgd).contains("rule ep"));
    let adam = OptimizerSpec { kind: OptimizerKind::Adam, ..sgd };
    assert!(refuse(Nudging::OneSided, RuleName::Ep, adam).contains("sgd"));
    let decaying = OptimizerSpec { weight_decay: 0.1, ..sgd };
    assert!(refuse(Nudging::OneSided, RuleName::Ep, decaying).contains("weight_decay"));
}
