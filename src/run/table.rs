//! `metrics.csv` and `layers.csv`: rows as structs, one flush per row group, truncated to a checkpoint on resume.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{RunDirectory, RunError};

/// A row of `metrics.csv`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricsRow {
    /// Epoch, counted from 0.
    pub epoch: u64,
    /// Training steps made.
    pub step: u64,
    /// `train` (one batch), `validation` or `test` (the whole set).
    pub split: String,
    /// Mean loss per sample.
    pub loss: f64,
    /// Share of samples whose largest output is right.
    pub accuracy: f64,
    /// Energy per sample at the end of the last phase; empty for evaluations.
    pub energy: Option<f64>,
    /// Inference steps of the last phase.
    pub n_infer_iters: Option<u64>,
    /// Why the last phase ended.
    pub stop_reason: Option<String>,
    /// Largest `|∂E/∂x|` at its end.
    pub residual: Option<f64>,
    /// Layers above the tolerance at its end, largest residual first, separated by blanks.
    pub slowest_layers: Option<String>,
    /// Cosine of the estimate and backpropagation's gradient, over all parameters.
    pub grad_cosine_similarity: Option<f64>,
    /// ‖estimate − gradient‖ / ‖gradient‖.
    pub grad_relative_distance: Option<f64>,
    /// Seconds of training so far.
    pub wall_s: f64,
}

/// A row of `layers.csv`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerRow {
    /// Epoch, counted from 0.
    pub epoch: u64,
    /// Training steps made.
    pub step: u64,
    /// Layer, 0 for the input.
    pub layer: usize,
    /// Steps it took in the last phase.
    pub n_infer_iters: u64,
    /// Its largest `|∂E/∂x|`.
    pub residual: f64,
    /// Its states (units × samples) above the tolerance.
    pub unsettled: usize,
    /// Its energy per sample.
    pub energy: f64,
    /// Largest number of versions by which an answer it heard was behind.
    pub staleness: u64,
    /// Cosine of estimate and gradient for the weights that lead to it.
    pub grad_cosine_similarity: Option<f64>,
    /// ‖estimate − gradient‖ / ‖gradient‖ for them.
    pub grad_relative_distance: Option<f64>,
}

/// A row that knows its step.
pub trait Row: Serialize + DeserializeOwned {
    /// The training step it belongs to.
    fn step(&self) -> u64;
}

impl Row for MetricsRow {
    fn step(&self) -> u64 {
        self.step
    }
}

impl Row for LayerRow {
    fn step(&self) -> u64 {
        self.step
    }
}

/// A table that grows.
#[derive(Debug)]
pub struct Table {
    path: PathBuf,
    writer: csv::Writer<File>,
}

impl Table {
    /// A new, empty table.
    pub fn create(run: &RunDirectory, name: &str) -> Result<Self, RunError> {
        let path = run.file(name);
        let file = File::create(&path).map_err(RunError::io("created", &path))?;
        Ok(Self { path, writer: csv::Writer::from_writer(file) })
    }

    /// An existing table, cut back to the rows up to `step`; rows torn by a crash fall away with the later ones.
    pub fn resume<R: Row>(run: &RunDirectory, name: &str, step: u64) -> Result<Self, RunError> {
        let path = run.file(name);
        let mut kept = csv::Writer::from_writer(Vec::new());
        for row in read_rows::<R>(&path)?.iter().filter(|row| row.step() <= step) {
            kept.serialize(row).map_err(|error| RunError::content(&path, error.to_string()))?;
        }
        let rows = kept.into_inner().map_err(|error| RunError::content(&path, error.to_string()))?;
        super::atomic::write_atomic(&path, &rows)?;
        let file = OpenOptions::new().append(true).open(&path).map_err(RunError::io("opened", &path))?;
        let writer = csv::WriterBuilder::new().has_headers(rows.is_empty()).from_writer(file);
        Ok(Self { path, writer })
    }

    /// Adds a row.
    pub fn add<R: Row>(&mut self, row: &R) -> Result<(), RunError> {
        self.writer.serialize(row).map_err(|error| RunError::content(&self.path, error.to_string()))
    }

    /// Hands everything to the operating system.
    pub fn flush(&mut self) -> Result<(), RunError> {
        self.writer.flush().map_err(RunError::io("written", &self.path))
    }
}

/// All whole rows of a table. A last row that is torn is left out; a torn row before it is an error.
pub fn read_rows<R: Row>(path: &Path) -> Result<Vec<R>, RunError> {
    let mut reader =
        csv::Reader::from_path(path).map_err(|error| RunError::content(path, format!("could not be read: {error}")))?;
    let parsed: Vec<Result<R, csv::Error>> = reader.deserialize().collect();
    let count = parsed.len();
    let mut rows = Vec::with_capacity(count);
    for (index, row) in parsed.into_iter().enumerate() {
        match row {
            Ok(row) => rows.push(row),
            Err(_) if index + 1 == count => {}
            Err(error) => return Err(RunError::content(path, format!("has a row that can't be read: {error}"))),
        }
    }
    Ok(rows)
}
