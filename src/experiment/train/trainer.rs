//! The loop over epochs and batches.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::opened::{self, Opened};
use super::recovery::Recovery;
use super::{Beginning, Evaluation, Groups, Observer, Progress, Summary, TrainError};
use crate::config::Config;
use crate::data::dataset::Splits;
use crate::energy::EnergyKind;
use crate::engine::Traffic;
use crate::engine::virtual_time::links::Tally;
use crate::engine::virtual_time::record::EventLog;
use crate::experiment::assemble::{self, AssembleError};
use crate::experiment::machine::{Machine, Procedure, Purpose, StepError, closeness};
use crate::experiment::workers::Hands;
use crate::math::Real;
use crate::network::{NetworkSpec, Weights};
use crate::reference::backprop;
use crate::rule::{FreePhase, Plan, RuleName};
use crate::run::checkpoint::{self, Position, Snapshot};
use crate::run::meta::{Meta, Status};
use crate::run::table::{Table, write_links};
use crate::run::{RunDirectory, RunError};
use crate::settling::StopReason;

/// A run in progress.
pub(super) struct Trainer<'a, T: Real> {
    pub(super) config: &'a Config,
    pub(super) network: NetworkSpec,
    pub(super) plan: Option<Plan>,
    pub(super) splits: Splits,
    pub(super) hands: &'a Hands,
    /// Until its workers are there, and after one of them was lost, there is none.
    pub(super) machine: Option<Machine<T>>,
    /// What the next machine goes on from.
    pub(super) standing: Option<Snapshot<T>>,
    pub(super) recovery: Recovery,
    pub(super) run: RunDirectory,
    pub(super) meta: Meta,
    pub(super) metrics: Table,
    pub(super) layers: Table,
    pub(super) position: Position,
    pub(super) began_at: Position,
    pub(super) checkpoint: Option<PathBuf>,
    pub(super) cosines: Vec<f64>,
    pub(super) ends: Vec<(StopReason, u64)>,
    pub(super) training_s: f64,
    /// The log of events, until its batches are made.
    pub(super) events: Option<EventLog>,
    /// When the network was made, and how much memory this process had before.
    started: Instant,
    resident: Option<f64>,
}

/// Resident memory of this process, where the system tells (Linux: /proc/self/statm, in pages of 4096 bytes).
fn resident_bytes() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    text.split_whitespace().nth(1)?.parse::<f64>().ok().map(|pages| pages * 4096.0)
}

impl<'a, T: Real> Trainer<'a, T> {
    pub(super) fn begin(
        (config, hands): (&'a Config, &'a Hands),
        network: NetworkSpec,
        splits: Splits,
        beginning: Beginning,
        observer: &mut dyn Observer,
    ) -> Result<Self, TrainError> {
        if network.energy() == EnergyKind::Hopfield
            && config.record.cosine_every > 0
            && config.learning.rule != RuleName::Backprop
        {
            let what = "record.cosine_every compares with backpropagation, which is not the gradient of a Hopfield network; set it to 0";
            return Err(AssembleError::Misfit(what.to_owned()).into());
        }
        let plan = assemble::plan(config, &network)?;
        if let Some(plan) = &plan {
            // Targets of all samples are zeros and ones: one shows the range of all.
            plan.admits(&network, &splits.train.batch::<T>(&[0]).1).map_err(AssembleError::from)?;
        }
        let opened = match &beginning {
            Beginning::New { name, overrides } => opened::create(config, &splits, name, overrides)?,
            Beginning::Resume { run, overrides } => opened::resume(config, &network, &splits, (run, overrides))?,
        };
        let Opened { run, meta, metrics, layers, position, checkpoint, notes } = opened;
        let (checkpoint, standing) = checkpoint.unzip();
        let (started, resident) = (Instant::now(), resident_bytes());
        if meta.status != Status::Done {
            meta.write(&run)?;
        }
        let mut trainer = Self {
            config,
            network,
            plan,
            splits,
            hands,
            machine: None,
            standing,
            recovery: Recovery::default(),
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
            events: None,
            started,
            resident,
        };
        trainer.open_events()?;
        observer.began(trainer.run.path(), trainer.position.step, trainer.steps());
        notes.iter().for_each(|note| observer.said(note));
        Ok(trainer)
    }

    /// The command that goes on with the run.
    pub(super) fn again(&self) -> String {
        format!("{} --resume {}", self.hands.command(), self.run.path().display())
    }

    fn batches(&self) -> u64 {
        self.splits.train.len().div_ceil(self.config.data.batch_size) as u64
    }

    fn steps(&self) -> u64 {
        self.batches() * self.config.learning.epochs as u64
    }

    /// Trains to the end. A lost worker is made up for, so often as that makes sense.
    pub(super) fn run(
        &mut self,
        cancel: &CancellationToken,
        observer: &mut dyn Observer,
    ) -> Result<Summary, TrainError> {
        let outcome = loop {
            match self.raise().and_then(|()| self.train(cancel, observer)) {
                Ok(summary) => break Ok(summary),
                Err(error) => {
                    if let Err(error) = self.recover(error, observer) {
                        break Err(error);
                    }
                }
            }
        };
        // However it ended, whoever is still there is told that it did, and does not call again.
        if let Some(machine) = self.machine.take() {
            machine.dismiss();
        }
        outcome
    }

    fn train(&mut self, cancel: &CancellationToken, observer: &mut dyn Observer) -> Result<Summary, TrainError> {
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
                    return Err(TrainError::Interrupted { step: self.position.step, again: self.again() });
                }
                // After the last batch the evaluations come first, so that no checkpoint is written twice.
                if self.is_checkpoint_due() && self.position.batch < self.batches() {
                    self.write_checkpoint()?;
                }
            }
            (self.position.epoch, self.position.batch) = (epoch + 1, 0);
            let evaluations = self.evaluate_all()?;
            self.record_evaluations(epoch, evaluations, observer)?;
            last = Some(evaluations);
            self.flush()?;
            let every_epoch = self.config.record.checkpoint_every == 0;
            if every_epoch || self.is_checkpoint_due() || self.position.epoch == epochs {
                self.write_checkpoint()?;
            }
        }
        let (validation, test) = match last {
            Some(evaluations) => evaluations,
            // Nothing was left to do, so nothing is recorded.
            None => self.evaluate_all()?,
        };
        Ok(self.summary(validation, test))
    }

    fn is_checkpoint_due(&self) -> bool {
        let every = self.config.record.checkpoint_every as u64;
        every > 0 && self.position.step.is_multiple_of(every)
    }

    fn step(&mut self, samples: &[usize]) -> Result<Progress, TrainError> {
        let started = Instant::now();
        let (data, target) = self.splits.train.batch::<T>(samples);
        let every = self.config.record.cosine_every as u64;
        let compare = self.plan.is_some() && every > 0 && self.position.step.is_multiple_of(every);
        let exact = if compare {
            let weights = running(&mut self.machine).snapshot().map_err(|source| self.failed(source))?.weights;
            Some(backprop::gradient(&self.network, &weights, &data, &target).parameters)
        } else {
            None
        };
        self.number(0)?;
        self.begin_events();
        let procedure = Procedure { plan: self.plan.as_ref(), limits: assemble::limits(self.config) };
        let machine = running(&mut self.machine);
        machine.count_batches_from(self.position.step);
        let purpose = if compare { Purpose::LearnAndShow } else { Purpose::Learn };
        let record = machine.step((&data, &target), procedure, purpose);
        self.end_events();
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

    /// Tells the machine which batch comes next, if anything depends on it: a resumed run meets the noise of one that was not
    /// interrupted. Part 0 of a step is its training, the others are batches of the evaluation after it.
    pub(super) fn number(&mut self, part: u64) -> Result<(), TrainError> {
        if assemble::numerics(self.config).is_noisy() {
            let number = assemble::batch_number(self.position.step, part);
            running(&mut self.machine).number(number).map_err(|source| self.failed(source))?;
        }
        Ok(())
    }

    pub(super) fn failed(&self, source: StepError) -> TrainError {
        TrainError::Step { step: self.position.step, checkpoint: self.checkpoint.clone(), source }
    }

    fn write_checkpoint(&mut self) -> Result<(), TrainError> {
        let machine = running(&mut self.machine);
        let goes_on = self.config.inference.free_phase == FreePhase::Persistent;
        let snapshot = machine.store().and_then(|at| {
            let states = if goes_on { machine.states()? } else { Vec::new() };
            Ok((at, Snapshot { states, ..machine.snapshot()? }))
        });
        let (at, snapshot) = snapshot.map_err(|source| self.failed(source))?;
        let step = self.position.step;
        assert!(at.is_none_or(|at| at == step), "layers are at step {at:?}, the run at {step}");
        if let Some(layer) = not_finite(&snapshot) {
            return Err(TrainError::Weights { step: self.position.step, layer, checkpoint: self.checkpoint.clone() });
        }
        self.position.links = self.links();
        let written = self
            .flush()
            .and_then(|()| checkpoint::write(&self.run, &snapshot, &self.position, self.config.record.keep));
        let path = written.map_err(|source| TrainError::NotStored {
            step,
            checkpoint: self.checkpoint.clone(),
            again: self.again(),
            source,
        })?;
        tracing::info!(step, path = %path.display(), "checkpoint");
        self.checkpoint = Some(path);
        self.recovery.stored(step, (&self.cosines, &self.ends));
        running(&mut self.machine).written().map_err(|source| self.failed(source))
    }

    pub(super) fn flush(&mut self) -> Result<(), RunError> {
        self.metrics.flush()?;
        self.layers.flush()?;
        self.flush_events()?;
        write_links(&self.run, &self.network, &self.links())
    }

    /// What has happened on every link since the run began.
    fn links(&self) -> Vec<((usize, usize), Tally)> {
        let before: BTreeMap<(usize, usize), &Tally> =
            self.began_at.links.iter().map(|(link, tally)| (*link, tally)).collect();
        let tallies = self.machine.as_ref().map(Machine::tallies).unwrap_or_default().into_iter();
        let since = |(link, tally): ((usize, usize), Tally)| {
            (link, before.get(&link).map_or(tally, |before| tally.plus(before)))
        };
        tallies.map(since).collect()
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
            events: self.meta.events.clone(),
            phase_ends: self.ends.iter().map(|(reason, count)| (reason.to_string(), *count)).collect(),
            checkpoint: self.checkpoint.clone(),
            groups: self.groups(),
        }
    }

    fn groups(&self) -> Option<Groups> {
        let Traffic { actors, links, messages } = self.machine.as_ref()?.traffic()?;
        let came = resident_bytes().zip(self.resident).map(|(now, before)| (now - before).max(0.0));
        let messages_per_s = messages as f64 / self.started.elapsed().as_secs_f64();
        Some(Groups {
            actors,
            links,
            messages,
            messages_per_s,
            bytes_per_actor: came.map(|bytes| bytes / actors as f64),
        })
    }
}

/// The machine, which is there as long as steps are made.
pub(super) fn running<T: Real>(machine: &mut Option<Machine<T>>) -> &mut Machine<T> {
    machine.as_mut().expect("a machine is raised before the first step and after every loss")
}

/// The layer to which weights lead that are not finite.
fn not_finite<T: Real>(snapshot: &Snapshot<T>) -> Option<usize> {
    let weights: &Weights<T> = &snapshot.weights;
    let back =
        |index: usize| snapshot.feedback.get(index.wrapping_sub(1)).into_iter().flat_map(|b| b.matrix.iter().copied());
    let numbers =
        weights.iter().enumerate().map(|(index, parameters)| (index + 1, parameters.numbers().chain(back(index))));
    numbers.into_iter().find_map(|(layer, mut numbers)| numbers.any(|number| !number.is_finite()).then_some(layer))
}
