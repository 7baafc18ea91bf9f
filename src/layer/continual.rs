//! Weights that move while the states do: continual equilibrium propagation (Ernoult et al. 2020, C-EP).
//!
//! ```text
//! h(0)                                          at the free equilibrium, when the nudged phase begins
//! W ← W + η c / B · (h(t) − h(t−1))              at every step, then x moves;   c = 1/β
//! Σ_t (h(t) − h(t−1)) = h(T) − h(0)              telescopes to the estimate of equilibrium propagation
//! ```
//!
//! In lock-step `t` is the step: `h(t)` is the product of the state and the error of step `t`, and the drive of that step still has
//! the weights of the step before. Free-running, a layer takes a difference whenever it hears an error: its own successive
//! moments, which telescope as well. What is collected here serves records and comparisons only; the weights never read it.

use super::outgoing::Outgoing;
use super::{Layer, Voice};
use crate::math::{Field, Real};
use crate::network::Parameters;
use crate::signal::{Phase, Reading};

impl<T: Real> Outgoing<T> {
    /// From here on products are counted as differences to the present one.
    fn begin_drift(&mut self, source: &Field<T>, coefficient: f64) {
        if let Some(now) = self.product(source, coefficient) {
            let (to, from) = now.weights.dim();
            let hebbian = self.hebbian.get_or_insert_default();
            hebbian.collected = Some(Parameters::zeros(to, from));
            hebbian.terms = 1;
            hebbian.previous = Some(now);
        }
    }

    /// Moves the weights by what the product has changed. False if no error was heard.
    fn drift(&mut self, source: &Field<T>, coefficient: f64, batch: usize) -> bool {
        let Some(before) = self.hebbian.as_mut().and_then(|hebbian| hebbian.previous.take()) else {
            self.begin_drift(source, coefficient);
            return self.hebbian.as_ref().is_some_and(|hebbian| hebbian.previous.is_some());
        };
        let Some(now) = self.product(source, coefficient) else { return false };
        let mut change = now.clone();
        change.weights.zip_mut_with(&before.weights, |now, &before| *now = *now - before);
        change.bias.iter_mut().zip(&before.bias).for_each(|(now, &before)| *now = *now - before);
        let hebbian = self.hebbian.get_or_insert_default();
        if let Some(collected) = &mut hebbian.collected {
            collected.weights.zip_mut_with(&change.weights, |sum, &change| *sum = *sum + change);
            collected.bias.iter_mut().zip(&change.bias).for_each(|(sum, &change)| *sum = *sum + change);
        }
        hebbian.previous = Some(now);
        let scale = T::of(1.0 / batch as f64);
        self.update(&change, scale);
        if let Some(back) = &mut self.back {
            back.learn(&self.parameters.weights, &change.weights, scale);
        }
        self.weights_moved();
        true
    }
}

impl<T: Real> Layer<T> {
    /// The coefficient of a phase in which the weights move.
    fn continual(&self) -> Option<f64> {
        match self.phase() {
            Some(&Phase { reading: Reading::Continual(coefficient), .. }) => Some(coefficient),
            _ => None,
        }
    }

    /// Where the weights move in this phase: the product of its beginning is what the first difference is taken to.
    pub(super) fn begin_drift(&mut self) {
        self.with_source(|outgoing, source, coefficient, _| outgoing.begin_drift(source, coefficient));
    }

    /// One move of the weights, if they move in this phase; `None` if they don't, false if no error has been heard.
    pub(super) fn drift(&mut self) -> Option<bool> {
        let drifted = self.with_source(Outgoing::drift);
        if drifted.is_some() {
            self.measured = None;
        }
        drifted
    }

    /// A step of the own clock: in lock-step that is when the weights move.
    pub(super) fn drift_at_step(&mut self) {
        if self.settings.voice == Voice::Adjoint {
            self.drift();
        }
    }

    /// An error has come: without a common clock that is when the weights move.
    pub(super) fn drift_at_arrival(&mut self) {
        if self.settings.voice != Voice::Adjoint {
            self.drift();
        }
    }

    fn with_source<R>(&mut self, act: impl FnOnce(&mut Outgoing<T>, &Field<T>, f64, usize) -> R) -> Option<R> {
        let coefficient = self.continual()?;
        // Taken out and put back, so that the source can be read beside it.
        let mut outgoing = self.outgoing.take()?;
        let batch = self.batch;
        let acted = self.source().map(|source| act(&mut outgoing, source, coefficient, batch));
        self.outgoing = Some(outgoing);
        acted
    }
}
