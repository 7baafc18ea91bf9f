//! States in a checkpoint, where the next free phase begins at them: `"state.0"` … in `optimizer.safetensors`, `n_l × batch`.

use ndarray::Array2;
use safetensors::SafeTensors;

use super::{Entry, bytes_of, tensor};
use crate::math::{Field, Real};
use crate::network::NetworkSpec;

/// The tensors to be written.
pub(super) fn entries<T: Real>(states: &[Field<T>], entries: &mut Vec<Entry>) {
    for (layer, state) in states.iter().enumerate() {
        entries.push((format!("state.{layer}"), state.shape().to_vec(), bytes_of(state.iter().copied())));
    }
}

/// The states of all layers, if there are any.
pub(super) fn parse<T: Real>(bytes: &[u8], network: &NetworkSpec) -> Result<Vec<Field<T>>, String> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| format!("is not a safetensors file: {error}"))?;
    if !tensors.names().iter().any(|name| name.starts_with("state.")) {
        return Ok(Vec::new());
    }
    let of_layer = |(layer, &width): (usize, &usize)| {
        let name = format!("state.{layer}");
        let (shape, numbers) = tensor::<T>(&tensors, &name)?;
        match shape[..] {
            [units, batch] if units == width => {
                Array2::from_shape_vec((units, batch), numbers).map_err(|error| error.to_string())
            }
            _ => Err(format!("tensor `{name}` has shape {shape:?}, the layer has {width} units")),
        }
    };
    network.widths().iter().enumerate().map(of_layer).collect()
}
