//! What predictive coding with a global clock reports of itself: residuals, energies, the score, and numbers that are not finite.

use super::{Coding, blank};
use crate::energy::Score;
use crate::math::{Real, extent, sum_of_squares, values};
use crate::reference::looks::note_bad;
use crate::reference::shares::sum_of_groups;
use crate::signal::{BadNumber, Report};

impl<T: Real> Coding<T> {
    pub(super) fn find_bad(&self, step: u64, bad: &mut [Option<BadNumber>]) {
        let depth = self.network.depth();
        for (l, slot) in bad.iter_mut().enumerate().skip(1) {
            note_bad(slot, step, if l < depth { &self.drive[l] } else { &self.e[l - 1] });
        }
    }

    pub(super) fn reports(&self, step: u64, nudge: f64, tolerance: f64, bad: &[Option<BadNumber>]) -> Vec<Report> {
        let depth = self.network.depth();
        let tolerance = T::of(tolerance);
        (0..=depth)
            .map(|l| {
                let mut report = Report { layer: l, step, bad: bad[l], ..blank() };
                if l == depth {
                    let score = self.score();
                    report.score = Some(score);
                    report.energy = T::of(nudge).wide() * score.loss;
                } else if l > 0 {
                    report.residual = extent(values(&self.drive[l])).largest;
                    report.unsettled = self.drive[l].iter().filter(|drive| drive.abs() > tolerance).count();
                    let e = &self.e[l - 1];
                    report.energy = self.precisions.energy(l, e).unwrap_or_else(|| {
                        let precision = self.network.precision(l);
                        sum_of_groups(&self.network, l, (e, e), |e, _| 0.5 * sum_of_squares(e) / precision)
                    });
                }
                if !self.network.descends_an_energy() {
                    report.energy = 0.0;
                }
                report
            })
            .collect()
    }

    fn score(&self) -> Score {
        let depth = self.network.depth();
        self.network.loss().score(self.network.activation(depth), &self.a[depth - 1], &self.target)
    }
}
