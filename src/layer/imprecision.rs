//! What limited precision does to a layer (`crate::math::Numerics`): its state after every step, and what it says as it is said.
//!
//! A layer knows what it said: the prediction it remembers for an echo is the rounded and noisy one that the layer above heard. What
//! it computes for itself from its own state and from what it heard is as precise as the format computed in.

use super::pages::Pages;
use super::{Body, Layer, Voice};
use crate::math::{Field, Held, Moment, Numerics, Real};
use std::sync::Arc;

/// What is done to one side's signals.
#[derive(Clone, Copy, Debug)]
pub(super) struct Channel {
    numerics: Numerics,
    held: Held,
    layer: usize,
    moment: Moment,
    by_version: bool,
}

impl Channel {
    /// The numbers as they are heard: the same page if nothing is done to them, or one written from it.
    pub(super) fn carry<T: Real>(self, said: &Arc<Field<T>>, version: u64, pages: &mut Pages<T>) -> Arc<Field<T>> {
        if self.is_clean() {
            return Arc::clone(said);
        }
        let moment = if self.by_version { Moment { step: version, ..self.moment } } else { self.moment };
        let (units, batch) = said.dim();
        pages.publish(units, batch, |page| {
            page.assign(said);
            self.numerics.apply(self.held, self.layer, moment, page);
        })
    }

    /// True if nothing is done to signals.
    pub(super) fn is_clean(self) -> bool {
        self.numerics.leaves(self.held)
    }
}

impl<T: Real> Layer<T> {
    /// Upward or downward, now.
    pub(super) fn channel(&self, held: Held) -> Channel {
        // In lock-step every signal belongs to a step; otherwise several may, and each is a version.
        let by_version = self.settings.voice != Voice::Adjoint;
        let moment = Moment { step: self.step, ..self.moment };
        Channel { numerics: self.settings.numerics, held, layer: self.index, moment, by_version }
    }

    /// The state has taken a step: it is held as precisely as states are.
    pub(super) fn hold(&mut self) {
        let moment = Moment { step: self.step, ..self.moment };
        if let Body::Hidden(state) | Body::Output { state, .. } = &mut self.body {
            self.settings.numerics.apply(Held::State, self.index, moment, state);
        }
    }
}
