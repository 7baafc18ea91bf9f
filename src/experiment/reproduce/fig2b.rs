//! Figure 2B: how far the motion of the states is from backpropagation's gradient while the output is clamped.
//!
//! ```text
//! cosine and distance of   x_l(t) − x̄_l   and   −∂𝓛/∂x_l      for every hidden layer, from the layer's first motion on
//! ‖ĝ(t) − g‖ / ‖g‖    of the weights' estimate read after t steps (appendix A.1.1; PC-Nudge with λ = 1)
//! ```
//!
//! The first motion of layer L − k comes with step k, as `η^k` times the gradient exactly: errors on the way up are still zero.
//! The estimate is another matter: the gradients of lower weights are zero until the error has arrived, and then settle.

use serde::Serialize;

use super::fig2a::{clamped, trajectory};
use super::measure::{back, output_delta, run as run_plan, wide};
use super::{Bench, ReproduceError, Verdict, within};
use crate::experiment::machine::closeness;
use crate::math::{Field, Real};
use crate::plot::{Axis, Figure, Series, Spread, Style};
use crate::reference::backprop;
use crate::settling::Limits;

#[derive(Clone, Serialize)]
struct Row {
    seed: u64,
    step: u64,
    /// A hidden layer's displacement; the weights' estimate if there is none.
    layer: Option<usize>,
    cosine: f64,
    distance: f64,
    relative_distance: f64,
}

pub(super) fn run<T: Real>(bench: &mut Bench<'_>) -> Result<Vec<Verdict>, ReproduceError> {
    let (data, target) = bench.batch::<T>();
    let steps = bench.config.inference.max_infer_iters as u64;
    let (wide_data, wide_target) = (data.mapv(Real::wide), target.mapv(Real::wide));
    let mut rows = Vec::new();
    for seed in bench.seeds(10) {
        let weights = bench.weights::<T>(seed);
        let precise = wide(&weights);
        let top = output_delta(&bench.network, &precise, &wide_data, &wide_target);
        let (_, gradients) = back(&bench.network, &precise, &wide_data, top);
        let mut machine = bench.machine(&bench.network, weights.clone())?;
        let moments = trajectory(&mut machine, &bench.network, (&data, &target), steps)?;
        let (free, later) = moments.split_first().expect("the free phase");
        for (step, moment) in (1..).zip(later) {
            for layer in 1..bench.network.depth() {
                let moved = &moment.states[layer].mapv(Real::wide) - &free.states[layer].mapv(Real::wide);
                if moved.iter().any(|&x| x != 0.0) {
                    rows.push(row(seed, step, layer, &moved, &gradients[layer - 1]));
                }
            }
        }
        let exact = backprop::gradient(&bench.network, &weights, &data, &target).parameters;
        for step in 1..=steps {
            let ran = run_plan(&mut machine, &clamped(&bench.network), Limits::steps(step), (&data, &target))?;
            let (_, whole) = closeness(&ran.estimate, &exact);
            let (cosine, distance, relative_distance) = (whole.cosine, whole.distance, whole.relative_distance);
            rows.push(Row { seed, step, layer: None, cosine, distance, relative_distance });
        }
    }
    bench.table("fig2b-measured.csv", &rows)?;
    draw(bench, &rows)?;
    Ok(judge(bench, &rows))
}

/// Displacement against −∂𝓛/∂x.
fn row(seed: u64, step: u64, layer: usize, moved: &Field<f64>, gradient: &Field<f64>) -> Row {
    let (mut dot, mut mm, mut gg, mut apart) = (0.0, 0.0, 0.0, 0.0);
    for (&m, &g) in moved.iter().zip(gradient) {
        dot -= m * g;
        mm += m * m;
        gg += g * g;
        apart += (m + g) * (m + g);
    }
    let (cosine, distance): (f64, f64) = (dot / (mm * gg).sqrt(), apart.sqrt());
    Row { seed, step, layer: Some(layer), cosine, distance, relative_distance: distance / gg.sqrt() }
}

/// Mean and deviation over seeds at every step at which there is something.
fn curve(rows: &[Row], layer: Option<usize>, of: fn(&Row) -> f64) -> Vec<(f64, Spread)> {
    let last = rows.iter().map(|row| row.step).max().unwrap_or(0);
    let at = |step: u64| rows.iter().filter(|row| row.step == step && row.layer == layer).map(of).collect::<Vec<_>>();
    (1..=last)
        .map(|step| (step, at(step)))
        .filter(|(_, found)| !found.is_empty())
        .map(|(s, f)| (s as f64, Spread::of(&f)))
        .collect()
}

fn draw(bench: &Bench<'_>, rows: &[Row]) -> Result<(), ReproduceError> {
    let layers: Vec<usize> = (1..bench.network.depth()).collect();
    let displaced = |of: fn(&Row) -> f64| -> Vec<Series> {
        let series = |&layer: &usize| {
            Series::banded(format!("states, layer {layer}"), &curve(rows, Some(layer), of), Style::Line)
        };
        layers.iter().map(series).collect()
    };
    let cosines = Figure {
        title: "Fig. 2B: direction of the states’ displacement against the gradient".to_owned(),
        x: Axis::linear("inference step"),
        y: Axis::linear("cosine of x(t) − x̄ and −∂L/∂x"),
        series: displaced(|row| row.cosine),
    };
    cosines.write(bench.folder, "fig2b")?;
    let estimate = curve(rows, None, |row| row.relative_distance);
    let mut series = displaced(|row| row.relative_distance);
    series.push(Series::banded("weights’ estimate (A.1.1)", &estimate, Style::Dashed));
    let distances = Figure {
        title: "Fig. 2B: distance to backpropagation during inference, λ = 1".to_owned(),
        x: Axis::linear("inference step"),
        y: Axis::linear("distance / ‖gradient‖"),
        series,
    };
    distances.write(bench.folder, "fig2b-distance")?;
    Ok(())
}

fn judge(bench: &Bench<'_>, rows: &[Row]) -> Vec<Verdict> {
    let layers: Vec<usize> = (1..bench.network.depth()).collect();
    let curves: Vec<_> = layers.iter().map(|&layer| curve(rows, Some(layer), |row| row.cosine)).collect();
    let firsts: Vec<f64> = curves.iter().map(|curve| curve[0].1.mean).collect();
    let lasts: Vec<Spread> = curves.iter().filter_map(|curve| curve.last()).map(|(_, spread)| *spread).collect();
    // Rounding of single precision, in a difference of states that moved by η^k of a gradient.
    let exact = firsts.iter().all(|first| (first - 1.0).abs() < 1e-5);
    let fallen = lasts.iter().zip(&firsts).all(|(last, first)| last.mean < first - 1e-4);
    let shown = |numbers: Vec<f64>, digits: usize| {
        numbers.iter().map(|number| format!("{number:.digits$}")).collect::<Vec<_>>().join(", ")
    };
    let means = shown(lasts.iter().map(|last| last.mean).collect(), 4);
    let steps = bench.config.inference.max_infer_iters;
    let mut verdicts = vec![Verdict::paper(
        "fig2b",
        "at the beginning the states move along the gradient; if inference continues for long, the match decreases",
        format!("cosines of layers 1, 2, …: {} at first motion, {means} after {steps} steps", shown(firsts, 7)),
        exact && fallen,
    )];
    let estimate = curve(rows, None, |row| row.distance);
    let (first, last) = (estimate[0].1.mean, estimate[estimate.len() - 1].1.mean);
    let least = estimate.iter().min_by(|a, b| a.1.mean.total_cmp(&b.1.mean)).expect("a step");
    verdicts.push(Verdict::paper(
        "fig2b",
        "the distance of the estimated from the true gradient of the weights grows during inference",
        format!("{first:.3} after 1 step, least {:.3} after {}, {last:.3} after {steps}", least.1.mean, least.0),
        last > first,
    ));
    if bench.is_papers {
        let agrees = lasts.iter().zip([0.974, 0.990]).all(|(last, expected)| within(*last, expected));
        let shown: Vec<String> = lasts.iter().map(|last| format!("{:.4} ± {:.4}", last.mean, last.deviation)).collect();
        let says = "cosines 0.974 (layer 1) and 0.990 (layer 2) after 50 steps (one seed), within two deviations";
        verdicts.push(Verdict::theory("fig2b", says, shown.join(", "), agrees));
    }
    verdicts
}
