//! Oracles: backpropagation and recurrent backpropagation for every rule and energy; finite differences of the loss at the relaxed
//! equilibrium for recurrent backpropagation; the synchronous program for actors.

use asynapse::energy::{Activation, EnergyKind, Loss};
use asynapse::engine::{Engine, Schedule};
use asynapse::math::Real;
use asynapse::network::{NetworkSpec, Weights};
use asynapse::reference::implicit::{self, free_equilibrium};
use asynapse::reference::{Synchronous, backprop};
use asynapse::rule::{FreePhase, Nudging, Plan, RuleName};
use asynapse::settling::{Limits, StopReason};
use asynapse::signal::Message;

use crate::common::{
    RATE, adam, batch, distance, engine_estimate, engine_states, engine_step, engine_weights, norm, reference_step,
    settings, spec, weights,
};

fn planned(rule: RuleName, network: &NetworkSpec, nudge: f64, nudging: Nudging) -> Plan {
    let coding = network.energy() == EnergyKind::PredictiveCoding;
    let free = if coding { FreePhase::Forward } else { FreePhase::Relax };
    Plan::named(rule, network, nudge, nudging, free).expect("a plan").expect("phases")
}

fn hopfield(widths: &[usize], rho: Activation, loss: Loss) -> NetworkSpec {
    spec(widths, rho, loss).with_energy(EnergyKind::Hopfield).expect("a bounded activation")
}

/// The synchronous estimate of −∂𝓛/∂W, every phase run to tolerance.
fn estimate(network: &NetworkSpec, w: &Weights<f64>, plan: &Plan, seed: u64) -> Weights<f64> {
    let sample = batch::<f64>(network, 6, seed);
    let mut reference = Synchronous::new(network, w.clone(), RATE, adam());
    for record in reference_step(&mut reference, plan, Limits::tolerance(3e-14, 200_000), &sample) {
        assert!(
            matches!(record.reason, StopReason::Settled | StopReason::Wave | StopReason::StepBudget),
            "{:?}",
            record.reason
        );
    }
    reference.estimate()
}

#[test]
fn recurrent_backpropagation_is_the_finite_difference_at_the_relaxed_equilibrium() {
    for (rho, loss) in [(Activation::Sigmoid, Loss::SquaredError), (Activation::Tanh, Loss::CrossEntropy)] {
        let network = hopfield(&[4, 6, 5, 3], rho, loss);
        let w = weights::<f64>(&network, 2);
        let (data, target) = batch::<f64>(&network, 2, 2);
        let found = implicit::gradient(&network, &w, &data, &target).expect("a gradient");
        let loss_at = |w: &Weights<f64>| {
            let x = free_equilibrium(&network, w, &data, &target).expect("an equilibrium");
            network.loss().score(Activation::Identity, &x[3], &target).loss / 2.0
        };
        let step = 1e-5;
        for l in 0..3 {
            for (row, col) in [(0, 0), (1, 2), (2, 3)] {
                let shifted = |shift: f64| {
                    let mut moved = w.clone();
                    moved[l].weights[[row, col]] += shift;
                    loss_at(&moved)
                };
                let slope = (shifted(step) - shifted(-step)) / (2.0 * step);
                let here = found.parameters[l].weights[[row, col]];
                assert!((slope - here).abs() < 1e-8, "{rho:?} W{}[{row},{col}]: {slope} {here}", l + 1);
            }
            let shifted = |shift: f64| {
                let mut moved = w.clone();
                moved[l].bias[1] += shift;
                loss_at(&moved)
            };
            let slope = (shifted(step) - shifted(-step)) / (2.0 * step);
            assert!((slope - found.parameters[l].bias[1]).abs() < 1e-8, "{rho:?} b{}", l + 1);
        }
    }
}

/// Errors at λ, λ/2, λ/4 and the order they fall with.
fn order(network: &NetworkSpec, rule: RuleName, nudging: Nudging, seed: u64, start: f64) -> f64 {
    let w = weights::<f64>(network, seed);
    let sample = batch::<f64>(network, 6, seed);
    let exact = if network.energy() == EnergyKind::Hopfield {
        implicit::gradient(network, &w, &sample.0, &sample.1).expect("a gradient").parameters
    } else {
        backprop::gradient(network, &w, &sample.0, &sample.1).parameters
    };
    let errors: Vec<f64> = [start, start / 2.0, start / 4.0]
        .into_iter()
        .map(|nudge| {
            distance(&estimate(network, &w, &planned(rule, network, nudge, nudging), seed), &exact, -1.0) / norm(&exact)
        })
        .collect();
    let order = (errors[0] / errors[2]).log2() / 2.0;
    assert!(errors[2] < 0.1, "{rule:?} {nudging:?}: errors {errors:?}");
    order
}

#[test]
fn errors_fall_with_the_order_of_the_nudging_for_every_energy() {
    for nudging in [Nudging::OneSided, Nudging::Negative, Nudging::Symmetric, Nudging::Richardson] {
        let expected = if matches!(nudging, Nudging::OneSided | Nudging::Negative) { 1.0 } else { 2.0 };
        for (seed, widths) in [(3, &[6, 5, 4][..]), (4, &[5, 7, 6, 4]), (5, &[5, 7, 6, 5, 6, 4])] {
            let network = spec(widths, Activation::Tanh, Loss::CrossEntropy);
            let found = order(&network, RuleName::PcNudge, nudging, seed, 0.02);
            assert!((found - expected).abs() < 0.1, "predictive coding {widths:?} {nudging:?}: order {found}");
            let network = hopfield(widths, Activation::Sigmoid, Loss::SquaredError);
            let found = order(&network, RuleName::Ep, nudging, seed, 0.05);
            assert!((found - expected).abs() < 0.1, "hopfield {widths:?} {nudging:?}: order {found}");
        }
    }
}

#[test]
fn the_first_step_is_exact_backpropagation_in_every_schedule() {
    for (seed, activation) in (0..).zip(Activation::ALL) {
        for loss in [Loss::CrossEntropy, Loss::SquaredError] {
            let network = spec(&[6, 8, 7, 6, 5, 4], activation, loss);
            let w = weights::<f64>(&network, seed);
            let sample = batch::<f64>(&network, 5, seed);
            let exact = backprop::gradient(&network, &w, &sample.0, &sample.1).parameters;
            let plan = planned(RuleName::FirstStep, &network, 1.0, Nudging::OneSided);
            let far = |estimate: &Weights<f64>| distance(estimate, &exact, -1.0) / norm(&exact);
            let mut reference = Synchronous::new(&network, w.clone(), RATE, adam());
            reference_step(&mut reference, &plan, Limits::steps(99), &sample);
            assert!(far(&reference.estimate()) < 1e-12, "reference {activation:?}: {}", far(&reference.estimate()));
            for (schedule, threads) in [(Schedule::LockStep, 1), (Schedule::LockStep, 2), (Schedule::FreeRunning, 1)] {
                let mut engine =
                    Engine::new(&network, w.clone(), settings(schedule, threads, Message::ErrorEcho)).expect("engine");
                engine_step(&mut engine, &plan, Limits::steps(99), &sample);
                let found = engine_estimate(&mut engine);
                assert!(far(&found) < 1e-12, "{schedule:?} {threads} {activation:?}: {}", far(&found));
            }
        }
    }
}

#[test]
fn the_first_arrival_is_exact_backpropagation_free_running_on_two_threads() {
    let network = spec(&[6, 8, 7, 6, 4], Activation::Tanh, Loss::CrossEntropy);
    let plan = planned(RuleName::FirstStep, &network, 1.0, Nudging::OneSided);
    for message in [Message::ErrorEcho, Message::Error, Message::State] {
        let chosen = settings(Schedule::FreeRunning, 2, message);
        let mut engine = Engine::new(&network, weights::<f64>(&network, 0), chosen).expect("engine");
        for seed in 0..1000 {
            let w = weights::<f64>(&network, 0);
            let sample = batch::<f64>(&network, 3, seed);
            let exact = backprop::gradient(&network, &w, &sample.0, &sample.1).parameters;
            engine_step(&mut engine, &plan, Limits::steps(99), &sample);
            let found = engine_estimate(&mut engine);
            let far = distance(&found, &exact, -1.0) / norm(&exact);
            assert!(far < 1e-12, "{message:?}, seed {seed}: {far}");
        }
    }
}

/// Xie & Seung's rule approaches backpropagation as γ → 0, for the loss whose output error has no f'.
#[test]
fn contrastive_learning_with_weak_feedback_points_along_backpropagation() {
    let mut cosines = Vec::new();
    for gamma in [0.3, 0.1, 0.03, 0.01] {
        let network = spec(&[8, 10, 7, 4], Activation::Sigmoid, Loss::SquaredError)
            .with_energy(EnergyKind::Rate)
            .and_then(|network| network.with_feedback_gain(gamma))
            .expect("a rate network");
        let w = weights::<f64>(&network, 6);
        let found = estimate(&network, &w, &planned(RuleName::Chl, &network, 1.0, Nudging::OneSided), 6);
        // Logistic outputs with cross-entropy: ∂𝓛/∂a_L = f(a_L) − T, which squared error on identity outputs of the same value has.
        let (data, target) = batch::<f64>(&network, 6, 6);
        let exact = gradient_without_output_slope(&network, &w, &data, &target);
        let dot: f64 = numbers(&found).zip(numbers(&exact)).map(|(a, b)| -a * b).sum();
        cosines.push(dot / (norm(&found) * norm(&exact)));
    }
    assert!(cosines.windows(2).all(|pair| pair[1] > pair[0]), "{cosines:?}");
    assert!(1.0 - cosines[3] < 1e-4, "{cosines:?}");
}

fn numbers(w: &Weights<f64>) -> impl Iterator<Item = f64> + '_ {
    w.iter().flat_map(|p| p.numbers())
}

/// Backpropagation by hand for logistic layers, with `δ_L = f(a_L) − T`.
fn gradient_without_output_slope(
    network: &NetworkSpec,
    w: &Weights<f64>,
    data: &ndarray::Array2<f64>,
    target: &ndarray::Array2<f64>,
) -> Weights<f64> {
    let f = |a: f64| 1.0 / (1.0 + (-a).exp());
    let mut x = vec![data.clone()];
    for p in w {
        let bias = ndarray::Array2::from_shape_fn((p.bias.len(), 1), |(i, _)| p.bias[i]);
        x.push((p.weights.dot(x.last().expect("a layer")) + bias).mapv(f));
    }
    let mut delta = &x[network.depth()] - target;
    let mut gradient = w.clone();
    for l in (1..=network.depth()).rev() {
        let batch = data.ncols() as f64;
        gradient[l - 1].weights = delta.dot(&x[l - 1].t()) / batch;
        gradient[l - 1].bias = (delta.sum_axis(ndarray::Axis(1)) / batch).to_vec();
        delta = w[l - 1].weights.t().dot(&delta) * x[l - 1].mapv(|x| x * (1.0 - x));
    }
    gradient
}

fn lock_step_agrees<T: Real>(network: &NetworkSpec, plan: &Plan, limits: Limits, seed: u64) {
    let mut reference = Synchronous::new(network, weights::<T>(network, seed), RATE, adam());
    let chosen = settings(Schedule::LockStep, 2, Message::ErrorEcho);
    let mut engine = Engine::new(network, weights::<T>(network, seed), chosen).expect("engine");
    for (step, size) in [4, 4, 1, 9, 9].into_iter().enumerate() {
        let sample = batch::<T>(network, size, seed * 100 + step as u64);
        let expected = reference_step(&mut reference, plan, limits, &sample);
        let records = engine_step(&mut engine, plan, limits, &sample);
        for (expected, record) in expected.iter().zip(&records) {
            assert_eq!((expected.reason, expected.steps()), (record.reason, record.steps()), "{network} step {step}");
            assert_eq!(expected.energy().to_bits(), record.energy().to_bits(), "energy, {plan:?}, step {step}");
            assert_eq!(expected.score(), record.score());
        }
        assert!(reference.states() == engine_states(&mut engine), "states of {network}, {plan:?}, step {step}");
        reference.learn();
        engine.learn().expect("learn");
    }
    assert!(*reference.weights() == engine_weights(&mut engine), "final weights of {plan:?}");
}

#[test]
fn every_rule_and_energy_is_bit_identical_to_the_synchronous_program_in_lock_step() {
    let limits = Limits { steps_max: 80, tolerance: 1e-4, check_every: 7, plateau: 1e-9 };
    let coding = spec(&[6, 8, 7, 4], Activation::Tanh, Loss::CrossEntropy);
    for nudging in [Nudging::OneSided, Nudging::Negative, Nudging::Symmetric, Nudging::Richardson] {
        lock_step_agrees::<f32>(&coding, &planned(RuleName::PcNudge, &coding, 0.1, nudging), limits, 1);
        for rho in [Activation::HardSigmoid, Activation::Sigmoid, Activation::Tanh] {
            let network = hopfield(&[6, 8, 7, 4], rho, Loss::SquaredError);
            lock_step_agrees::<f32>(&network, &planned(RuleName::Ep, &network, 0.5, nudging), limits, 2);
        }
    }
    lock_step_agrees::<f64>(&coding, &planned(RuleName::FirstStep, &coding, 1.0, Nudging::OneSided), limits, 3);
    let network = hopfield(&[6, 8, 4], Activation::Tanh, Loss::CrossEntropy);
    lock_step_agrees::<f64>(&network, &planned(RuleName::Chl, &network, 1.0, Nudging::OneSided), limits, 4);
    let persistent = Plan::named(RuleName::Ep, &network, 0.3, Nudging::OneSided, FreePhase::Persistent);
    lock_step_agrees::<f32>(&network, &persistent.expect("a plan").expect("phases"), limits, 5);
    let rate = spec(&[6, 8, 7, 4], Activation::Sigmoid, Loss::SquaredError).with_energy(EnergyKind::Rate);
    let rate = rate.and_then(|network| network.with_feedback_gain(0.2)).expect("a rate network");
    lock_step_agrees::<f32>(&rate, &planned(RuleName::Chl, &rate, 1.0, Nudging::OneSided), limits, 6);
    lock_step_agrees::<f64>(&rate, &planned(RuleName::Ep, &rate, 0.2, Nudging::Symmetric), limits, 7);
}

#[test]
fn free_running_hopfield_and_rate_networks_reach_the_references_equilibrium() {
    let hopfield = hopfield(&[6, 8, 7, 4], Activation::Sigmoid, Loss::SquaredError);
    let rate = spec(&[6, 8, 7, 4], Activation::Sigmoid, Loss::SquaredError)
        .with_energy(EnergyKind::Rate)
        .expect("a rate network");
    for (network, rule) in [(hopfield, RuleName::Ep), (rate, RuleName::Chl)] {
        for threads in [1, 2] {
            for seed in 0..20 {
                let plan = planned(rule, &network, 0.2, Nudging::OneSided);
                let sample = batch::<f64>(&network, 4, seed);
                let mut reference = Synchronous::new(&network, weights(&network, seed), RATE, adam());
                reference_step(&mut reference, &plan, Limits::tolerance(1e-11, 100_000), &sample);
                let chosen = settings(Schedule::FreeRunning, threads, Message::ErrorEcho);
                let mut engine = Engine::new(&network, weights(&network, seed), chosen).expect("engine");
                for record in engine_step(&mut engine, &plan, Limits::tolerance(1e-8, 1_000_000), &sample) {
                    assert_eq!(record.reason, StopReason::Settled, "{rule:?} {threads} {seed} {record:?}");
                }
                let far = distance(&engine_estimate(&mut engine), &reference.estimate(), 1.0);
                assert!(far < 1e-6, "{rule:?} {threads} threads, seed {seed}: {far}");
            }
        }
    }
}

#[test]
fn combinations_without_meaning_are_refused_with_the_reason() {
    let hopfield = hopfield(&[4, 5, 3], Activation::Sigmoid, Loss::SquaredError);
    let refuse = |network: &NetworkSpec, rule, free| {
        Plan::named(rule, network, 0.1, Nudging::OneSided, free).expect_err("no plan").to_string()
    };
    assert!(refuse(&hopfield, RuleName::FirstStep, FreePhase::Relax).contains("every error is zero"));
    assert!(refuse(&hopfield, RuleName::PcNudge, FreePhase::Relax).contains("use ep or chl"));
    assert!(refuse(&hopfield, RuleName::Ep, FreePhase::Forward).contains("forward wave"));
    let coding =
        spec(&[4, 5, 3], Activation::Tanh, Loss::SquaredError).with_precision(&[2.0, 1.0]).expect("precisions");
    assert!(refuse(&coding, RuleName::FirstStep, FreePhase::Forward).contains("unit precisions"));
    let clamped = |rho, target: f64| {
        let network = spec(&[4, 5, 3], rho, Loss::SquaredError).with_energy(EnergyKind::Hopfield).expect("bounded");
        let targets = ndarray::Array2::<f64>::from_elem((3, 2), target);
        let refused = planned(RuleName::Chl, &network, 1.0, Nudging::OneSided).admits(&network, &targets);
        // Whoever nudges comes near the target, or not: nothing is put there.
        assert_eq!(planned(RuleName::Ep, &network, 0.1, Nudging::OneSided).admits(&network, &targets), Ok(()));
        refused.err().map(|error| error.to_string())
    };
    for (rho, inside, outside) in [
        (Activation::HardSigmoid, [0.0, 1.0], [-0.01, 1.01]),
        (Activation::Sigmoid, [0.0, 1.0], [-0.01, 1.01]),
        (Activation::Tanh, [-1.0, 1.0], [-1.5, f64::NAN]),
    ] {
        assert_eq!(inside.map(|target| clamped(rho, target)), [None, None], "{rho:?}");
        for target in outside {
            let said = clamped(rho, target).expect("refused");
            assert!(said.contains("the range of") && said.contains(&target.to_string()), "{rho:?}: {said}");
        }
    }
    let relu = spec(&[4, 5, 3], Activation::Relu, Loss::SquaredError);
    assert!(relu.clone().with_energy(EnergyKind::Hopfield).expect_err("no minimum").to_string().contains("bounded"));
    assert!(relu.with_feedback_gain(1.5).expect_err("outside").to_string().contains("(0, 1]"));
}
