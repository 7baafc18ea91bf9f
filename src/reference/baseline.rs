//! Backpropagation as a trainer: the baseline that every rule is compared with, with the same optimisers and batches.

use super::backprop::{Gradient, gradient};
use crate::math::optimizer::{Optimizer, OptimizerSpec};
use crate::math::{Field, Real, values, values_mut};
use crate::network::{NetworkSpec, Weights};

/// A network trained by plain backpropagation.
#[derive(Debug)]
pub struct Baseline<T> {
    network: NetworkSpec,
    weights: Weights<T>,
    optimizers: Vec<[Optimizer<T>; 2]>,
}

impl<T: Real> Baseline<T> {
    /// A network with these weights.
    pub fn new(network: &NetworkSpec, weights: Weights<T>, optimizer: OptimizerSpec) -> Self {
        assert!(network.fits(&weights), "weights have the shapes of the network");
        let optimizers = weights
            .iter()
            .map(|p| [Optimizer::new(optimizer, p.weights.len()), Optimizer::new(optimizer, p.bias.len())])
            .collect();
        Self { network: network.clone(), weights, optimizers }
    }

    /// The weights.
    pub fn weights(&self) -> &Weights<T> {
        &self.weights
    }

    /// The optimisers of weights and bias, `W_1`'s first.
    pub fn optimizers(&mut self) -> &mut [[Optimizer<T>; 2]] {
        &mut self.optimizers
    }

    /// Takes other weights.
    pub fn install(&mut self, weights: Weights<T>) {
        assert!(self.network.fits(&weights), "weights have the shapes of the network");
        self.weights = weights;
    }

    /// The gradient of a batch.
    pub fn gradient(&self, data: &Field<T>, target: &Field<T>) -> Gradient<T> {
        gradient(&self.network, &self.weights, data, target)
    }

    /// One optimiser step along a gradient.
    pub fn learn(&mut self, gradient: &Gradient<T>) {
        let minus = -T::one();
        for ((parameters, gradient), [of_weights, of_bias]) in
            self.weights.iter_mut().zip(&gradient.parameters).zip(&mut self.optimizers)
        {
            of_weights.update(values_mut(&mut parameters.weights), values(&gradient.weights), minus);
            of_bias.update(&mut parameters.bias, &gradient.bias, minus);
        }
    }
}
