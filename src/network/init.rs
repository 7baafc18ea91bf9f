//! Initial weights of one matrix, from its own stream of the seed.
//!
//! ```text
//! torch-linear   W, b ~ U(±1/√fan_in)                      PyTorch's nn.Linear; the paper's ("Xavier", appendix A.1)
//! xavier         W ~ U(±√(6/(fan_in + fan_out))), b = 0     Glorot & Bengio 2010
//! he             W ~ N(0, 2/fan_in), b = 0                  He et al. 2015
//! orthogonal     WᵀW = 1 or WWᵀ = 1, b = 0                  Saxe et al. 2014
//! ```

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::Parameters;
use crate::math::Real;
use crate::math::random::{Purpose, Stream};

/// A way to draw initial weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Init {
    /// PyTorch's default for linear layers.
    #[default]
    TorchLinear,
    /// Glorot's uniform.
    Xavier,
    /// He's normal.
    He,
    /// Orthonormal rows or columns, whichever are fewer.
    Orthogonal,
}

impl Init {
    /// `W_l` and `b_l` of layer `layer`, `to × from`.
    pub(super) fn draw<T: Real>(self, seed: u64, layer: usize, to: usize, from: usize) -> Parameters<T> {
        self.draw_from(&mut Stream::new(seed, Purpose::Weights, layer as u64), to, from)
    }

    /// The same from another stream.
    pub(super) fn draw_from<T: Real>(self, stream: &mut Stream, to: usize, from: usize) -> Parameters<T> {
        let fan_in = from as f64;
        let weights = match self {
            Self::TorchLinear => uniform(stream, to, from, 1.0 / fan_in.sqrt()),
            Self::Xavier => uniform(stream, to, from, (6.0 / (fan_in + to as f64)).sqrt()),
            Self::He => {
                let deviation = (2.0 / fan_in).sqrt();
                Array2::from_shape_simple_fn((to, from), || deviation * stream.normal())
            }
            Self::Orthogonal => orthogonal(stream, to, from),
        };
        let bias = match self {
            Self::TorchLinear => {
                let reach = 1.0 / fan_in.sqrt();
                (0..to).map(|_| T::of(stream.uniform(-reach, reach))).collect()
            }
            _ => vec![T::zero(); to],
        };
        Parameters { weights: weights.mapv(T::of), bias }
    }
}

fn uniform(stream: &mut Stream, to: usize, from: usize, reach: f64) -> Array2<f64> {
    Array2::from_shape_simple_fn((to, from), || stream.uniform(-reach, reach))
}

/// Gram and Schmidt on normal vectors, each orthogonalised twice ("twice is enough", Giraud et al. 2005).
fn orthogonal(stream: &mut Stream, to: usize, from: usize) -> Array2<f64> {
    let (count, length) = (to.min(from), to.max(from));
    let mut rows = Array2::<f64>::zeros((count, length));
    for i in 0..count {
        let mut vector = ndarray::Array1::from_shape_simple_fn(length, || stream.normal());
        for _ in 0..2 {
            for j in 0..i {
                let along = rows.row(j).dot(&vector);
                vector.scaled_add(-along, &rows.row(j));
            }
        }
        let norm = vector.dot(&vector).sqrt();
        rows.row_mut(i).assign(&(vector / norm));
    }
    if to <= from { rows } else { rows.t().as_standard_layout().into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(init: Init, to: usize, from: usize) -> (f64, f64, f64) {
        let drawn = init.draw::<f64>(5, 1, to, from).weights;
        let n = drawn.len() as f64;
        let largest = drawn.iter().fold(0.0_f64, |m, w| m.max(w.abs()));
        (drawn.sum() / n, drawn.iter().map(|w| w * w).sum::<f64>() / n, largest)
    }

    #[test]
    fn variances_are_those_of_the_definitions() {
        let (to, from) = (200, 300);
        let close = |got: f64, want: f64| (got / want - 1.0).abs() < 0.03;
        let (mean, variance, largest) = moments(Init::TorchLinear, to, from);
        assert!(mean.abs() < 1e-3 && close(variance, 1.0 / (3.0 * 300.0)) && largest <= 1.0 / 300.0_f64.sqrt());
        let (_, variance, largest) = moments(Init::Xavier, to, from);
        assert!(close(variance, 2.0 / 500.0) && largest <= (6.0_f64 / 500.0).sqrt());
        assert!(close(moments(Init::He, to, from).1, 2.0 / 300.0));
    }

    #[test]
    fn orthogonal_matrices_are_isometries_of_their_smaller_side() {
        for (to, from) in [(20, 20), (12, 30), (30, 12)] {
            let w = Init::Orthogonal.draw::<f64>(1, 2, to, from).weights;
            let gram = if to <= from { w.dot(&w.t()) } else { w.t().dot(&w) };
            let off = &gram - &Array2::<f64>::eye(to.min(from));
            assert!(off.iter().all(|entry| entry.abs() < 1e-12), "{to}×{from}");
        }
    }

    #[test]
    fn each_layer_has_its_own_stream_and_f32_is_the_rounded_f64() {
        let draw = |layer| Init::TorchLinear.draw::<f64>(9, layer, 4, 4);
        assert_ne!(draw(1), draw(2));
        let narrow = Init::TorchLinear.draw::<f32>(9, 1, 4, 4);
        assert!(draw(1).numbers().zip(narrow.numbers()).all(|(wide, narrow)| wide as f32 == narrow));
    }
}
