//! One run of a sweep, in this process: what is measured, by which names.
//!
//! `compare`: one batch with the initial weights of the seed, by the configured schedule, against the exact gradient. `train`: a whole
//! training run, with a run directory of its own; it goes on where an interrupted attempt stopped.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::row::{Metric, Row};
use super::{Folder, Sweep, SweepError};
use crate::config::{Config, DataName};
use crate::experiment::assemble::{self, AssembleError};
use crate::experiment::compare::exact;
use crate::experiment::machine::{Procedure, Purpose, closeness};
use crate::experiment::train::{Beginning, Observer, TrainError, train};
use crate::experiment::workers::Hands;
use crate::math::{Dtype, Real};
use crate::run::table::{MetricsRow, read_rows};
use crate::run::{RunError, checkpoint};

/// What a run of a sweep is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunKind {
    /// One batch against the exact gradient.
    #[default]
    Compare,
    /// A training run.
    Train,
}

impl RunKind {
    /// The number that says most about such a run.
    pub fn headline(self) -> &'static str {
        match self {
            Self::Compare => "cosine",
            Self::Train => "test_accuracy",
        }
    }
}

impl std::fmt::Display for RunKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Compare => "compare",
            Self::Train => "train",
        })
    }
}

/// What can be known of a configuration before it runs.
pub(super) fn check(kind: RunKind, config: &Config) -> Result<(), String> {
    let network = assemble::network(config).map_err(|error| format!("[model]: {error}"))?;
    let plan = assemble::plan(config, &network).map_err(|error| error.to_string())?;
    if kind == RunKind::Compare && plan.is_none() {
        return Err("learning.rule = \"backprop\" has nothing to compare; it can be swept with --run train".to_owned());
    }
    Ok(())
}

/// Makes run `run` of a sweep here and now, and stores its row. `None` if it was interrupted: then there is no row.
///
/// # Errors
/// There is no such run, its row can't be stored. A run that fails is no error: its row says why.
pub fn run_one(
    folder: &Folder,
    sweep: &Sweep,
    run: usize,
    cancel: &CancellationToken,
) -> Result<Option<Row>, SweepError> {
    let Some(point) = sweep.grid.point(run) else {
        let runs = sweep.grid.len();
        return Err(SweepError::Grid(format!("there is no run {run}; the grid has {runs}, counted from 0")));
    };
    let config = sweep.grid.config(&point)?;
    let result = match (sweep.kind, config.dtype) {
        (RunKind::Compare, Dtype::F32) => compared::<f32>(&config).map(Some),
        (RunKind::Compare, Dtype::F64) => compared::<f64>(&config).map(Some),
        (RunKind::Train, Dtype::F32) => trained::<f32>(config, folder, run, cancel),
        (RunKind::Train, Dtype::F64) => trained::<f64>(config, folder, run, cancel),
    };
    let row = match result {
        Ok(Some(metrics)) => Row::done(point, metrics),
        Ok(None) => return Ok(None),
        Err(reason) => Row::failed(point, &reason),
    };
    folder.put(&row)?;
    Ok(Some(row))
}

/// Names and values, or why there are none.
type Measured = Result<Vec<(String, Metric)>, String>;

fn compared<T: Real>(config: &Config) -> Measured {
    let failed = |error: AssembleError| error.to_string();
    let network = assemble::network(config).map_err(AssembleError::from).map_err(failed)?;
    let plan = assemble::plan(config, &network).map_err(failed)?;
    let splits = assemble::data(&first_batch(config), &network).map_err(failed)?;
    let count = config.data.batch_size.min(splits.train.len());
    let (data, target) = splits.train.batch::<T>(&(0..count).collect::<Vec<_>>());
    if let Some(plan) = &plan {
        plan.admits(&network, &target).map_err(AssembleError::from).map_err(failed)?;
    }
    let weights = network.initial_weights::<T>(config.model.init, config.seed);
    let (exact, loss) = exact(&network, &weights, &data, &target).map_err(|error| error.to_string())?;
    let procedure = Procedure { plan: plan.as_ref(), limits: assemble::limits(config) };
    let record = assemble::machine_in(config, &network, weights, config.schedule.mode)
        .and_then(|mut machine| machine.step((&data, &target), procedure, Purpose::Show))
        .map_err(|error| error.to_string())?;
    let (layers, whole) = closeness(&record.estimate.unwrap_or_default(), &exact);
    let last = record.phases.last().ok_or("the rule has no phases")?;
    let unsettled: usize = last.reports.iter().map(|report| report.unsettled).sum();
    let mut metrics = named([
        ("loss", Metric::number(loss)),
        ("cosine", Metric::number(whole.cosine)),
        ("relative_distance", Metric::number(whole.relative_distance)),
        ("distance", Metric::number(whole.distance)),
        ("n_infer_iters", Metric::Count(last.steps())),
        ("stop_reason", Metric::Text(last.reason.to_string())),
        ("residual", Metric::number(last.residual())),
        ("unsettled", Metric::Count(unsettled as u64)),
    ]);
    for (layer, close) in (1..).zip(&layers) {
        metrics.push((format!("cosine_W{layer}"), Metric::number(close.cosine)));
        metrics.push((format!("relative_distance_W{layer}"), Metric::number(close.relative_distance)));
    }
    Ok(metrics)
}

fn named<const N: usize>(metrics: [(&str, Metric); N]) -> Vec<(String, Metric)> {
    metrics.map(|(name, metric)| (name.to_owned(), metric)).into()
}

/// The same configuration with no more digits drawn than its first batch holds: they do not depend on how many follow.
pub(in crate::experiment) fn first_batch(config: &Config) -> Config {
    let mut config = config.clone();
    if config.data.name == DataName::Digits {
        let data = &mut config.data;
        data.train = data.train.saturating_sub(data.validation).min(data.batch_size);
        (data.validation, data.test) = (0, 1);
    }
    config
}

/// Nobody watches a run of a sweep; its run directory has everything.
struct Nobody;

impl Observer for Nobody {}

fn trained<T: Real>(
    mut config: Config,
    folder: &Folder,
    run: usize,
    cancel: &CancellationToken,
) -> Result<Option<Vec<(String, Metric)>>, String> {
    let beginning = beginning(folder, run).map_err(|error| error.to_string())?;
    config.output.dir = folder.path().to_string_lossy().into_owned();
    let summary = match train::<T>(&config, beginning, &Hands::Children, cancel, &mut Nobody) {
        Err(TrainError::Interrupted { .. }) => return Ok(None),
        other => other.map_err(|error| error.to_string())?,
    };
    let optional = |number: Option<f64>| number.map_or(Metric::Number(None), Metric::number);
    // The table has the steps before an interruption too, of which the summary knows nothing.
    let rows = read_rows::<MetricsRow>(&summary.run.join("metrics.csv")).map_err(|error| error.to_string())?;
    let cosines: Vec<f64> = rows.iter().filter_map(|row| row.grad_cosine_similarity).collect();
    let mean = cosines.iter().sum::<f64>() / cosines.len() as f64;
    Ok(Some(named([
        ("test_accuracy", Metric::number(summary.test.accuracy)),
        ("test_loss", Metric::number(summary.test.loss)),
        ("validation_accuracy", optional(summary.validation.map(|validation| validation.accuracy))),
        ("cosine", Metric::number(mean)),
        ("cosine_last", optional(cosines.last().copied())),
        ("steps", Metric::Count(summary.steps)),
        ("stop_reasons", Metric::Text(ends(&rows))),
        ("run_directory", Metric::Text(summary.run.display().to_string())),
    ])))
}

/// Why phases ended, and in how many of the recorded steps.
fn ends(rows: &[MetricsRow]) -> String {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for reason in rows.iter().filter_map(|row| row.stop_reason.as_deref()) {
        *counts.entry(reason).or_default() += 1;
    }
    counts.iter().map(|(reason, count)| format!("{reason} {count}")).collect::<Vec<_>>().join(", ")
}

/// In a new run directory, or at the newest checkpoint of an attempt that was interrupted. One without a checkpoint is left as it is,
/// and the next name is taken.
fn beginning(folder: &Folder, run: usize) -> Result<Beginning, RunError> {
    let base = Folder::name(run);
    let names = std::iter::once(base.clone()).chain((2_u32..).map(|attempt| format!("{base}-{attempt}")));
    for name in names {
        let path = folder.file(&name);
        if !path.exists() {
            return Ok(Beginning::New { name, overrides: Vec::new() });
        }
        if has_checkpoint(&path)? {
            return Ok(Beginning::Resume { run: path, overrides: Vec::new() });
        }
    }
    Err(RunError::content(folder.path(), "has no name left for a run directory"))
}

fn has_checkpoint(run: &Path) -> Result<bool, RunError> {
    Ok(!checkpoint::list(run)?.is_empty())
}
