//! The same mathematics without actors, written straight from the equations on whole matrices, so that it can contradict
//! `crate::layer`.
//!
//! - [`Synchronous`]: Algorithm 1 with a global clock, in the conventions of `crate::energy` (`coding`, `recurrent`: the two kinds of
//!   states; `deviation`: predictive coding in units of λ);
//! - [`backprop`]: the gradient all of this is measured against, and [`Baseline`], which trains by it.
//!
//! - [`implicit`]: recurrent backpropagation, the gradient at the free equilibrium of the Hopfield energy.
//!
//! - [`eq17`]: the paper's first-order correction, as a diagnostic.
//!
//! They share the product kernel, the activations, the losses and the optimisers with the layers, and nothing else. Next:
//! `crate::engine`.

pub mod backprop;
mod baseline;
mod coding;
mod contrast;
mod deviation;
pub mod eq17;
mod feedback;
pub mod implicit;
mod learner;
mod looks;
mod numerics;
mod precision;
mod recurrent;
mod shares;
mod synchronous;

use serde::{Deserialize, Serialize};

pub use baseline::Baseline;
pub use synchronous::Synchronous;

/// In which order the reference updates the layers within a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// All at once, from the same signals; what lock-step actors do.
    #[default]
    Jacobi,
    /// One after another from the top, each with the newest signals from above: the authors' program.
    GaussSeidel,
}
