//! A layer in deviation variables: while a phase of them lasts, its state is `u_l = (x_l − x̄_l)/λ`, and so is everything it says.
//!
//! ```text
//! says up    c_{l+1} = W_{l+1} u_l   (no bias)          says down   d_l = δ_l, in units of λ          (`energy::deviation`)
//! keeps      x̄_l, ā_l (what it heard) and ā_{l+1} (what it said), all of the free equilibrium
//! learns     h_{l+1} = d_{l+1} x_lᵀ,  x_l = x̄_l + λ u_l
//! ```
//!
//! The state's place in [`super::Layer`] holds u meanwhile (zero at the input, which is clamped), so hearing, relaxing and speaking
//! are what they are for states. Only the errors and the responses of an echo are told where the deviations are measured from.
//! Every such phase begins at the free equilibrium, `u = 0`, the second of a symmetric nudge too.

use std::borrow::Cow;
use std::sync::Arc;

use ndarray::Array2;

use super::{Body, Layer, LayerError};
use crate::energy::{Activation, deviation};
use crate::math::{Field, Real, sum_of_squares, values};

/// Where the deviations of a current are measured from.
#[derive(Clone, Debug)]
pub(super) struct Ground<T> {
    /// `ā`, the current of the free equilibrium.
    pub(super) current: Arc<Field<T>>,
    /// λ.
    pub(super) nudge: T,
}

impl<T: Real> Ground<T> {
    /// `ā + λ c`.
    pub(super) fn total(&self, change: &Field<T>) -> Field<T> {
        deviation::total(self.nudge, &self.current, change)
    }

    /// `φ_λ(ā, c)`.
    pub(super) fn increments(&self, activation: Activation, change: &Field<T>) -> Field<T> {
        deviation::increments(activation, self.nudge, &self.current, change)
    }
}

impl<T: Real> Layer<T> {
    /// Begins a phase in deviation variables: `u = 0`, measured from where the free phase ended.
    pub(super) fn deviate(&mut self, nudge: T) -> Result<(), LayerError> {
        let no_equilibrium = || {
            self.fault("deviation variables stand on a free equilibrium, and none was found before this phase".into())
        };
        let own = self.incoming.as_ref().is_some_and(|incoming| incoming.units.is_some())
            || self.outgoing.as_ref().is_some_and(|outgoing| outgoing.back.is_some() || outgoing.above.units.is_some());
        if own {
            let what = "deviation variables have tied feedback and one given precision per layer";
            return Err(self.fault(what.into()));
        }
        let below = match &self.incoming {
            Some(incoming) => {
                let heard = incoming.current.as_ref().map(|signal| &signal.numbers);
                let current = incoming.ground.as_ref().map(|ground| &ground.current).or(heard);
                Some(Ground { current: Arc::clone(current.ok_or_else(no_equilibrium)?), nudge })
            }
            None if self.index > 0 => return Err(no_equilibrium()),
            None => None,
        };
        let above = match &self.outgoing {
            Some(outgoing) => {
                let said = outgoing.present_prediction();
                let current = outgoing.ground().map(|ground| &ground.current).or(said);
                Some(Ground { current: Arc::clone(current.ok_or_else(no_equilibrium)?), nudge })
            }
            None => None,
        };
        let state = match &mut self.body {
            Body::Input(data) => {
                let still = Arc::new(Array2::zeros(data.dim()));
                std::mem::replace(data, still)
            }
            Body::Hidden(state) => {
                let still = Array2::zeros(state.dim());
                Arc::new(std::mem::replace(state, still))
            }
            Body::Output { .. } => Arc::new(Array2::zeros((0, 0))),
        };
        // After another phase of deviations the free equilibrium is the one already known.
        self.rest.get_or_insert(state);
        self.start_over(below, above);
        Ok(())
    }

    /// Ends the phases of deviations: the state is `x̄ + λ u`.
    pub(super) fn rejoin(&mut self) {
        let total = self.total_state();
        let Some(rest) = self.rest.take() else { return };
        match &mut self.body {
            Body::Input(data) => *data = rest,
            Body::Hidden(state) => *state = total.unwrap_or_default(),
            Body::Output { .. } => {}
        }
        self.start_over(None, None);
    }

    /// The variables change: nothing that was said or heard in the old ones counts any more.
    fn start_over(&mut self, below: Option<Ground<T>>, above: Option<Ground<T>>) {
        if let Some(incoming) = &mut self.incoming {
            incoming.clear();
            incoming.error.fill(T::zero());
            incoming.ground = below;
        }
        if let Some(outgoing) = &mut self.outgoing {
            outgoing.start_over(above);
        }
        self.drive = None;
        self.state_moved();
    }

    /// Weight of the output's error: λ, or one where everything is in units of λ.
    pub(super) fn output_gain(&self) -> T {
        if self.rest.is_some() { T::one() } else { self.nudge() }
    }

    /// `x̄_l + λ u_l` in a phase of deviations; `None` in any other, and at the output, which has no state.
    pub(super) fn total_state(&self) -> Option<Field<T>> {
        let rest = self.rest.as_ref()?;
        match &self.body {
            Body::Input(_) => Some((**rest).clone()),
            Body::Hidden(u) => Some(deviation::total(self.ground_nudge()?, rest, u)),
            Body::Output { .. } => None,
        }
    }

    fn ground_nudge(&self) -> Option<T> {
        self.incoming.as_ref()?.ground.as_ref().map(|ground| ground.nudge)
    }

    /// The current `a_l`: as heard, or in a phase of deviations `ā_l + λ c_l`.
    pub(super) fn current(&self) -> Option<Cow<'_, Field<T>>> {
        let incoming = self.incoming.as_ref()?;
        let heard = incoming.current.as_ref().map(|signal| &*signal.numbers);
        match (&incoming.ground, heard) {
            (None, heard) => heard.map(Cow::Borrowed),
            (Some(ground), None) => Some(Cow::Borrowed(&ground.current)),
            (Some(ground), Some(change)) => Some(Cow::Owned(ground.total(change))),
        }
    }

    /// This layer's share of `(E(x) − E(x̄))/λ²`; `None` outside of phases of deviations.
    pub(super) fn deviation_energy(&self) -> Option<f64> {
        let incoming = self.incoming.as_ref()?;
        let ground = incoming.ground.as_ref()?;
        Some(match (&self.body, &incoming.current) {
            (Body::Output { target, .. }, Some(change)) => {
                let currents = (&*ground.current, &*change.numbers);
                self.network.loss().rise(incoming.activation, ground.nudge, currents, target)
            }
            (Body::Hidden(_), _) => 0.5 * sum_of_squares(values(&incoming.error)) / incoming.precision.wide(),
            // Nothing was heard: nothing has moved.
            _ => 0.0,
        })
    }
}
