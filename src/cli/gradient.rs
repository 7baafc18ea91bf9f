//! `asynapse gradient`.

use std::path::{Path, PathBuf};

use super::{Failure, Typed, complain, say, say_json, show};
use crate::config::{self, Config};
use crate::experiment::gradient::{Estimated, Given, GradientError, PhaseSummary, Summary, gradient};
use crate::math::{Dtype, Real};
use crate::network::FeedbackKind;
use crate::rule::UpdateTime;
use crate::settling::StopReason;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "NET holds 0.weight, 0.bias, 2.weight, … (the state dict of an nn.Sequential) or W1, b1, W2, …; BATCH holds x and y,
one sample per row, or classes as whole numbers for y. The widths are those of the weights. OUT gets estimate.W1, estimate.b1,
reference.W1, …, free.x1, nudged.x1, …; gradients of the batch-mean loss with the sign of PyTorch's .grad.

Examples:
  asynapse gradient --weights net.safetensors --data batch.safetensors --out estimate.safetensors
  asynapse gradient … dtype=f64 learning.nudge=1e-4 inference.tolerance=1e-8 inference.max_infer_iters=20000
  asynapse gradient … learning.rule=backprop                the exact gradient alone: no free.* and no nudged.*
  asynapse gradient … model.energy=hopfield model.act_fn=sigmoid learning.rule=ep inference.free_phase=relax"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    typed: Typed,
    /// Weights and biases (safetensors)
    #[arg(long, value_name = "NET")]
    weights: PathBuf,
    /// A batch: x and y (safetensors)
    #[arg(long, value_name = "BATCH")]
    data: PathBuf,
    /// Where the tensors go; a file of an earlier run is replaced
    #[arg(long, value_name = "OUT")]
    out: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Keys that say nothing here: weights and batch are given, and nothing is trained.
fn has_no_effect(key: &str, config: &Config) -> bool {
    const OF_TRAINING: [&str; 6] = ["optimizer", "param_lr", "momentum", "beta", "epsilon", "weight_decay"];
    let learns = config.learning.update == UpdateTime::Continual || config.model.feedback == FeedbackKind::KolenPollack;
    match key.split_once('.') {
        Some(("data" | "record" | "output", _)) | Some(("learning", "epochs")) => true,
        Some(("learning", leaf)) => !learns && OF_TRAINING.iter().any(|start| leaf.starts_with(start)),
        // Feedback weights of their own are drawn as the weights would be.
        Some(("model", "init")) => config.model.feedback == FeedbackKind::Tied,
        _ => false,
    }
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { typed, weights, data, out, json } = arguments;
    let given = Given::read(&weights, &data).map_err(Failure::input)?;
    let config = configured(&typed, &given.widths())?;
    writable(&out, [&weights, &data]).map_err(Failure::input)?;
    let summary = match config.dtype {
        Dtype::F32 => estimated::<f32>(&config, &given, &out),
        Dtype::F64 => estimated::<f64>(&config, &given, &out),
    };
    let summary = summary.map_err(|error| {
        let code = if matches!(error, GradientError::Step(_) | GradientError::NotFinite(_)) { 3 } else { 2 };
        Failure::input(error).with_code(code)
    })?;
    if json {
        say_json(&summary)?;
    } else {
        say(table(&summary));
        say(format_args!("\ntensors in {}", out.display()));
    }
    not_converged(&summary, config.inference.tolerance)
}

fn estimated<T: Real>(config: &Config, given: &Given, out: &Path) -> Result<Summary, GradientError> {
    let estimated: Estimated<T> = gradient(config, given)?;
    estimated.write(out)?;
    Ok(estimated.summary)
}

/// The configuration with the widths of the weights and no data set of its own.
fn configured(typed: &Typed, widths: &[usize]) -> Result<Config, Failure> {
    let (target, overrides) = typed.split().map_err(Failure::input)?;
    let load = |more: &[String]| config::load(target, &[&overrides, more].concat()).map_err(Failure::plain);
    // The batch is the data: a preset that reads a folder needs none here.
    let no_data = ["name=digits", "dir=", "train=1", "validation=0", "test=1"].map(|setting| format!("data.{setting}"));
    let found = format!("model.widths={widths:?}");
    let loaded = load(&[&no_data[..], std::slice::from_ref(&found)].concat())?;
    // Once more without these widths, to see whether others were asked for; one precision serves any number of layers.
    let asked = load(&[&no_data[..], &["model.precision=1".to_owned()]].concat())?;
    if let Some(place) = asked.set_at.get("model.widths").filter(|_| asked.config.model.widths != widths) {
        let (given, help) = (&asked.config.model.widths, format!("leave it out, or add {found}"));
        let what = format!("model.widths is {given:?} ({place}), the weights are those of {widths:?}; {help}");
        return Err(Failure::input(what));
    }
    let keys = overrides.iter().filter_map(|word| Some(word.split_once('=')?.0.trim()));
    for key in keys.filter(|key| has_no_effect(key, &loaded.config)) {
        complain(format_args!(
            "warning: `{key}` has no effect here: weights and batch are given, and nothing is trained"
        ));
    }
    loaded.warnings.iter().for_each(|warning| complain(format_args!("{warning}")));
    Ok(loaded.config)
}

/// The result must not take the place of what it is made from, and needs a folder; better known before than after.
fn writable(out: &Path, inputs: [&PathBuf; 2]) -> Result<(), String> {
    let real = |path: &Path| path.canonicalize().ok();
    if let Some(input) = inputs.into_iter().find(|input| real(out).is_some_and(|out| Some(out) == real(input))) {
        return Err(format!("--out {} is the input {}", out.display(), input.display()));
    }
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if folder.is_dir() && !out.is_dir() {
        return Ok(());
    }
    Err(format!("--out {} can't be a file: {} has to be a folder", out.display(), folder.display()))
}

fn table(summary: &Summary) -> String {
    let number = |value: f64| format!("{value:.3e}");
    let moved = |distance: Option<f64>| distance.map_or_else(|| "-".to_owned(), number);
    let mut rows = Vec::new();
    let named =
        summary.layers.iter().map(|layer| (format!("W{}", layer.layer), layer.closeness, layer.equilibrium_distance));
    for (name, close, distance) in named.chain([("all".to_owned(), summary.whole, summary.equilibrium_distance)]) {
        let cosine = format!("{:.9}", close.cosine);
        rows.push(vec![name, cosine, number(close.relative_distance), number(close.distance), moved(distance)]);
    }
    let head = ["estimate against reference", "cosine", "relative distance", "distance", "states moved"];
    let gradients = show::columns(&head, &rows);
    let row = |phase: &PhaseSummary| {
        let nudge = phase.nudge.map_or_else(String::new, |nudge| format!(" {nudge}"));
        let (steps, reason) = (phase.n_infer_iters.to_string(), phase.stop_reason.to_string());
        vec![format!("{}{nudge}", phase.phase), steps, reason, number(phase.residual), phase.unsettled.to_string()]
    };
    let phases = match &summary.phases[..] {
        [] => "no phases: the estimate is the reference".to_owned(),
        phases => {
            let rows: Vec<_> = phases.iter().map(row).collect();
            show::columns(&["phase", "steps", "ended by", "residual", "unsettled"], &rows)
        }
    };
    let widths: Vec<String> = summary.widths.iter().map(usize::to_string).collect();
    let (batch, loss) = (summary.batch, summary.loss);
    format!("{}, {batch} samples, mean loss {loss:.6}\n\n{gradients}\n\n{phases}", widths.join("-"))
}

/// A phase that diverged, or did not reach the tolerance that was asked for, is said, and is exit code 3.
fn not_converged(summary: &Summary, tolerance: f64) -> Result<(), Failure> {
    for (index, phase) in summary.phases.iter().enumerate() {
        let PhaseSummary { phase, stop_reason, n_infer_iters: steps, residual, first_arrival, .. } = phase;
        let message = match stop_reason {
            StopReason::Diverged => {
                format!(
                    "phase {index} ({phase}) diverged: its energy rose in {steps} steps; choose a smaller inference.activity_lr"
                )
            }
            StopReason::StepBudget if tolerance > 0.0 && !first_arrival => format!(
                "phase {index} ({phase}) did not converge in {steps} steps: residual {residual:.3e}, tolerance {tolerance:.3e}; \
                 raise inference.max_infer_iters"
            ),
            _ => continue,
        };
        return Err(Failure::input(message).with_code(3));
    }
    Ok(())
}
