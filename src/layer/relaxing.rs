//! How a layer moves: its drive `−∂E/∂x_l` from what it has heard, its residual, and one step down the energy.

use ndarray::Array2;

use super::incoming::Against;
use super::outgoing::Outgoing;
use super::{Body, Layer};
use crate::energy::{EnergyKind, hopfield, predictive_coding, rate, step};
use crate::math::{Extent, Field, Real, extent, values, values_mut};
use crate::signal::{BadNumber, Phase, Reading, Teaching};

impl<T: Real> Layer<T> {
    /// The free phase in one wave: `x_l ← f(a_l)`.
    pub(super) fn set_forward(&mut self) {
        let (Body::Hidden(state), Some(incoming)) = (&mut self.body, &mut self.incoming) else { return };
        let Some(current) = &incoming.current else { return };
        incoming.activation.values_into(values(&current.numbers), values_mut(state));
        self.hold();
        self.state_moved();
    }

    /// One step down the energy with what has been heard; returns the residual before it.
    pub(super) fn step_down(&mut self) -> f64 {
        let residual = self.measured_residual();
        self.step += 1;
        self.drift_at_step();
        let Some(drive) = self.drive.as_deref().filter(|drive| self.can_move() && !drive.is_empty()) else {
            return residual;
        };
        let first_arrival = matches!(self.phase(), Some(Phase { reading: Reading::FirstArrival(_), .. }));
        // Eq. 14, 15: one whole step makes the error equal to the feedback.
        let rate = if first_arrival { T::one() } else { T::of(self.settings.rate) };
        let clips = self.clips();
        if let Body::Hidden(state) | Body::Output { state, .. } = &mut self.body {
            step(rate, values(drive), values_mut(state));
            if clips {
                hopfield::clip(values_mut(state));
            }
        }
        self.hold();
        self.state_moved();
        residual
    }

    fn clips(&self) -> bool {
        self.network.energy() == EnergyKind::Hopfield && hopfield::clips(self.network.activation(self.index))
    }

    /// `max |∂E/∂x_l|` given everything heard; zero where there is no state that could move.
    pub(super) fn measured_residual(&mut self) -> f64 {
        if let Some(measured) = self.measured {
            return measured.largest;
        }
        let extent = self.measure();
        if !extent.finite && self.bad.is_none() {
            let numbers = if self.can_move() {
                self.drive()
            } else {
                self.incoming.as_ref().map_or(&[][..], |incoming| values(&incoming.error))
            };
            let at = numbers.iter().position(|number| !number.is_finite()).unwrap_or(0);
            self.bad = Some(Box::new(BadNumber { step: self.step, unit: at / self.batch.max(1) }));
        }
        self.measured = Some(extent);
        extent.largest
    }

    /// True if a number that is not finite has come up in this phase.
    pub fn is_bad(&self) -> bool {
        self.bad.is_some()
    }

    /// Largest magnitude of the drive, and whether everything about this layer is finite.
    fn measure(&mut self) -> Extent {
        if !self.refresh_error() {
            return self.undriven();
        }
        if !self.can_move() {
            // The output of predictive coding, or a clamped one: no state moves, but its error may be bad.
            let error = self.incoming.as_ref().map_or(&[][..], |incoming| values(&incoming.error));
            return Extent { largest: 0.0, finite: extent(error).finite };
        }
        let mut drive = self.drive.take().unwrap_or_default();
        let known = self.drive_into(&mut drive);
        self.drive = Some(drive);
        if known { extent(self.drive()) } else { self.undriven() }
    }

    /// `−∂E/∂x_l` as it was measured last; empty before.
    pub(super) fn drive(&self) -> &[T] {
        self.drive.as_deref().map_or(&[], values)
    }

    /// Too little has been heard in this batch for a drive: the last batch's must not move the state.
    fn undriven(&mut self) -> Extent {
        if let Some(drive) = &mut self.drive {
            drive.fill(T::zero());
        }
        Extent { largest: 0.0, finite: true }
    }

    /// The drive, from everything heard; false if something without which there is none has not been heard.
    fn drive_into(&mut self, drive: &mut Field<T>) -> bool {
        let energy = self.network.energy();
        let source = if energy == EnergyKind::Hopfield { self.rho.as_deref() } else { None };
        let (state, target) = match &self.body {
            Body::Hidden(state) => (state, None),
            Body::Output { state, target } => (state, Some(target)),
            Body::Input(_) => return false,
        };
        let Some(incoming) = &self.incoming else { return false };
        if drive.dim() != state.dim() {
            *drive = Array2::zeros(state.dim());
        }
        let heard = match &mut self.outgoing {
            Some(outgoing) => outgoing.refresh_feedback(source.unwrap_or(state)),
            None => true,
        };
        let feedback = self.outgoing.as_ref().and_then(Outgoing::feedback).map(values);
        if energy == EnergyKind::PredictiveCoding {
            match feedback.filter(|_| heard) {
                Some(feedback) => predictive_coding::drive(feedback, values(&incoming.error), values_mut(drive)),
                // Nothing has come down yet: the layer is moved by its own error alone.
                None => drive.zip_mut_with(&incoming.error, |drive, &e| *drive = -e),
            }
            return true;
        }
        let Some(current) = incoming.current.as_ref().filter(|_| heard) else { return false };
        let (x, a, out) = (values(state), values(&current.numbers), values_mut(drive));
        match energy {
            EnergyKind::Hopfield => hopfield::drive(incoming.activation, x, a, feedback, out),
            _ => rate::drive(incoming.activation, T::of(self.network.feedback_gain()), x, a, feedback, out),
        }
        if let (Some(target), Teaching::Nudged(nudge)) = (target, self.teaching()) {
            self.network.loss().pull(T::of(nudge), state, target, drive);
        }
        if hopfield::clips(incoming.activation) && energy == EnergyKind::Hopfield {
            hopfield::project(values(state), values_mut(drive));
        }
        true
    }

    pub(super) fn refresh_error(&mut self) -> bool {
        let gain = self.output_gain();
        let energy = self.network.energy();
        let Some(incoming) = &mut self.incoming else { return false };
        let against = match (&self.body, &self.rho) {
            (_, Some(rho)) if energy == EnergyKind::Hopfield => Against::Own(rho),
            (Body::Output { state, .. }, _) if energy == EnergyKind::Rate => Against::Own(state),
            (Body::Hidden(state), _) if energy == EnergyKind::Rate => Against::Own(state),
            (Body::Output { target, .. }, _) => Against::Target(target, self.network.loss(), gain),
            (Body::Hidden(state), _) => Against::State(state),
            (Body::Input(data), _) => Against::State(data),
        };
        incoming.refresh(&against, self.settings.voice)
    }
}
