//! How a phase runs and why it ends, for each kind of phase. `network` says which is which.

use std::collections::BTreeMap;

use super::VirtualNetwork;
use super::census::{Census, Overseer, look};
use super::errand::{Counted, Errand, Reply};
use super::shard::Member;
use super::windows::{Course, Windows};
use crate::engine::EngineError;
use crate::engine::parts::join_reports;
use crate::math::Real;
use crate::settling::{Detector, Limits, PhaseRecord, StopReason, Stopper, Verdict};
use crate::signal::{Report, Repose};

impl<T: Real, M: Member<T> + Send> VirtualNetwork<T, M> {
    fn overseer(&self) -> Overseer {
        Overseer::new(self.now, self.beat, self.events_most)
    }

    /// Runs until nothing is left to happen, or until the overseer breaks it off; the reason if it was.
    fn run(&mut self, overseer: &mut Overseer) -> Result<Option<StopReason>, EngineError> {
        let (lookahead, threads) = (self.lookahead, self.threads);
        let starts = self.members.iter().map(|member| member.own().start as u32).collect();
        let mut windows = Windows { starts, lookahead, threads, log: self.log.as_mut() };
        let Course { events, now, broken } = windows.run(&mut self.members, overseer)?;
        self.events += events;
        overseer.events += events;
        self.now = self.now.max(now);
        Ok(broken)
    }

    /// One report per node, everything heard.
    fn count(&mut self) -> Result<Counted, EngineError> {
        let now = self.now;
        let mut all = Counted { reports: Vec::new(), waved: true, arrived: 0 };
        for reply in self.ask(|_| Errand::Count { now, drain: true })? {
            let Counted { reports, waved, arrived } = Reply::counted(reply)?;
            all.reports.extend(reports);
            (all.waved, all.arrived) = (all.waved && waved, all.arrived + arrived);
        }
        Ok(all)
    }

    /// The same with one report per layer.
    fn count_layers(&mut self) -> Result<Counted, EngineError> {
        let counted = self.count()?;
        Ok(Counted { reports: join_reports(&self.network, counted.reports), ..counted })
    }

    pub(super) fn wave(&mut self) -> Result<PhaseRecord, EngineError> {
        let broken = self.run(&mut self.overseer())?;
        let Counted { reports, waved, .. } = self.count_layers()?;
        let reason = match broken {
            Some(reason) => reason,
            None if reports.iter().any(|report| report.bad.is_some()) => StopReason::Diverged,
            None if waved => StopReason::Wave,
            None => StopReason::SignalsLost,
        };
        Ok(PhaseRecord { reason, reports })
    }

    pub(super) fn first_arrival(&mut self) -> Result<PhaseRecord, EngineError> {
        let broken = self.run(&mut self.overseer())?;
        let Counted { reports, arrived, .. } = self.count_layers()?;
        let arrived = arrived == self.network.depth();
        let reason = match broken {
            Some(reason) => reason,
            None if reports.iter().any(|report| report.bad.is_some()) => StopReason::Diverged,
            None if !arrived && unheard(&reports) => StopReason::SignalsLost,
            None => StopReason::StepBudget,
        };
        Ok(PhaseRecord { reason, reports })
    }

    pub(super) fn lock_step(&mut self, limits: Limits) -> Result<PhaseRecord, EngineError> {
        let mut stopper = Stopper::new(limits);
        let mut overseer = self.overseer();
        loop {
            let broken = self.run(&mut overseer)?;
            let record = PhaseRecord { reason: StopReason::StepBudget, reports: self.count_layers()?.reports };
            if let Some(reason) = broken.or_else(|| stopper.look(look(&record))) {
                return Ok(PhaseRecord { reason, ..record });
            }
            let next = stopper.next_look(record.steps()).expect("a used budget ends the phase");
            self.ask(|_| Errand::GoOn(next))?;
        }
    }

    pub(super) fn budget(&mut self) -> Result<PhaseRecord, EngineError> {
        let broken = self.run(&mut self.overseer())?;
        let reports = self.count_layers()?.reports;
        let bad = reports.iter().any(|report| report.bad.is_some());
        let reason = broken.unwrap_or(if bad { StopReason::Diverged } else { StopReason::StepBudget });
        Ok(PhaseRecord { reason, reports })
    }

    pub(super) fn rest(&mut self, limits: Limits) -> Result<PhaseRecord, EngineError> {
        let mut overseer = self.overseer();
        overseer.census = Some(Census::new(&self.network, limits, self.now, self.beat));
        let broken = self.run(&mut overseer)?;
        let reports = self.count()?.reports;
        let verdict = self.verdict(&reports)?;
        let reports = join_reports(&self.network, reports);
        let residual = reports.iter().map(|report| report.residual).fold(0.0, f64::max);
        let reason = match (broken, overseer.census.and_then(|census| census.halted)) {
            (Some(reason), _) | (None, Some(reason)) => reason,
            _ if reports.iter().any(|report| report.bad.is_some()) => StopReason::Diverged,
            _ if verdict == Verdict::Open => StopReason::SignalsLost,
            _ if residual <= limits.tolerance => StopReason::Settled,
            _ => StopReason::StepBudget,
        };
        Ok(PhaseRecord { reason, reports })
    }

    /// Quiet if everybody rests and nothing spoken is unheard. Groups report sums of versions, so their links are looked at one by one.
    fn verdict(&mut self, reports: &[Report]) -> Result<Verdict, EngineError> {
        if !self.network.is_cut() {
            let mut detector = Detector::new(self.phase, reports.len());
            return Ok(reports.iter().fold(Verdict::Open, |_, &report| detector.hear(report)));
        }
        let ends = self.ends()?;
        let heard: BTreeMap<u32, u64> = ends.iter().flat_map(|ends| ends.heard.iter().copied()).collect();
        let all_heard = ends
            .iter()
            .all(|ends| !ends.unheard && ends.spoken.iter().all(|(link, version)| heard.get(link) == Some(version)));
        let resting = reports.iter().all(|report| report.repose != Repose::Moving);
        Ok(if resting && all_heard { Verdict::Quiet } else { Verdict::Open })
    }
}

fn unheard(reports: &[Report]) -> bool {
    reports
        .windows(2)
        .any(|pair| pair[0].spoken.above != pair[1].heard.below || pair[1].spoken.below != pair[0].heard.above)
}
