//! `asynapse sweep`: a grid over any keys of the configuration, one row per run.
//!
//! ```text
//! runs/NAME/sweep.json       the grid: base text, fixed settings, axes, seeds; enough to run any point of it
//!           index.csv        run, swept keys, seed, status, reason, metrics: in the order of the grid, whoever came first
//!           rows/            run-000012.json, a row as its run left it; .log, what a failed run said
//!           run-000012/      the run directory of a training run
//! ```
//!
//! Runs share nothing: each is a process of its own, so one that fails, panics or is killed leaves a row that says so and stops no
//! other. A process needs the folder and the number of its run only, which is what an array of cluster jobs has as well. A row is
//! written whole or not at all; the index is made of rows, so it does not depend on who wrote them, nor when.
//!
//! [`Grid`] says which runs; [`run`] makes those that have no row; [`run_one`] makes one, here; [`Folder::collect`] gathers rows.
//! Next: `axis` (what is typed), `grid`, `measure` (one run), `folder`, `processes`.

mod axis;
mod folder;
mod grid;
mod measure;
mod processes;
mod row;

use std::path::PathBuf;

pub use axis::Axis;
pub use folder::{Folder, Sweep};
pub use grid::{Grid, Point};
pub(in crate::experiment) use measure::first_batch;
pub use measure::{RunKind, run_one};
pub use processes::{Crew, run};
pub use row::{Metric, Row, RowStatus};

use crate::config::ConfigError;
use crate::run::RunError;

/// Why a sweep can't be run or went no further. A run of it that failed is none: it is a row.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The base can't be read.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// A setting is neither a value nor a list nor a range.
    #[error("error: `{word}`: {problem}")]
    Axis {
        /// As typed.
        word: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// The grid has no meaning.
    #[error("error: {0}")]
    Grid(String),
    /// Some points of the grid can't be run.
    #[error("{}", .0.join("\n\n"))]
    Points(Vec<String>),
    /// Files of the sweep.
    #[error("error: {0}")]
    Run(#[from] RunError),
    /// Processes can't be started.
    #[error("error: {} can't be started: {source}", .program.display())]
    Program {
        /// The program.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}
