//! The order of the error of every algorithm, fitted on random smooth networks of two to six layers run to tolerance (not a panel of
//! the paper, but what its sections 3 and 4 say in one table).
//!
//! ```text
//! ‖ĝ − g‖ / ‖g‖ = C · strength^order        the order is the slope in logarithms of both; strength is λ, β or γ
//! ```

use serde::Serialize;

use super::algorithms::{ALGORITHMS, Algorithm};
use super::measure::{counted, fit_log};
use super::{Bench, ReproduceError, Verdict};
use crate::math::Field;
use crate::math::random::{Purpose, Stream};
use crate::network::Init;
use crate::plot::{Axis, Figure, Series, Style};
use crate::run::atomic::write_atomic;
use crate::settling::{Limits, StopReason};

/// Largest difference of a fitted order from the expected one.
const BAR: f64 = 0.1;
/// Largest relative error of what is exact.
const EXACT: f64 = 1e-12;
const BATCH: usize = 6;
const TOLERANCE: f64 = 1e-13;

#[derive(Serialize)]
struct Row {
    algorithm: &'static str,
    seed: u64,
    depth: usize,
    widths: String,
    strength: f64,
    relative_error: f64,
    steps: u64,
    ended: StopReason,
}

/// One line of the table.
#[derive(Serialize)]
struct Summary {
    algorithm: &'static str,
    strength: &'static str,
    expected_order: Option<f64>,
    fitted_mean: Option<f64>,
    fitted_least: Option<f64>,
    fitted_most: Option<f64>,
    largest_error: f64,
    networks: usize,
    within: bool,
}

pub(super) fn run(bench: &mut Bench<'_>) -> Result<Vec<Verdict>, ReproduceError> {
    let mut rows = Vec::new();
    for algorithm in ALGORITHMS {
        for depth in 2..=algorithm.deepest.min(if bench.quick { 4 } else { 6 }) {
            for seed in bench.seeds(4).into_iter().take(if bench.quick { 1 } else { usize::MAX }) {
                measure(bench, &algorithm, depth, seed, &mut rows)?;
            }
        }
    }
    bench.table("orders-measured.csv", &rows)?;
    let summaries: Vec<Summary> = ALGORITHMS.iter().map(|algorithm| summary(algorithm, &rows)).collect();
    bench.table("orders-table.csv", &summaries)?;
    write_atomic(&bench.folder.join("orders.md"), markdown(&summaries).as_bytes())?;
    (bench.say)(&format!("orders: the table\n{}", markdown(&summaries).trim_end()));
    draw(bench, &rows)?;
    Ok(judge(&rows, &summaries))
}

/// A random network and batch, at every strength.
fn measure(
    bench: &Bench<'_>,
    algorithm: &Algorithm,
    depth: usize,
    seed: u64,
    rows: &mut Vec<Row>,
) -> Result<(), ReproduceError> {
    let mut stream = Stream::new(seed, Purpose::Trial, 100 + depth as u64);
    let widths: Vec<usize> = (0..=depth).map(|_| 4 + stream.below(5)).collect();
    let data = Field::from_shape_simple_fn((widths[0], BATCH), || stream.normal());
    let mut target = Field::zeros((widths[depth], BATCH));
    for sample in 0..BATCH {
        target[[stream.below(widths[depth]), sample]] = 1.0;
    }
    let network = algorithm.network(&widths, 1.0)?;
    let weights = network.initial_weights(Init::TorchLinear, seed);
    let problem = algorithm.problem(&widths, weights, (data, target))?;
    for &strength in algorithm.strengths {
        let limits = Limits::tolerance(TOLERANCE, 200_000);
        let found = algorithm.run(&problem, strength, limits, |network, weights| bench.machine(network, weights))?;
        rows.push(Row {
            algorithm: algorithm.name,
            seed,
            depth,
            widths: network.to_string(),
            strength,
            relative_error: found.relative_error,
            steps: found.steps,
            ended: found.ended,
        });
    }
    Ok(())
}

/// Errors over strengths for every network of an algorithm.
fn curves(rows: &[Row], algorithm: &str) -> Vec<Vec<(f64, f64)>> {
    let own = rows.iter().filter(|row| row.algorithm == algorithm).collect::<Vec<_>>();
    let same = |a: &&Row, b: &&Row| (a.depth, a.seed) == (b.depth, b.seed);
    own.chunk_by(same).map(|rows| rows.iter().map(|row| (row.strength, row.relative_error)).collect()).collect()
}

fn summary(algorithm: &Algorithm, rows: &[Row]) -> Summary {
    let curves = curves(rows, algorithm.name);
    let largest_error = curves.iter().flatten().map(|point| point.1).fold(0.0, f64::max);
    let orders: Vec<f64> = curves.iter().map(|curve| fit_log(curve).slope).collect();
    let fitted = |value: f64| algorithm.order.is_some().then_some(value);
    let within = match algorithm.order {
        Some(expected) => orders.iter().all(|order| (order - expected).abs() <= BAR),
        None => largest_error <= EXACT,
    };
    Summary {
        algorithm: algorithm.name,
        strength: algorithm.symbol,
        expected_order: algorithm.order,
        fitted_mean: fitted(orders.iter().sum::<f64>() / orders.len() as f64),
        fitted_least: fitted(orders.iter().copied().fold(f64::INFINITY, f64::min)),
        fitted_most: fitted(orders.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
        largest_error,
        networks: curves.len(),
        within: within && !curves.is_empty(),
    }
}

fn markdown(summaries: &[Summary]) -> String {
    let mut text =
        "| algorithm | strength | expected order | fitted: mean (least … most) | exact | networks |\n".to_owned();
    text.push_str("|---|---|---|---|---|---|\n");
    for line in summaries {
        let (expected, fitted, exact) = match (line.expected_order, line.fitted_mean) {
            (Some(expected), Some(mean)) => {
                let (least, most) = (line.fitted_least.unwrap_or(mean), line.fitted_most.unwrap_or(mean));
                (format!("{expected}"), format!("{mean:.3} ({least:.3} … {most:.3})"), "".to_owned())
            }
            _ => ("exact".to_owned(), "".to_owned(), format!("{:.1e}", line.largest_error)),
        };
        let (algorithm, strength, networks) = (line.algorithm, line.strength, line.networks);
        text.push_str(&format!("| {algorithm} | {strength} | {expected} | {fitted} | {exact} | {networks} |\n"));
    }
    text
}

fn draw(bench: &Bench<'_>, rows: &[Row]) -> Result<(), ReproduceError> {
    // The first network of each: the others are in the table.
    let series = |algorithm: &Algorithm| {
        let points = curves(rows, algorithm.name).into_iter().next().unwrap_or_default();
        let name = format!("{} ({})", algorithm.name, algorithm.symbol);
        Series::new(name, points, Style::Marked)
    };
    let figure = Figure {
        title: "Error over strength, a random network of two weight matrices".to_owned(),
        x: Axis::log("λ, β or γ"),
        y: Axis::log("‖ĝ − g‖ / ‖g‖"),
        series: ALGORITHMS.iter().filter(|algorithm| algorithm.order.is_some()).map(series).collect(),
    };
    figure.write(bench.folder, "orders")?;
    Ok(())
}

fn judge(rows: &[Row], summaries: &[Summary]) -> Vec<Verdict> {
    let verdict = |line: &Summary| {
        let own = rows.iter().filter(|row| row.algorithm == line.algorithm);
        let ends = counted(own.map(|row| row.ended));
        match (line.expected_order, line.fitted_mean, line.fitted_least, line.fitted_most) {
            (Some(expected), Some(mean), Some(least), Some(most)) => Verdict::theory(
                "orders",
                format!("the error of {} falls with {} to the power {expected}", line.algorithm, line.strength),
                format!(
                    "{mean:.3}, from {least:.3} to {most:.3} in {} networks (bar ± {BAR}); phases ended {ends}",
                    line.networks
                ),
                line.within,
            ),
            _ => Verdict::theory(
                "orders",
                format!("{} is exact", line.algorithm),
                format!(
                    "relative error at most {:.1e} in {} networks (bar {EXACT:e})",
                    line.largest_error, line.networks
                ),
                line.within,
            ),
        }
    };
    summaries.iter().map(verdict).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_order_and_an_error_where_there_should_be_none_do_not_agree() {
        let rows = |order: f64, error: f64| -> Vec<Row> {
            let row = |algorithm: &Algorithm, strength: f64, relative_error: f64| Row {
                algorithm: algorithm.name,
                seed: 0,
                depth: 2,
                widths: String::new(),
                strength,
                relative_error,
                steps: 1,
                ended: StopReason::Settled,
            };
            let all = |algorithm: &Algorithm| {
                let at = |&s: &f64| row(algorithm, s, algorithm.order.map_or(error, |_| s.powf(order)));
                algorithm.strengths.iter().map(at).collect::<Vec<_>>()
            };
            ALGORITHMS.iter().flat_map(all).collect()
        };
        let agreed = |rows: &[Row], name: &str| {
            let summaries: Vec<Summary> = ALGORITHMS.iter().map(|algorithm| summary(algorithm, rows)).collect();
            let at = ALGORITHMS.iter().position(|algorithm| algorithm.name == name).expect("a name");
            judge(rows, &summaries)[at].agrees
        };
        let first_order = rows(1.0, 1e-15);
        assert!(agreed(&first_order, "pc-nudge, one-sided") && agreed(&first_order, "first-step"));
        assert!(!agreed(&first_order, "ep, symmetric"), "it should be of second order");
        assert!(!agreed(&rows(1.2, 1e-11), "pc-nudge, one-sided") && !agreed(&rows(2.0, 1e-11), "first-step"));
        assert!(!agreed(&[], "pc-nudge, one-sided"), "nothing measured is no agreement");
    }
}
