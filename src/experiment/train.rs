//! `asynapse train`: epochs over a data set, a run directory, checkpoints, and going on where a run stopped.
//!
//! One training step is one batch: free phase, nudged or clamped phase, one local update of every layer's outgoing weights.
//! Whatever ends a run early leaves its last checkpoint standing: a diverged step changes no weight, a signal finishes the step and
//! writes a checkpoint, and weights that are not finite are never written.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::assemble::{self, AssembleError};
use super::machine::{Closeness, Machine, Procedure, Purpose, StepError, StepRecord, closeness};
use crate::config::{Config, ScheduleMode, to_toml};
use crate::data::dataset::{Dataset, Splits};
use crate::energy::Score;
use crate::math::Real;
use crate::network::{NetworkSpec, Weights};
use crate::reference::backprop;
use crate::rule::{Plan, RuleName};
use crate::run::checkpoint::{self, Position, Snapshot};
use crate::run::meta::{self, Meta, Status};
use crate::run::table::{LayerRow, MetricsRow, Table};
use crate::run::{RunDirectory, RunError};
use crate::settling::StopReason;

/// Samples per batch of an evaluation.
const EVALUATION_BATCH: usize = 500;

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
    /// At the newest whole checkpoint of this run directory.
    Resume(PathBuf),
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
    #[error("training step {step}: {source}{}", standing(.checkpoint))]
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
    #[error("interrupted after training step {step}; go on with: asynapse train --resume {}", .run.display())]
    Interrupted {
        /// Steps made.
        step: u64,
        /// The run.
        run: PathBuf,
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
    /// How the phases with a tolerance ended: reason and count.
    pub phase_ends: Vec<(String, u64)>,
    /// The last checkpoint.
    pub checkpoint: Option<PathBuf>,
}

/// Trains.
pub fn train<T: Real>(
    config: &Config,
    beginning: Beginning,
    cancel: &CancellationToken,
    observer: &mut dyn Observer,
) -> Result<Summary, TrainError> {
    let network = assemble::network(config).map_err(AssembleError::from)?;
    let splits = assemble::data(config, &network)?;
    let mut trainer = Trainer::<T>::begin(config, network, splits, beginning, observer)?;
    let outcome = trainer.run(cancel, observer);
    let status = match &outcome {
        Ok(_) => Status::Done,
        Err(TrainError::Interrupted { .. }) => Status::Interrupted,
        Err(
            TrainError::Weights { .. }
            | TrainError::Step { source: StepError::Diverged { .. } | StepError::Loss(_), .. },
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

/// A run in progress.
struct Trainer<'a, T: Real> {
    config: &'a Config,
    network: NetworkSpec,
    plan: Option<Plan>,
    splits: Splits,
    machine: Machine<T>,
    run: RunDirectory,
    meta: Meta,
    metrics: Table,
    layers: Table,
    position: Position,
    began_at: Position,
    checkpoint: Option<PathBuf>,
    cosines: Vec<f64>,
    ends: Vec<(StopReason, u64)>,
    training_s: f64,
}

impl<'a, T: Real> Trainer<'a, T> {
    fn begin(
        config: &'a Config,
        network: NetworkSpec,
        splits: Splits,
        beginning: Beginning,
        observer: &mut dyn Observer,
    ) -> Result<Self, TrainError> {
        let plan = assemble::plan(config, &network);
        let start = Position { step: 0, epoch: 0, batch: 0, wall_s: 0.0 };
        let engine_failed = |source| TrainError::Step { step: 0, checkpoint: None, source };
        let (run, snapshot, position, checkpoint, metrics, layers) = match &beginning {
            Beginning::New { name, overrides } => {
                let parent = Path::new(&config.output.dir);
                let run = RunDirectory::create(parent, name, &to_toml(config), overrides)?;
                let (metrics, layers) = (Table::create(&run, "metrics.csv")?, Table::create(&run, "layers.csv")?);
                (run, None, start, None, metrics, layers)
            }
            Beginning::Resume(path) => {
                let run = RunDirectory::open(path)?;
                same_data(&Meta::read(path)?.data, &splits.sources)?;
                let (snapshot, position, passed_over) = checkpoint::newest::<T>(path, &network)?;
                passed_over.iter().for_each(|problem| observer.said(&format!("passed over: {problem}")));
                let metrics = Table::resume::<MetricsRow>(&run, "metrics.csv", position.step)?;
                let layers = Table::resume::<LayerRow>(&run, "layers.csv", position.step)?;
                let newest = checkpoint::list(path)?.into_iter().rev().nth(passed_over.len());
                (run, Some(snapshot), position, newest, metrics, layers)
            }
        };
        let weights = network.initial_weights::<T>(config.model.init, config.seed);
        let mut machine = assemble::machine(config, &network, weights).map_err(engine_failed)?;
        if let Some(snapshot) = snapshot
            && !machine.install(snapshot).map_err(engine_failed)?
        {
            let problem = "holds states of another optimiser than learning.optimizer";
            return Err(RunError::content(&run.file("checkpoints"), problem).into());
        }
        let meta = describe(config, &splits);
        meta.write(&run)?;
        let trainer = Self {
            config,
            network,
            plan,
            splits,
            machine,
            run,
            meta,
            metrics,
            layers,
            began_at: position.clone(),
            position,
            checkpoint,
            cosines: Vec::new(),
            ends: Vec::new(),
            training_s: 0.0,
        };
        observer.began(trainer.run.path(), trainer.position.step, trainer.steps());
        Ok(trainer)
    }

    fn batches(&self) -> u64 {
        self.splits.train.len().div_ceil(self.config.data.batch_size) as u64
    }

    fn steps(&self) -> u64 {
        self.batches() * self.config.learning.epochs as u64
    }

    fn run(&mut self, cancel: &CancellationToken, observer: &mut dyn Observer) -> Result<Summary, TrainError> {
        let epochs = self.config.learning.epochs as u64;
        let mut last = None;
        while self.position.epoch < epochs {
            let epoch = self.position.epoch;
            let order = self.splits.train.order(self.config.data.shuffle, self.config.seed, epoch);
            for (batch, samples) in (0_u64..).zip(order.chunks(self.config.data.batch_size)) {
                if batch < self.position.batch {
                    continue;
                }
                let progress = self.step(samples)?;
                observer.stepped(progress);
                if cancel.is_cancelled() {
                    self.write_checkpoint()?;
                    let run = self.run.path().to_path_buf();
                    return Err(TrainError::Interrupted { step: self.position.step, run });
                }
                let every = self.config.record.checkpoint_every as u64;
                if every > 0 && self.position.step.is_multiple_of(every) {
                    self.write_checkpoint()?;
                }
            }
            (self.position.epoch, self.position.batch) = (epoch + 1, 0);
            last = Some(self.evaluate_all(epoch, observer)?);
            self.flush()?;
            if self.config.record.checkpoint_every == 0 || self.position.epoch == epochs {
                self.write_checkpoint()?;
            }
        }
        let (validation, test) = match last {
            Some(evaluations) => evaluations,
            None => self.evaluate_all(epochs.saturating_sub(1), observer)?,
        };
        Ok(self.summary(validation, test))
    }

    fn step(&mut self, samples: &[usize]) -> Result<Progress, TrainError> {
        let started = Instant::now();
        let (data, target) = self.splits.train.batch::<T>(samples);
        let every = self.config.record.cosine_every as u64;
        let compare = self.plan.is_some() && every > 0 && self.position.step.is_multiple_of(every);
        let exact = if compare {
            let weights = self.machine.snapshot().map_err(|source| self.failed(source))?.weights;
            Some(backprop::gradient(&self.network, &weights, &data, &target).parameters)
        } else {
            None
        };
        let procedure = Procedure { plan: self.plan.as_ref(), limits: assemble::limits(self.config) };
        let purpose = if compare { Purpose::LearnAndShow } else { Purpose::Learn };
        let record = self.machine.step((&data, &target), procedure, purpose);
        let record = record.map_err(|source| self.failed(source))?;
        let closeness = exact.zip(record.estimate.as_ref()).map(|(exact, estimate)| closeness(estimate, &exact));
        self.position.step += 1;
        self.position.batch += 1;
        self.training_s += started.elapsed().as_secs_f64();
        self.position.wall_s = self.began_at.wall_s + self.training_s;
        self.record(samples.len(), &record, closeness)?;
        let size = samples.len() as f64;
        let (loss, accuracy) = (record.score.loss / size, record.score.correct as f64 / size);
        Ok(Progress { step: self.position.step, steps: self.steps(), loss, accuracy })
    }

    fn failed(&self, source: StepError) -> TrainError {
        TrainError::Step { step: self.position.step, checkpoint: self.checkpoint.clone(), source }
    }

    fn record(
        &mut self,
        batch: usize,
        record: &StepRecord<T>,
        closeness: Option<(Vec<Closeness>, Closeness)>,
    ) -> Result<(), TrainError> {
        let (size, config) = (batch as f64, &self.config.record);
        let last = record.phases.last();
        if let Some(phase) = last {
            match self.ends.iter_mut().find(|(reason, _)| *reason == phase.reason) {
                Some((_, count)) => *count += 1,
                None => self.ends.push((phase.reason, 1)),
            }
        }
        let whole = closeness.as_ref().map(|(_, whole)| *whole);
        self.cosines.extend(whole.map(|whole| whole.cosine));
        let step = self.position.step;
        if (step - 1).is_multiple_of(config.every as u64) || whole.is_some() {
            let tolerance = self.config.inference.tolerance;
            let slowest = last
                .filter(|_| tolerance > 0.0)
                .map(|phase| phase.slowest(tolerance).iter().map(usize::to_string).collect::<Vec<_>>().join(" "));
            self.metrics.add(&MetricsRow {
                epoch: self.position.epoch,
                step,
                split: "train".to_owned(),
                loss: record.score.loss / size,
                accuracy: record.score.correct as f64 / size,
                energy: last.map(|phase| phase.energy() / size),
                n_infer_iters: last.map(|phase| phase.steps()),
                stop_reason: last.map(|phase| phase.reason.to_string()),
                residual: last.map(|phase| phase.residual()),
                slowest_layers: slowest,
                grad_cosine_similarity: whole.map(|whole| whole.cosine),
                grad_relative_distance: whole.map(|whole| whole.relative_distance),
                wall_s: self.position.wall_s,
            })?;
        }
        let every = config.layers_every as u64;
        let due = every > 0 && (step - 1).is_multiple_of(every);
        if let Some(phase) = last.filter(|_| due || whole.is_some()) {
            for report in &phase.reports {
                let of_layer = closeness.as_ref().and_then(|(layers, _)| layers.get(report.layer.checked_sub(1)?));
                self.layers.add(&LayerRow {
                    epoch: self.position.epoch,
                    step,
                    layer: report.layer,
                    n_infer_iters: report.step,
                    residual: report.residual,
                    unsettled: report.unsettled,
                    energy: report.energy / size,
                    staleness: report.staleness,
                    grad_cosine_similarity: of_layer.map(|of_layer| of_layer.cosine),
                    grad_relative_distance: of_layer.map(|of_layer| of_layer.relative_distance),
                })?;
            }
        }
        Ok(())
    }

    fn evaluate_all(
        &mut self,
        epoch: u64,
        observer: &mut dyn Observer,
    ) -> Result<(Option<Evaluation>, Evaluation), TrainError> {
        let has_validation = !self.splits.validation.is_empty();
        let mut of = |name: &str, set: fn(&Splits) -> &Dataset| -> Result<Evaluation, TrainError> {
            let evaluation = self.evaluate(set)?;
            observer.evaluated(epoch, name, evaluation);
            self.metrics.add(&MetricsRow {
                epoch,
                step: self.position.step,
                split: name.to_owned(),
                loss: evaluation.loss,
                accuracy: evaluation.accuracy,
                energy: None,
                n_infer_iters: None,
                stop_reason: None,
                residual: None,
                slowest_layers: None,
                grad_cosine_similarity: None,
                grad_relative_distance: None,
                wall_s: self.position.wall_s,
            })?;
            Ok(evaluation)
        };
        let validation = if has_validation { Some(of("validation", |splits| &splits.validation)?) } else { None };
        Ok((validation, of("test", |splits| &splits.test)?))
    }

    fn evaluate(&mut self, set: fn(&Splits) -> &Dataset) -> Result<Evaluation, TrainError> {
        let count = set(&self.splits).len();
        let samples: Vec<usize> = (0..count).collect();
        let mut total = Score::default();
        for samples in samples.chunks(EVALUATION_BATCH) {
            let (data, target) = set(&self.splits).batch::<T>(samples);
            let score = self.machine.evaluate(&data, &target, &self.network);
            let score = score.map_err(|source| self.failed(source))?;
            total.loss += score.loss;
            total.correct += score.correct;
        }
        Ok(Evaluation { loss: total.loss / count as f64, accuracy: total.correct as f64 / count as f64 })
    }

    fn write_checkpoint(&mut self) -> Result<(), TrainError> {
        let snapshot = self.machine.snapshot().map_err(|source| self.failed(source))?;
        if let Some(layer) = not_finite(&snapshot) {
            return Err(TrainError::Weights { step: self.position.step, layer, checkpoint: self.checkpoint.clone() });
        }
        self.flush()?;
        let path = checkpoint::write(&self.run, &snapshot, &self.position, self.config.record.keep)?;
        tracing::info!(step = self.position.step, path = %path.display(), "checkpoint");
        self.checkpoint = Some(path);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), RunError> {
        self.metrics.flush()?;
        self.layers.flush()
    }

    fn summary(&self, validation: Option<Evaluation>, test: Evaluation) -> Summary {
        let steps = self.position.step - self.began_at.step;
        let samples = steps as f64 * self.splits.train.len() as f64 / self.batches() as f64;
        let per_second = |count: f64| if self.training_s > 0.0 { count / self.training_s } else { 0.0 };
        let mean = self.cosines.iter().sum::<f64>() / self.cosines.len() as f64;
        Summary {
            run: self.run.path().to_path_buf(),
            steps: self.position.step,
            epochs: self.position.epoch,
            test,
            validation,
            grad_cosine_similarity: (!self.cosines.is_empty()).then_some(mean),
            grad_cosine_similarity_last: self.cosines.last().copied(),
            cosines_measured: self.cosines.len(),
            steps_per_s: per_second(steps as f64),
            samples_per_s: per_second(samples),
            wall_s: self.position.wall_s,
            phase_ends: self.ends.iter().map(|(reason, count)| (reason.to_string(), *count)).collect(),
            checkpoint: self.checkpoint.clone(),
        }
    }
}

/// The layer to which weights lead that are not finite.
fn not_finite<T: Real>(snapshot: &Snapshot<T>) -> Option<usize> {
    let weights: &Weights<T> = &snapshot.weights;
    weights.iter().position(|parameters| parameters.numbers().any(|number| !number.is_finite())).map(|index| index + 1)
}

fn same_data(was: &[(String, String)], is: &[(String, String)]) -> Result<(), TrainError> {
    // Folders may have moved; the content may not have changed.
    match was.iter().zip(is).find(|(was, is)| was.1 != is.1) {
        None => Ok(()),
        Some((was, is)) => Err(TrainError::OtherData { what: is.0.clone(), was: was.1.clone(), is: is.1.clone() }),
    }
}

fn describe(config: &Config, splits: &Splits) -> Meta {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let baseline = config.learning.rule == RuleName::Backprop;
    let schedule = match config.schedule.mode {
        _ if baseline => "none (backpropagation)",
        ScheduleMode::Reference => "reference",
        ScheduleMode::LockStep => "lock-step",
        ScheduleMode::FreeRunning => "free-running",
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
        summary: None,
    }
}
