//! `asynapse study`: what survives asynchrony. Named studies, each a configuration that is compiled in, a table, figures with the CSV
//! that drew them, and sentences that say what was found.
//!
//! ```text
//! delay jitter loss rate-spread threshold staleness precision noise     cosine to the exact gradient, five algorithms
//! border           the largest stable step of a chain over the delay, for each of the three messages
//! equilibrium      what a settled network estimates does not depend on the delays
//! first-arrival    where reading at the first arrival breaks: reordering, loss
//! training         accuracy of short trainings under delay
//! ```
//!
//! A study is an entry of [`STUDIES`]; another disturbance is one more constant of [`disturbance`] and one more entry. Everything measured
//! stands with its seed in `NAME-measured.csv`. What the program can't honour is left out with the program's own sentence.
//!
//! Next: `trial.rs` (one update), `fidelity.rs`, then a file per study.

mod arrival;
mod border;
pub mod chain;
pub mod disturbance;
mod equilibrium;
mod fidelity;
mod parallel;
mod summary;
mod training;
mod trial;

pub use border::Cell;
pub use summary::LeftOut;
pub use trial::Row;

use std::fmt;
use std::path::Path;

use serde::Serialize;

use self::disturbance::Disturbance;
use super::assemble::AssembleError;
use super::audit::algorithms::{ALGORITHMS, Algorithm};
use crate::config::{self, Config, ConfigError, Loaded, Text};
use crate::plot::PlotError;
use crate::run::atomic::write_atomic;
use crate::run::table::write_table;
use crate::run::{RunDirectory, RunError};

/// A named study.
#[derive(Debug)]
pub struct Study {
    /// As it is typed and as its files are called.
    pub name: &'static str,
    /// In one line.
    pub summary: &'static str,
    /// The preset it runs with if no other configuration is named.
    pub preset: &'static str,
    kind: Kind,
}

/// What is done.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Fidelity(&'static Disturbance),
    Border,
    Equilibrium,
    FirstArrival,
    Training,
}

const fn fidelity(name: &'static str, summary: &'static str, disturbance: &'static Disturbance) -> Study {
    Study { name, summary, preset: "study", kind: Kind::Fidelity(disturbance) }
}

/// All of them.
pub const STUDIES: [Study; 12] = [
    fidelity("delay", "cosine to the exact gradient over the delay of every signal", &disturbance::DELAY),
    fidelity("jitter", "over the spread of delays", &disturbance::JITTER),
    fidelity("loss", "over the probability that a signal is lost", &disturbance::LOSS),
    fidelity("rate-spread", "over the spread of the layers' rates", &disturbance::RATE_SPREAD),
    fidelity("threshold", "over the threshold of send-on-change", &disturbance::THRESHOLD),
    fidelity("staleness", "over the bound on the age of signals", &disturbance::STALENESS),
    fidelity("precision", "over the bits of signals", &disturbance::PRECISION),
    fidelity("noise", "over the noise on signals", &disturbance::NOISE),
    Study {
        name: "border",
        summary: "the largest stable activity_lr over the delay, for each message, beside bound and closed form",
        preset: "study-border",
        kind: Kind::Border,
    },
    Study {
        name: "equilibrium",
        summary: "the estimate of a settled network over the delay: it has no memory of the path",
        preset: "study",
        kind: Kind::Equilibrium,
    },
    Study {
        name: "first-arrival",
        summary: "reading at the first arrival, under reordering and under loss",
        preset: "study",
        kind: Kind::FirstArrival,
    },
    Study {
        name: "training",
        summary: "test accuracy of short trainings over the delay, beside backpropagation",
        preset: "study-training",
        kind: Kind::Training,
    },
];

/// The study of this name.
pub fn find(name: &str) -> Option<&'static Study> {
    STUDIES.iter().find(|study| study.name == name)
}

impl Study {
    /// Whether it reads a key of the configuration.
    pub fn reads(&self, key: &str) -> bool {
        let batch =
            ["dtype", "seed", "data.", "model.", "inference.", "schedule.events_max", "clocks.", "links.", "numerics."];
        let among =
            |keys: &[&str]| keys.iter().any(|read| key == *read || (read.ends_with('.') && key.starts_with(read)));
        match self.kind {
            Kind::Border => key == "model.widths",
            Kind::Training => among(&batch) || among(&["learning.", "record."]),
            _ => among(&batch) || among(&["learning.nudge", "learning.nudging"]),
        }
    }

    /// Whether it sets this key itself, so that nobody else can.
    pub fn sets(&self, key: &str) -> bool {
        let identity = |key: &str| {
            let words = ALGORITHMS.iter().flat_map(|algorithm| algorithm.identity);
            words.filter_map(|word| word.split_once('=')).any(|(set, _)| set == key && key != "learning.nudging")
        };
        if key == "schedule.mode" || key == "model.energy" || identity(key) {
            return true;
        }
        let own = |words: Vec<String>| words.iter().filter_map(|word| word.split_once('=')).any(|(set, _)| set == key);
        match self.kind {
            Kind::Fidelity(disturbance) => disturbance.quick.iter().any(|&value| own((disturbance.words)(value, 0, 3))),
            Kind::Equilibrium => ["links.delay", "links.loss", "links.resend"].contains(&key),
            Kind::FirstArrival => {
                ["links.delay", "links.loss", "links.resend", "links.reorder", "inference.free_phase"].contains(&key)
            }
            Kind::Training => key == "links.delay",
            Kind::Border => false,
        }
    }
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The configuration before anything was typed.
    pub text: Text,
    /// `key=value` as typed.
    pub typed: Vec<String>,
    /// Less of everything.
    pub quick: bool,
    /// Seeds per point, from the configuration's on; each study has its own number if there is none.
    pub seeds: Option<usize>,
    /// Threads.
    pub jobs: usize,
}

/// Something a study found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// Which study.
    pub study: &'static str,
    /// A sentence with numbers.
    pub found: String,
    /// Whether it is as theory says it has to be; `None`: theory says nothing.
    pub holds: Option<bool>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ending = match self.holds {
            None => "",
            Some(true) => " / holds",
            Some(false) => " / does not hold",
        };
        write!(f, "{}: {}{ending}", self.study, self.found)
    }
}

/// What a study leaves beside its files.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// What was found.
    pub findings: Vec<Finding>,
    /// What could not be measured, and why.
    pub left_out: Vec<LeftOut>,
    /// Medians and quartiles, as Markdown.
    pub table: String,
}

/// Why there is no study.
#[derive(Debug, thiserror::Error)]
pub enum StudyError {
    /// The configuration can't be read.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// It can't be run.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    /// It has no meaning for this study.
    #[error("{0}")]
    Unfit(String),
    /// A layer refused.
    #[error(transparent)]
    Engine(#[from] crate::engine::EngineError),
    /// A figure could not be drawn or written.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// A file could not be written.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// What a study is given.
struct Bench<'a> {
    study: &'static Study,
    request: &'a Request,
    quick: bool,
    jobs: usize,
    folder: &'a Path,
    first_seed: u64,
    say: &'a (dyn Fn(&str) + Sync),
}

/// A small network, for `--quick`; what is typed wins.
const QUICK: [&str; 3] = ["model.widths=[784,12,8,10]", "data.batch_size=8", "inference.max_infer_iters=60"];
const QUICK_TRAINING: [&str; 3] = ["data.train=320", "data.test=100", "learning.epochs=1"];
/// Who comes first matters where there is a way to go.
const DEEP: [&str; 1] = ["model.widths=[784,32,32,32,32,10]"];
const QUICK_DEEP: [&str; 1] = ["model.widths=[784,12,12,12,10]"];

impl Bench<'_> {
    fn seeds(&self) -> Vec<u64> {
        let count = self.request.seeds.unwrap_or(match (self.quick, self.study.kind) {
            (true, _) => 2,
            (false, Kind::Training) => 3,
            (false, _) => 5,
        });
        (0..count as u64).map(|index| self.first_seed + index).collect()
    }

    /// The configuration before any algorithm.
    fn base(&self) -> Result<Loaded, ConfigError> {
        // The only schedule that honours every link that may have been typed.
        self.load(None, &["schedule.mode=virtual-time".to_owned()])
    }

    /// The configuration of an algorithm: what it wants, then what was typed, then what it is, then `words`; the last of a key wins.
    fn load(&self, algorithm: Option<&Algorithm>, words: &[String]) -> Result<Loaded, ConfigError> {
        let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<String>>();
        let quick = if self.quick { &QUICK[..] } else { &[] };
        let own = match (self.study.kind, self.quick) {
            (Kind::Border, _) => Vec::new(),
            (Kind::FirstArrival, false) => owned(&DEEP),
            (Kind::FirstArrival, true) => [owned(quick), owned(&QUICK_DEEP)].concat(),
            (Kind::Training, true) => [owned(quick), owned(&QUICK_TRAINING)].concat(),
            _ => owned(quick),
        };
        let (wants, identity) = algorithm.map_or((&[][..], &[][..]), |algorithm| (algorithm.wants, algorithm.identity));
        let all = [own, owned(wants), self.request.typed.clone(), owned(identity), words.to_vec()].concat();
        config::load_text(&self.request.text.origin, &self.request.text.text, &all)
    }

    /// The same by the synchronous program, without clocks and links that were typed: an algorithm undisturbed.
    fn load_calm(&self, algorithm: &Algorithm, words: &[String]) -> Result<Loaded, ConfigError> {
        let is_disturbance = |word: &&String| ["clocks.", "links."].iter().any(|table| word.starts_with(table));
        let typed = self.request.typed.iter().filter(|word| !is_disturbance(word)).cloned().collect();
        let calm = Request { typed, ..self.request.clone() };
        let words = [words, &["schedule.mode=reference".to_owned()]].concat();
        Bench { request: &calm, ..*self }.load(Some(algorithm), &words)
    }

    fn progress(&self, done: usize, all: usize) {
        if done.is_multiple_of(all.div_ceil(10)) {
            (self.say)(&format!("{}: {done} of {all}", self.study.name));
        }
    }

    /// `NAME-measured.csv`: a line per row.
    fn table<R: Serialize>(&self, rows: &[R]) -> Result<(), RunError> {
        write_table(&self.folder.join(format!("{}-measured.csv", self.study.name)), rows)
    }
}

/// The part of `study.json` about one study.
#[derive(Serialize)]
pub struct Record {
    /// Which.
    pub study: &'static str,
    /// With what, before any algorithm.
    pub config: Config,
    /// As typed.
    pub typed: Vec<String>,
    /// Less of everything.
    pub quick: bool,
    /// Of every point.
    pub seeds: Vec<u64>,
    /// What came of it.
    pub outcome: Outcome,
    /// How long it took.
    pub seconds: f64,
}

/// Makes one study: `NAME.svg`, `.png` and `.csv` of its figures, `NAME-measured.csv` and `NAME.md`. `say` is told of progress.
///
/// # Errors
/// A configuration that can't be read or run, files that can't be written. What single trials can't honour is in the outcome.
pub fn run(
    study: &'static Study,
    request: &Request,
    run: &RunDirectory,
    say: &(dyn Fn(&str) + Sync),
) -> Result<Record, StudyError> {
    let begun = std::time::Instant::now();
    let (quick, jobs, folder) = (request.quick, request.jobs, run.path());
    let mut bench = Bench { study, request, quick, jobs, folder, first_seed: 0, say };
    let config = bench.base()?.config;
    bench.first_seed = config.seed;
    let outcome = match study.kind {
        Kind::Fidelity(disturbance) => fidelity::run(&bench, disturbance),
        Kind::Border => border::run(&bench),
        Kind::Equilibrium => equilibrium::run(&bench),
        Kind::FirstArrival => arrival::run(&bench),
        Kind::Training => training::run(&bench),
    }?;
    let path = run.file(&format!("{}.md", study.name));
    write_atomic(&path, page(study, &outcome).as_bytes())?;
    let seeds = bench.seeds();
    let seconds = begun.elapsed().as_secs_f64();
    Ok(Record { study: study.name, config, typed: request.typed.clone(), quick, seeds, outcome, seconds })
}

/// What was found, what was left out, and the numbers.
fn page(study: &Study, outcome: &Outcome) -> String {
    let mut text = format!("# {}\n\n{}.\n\n", study.name, study.summary);
    outcome.findings.iter().for_each(|finding| text.push_str(&format!("- {finding}\n")));
    outcome.left_out.iter().for_each(|left| text.push_str(&format!("- {left}\n")));
    text.push_str(&format!("\n{}", outcome.table));
    text
}

/// Writes `study.json`.
///
/// # Errors
/// It can't be written.
pub fn write(records: &[Record], run: &RunDirectory) -> Result<(), RunError> {
    #[derive(Serialize)]
    struct Whole<'a> {
        program: String,
        git: Option<&'a str>,
        studies: &'a [Record],
    }
    let whole = Whole {
        program: format!("asynapse {}", env!("CARGO_PKG_VERSION")),
        git: option_env!("ASYNAPSE_GIT").filter(|hash| !hash.is_empty()),
        studies: records,
    };
    let path = run.file("study.json");
    let text = serde_json::to_vec_pretty(&whole).map_err(|error| RunError::content(&path, error.to_string()))?;
    write_atomic(&path, &text)
}
