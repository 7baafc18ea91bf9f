//! Recurrent backpropagation (Almeida 1990, Pineda 1987): the gradient of the loss at the free equilibrium of the Hopfield energy.
//!
//! ```text
//! at the equilibrium ∂E/∂x = 0 the state depends on the weights, and with H = ∂²E/∂x²
//!   H v = ∂𝓛/∂x                                         the adjoint, solved here by conjugate gradients
//!   d𝓛/dW_l = ρ'(x_l) v_l ⊗ ρ(x_{l−1}) + ρ(x_l) ⊗ ρ'(x_{l−1}) v_{l−1}       (v_0 = 0)
//! H v, layer l:   v_l − ρ''(x_l) (a_l + g_l) v_l − ρ'(x_l) [W_l ρ'(x_{l−1}) v_{l−1} + W_{l+1}ᵀ ρ'(x_{l+1}) v_{l+1}]
//! ```
//!
//! Equilibrium propagation has to approach this as β → 0 (Scellier & Bengio 2017, 2019). In `f64`, for smooth activations.

use ndarray::{Array2, Zip};

use super::backprop::current;
use super::synchronous::Synchronous;
use crate::energy::{Activation, Loss};
use crate::math::Field;
use crate::math::optimizer::OptimizerSpec;
use crate::network::{FeedbackKind, NetworkSpec, Parameters, Weights};
use crate::rule::PlannedPhase;
use crate::settling::{Limits, StopReason};
use crate::signal::{Motion, Origin, Teaching};

/// Why there is no gradient.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImplicitError {
    /// The activation has no second derivative.
    #[error("the implicit gradient needs a smooth activation, sigmoid or tanh; this network has {0:?}")]
    Kinks(Activation),
    /// Without tied feedback there is no energy, and the linear system below is not that of the dynamics.
    #[error("the implicit gradient is that of an energy, which only model.feedback = \"tied\" has")]
    Untied,
    /// The free phase or the adjoint system did not converge.
    #[error("the {0} did not converge; the equilibrium may be unstable or not a minimum")]
    Unsolved(&'static str),
}

/// The free equilibrium, and the gradient of the batch-mean loss there.
#[derive(Clone, Debug)]
pub struct ImplicitGradient {
    /// `∂𝓛/∂W_l` and `∂𝓛/∂b_l`, with the sign of PyTorch's `.grad`.
    pub parameters: Weights<f64>,
    /// `x_0 … x_L`.
    pub states: Vec<Field<f64>>,
    /// Mean loss at the equilibrium.
    pub loss: f64,
}

/// Relaxes to the free equilibrium from zero; `None` if it does not settle.
pub fn free_equilibrium(
    network: &NetworkSpec,
    weights: &Weights<f64>,
    data: &Field<f64>,
    target: &Field<f64>,
) -> Option<Vec<Field<f64>>> {
    let mut reference = Synchronous::new(network, weights.clone(), 0.2, OptimizerSpec::sgd(0.0));
    reference.present(data, target);
    let free = PlannedPhase::read(Motion::Relax { teaching: Teaching::Free, from: Origin::Zero }, 0.0);
    let record = reference.run_phase(&free, Limits::tolerance(1e-14, 100_000));
    (record.reason == StopReason::Settled).then(|| reference.states())
}

/// ρ' and ρ''.
fn slopes(rho: Activation, x: f64) -> (f64, f64) {
    let (value, slope) = rho.value_and_slope(x);
    let second = match rho {
        Activation::Sigmoid => slope * (1.0 - 2.0 * value),
        _ => -2.0 * value * slope,
    };
    (slope, second)
}

/// The gradient at the free equilibrium.
pub fn gradient(
    network: &NetworkSpec,
    weights: &Weights<f64>,
    data: &Field<f64>,
    target: &Field<f64>,
) -> Result<ImplicitGradient, ImplicitError> {
    let rho = network.activation(1);
    if !matches!(rho, Activation::Sigmoid | Activation::Tanh) {
        return Err(ImplicitError::Kinks(rho));
    }
    if network.feedback() != FeedbackKind::Tied {
        return Err(ImplicitError::Untied);
    }
    let depth = network.depth();
    let x = free_equilibrium(network, weights, data, target).ok_or(ImplicitError::Unsolved("free phase"))?;
    let s: Vec<Field<f64>> = x.iter().map(|x| x.mapv(|x| rho.value(x))).collect();
    let first: Vec<Field<f64>> = x.iter().map(|x| x.mapv(|x| slopes(rho, x).0)).collect();
    // 1 − ρ''(x) (a + g): the diagonal of H, without the couplings.
    let diagonal: Vec<Field<f64>> = (1..=depth)
        .map(|l| {
            let mut total = current(&weights[l - 1], &s[l - 1]);
            if l < depth {
                total += &weights[l].weights.t().dot(&s[l + 1]);
            }
            Zip::from(&total).and(&x[l]).map_collect(|&total, &x| 1.0 - slopes(rho, x).1 * total)
        })
        .collect();
    let hessian = |v: &[Field<f64>]| -> Vec<Field<f64>> {
        let product = |l: usize| {
            let mut coupled: Field<f64> = Array2::zeros(v[l - 1].dim());
            if l > 1 {
                coupled += &weights[l - 1].weights.dot(&(&first[l - 1] * &v[l - 2]));
            }
            if l < depth {
                coupled += &weights[l].weights.t().dot(&(&first[l + 1] * &v[l]));
            }
            &diagonal[l - 1] * &v[l - 1] - &first[l] * &coupled
        };
        (1..=depth).map(product).collect()
    };
    let mut slope_of_loss: Vec<Field<f64>> = x[1..].iter().map(|x| Array2::zeros(x.dim())).collect();
    let mut outputs = x[depth].clone();
    network.loss().outputs_into(Activation::Identity, &x[depth], &mut outputs);
    slope_of_loss[depth - 1] = match network.loss() {
        Loss::SquaredError | Loss::CrossEntropy => &outputs - target,
    };
    let v = solve(hessian, &slope_of_loss).ok_or(ImplicitError::Unsolved("adjoint"))?;
    let batch = data.ncols() as f64;
    let parameters = (1..=depth)
        .map(|l| {
            let upper = &first[l] * &v[l - 1];
            let mut weights = upper.dot(&s[l - 1].t());
            if l > 1 {
                weights += &s[l].dot(&(&first[l - 1] * &v[l - 2]).t());
            }
            let bias = upper.sum_axis(ndarray::Axis(1)) / batch;
            Parameters { weights: weights / batch, bias: bias.to_vec() }
        })
        .collect();
    let score = network.loss().score(Activation::Identity, &x[depth], target);
    Ok(ImplicitGradient { parameters, states: x, loss: score.loss / batch })
}

fn dot(a: &[Field<f64>], b: &[Field<f64>]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a * b).sum()).sum()
}

/// Conjugate gradients on a symmetric, positive definite system.
fn solve(apply: impl Fn(&[Field<f64>]) -> Vec<Field<f64>>, right: &[Field<f64>]) -> Option<Vec<Field<f64>>> {
    let mut v: Vec<Field<f64>> = right.iter().map(|r| Array2::zeros(r.dim())).collect();
    let mut residual = right.to_vec();
    let mut direction = residual.clone();
    let (mut size, start) = (dot(&residual, &residual), dot(right, right));
    for _ in 0..10_000 {
        if size <= 1e-28 * start {
            return Some(v);
        }
        let applied = apply(&direction);
        let curvature = dot(&direction, &applied);
        if curvature.is_nan() || curvature <= 0.0 {
            return None;
        }
        let along = size / curvature;
        for l in 0..v.len() {
            v[l].scaled_add(along, &direction[l]);
            residual[l].scaled_add(-along, &applied[l]);
        }
        let next = dot(&residual, &residual);
        for (direction, residual) in direction.iter_mut().zip(&residual) {
            *direction *= next / size;
            *direction += residual;
        }
        size = next;
    }
    None
}
