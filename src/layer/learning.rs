//! What a layer learns, and what it hands out or takes in when a checkpoint or a comparison asks.

use super::{Body, Layer, LayerError};
use crate::math::{Field, Real};
use crate::signal::{Extract, Phase, Reading, Wanted};

impl<T: Real> Layer<T> {
    pub(super) fn collect(&mut self, coefficient: f64) -> Result<(), LayerError> {
        let drifted = self.drift();
        // Taken out and put back, so that the source can be read beside it.
        let Some(mut outgoing) = self.outgoing.take() else { return Ok(()) };
        let collected = match (drifted, self.source(), self.total_state()) {
            // The weights have moved all along; this was the last of their steps.
            (Some(drifted), ..) => drifted,
            // What is sent up is u; what the error is multiplied with is x.
            (None, Some(u), Some(x)) => outgoing.refresh_adjoint(u).is_some() && outgoing.collect(&x, coefficient),
            (None, Some(source), None) => outgoing.collect(source, coefficient),
            (None, None, _) => false,
        };
        self.outgoing = Some(outgoing);
        if collected { Ok(()) } else { Err(self.fault("no error has come down that could be learnt from".into())) }
    }

    /// A phase that is read at the first arrival and in which nothing but zeros arrived has the estimate zero.
    fn settle_arrival(&mut self) {
        let waited = matches!(self.phase(), Some(Phase { reading: Reading::FirstArrival(_), .. })) && !self.arrived;
        if let (Some(outgoing), true) = (&mut self.outgoing, waited) {
            outgoing.collect_nothing();
        }
    }

    pub(super) fn learn(&mut self) -> Result<(), LayerError> {
        self.settle_arrival();
        let batch = self.batch;
        self.learn_precision()?;
        let learnt = self.outgoing.as_mut().is_none_or(|outgoing| outgoing.learn(batch));
        if learnt { Ok(()) } else { Err(self.fault("told to learn before anything was collected".into())) }
    }

    pub(super) fn extract(&mut self, wanted: Wanted) -> Result<Extract<T>, LayerError> {
        self.settle_arrival();
        match (wanted, self.total_state()) {
            (Wanted::Feedback, _) => return Ok(self.extract_feedback()),
            (Wanted::Precision, _) => return Ok(self.extract_precision()),
            (Wanted::State, Some(state)) => return Ok(Extract::State(state)),
            _ => {}
        }
        let Some(outgoing) = &self.outgoing else {
            if let (Wanted::State, Some(state)) = (wanted, self.state()) {
                return Ok(Extract::State(state.clone()));
            }
            return Ok(match (wanted, self.current()) {
                (Wanted::State, Some(current)) => Extract::State(current.into_owned()),
                _ => Extract::Nothing,
            });
        };
        Ok(match wanted {
            Wanted::Weights => Extract::Weights(outgoing.parameters.clone(), Some(outgoing.optimizer_states())),
            Wanted::Estimate => Extract::Estimate(
                outgoing.estimate(self.batch).ok_or_else(|| self.fault("no estimate was collected".into()))?,
            ),
            // Whoever drives a layer has a clock and may watch it; the layer itself does neither.
            Wanted::Feedback | Wanted::Precision | Wanted::Journal | Wanted::Clock | Wanted::Sightings => {
                Extract::Nothing
            }
            Wanted::State => self.state().map_or(Extract::Nothing, |state| Extract::State(state.clone())),
        })
    }

    /// The state from which a phase may go on that begins where the one before ended. Data and clamped outputs are presented.
    fn install_state(&mut self, state: Field<T>) -> Result<(), LayerError> {
        if state.nrows() != self.units {
            return Err(self.fault(format!("a state of shape {:?} does not fit", state.dim())));
        }
        match &mut self.body {
            Body::Hidden(own) => *own = state,
            Body::Output { state: own, .. } if self.network.energy().has_output_state() => *own = state,
            Body::Input(_) | Body::Output { .. } => {}
        }
        Ok(())
    }

    pub(super) fn install(&mut self, extract: Extract<T>) -> Result<(), LayerError> {
        let (parameters, states) = match extract {
            Extract::Weights(parameters, states) => (parameters, states),
            Extract::Feedback(state) => return self.install_feedback(state),
            Extract::Precision(logarithms) => return self.install_precision(logarithms),
            Extract::State(state) => return self.install_state(state),
            Extract::Nothing => return Ok(()),
            _ => return Err(self.fault("only weights can be installed".into())),
        };
        let Some(outgoing) = &mut self.outgoing else { return Ok(()) };
        if outgoing.parameters.weights.dim() != parameters.weights.dim() {
            return Err(self.fault(format!("weights of shape {:?} do not fit", parameters.weights.dim())));
        }
        outgoing.parameters = parameters;
        if let Some(back) = &mut outgoing.back {
            back.weights_changed(&outgoing.parameters.weights);
        }
        outgoing.clear();
        if let Some(states) = states
            && !outgoing.restore(states)
        {
            return Err(self.fault("the optimiser's stored state does not fit".into()));
        }
        Ok(())
    }
}
