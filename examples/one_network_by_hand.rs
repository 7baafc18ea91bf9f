//! Demonstrates that a layer is a state machine without I/O: three layers driven by a `for` loop instead of tasks, one PC-Nudge
//! step, and a check that the local estimate points along backpropagation's gradient.
//!
//! `cargo run --release --example one_network_by_hand`

use std::sync::Arc;

use asynapse::energy::{Activation, Loss};
use asynapse::experiment::machine::closeness;
use asynapse::layer::{Layer, LayerError, LayerSettings, Voice};
use asynapse::math::Numerics;
use asynapse::math::optimizer::OptimizerSpec;
use asynapse::math::random::{Purpose, Stream};
use asynapse::network::{Init, NetworkSpec};
use asynapse::reference::backprop;
use asynapse::signal::{Directive, Extract, Motion, Origin, Phase, Reading, Teaching, Wanted};
use ndarray::Array2;

const NUDGE: f64 = 1e-3;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let network = NetworkSpec::new(&[6, 8, 4], Activation::Tanh, Loss::CrossEntropy)?;
    let weights = network.initial_weights::<f64>(Init::TorchLinear, 0);
    let mut stream = Stream::new(0, Purpose::Trial, 0);
    let data = Array2::from_shape_simple_fn((6, 2), || stream.normal());
    let target = ndarray::array![[1.0, 0.0], [0.0, 0.0], [0.0, 1.0], [0.0, 0.0]];

    // Each layer owns its state and the weights that lead up from it; the output owns none.
    let settings = LayerSettings {
        rate: 0.1,
        optimizer: OptimizerSpec::sgd(0.1),
        voice: Voice::Adjoint,
        numerics: Numerics::default(),
    };
    let mut parameters = weights.iter().cloned();
    let mut layers: Vec<Layer<f64>> = (0..3).map(|l| Layer::new(&network, l, parameters.next(), settings)).collect();
    for (l, layer) in layers.iter_mut().enumerate() {
        let data = (l == 0).then(|| Arc::new(data.clone()));
        let target = (l == 2).then(|| Arc::new(target.clone()));
        layer.hear_directive(Directive::Present { batch: 2, data, target })?;
    }

    // Free phase: one wave of predictions. Nudged phase: everyone says, hears and relaxes, a thousand times.
    begin(&mut layers, 1, Motion::Forward)?;
    for l in 0..3 {
        if l > 0 {
            let prediction = layers[l - 1].speak_prediction().ok_or("a layer below predicts")?;
            layers[l].hear_prediction(prediction);
        }
        layers[l].forward();
    }
    begin(&mut layers, 2, Motion::Relax { teaching: Teaching::Nudged(NUDGE), from: Origin::Here })?;
    for step in 0..=1000 {
        for l in 1..3 {
            let prediction = layers[l - 1].speak_prediction().ok_or("a layer below predicts")?;
            layers[l].hear_prediction(prediction);
        }
        for l in (1..3).rev() {
            let error = layers[l].speak_error().ok_or("a layer above has an error")?;
            layers[l - 1].hear_error(error);
        }
        let residual = layers[1].residual();
        if step % 200 == 0 {
            println!("step {step:>4}: residual of the hidden layer {residual:.2e}");
        }
        layers[1].relax();
    }
    assert!(layers[1].residual() < 1e-12, "the hidden layer has settled");

    let mut estimate = Vec::new();
    for layer in &mut layers {
        layer.hear_directive(Directive::Collect { coefficient: 1.0 / NUDGE })?;
        if let Some(Extract::Estimate(parameters)) = layer.hear_directive(Directive::Extract(Wanted::Estimate))? {
            estimate.push(parameters);
        }
    }
    let exact = backprop::gradient(&network, &weights, &data, &target);
    let (_, whole) = closeness(&estimate, &exact.parameters);
    println!("cosine of the local estimate and backpropagation's gradient: {:.9}", whole.cosine);
    assert!(whole.cosine > 0.99999);
    Ok(())
}

fn begin(layers: &mut [Layer<f64>], number: u64, motion: Motion) -> Result<(), LayerError> {
    for layer in layers {
        layer.hear_directive(Directive::Begin(Phase {
            number,
            motion,
            steps: 1000,
            tolerance: 0.0,
            reading: Reading::AtEnd,
        }))?;
    }
    Ok(())
}
