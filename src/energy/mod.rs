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
//! Read on: [`Activation`], [`Loss`], [`predictive_coding`], then `crate::network`.

mod activation;
mod loss;
pub mod predictive_coding;

pub use activation::Activation;
pub use loss::{Loss, Score};

use serde::{Deserialize, Serialize};

/// Which internal energy the network descends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EnergyKind {
    /// Squared prediction errors, weighted by precision: [`predictive_coding`].
    #[default]
    PredictiveCoding,
}
