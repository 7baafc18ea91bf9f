//! The same mathematics without actors, written straight from the equations on whole matrices, so that it can contradict
//! `crate::layer`.
//!
//! - [`Synchronous`]: Algorithm 1 with a global clock, in the conventions of `crate::energy` (`coding`, `recurrent`: the two kinds of
//!   states);
//! - [`backprop`]: the gradient all of this is measured against, and [`Baseline`], which trains by it.
//!
//! - [`implicit`]: recurrent backpropagation, the gradient at the free equilibrium of the Hopfield energy.
//!
//! They share the product kernel, the activations, the losses and the optimisers with the layers, and nothing else. Next:
//! `crate::engine`.

pub mod backprop;
mod baseline;
mod coding;
mod contrast;
pub mod implicit;
mod recurrent;
mod synchronous;

pub use baseline::Baseline;
pub use synchronous::Synchronous;
