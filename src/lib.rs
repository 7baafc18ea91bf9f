//! Asynapse simulates energy-based networks as the physics says they work: every layer is an independent asynchronous actor that
//! knows its own state, its own weights, what its neighbours last told it, and nothing else. Layers exchange predictions upward and
//! prediction errors downward; weights change by local Hebbian rules; at the free equilibrium the dynamics point down the loss, so
//! that the local rules approximate backpropagation (Millidge, Song, Salvatori, Lukasiewicz & Bogacz, "Backpropagation at the
//! Infinitesimal Inference Limit of Energy-Based Models", 2022).
//!
//! Modules stand in reading order, and each names only modules before it (a test keeps it so):
//!
//! ```text
//! mathematics   math · energy · network · transaction · signal · rule · settling · layer · reference     no tokio, no clock, no I/O
//! engine        wire · engine · process                                                   bytes, tasks, sockets
//! front         data · config · run · plot · experiment · cli                             files, commands, people
//! ```
//!
//! Begin with [`layer`], the centre; `ARCHITECTURE.md` has the map.

pub mod math;

pub mod energy;

pub mod network;

pub mod transaction;

pub mod signal;

pub mod rule;

pub mod settling;

pub mod layer;

pub mod reference;

pub mod wire;

pub mod engine;

pub mod process;

pub mod data;

pub mod config;

pub mod run;

// Nothing below decodes anything, and a build for a fuzzer that lacks it has a third less to compile.
#[cfg(not(fuzzing))]
pub mod plot;

#[cfg(not(fuzzing))]
pub mod experiment;

#[cfg(not(fuzzing))]
pub mod cli;

#[cfg(unix)]
#[doc(hidden)]
pub mod fuzzing;
