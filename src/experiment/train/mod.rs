//! `asynapse train`: epochs over a data set, a run directory, checkpoints, and going on where a run stopped.
//!
//! One training step is one batch: free phase, nudged or clamped phase, one local update of every layer's outgoing weights.
//! Whatever ends a run early leaves its last checkpoint standing: a diverged step changes no weight, a signal finishes the step and
//! writes a checkpoint, and weights that are not finite are never written.

mod logged;
mod opened;
mod records;
mod recovery;
mod trainer;

use std::path::{Path, PathBuf};

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::assemble::{self, AssembleError};
use super::machine::StepError;
use super::workers::Hands;
use crate::config::{Config, ScheduleMode};
use crate::data::dataset::Splits;
use crate::engine::EngineError;
use crate::math::Real;
use crate::rule::RuleName;
use crate::run::RunError;
use crate::run::meta::{self, Meta, Status};
use crate::transaction::Exhausted;
use trainer::Trainer;

/// Where a run begins.
#[derive(Clone, Debug)]
pub enum Beginning {
    /// In a new directory, `output.dir/NAME`.
    New {
        /// The directory's name.
        name: String,
        /// The overrides as typed.
        overrides: Vec<String>,
    },
    /// At the newest whole checkpoint of a run.
    Resume {
        /// Its directory.
        run: PathBuf,
        /// The overrides as typed.
        overrides: Vec<String>,
    },
}

/// Why a training run ended without finishing.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The configuration can't be run.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    /// The run directory can't be used.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A step failed.
    #[error("after {step} training steps: {source}{}", standing(.checkpoint))]
    Step {
        /// Steps made before it.
        step: u64,
        /// The last checkpoint.
        checkpoint: Option<PathBuf>,
        /// What happened.
        source: StepError,
    },
    /// Weights are not finite.
    #[error("after training step {step} the weights that lead to layer {layer} are not finite; choose a smaller learning.param_lr{}", standing(.checkpoint))]
    Weights {
        /// Steps made.
        step: u64,
        /// The layer they lead to.
        layer: usize,
        /// The last checkpoint.
        checkpoint: Option<PathBuf>,
    },
    /// A signal asked for an end; the checkpoint is written.
    #[error("interrupted after training step {step}; go on with: {again}")]
    Interrupted {
        /// Steps made.
        step: u64,
        /// The command that goes on with the run.
        again: String,
    },
    /// Workers were lost too often.
    #[error("after {step} training steps: {loss}; given up, because {exhausted}{}; go on with: {again}", standing(.checkpoint))]
    GivenUp {
        /// Steps made before the last loss.
        step: u64,
        /// The last loss.
        loss: String,
        /// Which limit was reached.
        exhausted: Exhausted,
        /// The last checkpoint.
        checkpoint: Option<PathBuf>,
        /// The command that goes on with the run.
        again: String,
    },
    /// Workers that somebody else starts were lost, and their places stayed empty.
    #[error("after {step} training steps: {loss}; in the next generation {absence}{}; go on with: {again}", standing(.checkpoint))]
    Deserted {
        /// Steps made before the loss.
        step: u64,
        /// The loss.
        loss: String,
        /// Who did not come.
        absence: String,
        /// The last checkpoint.
        checkpoint: Option<PathBuf>,
        /// The command that goes on with the run.
        again: String,
    },
    /// A checkpoint could not be written.
    #[error("the checkpoint after training step {step} could not be made: {source}{}; go on with: {again}", standing(.checkpoint))]
    NotStored {
        /// Steps made.
        step: u64,
        /// The last good checkpoint.
        checkpoint: Option<PathBuf>,
        /// The command that goes on with the run.
        again: String,
        /// Why not.
        source: RunError,
    },
    /// The stored run used other data.
    #[error("{what} changed since the run began: {was} then, {is} now; a resumed run needs the same data")]
    OtherData {
        /// Which source.
        what: String,
        /// Its digest then.
        was: String,
        /// Its digest now.
        is: String,
    },
}

fn standing(checkpoint: &Option<PathBuf>) -> String {
    match checkpoint {
        Some(path) => format!("; the last good checkpoint is {}", path.display()),
        None => "; no checkpoint was written yet".to_owned(),
    }
}

/// What an observer is told after every step.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Steps made.
    pub step: u64,
    /// Steps of the whole run.
    pub steps: u64,
    /// Mean loss of the batch.
    pub loss: f64,
    /// Accuracy of the batch.
    pub accuracy: f64,
}

/// Result of an evaluation over a whole set.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// Mean loss per sample.
    pub loss: f64,
    /// Share of samples classified rightly.
    pub accuracy: f64,
}

/// Somebody who watches a run. Every method may do nothing.
pub trait Observer {
    /// The run directory is there; steps begin at `from` and end at `steps`.
    fn began(&mut self, _run: &Path, _from: u64, _steps: u64) {}
    /// A step was made.
    fn stepped(&mut self, _progress: Progress) {}
    /// An epoch ended.
    fn evaluated(&mut self, _epoch: u64, _split: &str, _evaluation: Evaluation) {}
    /// Something worth saying.
    fn said(&mut self, _what: &str) {}
}

/// What a finished run says of itself.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The run directory.
    pub run: PathBuf,
    /// Training steps made in all.
    pub steps: u64,
    /// Epochs made in all.
    pub epochs: u64,
    /// On the test set, after the last epoch.
    pub test: Evaluation,
    /// On the validation set, if there is one.
    pub validation: Option<Evaluation>,
    /// Cosine of estimate and gradient over all parameters: mean of those measured since the start of this process.
    pub grad_cosine_similarity: Option<f64>,
    /// The last of them.
    pub grad_cosine_similarity_last: Option<f64>,
    /// How often it was measured.
    pub cosines_measured: usize,
    /// Training steps per second of this process, evaluations left out.
    pub steps_per_s: f64,
    /// Samples per second likewise.
    pub samples_per_s: f64,
    /// Seconds of training in all.
    pub wall_s: f64,
    /// The log of events, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<meta::LoggedEvents>,
    /// How the phases with a tolerance ended: reason and count.
    pub phase_ends: Vec<(String, u64)>,
    /// The last checkpoint.
    pub checkpoint: Option<PathBuf>,
    /// Where layers are cut into groups of neurons.
    pub groups: Option<Groups>,
}

/// What a network of groups cost.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Groups {
    /// Groups, each an actor.
    pub actors: usize,
    /// Links between them, each in one direction.
    pub links: usize,
    /// Signals that passed on them since the start of this process, evaluations included.
    pub messages: u64,
    /// The same per second of training and evaluation.
    pub messages_per_s: f64,
    /// Resident memory that came with the network, per group: weights, states and signals of a batch included. `None` where the
    /// system does not tell.
    pub bytes_per_actor: Option<f64>,
}

/// Trains. `hands` run the layers if the configuration asks for several processes.
pub fn train<T: Real>(
    config: &Config,
    beginning: Beginning,
    hands: &Hands,
    cancel: &CancellationToken,
    observer: &mut dyn Observer,
) -> Result<Summary, TrainError> {
    let network = assemble::network(config).map_err(AssembleError::from)?;
    let splits = assemble::data(config, &network)?;
    let mut trainer = Trainer::<T>::begin((config, hands), network, splits, beginning, observer)?;
    if trainer.meta.status == Status::Done {
        // It was complete before: it is looked at, nothing is written.
        return trainer.run(cancel, observer);
    }
    let outcome = trainer.run(cancel, observer);
    let status = match &outcome {
        Ok(_) => Status::Done,
        Err(TrainError::Interrupted { .. }) => Status::Interrupted,
        Err(
            TrainError::Weights { .. }
            | TrainError::Step {
                source:
                    StepError::NotFinite { .. } | StepError::Loss(_) | StepError::Engine(EngineError::Refused { .. }),
                ..
            },
        ) => Status::Diverged,
        Err(_) => Status::Failed,
    };
    trainer.meta.status = status;
    trainer.meta.summary = outcome.as_ref().ok().and_then(|summary| serde_json::to_value(summary).ok());
    let flushed = trainer.flush().and(trainer.meta.write(&trainer.run));
    let summary = outcome?;
    flushed?;
    Ok(summary)
}

fn describe(config: &Config, splits: &Splits) -> Meta {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let baseline = config.learning.rule == RuleName::Backprop;
    let schedule = match config.schedule.mode {
        _ if baseline => "none (backpropagation)",
        ScheduleMode::Reference => "reference",
        ScheduleMode::LockStep => "lock-step",
        ScheduleMode::FreeRunning => "free-running",
        ScheduleMode::VirtualTime => "virtual-time",
    };
    Meta {
        schema: meta::SCHEMA,
        program: format!("asynapse {}", env!("CARGO_PKG_VERSION")),
        git: option_env!("ASYNAPSE_GIT").filter(|hash| !hash.is_empty()).map(str::to_owned),
        status: Status::Running,
        seed: config.seed,
        schedule: schedule.to_owned(),
        deterministic: baseline || config.schedule.mode != ScheduleMode::FreeRunning,
        threads: assemble::threads(config),
        host: meta::host(),
        platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        started_unix: since.map_or(0, |since| since.as_secs()),
        data: splits.sources.clone(),
        samples: [splits.train.len(), splits.validation.len(), splits.test.len()],
        events: None,
        summary: None,
    }
}
