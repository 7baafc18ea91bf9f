//! The way into a layer from outside. Everything that moves it passes through here, so that a journal can be kept of it
//! (`crate::signal::journal`); without one, each of these is the call it names.

use std::sync::Arc;

use super::{Body, Layer, LayerError};
use crate::math::Real;
use crate::signal::journal::{Call, Entry, Part, Said, Stored};
use crate::signal::{Directive, Extract, Report, Signal, Wanted};

/// What was done to a layer from outside.
#[derive(Debug)]
pub(super) struct Journal<T>(Vec<Entry<T>>);

impl<T> Default for Journal<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Real> Layer<T> {
    /// Takes in a directive. `Extract` answers with what was asked for; the others with `None`. The schedule's own directives
    /// (`Continue`, `Recount`, `Halt`) say nothing to the mathematics and are left to the driver.
    pub fn hear_directive(&mut self, directive: Directive<T>) -> Result<Option<Extract<T>>, LayerError> {
        if matches!(directive, Directive::Extract(Wanted::Journal)) {
            let ended = self.journal.replace(Box::default());
            return Ok(Some(Extract::Journal(ended.map(|journal| journal.0).unwrap_or_default())));
        }
        let kept = self.kept(|| Call::Directive(directive.clone()));
        self.noted(
            kept,
            |layer| layer.obey(directive),
            |answer| match answer {
                Ok(Some(extract)) => Said::Extract(extract.clone()),
                Ok(None) => Said::Nothing,
                Err(fault) => Said::Fault(fault.what.clone()),
            },
        )
    }

    /// Takes in the current that the layer below predicts.
    pub fn hear_prediction(&mut self, prediction: Signal<T>) {
        let kept = self.kept(|| Call::Prediction(prediction.clone()));
        self.noted(kept, |layer| layer.take_prediction(prediction), |()| Said::Nothing);
    }

    /// Takes in the error of the layer above. In a phase that is read at the first arrival, that may be now.
    pub fn hear_error(&mut self, error: Signal<T>) {
        let kept = self.kept(|| Call::Error(error.clone()));
        self.noted(kept, |layer| layer.take_error(error), |()| Said::Nothing);
    }

    /// A prediction of this version was replaced before anybody heard it.
    pub fn prediction_was_lost(&mut self, version: u64) {
        let kept = self.kept(|| Call::Lost(version));
        self.noted(kept, |layer| layer.forget_prediction(version), |()| Said::Nothing);
    }

    /// The free phase in one wave: `x_l ← f(a_l)`.
    pub fn forward(&mut self) {
        let kept = self.kept(|| Call::Forward);
        self.noted(kept, Self::set_forward, |()| Said::Nothing);
    }

    /// One step down the energy with what has been heard; returns the residual before it.
    pub fn relax(&mut self) -> f64 {
        let kept = self.kept(|| Call::Relax);
        self.noted(kept, Self::step_down, |&residual| Said::Residual(residual))
    }

    /// `max |∂E/∂x_l|` given everything heard; zero where there is no state that could move.
    pub fn residual(&mut self) -> f64 {
        let kept = self.kept(|| Call::Residual);
        self.noted(kept, Self::measured_residual, |&residual| Said::Residual(residual))
    }

    /// The report of the present moment; measures the residual if that has not been done.
    pub fn report(&mut self) -> Report {
        let kept = self.kept(|| Call::Report);
        self.noted(kept, Self::make_report, |&report| Said::Report(report))
    }

    /// The prediction of the layer above; `None` at the output. Computed anew only if the state moved.
    pub fn speak_prediction(&mut self) -> Option<Signal<T>> {
        let kept = self.kept(|| Call::SpeakPrediction);
        self.noted(kept, Self::say_prediction, signal)
    }

    /// The error for the layer below; `None` at the input and before anything was heard.
    pub fn speak_error(&mut self) -> Option<Signal<T>> {
        let kept = self.kept(|| Call::SpeakError);
        self.noted(kept, Self::say_error, signal)
    }

    /// Does to it what a journal says, and answers as the journal would have it.
    pub fn replay(&mut self, call: Call<T>) -> Said<T> {
        match call {
            Call::Directive(directive) => {
                return match self.hear_directive(directive) {
                    Ok(answer) => answer.map_or(Said::Nothing, Said::Extract),
                    Err(fault) => Said::Fault(fault.what),
                };
            }
            Call::Relax => return Said::Residual(self.relax()),
            Call::Residual => return Said::Residual(self.residual()),
            Call::Report => return Said::Report(self.report()),
            Call::SpeakPrediction => return signal(&self.speak_prediction()),
            Call::SpeakError => return signal(&self.speak_error()),
            Call::Prediction(prediction) => self.hear_prediction(prediction),
            Call::Error(error) => self.hear_error(error),
            Call::Lost(version) => self.prediction_was_lost(version),
            Call::Forward => self.forward(),
            Call::Disturb(part) => self.disturb(part),
        }
        Said::Nothing
    }

    /// What it keeps besides its state, its weights and what it last heard.
    pub fn stored(&self) -> Stored {
        let size = |collected: &crate::network::Parameters<T>| collected.weights.len() + collected.bias.len();
        let outgoing = self.outgoing.as_ref();
        let grounds = [
            self.incoming.as_ref().and_then(|incoming| incoming.ground.as_ref()).map(|ground| ground.current.len()),
            outgoing.and_then(|outgoing| outgoing.ground()).map(|ground| ground.current.len()),
        ];
        let hebbian = outgoing.and_then(|outgoing| outgoing.hebbian.as_deref());
        Stored {
            remembered: self.remembered.as_ref().map_or(0, |state| state.len()),
            ground: self.rest.as_ref().map_or(0, |rest| rest.len()) + grounds.iter().flatten().sum::<usize>(),
            collected: hebbian.and_then(|hebbian| hebbian.sum()).map_or(0, size),
            previous: hebbian.and_then(|hebbian| hebbian.previous.as_ref()).map_or(0, size),
        }
    }

    /// Changes a part of what it holds; nothing if it has no such part. For experiments on what an update reads.
    pub fn disturb(&mut self, part: Part) {
        // Keeps [0, 1] within itself, and moves every other number but 1/2.
        let other = |number: T| number * T::of(0.875) + T::of(0.0625);
        match (part, &mut self.outgoing) {
            (Part::State, _) => {
                match &mut self.body {
                    Body::Input(data) => *data = Arc::new(data.mapv(other)),
                    Body::Hidden(state) | Body::Output { state, .. } => state.mapv_inplace(other),
                }
                self.state_moved();
            }
            (Part::Remembered, _) => self.disturb_remembered(other),
            (Part::Collected, Some(outgoing)) => {
                let collected = outgoing.hebbian.iter_mut().filter_map(|hebbian| hebbian.collected.as_mut());
                collected.for_each(|collected| collected.weights.mapv_inplace(other));
            }
            (Part::Feedback, Some(outgoing)) => {
                outgoing.back.iter_mut().for_each(|back| back.matrix.mapv_inplace(other));
                outgoing.weights_moved();
            }
            (Part::Magnitudes | Part::Signs, Some(outgoing)) => {
                let factor = T::of(if part == Part::Signs { -1.0 } else { 0.875 });
                outgoing.parameters.weights.mapv_inplace(|weight| factor * weight);
                if let Some(back) = &mut outgoing.back {
                    back.weights_changed(&outgoing.parameters.weights);
                }
                outgoing.weights_moved();
            }
            (_, None) => {}
        }
        self.measured = None;
    }

    fn disturb_remembered(&mut self, other: impl Fn(T) -> T + Copy) {
        self.remembered.iter_mut().for_each(|state| state.mapv_inplace(other));
        let of_incoming = self.incoming.as_mut().and_then(|incoming| incoming.ground.as_mut());
        let of_outgoing = self.outgoing.as_mut().and_then(|outgoing| outgoing.passing.as_mut()?.ground.as_mut());
        let grounds = [of_incoming, of_outgoing].into_iter().flatten().map(|ground| &mut ground.current);
        for held in grounds.chain(&mut self.rest) {
            *held = Arc::new(held.mapv(other));
        }
        if let Some(incoming) = &mut self.incoming {
            incoming.touch();
        }
        if let Some(outgoing) = &mut self.outgoing {
            outgoing.weights_moved();
        }
    }

    /// The call, if a journal is kept.
    fn kept(&self, call: impl FnOnce() -> Call<T>) -> Option<Call<T>> {
        self.journal.is_some().then(call)
    }

    /// Acts, and writes down the call and what was said. What the layer calls by itself meanwhile is its own affair.
    fn noted<R>(
        &mut self,
        kept: Option<Call<T>>,
        act: impl FnOnce(&mut Self) -> R,
        said: impl FnOnce(&R) -> Said<T>,
    ) -> R {
        let Some(call) = kept else { return act(self) };
        let (journal, stored) = (self.journal.take(), self.stored());
        let result = act(self);
        self.journal = journal;
        let entry = Entry { call, said: said(&result), stored };
        if let Some(journal) = &mut self.journal {
            journal.0.push(entry);
        }
        result
    }
}

fn signal<T: Clone>(spoken: &Option<Signal<T>>) -> Said<T> {
    spoken.clone().map_or(Said::Nothing, Said::Signal)
}
