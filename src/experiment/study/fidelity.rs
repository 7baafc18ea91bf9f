//! Cosine to the exact gradient against one disturbance, a curve per algorithm: median and quartiles over seeds.
//!
//! An algorithm bears a disturbance up to the last amount before its median cosine has fallen by more than [`BAR`] below what it is
//! undisturbed: some estimates are no gradients by intention, and what is asked here is what asynchrony takes from them.

use super::disturbance::Disturbance;
use super::summary::{self, Point, Quartiles, plain};
use super::trial::{Curve, Row, rows};
use super::{Bench, Finding, Outcome, StudyError};
use crate::experiment::audit::algorithms::find;
use crate::plot::{Axis, Figure, Series};

/// PC-Nudge, clamped predictive coding, first arrival, equilibrium propagation, contrastive Hebbian learning.
pub(super) const ALGORITHMS: [&str; 5] = ["pc-nudge", "pc-clamped", "first-step", "ep", "chl"];

/// The fall of the median cosine that is still borne.
const BAR: f64 = 0.05;

pub(super) fn run(bench: &Bench<'_>, disturbance: &'static Disturbance) -> Result<Outcome, StudyError> {
    let curve = |&name: &&str| {
        let algorithm = find(name).ok_or_else(|| StudyError::Unfit(format!("there is no algorithm {name}")))?;
        let values = if bench.quick { disturbance.quick } else { disturbance.values };
        Ok(Curve {
            name: name.to_owned(),
            algorithm,
            always: Vec::new(),
            values: values.to_vec(),
            words: Box::new(disturbance.words),
        })
    };
    let curves = ALGORITHMS.iter().map(curve).collect::<Result<Vec<Curve>, StudyError>>()?;
    let rows = rows(bench, &curves)?;
    bench.table(&rows)?;
    let drawn: Vec<(&str, Vec<Point>)> = curves
        .iter()
        .map(|curve| (curve.name.as_str(), summary::points(&rows, curve, |row| row.cosine)))
        .filter(|(_, points)| points.iter().any(|point| point.quartiles.is_some()))
        .collect();
    let axis = if disturbance.log { Axis::log } else { Axis::linear };
    // An algorithm has the same colour in every study.
    let series = |(name, points): &(&str, Vec<Point>)| Series {
        place: curves.iter().position(|curve| curve.name == *name),
        ..summary::series(name, points, (disturbance.log, false))
    };
    let figure = Figure {
        title: disturbance.title.to_owned(),
        x: axis(disturbance.label),
        y: Axis::linear("cosine to the exact gradient, median and quartiles"),
        series: drawn.iter().map(series).collect(),
    };
    figure.write(bench.folder, bench.study.name)?;
    let findings =
        drawn.iter().map(|(name, points)| bench.found(&sentence(name, points, &rows, disturbance))).collect();
    let left_out = summary::left_out(&rows, &curves);
    Ok(Outcome { findings, left_out, table: summary::markdown(disturbance.label, &drawn) })
}

/// What an algorithm bears.
fn sentence(name: &str, points: &[Point], rows: &[Row], disturbance: &Disturbance) -> String {
    let undisturbed = rows.iter().filter(|row| row.curve == name).filter_map(|row| row.undisturbed).collect();
    let Some(Quartiles { median: undisturbed, .. }) = Quartiles::of(undisturbed) else {
        return format!("{name} has no undisturbed estimate to be held against");
    };
    let holds = |point: &&Point| point.quartiles.is_some_and(|found| found.median >= undisturbed - BAR);
    let last = points.iter().take_while(holds).last();
    let broken = points.iter().find(|point| !holds(point));
    let at = |value: f64| format!("{}{}", plain(value), disturbance.unit);
    let median = |point: &Point| point.quartiles.map_or("no estimate".to_owned(), |found| plain(found.median));
    let cosine = format!("{name} (cosine {} undisturbed)", plain(undisturbed));
    match (last, broken) {
        (Some(last), None) => {
            format!("{cosine} keeps it within {BAR} up to {}, the most that was tried", at(last.value))
        }
        (Some(last), Some(broken)) => {
            format!(
                "{cosine} keeps it within {BAR} up to {}; at {} it is {}",
                at(last.value),
                at(broken.value),
                median(broken)
            )
        }
        (None, _) => {
            let first =
                points.first().map_or(String::new(), |point| format!(": {} at {}", median(point), at(point.value)));
            format!("{cosine} loses more than {BAR} at the least that was tried{first}")
        }
    }
}

impl Bench<'_> {
    pub(super) fn found(&self, found: &str) -> Finding {
        Finding { study: self.study.name, found: found.to_owned(), holds: None }
    }

    pub(super) fn judged(&self, found: &str, holds: bool) -> Finding {
        Finding { study: self.study.name, found: found.to_owned(), holds: Some(holds) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::study::disturbance::DELAY;

    #[test]
    fn what_an_algorithm_bears_ends_where_it_first_falls() {
        let row = |value: f64| Row {
            curve: "a".to_owned(),
            algorithm: "a",
            seed: 0,
            value,
            cosine: None,
            apart: None,
            undisturbed: Some(0.9),
            steps: None,
            ended: None,
            oldest: None,
            mean_age: None,
            problem: None,
        };
        let point = |(value, median): (f64, Option<f64>)| Point {
            value,
            missing: 0,
            quartiles: median.map(|median| Quartiles { low: median, median, high: median }),
        };
        let said = |medians: &[(f64, Option<f64>)]| {
            let points: Vec<Point> = medians.iter().copied().map(point).collect();
            sentence("a", &points, &[row(0.0)], &DELAY)
        };
        // That it comes back later does not count.
        let fell = said(&[(1.0, Some(0.9)), (2.0, Some(0.86)), (4.0, Some(0.84)), (8.0, Some(0.9))]);
        assert!(fell.contains("up to 2 τ; at 4 τ it is 0.84"), "{fell}");
        assert!(said(&[(1.0, Some(0.9)), (2.0, None)]).contains("up to 1 τ; at 2 τ it is no estimate"));
        assert!(said(&[(1.0, Some(0.2))]).contains("loses more than 0.05 at the least that was tried: 0.2 at 1 τ"));
        assert!(said(&[(1.0, Some(0.95))]).contains("the most that was tried"));
    }
}
