//! Plain backpropagation of the feedforward network: the gradient of the batch-mean loss.
//!
//! ```text
//! x_l = f(a_l),  a_l = W_l x_{l−1} + b_l          δ_L = ∂𝓛/∂a_L,   δ_l = f'(a_l) ⊙ W_{l+1}ᵀ δ_{l+1}
//! ∂𝓛/∂W_l = 1/B δ_l x_{l−1}ᵀ                      ∂𝓛/∂b_l = 1/B Σ_batch δ_l
//! ```

use ndarray::{Array1, Array2, Axis, Zip};

use crate::energy::{Loss, Score};
use crate::math::kernel::{Left, Shape, Start};
use crate::math::{Field, Real, transpose_into, values, values_mut};
use crate::network::{NetworkSpec, Parameters, Weights};

/// A batch's gradient and how the network stood.
#[derive(Clone, Debug)]
pub struct Gradient<T> {
    /// `∂𝓛/∂W_l` and `∂𝓛/∂b_l` of the batch-mean loss, with the sign of PyTorch's `.grad`.
    pub parameters: Weights<T>,
    /// Loss (summed over the batch) and accuracy before any update.
    pub score: Score,
}

/// `W·x + b`.
pub fn current<T: Real>(parameters: &Parameters<T>, x: &Field<T>) -> Field<T> {
    let (to, from) = parameters.weights.dim();
    let mut out = Array2::zeros((to, x.ncols()));
    let (weights, bias) = (values(&parameters.weights), &parameters.bias);
    if x.ncols() == 1 {
        T::current_of_one(weights, bias, values(x), values_mut(&mut out));
    } else {
        let shape = Shape { rows: to, inner: from, cols: x.ncols() };
        T::product(shape, Left::Rows(weights), values(x), Start::Bias(bias), values_mut(&mut out));
    }
    out
}

/// All currents `a_1 … a_L` of a forward pass.
pub fn forward<T: Real>(network: &NetworkSpec, weights: &Weights<T>, data: &Field<T>) -> Vec<Field<T>> {
    let mut currents: Vec<Field<T>> = Vec::with_capacity(network.depth());
    for (l, parameters) in (1..).zip(weights) {
        let a = match currents.last() {
            None => current(parameters, data),
            Some(below) => current(parameters, &below.mapv(|a| network.activation(l - 1).value(a))),
        };
        currents.push(a);
    }
    currents
}

/// The gradient of the batch-mean loss at these weights.
pub fn gradient<T: Real>(
    network: &NetworkSpec,
    weights: &Weights<T>,
    data: &Field<T>,
    target: &Field<T>,
) -> Gradient<T> {
    let (depth, batch) = (network.depth(), data.ncols());
    let currents = forward(network, weights, data);
    let top = &currents[depth - 1];
    let score = network.loss().score(network.activation(depth), top, target);
    let mut delta = output_delta(network, top, target);
    let mut gradients = Vec::with_capacity(depth);
    for l in (1..=depth).rev() {
        let (to, from) = weights[l - 1].weights.dim();
        let below = match l {
            1 => data.clone(),
            _ => currents[l - 2].mapv(|a| network.activation(l - 1).value(a)),
        };
        gradients.push(outer(&delta, &below));
        if l > 1 {
            let mut back = Array2::zeros((from, batch));
            let shape = Shape { rows: from, inner: to, cols: batch };
            let left = Left::Columns(values(&weights[l - 1].weights));
            T::product(shape, left, values(&delta), Start::Zero, values_mut(&mut back));
            Zip::from(&mut back).and(&currents[l - 2]).for_each(|delta, &a| {
                *delta = *delta * network.activation(l - 1).value_and_slope(a).1;
            });
            delta = back;
        }
    }
    gradients.reverse();
    Gradient { parameters: gradients, score }
}

/// `∂𝓛/∂a_L`.
fn output_delta<T: Real>(network: &NetworkSpec, top: &Field<T>, target: &Field<T>) -> Field<T> {
    let output = network.activation(network.depth());
    let mut delta = Array2::zeros(top.dim());
    network.loss().outputs_into(output, top, &mut delta);
    delta.zip_mut_with(target, |p, &t| *p = *p - t);
    if network.loss() == Loss::SquaredError {
        delta.zip_mut_with(top, |delta, &a| *delta = *delta * output.value_and_slope(a).1);
    }
    delta
}

/// `1/B δ xᵀ` and `1/B Σ δ`.
fn outer<T: Real>(delta: &Field<T>, x: &Field<T>) -> Parameters<T> {
    let ((to, batch), from) = (delta.dim(), x.nrows());
    let mut transposed = vec![T::zero(); from * batch];
    transpose_into(values(x), from, batch, &mut transposed);
    let mut weights = Array2::zeros((to, from));
    let shape = Shape { rows: to, inner: batch, cols: from };
    T::product(shape, Left::Rows(values(delta)), &transposed, Start::Zero, values_mut(&mut weights));
    let mean = T::of(1.0 / batch as f64);
    weights.mapv_inplace(|h| mean * h);
    let bias: Array1<T> = delta.sum_axis(Axis(1)).mapv(|sum| mean * sum);
    Parameters { weights, bias: bias.to_vec() }
}
