//! Layers in processes of their own. The coordinator starts the workers (or waits for those that somebody else started), gives
//! each its layers, and from then on runs phases as ever; neighbours that live in different processes are connected directly.
//!
//! ```text
//!                  ┌── control, pulse ── worker 0: layers 0 1 ─┐ link 1
//! coordinator ─────┼── control, pulse ── worker 1: layer 2 ────┤ link 2         Unix sockets, TCP within the machine, TLS between machines
//!                  └── control, pulse ── worker 2: layer 3 ────┘
//! ```
//!
//! - **Nobody else gets in**: a Unix socket in a folder of its owner, TCP on the loopback interface, or TLS with certificates on both
//!   sides ([`tls`]) where other machines can call; on all a secret of this run and a handshake before anything else
//!   (`crate::wire::handshake`). When every link stands, nobody listens any more.
//! - **A death is noticed** by a closed connection, the end of a child, or silence (`supervisor`), and ends the *generation* with an
//!   error that names worker, process and layers. Whoever runs the training begins the next
//!   generation (`crate::experiment`, `crate::transaction`), with new children, or with workers that call again: a worker whose
//!   connection ends without a farewell keeps nothing of what it had.
//! - The run has an identity and a generation; links of another are refused.
//!
//! Lock-step across processes has the bits of lock-step within one: the same arithmetic on the same numbers, which travel as bytes.
//!
//! All of this needs Unix; elsewhere there is [`placement`] and nothing to place.
//!
//! Read on: [`placement`], `launch`, `start` (what is said at the beginning), `endpoint`, `socket`, [`worker`], `supervisor`.

mod blocks;
#[cfg(unix)]
pub mod endpoint;
#[cfg(unix)]
mod error;
#[cfg(unix)]
pub mod issue;
#[cfg(unix)]
pub mod key;
#[cfg(unix)]
mod launch;
#[cfg(unix)]
mod muster;
pub mod placement;
#[cfg(unix)]
pub mod reception;
#[cfg(unix)]
mod socket;
#[cfg(unix)]
pub(crate) mod start;
#[cfg(unix)]
mod supervisor;
#[cfg(unix)]
pub mod tls;
#[cfg(unix)]
pub mod worker;

#[cfg(unix)]
pub use error::ProcessError;
#[cfg(unix)]
pub use launch::{Crew, Source, launch, launch_virtual};
