//! The matrix that errors come down through, where it is not the transpose of the weights: `g_l = B_{l+1}ᵀ d_{l+1}`.
//!
//! The layer that owns `W_{l+1}` owns `B_{l+1}` too, and changes it from nothing but `W_{l+1}` and its own Hebbian product
//! (`network::feedback` has the equations, and what of this is local in a brain).

use super::{Layer, LayerError};
use crate::math::optimizer::{Optimizer, OptimizerSpec};
use crate::math::{Field, Real, values, values_mut};
use crate::network::{FeedbackKind, FeedbackState, NetworkSpec, take_signs};
use crate::signal::Extract;

/// `B`, and what changes it.
#[derive(Clone, Debug)]
pub(super) struct Feedback<T> {
    kind: FeedbackKind,
    pub(super) matrix: Field<T>,
    optimizer: Option<Optimizer<T>>,
}

impl<T: Real> Feedback<T> {
    /// The feedback from layer `above`; `None` where the weights themselves serve.
    pub(super) fn new(
        network: &NetworkSpec,
        above: usize,
        weights: &Field<T>,
        optimizer: OptimizerSpec,
    ) -> Option<Self> {
        let (kind, matrix) = (network.feedback(), network.initial_feedback(above)?);
        let learns = kind == FeedbackKind::KolenPollack;
        let optimizer = learns.then(|| Optimizer::new(optimizer, weights.len()));
        let mut feedback = Self { kind, matrix, optimizer };
        feedback.weights_changed(weights);
        Some(feedback)
    }

    /// The weights are others now.
    pub(super) fn weights_changed(&mut self, weights: &Field<T>) {
        if self.kind == FeedbackKind::SignSymmetric {
            take_signs(&mut self.matrix, weights);
        }
    }

    /// The weights have learnt from `scale · hebbian`.
    pub(super) fn learn(&mut self, weights: &Field<T>, hebbian: &Field<T>, scale: T) {
        if let Some(optimizer) = &mut self.optimizer {
            optimizer.update(values_mut(&mut self.matrix), values(hebbian), scale);
        }
        self.weights_changed(weights);
    }

    fn state(&self) -> FeedbackState<T> {
        let optimizer = self.optimizer.as_ref().map(|optimizer| optimizer.state().clone());
        FeedbackState { matrix: self.matrix.clone(), optimizer }
    }

    /// False, and nothing changed, if the state is not one of this matrix.
    fn restore(&mut self, state: FeedbackState<T>) -> bool {
        if state.matrix.dim() != self.matrix.dim() {
            return false;
        }
        let fits = match (&mut self.optimizer, state.optimizer) {
            (Some(optimizer), Some(state)) => optimizer.restore(state),
            (None, None) => true,
            _ => false,
        };
        if fits {
            self.matrix = state.matrix;
        }
        fits
    }
}

impl<T: Real> Layer<T> {
    /// `B`, for a checkpoint; nothing where the weights themselves serve.
    pub(super) fn extract_feedback(&self) -> Extract<T> {
        let feedback = self.outgoing.as_ref().and_then(|outgoing| outgoing.back.as_ref());
        feedback.map_or(Extract::Nothing, |feedback| Extract::Feedback(feedback.state()))
    }

    pub(super) fn install_feedback(&mut self, state: FeedbackState<T>) -> Result<(), LayerError> {
        let Some(outgoing) = &mut self.outgoing else { return Ok(()) };
        let fits = outgoing.back.as_mut().is_some_and(|feedback| feedback.restore(state));
        if !fits {
            return Err(self.fault("the stored feedback weights, or their optimiser's state, do not fit".into()));
        }
        if let Some(feedback) = &mut outgoing.back {
            feedback.weights_changed(&outgoing.parameters.weights);
        }
        outgoing.clear();
        Ok(())
    }
}
