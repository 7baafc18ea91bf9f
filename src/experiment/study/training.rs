//! Short trainings under delay: test accuracy over the delay of every signal, a curve per algorithm, backpropagation as a line.
//!
//! Each point is a run of `asynapse train` with a run directory of its own in `training-runs`. The number of inference steps is the same
//! at every delay, so that what is late is late; evaluation happens under the same delay.

use std::path::Path;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::parallel::parallel;
use super::summary::{self, LeftOut, Point, Quartiles, plain};
use super::{Bench, Outcome, StudyError};
use crate::experiment::audit::algorithms::Algorithm;
use crate::experiment::audit::tolerance::first_line;
use crate::experiment::train::{Beginning, Observer, train};
use crate::experiment::workers::Hands;
use crate::math::Dtype;
use crate::plot::{Axis, Figure, Series, Style};

const DELAYS: [f64; 7] = [0.0, 2.0, 4.0, 8.0, 16.0, 24.0, 32.0];
/// A fall of the median accuracy that is still borne.
const BAR: f64 = 0.02;

const TIED: &str = "model.feedback=tied";
const AT_END: &str = "learning.update=at-end";
const PREDICTIVE: &str = "model.energy=predictive-coding";

/// What is trained, with settings that suit it; the presets `ep-mnist` and `chl-mnist` say where the last two are from.
const TRAINED: [Algorithm; 6] = [
    Algorithm {
        name: "pc-nudge",
        meaning: "",
        identity: &["learning.rule=pc-nudge", PREDICTIVE, TIED, AT_END],
        wants: &[],
    },
    Algorithm {
        name: "pc-clamped",
        meaning: "",
        identity: &["learning.rule=pc-clamped", PREDICTIVE, TIED, AT_END],
        wants: &[],
    },
    Algorithm {
        name: "first-step",
        meaning: "",
        identity: &["learning.rule=first-step", PREDICTIVE, TIED, AT_END],
        wants: &[],
    },
    Algorithm {
        name: "ep",
        meaning: "",
        identity: &["learning.rule=ep", "model.energy=hopfield", TIED, AT_END],
        wants: &[
            "model.act_fn=hard-sigmoid",
            "model.loss=squared-error",
            "inference.free_phase=relax",
            "inference.activity_lr=0.5",
            "learning.nudge=0.5",
            "learning.nudging=symmetric",
        ],
    },
    Algorithm {
        name: "chl",
        meaning: "",
        identity: &["learning.rule=chl", "model.energy=rate", TIED, AT_END],
        wants: &[
            "model.act_fn=sigmoid",
            "model.loss=squared-error",
            "model.init=xavier",
            "model.feedback_gain=0.05",
            "inference.free_phase=relax",
            "inference.activity_lr=0.5",
            // Logistic units begin slowly; two epochs are few.
            "learning.param_lr=1e-2",
        ],
    },
    Algorithm { name: BACKPROP, meaning: "", identity: &["learning.rule=backprop"], wants: &[] },
];
const BACKPROP: &str = "backprop";

/// One training.
#[derive(Clone, Debug, Serialize)]
struct Trained {
    algorithm: &'static str,
    /// Of every signal, in τ; empty for backpropagation, which sends none.
    delay: Option<f64>,
    seed: u64,
    test_accuracy: Option<f64>,
    test_loss: Option<f64>,
    training_steps: Option<u64>,
    problem: Option<String>,
}

/// Nobody watches; the run directories have everything.
struct Nobody;

impl Observer for Nobody {}

pub(super) fn run(bench: &Bench<'_>) -> Result<Outcome, StudyError> {
    let delays = if bench.quick { vec![0.0, 16.0] } else { DELAYS.to_vec() };
    let seeds = bench.seeds();
    let mut work: Vec<(&'static Algorithm, Option<f64>, u64)> = Vec::new();
    for algorithm in &TRAINED {
        let of: Vec<Option<f64>> =
            if algorithm.name == BACKPROP { vec![None] } else { delays.iter().map(|&delay| Some(delay)).collect() };
        work.extend(of.into_iter().flat_map(|delay| seeds.iter().map(move |&seed| (algorithm, delay, seed))));
    }
    let folder = bench.folder.join("training-runs");
    let told = |done, all| bench.progress(done, all);
    let rows =
        parallel(bench.jobs, &work, |&(algorithm, delay, seed)| one(bench, &folder, algorithm, delay, seed), &told);
    bench.table(&rows)?;
    let points = |algorithm: &Algorithm| -> Vec<Point> {
        let of = if algorithm.name == BACKPROP { vec![None] } else { delays.iter().map(|&d| Some(d)).collect() };
        let at = |delay: Option<f64>| {
            let own = rows.iter().filter(|row| row.algorithm == algorithm.name && row.delay == delay);
            let found: Vec<Option<f64>> = own.map(|row| row.test_accuracy).collect();
            let numbers: Vec<f64> = found.iter().flatten().copied().collect();
            let missing = found.len() - numbers.len();
            Point { value: delay.unwrap_or(0.0), missing, quartiles: Quartiles::of(numbers) }
        };
        of.into_iter().map(at).collect()
    };
    let drawn: Vec<(&str, Vec<Point>)> = TRAINED
        .iter()
        .map(|algorithm| (algorithm.name, points(algorithm)))
        .filter(|(_, points)| points.iter().any(|point| point.quartiles.is_some()))
        .collect();
    draw(bench, &drawn)?;
    let findings = drawn.iter().map(|(name, points)| bench.found(&sentence(name, points))).collect();
    let left_out = TRAINED.iter().filter_map(|algorithm| left_out(&rows, algorithm.name)).collect();
    Ok(Outcome { findings, left_out, table: summary::markdown("delay of every signal (τ)", &drawn) })
}

fn one(bench: &Bench<'_>, folder: &Path, algorithm: &'static Algorithm, delay: Option<f64>, seed: u64) -> Trained {
    let made = || {
        let mut words = vec![format!("seed={seed}")];
        words.extend(
            delay
                .into_iter()
                .flat_map(|delay| ["schedule.mode=virtual-time".to_owned(), format!("links.delay={delay:?}")]),
        );
        let loaded = bench.load(Some(algorithm), &words).map_err(|error| first_line(&error.to_string()))?;
        let mut config = loaded.config;
        config.output.dir = folder.to_string_lossy().into_owned();
        let name = delay.map_or(String::new(), |delay| format!("-delay{delay}"));
        let beginning =
            Beginning::New { name: format!("{}{name}-seed{seed}", algorithm.name), overrides: loaded.overrides };
        let (cancel, hands) = (CancellationToken::new(), Hands::Children);
        match config.dtype {
            Dtype::F32 => train::<f32>(&config, beginning, &hands, &cancel, &mut Nobody),
            Dtype::F64 => train::<f64>(&config, beginning, &hands, &cancel, &mut Nobody),
        }
        .map_err(|error| error.to_string())
    };
    let row = Trained {
        algorithm: algorithm.name,
        delay,
        seed,
        test_accuracy: None,
        test_loss: None,
        training_steps: None,
        problem: None,
    };
    match made() {
        Ok(summary) => Trained {
            test_accuracy: Some(summary.test.accuracy),
            test_loss: Some(summary.test.loss),
            training_steps: Some(summary.steps),
            ..row
        },
        Err(problem) => Trained { problem: Some(problem), ..row },
    }
}

fn draw(bench: &Bench<'_>, drawn: &[(&str, Vec<Point>)]) -> Result<(), StudyError> {
    let reach = drawn.iter().flat_map(|(_, points)| points).map(|point| point.value).fold(0.0, f64::max);
    let percent = |points: &[Point]| -> Vec<Point> {
        let of = |found: Quartiles| Quartiles {
            low: 100.0 * found.low,
            median: 100.0 * found.median,
            high: 100.0 * found.high,
        };
        points.iter().map(|point| Point { quartiles: point.quartiles.map(of), ..point.clone() }).collect()
    };
    let series = |(name, points): &(&str, Vec<Point>)| {
        let points = percent(points);
        match points[0].quartiles {
            // It has no signals that could be late: one number, drawn from end to end.
            Some(found) if *name == BACKPROP => {
                let ends = [0.0, reach].map(|at| (at, found.median)).to_vec();
                let band = vec![(found.low, found.high); 2];
                Series { name: (*name).to_owned(), points: ends, band, style: Style::Dashed, place: None }
            }
            _ => summary::series(name, &points, (false, false)),
        }
    };
    let figure = Figure {
        title: "Training under delay".to_owned(),
        x: Axis::linear("delay of every signal D (τ)"),
        y: Axis::linear("test accuracy (%), median and quartiles"),
        series: drawn.iter().map(series).collect(),
    };
    figure.write(bench.folder, bench.study.name)?;
    Ok(())
}

fn sentence(name: &str, points: &[Point]) -> String {
    let percent = |point: &Point| point.quartiles.map_or(f64::NAN, |found| 100.0 * found.median);
    let first = percent(&points[0]);
    if name == BACKPROP {
        return format!("{name} reaches {first:.1} %");
    }
    let holds = |point: &&Point| percent(point) >= first - 100.0 * BAR;
    let last = points.iter().take_while(holds).last();
    let until = last.map_or("at no delay".to_owned(), |point| format!("up to {} τ", plain(point.value)));
    let end =
        points.last().map_or(String::new(), |point| format!("; at {} τ {:.1} %", plain(point.value), percent(point)));
    format!("{name} reaches {first:.1} % without delay, and within {} points of it {until}{end}", 100.0 * BAR)
}

fn left_out(rows: &[Trained], algorithm: &str) -> Option<LeftOut> {
    let own: Vec<&Trained> = rows.iter().filter(|row| row.algorithm == algorithm).collect();
    let problems: Vec<&str> = own.iter().filter_map(|row| row.problem.as_deref()).collect();
    let reason = (*problems.first()?).to_owned();
    Some(LeftOut { curve: algorithm.to_owned(), trials: problems.len(), of: own.len(), reason })
}
