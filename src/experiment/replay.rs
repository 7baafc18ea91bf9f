//! `asynapse replay RUN`: does a run in virtual time once more, from its stored configuration and seed, and holds every event against
//! the log that it left.
//!
//! What is done again is the training of the logged batches; nothing of the run but its configuration is used, neither weights nor
//! checkpoints. Equal logs therefore say that times, orders, states and signals came out of the configuration, bit for bit.
//! Evaluations between epochs are left out: they draw from numbers of their own, and what they leave behind matters to a persistent
//! free phase only, for which more than an epoch is refused.
//!
//! A moment of a batch can be looked at: the norm ‖x_l‖ of every layer's state before it, then the events from there on, each step
//! with the norm after it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::assemble::{self, AssembleError};
use super::machine::{Machine, Procedure, Purpose, StepError};
use crate::config::Config;
use crate::engine::virtual_time::kernel::Time;
use crate::engine::virtual_time::record::{EventLog, Observer, Record, Stepped};
use crate::math::{Real, sum_of_squares, values};
use crate::rule::FreePhase;
use crate::run::RunError;
use crate::run::events::{FILE, Records};
use crate::run::meta::{LoggedEvents, Meta};

/// What is to be replayed, and what of it is to be seen.
#[derive(Clone, Debug)]
pub struct Request {
    /// The run directory.
    pub run: PathBuf,
    /// Its configuration.
    pub config: Config,
    /// A moment to look at.
    pub moment: Option<Moment>,
}

/// A moment of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Which batch, counted from 0.
    pub batch: u64,
    /// From when on, in τ since the batch was presented.
    pub from: f64,
    /// How many events are shown.
    pub events: usize,
}

/// Why nothing could be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The configuration can't be run.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    /// The run directory can't be read.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A step failed.
    #[error(transparent)]
    Step(#[from] StepError),
    /// There is nothing to hold a replay against.
    #[error("{0}")]
    Unfit(String),
}

/// The first event that is not as it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Its place in the log, markers of batches included, counted from 0.
    pub place: u64,
    /// In which batch.
    pub batch: u64,
    /// As it stands in the log; `None` beyond its end.
    pub recorded: Option<Record>,
    /// As it happened now; `None` if nothing more did.
    pub replayed: Option<Record>,
}

/// An event that was looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// What happened.
    pub record: Record,
    /// ‖x‖ of the layer after its step, if it took one.
    pub norm: Option<f64>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Replayed {
    /// What was replayed.
    pub events: Option<LoggedEvents>,
    /// The first difference.
    pub difference: Option<Difference>,
    /// What nodes are called, layers or groups, in their order.
    pub names: Vec<String>,
    /// ‖x_l‖ of every node before the moment; `None` without a state, or before its first step.
    pub norms: Vec<Option<f64>>,
    /// The events from the moment on.
    pub shown: Vec<Shown>,
}

/// Replays a run.
///
/// # Errors
/// A run without a log, a configuration or data that cannot be used, a log that cannot be read.
pub fn replay<T: Real>(request: &Request) -> Result<Replayed, ReplayError> {
    let Request { run, moment, .. } = request;
    // What happens does not depend on how many processes it happens in.
    let config = &Config { workers: 1, ..request.config.clone() };
    let Some(logged) = Meta::read(run)?.events else {
        let run = run.display();
        return Err(ReplayError::Unfit(format!(
            "{run} has no log of events; train with record.event_log = N for the first N batches"
        )));
    };
    if let Some(moment) = moment.filter(|moment| moment.batch >= logged.batches) {
        let (wanted, there) = (moment.batch, logged.batches);
        return Err(ReplayError::Unfit(format!(
            "--batch {wanted}: the log has batches 0 to {}",
            there.saturating_sub(1)
        )));
    }
    let network = assemble::network(config).map_err(AssembleError::from)?;
    let splits = assemble::data(config, &network)?;
    let plan = assemble::plan(config, &network)?;
    let weights = network.initial_weights::<T>(config.model.init, config.seed);
    let machine = assemble::machine_in(config, &network, weights, config.schedule.mode)?;
    let Machine::Virtual(_) = &machine else {
        return Err(ReplayError::Unfit("only runs in virtual time have events".to_owned()));
    };
    let mut machine = machine;
    let held = Held::against(&run.join(FILE))?;
    let mut log = EventLog::to(Box::new(held.clone()));
    let procedure = Procedure { plan: plan.as_ref(), limits: assemble::limits(config) };
    let size = config.data.batch_size;
    let batches = splits.train.len().div_ceil(size).max(1) as u64;
    if config.inference.free_phase == FreePhase::Persistent && logged.batches > batches {
        let what = "inference.free_phase = \"persistent\" goes on from where an evaluation left the states, and a replay makes none; \
                    log the first epoch only";
        return Err(ReplayError::Unfit(what.to_owned()));
    }
    let (mut epoch, mut order) = (u64::MAX, Vec::new());
    let names = network.places().map(|place| network.name_of(place)).collect();
    let mut replayed = Replayed { names, ..Replayed::default() };
    for step in 0..logged.batches {
        if step / batches != epoch {
            epoch = step / batches;
            order = splits.train.order(config.data.shuffle, config.seed, epoch);
        }
        let samples = order.chunks(size).nth((step % batches) as usize).unwrap_or_default();
        let (data, target) = splits.train.batch::<T>(samples);
        let look = moment.filter(|moment| moment.batch == step);
        let norms = Norms::of(network.groups_in_all(), look);
        held.lock().turn_to(step, look);
        log.add(&Record::batch(step));
        if let Machine::Virtual(network) = &mut machine {
            network.log_to(log);
            network.set_batches(step);
            network.number(assemble::batch_number(step, 0)).map_err(StepError::from)?;
            if look.is_some() {
                network.watch(Some(Box::new(norms.clone())));
            }
        }
        let made = machine.step((&data, &target), procedure, Purpose::Learn);
        log = EventLog::digest_only();
        if let Machine::Virtual(network) = &mut machine {
            log = network.take_log().unwrap_or(log);
            if look.is_some() {
                network.watch(None);
                (replayed.norms, replayed.shown) = norms.lock().beside(&held.lock().shown);
            }
        }
        if held.lock().difference.is_some() {
            break;
        }
        if made.is_err() {
            // It ends here as it did then, if the log does.
            break;
        }
    }
    held.lock().finish(logged.batches)?;
    replayed.difference = held.lock().difference.clone();
    replayed.events = Some(LoggedEvents { batches: log.batches(), events: log.events(), sha256: log.digest() });
    if replayed.difference.is_none() && replayed.events.as_ref() != Some(&logged) {
        return Err(ReplayError::Unfit(format!(
            "{} says {} events with SHA-256 {}, but {FILE} and its replay have {} with {}",
            run.join("meta.json").display(),
            logged.events,
            logged.sha256,
            log.events(),
            log.digest()
        )));
    }
    Ok(replayed)
}

/// A log that is read along while the same is done again.
struct Along {
    recorded: Records,
    place: u64,
    batch: u64,
    look: Option<Moment>,
    shown: Vec<Record>,
    difference: Option<Difference>,
    failed: Option<RunError>,
}

impl Along {
    fn turn_to(&mut self, batch: u64, look: Option<Moment>) {
        (self.batch, self.look) = (batch, look);
    }

    fn hold(&mut self, replayed: Record) {
        if let Some(Moment { from, events, .. }) = self.look
            && replayed.key.rank != Record::BATCH
            && replayed.key.time >= Time::of(from)
            && self.shown.len() < events
        {
            self.shown.push(replayed);
        }
        if self.difference.is_some() || self.failed.is_some() {
            return;
        }
        match self.recorded.read() {
            Ok(recorded) if recorded == Some(replayed) => self.place += 1,
            Ok(recorded) => {
                let (place, batch) = (self.place, self.batch);
                self.difference = Some(Difference { place, batch, recorded, replayed: Some(replayed) });
            }
            Err(error) => self.failed = Some(error),
        }
    }

    /// Nothing may be left.
    fn finish(&mut self, batches: u64) -> Result<(), RunError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        if self.difference.is_none()
            && let Some(recorded) = self.recorded.read()?
        {
            let (place, batch) = (self.place, batches.saturating_sub(1));
            self.difference = Some(Difference { place, batch, recorded: Some(recorded), replayed: None });
        }
        Ok(())
    }
}

/// The sink of the replay's log.
#[derive(Clone)]
struct Held(Arc<Mutex<Along>>);

impl Held {
    fn against(path: &Path) -> Result<Self, RunError> {
        let recorded = Records::open(path)?;
        let (shown, difference, failed) = (Vec::new(), None, None);
        Ok(Self(Arc::new(Mutex::new(Along { recorded, place: 0, batch: 0, look: None, shown, difference, failed }))))
    }

    fn lock(&self) -> MutexGuard<'_, Along> {
        self.0.lock().expect("whoever holds it cannot panic")
    }
}

impl Write for Held {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let record = bytes.first_chunk().ok_or_else(|| io::Error::other("a log is written record by record"))?;
        self.lock().hold(Record::from_bytes(record));
        Ok(Record::BYTES)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The norms of states, before a moment and after each step from there on.
#[derive(Default)]
struct Seen {
    look: Option<Moment>,
    before: Vec<Option<f64>>,
    after: Vec<(Time, usize, f64)>,
}

impl Seen {
    /// The norms before, and the events with those after.
    fn beside(&self, records: &[Record]) -> (Vec<Option<f64>>, Vec<Shown>) {
        let norm = |record: &Record| {
            let of_it =
                |(time, node, _): &&(Time, usize, f64)| *time == record.key.time && *node == record.key.node as usize;
            self.after.iter().find(of_it).filter(|_| record.kind() == "tick").map(|&(_, _, norm)| norm)
        };
        let shown = records.iter().map(|record| Shown { record: *record, norm: norm(record) }).collect();
        (self.before.clone(), shown)
    }
}

#[derive(Clone)]
struct Norms(Arc<Mutex<Seen>>);

impl Norms {
    fn of(layers: usize, look: Option<Moment>) -> Self {
        Self(Arc::new(Mutex::new(Seen { look, before: vec![None; layers], after: Vec::new() })))
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().expect("whoever holds it cannot panic")
    }
}

impl<T: Real> Observer<T> for Norms {
    fn stepped(&mut self, stepped: &Stepped<'_, T>) {
        let mut seen = self.lock();
        let (Some(Moment { from, events, .. }), Some(state)) = (seen.look, stepped.state) else { return };
        let norm = sum_of_squares(values(state)).sqrt();
        if stepped.time < Time::of(from) {
            seen.before[stepped.node] = Some(norm);
        } else if seen.after.len() < events {
            seen.after.push((stepped.time, stepped.node, norm));
        }
    }
}
