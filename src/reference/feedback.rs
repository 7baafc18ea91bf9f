//! The matrices errors come down through, `B_2 … B_L`, for the whole network at once.
//!
//! ```text
//! after every update of the weights:   sign-symmetric   B ← |B| ⊙ sign W        kolen-pollack   B ← B − η·optimiser(−Σ c h / B)
//! ```

use crate::math::optimizer::{Optimizer, OptimizerSpec};
use crate::math::{Field, Real, values, values_mut};
use crate::network::{FeedbackKind, FeedbackState, NetworkSpec, Weights, take_signs};

/// All feedback matrices; none if they are tied.
#[derive(Debug)]
pub(super) struct Descent<T> {
    kind: FeedbackKind,
    /// `B_l` at index l − 2.
    matrices: Vec<Field<T>>,
    /// Likewise, for those that learn.
    optimizers: Vec<Optimizer<T>>,
}

impl<T: Real> Descent<T> {
    /// Drawn from the network's seed.
    pub(super) fn new(network: &NetworkSpec, weights: &Weights<T>, optimizer: OptimizerSpec) -> Self {
        let kind = network.feedback();
        let matrices: Vec<Field<T>> = (2..=network.depth()).filter_map(|l| network.initial_feedback(l)).collect();
        let learning = if kind == FeedbackKind::KolenPollack { &matrices[..] } else { &[] };
        let optimizers = learning.iter().map(|b| Optimizer::new(optimizer, b.len())).collect();
        let mut descent = Self { kind, matrices, optimizers };
        descent.align(weights);
        descent
    }

    /// What the errors of layer `layer` come down through.
    pub(super) fn matrix<'a>(&'a self, layer: usize, weights: &'a Weights<T>) -> &'a Field<T> {
        match self.kind {
            FeedbackKind::Tied => &weights[layer - 1].weights,
            _ => &self.matrices[layer - 2],
        }
    }

    /// The weights have changed.
    pub(super) fn align(&mut self, weights: &Weights<T>) {
        if self.kind == FeedbackKind::SignSymmetric {
            for (b, parameters) in self.matrices.iter_mut().zip(&weights[1..]) {
                take_signs(b, &parameters.weights);
            }
        }
    }

    /// The weights have learnt from `mean · sums`.
    pub(super) fn learn(&mut self, weights: &Weights<T>, sums: &Weights<T>, mean: T) {
        for ((b, optimizer), sum) in self.matrices.iter_mut().zip(&mut self.optimizers).zip(&sums[1..]) {
            optimizer.update(values_mut(b), values(&sum.weights), mean);
        }
        self.align(weights);
    }

    /// For a checkpoint.
    pub(super) fn states(&self) -> Vec<FeedbackState<T>> {
        let optimizer = |at: usize| self.optimizers.get(at).map(|optimizer| optimizer.state().clone());
        let state = |(at, b): (usize, &Field<T>)| FeedbackState { matrix: b.clone(), optimizer: optimizer(at) };
        self.matrices.iter().enumerate().map(state).collect()
    }

    /// From a checkpoint; false if it does not fit.
    pub(super) fn restore(&mut self, states: Vec<FeedbackState<T>>) -> bool {
        let mut fits = states.len() == self.matrices.len();
        for (at, state) in states.into_iter().enumerate().take(self.matrices.len()) {
            fits &= state.matrix.dim() == self.matrices[at].dim();
            fits &= match (self.optimizers.get_mut(at), state.optimizer) {
                (Some(optimizer), Some(state)) => optimizer.restore(state),
                (None, None) => true,
                _ => false,
            };
            self.matrices[at] = state.matrix;
        }
        fits
    }
}
