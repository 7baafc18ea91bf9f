//! A layer's current as the sum of the shares of the groups below it (`crate::network::Grouping`).
//!
//! ```text
//! a_l = ((b_l + W_l[:, g_0] s[g_0]) + W_l[:, g_1] s[g_1]) + …
//! ```
//!
//! Floating-point addition is not associative, so the shares are added in the order in which a network of groups adds them. With one
//! group this is the product of `backprop::current`.

use ndarray::{Axis, Slice};

use super::backprop::current;
use crate::math::{Field, Real, values};
use crate::network::{NetworkSpec, Parameters};

/// The current that layer `below` sends up.
pub(super) fn sum_of_shares<T: Real>(
    network: &NetworkSpec,
    below: usize,
    parameters: &Parameters<T>,
    source: &Field<T>,
) -> Field<T> {
    let share = |group: usize| {
        let rows = network.rows(below, group);
        let bias = if group == 0 { parameters.bias.clone() } else { vec![T::zero(); parameters.bias.len()] };
        let weights =
            parameters.weights.slice_axis(Axis(1), Slice::from(rows.clone())).as_standard_layout().into_owned();
        current(&Parameters { weights, bias }, &source.slice_axis(Axis(0), Slice::from(rows)).to_owned())
    };
    let groups = network.groups(below);
    if groups == 1 {
        return current(parameters, source);
    }
    (1..groups).map(share).fold(share(0), |sum, share| sum + share)
}

/// A sum over a layer's units, taken group by group.
pub(super) fn sum_of_groups<T: Real>(
    network: &NetworkSpec,
    layer: usize,
    fields: (&Field<T>, &Field<T>),
    sum: impl Fn(&[T], &[T]) -> f64,
) -> f64 {
    let batch = fields.0.ncols();
    let part = |group| {
        let rows = network.rows(layer, group);
        let range = rows.start * batch..rows.end * batch;
        sum(&values(fields.0)[range.clone()], &values(fields.1)[range])
    };
    (0..network.groups(layer)).map(part).fold(0.0, |sum, part| sum + part)
}
