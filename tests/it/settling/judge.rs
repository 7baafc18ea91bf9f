//! Oracle: the real `Detector`, and beside it the rules that look right and are not.

use asynapse::settling::{Detector, Verdict};
use asynapse::signal::{Report, Repose, Versions};

/// What every case but one allows as a residual: half of it stops a layer, all of it leaves it stopped.
pub(super) const TOLERANCE: f64 = 2.0;

/// When a network is declared quiet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Rule {
    /// The one in use.
    Detector,
    /// Tempting: every layer has reported a small residual.
    SmallResiduals,
    /// Tempting: every layer has reported that it rests, and as many versions were heard as spoken, in sum.
    Sums,
    /// Tempting: the one in use, with reports of any phase.
    AnyPhase,
}

/// A coordinator's view of one phase.
#[derive(Clone, Debug)]
pub(super) struct Judge {
    rule: Rule,
    phase: u64,
    detector: Detector,
    newest: Vec<Option<Report>>,
}

impl Judge {
    pub(super) fn new(rule: Rule, phase: u64, layers: usize) -> Self {
        Self { rule, phase, detector: Detector::new(phase, layers), newest: vec![None; layers] }
    }

    /// Begins the next phase.
    pub(super) fn next(&mut self) {
        *self = Self::new(self.rule, self.phase + 1, self.newest.len());
    }

    /// Asks everyone once more.
    pub(super) fn recount(&mut self) {
        self.detector.recount();
        self.newest.fill(None);
    }

    /// Takes in a report; true if that makes the network quiet.
    pub(super) fn hear(&mut self, report: Report) -> bool {
        match self.rule {
            Rule::Detector => self.detector.hear(report) == Verdict::Quiet,
            Rule::AnyPhase => self.detector.hear(Report { phase: self.phase, ..report }) == Verdict::Quiet,
            Rule::SmallResiduals | Rule::Sums => {
                if report.phase == self.phase {
                    self.newest[report.layer] = Some(report);
                }
                self.is_quiet()
            }
        }
    }

    pub(super) fn is_quiet(&self) -> bool {
        let all = || self.newest.iter().flatten();
        let complete = all().count() == self.newest.len();
        let sum = |versions: fn(&Report) -> Versions| all().map(versions).map(|v| v.above + v.below).sum::<u64>();
        match self.rule {
            Rule::Detector | Rule::AnyPhase => self.detector.verdict() == Verdict::Quiet,
            Rule::SmallResiduals => complete && all().all(|report| report.residual <= TOLERANCE),
            Rule::Sums => {
                let rest = all().all(|report| report.repose != Repose::Moving);
                complete && rest && sum(|report| report.spoken) == sum(|report| report.heard)
            }
        }
    }

    /// What was reported, in the order of the layers.
    pub(super) fn reports(&self) -> Option<Vec<Report>> {
        match self.rule {
            Rule::Detector | Rule::AnyPhase => self.detector.reports(),
            Rule::SmallResiduals | Rule::Sums => self.newest.iter().copied().collect(),
        }
    }
}
