//! From groups to layers and back: what groups report and hand out is put together, what a layer is given is cut.
//!
//! ```text
//! report   residual: the largest; unsettled, energy: sums in the order of the groups; versions: of the first group
//! weights  columns side by side; bias and its optimiser from the first group
//! state    rows one below the other
//! ```

use ndarray::{Array2, Axis, Slice};

use crate::math::optimizer::OptimizerState;
use crate::math::{Field, Real};
use crate::network::{NetworkSpec, Parameters};
use crate::signal::{Extract, Report};

/// One report per layer.
pub(super) fn join_reports(network: &NetworkSpec, reports: Vec<Report>) -> Vec<Report> {
    let mut reports = reports.into_iter();
    let joined = (0..=network.depth()).filter_map(|layer| {
        let groups = network.groups(layer);
        reports.by_ref().take(groups).reduce(|one, other| Report {
            residual: one.residual.max(other.residual),
            unsettled: one.unsettled + other.unsettled,
            energy: one.energy + other.energy,
            bad: one.bad.or(other.bad),
            staleness: one.staleness.max(other.staleness),
            step: one.step.max(other.step),
            ..one
        })
    });
    joined.collect()
}

/// One extract per layer; `None` if groups of a layer handed out different things.
pub(super) fn join_extracts<T: Real>(network: &NetworkSpec, extracts: Vec<Extract<T>>) -> Option<Vec<Extract<T>>> {
    let mut extracts = extracts.into_iter();
    (0..=network.depth())
        .map(|layer| {
            let groups: Vec<Extract<T>> = extracts.by_ref().take(network.groups(layer)).collect();
            join(groups)
        })
        .collect()
}

fn join<T: Real>(groups: Vec<Extract<T>>) -> Option<Extract<T>> {
    if groups.len() == 1 {
        return groups.into_iter().next();
    }
    let mut states = Vec::new();
    let mut parameters = Vec::new();
    let mut optimizers = Vec::new();
    for group in groups {
        match group {
            Extract::State(state) => states.push(state),
            Extract::Estimate(estimate) => parameters.push(estimate),
            Extract::Weights(weights, state) => {
                parameters.push(weights);
                optimizers.push(state?);
            }
            Extract::Nothing => return Some(Extract::Nothing),
            // Not cut: refused where an engine is made.
            Extract::Feedback(_)
            | Extract::Precision(_)
            | Extract::Journal(_)
            | Extract::Seen(_)
            | Extract::Answer(_) => return None,
        }
    }
    if !states.is_empty() {
        return parameters.is_empty().then(|| Extract::State(beside(&states, Axis(0))));
    }
    let columns: Vec<usize> = parameters.iter().map(|p| p.weights.ncols()).collect();
    let weights = beside(&parameters.iter().map(|p| p.weights.clone()).collect::<Vec<_>>(), Axis(1));
    let rows = weights.nrows();
    let whole = Parameters { weights, bias: parameters.swap_remove(0).bias };
    if optimizers.is_empty() {
        return Some(Extract::Estimate(whole));
    }
    let of = |part: fn(&OptimizerState<T>) -> &Vec<T>| -> Option<Vec<T>> {
        let blocks = optimizers.iter().zip(&columns).map(|([of_weights, _], &columns)| {
            let numbers = part(of_weights);
            let columns = if numbers.is_empty() { 0 } else { columns };
            Array2::from_shape_vec((if columns == 0 { 0 } else { rows }, columns), numbers.clone()).ok()
        });
        let blocks = blocks.collect::<Option<Vec<Field<T>>>>()?;
        Some(beside(&blocks, Axis(1)).into_raw_vec_and_offset().0)
    };
    let of_weights = OptimizerState {
        updates: optimizers[0][0].updates,
        first: of(|state| &state.first)?,
        second: of(|state| &state.second)?,
    };
    let [_, of_bias] = optimizers.swap_remove(0);
    Some(Extract::Weights(whole, Some([of_weights, of_bias])))
}

fn beside<T: Real>(blocks: &[Field<T>], axis: Axis) -> Field<T> {
    let views: Vec<_> = blocks.iter().map(|block| block.view()).collect();
    let joined = ndarray::concatenate(axis, &views).expect("blocks of one layer fit each other");
    joined.as_standard_layout().into_owned()
}

/// The share of each group of `layer` in weights and optimiser states of the whole layer.
pub(super) fn split<T: Real>(network: &NetworkSpec, layer: usize, whole: Extract<T>) -> Vec<Extract<T>> {
    let groups = network.groups(layer);
    if groups == 1 {
        return vec![whole];
    }
    if let Extract::State(state) = &whole
        && state.nrows() == network.widths()[layer]
    {
        let rows = |group| Slice::from(network.rows(layer, group));
        let cut = |group| Extract::State(state.slice_axis(Axis(0), rows(group)).as_standard_layout().into_owned());
        return (0..groups).map(cut).collect();
    }
    let Extract::Weights(parameters, optimizers) = whole else { return vec![Extract::Nothing; groups] };
    let (rows, all) = parameters.weights.dim();
    (0..groups)
        .map(|group| {
            let range = network.rows(layer, group);
            let cut = |field: &Field<T>| {
                field.slice_axis(Axis(1), Slice::from(range.clone())).as_standard_layout().into_owned()
            };
            let first = group == 0;
            let zeros = vec![T::zero(); parameters.bias.len()];
            let own = Parameters {
                weights: cut(&parameters.weights),
                bias: if first { parameters.bias.clone() } else { zeros },
            };
            let cut_numbers = |numbers: &Vec<T>| match Array2::from_shape_vec((rows, all), numbers.clone()) {
                Ok(field) => cut(&field).into_raw_vec_and_offset().0,
                // No such moment, or one that does not fit; the layer says so.
                Err(_) => numbers.clone(),
            };
            let states = optimizers.as_ref().map(|[of_weights, of_bias]| {
                let of_weights = OptimizerState {
                    updates: of_weights.updates,
                    first: cut_numbers(&of_weights.first),
                    second: cut_numbers(&of_weights.second),
                };
                [of_weights, of_bias.clone()]
            });
            Extract::Weights(own, states)
        })
        .collect()
}
