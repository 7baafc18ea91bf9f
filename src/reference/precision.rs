//! Precisions of single units for the whole network: `e_l = Π_l ⊙ (x_l − f(a_l))` with one number per row.
//!
//! ```text
//! after the last phase, where they are learned:   q = ln Π,   q ← q + η_Π ½ (1 − ⟨e²⟩ / Π),   Π = exp q
//! ```

use crate::math::{Field, Real, sum_of_squares, values};
use crate::network::NetworkSpec;
use crate::network::precision::{LEAST, MOST};

/// Π of every hidden layer that has them; none if one number per layer serves.
#[derive(Debug)]
pub(super) struct Precisions<T> {
    /// Of layer l at index l − 1, hidden layers only.
    of_layer: Vec<Vec<T>>,
    logarithms: Vec<Vec<T>>,
    rate: T,
}

impl<T: Real> Precisions<T> {
    pub(super) fn new(network: &NetworkSpec) -> Self {
        let of_layer: Vec<Vec<T>> = (1..network.depth()).filter_map(|l| network.unit_precision(l)).collect();
        let learned = if network.precision_rate() > 0.0 { &of_layer[..] } else { &[] };
        let logarithms = learned.iter().map(|units| units.iter().map(|p| p.ln()).collect()).collect();
        Self { of_layer, logarithms, rate: T::of(network.precision_rate()) }
    }

    /// Those of the units of a hidden layer, if they differ or are learned.
    pub(super) fn of(&self, layer: usize) -> Option<&[T]> {
        self.of_layer.get(layer - 1).map(Vec::as_slice)
    }

    /// `½ Σ e²/Π`; `None` where one number serves.
    pub(super) fn energy(&self, layer: usize, error: &Field<T>) -> Option<f64> {
        let units = self.of(layer)?;
        let rows = values(error).chunks_exact(error.ncols());
        Some(rows.zip(units).map(|(row, precision)| 0.5 * sum_of_squares(row) / precision.wide()).sum())
    }

    /// One step with the errors `e_1 … e_L`.
    pub(super) fn learn(&mut self, errors: &[Field<T>]) {
        let (least, most) = (T::of(LEAST.ln()), T::of(MOST.ln()));
        for ((logarithms, units), error) in self.logarithms.iter_mut().zip(&mut self.of_layer).zip(errors) {
            for (i, row) in error.rows().into_iter().enumerate() {
                let mean = row.iter().fold(T::zero(), |sum, &e| sum + e * e) / T::of(error.ncols() as f64);
                let moved = logarithms[i] + self.rate * T::of(0.5) * (T::one() - mean / units[i]);
                logarithms[i] = moved.max(least).min(most);
                units[i] = logarithms[i].exp();
            }
        }
    }

    /// ln Π of layers 1 … L − 1, for a checkpoint; none where they are not learned.
    pub(super) fn logarithms(&self) -> Vec<Vec<T>> {
        self.logarithms.clone()
    }

    /// From a checkpoint; false if it does not fit.
    pub(super) fn restore(&mut self, logarithms: Vec<Vec<T>>) -> bool {
        let sizes = |of: &[Vec<T>]| of.iter().map(Vec::len).collect::<Vec<_>>();
        if sizes(&logarithms) != sizes(&self.logarithms) {
            return false;
        }
        for (units, logarithms) in self.of_layer.iter_mut().zip(&logarithms) {
            *units = logarithms.iter().map(|logarithm| logarithm.exp()).collect();
        }
        self.logarithms = logarithms;
        true
    }
}
