//! Limited precision in the synchronous program (`crate::math::Numerics`): which batch and phase it is, and what is rounded.
//!
//! Layers are numbered by who speaks: what ascends from layer l is `a_{l+1}`, what descends from layer l is `d_l` or `s_l`.

use crate::math::{Field, Held, Moment, Numerics, Real};

/// How precise everything is, and when.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Imprecision {
    numerics: Numerics,
    moment: Moment,
}

impl Imprecision {
    /// At no batch yet.
    pub(super) fn new(numerics: Numerics) -> Self {
        Self { numerics, moment: Moment::default() }
    }

    /// The number of the batch that is presented next.
    pub(super) fn number(&mut self, batch: u64) {
        self.moment.batch = batch.wrapping_sub(1);
    }

    /// A batch is presented.
    pub(super) fn present(&mut self) {
        self.moment = Moment { batch: self.moment.batch.wrapping_add(1), phase: 0, step: 0 };
    }

    /// A phase begins.
    pub(super) fn begin(&mut self) {
        self.moment.phase += 1;
    }

    /// The state of layer `layer` after step `step`.
    pub(super) fn state<T: Real>(&self, layer: usize, step: u64, field: &mut Field<T>) {
        self.numerics.apply(Held::State, layer, Moment { step, ..self.moment }, field);
    }

    /// The current that layer `layer` predicts above.
    pub(super) fn ascending<T: Real>(&self, layer: usize, step: u64, field: &mut Field<T>) {
        self.numerics.apply(Held::Ascending, layer, Moment { step, ..self.moment }, field);
    }

    /// What layer `layer` says below.
    pub(super) fn descending<T: Real>(&self, layer: usize, step: u64, field: &mut Field<T>) {
        self.numerics.apply(Held::Descending, layer, Moment { step, ..self.moment }, field);
    }
}
