//! Experiments: what a user asks for, put together from the parts below.
//!
//! [`assemble`] turns a configuration into a network and its limits; [`machine`] runs one training step by whichever of the four
//! programs the configuration names; [`train`], [`compare`], [`delay`], [`gradient`], [`audit`], [`sweep`], [`study`], [`replay`] and
//! [`reproduce`] are the commands. Nothing here prints: progress goes to an observer, results are returned. Next: `crate::cli`.

pub mod assemble;
pub mod audit;
pub mod compare;
pub mod delay;
pub mod eq17;
pub mod gradient;
pub mod machine;
pub mod replay;
pub mod reproduce;
pub mod study;
pub mod sweep;
pub mod train;
pub mod workers;

pub use machine::{Machine, StepError};
