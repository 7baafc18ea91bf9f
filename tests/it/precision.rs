//! Precisions. Oracle: backpropagation, to which the estimate of a clamped network comes as errors move its states less and less.

use asynapse::energy::{Activation, Loss};
use asynapse::math::optimizer::OptimizerSpec;
use asynapse::network::NetworkSpec;
use asynapse::reference::{Synchronous, backprop};
use asynapse::rule::{FreePhase, RuleName};
use asynapse::settling::{Limits, StopReason};

use crate::common::{batch, distance, norm, plan, reference_step, spec, weights};

/// Π_l = γ^{l−1}.
fn geometric(widths: &[usize], loss: Loss, gamma: f64) -> NetworkSpec {
    let precision: Vec<f64> = (0..widths.len() as i32 - 1).map(|power| gamma.powi(power)).collect();
    spec(widths, Activation::Tanh, loss).with_precision(&precision).expect("precisions")
}

/// Whittington & Bogacz (2017): the states of layer l are moved by γ^{L−l} times the adjoint, so the last hidden layer is off by O(γ).
#[test]
fn with_weak_feedback_the_clamped_estimate_comes_to_backpropagation_with_the_first_power_of_gamma() {
    for (seed, widths, start) in [(1, &[6, 5, 4][..], 0.04), (2, &[5, 7, 6, 4], 0.04), (3, &[5, 7, 6, 5, 4], 0.06)] {
        for loss in [Loss::CrossEntropy, Loss::SquaredError] {
            let error = |gamma: f64| {
                let network = geometric(widths, loss, gamma);
                let (w, sample) = (weights::<f64>(&network, seed), batch::<f64>(&network, 6, seed));
                let exact = backprop::gradient(&network, &w, &sample.0, &sample.1).parameters;
                let plan = plan(RuleName::PcClamped, &network, 1.0, FreePhase::Forward);
                let mut reference = Synchronous::new(&network, w, 0.5, OptimizerSpec::sgd(0.1));
                let records = reference_step(&mut reference, &plan, Limits::tolerance(1e-14, 1_000_000), &sample);
                assert_eq!(records[1].reason, StopReason::Settled, "{network} γ = {gamma}");
                distance(&reference.estimate(), &exact, -1.0) / norm(&exact)
            };
            let errors = [start, start / 2.0, start / 4.0].map(error);
            let order = (errors[0] / errors[2]).log2() / 2.0;
            assert!((order - 1.0).abs() < 0.1, "{widths:?} {loss:?}: order {order}, errors {errors:?}");
            assert!(errors[2] < 0.02, "{widths:?} {loss:?}: {errors:?}");
        }
    }
}
