//! Figures 3B and 3C: training by PC-Nudge beside training by backpropagation, from the same weights on the same batches.
//!
//! ```text
//! B   batch accuracy, moving mean over WINDOW batches         C   cosine of estimate and gradient, at the network's own weights
//! ```
//!
//! Inference is run for the configured number of steps, as the paper does, and to a tolerance. Weights grow in training, the slow modes
//! of inference become slower, and a fixed number of steps settles less and less of them. Beyond the paper it is run to a tolerance in
//! deviation variables at a thousandth of λ, where fewer units cross the kinks of their ReLUs and single precision still serves.

use serde::Serialize;

use super::measure::counted;
use super::{Bench, ReproduceError, Verdict};
use crate::config::Config;
use crate::experiment::assemble;
use crate::experiment::machine::{Machine, Procedure, Purpose, closeness};
use crate::experiment::workers::Hands;
use crate::math::Real;
use crate::plot::{Axis, Figure, Series, Style};
use crate::reference::backprop;
use crate::rule::{FreePhase, Plan, RuleName};
use crate::settling::{Limits, StopReason};

/// Batches of the moving mean.
const WINDOW: usize = 100;
/// Batches between two cosines.
const COSINE_EVERY: u64 = 10;
/// What is run to, and for how long at most, if the configuration does not say.
const TOLERANCE: f64 = 1e-6;
const STEPS_MOST: usize = 2000;
/// Batches of a quick run.
const QUICK: usize = 120;

#[derive(Serialize)]
struct Row {
    learner: &'static str,
    seed: u64,
    batch: u64,
    loss: f64,
    accuracy: f64,
    smoothed_accuracy: Option<f64>,
    cosine: Option<f64>,
    steps: Option<u64>,
    ended: Option<StopReason>,
}

/// One of the networks that are trained.
struct Learner<T: Real> {
    name: &'static str,
    machine: Machine<T>,
    plan: Option<Plan>,
    limits: Limits,
}

const BACKPROP: &str = "backpropagation";
const FIXED: &str = "fixed steps";
const SETTLED: &str = "to tolerance";
const LIMIT: &str = "to tolerance in deviations at λ/1000";
const NUDGED: [&str; 3] = [FIXED, SETTLED, LIMIT];
/// Of the deviations, which are of the order of a gradient.
const LIMIT_TOLERANCE: f64 = 1e-5;

pub(super) fn run<T: Real>(bench: &mut Bench<'_>) -> Result<Vec<Verdict>, ReproduceError> {
    let config = bench.config;
    let mut learners = learners::<T>(bench)?;
    let epochs = if bench.quick { 1 } else { config.learning.epochs as u64 };
    let mut rows: Vec<Row> = Vec::new();
    let mut batch = 0;
    for epoch in 0..epochs {
        let order = bench.splits.train.order(config.data.shuffle, config.seed, epoch);
        for samples in order.chunks(config.data.batch_size).take(if bench.quick { QUICK } else { usize::MAX }) {
            let (data, target) = bench.splits.train.batch::<T>(samples);
            for learner in &mut learners {
                let compared = learner.plan.is_some() && batch % COSINE_EVERY == 0;
                let weights = if compared { Some(learner.machine.snapshot()?.weights) } else { None };
                let procedure = Procedure { plan: learner.plan.as_ref(), limits: learner.limits };
                let purpose = if compared { Purpose::LearnAndShow } else { Purpose::Learn };
                let record = learner.machine.step((&data, &target), procedure, purpose)?;
                let cosine = weights.zip(record.estimate.as_ref()).map(|(weights, estimate)| {
                    let exact = backprop::gradient(&bench.network, &weights, &data, &target).parameters;
                    closeness(estimate, &exact).1.cosine
                });
                let last = record.phases.last();
                let size = samples.len() as f64;
                rows.push(Row {
                    learner: learner.name,
                    seed: config.seed,
                    batch,
                    loss: record.score.loss / size,
                    accuracy: record.score.correct as f64 / size,
                    smoothed_accuracy: None,
                    cosine,
                    steps: last.map(|phase| phase.steps()),
                    ended: last.map(|phase| phase.reason),
                });
            }
            batch += 1;
        }
        (bench.say)(&format!("fig3bc: epoch {} of {epochs}, {batch} batches", epoch + 1));
    }
    smooth(&mut rows);
    bench.table("fig3bc-measured.csv", &rows)?;
    draw(bench, &rows)?;
    Ok(judge(config, &rows))
}

/// Backpropagation, and PC-Nudge run in three ways; all from the same weights.
fn learners<T: Real>(bench: &Bench<'_>) -> Result<Vec<Learner<T>>, ReproduceError> {
    let config = bench.config;
    let weights = bench.weights::<T>(config.seed);
    let mut baseline = config.clone();
    baseline.learning.rule = RuleName::Backprop;
    let baseline = assemble::machine(&baseline, &bench.network, weights.clone(), (&Hands::Children, 1))?;
    let nudge = config.learning.nudge;
    let plan = Plan::named(RuleName::PcNudge, &bench.network, nudge, config.learning.nudging, FreePhase::Forward);
    let plan = plan.map_err(assemble::AssembleError::from)?;
    let inference = &config.inference;
    let given = inference.tolerance > 0.0;
    let fixed = if given { 50 } else { inference.max_infer_iters };
    let settled = Limits {
        steps_max: if given { inference.max_infer_iters } else { STEPS_MOST } as u64,
        tolerance: if given { inference.tolerance } else { TOLERANCE },
        check_every: inference.check_every as u64,
        plateau: inference.plateau,
    };
    let limit = Limits { tolerance: LIMIT_TOLERANCE, ..settled };
    let small = 1e-3 * nudge;
    let deviating =
        Plan::in_deviations(RuleName::PcNudge, &bench.network, small, config.learning.nudging, FreePhase::Forward);
    let deviating = deviating.map_err(assemble::AssembleError::from)?;
    let nudged = |name, plan: &Option<Plan>, limits| -> Result<Learner<T>, ReproduceError> {
        let machine = bench.machine(&bench.network, weights.clone())?;
        Ok(Learner { name, machine, plan: plan.clone(), limits })
    };
    let fixed = nudged(FIXED, &plan, Limits::steps(fixed as u64))?;
    let settled = nudged(SETTLED, &plan, settled)?;
    let limit = nudged(LIMIT, &deviating, limit)?;
    let baseline = Learner { name: BACKPROP, machine: baseline, plan: None, limits: Limits::steps(0) };
    Ok(vec![baseline, fixed, settled, limit])
}

/// The moving mean over the last [`WINDOW`] batches, from the first whole window on.
fn smooth(rows: &mut [Row]) {
    for learner in [BACKPROP, FIXED, SETTLED, LIMIT] {
        let own: Vec<usize> = (0..rows.len()).filter(|&index| rows[index].learner == learner).collect();
        let window = WINDOW.min(own.len());
        for (at, last) in own.iter().enumerate().skip(window - 1) {
            let sum: f64 = own[at + 1 - window..=at].iter().map(|&index| rows[index].accuracy).sum();
            rows[*last].smoothed_accuracy = Some(sum / window as f64);
        }
    }
}

fn points(rows: &[Row], learner: &str, of: fn(&Row) -> Option<f64>) -> Vec<(f64, f64)> {
    let own = rows.iter().filter(|row| row.learner == learner);
    own.filter_map(|row| Some((row.batch as f64, of(row)?))).collect()
}

fn draw(bench: &Bench<'_>, rows: &[Row]) -> Result<(), ReproduceError> {
    let lambda = bench.config.learning.nudge;
    let thinned = |points: Vec<(f64, f64)>| {
        let every = points.len().div_ceil(400).max(1);
        points.into_iter().step_by(every).collect::<Vec<_>>()
    };
    let series = |learner: &str, name: &str, style, of: fn(&Row) -> Option<f64>| {
        Series::new(name, thinned(points(rows, learner, of)), style)
    };
    let fixed = rows.iter().find(|row| row.learner == FIXED).and_then(|row| row.steps).unwrap_or(0);
    let (fixed, settled) = (format!("PC-Nudge, {fixed} steps"), "PC-Nudge, to tolerance");
    let limit = format!("the same, deviations, λ = {:e}", 1e-3 * lambda);
    let accuracy = Figure {
        title: format!("Fig. 3B: batch accuracy, mean over {WINDOW} batches, λ = {lambda}"),
        x: Axis::linear("batch"),
        y: Axis::linear("accuracy"),
        series: vec![
            series(BACKPROP, BACKPROP, Style::Line, |row| row.smoothed_accuracy),
            series(FIXED, &fixed, Style::Dashed, |row| row.smoothed_accuracy),
            series(SETTLED, settled, Style::Dashed, |row| row.smoothed_accuracy),
            series(LIMIT, &limit, Style::Dashed, |row| row.smoothed_accuracy),
        ],
    };
    accuracy.write(bench.folder, "fig3b")?;
    let cosine = Figure {
        title: format!("Fig. 3C: direction of the estimate during training, λ = {lambda}"),
        x: Axis::linear("batch"),
        y: Axis::linear("cosine to backpropagation"),
        series: vec![
            series(FIXED, &fixed, Style::Line, |row| row.cosine),
            series(SETTLED, settled, Style::Line, |row| row.cosine),
            series(LIMIT, &limit, Style::Line, |row| row.cosine),
        ],
    };
    cosine.write(bench.folder, "fig3c")?;
    Ok(())
}

fn judge(config: &Config, rows: &[Row]) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let baseline = points(rows, BACKPROP, |row| row.smoothed_accuracy);
    let setting =
        format!("{:?} at {}, λ = {}", config.learning.optimizer, config.learning.param_lr, config.learning.nudge);
    for learner in NUDGED {
        let own = points(rows, learner, |row| row.smoothed_accuracy);
        let apart = own.iter().zip(&baseline).map(|(a, b)| (100.0 * (a.1 - b.1).abs(), a.0));
        let (most, at) = apart.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((f64::NAN, 0.0));
        let last = |points: &[(f64, f64)]| 100.0 * points.last().map_or(f64::NAN, |point| point.1);
        verdicts.push(Verdict::paper(
            "fig3b",
            "PC-Nudge trains with almost identical batch accuracy as backpropagation",
            format!(
                "{learner}, {setting}: smoothed accuracies at most {most:.2} points apart (batch {at}; bar 0.5), \
                 {:.2} % and {:.2} % at the end",
                last(&own),
                last(&baseline)
            ),
            most < 0.5,
        ));
    }
    for learner in NUDGED {
        let cosines = points(rows, learner, |row| row.cosine);
        let (at, least) = cosines.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0.0, f64::NAN));
        let mean = cosines.iter().map(|point| point.1).sum::<f64>() / cosines.len() as f64;
        let below = cosines.iter().filter(|point| point.1.is_nan() || point.1 < 0.999).count();
        let ends = counted(rows.iter().filter(|row| row.learner == learner).filter_map(|row| row.ended));
        verdicts.push(Verdict::paper(
            "fig3c",
            "the cosine of estimate and gradient never goes below 0.999",
            format!(
                "{learner}: least {least:.6} at batch {at}, mean {mean:.6}, {below} of {} below (every {COSINE_EVERY}th batch); \
                 phases ended {ends}",
                cosines.len()
            ),
            least >= 0.999 && below == 0,
        ));
    }
    verdicts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(accuracy: [f64; 4], cosine: f64) -> Vec<Row> {
        let one = |batch: u64, learner: &'static str, accuracy: f64| Row {
            learner,
            seed: 0,
            batch,
            loss: 1.0,
            accuracy,
            smoothed_accuracy: None,
            cosine: (learner != BACKPROP).then_some(if batch == 150 { cosine } else { 0.9999 }),
            steps: Some(50),
            ended: Some(StopReason::StepBudget),
        };
        let learners = [BACKPROP, FIXED, SETTLED, LIMIT];
        let mut rows: Vec<Row> = (0..200)
            .flat_map(|batch| learners.iter().zip(accuracy).map(move |(name, a)| one(batch, name, a)))
            .collect();
        smooth(&mut rows);
        rows
    }

    #[test]
    fn curves_that_part_and_cosines_that_fall_do_not_agree() {
        let agreed = |rows: &[Row]| judge(&Config::default(), rows).iter().map(|v| v.agrees).collect::<Vec<_>>();
        assert_eq!(agreed(&rows([0.9, 0.901, 0.899, 0.9], 0.9995)), [true; 6]);
        assert_eq!(agreed(&rows([0.9, 0.906, 0.899, 0.9], 0.9995)), [false, true, true, true, true, true]);
        assert_eq!(agreed(&rows([0.9; 4], 0.9989)), [true, true, true, false, false, false]);
        assert!(judge(&Config::default(), &rows([0.9; 4], 0.9))[3].measured.contains("batch 150"));
        assert_eq!(agreed(&rows([0.9; 4], f64::NAN))[3..], [false; 3], "NaN is no cosine");
    }
}
