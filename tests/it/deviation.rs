//! Deviation variables. Oracles: backpropagation, which λ → 0 is; the same network simulated in states, at λ where that has digits
//! left; the synchronous program, bit for bit.

use asynapse::energy::{Activation, EnergyKind, Loss};
use asynapse::engine::{Engine, Schedule};
use asynapse::math::Real;
use asynapse::network::{Feedback, FeedbackKind, Init, NetworkSpec, Parameters, Weights};
use asynapse::reference::{Synchronous, backprop};
use asynapse::rule::{FreePhase, Nudging, Plan, RuleName};
use asynapse::settling::{Limits, StopReason};
use asynapse::signal::Message;

use crate::common::{
    RATE, adam, batch, distance, engine_estimate, engine_states, engine_step, engine_weights, norm, reference_step,
    settings, spec, weights,
};

fn deviating(rule: RuleName, network: &NetworkSpec, nudge: f64, nudging: Nudging) -> Plan {
    Plan::in_deviations(rule, network, nudge, nudging, FreePhase::Forward).expect("a plan").expect("phases")
}

fn in_states(rule: RuleName, network: &NetworkSpec, nudge: f64, nudging: Nudging) -> Plan {
    Plan::named(rule, network, nudge, nudging, FreePhase::Forward).expect("a plan").expect("phases")
}

/// The synchronous estimate of −∂𝓛/∂W, settled.
fn estimate<T: Real>(network: &NetworkSpec, plan: &Plan, limits: Limits, seed: u64) -> Weights<T> {
    let sample = batch::<T>(network, 6, seed);
    let mut reference = Synchronous::new(network, weights(network, seed), RATE, adam());
    for record in reference_step(&mut reference, plan, limits, &sample) {
        assert!(matches!(record.reason, StopReason::Settled | StopReason::Wave), "{plan:?}: {:?}", record.reason);
    }
    reference.estimate()
}

/// Relative distance of an estimate of −∂𝓛/∂W from backpropagation in f64, per weight matrix.
fn errors<T: Real>(network: &NetworkSpec, found: &Weights<T>, seed: u64) -> Vec<f64> {
    let sample = batch::<f64>(network, 6, seed);
    // Weights and data of f32 are the rounded ones of f64; the gradient is taken at the rounded ones.
    let rounded = |number: f64| T::of(number).wide();
    let mut w = weights::<f64>(network, seed);
    for parameters in &mut w {
        parameters.weights.mapv_inplace(rounded);
        parameters.bias.iter_mut().for_each(|b| *b = rounded(*b));
    }
    let exact = backprop::gradient(network, &w, &sample.0.mapv(rounded), &sample.1).parameters;
    let apart = |(found, exact): (&Parameters<T>, &Parameters<f64>)| {
        let pairs = found.numbers().zip(exact.numbers());
        let (apart, size) = pairs.fold((0.0, 0.0), |(apart, size), (found, exact)| {
            (apart + (found.wide() + exact).powi(2), size + exact * exact)
        });
        (apart / size).sqrt()
    };
    found.iter().zip(&exact).map(apart).collect()
}

const SMOOTH: [Activation; 4] = [Activation::Tanh, Activation::Sigmoid, Activation::Softplus, Activation::Gelu];

#[test]
fn without_a_nudge_the_equilibrium_is_exact_backpropagation() {
    for (seed, activation) in (0..).zip(Activation::ALL) {
        for (loss, output) in [(Loss::CrossEntropy, Activation::Identity), (Loss::SquaredError, Activation::Tanh)] {
            for widths in [&[5, 4][..], &[6, 5, 4], &[6, 8, 7, 9, 6, 4]] {
                let network = spec(widths, activation, loss).with_output(output).expect("an output activation");
                let plan = deviating(RuleName::PcNudge, &network, 0.0, Nudging::OneSided);
                let found = estimate::<f64>(&network, &plan, Limits::tolerance(1e-14, 40_000), seed);
                for (l, error) in (1..).zip(errors(&network, &found, seed)) {
                    assert!(error < 1e-10, "{activation:?} {loss:?} {widths:?} W{l}: {error:e}");
                }
            }
        }
    }
}

#[test]
fn single_precision_serves_at_a_nudge_of_1e_8_and_not_in_states() {
    for (seed, activation) in (20..).zip(SMOOTH.into_iter().chain([Activation::Relu, Activation::HardSigmoid])) {
        let network = spec(&[8, 10, 9, 5], activation, Loss::CrossEntropy);
        for nudging in [Nudging::OneSided, Nudging::Negative, Nudging::Symmetric, Nudging::Richardson] {
            let plan = deviating(RuleName::PcNudge, &network, 1e-8, nudging);
            let found = estimate::<f32>(&network, &plan, Limits::tolerance(2e-6, 4000), seed);
            for (l, error) in (1..).zip(errors(&network, &found, seed)) {
                assert!(error < 1e-4, "{activation:?} {nudging:?} W{l}: {error:e}");
            }
        }
        let sample = batch::<f32>(&network, 6, seed);
        let mut reference = Synchronous::new(&network, weights(&network, seed), RATE, adam());
        let plan = in_states(RuleName::PcNudge, &network, 1e-8, Nudging::OneSided);
        reference_step(&mut reference, &plan, Limits::steps(4000), &sample);
        let plain = errors(&network, &reference.estimate(), seed)[0];
        assert!(plain > 0.5, "{activation:?}: states in f32 should have no digits left, error {plain:e}");
    }
}

#[test]
fn where_states_have_digits_left_both_find_the_same_estimate() {
    for (seed, activation) in (40..).zip(SMOOTH) {
        for (loss, output) in [(Loss::CrossEntropy, Activation::Identity), (Loss::SquaredError, Activation::Sigmoid)] {
            let network = spec(&[6, 8, 7, 4], activation, loss).with_output(output).expect("an output activation");
            let network = network.with_precision(&[0.5, 2.0, 0.7]).expect("precisions");
            for nudging in [Nudging::OneSided, Nudging::Negative, Nudging::Symmetric, Nudging::Richardson] {
                for nudge in [0.1, 0.01, 1e-3] {
                    let limits = Limits::tolerance(1e-12, 100_000);
                    let plan = deviating(RuleName::PcNudge, &network, nudge, nudging);
                    let found = estimate::<f64>(&network, &plan, limits, seed);
                    let limits = Limits::tolerance(3e-15, 100_000);
                    let plan = in_states(RuleName::PcNudge, &network, nudge, nudging);
                    let expected = estimate::<f64>(&network, &plan, limits, seed);
                    let apart = distance(&found, &expected, 1.0) / norm(&expected);
                    assert!(apart < 1e-9, "{activation:?} {loss:?} {nudging:?} λ = {nudge}: {apart:e}");
                }
            }
            let limits = Limits::tolerance(1e-12, 100_000);
            let [found, expected] = [deviating, in_states].map(|plan| {
                estimate::<f64>(&network, &plan(RuleName::PcClamped, &network, 1.0, Nudging::OneSided), limits, seed)
            });
            let apart = distance(&found, &expected, 1.0) / norm(&expected);
            assert!(apart < 1e-9, "{activation:?} {loss:?} clamped: {apart:e}");
        }
    }
}

/// States, scores and energies mean the same in both variables: x = x̄ + λu, and Ẽ = (E(x) − E(x̄))/λ².
#[test]
fn states_scores_and_energies_are_those_of_the_network() {
    let network = spec(&[6, 8, 7, 4], Activation::Tanh, Loss::CrossEntropy);
    let (nudge, limits) = (0.1, Limits::steps(37));
    let sample = batch::<f64>(&network, 6, 3);
    let run = |plan: &Plan| {
        let mut reference = Synchronous::new(&network, weights(&network, 3), RATE, adam());
        let records = reference_step(&mut reference, plan, limits, &sample);
        (reference.states(), records)
    };
    let (states, records) = run(&in_states(RuleName::PcNudge, &network, nudge, Nudging::OneSided));
    let (deviated, by_deviations) = run(&deviating(RuleName::PcNudge, &network, nudge, Nudging::OneSided));
    for (a, b) in states.iter().zip(&deviated) {
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-13), "{a} {b}");
    }
    let scores = [&records, &by_deviations].map(|records| records[1].score().expect("a score"));
    assert!((scores[0].loss - scores[1].loss).abs() < 1e-12 && scores[0].correct == scores[1].correct, "{scores:?}");
    let free = nudge * records[0].score().expect("a score").loss;
    let expected = (records[1].energy() - free) / (nudge * nudge);
    assert!((expected - by_deviations[1].energy()).abs() < 1e-10 * expected.abs(), "{expected}");
    assert!(expected < 0.0, "the energy has fallen");
    let ratio = records[1].residual() / by_deviations[1].residual();
    assert!((ratio / nudge - 1.0).abs() < 1e-9, "the residual is that of u: {ratio}");
}

fn lock_step_agrees<T: Real>(network: &NetworkSpec, plan: &Plan, seed: u64, threads: usize) {
    let limits = Limits { steps_max: 70, tolerance: 1e-5, check_every: 7, plateau: 1e-9 };
    let mut reference = Synchronous::new(network, weights::<T>(network, seed), RATE, adam());
    let chosen = settings(Schedule::LockStep, threads, Message::ErrorEcho);
    let mut engine = Engine::new(network, weights::<T>(network, seed), chosen).expect("engine");
    for (step, size) in [4, 4, 1, 9, 9].into_iter().enumerate() {
        let sample = batch::<T>(network, size, seed * 100 + step as u64);
        let expected = reference_step(&mut reference, plan, limits, &sample);
        let records = engine_step(&mut engine, plan, limits, &sample);
        for (expected, record) in expected.iter().zip(&records) {
            assert_eq!((expected.reason, expected.steps()), (record.reason, record.steps()), "{network} step {step}");
            assert_eq!(expected.energy().to_bits(), record.energy().to_bits(), "energy, {plan:?}, step {step}");
            assert_eq!(expected.residual().to_bits(), record.residual().to_bits(), "residual, {plan:?}, step {step}");
            assert_eq!(expected.score(), record.score());
        }
        assert!(reference.states() == engine_states(&mut engine), "states of {network}, {plan:?}, step {step}");
        assert!(reference.estimate() == engine_estimate(&mut engine), "estimates of {network}, {plan:?}, step {step}");
        reference.learn();
        engine.learn().expect("learn");
    }
    assert!(*reference.weights() == engine_weights(&mut engine), "final weights of {plan:?}");
}

#[test]
fn lock_step_is_bit_identical_to_the_synchronous_program() {
    for (seed, activation) in (0..).zip(Activation::ALL) {
        for loss in [Loss::CrossEntropy, Loss::SquaredError] {
            let network = spec(&[7, 9, 6, 3], activation, loss).with_precision(&[0.5, 2.0, 0.7]).expect("precisions");
            for (rule, nudge, nudging) in [
                (RuleName::PcNudge, 0.0, Nudging::OneSided),
                (RuleName::PcNudge, 1e-8, Nudging::Symmetric),
                (RuleName::PcNudge, 0.3, Nudging::Richardson),
                (RuleName::PcClamped, 0.3, Nudging::OneSided),
            ] {
                let plan = deviating(rule, &network, nudge, nudging);
                lock_step_agrees::<f32>(&network, &plan, seed, 1);
                lock_step_agrees::<f64>(&network, &plan, seed, 2);
            }
        }
    }
    let smallest = spec(&[5, 3], Activation::Tanh, Loss::CrossEntropy);
    lock_step_agrees::<f64>(&smallest, &deviating(RuleName::PcNudge, &smallest, 0.0, Nudging::OneSided), 3, 1);
}

#[test]
fn free_running_layers_reach_the_references_equilibrium_with_every_message() {
    for message in [Message::ErrorEcho, Message::Error, Message::State] {
        for (seed, nudge) in (60..).zip([0.0, 1e-8, 0.1, 0.5]) {
            for threads in [1, 2] {
                let loss = if seed % 2 == 0 { Loss::SquaredError } else { Loss::CrossEntropy };
                let network = spec(&[6, 8, 7, 6, 4], SMOOTH[seed as usize % 4], loss);
                let nudging = if nudge == 0.0 { Nudging::OneSided } else { Nudging::Symmetric };
                let plan = deviating(RuleName::PcNudge, &network, nudge, nudging);
                let expected = estimate::<f64>(&network, &plan, Limits::tolerance(1e-12, 100_000), seed);
                let chosen = settings(Schedule::FreeRunning, threads, message);
                let mut engine = Engine::new(&network, weights(&network, seed), chosen).expect("engine");
                let sample = batch::<f64>(&network, 6, seed);
                // Twice: the second batch finds layers that were in deviation variables.
                for _ in 0..2 {
                    let records = engine_step(&mut engine, &plan, Limits::tolerance(1e-9, 1_000_000), &sample);
                    assert!(records[1..].iter().all(|record| record.reason == StopReason::Settled), "{records:?}");
                    let apart = distance(&engine_estimate(&mut engine), &expected, 1.0) / norm(&expected);
                    assert!(apart < 1e-7, "{message:?} λ = {nudge} {threads} threads: {apart:e}");
                }
            }
        }
    }
}

/// Free → deviations → states: nothing of the one kind of variables is left over in the other.
#[test]
fn the_two_kinds_of_variables_can_take_turns() {
    let network = spec(&[6, 8, 7, 4], Activation::Tanh, Loss::CrossEntropy);
    let mut plan = deviating(RuleName::PcNudge, &network, 0.2, Nudging::OneSided);
    plan.phases.extend(in_states(RuleName::PcNudge, &network, 0.2, Nudging::OneSided).phases);
    let sample = batch::<f64>(&network, 6, 8);
    for schedule in [Schedule::LockStep, Schedule::FreeRunning] {
        let chosen = settings(schedule, 1, Message::ErrorEcho);
        let mut engine = Engine::new(&network, weights(&network, 8), chosen).expect("engine");
        let limits = Limits::tolerance(1e-11, 100_000);
        engine_step(&mut engine, &plan, limits, &sample);
        let half = in_states(RuleName::PcNudge, &network, 0.2, Nudging::OneSided);
        let single = estimate::<f64>(&network, &half, limits, 8);
        let both = engine_estimate(&mut engine);
        let expected = 2.0 * norm(&single);
        assert!((norm(&both) / expected - 1.0).abs() < 1e-7, "{schedule:?}: {} {expected}", norm(&both));
    }
}

#[test]
fn what_has_no_meaning_in_deviations_is_refused_with_the_reason() {
    let coding = spec(&[4, 5, 3], Activation::Tanh, Loss::SquaredError);
    let rate = coding.clone().with_energy(EnergyKind::Rate).expect("a rate network");
    let refuse = |network: &NetworkSpec, rule, nudge, nudging, free| {
        Plan::in_deviations(rule, network, nudge, nudging, free).expect_err("no plan").to_string()
    };
    let forward = FreePhase::Forward;
    assert!(refuse(&rate, RuleName::Chl, 0.1, Nudging::OneSided, FreePhase::Relax).contains("only predictive coding"));
    assert!(refuse(&coding, RuleName::PcNudge, 0.1, Nudging::OneSided, FreePhase::Relax).contains("forward wave"));
    assert!(refuse(&coding, RuleName::FirstStep, 0.1, Nudging::OneSided, forward).contains("exact already"));
    assert!(refuse(&coding, RuleName::PcNudge, 0.0, Nudging::Symmetric, forward).contains("one linearised network"));
    let feedback = Feedback { kind: FeedbackKind::Random, init: Init::Xavier, seed: 3 };
    let units = coding.clone().with_unit_precision(&[vec![1.0, 2.0, 1.0, 2.0, 1.0], vec![1.0; 3]]);
    let others = [
        (coding.clone().with_feedback(feedback), "through the weights themselves"),
        (units.expect("precisions of units"), "one precision per layer"),
        (coding.clone().with_learned_precision(0.1).expect("learned precisions"), "one precision per layer"),
    ];
    let plan = deviating(RuleName::PcNudge, &coding, 0.1, Nudging::OneSided);
    let chosen = settings(Schedule::LockStep, 1, Message::ErrorEcho);
    let (data, target) = batch(&coding, 3, 1);
    for (network, reason) in &others {
        let said = refuse(network, RuleName::PcNudge, 0.1, Nudging::OneSided, forward);
        assert!(said.contains(reason), "{said}");
        // A plan that was made for another network is refused by the layers.
        let mut engine = Engine::<f64>::new(network, weights(network, 1), chosen).expect("engine");
        engine.present(&data, &target).expect("a batch");
        engine.run_phase(&plan.phases[0], Limits::steps(5)).expect("a free phase");
        let error = engine.run_phase(&plan.phases[1], Limits::steps(5)).expect_err("not plain").to_string();
        assert!(error.contains("tied feedback and one given precision"), "{error}");
    }

    // A phase of deviations with nothing to deviate from.
    let mut engine = Engine::<f64>::new(&coding, weights(&coding, 1), chosen).expect("engine");
    engine.present(&data, &target).expect("a batch");
    let error = engine.run_phase(&plan.phases[1], Limits::steps(5)).expect_err("no free equilibrium").to_string();
    assert!(error.contains("free equilibrium"), "{error}");
}
