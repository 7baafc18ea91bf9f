//! What a layer learns, and what it hands out or takes in when a checkpoint or a comparison asks.

use super::{Body, Layer, LayerError};
use crate::math::Real;
use crate::signal::{Extract, Wanted};

impl<T: Real> Layer<T> {
    pub(super) fn collect(&mut self, coefficient: f64) -> Result<(), LayerError> {
        let Some(outgoing) = &mut self.outgoing else { return Ok(()) };
        let collected = match &self.body {
            Body::Input(data) => outgoing.collect(data, coefficient),
            Body::Hidden(state) => outgoing.collect(state, coefficient),
            Body::Output(_) => true,
        };
        if collected { Ok(()) } else { Err(self.fault("no error has come down that could be learnt from".into())) }
    }

    pub(super) fn learn(&mut self) -> Result<(), LayerError> {
        let batch = self.batch;
        let learnt = self.outgoing.as_mut().is_none_or(|outgoing| outgoing.learn(batch));
        if learnt { Ok(()) } else { Err(self.fault("told to learn before anything was collected".into())) }
    }

    pub(super) fn extract(&self, wanted: Wanted) -> Result<Extract<T>, LayerError> {
        let Some(outgoing) = &self.outgoing else {
            let current = self.incoming.as_ref().and_then(|incoming| incoming.current.as_ref());
            return Ok(match (wanted, current) {
                (Wanted::State, Some(current)) => Extract::State((*current.numbers).clone()),
                _ => Extract::Nothing,
            });
        };
        Ok(match wanted {
            Wanted::Weights => {
                let [of_weights, of_bias] = &outgoing.optimizers;
                let states = [of_weights.state().clone(), of_bias.state().clone()];
                Extract::Weights(outgoing.parameters.clone(), Some(states))
            }
            Wanted::Estimate => Extract::Estimate(
                outgoing.estimate(self.batch).ok_or_else(|| self.fault("no estimate was collected".into()))?,
            ),
            Wanted::State => self.state().map_or(Extract::Nothing, |state| Extract::State(state.clone())),
        })
    }

    pub(super) fn install(&mut self, extract: Extract<T>) -> Result<(), LayerError> {
        let Extract::Weights(parameters, states) = extract else {
            return Err(self.fault("only weights can be installed".into()));
        };
        let Some(outgoing) = &mut self.outgoing else { return Ok(()) };
        if outgoing.parameters.weights.dim() != parameters.weights.dim() {
            return Err(self.fault(format!("weights of shape {:?} do not fit", parameters.weights.dim())));
        }
        outgoing.parameters = parameters;
        outgoing.clear();
        if let Some(states) = states {
            let fits = outgoing.optimizers.iter_mut().zip(states).all(|(optimizer, state)| optimizer.restore(state));
            if !fits {
                return Err(self.fault("the optimiser's stored state does not fit".into()));
            }
        }
        Ok(())
    }
}
