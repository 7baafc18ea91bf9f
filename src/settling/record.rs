//! What is kept of a phase: why it ended, and every layer's last report.

use super::StopReason;
use crate::energy::Score;
use crate::signal::{BadNumber, Report};

/// A phase that is over.
#[derive(Clone, Debug, PartialEq)]
pub struct PhaseRecord {
    /// Why it ended.
    pub reason: StopReason,
    /// One report per layer, in the order of the layers.
    pub reports: Vec<Report>,
}

impl PhaseRecord {
    /// Most steps that any layer took (`n_infer_iters`).
    pub fn steps(&self) -> u64 {
        self.reports.iter().map(|report| report.step).max().unwrap_or(0)
    }

    /// Largest residual of any layer.
    pub fn residual(&self) -> f64 {
        self.reports.iter().map(|report| report.residual).fold(0.0, f64::max)
    }

    /// Total energy over the batch, summed in the order of the layers.
    pub fn energy(&self) -> f64 {
        self.reports.iter().map(|report| report.energy).sum()
    }

    /// Loss and accuracy at the output.
    pub fn score(&self) -> Option<Score> {
        self.reports.last().and_then(|report| report.score)
    }

    /// The first number that was not finite: the earliest step, and within it the highest layer, where errors come from.
    pub fn bad(&self) -> Option<(usize, BadNumber)> {
        let bad = self.reports.iter().rev().filter_map(|report| Some((report.layer, report.bad?)));
        bad.min_by_key(|(_, bad)| bad.step)
    }

    /// Layers by residual, largest first, those above `tolerance` only.
    pub fn slowest(&self, tolerance: f64) -> Vec<usize> {
        let mut slow: Vec<&Report> = self.reports.iter().filter(|report| report.residual > tolerance).collect();
        slow.sort_by(|a, b| b.residual.total_cmp(&a.residual).then(a.layer.cmp(&b.layer)));
        slow.into_iter().map(|report| report.layer).collect()
    }
}
