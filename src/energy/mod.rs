//! Energies: what the network's states descend, and how each one turns what a layer hears into motion and errors.
//!
//! ```text
//! E = I + λ·𝓛      (Eq. 10)     dx_l/dt = −∂E/∂x_l     (Eq. 1)     dW_l/dt = −∂E/∂W_l     (Eq. 2)
//! ```
//!
//! An energy is a closed family: one file per member, one variant of [`EnergyKind`] per file, and a `match` wherever a layer
//! asks. Each file begins with its own equations and the convention chosen where the literature differs (½, sign, mean or sum).
//! All sums here are over units and over the samples of the batch; the reader of a report divides by the batch.
//!
//! Read on: [`Activation`], [`Loss`], [`predictive_coding`], [`deviation`], [`hopfield`], [`rate`], then `crate::network`.

mod activation;
pub mod deviation;
pub mod hopfield;
mod increment;
mod loss;
pub mod predictive_coding;
pub mod rate;

pub use activation::Activation;
pub use loss::{Loss, Score};

use serde::{Deserialize, Serialize};

use crate::math::Real;

/// Which internal energy the network descends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EnergyKind {
    /// Squared prediction errors, weighted by precision: [`predictive_coding`].
    #[default]
    PredictiveCoding,
    /// The layered Hopfield energy with leak: [`hopfield`].
    Hopfield,
    /// The layered rate network with weak feedback: [`rate`].
    Rate,
}

impl EnergyKind {
    /// True if the output has a state of its own that can be free, nudged or clamped; predictive coding's output is its prediction.
    pub fn has_output_state(self) -> bool {
        self != Self::PredictiveCoding
    }
}

/// `x ← x + η·drive`, one Euler step of Eq. 1; magnitudes below [`Real::FLUSH`] become zero.
pub fn step<T: Real>(rate: T, drive: &[T], state: &mut [T]) {
    pulp::Arch::new().dispatch(|| {
        for (x, &drive) in state.iter_mut().zip(drive) {
            let moved = *x + rate * drive;
            *x = if moved.abs() < T::FLUSH { T::zero() } else { moved };
        }
    });
}
