//! The estimate of −∂𝓛/∂W of a whole network: a weighted sum of Hebbian products, `Σ_k c_k d_l s_{l−1}ᵀ`, divided by the batch.

use crate::math::kernel::{Left, Shape, Start};
use crate::math::{Field, Real, transpose_into, values, values_mut};
use crate::network::{Parameters, Weights};

/// The sum so far.
#[derive(Debug)]
pub(super) struct Contrast<T> {
    sums: Weights<T>,
    batch: usize,
}

impl<T: Real> Contrast<T> {
    /// Nothing yet, for weights of these shapes and a batch of this size.
    pub(super) fn new(weights: &Weights<T>, batch: usize) -> Self {
        let zeros = |p: &Parameters<T>| Parameters::zeros(p.weights.nrows(), p.weights.ncols());
        Self { sums: weights.iter().map(zeros).collect(), batch }
    }

    /// Adds `coefficient · d sᵀ` for the weights that lead to layer `layer`.
    pub(super) fn add(&mut self, layer: usize, coefficient: f64, d: &Field<T>, s: &Field<T>) {
        let scaled = d.mapv(|d| T::of(coefficient) * d);
        let ((to, batch), from) = (scaled.dim(), s.nrows());
        let mut transposed = vec![T::zero(); from * batch];
        transpose_into(values(s), from, batch, &mut transposed);
        let sum = &mut self.sums[layer - 1];
        let shape = Shape { rows: to, inner: batch, cols: from };
        T::product(shape, Left::Rows(values(&scaled)), &transposed, Start::Held, values_mut(&mut sum.weights));
        for (slot, row) in sum.bias.iter_mut().zip(scaled.rows()) {
            *slot = row.iter().fold(*slot, |sum, &d| sum + d);
        }
    }

    /// The sums, not divided by the batch.
    pub(super) fn sums(&self) -> &Weights<T> {
        &self.sums
    }

    /// `1 / batch`.
    pub(super) fn mean(&self) -> T {
        T::of(1.0 / self.batch as f64)
    }

    /// The estimate of −∂𝓛/∂W, batch mean.
    pub(super) fn estimate(&self) -> Weights<T> {
        let mean = self.mean();
        let scaled = |p: &Parameters<T>| Parameters {
            weights: p.weights.mapv(|h| mean * h),
            bias: p.bias.iter().map(|&h| mean * h).collect(),
        };
        self.sums.iter().map(scaled).collect()
    }
}
