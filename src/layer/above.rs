//! What a layer knows of the layer above: how that one responds to a current. From this an old error is brought up to date
//! (`outgoing`).

use ndarray::Array2;

use super::deviating::Ground;
use super::precision::UnitPrecision;
use crate::energy::{Activation, Loss};
use crate::math::{Field, Real, values, values_mut};

/// How the layer above responds to a current: known from the network's description, not from any message.
#[derive(Clone, Debug)]
pub(super) struct Above<T> {
    pub(super) activation: Activation,
    /// `Some` if it is the output.
    pub(super) loss: Option<Loss>,
    /// Π of the layer above, or λ if it is the output (one where everything is in units of λ).
    pub(super) gain: T,
    /// Π of its units, where they have precisions of their own.
    pub(super) units: Option<Box<UnitPrecision<T>>>,
}

impl<T: Real> Above<T> {
    /// `r(a)`: Π f(a), or λ p(a) at the output; of a deviation Π φ(ā, c), or p(ā + λc).
    pub(super) fn response(&self, current: &Field<T>, ground: Option<&Ground<T>>) -> Field<T> {
        let mut out = Array2::zeros(current.dim());
        match (self.loss, ground) {
            (Some(loss), None) => loss.outputs_into(self.activation, current, &mut out),
            (Some(loss), Some(ground)) => loss.outputs_into(self.activation, &ground.total(current), &mut out),
            (None, None) => self.activation.values_into(values(current), values_mut(&mut out)),
            (None, Some(ground)) => out = ground.increments(self.activation, current),
        }
        match &self.units {
            Some(units) => units.weigh(&mut out),
            None => out.mapv_inplace(|value| self.gain * value),
        }
        out
    }

    pub(super) fn slope(&self, current: T) -> T {
        match self.loss {
            Some(loss) => loss.slope(self.activation, current),
            None => self.activation.value_and_slope(current).1,
        }
    }
}
