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
    /// The coordinator is gone, or gave this worker up.
    #[error("the coordinator's connection ended without a farewell{}", again(*.seconds))]
    Cut {
        /// How long it was called again.
        seconds: u64,
    },
    /// The connection to the coordinator failed.
    #[error("the connection to the coordinator: {0}")]
    Talk(String),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl ProcessError {
    /// True if a later call may be let in: nobody listens there yet or any more, the way is broken, or all places are taken.
    pub fn may_pass(&self) -> bool {
        use std::io::ErrorKind::{
            BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable,
            NotFound, TimedOut, UnexpectedEof,
        };
        match self {
            Self::Call { source: HandshakeError::Stream(error), .. } => matches!(
                error.kind(),
                ConnectionRefused
                    | ConnectionReset
                    | ConnectionAborted
                    | BrokenPipe
                    | UnexpectedEof
                    | TimedOut
                    | HostUnreachable
                    | NetworkUnreachable
                    | NotFound
            ),
            Self::Call { source: HandshakeError::Late | HandshakeError::NotExpected, .. } => true,
            _ => false,
        }
    }

    pub(super) fn talk(problem: impl ToString) -> Self {
        Self::Talk(problem.to_string())
    }

    pub(super) fn listening(source: std::io::Error) -> Self {
        Self::Listen { what: "a socket for neighbours".to_owned(), source }
    }
}

fn again(seconds: u64) -> String {
    match seconds {
        0 => "; start this worker again, or give --wait SECONDS and it calls again by itself".to_owned(),
        seconds => format!(", and nobody gave this worker other layers within {seconds} s"),
    }
}
