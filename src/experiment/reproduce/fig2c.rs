//! Figure 2C: how far the equilibria are apart, against how far the estimate is from the gradient.
//!
//! ```text
//! Σ_l ‖x_l^λ − x̄_l‖ over hidden layers    against    ‖ĝ(λ) − g‖ over all parameters       (appendix A.1.1)
//! ```
//!
//! One image, several initialisations, λ from 1 down; run to tolerance in double precision, so that nothing but λ is seen. Beyond the
//! paper: the same for every algorithm, on a smooth network of the same ends.

use serde::Serialize;

use super::algorithms::ALGORITHMS;
use super::measure::{apart, counted, fit_log, run as run_plan, settled};
use super::{Bench, ReproduceError, Verdict};
use crate::experiment::machine::closeness;
use crate::math::Field;
use crate::math::random::{Purpose, Stream};
use crate::plot::{Axis, Figure, Series, Style};
use crate::reference::backprop;
use crate::rule::{FreePhase, Nudging, Plan, RuleName};
use crate::settling::{Limits, StopReason};

const LAMBDAS: [f64; 9] = [1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.001];
/// Strengths of the other algorithms, and of their hidden layers.
const STRENGTHS: [f64; 7] = [0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005];
const HIDDEN: [usize; 2] = [32, 16];
/// The error counts as linear if its power is this close to one.
const BAR: f64 = 0.1;

#[derive(Clone, Serialize)]
struct Row {
    algorithm: &'static str,
    seed: u64,
    sample: usize,
    strength: f64,
    equilibrium_distance: f64,
    gradient_distance: f64,
    relative_error: f64,
    steps: u64,
    ended: StopReason,
}

const PAPERS: &str = "pc-nudge";

pub(super) fn run(bench: &mut Bench<'_>) -> Result<Vec<Verdict>, ReproduceError> {
    // A randomly selected image, the same for all initialisations.
    let sample = Stream::new(bench.config.seed, Purpose::Trial, 2).below(bench.splits.train.len());
    let (data, target) = bench.splits.train.batch::<f64>(&[sample]);
    let mut rows = Vec::new();
    for seed in bench.seeds(10) {
        papers(bench, seed, sample, (&data, &target), &mut rows)?;
    }
    for algorithm in 0..ALGORITHMS.len() {
        for seed in bench.seeds(10).into_iter().take(if bench.quick { 1 } else { 3 }) {
            others(bench, algorithm, (seed, sample), (&data, &target), &mut rows)?;
        }
    }
    bench.table("fig2c-measured.csv", &rows)?;
    draw(bench, &rows)?;
    Ok(judge(&rows))
}

/// PC-Nudge on the configured network.
fn papers(
    bench: &Bench<'_>,
    seed: u64,
    sample: usize,
    batch: (&Field<f64>, &Field<f64>),
    rows: &mut Vec<Row>,
) -> Result<(), ReproduceError> {
    let network = &bench.network;
    let weights = bench.weights::<f64>(seed);
    let exact = backprop::gradient(network, &weights, batch.0, batch.1).parameters;
    let mut machine = bench.machine(network, weights)?;
    for strength in LAMBDAS.into_iter().step_by(if bench.quick { 2 } else { 1 }) {
        let plan = Plan::named(RuleName::PcNudge, network, strength, Nudging::OneSided, FreePhase::Forward);
        let plan = plan.ok().flatten().expect("predictive coding has a nudged plan");
        let ran = run_plan(&mut machine, &plan, settled(1e-8, strength, 5000), batch)?;
        let (_, whole) = closeness(&ran.estimate, &exact);
        let hidden = 1..network.depth();
        rows.push(Row {
            algorithm: PAPERS,
            seed,
            sample,
            strength,
            equilibrium_distance: apart(&ran.states[0][hidden.clone()], &ran.states[1][hidden]),
            gradient_distance: whole.distance,
            relative_error: whole.relative_distance,
            steps: ran.end().0,
            ended: ran.worst(),
        });
    }
    Ok(())
}

fn others(
    bench: &Bench<'_>,
    index: usize,
    (seed, sample): (u64, usize),
    batch: (&Field<f64>, &Field<f64>),
    rows: &mut Vec<Row>,
) -> Result<(), ReproduceError> {
    let algorithm = ALGORITHMS[index];
    let widths = [&[batch.0.nrows()], &HIDDEN[..], &[batch.1.nrows()]].concat();
    let network = algorithm.network(&widths, 1.0)?;
    let weights = network.initial_weights(bench.config.model.init, seed);
    let problem = algorithm.problem(&widths, weights, (batch.0.clone(), batch.1.clone()))?;
    let strengths = if algorithm.order.is_some() { &STRENGTHS[..] } else { &[1.0] };
    for &strength in strengths.iter().step_by(if bench.quick { 2 } else { 1 }) {
        let limits = Limits::tolerance(1e-12, 100_000);
        let found = algorithm.run(&problem, strength, limits, |network, weights| bench.machine(network, weights))?;
        rows.push(Row {
            algorithm: algorithm.name,
            seed,
            sample,
            strength,
            equilibrium_distance: found.moved,
            gradient_distance: found.distance,
            relative_error: found.relative_error,
            steps: found.steps,
            ended: found.ended,
        });
    }
    Ok(())
}

fn points(rows: &[Row], algorithm: &str, seed: u64, y: fn(&Row) -> f64) -> Vec<(f64, f64)> {
    let own = rows.iter().filter(|row| row.algorithm == algorithm && row.seed == seed);
    own.map(|row| (row.equilibrium_distance, y(row))).collect()
}

fn seeds(rows: &[Row]) -> Vec<u64> {
    let mut seeds: Vec<u64> = rows.iter().filter(|row| row.algorithm == PAPERS).map(|row| row.seed).collect();
    seeds.dedup();
    seeds
}

fn draw(bench: &Bench<'_>, rows: &[Row]) -> Result<(), ReproduceError> {
    let of_seed = |seed: u64| {
        Series::new(
            format!("initialisation {seed}"),
            points(rows, PAPERS, seed, |row| row.gradient_distance),
            Style::Marked,
        )
    };
    let series: Vec<Series> = seeds(rows).into_iter().map(of_seed).collect();
    let (x, y) = ("Σ ‖x − x̄‖ between the equilibria", "‖ĝ − g‖");
    for (stem, x, y) in [("fig2c", Axis::log(x), Axis::log(y)), ("fig2c-linear", Axis::linear(x), Axis::linear(y))] {
        let title = "Fig. 2C: distance of equilibria and of gradients, one image".to_owned();
        Figure { title, x, y, series: series.clone() }.write(bench.folder, stem)?;
    }
    let first = bench.config.seed;
    // Below half a unit in the last place no error can be told from none, and a logarithm needs some.
    let error: fn(&Row) -> f64 = |row| row.relative_error.max(0.5 * f64::EPSILON);
    let of = |name: &str| Series::new(name, points(rows, name, first, error), Style::Marked);
    let algorithms = Figure {
        title: format!(
            "Every algorithm, {} hidden units, initialisation {first}",
            HIDDEN.map(|n| n.to_string()).join(" and ")
        ),
        x: Axis::log(x),
        y: Axis::log("‖ĝ − g‖ / ‖g‖"),
        series: ALGORITHMS.iter().map(|algorithm| of(algorithm.name)).collect(),
    };
    algorithms.write(bench.folder, "fig2c-algorithms")?;
    Ok(())
}

fn judge(rows: &[Row]) -> Vec<Verdict> {
    let near = rows.iter().filter(|row| row.strength <= 0.1).cloned().collect::<Vec<_>>();
    let powers: Vec<f64> = seeds(rows)
        .into_iter()
        .map(|seed| fit_log(&points(&near, PAPERS, seed, |row| row.gradient_distance)).slope)
        .collect();
    let linear = powers.iter().filter(|power| (*power - 1.0).abs() <= BAR).count();
    let (least, most) = powers.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, m), p| (l.min(*p), m.max(*p)));
    let ends = counted(rows.iter().filter(|row| row.algorithm == PAPERS).map(|row| row.ended));
    let first = rows.iter().filter(|row| row.algorithm == "first-step").map(|row| row.relative_error);
    let first = first.fold(0.0, f64::max);
    vec![
        Verdict::paper(
            "fig2c",
            "for most initialisations the error grows linearly with the distance of the equilibria",
            format!(
                "power 1 ± {BAR} for {linear} of {} (from {least:.3} to {most:.3}, λ ≤ 0.1); phases ended {ends}",
                powers.len()
            ),
            2 * linear > powers.len(),
        ),
        Verdict::paper(
            "fig2c",
            "at the first step there is no error, however far the states go (section 3.2)",
            format!("relative error {first:.1e} (bar 1e-12)"),
            first <= 1e-12,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_that_do_not_grow_linearly_do_not_agree() {
        let rows = |power: f64, first: f64| -> Vec<Row> {
            let row = |algorithm, seed, strength: f64, gradient_distance: f64, relative_error| Row {
                algorithm,
                seed,
                sample: 0,
                strength,
                equilibrium_distance: 3.0 * strength,
                gradient_distance,
                relative_error,
                steps: 1,
                ended: StopReason::Settled,
            };
            let nudged = |seed| LAMBDAS.map(|lambda| row(PAPERS, seed, lambda, lambda.powf(power), 0.1));
            let mut rows: Vec<Row> = (0..4).flat_map(nudged).collect();
            rows.push(row("first-step", 0, 1.0, 0.0, first));
            rows
        };
        let agreed = |rows: &[Row]| judge(rows).iter().map(|verdict| verdict.agrees).collect::<Vec<_>>();
        assert_eq!(agreed(&rows(1.0, 1e-15)), [true, true]);
        assert_eq!(agreed(&rows(1.3, 1e-11)), [false, false]);
    }
}
