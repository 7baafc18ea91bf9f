//! The run directory a training writes into: a new one, or that of a run that stopped. Until it is certain that a stopped run can
//! go on, nothing in it is changed; and one that is done already stays as it is.

use std::path::{Path, PathBuf};

use super::{TrainError, describe, logged};
use crate::config::{Config, to_toml};
use crate::data::dataset::Splits;
use crate::math::Real;
use crate::network::NetworkSpec;
use crate::run::checkpoint::{self, Found, Position, Snapshot};
use crate::run::events;
use crate::run::meta::{Meta, Status};
use crate::run::table::{LayerRow, MetricsRow, Table};
use crate::run::{RunDirectory, RunError};

/// What the training goes on from.
pub(super) struct Opened<T> {
    pub(super) run: RunDirectory,
    /// Done already if there is nothing left to do.
    pub(super) meta: Meta,
    pub(super) metrics: Table,
    pub(super) layers: Table,
    pub(super) position: Position,
    /// The newest whole checkpoint and its content.
    pub(super) checkpoint: Option<(PathBuf, Snapshot<T>)>,
    /// Worth saying, once there is a log to say it to.
    pub(super) notes: Vec<String>,
}

/// Makes `output.dir/NAME`.
pub(super) fn create<T>(
    config: &Config,
    splits: &Splits,
    name: &str,
    overrides: &[String],
) -> Result<Opened<T>, TrainError> {
    let run = RunDirectory::create(Path::new(&config.output.dir), name, &to_toml(config), overrides)?;
    Ok(Opened {
        meta: describe(config, splits),
        metrics: Table::create::<MetricsRow>(&run, "metrics.csv")?,
        layers: Table::create::<LayerRow>(&run, "layers.csv")?,
        run,
        position: beginning(),
        checkpoint: None,
        notes: Vec::new(),
    })
}

/// Opens a run at its newest whole checkpoint.
pub(super) fn resume<T: Real>(
    config: &Config,
    network: &NetworkSpec,
    splits: &Splits,
    (path, overrides): (&Path, &[String]),
) -> Result<Opened<T>, TrainError> {
    let run = RunDirectory::open(path)?;
    let stored = Meta::read(path)?;
    same_data(&stored.data, &splits.sources)?;
    // One that was ended from outside may have been too short for a checkpoint; the others are of no use without.
    let Standing { position, checkpoint, mut notes } = match stored.status {
        Status::Running | Status::Interrupted | Status::Failed => newest(path, network)?,
        Status::Done | Status::Diverged => standing(checkpoint::newest::<T>(path, network)?),
    };
    let epochs = config.learning.epochs as u64;
    not_beyond(path, &position, epochs)?;
    if config.record.event_log > 0 && position.step > 0 {
        logged::kept(&run.file(events::FILE), config, &position)?;
    }
    let metrics = Table::resume::<MetricsRow>(&run, "metrics.csv", &position)?;
    let layers = Table::resume::<LayerRow>(&run, "layers.csv", &position)?;
    let meta = if position.epoch == epochs && stored.status == Status::Done {
        notes.push(format!("all {epochs} epochs are done; a larger learning.epochs goes on from here"));
        stored
    } else {
        // Whoever resumes it next goes on with these settings, and config.toml describes the whole run.
        run.configure(&to_toml(config), overrides)?;
        describe(config, splits)
    };
    Ok(Opened { run, meta, metrics, layers, position, checkpoint, notes })
}

/// Where a training can begin.
pub(super) struct Standing<T> {
    pub(super) position: Position,
    pub(super) checkpoint: Option<(PathBuf, Snapshot<T>)>,
    /// Worth saying.
    pub(super) notes: Vec<String>,
}

fn beginning() -> Position {
    Position { step: 0, epoch: 0, batch: 0, wall_s: 0.0, links: Vec::new() }
}

fn standing<T>(found: Found<T>) -> Standing<T> {
    let Found { path, snapshot, position, passed_over } = found;
    let notes = passed_over.iter().map(|problem| format!("passed over: {problem}")).collect();
    Standing { position, checkpoint: Some((path, snapshot)), notes }
}

/// The newest whole checkpoint of a run that has not ended; or its beginning, if it was too short for one.
pub(super) fn newest<T: Real>(run: &Path, network: &NetworkSpec) -> Result<Standing<T>, RunError> {
    if checkpoint::list(run)?.is_empty() {
        let notes = vec!["there is no checkpoint yet: it begins with the first step".to_owned()];
        return Ok(Standing { position: beginning(), checkpoint: None, notes });
    }
    checkpoint::newest(run, network).map(standing)
}

fn not_beyond(path: &Path, position: &Position, epochs: u64) -> Result<(), RunError> {
    if (position.epoch, position.batch) <= (epochs, 0) {
        return Ok(());
    }
    let begun = position.epoch + u64::from(position.batch > 0);
    Err(RunError::content(path, format!("has come to epoch {begun}, which is beyond learning.epochs = {epochs}")))
}

fn same_data(was: &[(String, String)], is: &[(String, String)]) -> Result<(), TrainError> {
    // Folders may have moved; the content may not have changed.
    match was.iter().zip(is).find(|(was, is)| was.1 != is.1) {
        None => Ok(()),
        Some((was, is)) => Err(TrainError::OtherData { what: is.0.clone(), was: was.1.clone(), is: is.1.clone() }),
    }
}
