//! Orders that have no name of their own: the paper's correction (Eq. 17), layers one after another (Gauss-Seidel), and rules that
//! are spelt out. Oracles: theory section 4 for the correction; the fixed point for the order of updates, and one sweep worked out by
//! hand; backpropagation and recurrent backpropagation for the rules.

use asynapse::energy::{Activation, EnergyKind, Loss};
use asynapse::engine::{Engine, Schedule};
use asynapse::math::optimizer::OptimizerSpec;
use asynapse::network::NetworkSpec;
use asynapse::reference::{Order, Synchronous, backprop, eq17, implicit};
use asynapse::rule::spelt_out::ReadOut;
use asynapse::rule::{FreePhase, Plan, RuleName};
use asynapse::settling::{Limits, StopReason};
use asynapse::signal::Message;

use crate::common::{
    RATE, adam, batch, distance, engine_estimate, engine_step, norm, plan, reference_step, settings, spec, weights,
};

/// Relative errors of W_1, W_2, W_3 after the literal correction.
fn corrected(nudge: f64) -> Vec<f64> {
    let network = spec(&[20, 16, 12, 5], Activation::Tanh, Loss::CrossEntropy);
    let w = weights::<f64>(&network, 11);
    let sample = batch::<f64>(&network, 7, 11);
    let exact = backprop::gradient(&network, &w, &sample.0, &sample.1).parameters;
    let mut reference = Synchronous::new(&network, w.clone(), RATE, adam());
    let phases = plan(RuleName::PcNudge, &network, nudge, FreePhase::Forward).phases;
    reference.present(&sample.0, &sample.1);
    reference.run_phase(&phases[0], Limits::steps(1));
    let free = reference.states();
    let record = reference.run_phase(&phases[1], Limits::tolerance(1e-14, 100_000));
    assert_eq!(record.reason, StopReason::Settled);
    let nudged = reference.states();
    let estimate = eq17::corrected(&network, &w, &sample.1, (&free[..3], &nudged[..3]), nudge);
    let error = |l: usize| {
        let (one, other) = (vec![estimate[l].clone()], vec![exact[l].clone()]);
        distance(&one, &other, -1.0) / norm(&other)
    };
    (0..3).map(error).collect()
}

#[test]
fn equation_17_removes_the_gradient_of_hidden_layers_and_corrects_the_output_to_second_order() {
    let errors = [0.1, 0.05, 0.025].map(corrected);
    for errors in &errors {
        assert!((errors[0] - 1.0).abs() < 0.02 && (errors[1] - 1.0).abs() < 0.02, "hidden layers: {errors:?}");
    }
    let order = (errors[0][2] / errors[2][2]).log2() / 2.0;
    assert!((order - 2.0).abs() < 0.1, "the output's order is {order}: {errors:?}");
}

fn states_after(order: Order, limits: Limits, network: &NetworkSpec) -> Vec<ndarray::Array2<f64>> {
    let sample = batch::<f64>(network, 4, 5);
    let optimizer = OptimizerSpec::sgd(0.1);
    let mut reference = Synchronous::in_order(network, weights(network, 5), RATE, optimizer, order);
    reference_step(&mut reference, &plan(RuleName::PcNudge, network, 0.5, FreePhase::Forward), limits, &sample);
    reference.states()
}

#[test]
fn layers_one_after_another_reach_the_equilibrium_by_another_way() {
    let network = spec(&[5, 7, 6, 4], Activation::Tanh, Loss::CrossEntropy);
    let apart = |limits| {
        let pair = [Order::Jacobi, Order::GaussSeidel].map(|order| states_after(order, limits, &network));
        let all = pair[0].iter().zip(&pair[1]);
        all.map(|(a, b)| (a - b).iter().fold(0.0_f64, |most, d| most.max(d.abs()))).fold(0.0, f64::max)
    };
    assert!(apart(Limits::tolerance(1e-13, 100_000)) < 1e-11, "the same equilibrium");
    assert!(apart(Limits::steps(3)) > 1e-4, "by another way");
}

#[test]
fn one_sweep_carries_the_error_to_the_lowest_layer() {
    // One unit a layer, identity, W = 1, b = 0, x_0 = 1, T = 3, λ = Π = 1: x̄ = (1, 1, 1), e_3 = 2.
    // From the top: x_2 = 1 + η·2, its error is then 2η, so x_1 = 1 + η·2η. At once, x_1 would not have moved.
    let network = NetworkSpec::new(&[1, 1, 1, 1], Activation::Identity, Loss::SquaredError).expect("a chain");
    let one = ndarray::Array2::from_elem((1, 1), 1.0_f64);
    let w = vec![asynapse::network::Parameters { weights: one.clone(), bias: vec![0.0] }; 3];
    for (order, lowest) in [(Order::GaussSeidel, 1.0 + 0.25 * 0.5), (Order::Jacobi, 1.0)] {
        let mut reference = Synchronous::in_order(&network, w.clone(), 0.25, OptimizerSpec::sgd(0.1), order);
        let phases = plan(RuleName::PcClamped, &network, 1.0, FreePhase::Forward);
        reference_step(&mut reference, &phases, Limits::steps(1), &(one.clone(), &one * 3.0));
        let states = reference.states();
        assert_eq!((states[1][[0, 0]], states[2][[0, 0]]), (lowest, 1.5), "{order:?}");
    }
}

#[test]
fn a_rule_without_a_name_runs_in_every_schedule_and_finds_its_gradient() {
    // Three nudges, extrapolated twice: the error is O(λ³). And a difference of two nudges on the same side for a Hopfield network.
    let coding = spec(&[5, 7, 6, 4], Activation::Tanh, Loss::CrossEntropy);
    let hopfield = spec(&[5, 6, 4], Activation::Sigmoid, Loss::SquaredError).with_energy(EnergyKind::Hopfield);
    let hopfield = hopfield.expect("an energy");
    let nudge = 0.02;
    let c = [0.0, 1.0 / (3.0 * nudge), -4.0 / nudge, 32.0 / (3.0 * nudge)];
    let cases = [
        (coding, vec!["forward", "nudged", "nudged 0.5", "nudged 0.25"], ReadOut::Coefficients, c.to_vec(), 1e-5),
        (hopfield, vec!["free", "nudged -0.5", "nudged 0.5 from free"], ReadOut::Difference, vec![], 1e-3),
    ];
    for (network, phases, read_out, coefficients, bound) in cases {
        let phases: Vec<String> = phases.into_iter().map(str::to_owned).collect();
        let plan = Plan::spelt_out(&network, &phases, read_out, &coefficients, nudge).expect("a plan");
        let w = weights::<f64>(&network, 4);
        let sample = batch::<f64>(&network, 6, 4);
        let exact = if network.energy() == EnergyKind::Hopfield {
            implicit::gradient(&network, &w, &sample.0, &sample.1).expect("a gradient").parameters
        } else {
            backprop::gradient(&network, &w, &sample.0, &sample.1).parameters
        };
        let limits = Limits::tolerance(1e-13, 100_000);
        let mut reference = Synchronous::new(&network, w.clone(), RATE, adam());
        reference_step(&mut reference, &plan, limits, &sample);
        let estimate = reference.estimate();
        let error = distance(&estimate, &exact, -1.0) / norm(&exact);
        assert!(error < bound, "{phases:?}: {error}");
        for (schedule, threads) in [(Schedule::LockStep, 1), (Schedule::FreeRunning, 2)] {
            let of = settings(schedule, threads, Message::ErrorEcho);
            let mut engine = Engine::new(&network, w.clone(), of).expect("an engine");
            engine_step(&mut engine, &plan, limits, &sample);
            let apart = distance(&engine_estimate(&mut engine), &estimate, 1.0) / norm(&exact);
            let allowed = if schedule == Schedule::LockStep { 0.0 } else { 1e-7 };
            assert!(apart <= allowed, "{phases:?} {schedule:?}: {apart}");
        }
    }
}
