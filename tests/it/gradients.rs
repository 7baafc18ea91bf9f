//! Oracles: finite differences for backpropagation; backpropagation, and the order of the error, for PC-Nudge.

use asynapse::energy::{Activation, Loss};
use asynapse::math::Field;
use asynapse::network::{NetworkSpec, Weights};
use asynapse::reference::{Synchronous, backprop};
use asynapse::rule::{FreePhase, RuleName};
use asynapse::settling::{Limits, StopReason};

use crate::common::{RATE, adam, batch, distance, norm, reference_step, spec, weights};

fn mean_loss(network: &NetworkSpec, weights: &Weights<f64>, data: &Field<f64>, target: &Field<f64>) -> f64 {
    let currents = backprop::forward(network, weights, data);
    let top = currents.last().expect("a network has an output");
    network.loss().score(network.activation(network.depth()), top, target).loss / data.ncols() as f64
}

#[test]
fn backpropagation_is_the_finite_difference_of_the_mean_loss() {
    for (seed, activation) in (0..).zip(Activation::ALL) {
        for (loss, output) in [
            (Loss::CrossEntropy, Activation::Identity),
            (Loss::SquaredError, Activation::Identity),
            (Loss::SquaredError, activation),
        ] {
            let network = spec(&[5, 7, 6, 4], activation, loss).with_output(output).expect("an output activation");
            let mut w = weights::<f64>(&network, seed);
            let (data, target) = batch::<f64>(&network, 3, seed);
            let gradient = backprop::gradient(&network, &w, &data, &target);
            let step = 1e-6;
            for l in 0..3 {
                for (row, col) in [(0, 0), (1, 3), (3, 4), (2, 2)] {
                    let keep = w[l].weights[[row, col]];
                    let mut at = |value: f64| {
                        w[l].weights[[row, col]] = value;
                        mean_loss(&network, &w, &data, &target)
                    };
                    let slope = (at(keep + step) - at(keep - step)) / (2.0 * step);
                    at(keep);
                    let found = gradient.parameters[l].weights[[row, col]];
                    assert!((slope - found).abs() < 1e-7, "{activation:?} {loss:?} W{} {slope} {found}", l + 1);
                }
                let keep = w[l].bias[1];
                let mut at = |value: f64| {
                    w[l].bias[1] = value;
                    mean_loss(&network, &w, &data, &target)
                };
                let slope = (at(keep + step) - at(keep - step)) / (2.0 * step);
                at(keep);
                assert!((slope - gradient.parameters[l].bias[1]).abs() < 1e-7, "{activation:?} {loss:?} b{}", l + 1);
            }
        }
    }
}

/// Relative error of the PC-Nudge estimate at λ, run to tolerance.
fn error_at(network: &NetworkSpec, seed: u64, nudge: f64, free: FreePhase) -> f64 {
    let w = weights::<f64>(network, seed);
    let sample = batch::<f64>(network, 8, seed);
    let exact = backprop::gradient(network, &w, &sample.0, &sample.1).parameters;
    let mut reference = Synchronous::new(network, w, RATE, adam());
    let plan = crate::common::plan(RuleName::PcNudge, network, nudge, free);
    let records = reference_step(&mut reference, &plan, Limits::tolerance(2e-14, 40_000), &sample);
    assert!(records.iter().all(|r| matches!(r.reason, StopReason::Settled | StopReason::Wave)), "{records:?}");
    distance(&reference.estimate(), &exact, -1.0) / norm(&exact)
}

#[test]
fn pc_nudge_approaches_backpropagation_in_proportion_to_the_nudge() {
    for (seed, widths) in [(1, &[6, 5, 4][..]), (2, &[8, 10, 7, 5]), (3, &[6, 8, 7, 9, 6, 4])] {
        for activation in [Activation::Tanh, Activation::Gelu, Activation::Softplus, Activation::Sigmoid] {
            for loss in [Loss::CrossEntropy, Loss::SquaredError] {
                let network = spec(widths, activation, loss);
                let errors = [0.02, 0.01, 0.005].map(|nudge| error_at(&network, seed, nudge, FreePhase::Forward));
                for pair in errors.windows(2) {
                    let order = (pair[0] / pair[1]).log2();
                    assert!((order - 1.0).abs() < 0.1, "{activation:?} {loss:?} {widths:?}: order {order}, {errors:?}");
                }
            }
        }
    }
}

/// Eq. 20: relaxing from zero without a nudge ends at the forward pass, so the estimate is the same.
#[test]
fn the_free_phase_relaxed_from_zero_is_the_forward_pass() {
    let network = spec(&[8, 10, 7, 5], Activation::Tanh, Loss::CrossEntropy);
    let [by_wave, relaxed] = [FreePhase::Forward, FreePhase::Relax].map(|free| error_at(&network, 5, 0.01, free));
    assert!((by_wave - relaxed).abs() < 1e-8 * by_wave.max(1e-3), "{by_wave} {relaxed}");
    let sample = batch::<f64>(&network, 8, 5);
    let mut reference = Synchronous::new(&network, weights(&network, 5), RATE, adam());
    let plan = crate::common::plan(RuleName::PcNudge, &network, 0.01, FreePhase::Relax);
    reference.present(&sample.0, &sample.1);
    reference.run_phase(&plan.phases[0], Limits::tolerance(1e-12, 40_000));
    let currents = backprop::forward(&network, &weights(&network, 5), &sample.0);
    for (state, current) in reference.states()[1..].iter().zip(&currents[..2]) {
        assert!(state.iter().zip(current).all(|(x, a)| (x - a.tanh()).abs() < 1e-10));
    }
}

/// The sign and the scale of the clamped rule: at Π_L → 0 it is the nudge.
#[test]
fn clamping_with_a_small_output_precision_is_a_small_nudge() {
    let network =
        spec(&[6, 8, 5], Activation::Tanh, Loss::SquaredError).with_precision(&[1.0, 1e-3]).expect("positive");
    let w = weights::<f64>(&network, 8);
    let sample = batch::<f64>(&network, 4, 8);
    let exact = backprop::gradient(&network, &w, &sample.0, &sample.1).parameters;
    let mut reference = Synchronous::new(&network, w, RATE, adam());
    let plan = crate::common::plan(RuleName::PcClamped, &network, 0.5, FreePhase::Forward);
    reference_step(&mut reference, &plan, Limits::tolerance(1e-15, 10_000), &sample);
    assert!(distance(&reference.estimate(), &exact, -1.0) / norm(&exact) < 2e-3);
}
