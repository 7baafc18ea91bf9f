//! An equilibrium has no memory of the path: what a settled PC-Nudge network estimates is the same under any delay, jitter or loss.
//!
//! ```text
//! apart(D) = ‖ĝ(D) − ĝ(0)‖ / ‖ĝ(0)‖      ĝ(0): settled by the synchronous program, to the same tolerance
//! ```
//!
//! A residual of at most `tolerance` leaves states off by about tolerance/μ, and the estimate divides them by λ: estimates may be apart by
//! [`ROOM`] · tolerance/λ. The same network after a fixed number of steps is drawn beside it: there the path is remembered.

use super::summary::{self, Point, plain};
use super::trial::{Curve, Row, Words, rows};
use super::{Bench, Outcome, StudyError};
use crate::experiment::audit::algorithms::find;
use crate::plot::{Axis, Figure};
use crate::settling::StopReason;

/// Residual at which every layer rests.
const TOLERANCE: f64 = 1e-9;
/// How far apart two estimates may be, in tolerance/λ.
const ROOM: f64 = 100.0;
const VALUES: [f64; 8] = [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];

/// Settings for a mean delay.
type Law = fn(f64) -> Vec<String>;

/// Laws of the same mean delay, with what else befalls signals.
const LAWS: [(&str, Law); 4] = [
    ("settled, constant delay", |mean| vec![format!("links.delay={mean:?}")]),
    ("settled, uniform 0 … 2D", |mean| {
        vec![format!("links.delay={{ law = \"uniform\", low = 0.0, high = {:?} }}", 2.0 * mean)]
    }),
    ("settled, exponential, reordered", |mean| vec![exponential(mean), "links.reorder=true".to_owned()]),
    ("settled, exponential, 20 % lost", |mean| {
        vec![exponential(mean), "links.loss=0.2".to_owned(), format!("links.resend={:?}", 4.0 * mean + 1.0)]
    }),
];

fn exponential(mean: f64) -> String {
    // The law has no mean of zero; nothing under way is nothing to draw.
    if mean == 0.0 {
        "links.delay=0.0".to_owned()
    } else {
        format!("links.delay={{ law = \"exponential\", mean = {mean:?} }}")
    }
}

/// Settings that let a network come to rest.
pub(super) fn settled() -> Vec<String> {
    let words = [
        format!("inference.tolerance={TOLERANCE:e}"),
        "inference.max_infer_iters=1000000".to_owned(),
        "inference.plateau=0.0".to_owned(),
    ];
    words.to_vec()
}

pub(super) fn run(bench: &Bench<'_>) -> Result<Outcome, StudyError> {
    let algorithm = find("pc-nudge").ok_or_else(|| StudyError::Unfit("there is no algorithm pc-nudge".to_owned()))?;
    let values: Vec<f64> = if bench.quick { vec![0.0, 2.0, 8.0] } else { VALUES.to_vec() };
    let curve = |name: &str, always: Vec<String>, law: Law| {
        let words: Words =
            Box::new(move |mean, _, _| [vec!["schedule.mode=virtual-time".to_owned()], law(mean)].concat());
        Curve { name: name.to_owned(), algorithm, always, values: values.clone(), words }
    };
    let mut curves: Vec<Curve> = LAWS.iter().map(|(name, law)| curve(name, settled(), *law)).collect();
    curves.push(curve("a fixed number of steps, constant delay", Vec::new(), LAWS[0].1));
    let rows = rows(bench, &curves)?;
    bench.table(&rows)?;
    let drawn: Vec<(&str, Vec<Point>)> =
        curves.iter().map(|curve| (curve.name.as_str(), summary::points(&rows, curve, |row| row.apart))).collect();
    let figure = Figure {
        title: "PC-Nudge: how far a delay moves the estimate".to_owned(),
        x: Axis::log("mean delay of a signal D (τ)"),
        y: Axis::log("‖ĝ(D) − ĝ(0)‖ / ‖ĝ(0)‖, median and quartiles"),
        series: drawn.iter().map(|(name, points)| summary::series(name, points, (true, true))).collect(),
    };
    figure.write(bench.folder, bench.study.name)?;
    let nudge = bench.base()?.config.learning.nudge;
    let settled: Vec<&Row> = rows.iter().filter(|row| row.curve.starts_with("settled")).collect();
    let bar = ROOM * TOLERANCE / nudge;
    let most = settled.iter().filter_map(|row| row.apart).fold(0.0, f64::max);
    let at_rest = settled.iter().filter(|row| row.ended == Some(StopReason::Settled)).count();
    let found = format!(
        "settled to {TOLERANCE:e} under every delay, jitter and loss, estimates are at most {most:.1e} apart (bar {} · tolerance/λ = \
         {bar:.0e}); {at_rest} of {} trials settled",
        plain(ROOM),
        settled.len()
    );
    let mut findings = vec![bench.judged(&found, most <= bar && at_rest == settled.len())];
    findings.extend(drawn.last().and_then(|(_, points)| points.last()).and_then(|point| {
        let apart = point.quartiles?.median;
        Some(bench.found(&format!(
            "after a fixed number of steps the estimate remembers the path: {} apart at a delay of {} τ",
            plain(apart),
            plain(point.value)
        )))
    }));
    let left_out = summary::left_out(&rows, &curves);
    Ok(Outcome { findings, left_out, table: summary::markdown("mean delay (τ)", &drawn) })
}
