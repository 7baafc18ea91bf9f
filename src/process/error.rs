//! Why processes can't work together, in sentences that name the process, the address or the file.

use std::path::PathBuf;

use super::placement::PlacementError;
use super::reception::HandshakeError;
use crate::engine::EngineError;

/// Why processes can't work together.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The layers can't be placed so.
    #[error("schedule.placement: {0}")]
    Placement(#[from] PlacementError),
    /// The operating system did not give something.
    #[error("{what} can't be had: {source}")]
    System {
        /// What.
        what: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// Nobody can be listened for.
    #[error("{what} can't be listened on: {source}")]
    Listen {
        /// Where.
        what: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A secret, a key or a certificate can't be read or written, or is of no use.
    #[error("{}: {problem}", .path.display())]
    Secret {
        /// Its file.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
    /// Somebody could not be reached, or did not let us in.
    #[error("{endpoint}: {source}")]
    Call {
        /// Who.
        endpoint: String,
        /// Why not.
        source: HandshakeError,
    },
    /// Not enough workers came.
    #[error("{came} of {workers} workers came within {seconds} s; start the others with: asynapse worker --connect …")]
    Absent {
        /// How many came.
        came: usize,
        /// How many are needed.
        workers: usize,
        /// How long was waited.
        seconds: u64,
    },
    /// A worker ended before the start.
    #[error("the worker process {pid} {how} before it was given its layers")]
    Ended {
        /// Its process id.
        pid: u32,
        /// How.
        how: String,
    },
    /// A worker could not begin.
    #[error("the worker process {pid} can't begin: {how}")]
    Worker {
        /// Its process id.
        pid: u32,
        /// Why not.
        how: String,
    },
    /// The connection to the coordinator failed.
    #[error("the connection to the coordinator: {0}")]
    Talk(String),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl ProcessError {
    /// True if a call found nobody, who may yet come: no listener, no socket, no way there.
    pub fn is_nobody_there(&self) -> bool {
        use std::io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable, NotFound};
        let Self::Call { source: HandshakeError::Stream(error), .. } = self else { return false };
        matches!(error.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable | NotFound)
    }

    pub(super) fn talk(problem: impl ToString) -> Self {
        Self::Talk(problem.to_string())
    }

    pub(super) fn listening(source: std::io::Error) -> Self {
        Self::Listen { what: "a socket for neighbours".to_owned(), source }
    }
}
