//! Supervised losses 𝓛 and the output error they send down.
//!
//! ```text
//! squared-error   𝓛 = ½ Σ (T − f(a_L))²          output error  e_L = λ (T − f(a_L))       d_L = e_L ⊙ f'(a_L)
//! cross-entropy   𝓛 = −Σ T·ln softmax(a_L)       output error  e_L = λ (T − softmax(a_L)) d_L = e_L
//! ```
//!
//! so that `d_L = −λ ∂𝓛/∂a_L` in both. A clamped output with quadratic energy and precision Π_L is squared error with
//! λ = Π_L. Differs from the paper: Eq. 25 writes `λ ε_L` and Algorithm 1 writes `(1/λ)(T − x_L)` with a rate scaled by 1/λ;
//! here the output error carries λ, the inference rate is `activity_lr`, and the read-out divides by λ. For targets that sum to
//! one, which cross-entropy requires.

use serde::{Deserialize, Serialize};

use super::Activation;
use crate::math::{Field, Real, values, values_mut};

/// A supervised loss at the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Softmax cross-entropy.
    #[default]
    CrossEntropy,
    /// Half the squared distance.
    SquaredError,
}

/// How an output stands against its target, summed over the batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Σ over samples of 𝓛.
    pub loss: f64,
    /// Samples whose largest output is where their target is largest.
    pub correct: usize,
}

impl Loss {
    /// What the output layer says: `softmax(a)` over units or `f(a)`, into `out`.
    pub fn outputs_into<T: Real>(self, output: Activation, currents: &Field<T>, out: &mut Field<T>) {
        match self {
            Self::SquaredError => output.values_into(values(currents), values_mut(out)),
            Self::CrossEntropy => softmax_into(currents, out),
        }
    }

    /// `f'(a_L)` as it enters `d_L`: one for cross-entropy, whose derivative is already in its error.
    pub fn slope<T: Real>(self, output: Activation, current: T) -> T {
        match self {
            Self::SquaredError => output.value_and_slope(current).1,
            Self::CrossEntropy => T::one(),
        }
    }

    /// Adds `−β ∂𝓛/∂x_L` to the drive of an output that has a state: β (T − x), or β (T − softmax(x)).
    pub fn pull<T: Real>(self, nudge: T, state: &Field<T>, target: &Field<T>, drive: &mut Field<T>) {
        let mut outputs = Field::zeros(state.dim());
        self.outputs_into(Activation::Identity, state, &mut outputs);
        let parts = values(target).iter().zip(values(&outputs));
        for (drive, (&t, &p)) in values_mut(drive).iter_mut().zip(parts) {
            *drive = *drive + nudge * (t - p);
        }
    }

    /// Loss and accuracy of a batch from the output's currents, accumulated in `f64` sample by sample.
    pub fn score<T: Real>(self, output: Activation, currents: &Field<T>, target: &Field<T>) -> Score {
        let mut score = Score::default();
        for (a, t) in currents.columns().into_iter().zip(target.columns()) {
            let wide = |(a, t): (&T, &T)| (a.wide(), t.wide());
            score.loss += match self {
                Self::SquaredError => {
                    a.iter().zip(t).map(wide).map(|(a, t)| 0.5 * (t - output.value(a)).powi(2)).sum::<f64>()
                }
                Self::CrossEntropy => {
                    let top = a.iter().map(|a| a.wide()).fold(f64::NEG_INFINITY, f64::max);
                    let log_sum = top + a.iter().map(|a| (a.wide() - top).exp()).sum::<f64>().ln();
                    a.iter().zip(t).map(wide).map(|(a, t)| t * (log_sum - a)).sum::<f64>()
                }
            };
            // The outputs are increasing functions of the currents for every activation here but GELU below −0.75; the
            // currents decide, which is also PyTorch's custom (argmax of the logits).
            score.correct += usize::from(largest(a.iter()) == largest(t.iter()));
        }
        score
    }
}

/// Index of the first largest entry.
fn largest<'a, T: Real>(entries: impl Iterator<Item = &'a T>) -> usize {
    let mut best = (0, T::neg_infinity());
    for (index, &entry) in entries.enumerate() {
        if entry > best.1 {
            best = (index, entry);
        }
    }
    best.0
}

/// Softmax over units (rows) for every sample (column), row by row so that the batch stays the inner loop.
fn softmax_into<T: Real>(currents: &Field<T>, out: &mut Field<T>) {
    let batch = currents.ncols();
    let (currents, out) = (values(currents), values_mut(out));
    let mut top = vec![T::neg_infinity(); batch];
    for row in currents.chunks_exact(batch) {
        for (top, &a) in top.iter_mut().zip(row) {
            *top = if a > *top { a } else { *top };
        }
    }
    let mut sum = vec![T::zero(); batch];
    for (row, out_row) in currents.chunks_exact(batch).zip(out.chunks_exact_mut(batch)) {
        for (((&a, slot), &top), sum) in row.iter().zip(out_row).zip(&top).zip(&mut sum) {
            *slot = (a - top).exp();
            *sum = *sum + *slot;
        }
    }
    for out_row in out.chunks_exact_mut(batch) {
        for (slot, &sum) in out_row.iter_mut().zip(&sum) {
            *slot = *slot / sum;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn cross_entropy_of_equal_currents_is_the_logarithm_of_the_classes() {
        let currents = array![[0.3, -1.0], [0.3, -1.0], [0.3, -1.0], [0.3, -1.0]];
        let target = array![[1.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 1.0]];
        let score = Loss::CrossEntropy.score(Activation::Identity, &currents, &target);
        assert!((score.loss - 2.0 * 4.0_f64.ln()).abs() < 1e-12);
        // Ties go to the first unit, which is right for the first sample only.
        assert_eq!(score.correct, 1);
    }

    #[test]
    fn huge_currents_neither_overflow_nor_hide_a_bad_number() {
        let mut out = Field::zeros((2, 2));
        Loss::CrossEntropy.outputs_into(Activation::Identity, &array![[1e30_f32, f32::NAN], [-1e30, 0.0]], &mut out);
        assert_eq!((out[[0, 0]], out[[1, 0]]), (1.0, 0.0));
        assert!(out[[1, 1]].is_nan());
    }

    /// `d_L / λ` is the negative finite difference of the loss in the currents, for both losses and every output activation.
    #[test]
    fn output_errors_are_the_slopes_of_the_loss() {
        let target = array![[0.2], [0.5], [0.3]];
        let currents = array![[0.4], [-0.7], [0.15]];
        let step = 1e-6;
        for loss in [Loss::SquaredError, Loss::CrossEntropy] {
            for f in Activation::ALL {
                let mut outputs = Field::zeros((3, 1));
                loss.outputs_into(f, &currents, &mut outputs);
                for unit in 0..3 {
                    let at = |shift: f64| {
                        let mut moved = currents.clone();
                        moved[[unit, 0]] += shift;
                        loss.score(f, &moved, &target).loss
                    };
                    let slope = (at(step) - at(-step)) / (2.0 * step);
                    let error = (target[[unit, 0]] - outputs[[unit, 0]]) * loss.slope(f, currents[[unit, 0]]);
                    assert!((slope + error).abs() < 1e-8, "{loss:?} {f:?} unit {unit}: {slope} against {}", -error);
                }
            }
        }
    }
}
