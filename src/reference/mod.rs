//! The same mathematics without actors, written straight from the equations on whole matrices, so that it can contradict
//! `crate::layer`.
//!
//! - [`Synchronous`]: Algorithm 1 with a global clock, in the conventions of `crate::energy`;
//! - [`backprop`]: the gradient all of this is measured against, and [`Baseline`], which trains by it.
//!
//! They share the product kernel, the activations, the losses and the optimisers with the layers, and nothing else. Next:
//! `crate::engine`.

pub mod backprop;
mod baseline;
mod synchronous;

pub use baseline::Baseline;
pub use synchronous::Synchronous;
