//! The estimate of −∂𝓛/∂W of a whole network: a weighted sum of Hebbian products, `Σ_k c_k d_l s_{l−1}ᵀ`, divided by the batch.

use crate::math::kernel::{Left, Shape, Start};
use crate::math::{Field, Real, transpose_into, values, values_mut};
use crate::network::{Parameters, Weights};

/// The sum so far.
#[derive(Debug)]
pub(super) struct Contrast<T> {
    sums: Weights<T>,
    batch: usize,
    /// Where weights move during a phase: the products one step ago.
    previous: Option<Weights<T>>,
}

impl<T: Real> Contrast<T> {
    /// Nothing yet, for weights of these shapes and a batch of this size.
    pub(super) fn new(weights: &Weights<T>, batch: usize) -> Self {
        let zeros = |p: &Parameters<T>| Parameters::zeros(p.weights.nrows(), p.weights.ncols());
        Self { sums: weights.iter().map(zeros).collect(), batch, previous: None }
    }

    /// `c d_l s_{l−1}ᵀ` of all layers, not added to anything; `d` and `s` are those of the layers 0 … L.
    fn products(coefficient: f64, d: &[Field<T>], s: &[Field<T>], shapes: &Weights<T>) -> Weights<T> {
        let mut products = Self::new(shapes, 1);
        (1..d.len()).for_each(|l| products.add(l, coefficient, &d[l], &s[l - 1]));
        products.sums
    }

    /// From here on, differences of products are counted.
    pub(super) fn begin_drift(&mut self, coefficient: f64, d: &[Field<T>], s: &[Field<T>]) {
        self.previous = Some(Self::products(coefficient, d, s, &self.sums));
    }

    /// What the products have changed since the last time; added to the sums.
    pub(super) fn drift(&mut self, coefficient: f64, d: &[Field<T>], s: &[Field<T>]) -> Weights<T> {
        let now = Self::products(coefficient, d, s, &self.sums);
        let mut change = now.clone();
        let before = self.previous.replace(now).unwrap_or_else(|| change.clone());
        for ((change, before), sum) in change.iter_mut().zip(&before).zip(&mut self.sums) {
            change.weights.zip_mut_with(&before.weights, |now, &before| *now = *now - before);
            sum.weights.zip_mut_with(&change.weights, |sum, &change| *sum = *sum + change);
            for ((change, &before), sum) in change.bias.iter_mut().zip(&before.bias).zip(&mut sum.bias) {
                *change = *change - before;
                *sum = *sum + *change;
            }
        }
        change
    }

    /// True if the weights have moved during the phase.
    pub(super) fn has_drifted(&self) -> bool {
        self.previous.is_some()
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
