//! Draft.
pub mod math;
pub mod energy;
pub mod network;
pub mod signal;
pub mod rule;
pub mod settling;
pub mod layer;
pub mod reference;
pub mod engine;
