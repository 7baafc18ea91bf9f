//! A node: a layer, or a group of its neurons, with its clock and its ends of the links. It answers events and puts new ones into
//! the queue.
//!
//! ```text
//! tick        hears what has arrived, takes a step, says its prediction; the first tick of a phase takes no step
//! answer      at the same time, after predictions that arrive now were taken in: says its error
//! arrival     waits in the inlet until the next tick, and wakes a layer that sleeps
//! ```
//!
//! A layer that has nothing to do sleeps: it has no events until something arrives, and then keeps to its clock.
//! What it hears is in `hearing`. Only what is new is said; but where there is noise on signals, everything is new at every step that is
//! taken to a budget, as in lock-step. In a phase that ends when all rest a signal is noisy once, or nobody would ever rest.

use super::clocks::Clock;
use super::errand::Carried;
use super::kernel::{Key, Time};
use super::links::Passage;
use super::record::{Passed, Record, Stepped, fold};
use super::stage::{Side, Stage, rank, say};
use crate::layer::LayerError;
use crate::layer::group::Group;
use crate::math::Real;
use crate::settling::{Settler, Standing, Turn};
use crate::signal::{Directive, Phase, Reading, Report, Repose, Versions};

/// What a layer does at its ticks.
#[derive(Debug)]
pub(super) enum Pace {
    /// The forward wave: the state is set when the prediction has come.
    Wave { done: bool },
    /// A step at every tick until so many are taken.
    Clocked { until: u64 },
    /// Steps until the layer may rest.
    Resting(Settler),
}

/// A layer in virtual time.
#[derive(Debug)]
pub(super) struct Node<T> {
    /// Its number: nodes are counted layer by layer, so that it is the layer's where layers are whole.
    id: u32,
    pub(super) layer: Group<T>,
    pub(super) clock: Clock,
    /// The groups below, in their order, which is that of the links to them; one if that layer is whole.
    pub(super) below: Vec<Side<T>>,
    pub(super) above: Vec<Side<T>>,
    /// What comes from below and from above is put together, because there or here a layer is cut.
    pub(super) gathers: [bool; 2],
    pace: Pace,
    ticks: u64,
    /// A tick is in the queue.
    scheduled: bool,
    /// When it last answered, or is about to.
    answers_at: Option<Time>,
    /// The next tick is the first of the phase.
    first: bool,
    /// The last turn brought it to rest.
    resting: bool,
    /// It says again what is not new, because signals are noisy and this is the tick of a step.
    repeats: bool,
    /// In this phase its product is read when the first error arrives.
    reads_first_arrival: bool,
    /// A prediction of this batch has been heard, from every group below.
    pub(super) has_current: bool,
}

impl<T: Real> Node<T> {
    pub(super) fn new(id: u32, layer: Group<T>, clock: Clock, [below, above]: [Vec<Side<T>>; 2]) -> Self {
        let is_part = layer.is_part();
        let gathers = [is_part || below.len() > 1, is_part || above.len() > 1];
        Self {
            id,
            layer,
            clock,
            below,
            above,
            gathers,
            pace: Pace::Clocked { until: 0 },
            ticks: 0,
            scheduled: false,
            answers_at: None,
            first: true,
            resting: false,
            repeats: false,
            reads_first_arrival: false,
            has_current: false,
        }
    }

    pub(super) fn sides(&self) -> impl Iterator<Item = &Side<T>> {
        self.below.iter().chain(&self.above)
    }

    pub(super) fn sides_mut(&mut self) -> impl Iterator<Item = &mut Side<T>> {
        self.below.iter_mut().chain(self.above.iter_mut())
    }

    /// The side that speaks by this link. Links of a side are numbered in the order of its groups.
    fn side(&mut self, link: u32) -> Option<&mut Side<T>> {
        let at = |sides: &[Side<T>]| sides.binary_search_by_key(&link, |side| side.outlet.link).ok();
        match (at(&self.below), at(&self.above)) {
            (Some(at), _) => self.below.get_mut(at),
            (None, Some(at)) => self.above.get_mut(at),
            (None, None) => None,
        }
    }

    /// A new batch.
    pub(super) fn turn_to(&mut self, batch: u64, directive: Directive<T>) -> Result<(), LayerError> {
        self.layer.hear_directive(directive)?;
        self.clock.turn_to(batch);
        self.has_current = false;
        for side in self.sides_mut() {
            side.latest = None;
            side.inlet.clear();
            side.outlet.turn_to(batch);
        }
        Ok(())
    }

    /// A phase begins.
    pub(super) fn begin(&mut self, phase: Phase, pace: Pace, stage: &mut Stage<T>) -> Result<(), LayerError> {
        self.layer.hear_directive(Directive::Begin(phase))?;
        self.pace = pace;
        self.reads_first_arrival = matches!(phase.reading, Reading::FirstArrival(_)) && !self.above.is_empty();
        (self.first, self.resting, self.scheduled, self.ticks) = (true, false, true, 0);
        (self.answers_at, self.repeats) = (None, false);
        // Where signals are noisy a wave is another one each time.
        self.has_current &= !(self.layer.is_noisy() && matches!(self.pace, Pace::Wave { .. }));
        let tick = self.clock.start(stage.now);
        stage.schedule(tick, rank::TICK, (self.id, 0), 0, Carried::Nothing);
        Ok(())
    }

    /// Lock-step's `Continue`: go on to this step.
    pub(super) fn go_on(&mut self, until: u64, stage: &mut Stage<T>) {
        self.pace = Pace::Clocked { until };
        self.wake(stage);
    }

    /// Takes no more steps in this phase.
    pub(super) fn halt(&mut self) {
        if let Pace::Resting(settler) = &mut self.pace {
            settler.halt();
        }
    }

    fn wake(&mut self, stage: &mut Stage<T>) {
        if !std::mem::replace(&mut self.scheduled, true) {
            self.ticks += 1;
            let tick = self.clock.after(stage.now);
            stage.schedule(tick, rank::TICK, (self.id, 0), self.ticks, Carried::Nothing);
        }
    }

    /// An event of this node.
    pub(super) fn on(&mut self, key: &Key, carried: Carried<T>, stage: &mut Stage<T>) {
        let (mut count, mut folded) = (self.layer.step(), 0);
        if let (Carried::Signal(passage), Some(_)) = (&carried, &stage.records) {
            (count, folded) = (passage.signal.stamp.step, fold(&passage.signal.numbers));
        }
        match (key.rank, carried) {
            (rank::TICK, _) => {
                // A state that did not move may be that of the batch before, of which a resumed run knows nothing.
                let moved = self.tick(stage);
                if let (Some(_), Some(state), true) = (&stage.records, self.layer.state(), moved) {
                    folded = fold(state);
                }
            }
            (rank::ANSWER, _) => self.answer(stage),
            (rank::PREDICTION | rank::ERROR, Carried::Signal(passage)) => self.arrival(key, passage, stage),
            (rank::ACKNOWLEDGED, Carried::Version(version)) => {
                if let Some(side) = self.side(key.link) {
                    side.outlet.acknowledged = side.outlet.acknowledged.max(version);
                }
            }
            _ => self.resend(key.link, stage),
        }
        if let Some(records) = &mut stage.records {
            records.push(Record { key: *key, count, fold: folded });
        }
    }

    /// A tick; true if the state was set or took a step.
    fn tick(&mut self, stage: &mut Stage<T>) -> bool {
        self.scheduled = false;
        self.below.iter_mut().for_each(|side| side.has_heard = false);
        self.hear_prediction(stage.now);
        self.hear_error(stage);
        let first = std::mem::replace(&mut self.first, false);
        let (step, residual) = (self.layer.step(), self.layer.residual());
        // Where errors are echoed, a layer that has too much unanswered waits with new steps.
        let room = self.layer.has_spoken() || self.layer.has_new_prediction() || self.layer.has_new_error();
        let mut moves = false;
        match &mut self.pace {
            Pace::Wave { done } => {
                if !*done && (self.has_current || self.below.is_empty()) {
                    self.layer.forward();
                    (*done, moves) = (true, !self.below.is_empty());
                }
            }
            Pace::Clocked { until } => moves = !first && step < *until && room,
            Pace::Resting(settler) => {
                if self.layer.is_bad() {
                    settler.halt();
                }
                let standing = Standing { spoken: room, can_move: self.layer.can_move() };
                let turn = settler.turn(residual, step, standing);
                self.resting = matches!(turn, Turn::Rest { .. }) && room;
                moves = turn == Turn::Move && !first;
            }
        }
        let wave = matches!(self.pace, Pace::Wave { .. });
        self.repeats = (moves || first) && !matches!(self.pace, Pace::Resting(_));
        if moves && !wave {
            self.layer.relax();
        }
        if let (Some(observer), true) = (&mut stage.observer, moves) {
            let (time, phase, layer, state) = (stage.now, stage.phase, self.layer.index(), self.layer.state());
            let (node, step, error) = (self.id as usize, self.layer.step(), self.layer.error_norm());
            observer.stepped(&Stepped { time, phase, node, layer, step, residual, error, state });
        }
        if !wave || self.is_done() {
            self.say_prediction(stage);
        }
        self.answer_now(stage);
        moves
    }

    fn answer_now(&mut self, stage: &mut Stage<T>) {
        if self.answers_at.replace(stage.now) != Some(stage.now) {
            stage.schedule(stage.now, rank::ANSWER, (self.id, 0), self.ticks, Carried::Nothing);
        }
    }

    fn answer(&mut self, stage: &mut Stage<T>) {
        let news = self.hear_prediction(stage.now);
        let wave = matches!(self.pace, Pace::Wave { .. });
        if !wave {
            self.say_error(stage);
        }
        let waits = |sides: &[Side<T>]| sides.iter().any(|side| !side.inlet.is_empty());
        let (prediction_waits, error_waits) = (waits(&self.below), waits(&self.above));
        let goes_on = match self.pace {
            Pace::Wave { done } => !done && (self.has_current || prediction_waits),
            Pace::Clocked { until } => self.layer.step() < until || prediction_waits,
            Pace::Resting(_) => !self.resting || news || prediction_waits || error_waits,
        };
        if goes_on {
            self.wake(stage);
        }
    }

    fn arrival(&mut self, key: &Key, passage: Passage<T>, stage: &mut Stage<T>) {
        let from_below = key.rank == rank::PREDICTION;
        let version = passage.signal.stamp.version;
        // The two directions of a link have numbers side by side.
        let Some(side) = self.side(key.link ^ 1) else { return };
        let news = side.inlet.arrive(passage);
        if side.inlet.acknowledges
            && let Some((time, number)) = side.outlet.acknowledge(stage.now)
        {
            // The neighbour's outlet is found by the link that the signal came by.
            let to = (side.outlet.to, key.link);
            stage.schedule(time, rank::ACKNOWLEDGED, to, number, Carried::Version(version));
        }
        if !news {
            return;
        }
        if let Some(observer) = &mut stage.observer {
            let (from, to) = (side.outlet.to as usize, self.id as usize);
            observer.arrived(Passed { time: stage.now, phase: stage.phase, from, to, version });
        }
        if !from_below && self.reads_first_arrival && !self.layer.has_arrived() && !self.gathers[1] {
            // The product is read when the error arrives, not at the next tick; of groups in step, all arrive before that.
            self.hear_error(stage);
        }
        // A layer whose steps are done has nothing to do about an error, and hears it at the end.
        let finished = matches!(self.pace, Pace::Clocked { until } if self.layer.step() >= until && !self.first);
        if from_below && self.answers_at == Some(stage.now) {
            // The answer that follows hears it.
        } else if from_below && !self.scheduled && self.clock.ticks_at(stage.now) {
            // It slept through the step of its tick that is now, but not through the answer.
            self.below.iter_mut().for_each(|side| side.has_heard = false);
            self.answer_now(stage);
        } else if from_below || !finished {
            self.wake(stage);
        }
    }

    fn resend(&mut self, link: u32, stage: &mut Stage<T>) {
        let id = self.id;
        let Some(side) = self.side(link) else { return };
        side.outlet.timer = false;
        if side.outlet.acknowledged < side.outlet.version() {
            side.outlet.tally.resent += 1;
            stage.send(&mut side.outlet, id);
        }
    }

    pub(super) fn stir(&mut self) {
        if let Pace::Resting(settler) = &mut self.pace {
            settler.stir();
        }
    }

    fn is_done(&self) -> bool {
        match self.pace {
            Pace::Wave { done } => done,
            Pace::Clocked { until } => self.layer.step() >= until,
            Pace::Resting(_) => self.resting,
        }
    }

    fn say_prediction(&mut self, stage: &mut Stage<T>) {
        let (id, last) = (self.id, self.is_done());
        let repeats = self.repeats && self.layer.has_prediction_to_repeat();
        let said = if repeats || self.layer.has_new_prediction() { self.layer.speak_prediction() } else { None };
        for side in &mut self.above {
            say(&mut side.outlet, said.clone(), (last, id), stage);
        }
    }

    fn say_error(&mut self, stage: &mut Stage<T>) {
        let (id, last) = (self.id, self.is_done());
        let repeats = std::mem::take(&mut self.repeats) && self.layer.has_error_to_repeat();
        let said = if repeats || self.layer.has_new_error() { self.layer.speak_error() } else { None };
        for side in &mut self.below {
            say(&mut side.outlet, said.clone(), (last, id), stage);
        }
    }

    /// True if the forward wave has passed.
    pub(super) fn has_waved(&self) -> bool {
        matches!(self.pace, Pace::Wave { done: true })
    }

    /// The report of the present moment; with `drain`, everything that has arrived is heard first.
    pub(super) fn report(&mut self, drain: bool, stage: &mut Stage<T>) -> Report {
        while drain && {
            self.below.iter_mut().for_each(|side| side.has_heard = false);
            self.hear_prediction(stage.now) || self.hear_error(stage)
        } {}
        let residual = self.layer.residual();
        let step = self.layer.step();
        let standing = Standing { spoken: true, can_move: self.layer.can_move() };
        let repose = match &mut self.pace {
            Pace::Wave { .. } => Repose::Settled,
            Pace::Clocked { .. } => Repose::Exhausted,
            Pace::Resting(settler) if drain => {
                settler.turn(residual, step, standing);
                settler.repose()
            }
            Pace::Resting(settler) => {
                if self.resting {
                    settler.repose()
                } else {
                    Repose::Moving
                }
            }
        };
        let said = |sides: &[Side<T>]| sides.iter().map(|side| side.outlet.version()).sum();
        let heard = |sides: &[Side<T>]| sides.iter().map(|side| side.inlet.heard).sum();
        let spoken = Versions { above: said(&self.above), below: said(&self.below) };
        let heard = Versions { above: heard(&self.above), below: heard(&self.below) };
        Report { repose, spoken, heard, ..self.layer.report() }
    }
}
