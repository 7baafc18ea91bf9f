//! `metrics.csv` and `layers.csv`: rows as structs, one flush per row group, cut back to a checkpoint on resume; and tables that are
//! written at once.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::atomic::write_atomic;
use super::checkpoint::Position;
use super::{RunDirectory, RunError};
use crate::engine::virtual_time::links::Tally;
use crate::network::NetworkSpec;

/// A row of `metrics.csv`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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

/// A row of `links.csv`: what happened on one direction of one link in virtual time, since the run began. Times in τ.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LinkRow {
    /// The layer that speaks, or the group: `1.3` is group 3 of layer 1.
    pub from: String,
    /// The layer or group that hears.
    pub to: String,
    /// Signals sent, again or for the first time.
    pub sent: u64,
    /// Of these, sent again.
    pub resent: u64,
    /// Never arrived.
    pub lost: u64,
    /// Arrived twice.
    pub duplicated: u64,
    /// Replaced by a newer one before they were heard.
    pub overwritten: u64,
    /// Came after something newer, and were dropped.
    pub late: u64,
    /// Heard.
    pub heard: u64,
    /// Mean staleness: age of a signal when it is heard.
    pub staleness_mean: Option<f64>,
    /// The largest.
    pub staleness_max: f64,
    /// How many were at most ½, 1, 2, 4, … 256 τ old, and how many older, separated by blanks.
    pub staleness_counts: String,
}

/// Writes a whole table: a line per row under the names of its columns.
///
/// # Errors
/// A row that can't be a line, or a file that can't be written.
pub fn write_table<R: Serialize>(path: &Path, rows: impl IntoIterator<Item = R>) -> Result<(), RunError> {
    let failed = |error: String| RunError::content(path, error);
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row).map_err(|error| failed(error.to_string()))?;
    }
    write_atomic(path, &writer.into_inner().map_err(|error| failed(error.to_string()))?)
}

/// Writes `links.csv`, if there is anything to say.
pub fn write_links(
    run: &RunDirectory,
    network: &NetworkSpec,
    tallies: &[((usize, usize), Tally)],
) -> Result<(), RunError> {
    let names: Vec<String> = network.places().map(|place| network.name_of(place)).collect();
    let name = |node: usize| names.get(node).cloned().unwrap_or_else(|| node.to_string());
    if tallies.is_empty() {
        return Ok(());
    }
    let row = |&((from, to), tally): &((usize, usize), Tally)| {
        let counts: Vec<String> = tally.ages.iter().map(u64::to_string).collect();
        let Tally { sent, resent, lost, duplicated, overwritten, late, heard, .. } = tally;
        let (staleness_mean, staleness_max) = (tally.age_mean(), tally.age_most.units());
        let staleness_counts = counts.join(" ");
        LinkRow {
            from: name(from),
            to: name(to),
            sent,
            resent,
            lost,
            duplicated,
            overwritten,
            late,
            heard,
            staleness_mean,
            staleness_max,
            staleness_counts,
        }
    };
    write_table(&run.file("links.csv"), tallies.iter().map(row))
}

/// A row of `layers.csv`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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

/// A row that knows where in the training it was written.
pub trait Row: Serialize + DeserializeOwned + Default {
    /// Whether it was written before this position was reached.
    fn is_before(&self, position: &Position) -> bool;
}

impl Row for MetricsRow {
    fn is_before(&self, position: &Position) -> bool {
        // After the last step of an epoch a checkpoint may come before the evaluations, which have the same step.
        self.step <= position.step && (self.split == "train" || self.epoch < position.epoch)
    }
}

impl Row for LayerRow {
    fn is_before(&self, position: &Position) -> bool {
        self.step <= position.step
    }
}

/// A table that grows.
#[derive(Debug)]
pub struct Table {
    path: PathBuf,
    writer: csv::Writer<File>,
}

impl Table {
    /// A new table: the names of its columns.
    pub fn create<R: Row>(run: &RunDirectory, name: &str) -> Result<Self, RunError> {
        Self::with_rows::<R>(run.file(name), &[])
    }

    /// An existing table, cut back to the rows before `position`; rows torn by a crash fall away with the later ones.
    pub fn resume<R: Row>(run: &RunDirectory, name: &str, position: &Position) -> Result<Self, RunError> {
        let path = run.file(name);
        let mut rows = read_rows::<R>(&path)?;
        rows.retain(|row| row.is_before(position));
        Self::with_rows(path, &rows)
    }

    fn with_rows<R: Row>(path: PathBuf, rows: &[R]) -> Result<Self, RunError> {
        let mut text = header::<R>().map_err(|error| RunError::content(&path, error.to_string()))?;
        let mut kept = without_header(&mut text);
        for row in rows {
            kept.serialize(row).map_err(|error| RunError::content(&path, error.to_string()))?;
        }
        kept.flush().map_err(RunError::io("written", &path))?;
        drop(kept);
        write_atomic(&path, &text)?;
        let file = OpenOptions::new().append(true).open(&path).map_err(RunError::io("opened", &path))?;
        Ok(Self { path, writer: without_header(file) })
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

fn without_header<W: Write>(to: W) -> csv::Writer<W> {
    csv::WriterBuilder::new().has_headers(false).from_writer(to)
}

/// The line of column names. It is there before the first row, because readers refuse a file without any.
fn header<R: Row>() -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.serialize(R::default())?;
    let mut text = writer.into_inner().map_err(|error| error.into_error())?;
    let end = text.iter().position(|byte| *byte == b'\n').map_or(text.len(), |newline| newline + 1);
    text.truncate(end);
    Ok(text)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn row(epoch: u64, step: u64, split: &str) -> MetricsRow {
        MetricsRow { epoch, step, split: split.to_owned(), loss: 0.1 + step as f64, ..MetricsRow::default() }
    }

    fn position(step: u64, epoch: u64, batch: u64) -> Position {
        Position { step, epoch, batch, wall_s: 0.0, links: Vec::new() }
    }

    fn folder() -> (tempfile::TempDir, RunDirectory) {
        let parent = tempfile::tempdir().expect("a temporary folder");
        let run = RunDirectory::create(parent.path(), "run", "", &[]).expect("a run directory");
        (parent, run)
    }

    #[test]
    fn a_table_without_rows_has_its_columns() {
        let (_parent, run) = folder();
        drop(Table::create::<LayerRow>(&run, "layers.csv").expect("a table"));
        let text = std::fs::read_to_string(run.file("layers.csv")).expect("a file");
        assert!(text.starts_with("epoch,step,layer,") && text.ends_with('\n') && text.lines().count() == 1, "{text}");
        let mut table = Table::resume::<LayerRow>(&run, "layers.csv", &position(1, 0, 1)).expect("a table");
        table.add(&LayerRow::default()).and_then(|()| table.flush()).expect("a row");
        assert_eq!(read_rows::<LayerRow>(&run.file("layers.csv")).expect("rows"), [LayerRow::default()]);
    }

    #[test]
    fn a_resumed_table_ends_where_the_checkpoint_stands() {
        // Two epochs of two steps, each with its evaluation.
        let all = [(0, 1, "train"), (0, 2, "train"), (0, 2, "test"), (1, 3, "train"), (1, 4, "train"), (1, 4, "test")];
        let cases = [
            (position(1, 0, 1), 1),
            // A checkpoint between the last step of an epoch and its evaluation: the evaluation will be made again.
            (position(2, 0, 2), 2),
            (position(2, 1, 0), 3),
            (position(3, 1, 1), 4),
            (position(4, 1, 2), 5),
            (position(4, 2, 0), 6),
        ];
        for (position, kept) in cases {
            let (_parent, run) = folder();
            let mut table = Table::create::<MetricsRow>(&run, "metrics.csv").expect("a table");
            for (epoch, step, split) in all {
                table.add(&row(epoch, step, split)).expect("a row");
            }
            table.flush().expect("a file");
            let before = std::fs::read_to_string(run.file("metrics.csv")).expect("a file");
            drop(Table::resume::<MetricsRow>(&run, "metrics.csv", &position).expect("a table"));
            let after = std::fs::read_to_string(run.file("metrics.csv")).expect("a file");
            let expected: String = before.lines().take(1 + kept).map(|line| format!("{line}\n")).collect();
            assert_eq!(after, expected, "{position:?}");
        }
    }
}
