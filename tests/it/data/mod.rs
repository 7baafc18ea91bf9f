//! Tests of reading, fetching and verifying data sets.
//!
//! They use only the public interface and, for downloads, a server on this machine.
//! Where to go next: `samples.rs` makes small data sets, `server.rs` plays the mirror.

mod catalogue;
mod fetching;
mod fetching_faults;
mod fetching_slow;
mod folder;
mod idx;
mod mutations;
pub(crate) mod samples;
mod server;
mod verifying;

pub(crate) use folder::mnist_folder;
