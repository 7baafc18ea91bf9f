//! The part of the synchronous program that learns: weights, optimisers, and what was collected for them.

use super::contrast::Contrast;
use crate::math::optimizer::Optimizer;
use crate::math::{Real, values, values_mut};
use crate::network::Weights;

/// Everything an update of the weights touches, but the feedback matrices.
#[derive(Debug)]
pub(super) struct Learner<'a, T> {
    pub(super) weights: &'a mut Weights<T>,
    pub(super) optimizers: &'a mut [[Optimizer<T>; 2]],
    pub(super) contrast: &'a mut Contrast<T>,
}

impl<T: Real> Learner<'_, T> {
    /// One optimiser step along `sums / batch`.
    pub(super) fn update(&mut self, sums: &Weights<T>) {
        let mean = self.contrast.mean();
        for ((parameters, sum), [of_weights, of_bias]) in
            self.weights.iter_mut().zip(sums).zip(self.optimizers.iter_mut())
        {
            of_weights.update(values_mut(&mut parameters.weights), values(&sum.weights), mean);
            of_bias.update(&mut parameters.bias, &sum.bias, mean);
        }
    }
}
