//! What a layer says: predictions upward, errors downward, reports to the coordinator.

use super::incoming::Incoming;
use super::outgoing::Outgoing;
use super::{Body, Layer};
use crate::energy::{Activation, EnergyKind, Score, hopfield};
use crate::math::{Held, Real, sum_of_squares, values};
use crate::signal::{Report, Repose, Signal, Teaching, Versions};

impl<T: Real> Layer<T> {
    /// The prediction of the layer above; `None` at the output. Computed anew only if the state moved.
    pub(super) fn say_prediction(&mut self) -> Option<Signal<T>> {
        let (phase, step) = (self.phase().map_or(0, |phase| phase.number), self.step);
        let channel = self.channel(Held::Ascending);
        let hopfield = self.network.energy() == EnergyKind::Hopfield;
        let source = match &self.body {
            _ if hopfield => self.rho.as_deref()?,
            Body::Input(data) => data,
            Body::Hidden(state) => state,
            Body::Output { .. } => return None,
        };
        let said = self.outgoing.as_mut().map(|outgoing| outgoing.speak(source, (phase, step), channel));
        self.said.above += u64::from(said.is_some());
        said
    }

    /// The error for the layer below; `None` at the input and before anything was heard.
    pub(super) fn say_error(&mut self) -> Option<Signal<T>> {
        let (phase, step) = (self.phase().map_or(0, |phase| phase.number), self.step);
        self.refresh_error();
        let channel = self.channel(Held::Descending);
        let said = self.incoming.as_mut().and_then(|incoming| incoming.speak((phase, step), channel));
        self.said.below += u64::from(said.is_some());
        said
    }

    /// True if the state has a prediction that was not spoken, and there is room for it.
    pub fn has_new_prediction(&self) -> bool {
        self.outgoing.as_ref().is_some_and(Outgoing::has_news)
    }

    /// True if there is an error that was not spoken.
    pub fn has_new_error(&self) -> bool {
        self.incoming.as_deref().is_some_and(Incoming::has_news)
    }

    /// True if everything that could be said has been said.
    pub fn has_spoken(&self) -> bool {
        self.outgoing.as_ref().is_none_or(Outgoing::is_spoken) && !self.has_new_error()
    }

    /// The report of the present moment; measures the residual if that has not been done.
    pub(super) fn make_report(&mut self) -> Report {
        let residual = self.measured_residual();
        let tolerance = T::of(self.phase().map_or(0.0, |phase| phase.tolerance));
        let unsettled =
            if self.can_move() { self.drive().iter().filter(|drive| drive.abs() > tolerance).count() } else { 0 };
        let score = self.score();
        let energy = self.energy(score);
        let version = |signal: Option<&Signal<T>>| signal.map_or(0, |signal| signal.stamp.version);
        let (incoming, outgoing) = (self.incoming.as_deref(), self.outgoing.as_ref());
        Report {
            layer: self.index,
            group: 0,
            phase: self.phase().map_or(0, |phase| phase.number),
            step: self.step,
            residual,
            unsettled,
            energy,
            score,
            bad: self.bad.as_deref().copied(),
            spoken: Versions {
                above: outgoing.map_or(0, |outgoing| outgoing.versions()[1]),
                below: incoming.map_or(0, |incoming| incoming.said),
            },
            heard: Versions {
                above: version(outgoing.and_then(Outgoing::heard)),
                below: version(incoming.and_then(|incoming| incoming.current.as_ref())),
            },
            repose: Repose::Moving,
            staleness: self.staleness,
        }
    }

    /// This layer's share of the energy, summed over the batch.
    fn energy(&self, score: Option<Score>) -> f64 {
        let Some(incoming) = self.incoming.as_ref().filter(|_| self.network.descends_an_energy()) else { return 0.0 };
        if let Some(energy) = self.deviation_energy() {
            return energy;
        }
        let supervised = self.nudge().wide() * score.map_or(0.0, |score| score.loss);
        match (self.network.energy(), &self.body, &incoming.current) {
            (EnergyKind::PredictiveCoding, Body::Hidden(_), _) => match &incoming.units {
                Some(units) => units.energy(&incoming.error),
                None => 0.5 * sum_of_squares(values(&incoming.error)) / incoming.precision.wide(),
            },
            (EnergyKind::PredictiveCoding, ..) => supervised,
            (EnergyKind::Hopfield, Body::Hidden(state) | Body::Output { state, .. }, Some(current)) => {
                let internal = hopfield::energy(incoming.activation, values(state), values(&current.numbers));
                // A clamped output has no loss to fall: its state is the target.
                let clamped = self.teaching() == Teaching::Clamped;
                let supervised = if clamped || !matches!(self.body, Body::Output { .. }) { 0.0 } else { supervised };
                supervised + internal
            }
            _ => 0.0,
        }
    }

    /// At the output: loss and accuracy of what was last predicted, or of its state, against the target.
    fn score(&self) -> Option<Score> {
        let (Body::Output { target, state }, Some(incoming)) = (&self.body, &self.incoming) else { return None };
        if self.network.energy().has_output_state() {
            return Some(self.network.loss().score(Activation::Identity, state, target));
        }
        let current = self.current()?;
        Some(self.network.loss().score(incoming.activation, &current, target))
    }
}
