//! A row: what became of one run. As JSON in a file of its own, as a line of `index.csv` among the others.

use serde::{Deserialize, Serialize};

use super::Point;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowStatus {
    /// With metrics. A phase that used up its steps or diverged is a result too; `stop_reason` says so.
    Done,
    /// With a reason.
    Failed,
}

/// One number or word about a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Metric {
    /// A count.
    Count(u64),
    /// A measured number; `None` where there is none, such as the cosine to a gradient that is zero.
    Number(Option<f64>),
    /// A word.
    Text(String),
}

impl Metric {
    /// A measured number; those that are not finite are none.
    pub(super) fn number(number: f64) -> Self {
        Self::Number(Some(number).filter(|number| number.is_finite()))
    }

    /// Its number, if it has one.
    pub fn value(&self) -> Option<f64> {
        match self {
            Self::Count(count) => Some(*count as f64),
            Self::Number(number) => *number,
            Self::Text(_) => None,
        }
    }
}

impl std::fmt::Display for Metric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            // The shortest text that reads back to the same number.
            Self::Number(Some(number)) => write!(f, "{number:?}"),
            Self::Number(None) => Ok(()),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// What became of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Its number in the grid, from 0.
    pub run: usize,
    /// The swept keys with their values.
    pub settings: Vec<(String, String)>,
    /// The seed.
    pub seed: u64,
    /// How it ended.
    pub status: RowStatus,
    /// Why it failed; empty if it did not.
    pub reason: String,
    /// Names and values, in a fixed order.
    pub metrics: Vec<(String, Metric)>,
}

impl Row {
    pub(super) fn done(point: Point, metrics: Vec<(String, Metric)>) -> Self {
        Self { status: RowStatus::Done, reason: String::new(), metrics, ..Self::of(point) }
    }

    pub(super) fn failed(point: Point, reason: &str) -> Self {
        // A row is one line.
        let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
        Self { reason, ..Self::of(point) }
    }

    fn of(Point { run, settings, seed }: Point) -> Self {
        Self { run, settings, seed, status: RowStatus::Failed, reason: String::new(), metrics: Vec::new() }
    }

    /// The metric of this name.
    pub fn metric(&self, name: &str) -> Option<&Metric> {
        self.metrics.iter().find(|(known, _)| known == name).map(|(_, metric)| metric)
    }
}

/// The table of some rows of one grid. Columns are those of every row that has metrics, in the order in which they first appear.
pub(super) fn table(keys: &[&str], rows: &[Row]) -> Result<Vec<u8>, csv::Error> {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in rows.iter().flat_map(|row| &row.metrics) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let mut writer = csv::Writer::from_writer(Vec::new());
    let head = [&["run"], keys, &["seed", "status", "reason"], &names[..]].concat();
    writer.write_record(head)?;
    for row in rows {
        let status = if row.status == RowStatus::Done { "done" } else { "failed" };
        let mut cells = vec![row.run.to_string()];
        cells.extend(row.settings.iter().map(|(_, value)| value.clone()));
        cells.extend([row.seed.to_string(), status.to_owned(), row.reason.clone()]);
        cells.extend(names.iter().map(|name| row.metric(name).map(Metric::to_string).unwrap_or_default()));
        writer.write_record(cells)?;
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}
