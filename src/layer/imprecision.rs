//! What limited precision does to a layer (`crate::math::Numerics`): its state after every step, and what it says as it is said.
//!
//! A layer knows what it said: the prediction it remembers for an echo is the rounded and noisy one that the layer above heard. What
//! it computes for itself from its own state and from what it heard is as precise as the format computed in.

use super::pages::Pages;
use super::{Body, Incoming, Layer, Outgoing, Voice};
use crate::math::{Field, Held, Moment, Numerics, Real};
use std::sync::Arc;

/// What is done to one side's signals.
#[derive(Clone, Copy, Debug)]
pub(super) struct Channel {
    numerics: Numerics,
    held: Held,
    layer: usize,
    moment: Moment,
}

impl Channel {
    /// The numbers as they are heard: the same page if nothing is done to them, or one written from it.
    pub(super) fn carry<T: Real>(self, said: &Arc<Field<T>>, pages: &mut Pages<T>) -> Arc<Field<T>> {
        if self.is_clean() {
            return Arc::clone(said);
        }
        let (units, batch) = said.dim();
        pages.publish(units, batch, |page| {
            page.assign(said);
            self.numerics.apply(self.held, self.layer, self.moment, page);
        })
    }

    /// True if nothing is done to signals.
    pub(super) fn is_clean(self) -> bool {
        self.numerics.leaves(self.held)
    }

    /// True if a signal that is said once more has other numbers, and is therefore another version.
    pub(super) fn is_noisy(self) -> bool {
        self.numerics.message_noise > 0.0
    }
}

impl<T: Real> Layer<T> {
    /// Upward or downward, now.
    pub(super) fn channel(&self, held: Held) -> Channel {
        // In step every signal belongs to a step; otherwise several may, or none, and each has its own number.
        let said = if held == Held::Ascending { self.said.above } else { self.said.below };
        let step = if self.settings.voice == Voice::Adjoint { self.step } else { said };
        Channel { numerics: self.settings.numerics, held, layer: self.index, moment: Moment { step, ..self.moment } }
    }

    /// True if saying a prediction once more would be news, because signals are noisy, and there is room for it.
    pub fn has_prediction_to_repeat(&self) -> bool {
        let room = self.outgoing.as_ref().is_some_and(Outgoing::has_room);
        room && self.is_noisy()
    }

    /// True if saying an error once more would be news, because signals are noisy.
    pub fn has_error_to_repeat(&self) -> bool {
        self.incoming.as_deref().is_some_and(Incoming::has_something) && self.is_noisy()
    }

    /// True if there is noise on what it says.
    pub fn is_noisy(&self) -> bool {
        self.settings.numerics.message_noise > 0.0
    }

    /// The state has taken a step: it is held as precisely as states are.
    pub(super) fn hold(&mut self) {
        let moment = Moment { step: self.step, ..self.moment };
        if let Body::Hidden(state) | Body::Output { state, .. } = &mut self.body {
            self.settings.numerics.apply(Held::State, self.index, moment, state);
        }
    }
}
