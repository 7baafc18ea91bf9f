//! `meta.json`: what this run is, written at its start and again whenever its status changes.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::atomic::write_atomic;
use super::{RunDirectory, RunError};

/// Version of the run directory's layout.
pub const SCHEMA: u32 = 1;

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Training, or killed while training.
    Running,
    /// All epochs done.
    Done,
    /// Stopped by a signal after a checkpoint; can be resumed.
    Interrupted,
    /// A number was not finite, or inference diverged.
    Diverged,
    /// Ended by another error.
    Failed,
}

/// What is written to `meta.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Version of the program.
    pub program: String,
    /// Commit the program was built from, if it was built in a checkout, with `-dirty` if files had changed.
    pub git: Option<String>,
    /// Where the run stands.
    pub status: Status,
    /// Seed of weights and order.
    pub seed: u64,
    /// The schedule.
    pub schedule: String,
    /// True if a second run gives the same bits.
    pub deterministic: bool,
    /// Threads of the engine.
    pub threads: usize,
    /// Host name.
    pub host: String,
    /// Operating system and architecture.
    pub platform: String,
    /// Seconds since 1970 at the start.
    pub started_unix: u64,
    /// Sources of the data with their SHA-256.
    pub data: Vec<(String, String)>,
    /// Samples in the training, validation and test sets.
    pub samples: [usize; 3],
    /// What `events.log` holds, if there is one.
    #[serde(default)]
    pub events: Option<LoggedEvents>,
    /// Filled in at the end: what the closing summary says.
    pub summary: Option<serde_json::Value>,
}

/// What a log of events holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedEvents {
    /// Training batches, from the first of the run on.
    pub batches: u64,
    /// Their events.
    pub events: u64,
    /// SHA-256 of the file.
    pub sha256: String,
}

impl Meta {
    /// Writes it.
    pub fn write(&self, run: &RunDirectory) -> Result<(), RunError> {
        let path = run.file("meta.json");
        let text = serde_json::to_vec_pretty(self).map_err(|error| RunError::content(&path, error.to_string()))?;
        write_atomic(&path, &text)
    }

    /// Reads that of a run.
    pub fn read(run: &Path) -> Result<Self, RunError> {
        let path = run.join("meta.json");
        let text = std::fs::read(&path).map_err(RunError::io("read", &path))?;
        serde_json::from_slice(&text).map_err(|error| RunError::content(&path, format!("is not a meta file: {error}")))
    }
}

/// The machine's name, from the kernel or the environment.
pub fn host() -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned());
    kernel.or_else(|| std::env::var("HOSTNAME").ok()).unwrap_or_else(|| "unknown".to_owned())
}
