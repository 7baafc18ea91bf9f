//! The coordinator's side of a free-running phase of groups: it waits for the one message that nothing is outstanding, then asks every
//! group for a report.
//!
//! The reports are taken when nobody can move, so they belong to one state of the network, and they are checked against each other: on
//! each side of each layer the sum of the versions spoken there must be the sum of the versions heard, by every listener. A version heard is
//! never newer than the one spoken, so at one moment the sums are equal only if every single one is. If they are not, the count was wrong,
//! and the phase ends with an error instead of a verdict.

use super::EngineError;
use super::actor::News;
use super::census::Census;
use super::coordinator::{Coordinator, reason_at_rest};
use super::parts::join_reports;
use crate::math::Real;
use crate::network::NetworkSpec;
use crate::settling::{Limits, PhaseRecord, StopReason};
use crate::signal::{Directive, Report, Repose};

/// Reports that were asked for, one from every node each time.
struct Asked {
    reports: Vec<Option<Report>>,
    owed: usize,
}

impl<T: Real> Coordinator<T> {
    /// Runs groups until nothing is outstanding.
    pub(super) async fn free_groups(&mut self, limits: Limits) -> Result<PhaseRecord, EngineError> {
        let mut census = Census::new(self.nodes(), limits);
        let mut asked = Asked { reports: vec![None; self.nodes()], owed: 0 };
        let (mut halted, mut quiet) = (None, false);
        loop {
            let counting = !quiet && halted.is_none();
            let stopped = match self.next_news(census.due(counting)).await? {
                None => {
                    census.begin();
                    self.ask(&mut asked)?;
                    None
                }
                Some(News::Bad(phase)) if phase == self.phase => Some(StopReason::Diverged),
                Some(News::Quiet(phase)) if phase == self.phase => {
                    quiet = true;
                    // Answers to an earlier question may still come; those to this one come after them.
                    self.ask(&mut asked)?;
                    None
                }
                Some(News::Report(report)) if report.phase == self.phase => {
                    let node = self.first_nodes[report.layer] + report.group;
                    asked.reports[node] = Some(*report);
                    asked.owed -= 1;
                    census.hear(node, *report)
                }
                Some(_) => None,
            };
            if let (None, Some(reason), false) = (halted, stopped, quiet) {
                halted = Some(reason);
                self.tell_all(|| Directive::Halt)?;
            }
            if quiet && asked.owed == 0 {
                let reports: Vec<Report> = asked.reports.into_iter().flatten().collect();
                return self.judge(reports, halted, limits);
            }
        }
    }

    /// Everybody is to report.
    fn ask(&self, asked: &mut Asked) -> Result<(), EngineError> {
        asked.owed += self.nodes();
        self.tell_all(|| Directive::Recount)
    }

    fn judge(
        &self,
        reports: Vec<Report>,
        halted: Option<StopReason>,
        limits: Limits,
    ) -> Result<PhaseRecord, EngineError> {
        let still = reports.iter().all(|report| report.repose != Repose::Moving);
        if !still || !all_is_heard(&self.network, &self.first_nodes, &reports) || self.outstanding.count() > 0 {
            return Err(EngineError::Recount { phase: self.phase });
        }
        let bad = reports.iter().any(|report| report.bad.is_some());
        let reports = join_reports(&self.network, reports);
        let reason = match halted {
            _ if bad => StopReason::Diverged,
            Some(reason) => reason,
            None => reason_at_rest(&reports, limits),
        };
        Ok(PhaseRecord { reason, reports })
    }
}

/// True if on both sides of every layer every listener has heard the last that every speaker has said.
fn all_is_heard(network: &NetworkSpec, first_nodes: &[usize], reports: &[Report]) -> bool {
    let of = |layer: usize| &reports[first_nodes[layer]..first_nodes[layer] + network.groups(layer)];
    (0..network.depth()).all(|lower| {
        let (below, above) = (of(lower), of(lower + 1));
        let up: u64 = below.iter().map(|report| report.spoken.above).sum();
        let down: u64 = above.iter().map(|report| report.spoken.below).sum();
        above.iter().all(|report| report.heard.below == up) && below.iter().all(|report| report.heard.above == down)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::energy::{Activation, Loss};
    use crate::network::Grouping;
    use crate::signal::Versions;

    fn report(layer: usize, group: usize, spoken: [u64; 2], heard: [u64; 2]) -> Report {
        let versions = |[below, above]: [u64; 2]| Versions { above, below };
        Report {
            layer,
            group,
            phase: 1,
            step: 0,
            residual: 0.0,
            unsettled: 0,
            energy: 0.0,
            score: None,
            bad: None,
            spoken: versions(spoken),
            heard: versions(heard),
            repose: Repose::Settled,
            staleness: 0,
        }
    }

    #[test]
    fn one_version_unheard_by_one_listener_is_noticed() {
        let network = NetworkSpec::new(&[2, 2, 1], Activation::Tanh, Loss::SquaredError).expect("a network");
        let network = network.with_groups(Grouping::Neuron);
        let reports = vec![
            report(0, 0, [0, 3], [0, 9]),
            report(0, 1, [0, 2], [0, 9]),
            report(1, 0, [4, 7], [5, 6]),
            report(1, 1, [5, 1], [5, 6]),
            report(2, 0, [6, 0], [8, 0]),
        ];
        assert!(all_is_heard(&network, &[0, 2, 4], &reports));
        for (node, heard) in [(0, [0, 8]), (3, [4, 6]), (3, [5, 5]), (4, [7, 0])] {
            let mut reports = reports.clone();
            reports[node].heard = Versions { below: heard[0], above: heard[1] };
            assert!(!all_is_heard(&network, &[0, 2, 4], &reports), "node {node} {heard:?}");
        }
    }
}
