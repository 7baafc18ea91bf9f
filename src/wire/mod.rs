//! What is said between processes, as bytes: pure functions from values to bytes and back, without sockets or clocks.
//!
//! ```text
//! handshake   36 + 68 + 88 + 1 bytes of fixed layout      who is there, before anything else is believed
//! frame       a header of 64 bytes, then raw numbers       signals between neighbours: the hot path
//! control     bincode under a limit, then raw numbers      directives, reports, and what starts a worker
//! ```
//!
//! Convention: every number is little-endian. Every length is checked against what the receiver knows of the network *before* a
//! buffer is made, so that no frame, however wrong, costs more memory than a right one. A decoder answers with a value or with a
//! [`WireError`], never with a panic (`tests/it/wire.rs` mutates frames to see that).
//!
//! Read on: [`frame`], [`control`], [`handshake`], then `crate::engine::transport`, which moves these bytes.

mod bounds;
pub mod control;
pub mod frame;
pub mod handshake;
pub mod numbers;

/// Version of everything in this module; processes that differ in it do not talk to each other.
pub const VERSION: u16 = 5;

/// Why bytes are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The first bytes are not ours.
    #[error("{what} does not begin with the mark of Asynapse but with {found:?}")]
    Stranger {
        /// What was being read.
        what: &'static str,
        /// The bytes in its place.
        found: Vec<u8>,
    },
    /// The other side speaks another version.
    #[error(
        "the other side speaks version {theirs} of the protocol, this program speaks version {VERSION}; use the same program"
    )]
    Version {
        /// What it speaks.
        theirs: u16,
    },
    /// A field holds what it can't hold here.
    #[error("{field} is {found}, expected {expected}")]
    Field {
        /// Which field.
        field: &'static str,
        /// What it says.
        found: u64,
        /// What it may say.
        expected: String,
    },
    /// Bytes that are no value of the type they should be, or more of them than allowed.
    #[error("{what} can't be read: {problem}")]
    Unreadable {
        /// What was being read.
        what: &'static str,
        /// Why not.
        problem: String,
    },
    /// The other side does not know the secret.
    #[error("the other side does not know the secret of this run")]
    WrongSecret,
}

impl WireError {
    fn field(field: &'static str, found: impl TryInto<u64>, expected: impl ToString) -> Self {
        Self::Field { field, found: found.try_into().unwrap_or(u64::MAX), expected: expected.to_string() }
    }
}
