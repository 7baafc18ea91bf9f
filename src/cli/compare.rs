//! `asynapse compare`.

use super::{Failure, Typed, complain, say, say_json, show};
use crate::config::Config;
use crate::experiment::compare::{CompareError, Comparison, Entry, compare};
use crate::experiment::eq17;
use crate::math::Dtype;
use crate::settling::StopReason;

#[derive(Debug, clap::Args)]
#[command(after_help = "The first data.batch_size training samples, with the initial weights of the seed.

Examples:
  asynapse compare                                          λ = 0.01, 50 steps, the embedded digits
  asynapse compare mnist data.dir=FOLDER dtype=f64
  asynapse compare learning.nudge=0.001 inference.tolerance=1e-6 inference.max_infer_iters=20000 --min-cosine 0.9995
  asynapse compare tiny --eq17 learning.nudge=0.1")]
pub(super) struct Arguments {
    #[command(flatten)]
    typed: Typed,
    /// Exit with 1 if a relative distance to backpropagation exceeds this, in any layer of any schedule
    #[arg(long, value_name = "DISTANCE")]
    tolerance: Option<f64>,
    /// Exit with 1 if a cosine similarity to backpropagation is below this, in any layer of any schedule
    #[arg(long, value_name = "COSINE")]
    min_cosine: Option<f64>,
    /// Instead: the paper's corrected estimate (Eq. 17) beside symmetric and Richardson nudges, at λ, λ/2 and λ/4, in double precision
    #[arg(long, conflicts_with_all = ["tolerance", "min_cosine"])]
    eq17: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    for (option, bound) in [("--tolerance", arguments.tolerance), ("--min-cosine", arguments.min_cosine)] {
        if bound.is_some_and(|bound| bound.is_nan()) {
            return Err(Failure::input(format!("{option} is not a number")));
        }
    }
    let config = arguments.typed.load()?.config;
    if arguments.eq17 {
        return eq17(&config, arguments.json);
    }
    let comparison = match config.dtype {
        Dtype::F32 => compare::<f32>(&config),
        Dtype::F64 => compare::<f64>(&config),
    };
    let comparison = comparison.map_err(|error| {
        let code = if matches!(error, CompareError::Step { .. }) { 3 } else { 2 };
        Failure::input(error).with_code(code)
    })?;
    if arguments.json {
        say_json(&comparison)?;
    } else {
        say(table(&comparison));
    }
    let outside = outside(&comparison, &arguments);
    if outside.is_empty() {
        return not_converged(&comparison, config.inference.tolerance);
    }
    outside.iter().for_each(complain);
    Err(Failure { code: 1, message: String::new() })
}

/// The table of `--eq17`; 3 if a phase did not settle.
fn eq17(config: &Config, json: bool) -> Result<(), Failure> {
    let rows = eq17::table(config).map_err(Failure::input)?;
    if json {
        say_json(&rows)?;
    } else {
        let layers = rows.first().map_or(0, |row| row.layers.len());
        let names: Vec<String> = (1..=layers).map(|l| format!("W{l}")).collect();
        let mut head = vec!["λ", "relative error of"];
        head.extend(names.iter().map(String::as_str));
        head.extend(["all", "ended by"]);
        let line = |row: &eq17::Row| {
            let mut line = vec![format!("{}", row.nudge), row.estimate.to_owned()];
            line.extend(row.layers.iter().chain([&row.whole]).map(|error| format!("{error:.3e}")));
            line.push(row.stop_reason.to_string());
            line
        };
        say(show::columns(&head, &rows.iter().map(line).collect::<Vec<_>>()));
        say(
            "\nFor hidden layers the first-order term that Eq. 17 subtracts is the gradient itself: what remains has the relative error 1.",
        );
    }
    if rows.iter().all(|row| matches!(row.stop_reason, StopReason::Settled | StopReason::Plateau)) {
        return Ok(());
    }
    let message = "a phase did not settle; raise inference.max_infer_iters, or give inference.tolerance a larger value";
    Err(Failure::input(message).with_code(3))
}

fn table(comparison: &Comparison) -> String {
    let number = |value: f64| format!("{value:.3e}");
    let mut rows = Vec::new();
    for entry in &comparison.entries {
        for (index, layer) in entry.layers.iter().enumerate() {
            let name = format!("{}  W{}", entry.schedule, index + 1);
            rows.push(vec![
                name,
                format!("{:.9}", layer.cosine),
                number(layer.relative_distance),
                number(layer.distance),
            ]);
        }
        let (cosine, whole) = (format!("{:.9}", entry.whole.cosine), entry.whole);
        let name = format!("{}  all", entry.schedule);
        rows.push(vec![name, cosine, number(whole.relative_distance), number(whole.distance)]);
    }
    let gradients = show::columns(&["estimate against backprop", "cosine", "relative distance", "distance"], &rows);
    let row = |entry: &Entry| {
        vec![
            entry.schedule.to_owned(),
            entry.n_infer_iters.to_string(),
            entry.stop_reason.to_string(),
            number(entry.residual),
            entry.unsettled.to_string(),
            number(entry.state_distance),
            if entry.bit_identical { "yes" } else { "no" }.to_owned(),
        ]
    };
    let head = ["schedule", "steps", "ended by", "residual", "unsettled", "states apart", "same bits"];
    let phases = show::columns(&head, &comparison.entries.iter().map(row).collect::<Vec<_>>());
    let (batch, loss) = (comparison.batch, comparison.loss);
    format!("{batch} samples, mean loss {loss:.6}\n\n{gradients}\n\n{phases}")
}

/// Everything that is not as it was asked to be.
fn outside(comparison: &Comparison, arguments: &Arguments) -> Vec<String> {
    let mut found = Vec::new();
    for entry in &comparison.entries {
        let schedule = entry.schedule;
        if schedule == "lock-step" && !entry.bit_identical {
            found.push("out of tolerance: lock-step differs from the reference; it has to be bit-identical".to_owned());
        }
        let named = entry.layers.iter().enumerate().map(|(index, layer)| (format!("W{}", index + 1), layer));
        for (name, layer) in named.chain([("all parameters".to_owned(), &entry.whole)]) {
            // A distance that is not a number is outside of every tolerance.
            if arguments
                .tolerance
                .is_some_and(|most| layer.relative_distance.is_nan() || layer.relative_distance > most)
            {
                found.push(format!("out of tolerance: {schedule}, {name}: distance {:.3e}", layer.relative_distance));
            }
            if arguments.min_cosine.is_some_and(|least| layer.cosine.is_nan() || layer.cosine < least) {
                found.push(format!("out of tolerance: {schedule}, {name}: cosine {:.9}", layer.cosine));
            }
        }
    }
    found
}

/// Inference that diverged, or did not reach the tolerance that was asked for, is said, and is exit code 3.
fn not_converged(comparison: &Comparison, tolerance: f64) -> Result<(), Failure> {
    for Entry { schedule, stop_reason, n_infer_iters: steps, residual, first_arrival, .. } in &comparison.entries {
        let message = match stop_reason {
            StopReason::Diverged => {
                format!("{schedule} diverged: its energy rose in {steps} steps; choose a smaller inference.activity_lr")
            }
            StopReason::StepBudget if tolerance > 0.0 && !first_arrival => format!(
                "{schedule} did not converge in {steps} steps: residual {residual:.3e}, tolerance {tolerance:.3e}; \
                 raise inference.max_infer_iters"
            ),
            StopReason::SignalsLost => format!(
                "{schedule}: a signal was lost for good, so nothing can be said of the equilibrium; set links.resend"
            ),
            StopReason::EventBudget => {
                format!("{schedule}: a phase was broken off at its most events; raise schedule.events_max")
            }
            _ => continue,
        };
        return Err(Failure::input(message).with_code(3));
    }
    Ok(())
}
