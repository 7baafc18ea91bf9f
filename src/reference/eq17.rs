//! The paper's first-order correction (Eq. 17) of the contrastive estimate, as a diagnostic: what it removes, and what it leaves.
//!
//! ```text
//! λ ∂𝓛/∂W  ≈  ∂E^λ/∂W |_{x*}  −  ∂E⁰/∂W |_{x̄}  −  H_x̄ δ_x,      H_x̄ = ∂²E^λ/∂x∂W |_{x̄},   δ_x = x* − x̄
//! ```
//!
//! Taken literally it does not reach O(λ²): for the weights of hidden layers the *explicit* derivative ∂𝓛/∂W on the left is zero, the
//! gradient sits in the first-order term H δ_x, and the correction subtracts it (relative error 1 at every λ). Only for the output's
//! weights is the error O(λ²). Symmetric and Richardson nudges (`crate::rule`) are what reaches that order everywhere.
//!
//! H δ_x is taken as a central difference of the Hebbian products along δ_x. Predictive coding, double precision.

use super::backprop::current;
use crate::energy::EnergyKind;
use crate::math::Field;
use crate::network::{NetworkSpec, Parameters, Weights};

/// How far along δ_x the central difference reaches: its own error is the square of this times a third derivative.
const REACH: f64 = 1e-3;

/// The corrected estimate of −∂𝓛/∂W, batch mean. `free` and `nudged` are `x_0 … x_{L−1}` at the two equilibria, without the
/// output's current.
pub fn corrected(
    network: &NetworkSpec,
    weights: &Weights<f64>,
    target: &Field<f64>,
    (free, nudged): (&[Field<f64>], &[Field<f64>]),
    nudge: f64,
) -> Weights<f64> {
    assert_eq!(network.energy(), EnergyKind::PredictiveCoding, "Eq. 17 is worked out for predictive coding");
    let along = |t: f64| -> Vec<Field<f64>> {
        free.iter().zip(nudged).map(|(free, nudged)| free + &((nudged - free) * t)).collect()
    };
    let at = |states: &[Field<f64>], nudge| hebbian(network, weights, target, states, nudge);
    let (end, start) = (at(nudged, nudge), at(free, 0.0));
    let (ahead, behind) = (at(&along(REACH), nudge), at(&along(-REACH), nudge));
    let mut out = Vec::with_capacity(weights.len());
    for l in 0..weights.len() {
        let first_order = (&ahead[l].weights - &behind[l].weights) / (2.0 * REACH);
        let weights = (&end[l].weights - &start[l].weights - first_order) / nudge;
        let numbers = end[l].bias.iter().zip(&start[l].bias).zip(ahead[l].bias.iter().zip(&behind[l].bias));
        let bias =
            numbers.map(|((end, start), (ahead, behind))| (end - start - (ahead - behind) / (2.0 * REACH)) / nudge);
        out.push(Parameters { weights, bias: bias.collect() });
    }
    out
}

/// `−∂E^λ/∂W_l = 1/B d_l x_{l−1}ᵀ` at any states.
fn hebbian(
    network: &NetworkSpec,
    weights: &Weights<f64>,
    target: &Field<f64>,
    states: &[Field<f64>],
    nudge: f64,
) -> Weights<f64> {
    let depth = network.depth();
    let batch = target.ncols() as f64;
    let mut products = Vec::with_capacity(depth);
    for l in 1..=depth {
        let a = current(&weights[l - 1], &states[l - 1]);
        let f = network.activation(l);
        let d = if l == depth {
            let mut p = a.clone();
            network.loss().outputs_into(f, &a, &mut p);
            let mut d = (target - &p) * nudge;
            d.zip_mut_with(&a, |d, &a| *d *= network.loss().slope(f, a));
            d
        } else {
            let mut d = &states[l] - &a.mapv(|a| f.value_and_slope(a).0);
            d.zip_mut_with(&a, |d, &a| *d *= network.precision(l) * f.value_and_slope(a).1);
            d
        };
        let weights = d.dot(&states[l - 1].t()) / batch;
        products.push(Parameters { weights, bias: d.rows().into_iter().map(|row| row.sum() / batch).collect() });
    }
    products
}
