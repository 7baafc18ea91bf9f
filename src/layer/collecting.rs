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

/// Hebbian products, as they are collected.
#[derive(Debug)]
pub(super) struct Hebbian<T> {
    /// The sum since the last update, if it has any terms; otherwise room for one.
    pub(super) collected: Option<Parameters<T>>,
    pub(super) terms: usize,
    /// Where weights move during a phase: the product one step ago.
    pub(super) previous: Option<Parameters<T>>,
    transposed: Vec<T>,
}

impl<T> Default for Hebbian<T> {
    fn default() -> Self {
        Self { collected: None, terms: 0, previous: None, transposed: Vec::new() }
    }
}

impl<T> Hebbian<T> {
    /// Forgets what was collected.
    pub(super) fn begin_anew(&mut self) {
        self.terms = 0;
        self.previous = None;
    }

    /// What was collected since the last update.
    pub(super) fn sum(&self) -> Option<&Parameters<T>> {
        self.collected.as_ref().filter(|_| self.terms > 0)
    }
}

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
        let Hebbian { collected, terms, transposed, .. } = &mut **self.hebbian.get_or_insert_default();
        transposed.resize(from * batch, T::zero());
        transpose_into(values(state), from, batch, transposed);
        let sum = collected.get_or_insert_with(|| Parameters::zeros(to, from));
        if *terms == 0 {
            sum.bias.fill(T::zero());
        }
        let start = if *terms == 0 { Start::Zero } else { Start::Held };
        let shape = Shape { rows: to, inner: batch, cols: from };
        T::product(shape, Left::Rows(values(&adjoint)), transposed, start, values_mut(&mut sum.weights));
        for (slot, row) in sum.bias.iter_mut().zip(values(&adjoint).chunks_exact(batch)) {
            *slot = row.iter().fold(*slot, |sum, &d| sum + d);
        }
        *terms += 1;
        true
    }

    /// `coefficient · d sᵀ` and its sum over the batch; `None` if no error was heard.
    pub(super) fn product(&mut self, state: &Field<T>, coefficient: f64) -> Option<Parameters<T>> {
        let held = self.hebbian.take();
        let heard = self.collect(state, coefficient);
        let product = std::mem::replace(&mut self.hebbian, held);
        product.filter(|_| heard)?.collected
    }

    /// Counts as collected although nothing was: the estimate stays what it is, or zero.
    pub(super) fn collect_nothing(&mut self) {
        let (to, from) = self.parameters.weights.dim();
        let hebbian = self.hebbian.get_or_insert_default();
        if hebbian.terms == 0 {
            hebbian.collected = Some(Parameters::zeros(to, from));
            hebbian.terms = 1;
        }
    }

    /// The collected estimate of −∂𝓛/∂W, divided by the batch.
    pub(super) fn estimate(&self, batch: usize) -> Option<Parameters<T>> {
        let scale = T::of(1.0 / batch as f64);
        let collected = self.hebbian.as_ref()?.sum()?;
        Some(Parameters {
            weights: collected.weights.mapv(|h| scale * h),
            bias: collected.bias.iter().map(|&h| scale * h).collect(),
        })
    }

    /// Updates the weights from what was collected, and forgets it. False if nothing was.
    #[must_use]
    pub(super) fn learn(&mut self, batch: usize) -> bool {
        let Some(mut hebbian) = self.hebbian.take_if(|hebbian| hebbian.terms > 0) else { return false };
        // If there was a product one step ago, the weights have moved during the phase.
        if let (Some(sum), None) = (&hebbian.collected, &hebbian.previous) {
            let scale = T::of(1.0 / batch as f64);
            self.update(sum, scale);
            if let Some(back) = &mut self.back {
                back.learn(&self.parameters.weights, &sum.weights, scale);
            }
        }
        hebbian.begin_anew();
        self.hebbian = Some(hebbian);
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
