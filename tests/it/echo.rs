//! Oracle: an error that is not old. What a layer works out from an old error and its echo must be what a fresh error says; a bare
//! old error says something else.

use std::sync::Arc;

use asynapse::energy::{Activation, Loss};
use asynapse::layer::{Layer, LayerSettings, Voice};
use asynapse::math::Numerics;
use asynapse::math::optimizer::OptimizerSpec;
use asynapse::network::{NetworkSpec, Parameters};
use asynapse::signal::{Directive, Extract, Message, Motion, Origin, Phase, Reading, Teaching, Wanted};

use crate::common::{batch, spec, weights};

fn tell_all(layers: &mut [Layer<f64>], number: u64, motion: Motion) {
    for layer in layers {
        let phase = Phase { number, motion, steps: 9, tolerance: 0.0, reading: Reading::AtEnd };
        layer.hear_directive(Directive::Begin(phase)).expect("a phase");
    }
}

/// A network after its forward wave, at the beginning of a nudged phase in which nothing has been said yet.
fn nudged(network: &NetworkSpec, message: Message) -> Vec<Layer<f64>> {
    let settings = LayerSettings {
        rate: 0.3,
        optimizer: OptimizerSpec::sgd(0.1),
        voice: Voice::Plain(message),
        numerics: Numerics::default(),
    };
    let mut parameters = weights::<f64>(network, 3).into_iter();
    let depth = network.depth();
    let mut layers: Vec<Layer<f64>> =
        (0..=depth).map(|l| Layer::new(network, l, parameters.next(), settings)).collect();
    let (data, target) = batch::<f64>(network, 4, 3);
    for (l, layer) in layers.iter_mut().enumerate() {
        let data = (l == 0).then(|| Arc::new(data.clone()));
        let target = (l == depth).then(|| Arc::new(target.clone()));
        layer.hear_directive(Directive::Present { batch: 4, data, target }).expect("a batch");
    }
    tell_all(&mut layers, 1, Motion::Forward);
    for l in 1..=depth {
        let prediction = layers[l - 1].speak_prediction().expect("a prediction");
        layers[l].hear_prediction(prediction);
        layers[l].forward();
    }
    tell_all(&mut layers, 2, Motion::Relax { teaching: Teaching::Nudged(0.7), from: Origin::Here });
    layers
}

fn hear_error_of_above(layers: &mut [Layer<f64>], l: usize) {
    let error = layers[l + 1].speak_error().expect("an error");
    layers[l].hear_error(error);
}

/// The sum of Hebbian products that layer `l` has collected, one more added.
fn collect(layer: &mut Layer<f64>) -> Parameters<f64> {
    layer.hear_directive(Directive::Collect { coefficient: 1.0 }).expect("collected");
    match layer.hear_directive(Directive::Extract(Wanted::Estimate)).expect("an estimate") {
        Some(Extract::Estimate(sum)) => sum,
        other => panic!("an estimate, not {other:?}"),
    }
}

/// Largest difference between what layer `l` learns from an old error after it has moved, and from a fresh one; and how large the
/// product is.
fn old_against_fresh(layers: &mut [Layer<f64>], l: usize) -> (f64, f64) {
    hear_error_of_above(layers, l);
    // It moves three times without saying so: the error it has heard answers a prediction that is three steps old.
    (0..3).for_each(|_| {
        layers[l].relax();
    });
    let old = collect(&mut layers[l]);
    let prediction = layers[l].speak_prediction().expect("a prediction");
    layers[l + 1].hear_prediction(prediction);
    hear_error_of_above(layers, l);
    let both = collect(&mut layers[l]);
    let apart = old.numbers().zip(both.numbers()).map(|(old, both)| (both - 2.0 * old).abs()).fold(0.0, f64::max);
    (apart, old.numbers().map(f64::abs).fold(0.0, f64::max))
}

#[test]
fn an_echoed_error_is_corrected_to_what_a_fresh_one_says_and_a_bare_one_is_not() {
    for activation in [Activation::Tanh, Activation::Gelu, Activation::Sigmoid] {
        for loss in [Loss::CrossEntropy, Loss::SquaredError] {
            for message in [Message::ErrorEcho, Message::State, Message::Error] {
                let network =
                    spec(&[4, 5, 6, 3], activation, loss).with_precision(&[1.0, 2.0, 1.0]).expect("precisions");
                // Below the output, and, once the layer above has moved, below a hidden layer.
                let mut layers = nudged(&network, message);
                let below_output = old_against_fresh(&mut layers, 2);
                let below_hidden = old_against_fresh(&mut layers, 1);
                for (place, (apart, size)) in [("output", below_output), ("hidden", below_hidden)] {
                    let relative = apart / size;
                    let exact = relative < 1e-10;
                    assert_eq!(
                        exact,
                        message != Message::Error,
                        "{activation:?} {loss:?} {message:?} below {place}: {relative:e}"
                    );
                }
            }
        }
    }
}
