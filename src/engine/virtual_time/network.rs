//! The driver: a whole network in virtual time, with the face of the engine.
//!
//! How a phase runs depends on what the clocks and links are:
//!
//! - **in step** (all clocks even and alike, all links ideal): every moment between two ticks is a consistent cut, so phases run and
//!   are looked at exactly as in lock-step, and have its bits;
//! - **to a budget** (`tolerance = 0`): every layer takes its steps at its own ticks, then answers until all is heard;
//! - **to rest** (a tolerance, or a first arrival): layers rest and wake by the settling protocol.
//!
//! A phase is over when no event is left. Then nothing moves and nothing is under way, and the reports at that moment belong to one
//! state of the network; it is called settled only if [`Detector`] agrees that all rest and nothing spoken is unheard, and every
//! residual is within the tolerance. If something was lost for good, the reason is that. While layers move, the driver counts
//! every `check_every` periods, as the coordinator does on the wall clock, and may halt a phase as a plateau or as diverged.

use super::kernel::{Queue, Time};
use super::node::{Node, Pace};
use super::stage::Stage;
use super::{VirtualSettings, wiring};
use crate::engine::EngineError;
use crate::math::{Field, Real};
use crate::network::{NetworkSpec, Weights};
use crate::rule::{Plan, PlannedPhase};
use crate::settling::{Detector, Limits, Look, PhaseRecord, Settler, StopReason, Stopper, Verdict};
use crate::signal::{Directive, Extract, Motion, Phase, Reading, Report, Repose, Wanted};

/// A network of layers driven by one queue of events.
pub struct VirtualNetwork<T: Real> {
    pub(super) nodes: Vec<Node<T>>,
    pub(super) stage: Stage<T>,
    batch: u64,
    in_step: bool,
    /// The longest mean period of any clock.
    beat: Time,
    events_most: u64,
    events: u64,
}

impl<T: Real> VirtualNetwork<T> {
    /// Nothing has happened yet.
    pub fn new(network: &NetworkSpec, weights: Weights<T>, settings: &VirtualSettings) -> Self {
        assert!(network.fits(&weights), "weights have the shapes of the network");
        let depth = network.depth();
        assert_eq!((settings.clocks.len(), settings.links.len()), (depth + 1, depth), "laws for every layer and link");
        let beat = settings.clocks.iter().map(|clock| clock.period.mean()).fold(0.0, f64::max);
        let stage = Stage { queue: Queue::default(), now: Time(0), phase: 0, arrived: 0, log: None, observer: None };
        Self {
            nodes: wiring(network, weights, settings),
            stage,
            batch: 0,
            in_step: settings.is_in_step(),
            beat: Time::of(beat).max(Time::TICK),
            events_most: settings.events_most,
            events: 0,
        }
    }

    /// True if the clocks and links make it lock-step.
    pub fn is_in_step(&self) -> bool {
        self.in_step
    }

    /// Virtual time since the network was made.
    pub fn now(&self) -> Time {
        self.stage.now
    }

    /// Events since the network was made.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Batches presented so far: random numbers are keyed by it.
    pub fn batches(&self) -> u64 {
        self.batch
    }

    /// Goes on counting batches from here, for a run that is resumed.
    pub fn set_batches(&mut self, batches: u64) {
        self.batch = batches;
    }

    /// Shows a batch: data (`n_0 × batch`) to the input, targets (`n_L × batch`) to the output, its size to everyone.
    ///
    /// # Errors
    /// A layer that cannot take it.
    pub fn present(&mut self, data: &Field<T>, target: &Field<T>) -> Result<(), EngineError> {
        let size = data.ncols();
        let (mut data, mut target) =
            (Some(std::sync::Arc::new(data.clone())), Some(std::sync::Arc::new(target.clone())));
        self.batch += 1;
        self.stage.queue.clear();
        let last = self.nodes.len() - 1;
        for (index, node) in self.nodes.iter_mut().enumerate() {
            let data = if index == 0 { data.take() } else { None };
            let target = if index == last { target.take() } else { None };
            node.turn_to(self.batch, Directive::Present { batch: size, data, target })?;
        }
        Ok(())
    }

    /// Shows the input other data of the same size (`n_0 × batch`) in the middle of a batch: a wave upward.
    ///
    /// # Errors
    /// Data that do not fit the input.
    pub fn show(&mut self, data: &Field<T>) -> Result<(), EngineError> {
        Ok(self.nodes[0].layer.hear_directive(Directive::Show(std::sync::Arc::new(data.clone()))).map(drop)?)
    }

    /// Runs one phase to its end.
    ///
    /// # Errors
    /// A layer that cannot do what the phase asks.
    pub fn run_phase(&mut self, planned: &PlannedPhase, limits: Limits) -> Result<PhaseRecord, EngineError> {
        if matches!(planned.motion, Motion::Deviate { .. }) {
            return Err(EngineError::NoDeviations);
        }
        self.stage.phase += 1;
        self.stage.arrived = 0;
        let depth = self.nodes.len() as u64 - 1;
        let PlannedPhase { motion, reading, .. } = *planned;
        let first_arrival = matches!(reading, Reading::FirstArrival(_));
        let clocked = self.in_step || (!first_arrival && limits.tolerance == 0.0);
        let steps = match (first_arrival, self.in_step) {
            // In step the error walks down one layer at every tick; else each layer moves once, when it arrives.
            (true, true) => depth - 1,
            (true, false) => 1,
            // Lock-step begins with a look at step 0.
            (false, true) => 0,
            (false, false) => limits.steps_max,
        };
        let tolerance = if first_arrival { 0.0 } else { limits.tolerance };
        let phase = Phase { number: self.stage.phase, motion, steps, tolerance, reading };
        for node in &mut self.nodes {
            let pace = match motion {
                Motion::Forward => Pace::Wave { done: false },
                _ if clocked => Pace::Clocked { until: steps },
                _ => Pace::Resting(Settler::new(tolerance, steps)),
            };
            node.begin(phase, pace, &mut self.stage)?;
        }
        self.say_again();
        let record = match motion {
            Motion::Forward => self.wave(),
            _ => match (first_arrival, clocked, self.in_step) {
                (true, _, false) => self.first_arrival(),
                (true, _, true) | (false, true, false) => self.budget(),
                (false, true, true) => self.lock_step(limits),
                (false, false, _) => self.rest(limits),
            },
        };
        self.stage.queue.clear();
        for node in &mut self.nodes {
            node.sides().for_each(|side| side.outlet.forget_the_future());
            if planned.remember {
                node.layer.hear_directive(Directive::Remember)?;
            }
        }
        Ok(record)
    }

    /// Adds the Hebbian products of phase `index` of a plan to every layer's estimate.
    ///
    /// # Errors
    /// A layer that has heard nothing to learn from.
    pub fn collect(&mut self, plan: &Plan, index: usize) -> Result<(), EngineError> {
        let depth = self.nodes.len() - 1;
        for (layer, node) in self.nodes.iter_mut().enumerate().take(depth) {
            let coefficient = plan.coefficient(index, layer + 1, depth);
            node.layer.hear_directive(Directive::Collect { coefficient })?;
        }
        Ok(())
    }

    /// Updates all weights from what was collected.
    ///
    /// # Errors
    /// A layer that has collected nothing.
    pub fn learn(&mut self) -> Result<(), EngineError> {
        self.nodes.iter_mut().try_for_each(|node| node.layer.hear_directive(Directive::Learn).map(drop))?;
        Ok(())
    }

    /// Asks every layer for something, for a checkpoint or a comparison. In the order of the layers.
    ///
    /// # Errors
    /// A layer that does not have it.
    pub fn extract(&mut self, wanted: Wanted) -> Result<Vec<Extract<T>>, EngineError> {
        let mut extracts = Vec::with_capacity(self.nodes.len());
        for node in &mut self.nodes {
            extracts.extend(node.layer.hear_directive(Directive::Extract(wanted))?);
        }
        Ok(extracts)
    }

    /// Gives layers 0 … L−1 other weights and, where given, optimiser states.
    ///
    /// # Errors
    /// A layer that they do not fit.
    pub fn install(&mut self, extracts: Vec<Extract<T>>) -> Result<(), EngineError> {
        for (node, extract) in self.nodes.iter_mut().zip(extracts) {
            node.layer.hear_directive(Directive::Install(Box::new(extract)))?;
        }
        Ok(())
    }

    /// What a phase that was broken off left unheard is sent once more.
    fn say_again(&mut self) {
        for from in 0..self.nodes.len() {
            let below =
                from.checked_sub(1).and_then(|below| self.nodes[below].above.as_ref()).map_or(0, |s| s.inlet.heard);
            let above = self.nodes.get(from + 1).and_then(|above| above.below.as_ref()).map_or(0, |s| s.inlet.heard);
            let node = &mut self.nodes[from];
            for (side, heard) in [(&mut node.below, below), (&mut node.above, above)] {
                if let Some(side) = side.as_mut().filter(|side| side.outlet.version() > heard) {
                    side.outlet.tally.resent += 1;
                    self.stage.send(&mut side.outlet, from as u32);
                }
            }
        }
    }

    /// Runs until nothing is left to happen, or until `look` says so at the time it asked for; the reason if it was broken off.
    fn run(&mut self, mut look: Option<&mut Census>) -> Option<StopReason> {
        let mut left = self.events_most;
        while let Some(time) = self.stage.queue.next_time() {
            if let Some(census) = &mut look
                && census.due.is_some_and(|due| due < time)
            {
                let stage = &mut self.stage;
                let reports = self.nodes.iter_mut().map(|node| node.report(false, stage)).collect();
                if census.look(reports, time, self.beat) {
                    self.nodes.iter_mut().for_each(Node::halt);
                }
            }
            if left == 0 {
                return Some(StopReason::EventBudget);
            }
            left -= 1;
            self.events += 1;
            let (key, carried) = self.stage.queue.pop().expect("it was seen above");
            self.stage.now = key.time;
            self.nodes[key.node as usize].on(&key, carried, &mut self.stage);
        }
        None
    }

    fn reports(&mut self) -> Vec<Report> {
        let stage = &mut self.stage;
        self.nodes.iter_mut().map(|node| node.report(true, stage)).collect()
    }

    fn wave(&mut self) -> PhaseRecord {
        let broken = self.run(None);
        let reports = self.reports();
        let reason = match broken {
            Some(reason) => reason,
            None if reports.iter().any(|report| report.bad.is_some()) => StopReason::Diverged,
            None if self.nodes.iter().all(Node::has_waved) => StopReason::Wave,
            None => StopReason::SignalsLost,
        };
        PhaseRecord { reason, reports }
    }

    fn first_arrival(&mut self) -> PhaseRecord {
        let broken = self.run(None);
        let arrived = self.stage.arrived == self.nodes.len() - 1;
        let reports = self.reports();
        let reason = match broken {
            Some(reason) => reason,
            None if reports.iter().any(|report| report.bad.is_some()) => StopReason::Diverged,
            None if !arrived && unheard(&reports) => StopReason::SignalsLost,
            None => StopReason::StepBudget,
        };
        PhaseRecord { reason, reports }
    }

    fn lock_step(&mut self, limits: Limits) -> PhaseRecord {
        let mut stopper = Stopper::new(limits);
        loop {
            let broken = self.run(None);
            let record = PhaseRecord { reason: StopReason::StepBudget, reports: self.reports() };
            if let Some(reason) = broken.or_else(|| stopper.look(look(&record))) {
                return PhaseRecord { reason, ..record };
            }
            let next = stopper.next_look(record.steps()).expect("a used budget ends the phase");
            for node in &mut self.nodes {
                node.go_on(next, &mut self.stage);
            }
        }
    }

    fn budget(&mut self) -> PhaseRecord {
        let broken = self.run(None);
        let reports = self.reports();
        let bad = reports.iter().any(|report| report.bad.is_some());
        let reason = broken.unwrap_or(if bad { StopReason::Diverged } else { StopReason::StepBudget });
        PhaseRecord { reason, reports }
    }

    fn rest(&mut self, limits: Limits) -> PhaseRecord {
        let mut census = Census::new(self.nodes.len(), limits, self.stage.now, self.beat);
        let broken = self.run(Some(&mut census));
        let reports = self.reports();
        let mut detector = Detector::new(self.stage.phase, self.nodes.len());
        let verdict = reports.iter().fold(Verdict::Open, |_, &report| detector.hear(report));
        let residual = reports.iter().map(|report| report.residual).fold(0.0, f64::max);
        let reason = match (broken, census.halted) {
            (Some(reason), _) | (None, Some(reason)) => reason,
            _ if reports.iter().any(|report| report.bad.is_some()) => StopReason::Diverged,
            _ if verdict == Verdict::Open => StopReason::SignalsLost,
            _ if residual <= limits.tolerance => StopReason::Settled,
            _ => StopReason::StepBudget,
        };
        PhaseRecord { reason, reports }
    }
}

fn unheard(reports: &[Report]) -> bool {
    reports
        .windows(2)
        .any(|pair| pair[0].spoken.above != pair[1].heard.below || pair[1].spoken.below != pair[0].heard.above)
}

fn look(record: &PhaseRecord) -> Look {
    let finite = record.reports.iter().all(|report| report.bad.is_none());
    Look { step: record.steps(), residual: record.residual(), energy: record.energy(), finite }
}

/// Counts of a phase in which layers still move. Such a count is no consistent cut: it may halt a phase as a plateau or as
/// diverged, never as settled.
struct Census {
    limits: Limits,
    stopper: Stopper,
    due: Option<Time>,
    before: Vec<u64>,
    halted: Option<StopReason>,
}

impl Census {
    fn new(layers: usize, limits: Limits, now: Time, beat: Time) -> Self {
        let wanted = limits.tolerance > 0.0 && limits.plateau > 0.0;
        let due = wanted.then(|| now + span(limits, beat));
        Self { limits, stopper: Stopper::new(limits), due, before: vec![0; layers], halted: None }
    }

    /// Looks before the event at `time`; true if the phase has to be halted.
    fn look(&mut self, reports: Vec<Report>, time: Time, beat: Time) -> bool {
        self.due = Some(time + span(self.limits, beat));
        let moving = |report: &&Report| report.repose == Repose::Moving;
        let waited = |report: &Report| report.step >= self.before[report.layer] + self.limits.check_every;
        if reports.iter().any(|report| report.bad.is_some()) {
            self.halted = Some(StopReason::Diverged);
        } else if reports.iter().filter(moving).all(waited) {
            self.before = reports.iter().map(|report| report.step).collect();
            let record = PhaseRecord { reason: StopReason::StepBudget, reports };
            let reason = self.stopper.look(look(&record));
            self.halted = reason.filter(|reason| matches!(reason, StopReason::Plateau | StopReason::Diverged));
        }
        if self.halted.is_some() {
            self.due = None;
        }
        self.halted.is_some()
    }
}

fn span(limits: Limits, beat: Time) -> Time {
    Time(limits.check_every.saturating_mul(beat.0))
}
