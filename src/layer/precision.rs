//! Precisions of the units of one hidden layer, given or learned (`network::precision` has the equations).

use super::{Layer, LayerError, Voice};
use crate::energy::{Activation, predictive_coding};
use crate::math::{Field, Real, sum_of_squares, values, values_mut};
use crate::network::NetworkSpec;
use crate::network::precision::{LEAST, MOST};
use crate::signal::{Extract, Message};

/// Π of every unit of a layer.
#[derive(Clone, Debug)]
pub(super) struct UnitPrecision<T> {
    values: Vec<T>,
    /// ln Π, where it is learned.
    logarithms: Vec<T>,
    rate: T,
}

impl<T: Real> UnitPrecision<T> {
    /// `None` where one number serves all units.
    pub(super) fn new(network: &NetworkSpec, layer: usize) -> Option<Self> {
        let values: Vec<T> = network.unit_precision(layer)?;
        let rate = T::of(network.precision_rate());
        let logarithms = if rate > T::zero() { values.iter().map(|p| p.ln()).collect() } else { Vec::new() };
        Some(Self { values, logarithms, rate })
    }

    pub(super) fn is_finite(&self) -> bool {
        self.values.iter().all(|precision| precision.is_finite())
    }

    fn is_learned(&self) -> bool {
        !self.logarithms.is_empty()
    }

    /// `e = Π (x − f(a))` and `d = e ⊙ f'(a)`, unit by unit.
    pub(super) fn errors(&self, f: Activation, x: &Field<T>, a: &Field<T>, error: &mut Field<T>, out: &mut Field<T>) {
        let batch = x.ncols();
        let rows = values(x).chunks_exact(batch).zip(values(a).chunks_exact(batch));
        let outs = values_mut(error).chunks_exact_mut(batch).zip(values_mut(out).chunks_exact_mut(batch));
        for ((&precision, (x, a)), (error, out)) in self.values.iter().zip(rows).zip(outs) {
            predictive_coding::errors(f, precision, x, a, error, out);
        }
    }

    /// `Π ⊙ field`, unit by unit.
    pub(super) fn weigh(&self, field: &mut Field<T>) {
        let batch = field.ncols();
        for (row, &precision) in values_mut(field).chunks_exact_mut(batch).zip(&self.values) {
            row.iter_mut().for_each(|value| *value = precision * *value);
        }
    }

    /// `½ Σ Π ε²` from `e = Π ε`.
    pub(super) fn energy(&self, error: &Field<T>) -> f64 {
        let rows = values(error).chunks_exact(error.ncols());
        rows.zip(&self.values).map(|(row, precision)| 0.5 * sum_of_squares(row) / precision.wide()).sum()
    }

    /// One step of the logarithms with the errors of the present equilibrium.
    fn learn(&mut self, error: &Field<T>) {
        let (half, batch) = (T::of(0.5), T::of(error.ncols() as f64));
        let (least, most) = (T::of(LEAST.ln()), T::of(MOST.ln()));
        let units = self.logarithms.iter_mut().zip(&mut self.values);
        for ((logarithm, value), row) in units.zip(values(error).chunks_exact(error.ncols())) {
            // Π ⟨ε²⟩ = ⟨e²⟩ / Π.
            let square = row.iter().fold(T::zero(), |sum, &e| sum + e * e) / batch;
            let moved = *logarithm + self.rate * half * (T::one() - square / *value);
            *logarithm = moved.max(least).min(most);
            *value = logarithm.exp();
        }
    }
}

impl<T: Real> Layer<T> {
    /// Learns the precisions of its own units, if they are learned, from its own errors.
    pub(super) fn learn_precision(&mut self) -> Result<(), LayerError> {
        let knows_itself = matches!(self.settings.voice, Voice::Adjoint | Voice::Plain(Message::Error));
        let learns = |incoming: &&mut Box<super::Incoming<T>>| incoming.units.as_ref().is_some_and(|u| u.is_learned());
        let Some(incoming) = self.incoming.as_mut().filter(learns) else { return Ok(()) };
        if !knows_itself {
            let what = "a layer below that works out errors from echoes or states has to know the precisions above it, and these \
                        are learned where it cannot see them; use links.message = \"error\"";
            return Err(self.fault(what.into()));
        }
        if let Some(units) = &mut incoming.units {
            units.learn(&incoming.error);
        }
        incoming.touch();
        Ok(())
    }

    /// ln Π, for a checkpoint; nothing where it is not learned.
    pub(super) fn extract_precision(&self) -> Extract<T> {
        let units = self.incoming.as_ref().and_then(|incoming| incoming.units.as_ref());
        match units.filter(|units| units.is_learned()) {
            Some(units) => Extract::Precision(units.logarithms.clone()),
            None => Extract::Nothing,
        }
    }

    pub(super) fn install_precision(&mut self, logarithms: Vec<T>) -> Result<(), LayerError> {
        let units = self.incoming.as_mut().and_then(|incoming| incoming.units.as_mut());
        match units.filter(|units| units.logarithms.len() == logarithms.len()) {
            Some(units) => {
                units.values = logarithms.iter().map(|logarithm| logarithm.exp()).collect();
                units.logarithms = logarithms;
                Ok(())
            }
            None => Err(self.fault("stored precisions do not fit".into())),
        }
    }
}
