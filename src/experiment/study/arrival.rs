//! Reading at the first arrival, where it breaks: when signals overtake each other, and when they are lost.
//!
//! A layer that has moved says an error for the first time; the layer below reads its product and moves. A second error of the layer above
//! answers that move, so it can't be said before the first was heard: where errors are zero before, no delay, jitter or reordering can
//! put another one in front, and the estimate is backpropagation's. What breaks it is an error that is lost and never said again, and
//! errors that are left of a free phase that was relaxed instead of computed: then the first to arrive is no news at all.
//!
//! ```text
//! reordering    gamma delays of mean 4 τ, over their standard deviation / mean, with and without overtaking, and after a relaxed phase
//! loss          p on errors only, or on every signal; sent again after 8 τ or never
//! ```
//!
//! PC-Nudge, settled under the same laws, is drawn beside it: an equilibrium does not ask who came first.

use super::disturbance::gamma as gamma_of;
use super::equilibrium::settled;
use super::summary::{self, Point, plain};
use super::trial::{Curve, Row, Words, rows};
use super::{Bench, Finding, Outcome, StudyError};
use crate::experiment::audit::algorithms::find;
use crate::plot::{Axis, Figure};

/// Estimates with this cosine are the gradient.
const EXACT: f64 = 1.0 - 1e-9;
const RATIOS: [f64; 9] = [0.0, 0.125, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0];
const LOSSES: [f64; 9] = [0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6];

/// A curve: its figure, name, algorithm, and settings.
type Case = (&'static str, &'static str, &'static str, fn(f64, usize) -> Vec<String>);

const ORDER: &str = "reordering";
const LOSS: &str = "loss";
/// What has to be exact: nothing is lost for good, and errors are zero before.
const EXACT_CASES: [&str; 5] = [
    "first arrival, in order",
    "first arrival, reordered",
    "first arrival, reordered, bare errors",
    "first arrival, errors lost, sent again",
    "first arrival, all lost, sent again",
];

const CASES: [Case; 9] = [
    (ORDER, "first arrival, in order", "first-step", |ratio, _| vec![gamma(ratio)]),
    (ORDER, "first arrival, reordered", "first-step", |ratio, _| vec![gamma(ratio), reordered()]),
    (ORDER, "first arrival, reordered, bare errors", "first-step", |ratio, _| {
        vec![gamma(ratio), reordered(), "links.message=error".to_owned()]
    }),
    (ORDER, "first arrival, reordered, free phase relaxed", "first-step", |ratio, _| {
        vec![gamma(ratio), reordered(), "inference.free_phase=relax".to_owned()]
    }),
    (ORDER, "PC-Nudge, settled, reordered", "pc-nudge", |ratio, _| vec![gamma(ratio), reordered()]),
    (LOSS, "first arrival, errors lost", "first-step", |loss, depth| errors_lost(loss, depth, false)),
    (LOSS, "first arrival, errors lost, sent again", "first-step", |loss, depth| errors_lost(loss, depth, true)),
    (LOSS, "first arrival, all lost, sent again", "first-step", |loss, _| all_lost(loss)),
    (LOSS, "PC-Nudge, settled, all lost, sent again", "pc-nudge", |loss, _| all_lost(loss)),
];

fn gamma(ratio: f64) -> String {
    gamma_of(4.0, ratio)
}

fn reordered() -> String {
    "links.reorder=true".to_owned()
}

fn errors_lost(loss: f64, depth: usize, again: bool) -> Vec<String> {
    let down = (0..depth).map(|lower| format!("links.\"{}->{lower}\".loss={loss:?}", lower + 1));
    let resend = again.then(|| "links.resend=8.0".to_owned());
    std::iter::once("links.delay=1.0".to_owned()).chain(down).chain(resend).collect()
}

fn all_lost(loss: f64) -> Vec<String> {
    vec!["links.delay=1.0".to_owned(), format!("links.loss={loss:?}"), "links.resend=8.0".to_owned()]
}

pub(super) fn run(bench: &Bench<'_>) -> Result<Outcome, StudyError> {
    let curve = |&(figure, name, algorithm, law): &Case| {
        let algorithm =
            find(algorithm).ok_or_else(|| StudyError::Unfit(format!("there is no algorithm {algorithm}")))?;
        let always = if algorithm.name == "pc-nudge" { settled() } else { Vec::new() };
        let full: &[f64] = if figure == ORDER { &RATIOS } else { &LOSSES };
        let quick: &[f64] = if figure == ORDER { &[0.0, 0.5, 2.0] } else { &[0.0, 0.3] };
        let values = if bench.quick { quick } else { full }.to_vec();
        let words: Words = Box::new(move |value, _, depth| {
            [vec!["schedule.mode=virtual-time".to_owned()], law(value, depth)].concat()
        });
        Ok(Curve { name: name.to_owned(), algorithm, always, values, words })
    };
    let curves = CASES.iter().map(curve).collect::<Result<Vec<Curve>, StudyError>>()?;
    let rows = rows(bench, &curves)?;
    bench.table(&rows)?;
    let mut table = String::new();
    for (figure, label, title) in [
        (
            ORDER,
            "standard deviation of the delay / mean",
            "First arrival under jitter: delays of mean 4 τ from a gamma law",
        ),
        (LOSS, "probability of loss p", "First arrival under loss: delay 1 τ, sent again after 8 τ"),
    ] {
        let drawn: Vec<(&str, Vec<Point>)> = CASES
            .iter()
            .zip(&curves)
            .filter(|((own, ..), _)| *own == figure)
            .map(|(_, curve)| (curve.name.as_str(), summary::points(&rows, curve, |row| row.cosine)))
            .collect();
        let drawing = Figure {
            title: title.to_owned(),
            x: Axis::linear(label),
            y: Axis::linear("cosine to backpropagation, median and quartiles"),
            series: drawn.iter().map(|(name, points)| summary::series(name, points, (false, false))).collect(),
        };
        drawing.write(bench.folder, &format!("{}-{figure}", bench.study.name))?;
        table.push_str(&format!("{}\n", summary::markdown(label, &drawn)));
    }
    let findings = curves.iter().filter_map(|curve| finding(bench, curve, &rows)).collect();
    Ok(Outcome { findings, left_out: summary::left_out(&rows, &curves), table })
}

fn finding(bench: &Bench<'_>, curve: &Curve, rows: &[Row]) -> Option<Finding> {
    let own: Vec<&Row> = rows.iter().filter(|row| row.curve == curve.name).collect();
    let least = own.iter().filter_map(|row| row.cosine).fold(f64::INFINITY, f64::min);
    let exact = own.iter().filter(|row| row.cosine.is_some_and(|cosine| cosine >= EXACT)).count();
    let counted =
        format!("{exact} of {} estimates are backpropagation's; the least cosine is {}", own.len(), plain(least));
    if EXACT_CASES.contains(&curve.name.as_str()) {
        return Some(bench.judged(&format!("{}: {counted}", curve.name), exact == own.len()));
    }
    if curve.algorithm.name == "pc-nudge" {
        let most = own.iter().filter_map(|row| row.cosine).fold(f64::NEG_INFINITY, f64::max);
        return Some(bench.found(&format!("{}: every cosine is from {least:.6} to {most:.6}", curve.name)));
    }
    let points = summary::points(rows, curve, |row| row.cosine);
    let median = |point: &Point| point.quartiles.map_or(f64::NAN, |found| found.median);
    let broken = points.iter().find(|point| point.quartiles.is_none_or(|found| found.median < 0.99));
    let last = points.last()?;
    let breaks = match broken {
        Some(point) => format!("the median falls below 0.99 at {}", plain(point.value)),
        None => "no median falls below 0.99".to_owned(),
    };
    let end = format!("at {} it is {}", plain(last.value), plain(median(last)));
    Some(bench.found(&format!("{}: {breaks}, {end}; {counted}", curve.name)))
}
