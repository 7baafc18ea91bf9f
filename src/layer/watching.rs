//! What an observer can ask of a layer beside its state. No decision of a schedule depends on it.

use super::{Body, Layer};
use crate::energy::EnergyKind;
use crate::math::{Real, values};

impl<T: Real> Layer<T> {
    /// `‖ε_l‖₂ = ‖x_l − f(a_l)‖₂` over units and batch (Eq. 3), with the prediction heard last. `None` where there is no such error: in
    /// other energies than predictive coding, in deviation variables, at input and output, and before a prediction was heard.
    pub fn error_norm(&self) -> Option<f64> {
        let (Body::Hidden(state), Some(incoming)) = (&self.body, &self.incoming) else { return None };
        if self.network.energy() != EnergyKind::PredictiveCoding || incoming.ground.is_some() {
            return None;
        }
        let current = &incoming.current.as_ref()?.numbers;
        let pairs = values(state).iter().zip(values(current));
        let squares = pairs.map(|(x, &a)| (x.wide() - incoming.activation.value(a).wide()).powi(2));
        Some(squares.sum::<f64>().sqrt())
    }
}
