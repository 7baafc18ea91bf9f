//! `asynapse reproduce`.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::ValueEnum;

use super::{Failure, Typed, complain, folder, say};
use crate::config::{self, Loaded};
use crate::experiment::reproduce::{Panel, ReproduceError, Request, Verdict, reproduce};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "One line per claim: what is said, what was measured, whether they agree. Figures (SVG, PNG, the CSV that drew
them), everything measured with its seed (PANEL-measured.csv) and reproduce.json go into a new folder.

Without a preset the settings are those of the paper's appendix: the preset mnist-paper with data.dir=FOLDER, the same on the
embedded digits without. A setting that no panel in question reads is refused.

Examples:
  asynapse reproduce all --quick                            the embedded digits, less of everything
  asynapse reproduce all data.dir=FOLDER --out figures      MNIST
  asynapse reproduce fig3a --seeds 20 data.dir=FOLDER
  asynapse reproduce fig3bc mnist data.dir=FOLDER           trained as the preset mnist does"
)]
pub(super) struct Arguments {
    /// Which panel of the paper
    panel: Choice,
    #[command(flatten)]
    typed: Typed,
    /// Fewer seeds, strengths and batches: a minute for everything on the embedded digits
    #[arg(long)]
    quick: bool,
    /// Seeds, counted up from the configuration's [default: 10 for fig2 and fig3a, 4 for orders]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: Option<u64>,
    /// The folder to make [default: output.dir/DATE-reproduce-PANEL]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Exit with 1 if anything does not agree
    #[arg(long)]
    strict: bool,
}

/// A panel or all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Choice {
    /// Energies during clamped inference
    Fig2a,
    /// Motion of the states against the gradient
    Fig2b,
    /// Distance of the equilibria against distance of the gradients
    Fig2c,
    /// Distance to backpropagation over λ
    Fig3a,
    /// Training beside backpropagation
    Fig3bc,
    /// The order of every algorithm's error
    Orders,
    /// All of these
    All,
}

impl Choice {
    fn panels(self) -> Vec<Panel> {
        let one = match self {
            Self::Fig2a => Panel::Fig2a,
            Self::Fig2b => Panel::Fig2b,
            Self::Fig2c => Panel::Fig2c,
            Self::Fig3a => Panel::Fig3a,
            Self::Fig3bc => Panel::Fig3bc,
            Self::Orders => Panel::Orders,
            Self::All => return Panel::ALL.to_vec(),
        };
        vec![one]
    }

    fn name(self) -> &'static str {
        if self == Self::All { "all" } else { self.panels()[0].name() }
    }
}

/// Appendix A.1.2 on the embedded digits, which the preset for MNIST can't name.
const PAPER: [&str; 4] =
    ["learning.optimizer=momentum", "learning.momentum=0.9", "learning.param_lr=1e-3", "learning.nudge=0.001"];

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let panels = arguments.panel.panels();
    let loaded = load(&arguments.typed, &panels)?;
    if arguments.seeds.is_some() && panels == [Panel::Fig3bc] {
        return Err(Failure::input("--seeds: fig3bc trains once, with the seed of the configuration; set seed=N"));
    }
    let command = format!("reproduce-{}", arguments.panel.name());
    let run = folder::create(arguments.out.as_deref(), &loaded, &loaded.overrides, &command)?;
    let seeds = arguments.seeds.map(|seeds| seeds as usize);
    let request = Request { panels, config: loaded.config, quick: arguments.quick, seeds };
    let shown = seeds.map_or("each panel's own number of seeds".to_owned(), |count| format!("{count} seeds"));
    complain(format_args!("{shown} from seed {} on, into {}", request.config.seed, run.path().display()));
    let on_terminal = std::io::stderr().is_terminal();
    let mut progress = |line: &str| {
        if on_terminal || line.contains(": ") {
            complain(line);
        }
    };
    let verdicts = reproduce(&request, &run, &mut progress, &mut |verdict: &Verdict| say(verdict)).map_err(failed)?;
    let against = verdicts.iter().filter(|verdict| !verdict.agrees).count();
    if arguments.strict && against > 0 {
        return Err(Failure { code: 1, message: format!("{against} of {} do not agree", verdicts.len()) });
    }
    Ok(())
}

fn failed(error: ReproduceError) -> Failure {
    let code = if matches!(error, ReproduceError::Step(_) | ReproduceError::Implicit(_)) { 3 } else { 2 };
    Failure::input(error).with_code(code)
}

/// The configuration, in which everything that was typed is read by one of the panels.
fn load(typed: &Typed, panels: &[Panel]) -> Result<Loaded, Failure> {
    let (target, typed) = typed.split().map_err(Failure::input)?;
    let has_folder = typed.iter().any(|word| word.trim_start().starts_with("data.dir"));
    let (target, overrides) = match target {
        Some(_) => (target, typed.clone()),
        None if has_folder => (Some("mnist-paper"), typed.clone()),
        None => (None, PAPER.iter().map(|word| (*word).to_owned()).chain(typed.iter().cloned()).collect()),
    };
    let loaded = config::load(target, &overrides).map_err(Failure::plain)?;
    // Whether it has an effect is for the panels to say, which set rule and phases themselves.
    let typed_from = overrides.len() - typed.len();
    for (key, place) in &loaded.set_at {
        let number = place.strip_prefix("command line, override ").and_then(|number| number.parse::<usize>().ok());
        let read = |panel: &Panel| {
            panel.keys().iter().any(|read| key == read || (read.ends_with('.') && key.starts_with(read)))
        };
        let set_here = number.is_some_and(|number| number > typed_from) && *key != "output.dir";
        if set_here && !panels.iter().any(read) {
            let names: Vec<&str> = panels.iter().map(|panel| panel.name()).collect();
            return Err(Failure::input(format!("{key}: {} does not read it; leave it out", names.join(", "))));
        }
    }
    Ok(loaded)
}
