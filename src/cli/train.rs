//! `asynapse train`.

use std::fs::OpenOptions;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Failure, Typed, complain, say, say_json, show, signals};
use crate::config::{self, Config};
use crate::engine::EngineError;
use crate::experiment::StepError;
use crate::experiment::train::{Beginning, Evaluation, Observer, Progress, Summary, TrainError, train};
use crate::experiment::workers::Hands;
use crate::math::Dtype;
use crate::run::meta::LoggedEvents;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  asynapse train                                            the embedded digits
  asynapse train mnist data.dir=FOLDER                      MNIST, PC-Nudge, layers as actors in lock-step
  asynapse train mnist data.dir=FOLDER learning.rule=backprop
  asynapse train tiny schedule.mode=free-running schedule.threads=2
  asynapse train --resume runs/NAME                         go on at the newest checkpoint")]
pub(super) struct Arguments {
    #[command(flatten)]
    typed: Typed,
    /// Go on where this run directory stopped; of its settings only learning.epochs, record.*, workers,
    /// schedule.threads, schedule.shards, schedule.stall_seconds, schedule.placement and links.transport may be changed
    #[arg(long, value_name = "RUN")]
    resume: Option<PathBuf>,
    /// Print the closing summary as JSON
    #[arg(long)]
    json: bool,
}

/// Settings that may differ between a run and its continuation without changing its numbers.
const MAY_CHANGE: [&str; 8] = [
    "learning.epochs",
    "record.",
    "schedule.threads",
    "schedule.shards",
    "schedule.stall_seconds",
    "workers",
    "schedule.placement",
    "links.transport",
];

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let (config, beginning) = arguments.load()?;
    arguments.train(&config, beginning, &Hands::Children)
}

impl Arguments {
    /// What is to be trained, and where it begins.
    pub(super) fn load(&self) -> Result<(Config, Beginning), Failure> {
        Ok(match &self.resume {
            None => {
                let loaded = self.typed.load()?;
                let name = run_name(&loaded.config, &loaded.name);
                (loaded.config, Beginning::New { name, overrides: loaded.overrides })
            }
            Some(run) => {
                let (config, overrides) = resumed(run, &self.typed)?;
                (config, Beginning::Resume { run: run.clone(), overrides })
            }
        })
    }

    /// Trains.
    pub(super) fn train(&self, config: &Config, beginning: Beginning, hands: &Hands) -> Result<(), Failure> {
        let cancel = signals::listen().map_err(|error| Failure::input(format!("signals can't be heard: {error}")))?;
        let mut console = Console::new(config);
        let outcome = match config.dtype {
            Dtype::F32 => train::<f32>(config, beginning, hands, &cancel, &mut console),
            Dtype::F64 => train::<f64>(config, beginning, hands, &cancel, &mut console),
        };
        console.bar.finish_and_clear();
        let summary = outcome.map_err(failure)?;
        if self.json { say_json(&summary) } else { close(&summary) }
    }
}

fn failure(error: TrainError) -> Failure {
    let code = match &error {
        TrainError::Interrupted { .. } => 130,
        TrainError::GivenUp { .. } | TrainError::Deserted { .. } | TrainError::NotStored { .. } => 75,
        TrainError::Step {
            source: StepError::Engine(EngineError::Lost { .. } | EngineError::Severed { .. }), ..
        } => 75,
        #[cfg(unix)]
        TrainError::Step { source: StepError::Process(_), .. } => 2,
        TrainError::Step { source: StepError::NoProcesses, .. } => 2,
        TrainError::Step { .. } | TrainError::Weights { .. } => 3,
        TrainError::Assemble(_) | TrainError::Run(_) | TrainError::OtherData { .. } => 2,
    };
    if code == 130 {
        tracing::info!("{error}");
        return Failure { code, message: error.to_string() };
    }
    tracing::error!("{error}");
    Failure::input(error).with_code(code)
}

/// The stored configuration, with what may be changed changed.
fn resumed(run: &Path, typed: &Typed) -> Result<(Config, Vec<String>), Failure> {
    let (target, overrides) = typed.split().map_err(Failure::input)?;
    if let Some(target) = target {
        return Err(Failure::input(format!("`{target}`: a resumed run has its own configuration")));
    }
    let key = |line: &String| line.split_once('=').map_or(String::new(), |(key, _)| key.trim().to_owned());
    if let Some(line) = overrides.iter().find(|line| !MAY_CHANGE.iter().any(|start| key(line).starts_with(start))) {
        let allowed = MAY_CHANGE.map(|start| if start.ends_with('.') { format!("{start}*") } else { start.to_owned() });
        let allowed = allowed.join(", ");
        return Err(Failure::input(format!("`{line}` would make it another run; a resumed run may change {allowed}")));
    }
    let path = run.join("config.toml");
    if !path.is_file() {
        return Err(Failure::input(format!("{} is not a run directory: it has no config.toml", run.display())));
    }
    let config = config::load(Some(&path.to_string_lossy()), &overrides).map_err(Failure::plain)?.config;
    Ok((config, overrides))
}

/// `output.name`, or date, preset and seed.
pub(super) fn run_name(config: &Config, preset: &str) -> String {
    if !config.output.name.is_empty() {
        return config.output.name.clone();
    }
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let base = format!("{}-{preset}-seed{}", now.trim_end_matches('Z').replace(':', "-"), config.seed);
    let is_free = |name: &String| !Path::new(&config.output.dir).join(name).exists();
    std::iter::once(base.clone()).chain((2..1000).map(|n| format!("{base}-{n}"))).find(is_free).unwrap_or(base)
}

/// Progress for a person: a bar on a terminal, plain lines elsewhere.
struct Console {
    bar: ProgressBar,
    batch_size: usize,
    accuracy: f64,
    loss: f64,
}

impl Console {
    fn new(config: &Config) -> Self {
        let bar = ProgressBar::hidden();
        Self { bar, batch_size: config.data.batch_size, accuracy: f64::NAN, loss: f64::NAN }
    }

    fn line(&self, text: &str) {
        self.bar.suspend(|| complain(text));
        tracing::info!("{text}");
    }
}

impl Observer for Console {
    fn began(&mut self, run: &Path, from: u64, steps: u64) {
        log_to(&run.join("run.log"));
        if std::io::stderr().is_terminal() {
            self.bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stderr_with_hz(5));
            let template = "{bar:30} {pos}/{len} steps  {msg}  {per_sec}  {elapsed} + {eta}";
            // The template is a constant; should it not parse, the default style serves.
            if let Ok(style) = ProgressStyle::with_template(template) {
                self.bar.set_style(style);
            }
            self.bar.set_position(from);
            self.bar.reset_eta();
            self.bar.enable_steady_tick(Duration::from_millis(200));
        }
        self.line(&format!("run {}: steps {from} to {steps}, batches of {}", run.display(), self.batch_size));
    }

    fn stepped(&mut self, progress: Progress) {
        // A running mean over some fifty batches, for the eye only; metrics.csv has every batch.
        let blend = |old: f64, new: f64| if old.is_nan() { new } else { 0.98 * old + 0.02 * new };
        self.accuracy = blend(self.accuracy, progress.accuracy);
        self.loss = blend(self.loss, progress.loss);
        if !self.bar.is_hidden() {
            self.bar.set_message(format!("loss {:.4}  accuracy {:.2} %", self.loss, 100.0 * self.accuracy));
            self.bar.set_position(progress.step);
        }
    }

    fn evaluated(&mut self, epoch: u64, split: &str, evaluation: Evaluation) {
        let Evaluation { loss, accuracy } = evaluation;
        self.line(&format!("epoch {}: {split} accuracy {:.2} %, loss {loss:.4}", epoch + 1, 100.0 * accuracy));
    }

    fn said(&mut self, what: &str) {
        self.line(&format!("note: {what}"));
    }
}

/// Everything traced goes to the run's log from now on.
fn log_to(path: &Path) {
    let file = OpenOptions::new().create(true).append(true).open(path);
    match file {
        Ok(file) => {
            let subscriber =
                tracing_subscriber::fmt().with_ansi(false).with_target(false).with_writer(Mutex::new(file)).finish();
            // A second run in one process keeps the first one's log; the command line makes one run per process.
            let _ = tracing::subscriber::set_global_default(subscriber);
        }
        Err(error) => complain(format_args!("warning: {} can't be written: {error}", path.display())),
    }
}

fn close(summary: &Summary) -> Result<(), Failure> {
    let mut rows = vec![
        ("test accuracy", format!("{:.2} %", 100.0 * summary.test.accuracy)),
        ("test loss", format!("{:.4}", summary.test.loss)),
    ];
    if let Some(validation) = summary.validation {
        rows.push(("validation accuracy", format!("{:.2} %", 100.0 * validation.accuracy)));
    }
    if let (Some(mean), Some(last)) = (summary.grad_cosine_similarity, summary.grad_cosine_similarity_last) {
        let count = summary.cosines_measured;
        rows.push(("cosine to backprop", format!("{mean:.6} (mean of {count} batches), last {last:.6}")));
    }
    let ends: Vec<String> = summary.phase_ends.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    if !ends.is_empty() {
        rows.push(("phases ended by", ends.join(", ")));
    }
    rows.push(("speed", format!("{:.1} steps/s, {:.0} samples/s", summary.steps_per_s, summary.samples_per_s)));
    let (steps, epochs, wall) = (summary.steps, summary.epochs, summary.wall_s);
    rows.push(("training", format!("{steps} steps, {epochs} epochs, {wall:.1} s")));
    if let Some(groups) = &summary.groups {
        let (actors, links, rate) = (groups.actors, groups.links, groups.messages_per_s / 1e6);
        let bytes = groups.bytes_per_actor.map_or(String::new(), |bytes| format!(", {:.1} KiB each", bytes / 1024.0));
        rows.push(("groups of neurons", format!("{actors} actors{bytes}, {links} links, {rate:.2} M messages/s")));
    }
    rows.push(("run", summary.run.display().to_string()));
    if let Some(LoggedEvents { batches, events, sha256 }) = &summary.events {
        rows.push(("events logged", format!("{events} of {batches} batches, SHA-256 {sha256}")));
    }
    if let Some(checkpoint) = &summary.checkpoint {
        rows.push(("weights", checkpoint.join("model.safetensors").display().to_string()));
    }
    say(show::pairs(&rows));
    if let Some((_, count)) = summary.phase_ends.iter().find(|(reason, _)| reason == "diverged") {
        let all: u64 = summary.phase_ends.iter().map(|(_, count)| count).sum();
        complain(format_args!(
            "warning: in {count} of {all} steps the energy rose during inference: inference.activity_lr is beyond the \
             stability border 2/(1 + σ²) of some layer, and the estimates of these steps are no gradients"
        ));
    }
    Ok(())
}
