//! Who looks at a phase while it runs, and when: at the first event after a moment that follows from the events alone.
//!
//! Every event up to such a moment has happened and none after it, in every shard. That is not a consistent cut of the settling
//! protocol: a look may halt a phase as a plateau or as diverged, or break it off at its most events, but never call it settled.

use std::sync::{Arc, Mutex};

use super::errand::{Errand, Reply};
use super::kernel::Time;
use super::shard::Member;
use super::windows::{Seat, ask_seats};
use crate::engine::EngineError;
use crate::engine::parts::join_reports;
use crate::network::NetworkSpec;
use crate::settling::{Limits, Look, PhaseRecord, StopReason, Stopper};
use crate::signal::{Report, Repose};

/// Everyone who looks.
pub(super) struct Overseer {
    /// The longest mean period of any clock: how often events are counted.
    beat: Time,
    events_most: u64,
    /// Events of this phase before this run.
    pub(super) events: u64,
    counted: Time,
    pub(super) census: Option<Census>,
}

impl Overseer {
    pub(super) fn new(now: Time, beat: Time, events_most: u64) -> Self {
        Self { beat, events_most, events: 0, counted: now + beat, census: None }
    }

    /// The next moment after which somebody looks.
    pub(super) fn due(&self) -> Time {
        let census = self.census.as_ref().and_then(|census| census.due);
        census.map_or(self.counted, |due| due.min(self.counted))
    }

    /// Looks before the events at `next`; the reason if the phase is broken off.
    pub(super) fn look<T, M: Member<T>>(
        &mut self,
        seats: &[Mutex<Seat<'_, T, M>>],
        next: Time,
        events: u64,
    ) -> Result<Option<StopReason>, EngineError> {
        if self.counted < next {
            self.counted = next + self.beat;
            if self.events + events > self.events_most {
                return Ok(Some(StopReason::EventBudget));
            }
        }
        if let Some(census) = &mut self.census
            && census.due.is_some_and(|due| due < next)
        {
            let counted = ask_seats(seats, || Errand::Count { now: next, drain: false })?;
            let reports = counted.into_iter().map(|reply| Reply::counted(reply).map(|counted| counted.reports));
            let reports = reports.collect::<Result<Vec<_>, _>>()?.concat();
            if census.look(reports, next, self.beat) {
                ask_seats(seats, || Errand::Halt)?;
            }
        }
        Ok(None)
    }
}

/// Counts of a phase in which layers still move.
pub(super) struct Census {
    network: Arc<NetworkSpec>,
    limits: Limits,
    stopper: Stopper,
    due: Option<Time>,
    /// Steps of every node at the last look.
    before: Vec<u64>,
    pub(super) halted: Option<StopReason>,
}

impl Census {
    pub(super) fn new(network: &Arc<NetworkSpec>, limits: Limits, now: Time, beat: Time) -> Self {
        let wanted = limits.tolerance > 0.0 && limits.plateau > 0.0;
        let due = wanted.then(|| now + span(limits, beat));
        let before = vec![0; network.groups_in_all()];
        Self { network: Arc::clone(network), limits, stopper: Stopper::new(limits), due, before, halted: None }
    }

    /// Looks before the event at `time`; true if the phase has to be halted.
    fn look(&mut self, reports: Vec<Report>, time: Time, beat: Time) -> bool {
        self.due = Some(time + span(self.limits, beat));
        let mut moving = reports.iter().zip(&self.before).filter(|(report, _)| report.repose == Repose::Moving);
        let waited = |(report, before): (&Report, &u64)| report.step >= before + self.limits.check_every;
        if reports.iter().any(|report| report.bad.is_some()) {
            self.halted = Some(StopReason::Diverged);
        } else if moving.all(waited) {
            self.before = reports.iter().map(|report| report.step).collect();
            let reports = join_reports(&self.network, reports);
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

/// What a [`Stopper`] sees of a record.
pub(super) fn look(record: &PhaseRecord) -> Look {
    let finite = record.reports.iter().all(|report| report.bad.is_none());
    Look { step: record.steps(), residual: record.residual(), energy: record.energy(), finite }
}

fn span(limits: Limits, beat: Time) -> Time {
    Time(limits.check_every.saturating_mul(beat.0))
}
