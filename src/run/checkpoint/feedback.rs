//! Feedback weights in a checkpoint: `"2.feedback"` for the matrix that errors come down through beside `"2.weight"`, and
//! `"2.feedback.first"`, `"2.feedback.second"` for the moments of those that learn. They stand in `optimizer.safetensors`, so that the
//! model's file stays a state dict of the feedforward network. A run with tied feedback has none of them.

use ndarray::Array2;
use safetensors::SafeTensors;

use super::{Entry, bytes_of, module, tensor};
use crate::math::Real;
use crate::math::optimizer::OptimizerState;
use crate::network::{FeedbackKind, FeedbackState, NetworkSpec};

/// Updates of those that learn.
pub(super) fn updates<T>(feedback: &[FeedbackState<T>]) -> Vec<u64> {
    feedback.iter().filter_map(|state| Some(state.optimizer.as_ref()?.updates)).collect()
}

/// The tensors to be written.
pub(super) fn entries<T: Real>(feedback: &[FeedbackState<T>], entries: &mut Vec<Entry>) {
    for (index, state) in (1..).zip(feedback) {
        let name = format!("{}.feedback", module(index));
        for (moment, numbers) in state.optimizer.iter().flat_map(|o| [("first", &o.first), ("second", &o.second)]) {
            entries.push((format!("{name}.{moment}"), vec![numbers.len()], bytes_of(numbers.iter().copied())));
        }
        entries.push((name, state.matrix.shape().to_vec(), bytes_of(state.matrix.iter().copied())));
    }
}

/// What a network of this kind needs of them.
pub(super) fn parse<T: Real>(
    bytes: &[u8],
    updates: &[u64],
    network: &NetworkSpec,
) -> Result<Vec<FeedbackState<T>>, String> {
    let kind = network.feedback();
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| format!("is not a safetensors file: {error}"))?;
    let stored = tensors.names().iter().any(|name| name.ends_with(".feedback"));
    if kind == FeedbackKind::Tied {
        let none = "holds feedback weights, and model.feedback is \"tied\"";
        return if stored { Err(none.to_owned()) } else { Ok(Vec::new()) };
    }
    let learning = if kind == FeedbackKind::KolenPollack { network.depth() - 1 } else { 0 };
    if updates.len() != learning {
        let counted = updates.len();
        return Err(format!("counts updates of {counted} feedback matrices, model.feedback has {learning} that learn"));
    }
    let state = |(index, pair): (usize, &[usize])| {
        let (name, wanted) = (format!("{}.feedback", module(index)), [pair[1], pair[0]]);
        let (shape, numbers) = tensor::<T>(&tensors, &name)?;
        if shape != wanted {
            return Err(format!("tensor `{name}` has shape {shape:?}, the network {network} needs {wanted:?}"));
        }
        let matrix = Array2::from_shape_vec((pair[1], pair[0]), numbers).map_err(|error| error.to_string())?;
        let moment = |moment| Ok::<_, String>(tensor::<T>(&tensors, &format!("{name}.{moment}"))?.1);
        let optimizer = match updates.get(index - 1) {
            Some(&updates) => Some(OptimizerState { updates, first: moment("first")?, second: moment("second")? }),
            None => None,
        };
        Ok(FeedbackState { matrix, optimizer })
    };
    network.widths().windows(2).enumerate().skip(1).map(state).collect()
}
