//! How a phase runs and why it ends, for each kind of phase. `network` says which is which.

use super::VirtualNetwork;
use super::census::{Census, Overseer, look};
use super::node::Node;
use super::shard::Member;
use super::windows::{Course, Windows};
use crate::engine::EngineError;
use crate::engine::parts::join_reports;
use crate::math::Real;
use crate::settling::{Detector, Limits, PhaseRecord, StopReason, Stopper, Verdict};
use crate::signal::{Report, Repose};

impl<T: Real> VirtualNetwork<T> {
    fn overseer(&self) -> Overseer {
        Overseer::new(self.now, self.beat, self.events_most)
    }

    /// Runs until nothing is left to happen, or until the overseer breaks it off; the reason if it was.
    fn run(&mut self, overseer: &mut Overseer) -> Result<Option<StopReason>, EngineError> {
        for shard in &mut self.shards {
            shard.stage.records = self.log.is_some().then(Vec::new);
        }
        let starts: Vec<u32> = self.shards.iter().map(|shard| shard.stage.own.start).collect();
        let (lookahead, threads) = (self.lookahead, self.threads);
        let mut windows = Windows { starts: &starts, lookahead, threads, log: self.log.as_mut() };
        let Course { events, now, broken } = windows.run(&mut self.shards, overseer)?;
        self.events += events;
        overseer.events += events;
        self.now = self.now.max(now);
        Ok(broken)
    }

    /// One report per layer.
    fn reports(&mut self) -> Result<Vec<Report>, EngineError> {
        let reports = self.reports_of_nodes()?;
        Ok(join_reports(&self.network, reports))
    }

    fn reports_of_nodes(&mut self) -> Result<Vec<Report>, EngineError> {
        let mut reports = Vec::new();
        for shard in &mut self.shards {
            reports.extend(shard.count(self.now, true)?);
        }
        Ok(reports)
    }

    pub(super) fn wave(&mut self) -> Result<PhaseRecord, EngineError> {
        let broken = self.run(&mut self.overseer())?;
        let reports = self.reports()?;
        let reason = match broken {
            Some(reason) => reason,
            None if reports.iter().any(|report| report.bad.is_some()) => StopReason::Diverged,
            None if self.nodes().all(Node::has_waved) => StopReason::Wave,
            None => StopReason::SignalsLost,
        };
        Ok(PhaseRecord { reason, reports })
    }

    pub(super) fn first_arrival(&mut self) -> Result<PhaseRecord, EngineError> {
        let broken = self.run(&mut self.overseer())?;
        let arrived: usize = self.shards.iter().map(|shard| shard.stage.arrived).sum();
        let arrived = arrived == self.network.depth();
        let reports = self.reports()?;
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
            let record = PhaseRecord { reason: StopReason::StepBudget, reports: self.reports()? };
            if let Some(reason) = broken.or_else(|| stopper.look(look(&record))) {
                return Ok(PhaseRecord { reason, ..record });
            }
            let next = stopper.next_look(record.steps()).expect("a used budget ends the phase");
            for shard in &mut self.shards {
                shard.nodes.iter_mut().for_each(|node| node.go_on(next, &mut shard.stage));
            }
        }
    }

    pub(super) fn budget(&mut self) -> Result<PhaseRecord, EngineError> {
        let broken = self.run(&mut self.overseer())?;
        let reports = self.reports()?;
        let bad = reports.iter().any(|report| report.bad.is_some());
        let reason = broken.unwrap_or(if bad { StopReason::Diverged } else { StopReason::StepBudget });
        Ok(PhaseRecord { reason, reports })
    }

    pub(super) fn rest(&mut self, limits: Limits) -> Result<PhaseRecord, EngineError> {
        let mut overseer = self.overseer();
        overseer.census = Some(Census::new(&self.network, limits, self.now, self.beat));
        let broken = self.run(&mut overseer)?;
        let reports = self.reports_of_nodes()?;
        let verdict = self.verdict(&reports);
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
    fn verdict(&self, reports: &[Report]) -> Verdict {
        if !self.network.is_cut() {
            let mut detector = Detector::new(self.phase, reports.len());
            return reports.iter().fold(Verdict::Open, |_, &report| detector.hear(report));
        }
        let heard = self.heard();
        let mut outlets = self.nodes().flat_map(Node::sides).map(|side| &side.outlet);
        let all_heard = outlets.all(|outlet| outlet.version() == heard[outlet.link as usize]);
        let resting = reports.iter().all(|report| report.repose != Repose::Moving);
        if resting && all_heard { Verdict::Quiet } else { Verdict::Open }
    }
}

fn unheard(reports: &[Report]) -> bool {
    reports
        .windows(2)
        .any(|pair| pair[0].spoken.above != pair[1].heard.below || pair[1].spoken.below != pair[0].heard.above)
}
