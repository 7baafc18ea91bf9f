//! Counts of a free-running phase in which states chatter on a kink and so never rest: is the energy still falling?

use std::time::Duration;

use tokio::time::Instant;

use super::coordinator::look;
use crate::settling::{Limits, PhaseRecord, StopReason, Stopper};
use crate::signal::{Report, Repose};

/// Time between two counts.
const COUNT_EVERY: Duration = Duration::from_millis(5);

/// Counts of a free-running phase in which layers still move: one report of each, none of them at the same moment.
pub(super) struct Census {
    limits: Limits,
    stopper: Stopper,
    due: Instant,
    open: bool,
    count: Vec<Option<Report>>,
    before: Vec<u64>,
}

impl Census {
    pub(super) fn new(nodes: usize, limits: Limits) -> Self {
        let due = Instant::now() + COUNT_EVERY;
        let count = vec![None; nodes];
        Self { limits, stopper: Stopper::new(limits), due, open: false, count, before: vec![0; nodes] }
    }

    /// When the next count is to be taken, if at all.
    pub(super) fn due(&self, wanted: bool) -> Option<Instant> {
        let clause = self.limits.tolerance > 0.0 && self.limits.plateau > 0.0;
        (wanted && clause && !self.open).then_some(self.due)
    }

    pub(super) fn begin(&mut self) {
        self.open = true;
        self.count.fill(None);
    }

    /// Takes in a report; the reason if the phase has to be halted.
    pub(super) fn hear(&mut self, node: usize, report: Report) -> Option<StopReason> {
        if report.bad.is_some() {
            return Some(StopReason::Diverged);
        }
        if !self.open {
            return None;
        }
        self.count[node] = Some(report);
        let reports: Vec<Report> = self.count.iter().copied().collect::<Option<_>>()?;
        self.open = false;
        self.due = Instant::now() + COUNT_EVERY;
        // A slow machine is no plateau: whoever moves must have had time to move.
        let waited = |(report, before): (&Report, &u64)| {
            report.repose != Repose::Moving || report.step >= before + self.limits.check_every
        };
        if !reports.iter().zip(&self.before).all(waited) {
            return None;
        }
        self.before = reports.iter().map(|report| report.step).collect();
        let record = PhaseRecord { reason: StopReason::StepBudget, reports };
        let reason = self.stopper.look(look(&record));
        reason.filter(|reason| matches!(reason, StopReason::Plateau | StopReason::Diverged))
    }
}
