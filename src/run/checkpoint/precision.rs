//! Learned precisions in a checkpoint: `"log_precision.1"` … in `optimizer.safetensors`, one number per unit of that hidden layer.

use safetensors::SafeTensors;

use super::{Entry, bytes_of, tensor};
use crate::math::Real;
use crate::network::NetworkSpec;

/// The tensors to be written.
pub(super) fn entries<T: Real>(precisions: &[Vec<T>], entries: &mut Vec<Entry>) {
    for (layer, logarithms) in (1..).zip(precisions) {
        let bytes = bytes_of(logarithms.iter().copied());
        entries.push((format!("log_precision.{layer}"), vec![logarithms.len()], bytes));
    }
}

/// What a network whose precisions are learned needs; nothing for another, which begins where its configuration says.
pub(super) fn parse<T: Real>(bytes: &[u8], network: &NetworkSpec) -> Result<Vec<Vec<T>>, String> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| format!("is not a safetensors file: {error}"))?;
    if network.precision_rate() == 0.0 {
        let stored = tensors.names().iter().any(|name| name.starts_with("log_precision."));
        let what = "holds learned precisions, and learning.precision_lr is 0";
        return if stored { Err(what.to_owned()) } else { Ok(Vec::new()) };
    }
    let of_layer = |layer: usize| {
        let (name, width) = (format!("log_precision.{layer}"), network.widths()[layer]);
        let (shape, numbers) = tensor::<T>(&tensors, &name)?;
        if shape == [width] { Ok(numbers) } else { Err(format!("tensor `{name}` has shape {shape:?}, not [{width}]")) }
    };
    (1..network.depth()).map(of_layer).collect()
}
