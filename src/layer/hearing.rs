//! What a layer hears: batches and phases from the coordinator, predictions from below, errors from above.

use std::sync::Arc;

use ndarray::Array2;

use super::{Body, Incoming, Layer, LayerError, Voice};
use crate::math::{Field, Moment, Real};
use crate::signal::{Motion, Origin, Phase, Reading, Signal, Teaching, Versions};

impl<T: Real> Layer<T> {
    pub(super) fn present(
        &mut self,
        batch: usize,
        data: Option<Arc<Field<T>>>,
        target: Option<Arc<Field<T>>>,
    ) -> Result<(), LayerError> {
        self.rejoin();
        if self.index > 0 && self.incoming.is_none() {
            self.incoming = Some(Box::new(Incoming::new(&self.network, self.index)));
        }
        self.moment = Moment { batch: self.moment.batch.wrapping_add(1), phase: 0, step: 0 };
        let shape = (self.units, batch);
        let given = |numbers: Option<Arc<Field<T>>>, what| match numbers {
            Some(numbers) if numbers.dim() == shape => Ok(numbers),
            Some(numbers) => Err(self.fault(format!("{what} are {:?}, the layer is {shape:?}", numbers.dim()))),
            None => Err(self.fault(format!("no {what} were presented"))),
        };
        let keep = |state: &Field<T>| if state.dim() == shape { state.clone() } else { Array2::zeros(shape) };
        self.body = match &self.body {
            Body::Input(_) => Body::Input(given(data, "data")?),
            Body::Output { state, .. } => {
                let state = if self.network.energy().has_output_state() { keep(state) } else { Array2::zeros((0, 0)) };
                Body::Output { target: given(target, "targets")?, state }
            }
            Body::Hidden(state) => Body::Hidden(keep(state)),
        };
        self.forget_batch(batch);
        self.state_moved();
        Ok(())
    }

    /// The input becomes another one; what was said and heard so far stays.
    pub(super) fn show(&mut self, data: Arc<Field<T>>) -> Result<(), LayerError> {
        let shape = (self.units, self.batch);
        match &mut self.body {
            Body::Input(shown) if data.dim() == shape => *shown = data,
            Body::Input(_) => return Err(self.fault(format!("data are {:?}, the layer is {shape:?}", data.dim()))),
            _ => return Err(self.fault("data are shown to the input only".to_owned())),
        }
        self.state_moved();
        Ok(())
    }

    fn forget_batch(&mut self, batch: usize) {
        self.batch = batch;
        self.measured = None;
        if let Some(incoming) = &mut self.incoming {
            incoming.clear();
        }
        if let Some(outgoing) = &mut self.outgoing {
            outgoing.clear();
        }
    }

    pub(super) fn begin(&mut self, phase: Phase) -> Result<(), LayerError> {
        match phase.motion {
            Motion::Deviate { nudge } => self.deviate(T::of(nudge))?,
            Motion::Forward => self.rejoin(),
            Motion::Relax { teaching, from } => {
                self.rejoin();
                self.begin_at(from, teaching == Teaching::Clamped);
            }
        }
        self.phase = Some(Box::new(phase));
        let gain = self.output_gain();
        if let (Some(outgoing), true) = (&mut self.outgoing, self.index + 1 == self.network.depth()) {
            outgoing.above.gain = gain;
        }
        if let Some(incoming) = &mut self.incoming {
            incoming.touch();
        }
        self.moment.phase += 1;
        self.said = Versions::default();
        self.step = 0;
        self.staleness = 0;
        self.measured = None;
        self.bad = None;
        self.arrived = false;
        self.begin_drift();
        Ok(())
    }

    /// Puts the states where a phase begins; a clamped output is put on its target.
    fn begin_at(&mut self, from: Origin, clamped: bool) {
        let (state, target) = match &mut self.body {
            Body::Hidden(state) => (state, None),
            Body::Output { state, target } if !state.is_empty() => (state, Some(target).filter(|_| clamped)),
            _ => return,
        };
        match (target, from, &self.remembered) {
            (Some(target), ..) => state.assign(target),
            (None, Origin::Zero, _) => state.fill(T::zero()),
            (None, Origin::Remembered, Some(remembered)) => state.assign(remembered),
            _ => return,
        }
        self.state_moved();
    }

    /// Takes in the current that the layer below predicts.
    pub(super) fn take_prediction(&mut self, prediction: Signal<T>) {
        if let Some(incoming) = &mut self.incoming {
            incoming.hear(prediction);
            self.measured = None;
        }
    }

    /// Takes in the error of the layer above. In a phase that is read at the first arrival, that is now: in lock-step at the step
    /// at which the first error must arrive, otherwise when the first error arrives that is not zero.
    pub(super) fn take_error(&mut self, error: Signal<T>) {
        let Some(outgoing) = &mut self.outgoing else { return };
        self.staleness = self.staleness.max(outgoing.hear(error));
        self.measured = None;
        self.drift_at_arrival();
        if let (Some(&Phase { reading: Reading::FirstArrival(coefficient), .. }), false) = (self.phase(), self.arrived)
        {
            let due = (self.network.depth() - 1 - self.index) as u64;
            let first = if self.settings.voice == Voice::Adjoint { self.step == due } else { !self.hears_silence() };
            if first {
                // There is an error, it was heard just now: collecting cannot fail.
                self.arrived = self.collect(coefficient).is_ok();
            }
        }
    }

    /// True if the error heard, worked out as of now, is zero everywhere.
    fn hears_silence(&mut self) -> bool {
        let Some(mut outgoing) = self.outgoing.take() else { return true };
        let silent = self.source().is_none_or(|source| outgoing.hears_silence(source));
        self.outgoing = Some(outgoing);
        silent
    }

    /// A prediction of this version was replaced before anybody heard it.
    pub(super) fn forget_prediction(&mut self, version: u64) {
        if let Some(outgoing) = &mut self.outgoing {
            outgoing.forget(version);
        }
    }
}
