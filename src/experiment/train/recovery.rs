//! What happens when a worker is lost: everything that is left of the old generation ends, and the next one goes on at the newest
//! whole checkpoint, all layers from there, survivors too. In lock-step what is done again has the same bits; free-running every
//! update is still made exactly once, with other bits, because no two free-running runs have the same.
//!
//! Workers that were started here are started again. Those that somebody else starts are waited for: survivors call again by
//! themselves, whoever was killed has to be started by whoever started it.
//!
//! This is `--resume` without leaving the process. How often it is tried says `crate::transaction::Budget`.

use std::thread;
use std::time::Instant;

use super::opened::{Standing, newest};
use super::trainer::Trainer;
use super::{Observer, TrainError};
use crate::engine::{EngineError, crash};
use crate::experiment::assemble;
use crate::experiment::machine::StepError;
use crate::experiment::workers::Hands;
use crate::math::Real;
use crate::run::RunError;
use crate::run::table::{LayerRow, MetricsRow, Table};
use crate::settling::StopReason;
use crate::transaction::{Budget, Decision};

/// What has to be known to go back.
#[derive(Debug)]
pub(super) struct Recovery {
    budget: Budget,
    since: Instant,
    generation: u64,
    /// What happened last.
    loss: Option<String>,
    /// What the summary counted, up to this checkpoint.
    counted: (u64, Vec<f64>, Vec<(StopReason, u64)>),
}

impl Default for Recovery {
    fn default() -> Self {
        Self {
            budget: Budget::default(),
            since: Instant::now(),
            generation: 1,
            loss: None,
            counted: Default::default(),
        }
    }
}

impl Recovery {
    /// A checkpoint of this step is on the disk.
    pub(super) fn stored(&mut self, step: u64, (cosines, ends): (&[f64], &[(StopReason, u64)])) {
        self.budget.stored();
        self.counted = (step, cosines.to_vec(), ends.to_vec());
    }
}

impl<T: Real> Trainer<'_, T> {
    /// Brings up a machine that stands where the training does, if there is none.
    pub(super) fn raise(&mut self) -> Result<(), TrainError> {
        if self.machine.is_some() {
            return Ok(());
        }
        if assemble::is_spread(self.config, self.hands) {
            self.recovery.generation = self.run.next_generation()?;
            crash::point("coordinator.generation");
        }
        let weights = self.network.initial_weights::<T>(self.config.model.init, self.config.seed);
        let hands = (self.hands, self.recovery.generation);
        let machine = assemble::machine(self.config, &self.network, weights, hands);
        let mut machine = machine.map_err(|source| self.failed(source))?;
        if let Some(snapshot) = self.standing.take()
            && !machine.install(snapshot).map_err(|source| self.failed(source))?
        {
            let problem = "holds states of another optimiser than learning.optimizer";
            return Err(RunError::content(&self.run.file("checkpoints"), problem).into());
        }
        machine.stand_at(self.position.step);
        crash::point("coordinator.raised");
        self.machine = Some(machine);
        Ok(())
    }

    /// Goes back to the newest checkpoint if a worker was lost and there is patience left; otherwise hands the error back.
    pub(super) fn recover(&mut self, error: TrainError, observer: &mut dyn Observer) -> Result<(), TrainError> {
        let step = self.position.step;
        if let Some((loss, absence)) = self.recovery.loss.clone().zip(self.absence(&error)) {
            let (checkpoint, again) = (self.checkpoint.clone(), self.again());
            return Err(TrainError::Deserted { step, loss, absence, checkpoint, again });
        }
        let Some((worker, loss)) = self.lost(&error) else { return Err(error) };
        self.recovery.loss = Some(loss.clone());
        // The end of the old generation: connections are closed, processes are gone.
        self.machine = None;
        crash::point("coordinator.ended");
        match self.recovery.budget.lost(worker, self.recovery.since.elapsed()) {
            Decision::GiveUp(exhausted) => {
                let (checkpoint, again) = (self.checkpoint.clone(), self.again());
                return Err(TrainError::GivenUp { step, loss, exhausted, checkpoint, again });
            }
            Decision::Restart(pause) => thread::sleep(pause),
        }
        let Standing { position, checkpoint, notes } = newest::<T>(self.run.path(), &self.network)?;
        notes.iter().for_each(|note| observer.said(note));
        let wall_s = self.position.wall_s;
        self.position = position;
        self.position.wall_s = wall_s;
        // The next machine counts from nothing, and the log of events is cut back to where it begins.
        self.began_at.links = self.position.links.clone();
        self.events = None;
        self.open_events()?;
        (self.checkpoint, self.standing) = checkpoint.unzip();
        self.flush()?;
        self.metrics = Table::resume::<MetricsRow>(&self.run, "metrics.csv", &self.position)?;
        self.layers = Table::resume::<LayerRow>(&self.run, "layers.csv", &self.position)?;
        let (at, cosines, ends) = self.recovery.counted.clone();
        (self.cosines, self.ends) = if at == self.position.step { (cosines, ends) } else { Default::default() };
        let (next, from) = (self.recovery.generation + 1, self.position.step);
        observer.said(&format!(
            "after {step} training steps: {loss}; generation {next} {} and goes on after step {from}",
            self.hands.muster(self.config.workers)
        ));
        Ok(())
    }

    /// Who did not come, where somebody else starts the workers: waited for long enough, and another generation would find nobody either.
    fn absence(&self, error: &TrainError) -> Option<String> {
        #[cfg(unix)]
        if let TrainError::Step { source: StepError::Process(absent), .. } = error
            && matches!(absent, crate::process::ProcessError::Absent { .. })
            && !matches!(self.hands, Hands::Children)
        {
            return Some(absent.to_string());
        }
        None
    }

    /// Which worker was lost, if it is known, and what happened; `None` if another generation would help nothing.
    fn lost(&self, error: &TrainError) -> Option<(Option<usize>, String)> {
        let TrainError::Step { source, .. } = error else { return None };
        if !assemble::is_spread(self.config, self.hands) || self.absence(error).is_some() {
            return None;
        }
        let of_engine = |error: &EngineError| match error {
            EngineError::Lost { loss, .. } => Some((Some(loss.member.worker), loss.to_string())),
            EngineError::LinkBroken { .. } | EngineError::Severed { .. } | EngineError::Ended { .. } => {
                Some((None, error.to_string()))
            }
            _ => None,
        };
        match source {
            StepError::Engine(error) => of_engine(error),
            #[cfg(unix)]
            StepError::Process(error) => {
                use crate::process::ProcessError;
                match error {
                    ProcessError::Engine(error) => of_engine(error),
                    ProcessError::Ended { .. } | ProcessError::Worker { .. } | ProcessError::Absent { .. } => {
                        Some((None, error.to_string()))
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }
}
