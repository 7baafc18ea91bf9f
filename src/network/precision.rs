//! Precisions of single units, given or learned: `Π_l` as the diagonal of a matrix instead of a number.
//!
//! ```text
//! e_li = Π_li (x_li − f(a_li))                                     for the units i of a hidden layer l
//! learned: descent of ½ Σ (Π ε² − ln Π) along ln Π, so that Π stays positive (−ln of a Gaussian's likelihood)
//!   ln Π_li ← ln Π_li + η_Π ½ (1 − Π_li ⟨ε_li²⟩)                    ⟨⟩ over the batch, at the end of the last phase
//! ```
//!
//! At errors that do not answer to Π its fixed point is `Π = 1/⟨ε²⟩`. At the equilibrium of a taught network they do answer: there
//! `Π ε = g`, the feedback, so `Π ⟨ε²⟩ = ⟨g²⟩/Π`, and a precision above ⟨g²⟩ grows without end, one below falls. Therefore Π stays
//! within [`LEAST`] and [`MOST`], and reaching a bound is what to expect where feedback alone moves a unit. The output keeps one
//! number: it weighs the loss, and the estimate is divided by it. The layer that owns the units owns their precisions.

use super::{NetworkError, NetworkSpec};
use crate::energy::EnergyKind;
use crate::math::Real;

/// A learned precision does not fall below this.
pub const LEAST: f64 = 1e-3;
/// A learned precision does not rise above this.
pub const MOST: f64 = 1e3;

impl NetworkSpec {
    /// The same network with a precision for every unit of the layers 1 … L. Those of the output have to be equal.
    pub fn with_unit_precision(mut self, units: &[Vec<f64>]) -> Result<Self, NetworkError> {
        if units.len() != self.depth() {
            let (given, wanted) = (units.len(), self.depth());
            return Err(NetworkError(format!("precisions of {given} layers for {wanted} layers above the input")));
        }
        for (layer, of_layer) in (1..).zip(units) {
            let width = self.widths[layer];
            if of_layer.len() != width {
                let given = of_layer.len();
                return Err(NetworkError(format!("{given} precisions for the {width} units of layer {layer}")));
            }
            if let Some(unit) = of_layer.iter().position(|p| !(p.is_finite() && *p > 0.0)) {
                let what = format!("the precision of layer {layer}, unit {unit} is {}, not positive", of_layer[unit]);
                return Err(NetworkError(what));
            }
            // No single number stands for units that differ; whoever asks for one must not get a wrong one.
            self.precision[layer - 1] = f64::NAN;
        }
        let output = &units[self.depth() - 1];
        if output.iter().any(|p| *p != output[0]) {
            let what =
                "the precisions of the output units have to be equal: the estimate is divided by that one number";
            return Err(NetworkError(what.into()));
        }
        let last = self.precision.len() - 1;
        self.precision[last] = output[0];
        self.units = units.to_vec();
        Ok(self)
    }

    /// The same network whose hidden units learn their precisions, with this rate; zero: they don't.
    pub fn with_learned_precision(mut self, rate: f64) -> Result<Self, NetworkError> {
        if rate > 0.0 && self.energy != EnergyKind::PredictiveCoding {
            return Err(NetworkError(
                "precisions belong to predictive coding; other energies have none to learn".into(),
            ));
        }
        self.precision_rate = rate;
        Ok(self)
    }

    /// η_Π: the rate at which precisions are learned, or zero.
    pub fn precision_rate(&self) -> f64 {
        self.precision_rate
    }

    /// True if one number stands for the precision of every hidden layer, and that number is one.
    pub fn hidden_precisions_are_one(&self) -> bool {
        self.precision_rate == 0.0 && (1..self.depth()).all(|layer| self.precision(layer) == 1.0)
    }

    /// The precisions of the units of hidden layer `layer` at the beginning; `None` where one number serves all of them, always.
    pub fn unit_precision<T: Real>(&self, layer: usize) -> Option<Vec<T>> {
        if layer == 0 || layer >= self.depth() {
            return None;
        }
        match self.units.get(layer - 1) {
            Some(units) => Some(units.iter().map(|&p| T::of(p)).collect()),
            None => (self.precision_rate > 0.0).then(|| vec![T::of(self.precision(layer)); self.widths[layer]]),
        }
    }
}
