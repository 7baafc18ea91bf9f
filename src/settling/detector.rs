//! The coordinator's side of the settling protocol for free-running layers.
//!
//! ```text
//! quiet    every layer's newest report says it rests, and for every link and direction
//!          last version spoken (by its sender's report) = last version heard (by its receiver's report)
//! settled  quiet, every residual ≤ tolerance, and a recount says the same once more
//! ```
//!
//! Why one look is enough: suppose some layer did anything after the report held here; take the earliest such layer. It was
//! stirred by version v on some link, and v is newer than what its report had heard, which equals what the sender's report had
//! spoken. So the sender spoke after its own report, earlier: contradiction. Hence all layers are frozen since their reports,
//! nothing spoken is unheard, and the residuals belong to one consistent state. Versions are compared, not messages counted, so
//! signals may be replaced by newer ones on the way. Loss or delay can hold a declaration up but never make it false.
//!
//! The two tempting rules, "all reported residuals are small" and "as many heard as spoken in sum", are wrong, and so is taking
//! in a report without looking at its phase: `tests/it/settling.rs` finds the shortest counterexample to each.

use crate::signal::{Report, Repose};

/// What the coordinator may conclude.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Some layer moves or some signal is unheard.
    Open,
    /// Every layer is at rest and nothing is unheard.
    Quiet,
}

/// The newest report of every layer, in one phase.
#[derive(Clone, Debug)]
pub struct Detector {
    phase: u64,
    reports: Vec<Option<Report>>,
}

impl Detector {
    /// At the beginning of phase `phase` of a network with `layers` layers.
    pub fn new(phase: u64, layers: usize) -> Self {
        Self { phase, reports: vec![None; layers] }
    }

    /// Takes in a report; one of another phase is dropped.
    pub fn hear(&mut self, report: Report) -> Verdict {
        if report.phase == self.phase && report.layer < self.reports.len() {
            let layer = report.layer;
            self.reports[layer] = Some(report);
        }
        self.verdict()
    }

    /// Forgets all reports, so that a recount has to come from every layer.
    pub fn recount(&mut self) {
        self.reports.fill(None);
    }

    /// The conclusion from the reports held.
    pub fn verdict(&self) -> Verdict {
        let resting = self.reports.iter().all(|report| report.is_some_and(|report| report.repose != Repose::Moving));
        if resting && self.unheard().is_none() { Verdict::Quiet } else { Verdict::Open }
    }

    /// The first link on which something spoken was not heard, as `(from, to)`, among the layers that have reported.
    pub fn unheard(&self) -> Option<(usize, usize)> {
        self.reports.windows(2).enumerate().find_map(|(lower, pair)| {
            let (below, above) = (pair[0]?, pair[1]?);
            if below.spoken.above != above.heard.below {
                Some((lower, lower + 1))
            } else if above.spoken.below != below.heard.above {
                Some((lower + 1, lower))
            } else {
                None
            }
        })
    }

    /// The reports held, in the order of the layers; `None` unless every layer has reported.
    pub fn reports(&self) -> Option<Vec<Report>> {
        self.reports.iter().copied().collect()
    }

    /// Layers that have not reported or move.
    pub fn restless(&self) -> Vec<usize> {
        let restless = |report: &Option<Report>| report.is_none_or(|report| report.repose == Repose::Moving);
        (0..self.reports.len()).filter(|&layer| restless(&self.reports[layer])).collect()
    }
}
