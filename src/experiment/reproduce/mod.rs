//! `asynapse reproduce`: the panels of the paper's Figures 2 and 3, measured again, drawn, and held against what the paper says.
//!
//! ```text
//! fig2a    energies while the output is clamped          fig3a    distance to backpropagation over λ
//! fig2b    states that move along the gradient           fig3bc   training beside backpropagation
//! fig2c    distance of equilibria and of gradients       orders   the order of every algorithm's error (not in the paper)
//! ```
//!
//! A panel is a function from a `Bench` (network, data, seeds, where to write) to [`Verdict`]s. It writes what it measured
//! (`PANEL-measured.csv`, every row with its seed) and figures with the CSV that drew them. A verdict compares by a criterion that
//! stands in the code beside the sentence; nothing is read off a picture. Where theory gives numbers for MNIST, computed by another
//! program, they are compared too, and only if the data are MNIST and the settings the paper's.
//!
//! Next: `measure.rs` for what the panels share, then a file per panel.

mod algorithms;
mod fig2a;
mod fig2b;
mod fig2c;
mod fig3a;
mod fig3bc;
mod measure;
mod orders;
mod verdict;

pub use verdict::{Verdict, within};

use std::path::Path;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::assemble::{self, AssembleError};
use super::machine::{Machine, StepError};
use crate::config::{Config, Precision, ScheduleMode};
use crate::data::catalogue;
use crate::data::dataset::Splits;
use crate::energy::{Activation, EnergyKind, Loss};
use crate::math::{Dtype, Field, Real};
use crate::network::{Init, NetworkSpec, Weights};
use crate::plot::PlotError;
use crate::reference::implicit::ImplicitError;
use crate::run::atomic::write_atomic;
use crate::run::table::write_table;
use crate::run::{RunDirectory, RunError};

/// What can be reproduced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Panel {
    /// Energies during clamped inference.
    Fig2a,
    /// Displacements of the states against the gradient.
    Fig2b,
    /// Distance of equilibria against distance of gradients.
    Fig2c,
    /// Distance to backpropagation over λ.
    Fig3a,
    /// Training, beside backpropagation.
    Fig3bc,
    /// Order of the error of every algorithm.
    Orders,
}

impl Panel {
    /// All of them, in the order of the paper.
    pub const ALL: [Self; 6] = [Self::Fig2a, Self::Fig2b, Self::Fig2c, Self::Fig3a, Self::Fig3bc, Self::Orders];

    /// As it is typed and as files are called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fig2a => "fig2a",
            Self::Fig2b => "fig2b",
            Self::Fig2c => "fig2c",
            Self::Fig3a => "fig3a",
            Self::Fig3bc => "fig3bc",
            Self::Orders => "orders",
        }
    }

    /// The keys of the configuration that this panel reads; the others it would ignore.
    pub fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Fig2a | Self::Fig2b => &TRAJECTORY,
            Self::Fig2c | Self::Fig3a => &TRAJECTORY[1..],
            Self::Fig3bc => &TRAINING,
            Self::Orders => &["seed", "inference.activity_lr", "schedule.", "links."],
        }
    }
}

/// Keys of panels that look at one batch; those that choose the number format themselves do not read the first.
const TRAJECTORY: [&str; 14] = [
    "dtype",
    "seed",
    "data.",
    "model.widths",
    "model.act_fn",
    "model.output_act_fn",
    "model.loss",
    "model.init",
    "model.precision",
    "model.groups",
    "inference.activity_lr",
    "inference.max_infer_iters",
    "schedule.",
    "links.",
];

/// Keys of training; the rules are the panel's own.
const TRAINING: [&str; 27] = [
    "dtype",
    "seed",
    "data.",
    "model.widths",
    "model.act_fn",
    "model.output_act_fn",
    "model.loss",
    "model.init",
    "model.precision",
    "model.groups",
    "inference.activity_lr",
    "inference.max_infer_iters",
    "inference.tolerance",
    "inference.check_every",
    "inference.plateau",
    "learning.nudge",
    "learning.nudging",
    "learning.optimizer",
    "learning.param_lr",
    "learning.momentum",
    "learning.beta1",
    "learning.beta2",
    "learning.epsilon",
    "learning.weight_decay",
    "learning.epochs",
    "schedule.",
    "links.",
];

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which panels, in this order.
    pub panels: Vec<Panel>,
    /// Network, data, inference, and for `fig3bc` learning.
    pub config: Config,
    /// Less of everything.
    pub quick: bool,
    /// How many seeds, beginning with the configuration's; each panel has its own number if there is none.
    pub seeds: Option<usize>,
}

/// Why a panel could not be reproduced.
#[derive(Debug, thiserror::Error)]
pub enum ReproduceError {
    /// The configuration can't be run.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    /// The panels have no meaning for this configuration.
    #[error("{0}")]
    Unfit(String),
    /// A program failed.
    #[error(transparent)]
    Step(#[from] StepError),
    /// No exact gradient of a Hopfield network.
    #[error(transparent)]
    Implicit(#[from] ImplicitError),
    /// A figure could not be drawn or written.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// A file could not be written.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// What every panel is given.
struct Bench<'a> {
    config: &'a Config,
    network: NetworkSpec,
    splits: Splits,
    /// The data are MNIST and the network, inference and number format of data those of the paper's appendix.
    is_papers: bool,
    quick: bool,
    seeds: Option<usize>,
    folder: &'a Path,
    say: &'a mut dyn FnMut(&str),
}

impl Bench<'_> {
    /// The seeds of a panel that would take `usually` of them.
    fn seeds(&self, usually: usize) -> Vec<u64> {
        let count = self.seeds.unwrap_or(if self.quick { usually.min(3) } else { usually });
        (0..count as u64).map(|index| self.config.seed + index).collect()
    }

    /// The first `data.batch_size` training samples.
    fn batch<T: Real>(&self) -> (Field<T>, Field<T>) {
        let count = self.config.data.batch_size.min(self.splits.train.len());
        self.splits.train.batch(&(0..count).collect::<Vec<_>>())
    }

    fn weights<T: Real>(&self, seed: u64) -> Weights<T> {
        self.network.initial_weights(self.config.model.init, seed)
    }

    /// A machine of the configured schedule, for a network that need not be the configured one.
    fn machine<T: Real>(&self, network: &NetworkSpec, weights: Weights<T>) -> Result<Machine<T>, StepError> {
        assemble::machine_in(self.config, network, weights, self.config.schedule.mode)
    }

    /// Writes what was measured, one row per measurement.
    fn table<R: Serialize>(&self, name: &str, rows: &[R]) -> Result<(), RunError> {
        write_table(&self.folder.join(name), rows)
    }
}

/// `reproduce.json`.
#[derive(Serialize)]
struct Record<'a> {
    program: String,
    git: Option<&'a str>,
    started_unix: u64,
    panels: &'a [Panel],
    quick: bool,
    first_seed: u64,
    seeds: Option<usize>,
    data: &'a [(String, String)],
    is_mnist_with_the_papers_settings: bool,
    config: &'a Config,
    verdicts: &'a [Verdict],
}

/// Measures, draws, writes and judges. `said` is told of progress, and of every verdict as it falls.
pub fn reproduce(
    request: &Request,
    run: &RunDirectory,
    say: &mut dyn FnMut(&str),
    judged: &mut dyn FnMut(&Verdict),
) -> Result<Vec<Verdict>, ReproduceError> {
    let config = &request.config;
    let started = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let network = assemble::network(config).map_err(AssembleError::from)?;
    if network.energy() != EnergyKind::PredictiveCoding || network.depth() < 2 {
        let what = "the panels are about predictive coding with at least one hidden layer; \
                    leave model.energy out, and give model.widths three numbers or more";
        return Err(ReproduceError::Unfit(what.to_owned()));
    }
    if matches!(config.schedule.mode, ScheduleMode::FreeRunning | ScheduleMode::VirtualTime) {
        let what = "the panels count inference steps of the whole network, which layers with clocks of their own do not share; \
                    use schedule.mode = \"lock-step\" or \"reference\"";
        return Err(ReproduceError::Unfit(what.to_owned()));
    }
    let splits = assemble::data(config, &network)?;
    let is_papers = is_mnist(&splits) && has_the_papers_settings(config);
    let (quick, seeds, folder) = (request.quick, request.seeds, run.path());
    let mut bench = Bench { config, network, splits, is_papers, quick, seeds, folder, say };
    let mut verdicts = Vec::new();
    for &panel in &request.panels {
        let begun = std::time::Instant::now();
        let found = run_panel(panel, &mut bench)?;
        (bench.say)(&format!("{}: {:.1} s", panel.name(), begun.elapsed().as_secs_f64()));
        found.iter().for_each(&mut *judged);
        verdicts.extend(found);
    }
    let record = Record {
        program: format!("asynapse {}", env!("CARGO_PKG_VERSION")),
        git: option_env!("ASYNAPSE_GIT").filter(|hash| !hash.is_empty()),
        started_unix: started,
        panels: &request.panels,
        quick,
        first_seed: config.seed,
        seeds,
        data: &bench.splits.sources,
        is_mnist_with_the_papers_settings: is_papers,
        config,
        verdicts: &verdicts,
    };
    let path = run.file("reproduce.json");
    let text = serde_json::to_vec_pretty(&record).map_err(|error| RunError::content(&path, error.to_string()))?;
    write_atomic(&path, &text)?;
    Ok(verdicts)
}

fn run_panel(panel: Panel, bench: &mut Bench<'_>) -> Result<Vec<Verdict>, ReproduceError> {
    match (panel, bench.config.dtype) {
        (Panel::Fig2a, Dtype::F32) => fig2a::run::<f32>(bench),
        (Panel::Fig2a, Dtype::F64) => fig2a::run::<f64>(bench),
        (Panel::Fig2b, Dtype::F32) => fig2b::run::<f32>(bench),
        (Panel::Fig2b, Dtype::F64) => fig2b::run::<f64>(bench),
        (Panel::Fig2c, _) => fig2c::run(bench),
        (Panel::Fig3a, _) => fig3a::run(bench),
        (Panel::Fig3bc, Dtype::F32) => fig3bc::run::<f32>(bench),
        (Panel::Fig3bc, Dtype::F64) => fig3bc::run::<f64>(bench),
        (Panel::Orders, _) => orders::run(bench),
    }
}

/// True if the training images, as an IDX file, have the published digest of MNIST's; the files may have been packed anew.
fn is_mnist(splits: &Splits) -> bool {
    let Ok(mnist) = catalogue::find("mnist") else { return false };
    let published = mnist.files.iter().find(|file| file.role == catalogue::Role::TrainImages);
    let mut digest = Sha256::new();
    for number in [2051_u32, 60_000, 28, 28] {
        digest.update(number.to_be_bytes());
    }
    for part in [&splits.train, &splits.validation] {
        (0..part.len()).for_each(|sample| digest.update(part.image(sample)));
    }
    let hex: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    published.is_some_and(|file| file.content_sha256 == Some(hex.as_str()))
}

/// Appendix A.1: what the numbers of theory were computed with.
fn has_the_papers_settings(config: &Config) -> bool {
    let (model, inference) = (&config.model, &config.inference);
    model.widths == [784, 128, 64, 10]
        && model.precision == Precision::Uniform(1.0)
        && (model.act_fn, model.loss, model.init) == (Activation::Relu, Loss::CrossEntropy, Init::TorchLinear)
        && (inference.activity_lr, inference.max_infer_iters, config.data.batch_size) == (0.1, 50, 64)
}
