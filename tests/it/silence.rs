//! Oracle: the equation of a step. A layer that has heard nothing about a batch knows no drive, so its state stays where it is,
//! whatever moved it in the batch before.

use std::sync::Arc;

use asynapse::energy::{Activation, EnergyKind, Loss};
use asynapse::layer::{Layer, LayerSettings, Voice};
use asynapse::math::Numerics;
use asynapse::math::optimizer::OptimizerSpec;
use asynapse::signal::{Directive, Message, Motion, Origin, Phase, Reading, Teaching};

use crate::common::{batch, spec, weights};

fn present(layers: &mut [Layer<f64>], data: &ndarray::Array2<f64>, target: &ndarray::Array2<f64>) {
    let depth = layers.len() - 1;
    for (l, layer) in layers.iter_mut().enumerate() {
        let data = (l == 0).then(|| Arc::new(data.clone()));
        let target = (l == depth).then(|| Arc::new(target.clone()));
        layer.hear_directive(Directive::Present { batch: 4, data, target }).expect("a batch");
        let motion = Motion::Relax { teaching: Teaching::Free, from: Origin::Here };
        let phase = Phase { number: 1, motion, steps: 9, tolerance: 0.0, reading: Reading::AtEnd };
        layer.hear_directive(Directive::Begin(phase)).expect("a phase");
    }
}

#[test]
fn a_layer_that_has_heard_nothing_of_a_batch_does_not_move_by_what_the_batch_before_said() {
    for energy in [EnergyKind::PredictiveCoding, EnergyKind::Hopfield, EnergyKind::Rate] {
        let network =
            spec(&[4, 5, 6, 3], Activation::Sigmoid, Loss::SquaredError).with_energy(energy).expect("an energy");
        let settings = LayerSettings {
            rate: 0.3,
            optimizer: OptimizerSpec::sgd(0.1),
            voice: Voice::Plain(Message::State),
            numerics: Numerics::default(),
        };
        let mut parameters = weights::<f64>(&network, 3).into_iter();
        let mut layers: Vec<Layer<f64>> =
            (0..=3).map(|l| Layer::new(&network, l, parameters.next(), settings)).collect();
        let (data, target) = batch::<f64>(&network, 4, 3);
        present(&mut layers, &data, &target);
        for _ in 0..3 {
            for l in 0..3 {
                let prediction = layers[l].speak_prediction().expect("a prediction");
                layers[l + 1].hear_prediction(prediction);
                if let Some(error) = layers[l + 1].speak_error() {
                    layers[l].hear_error(error);
                }
            }
            layers.iter_mut().for_each(|layer| {
                layer.relax();
            });
        }
        let before: Vec<_> = layers.iter().map(|layer| layer.state().cloned()).collect();
        assert!(before[1].as_ref().is_some_and(|state| state.iter().any(|x| x.abs() > 1e-3)), "{energy:?}: it moved");
        present(&mut layers, &data, &target);
        for l in 1..=3 {
            layers[l].relax();
            assert_eq!(layers[l].state(), before[l].as_ref(), "{energy:?}, layer {l}");
        }
    }
}
