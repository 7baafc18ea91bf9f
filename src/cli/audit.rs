//! `asynapse audit`.

use std::path::PathBuf;

use super::{Failure, Typed, complain, folder, say, say_json};
use crate::config;
use crate::experiment::audit::algorithms::{ALGORITHMS, find};
use crate::experiment::audit::{AuditError, Card, Request, audit, card};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Every layer keeps a journal of its updates, in lock-step and free-running. Then it is built again, alone, and told only what
it heard: other bits mean that it has read something else, and the exit code is 1.

Algorithms: pc-nudge, pc-symmetric, pc-clamped, first-step, pc-random, pc-sign-symmetric, pc-kolen-pollack, ep, ep-continual, chl,
chl-weak, backprop; config is the configuration as it is typed. Without a configuration a small network is audited
(784-32-16-10, batches of 8).

Examples:
  asynapse audit                                        all algorithms
  asynapse audit --algorithms pc-nudge,ep --quick
  asynapse audit ep-mnist data.dir=FOLDER --algorithms config
  asynapse audit inference.variables=deviation --algorithms pc-nudge"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    typed: Typed,
    /// Which algorithms, separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "all")]
    algorithms: Vec<String>,
    /// Updates that are observed; everything that is said in them is kept in memory
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    updates: u64,
    /// Fewer trials of precision, noise and delay
    #[arg(long)]
    quick: bool,
    /// Write audit.md, audit.csv, audit.json and figures into this new folder [default: output.dir/DATE-audit]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print JSON instead of Markdown
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let (target, typed) = arguments.typed.split().map_err(Failure::input)?;
    let text = config::text_of(target).map_err(Failure::plain)?;
    let requests = requests(&arguments, target, &typed, &text)?;
    // What is wrong with any of them is said before anything runs.
    let loaded: Vec<config::Loaded> =
        requests.iter().map(Request::load).collect::<Result<_, AuditError>>().map_err(failed)?;
    let first = loaded.first().ok_or_else(|| Failure::input("--algorithms: none is named"))?;
    // The folder has the configuration of the first algorithm; the others' are in `audit.json`.
    let run = folder::create(arguments.out.as_deref(), first, &typed, "audit")?;
    complain(format_args!("seed {}, into {}", first.config.seed, run.path().display()));
    let mut cards = Vec::new();
    for request in &requests {
        complain(format_args!("{}: {}", request.name, request.meaning));
        cards.push(audit(request).map_err(failed)?);
    }
    card::write(&cards, &run).map_err(Failure::input)?;
    if arguments.json {
        say_json(&cards)?;
    } else {
        say(card::markdown(&cards).trim_end());
    }
    verdict(&cards)
}

/// One request per algorithm.
fn requests(
    arguments: &Arguments,
    target: Option<&str>,
    typed: &[String],
    text: &config::Text,
) -> Result<Vec<Request>, Failure> {
    let mut names: Vec<&str> = Vec::new();
    for name in &arguments.algorithms {
        if name == "all" {
            names.extend(ALGORITHMS.iter().map(|algorithm| algorithm.name));
        } else {
            names.push(name);
        }
    }
    names
        .into_iter()
        .map(|name| {
            let request = |meaning: &str, overrides| Request {
                origin: text.origin.clone(),
                text: text.text.clone(),
                name: name.to_owned(),
                meaning: meaning.to_owned(),
                overrides,
                updates: arguments.updates as usize,
                quick: arguments.quick,
            };
            if name == "config" {
                return Ok(request("the configuration as it is", typed.to_vec()));
            }
            let Some(algorithm) = find(name) else {
                let known: Vec<&str> = ALGORITHMS.iter().map(|algorithm| algorithm.name).collect();
                return Err(Failure::input(format!(
                    "--algorithms {name}: no such algorithm; there are all, config, {}",
                    known.join(", ")
                )));
            };
            let key = |word: &str| word.split_once('=').map(|(key, _)| key.trim().to_owned()).unwrap_or_default();
            let fixed: Vec<String> =
                algorithm.identity.iter().map(|word| key(word)).chain(["schedule.mode".to_owned()]).collect();
            if let Some(word) = typed.iter().find(|word| fixed.contains(&key(word))) {
                let what =
                    format!("{word}: {name} says what {} is; leave it out, or audit --algorithms config", key(word));
                return Err(Failure::input(what));
            }
            Ok(request(algorithm.meaning, algorithm.overrides(target.is_none(), typed)))
        })
        .collect()
}

/// A layer that is not local is exit code 1.
fn verdict(cards: &[Card]) -> Result<(), Failure> {
    let caught = card::caught(cards);
    if caught.is_empty() { Ok(()) } else { Err(Failure { code: 1, message: caught.join("\n") }) }
}

fn failed(error: AuditError) -> Failure {
    let code = match &error {
        AuditError::Run { source, .. } if matches!(**source, crate::experiment::compare::CompareError::Step { .. }) => {
            3
        }
        _ => 2,
    };
    Failure::input(error).with_code(code)
}
