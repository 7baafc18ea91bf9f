//! How a layer learns from the errors that come down: it collects Hebbian products of its own state with them, and updates its weights.
//!
//! ```text
//! h_{l+1} = d_{l+1} x_lᵀ                   Hebbian product
//! W ← W − η·optimiser(−Σ c h / B)          update
//! ```
//!
//! What is needed for this is made when it is first used: a neuron that has not learnt yet has no room for it.

use super::outgoing::Outgoing;
use crate::math::kernel::{Left, Shape, Start};
use crate::math::optimizer::{Optimizer, OptimizerState};
use crate::math::{Field, Real, transpose_into, values, values_mut};
use crate::network::Parameters;

impl<T: Real> Outgoing<T> {
    /// Adds `coefficient · d sᵀ` to what was collected since the last update. False if no error was heard.
    #[must_use]
    pub(super) fn collect(&mut self, state: &Field<T>, coefficient: f64) -> bool {
        if self.refresh_adjoint(state).is_none() {
            return false;
        }
        let adjoint = self.adjoint().expect("prepared above").mapv(|d| T::of(coefficient) * d);
        let (to, batch) = adjoint.dim();
        let from = state.nrows();
        self.transposed.resize(from * batch, T::zero());
        transpose_into(values(state), from, batch, &mut self.transposed);
        let sum = self.collected.get_or_insert_with(|| Box::new(Parameters::zeros(to, from)));
        if self.terms == 0 {
            sum.bias.fill(T::zero());
        }
        let start = if self.terms == 0 { Start::Zero } else { Start::Held };
        let shape = Shape { rows: to, inner: batch, cols: from };
        T::product(shape, Left::Rows(values(&adjoint)), &self.transposed, start, values_mut(&mut sum.weights));
        for (slot, row) in sum.bias.iter_mut().zip(values(&adjoint).chunks_exact(batch)) {
            *slot = row.iter().fold(*slot, |sum, &d| sum + d);
        }
        self.terms += 1;
        true
    }

    /// `coefficient · d sᵀ` and its sum over the batch; `None` if no error was heard.
    pub(super) fn product(&mut self, state: &Field<T>, coefficient: f64) -> Option<Parameters<T>> {
        let (held, terms) = (self.collected.take(), self.terms);
        self.terms = 0;
        let heard = self.collect(state, coefficient);
        self.terms = terms;
        let product = std::mem::replace(&mut self.collected, held);
        product.filter(|_| heard).map(|product| *product)
    }

    /// Counts as collected although nothing was: the estimate stays what it is, or zero.
    pub(super) fn collect_nothing(&mut self) {
        if self.terms == 0 {
            let (to, from) = self.parameters.weights.dim();
            self.collected = Some(Box::new(Parameters::zeros(to, from)));
            self.terms = 1;
        }
    }

    /// The collected estimate of −∂𝓛/∂W, divided by the batch.
    pub(super) fn estimate(&self, batch: usize) -> Option<Parameters<T>> {
        let scale = T::of(1.0 / batch as f64);
        let collected = self.collected.as_ref().filter(|_| self.terms > 0)?;
        Some(Parameters {
            weights: collected.weights.mapv(|h| scale * h),
            bias: collected.bias.iter().map(|&h| scale * h).collect(),
        })
    }

    /// Updates the weights from what was collected, and forgets it. False if nothing was.
    #[must_use]
    pub(super) fn learn(&mut self, batch: usize) -> bool {
        if self.terms == 0 {
            return false;
        }
        if self.previous.is_some() {
            // The weights have moved during the phase.
            self.clear();
            return true;
        }
        self.terms = 0;
        let scale = T::of(1.0 / batch as f64);
        if let Some(sum) = self.collected.take() {
            self.update(&sum, scale);
            if let Some(back) = &mut self.back {
                back.learn(&self.parameters.weights, &sum.weights, scale);
            }
            self.collected = Some(sum);
        }
        self.clear();
        true
    }

    fn fresh_optimizers(&self) -> Box<[Optimizer<T>; 2]> {
        let sizes = [self.parameters.weights.len(), self.parameters.bias.len()];
        Box::new(sizes.map(|size| Optimizer::new(self.settings.optimizer, size)))
    }

    /// One update of weights and bias, of the bias only where it is this part's to learn.
    pub(super) fn update(&mut self, sum: &Parameters<T>, scale: T) {
        let mut optimizers = self.optimizers.take().unwrap_or_else(|| self.fresh_optimizers());
        let [of_weights, of_bias] = &mut *optimizers;
        of_weights.update(values_mut(&mut self.parameters.weights), values(&sum.weights), scale);
        if self.owns_bias {
            of_bias.update(&mut self.parameters.bias, &sum.bias, scale);
        }
        self.optimizers = Some(optimizers);
    }

    /// What has to be stored of the optimisers to go on later.
    pub(super) fn optimizer_states(&self) -> [OptimizerState<T>; 2] {
        let fresh = self.optimizers.is_none().then(|| self.fresh_optimizers());
        let [of_weights, of_bias] = &**self.optimizers.as_ref().or(fresh.as_ref()).expect("one or the other");
        [of_weights.state().clone(), of_bias.state().clone()]
    }

    /// Goes on from stored states; false if their sizes are not those of weights and bias.
    #[must_use]
    pub(super) fn restore(&mut self, states: [OptimizerState<T>; 2]) -> bool {
        let mut optimizers = self.optimizers.take().unwrap_or_else(|| self.fresh_optimizers());
        let fits = optimizers.iter_mut().zip(states).all(|(optimizer, state)| optimizer.restore(state));
        self.optimizers = Some(optimizers);
        fits
    }
}
