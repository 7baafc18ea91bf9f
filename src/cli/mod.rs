//! The command line: what was typed becomes a configuration and a call of `crate::experiment`; results go to stdout, progress and
//! problems to stderr, the outcome into the exit code.
//!
//! ```text
//! 0 done    1 a comparison out of tolerance    2 usage, configuration or input    3 did not converge, diverged or stalled
//! 75 workers were lost too often, or the disk is full; `--resume` goes on    130 interrupted, after a checkpoint
//! ```

mod audit;
#[cfg(unix)]
mod callers;
mod compare;
mod config;
#[cfg(unix)]
mod coordinator;
mod data;
mod delay;
mod folder;
mod gradient;
#[cfg(unix)]
mod keys;
mod replay;
mod reproduce;
mod show;
mod signals;
mod study;
mod sweep;
mod train;
#[cfg(unix)]
mod worker;

use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Parser, Subcommand};

/// Simulates local, asynchronous learning: every layer an actor, every weight change local.
#[derive(Debug, Parser)]
#[command(name = "asynapse", version, about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a network; without arguments on the embedded digits.
    Train(train::Arguments),
    /// Run one batch through reference, lock-step, free-running and backpropagation.
    Compare(compare::Arguments),
    /// Measure what each algorithm asks of a layer: what it reads, what it takes, what it bears.
    Audit(audit::Arguments),
    /// Estimate the gradient of a network and a batch of yours, as safetensors.
    Gradient(gradient::Arguments),
    /// Measure how long it takes until a layer feels what happened at the other end.
    Delay(delay::Arguments),
    /// Do a run in virtual time once more and hold every event against its log.
    Replay(replay::Arguments),
    /// Run a grid over keys of the configuration.
    Sweep(sweep::Arguments),
    /// Measure what survives delay, loss, uneven clocks, narrow numbers: built-in studies with figures.
    Study(study::Arguments),
    /// Measure and draw the panels of the paper's Figures 2 and 3, and hold them against what it says.
    Reproduce(reproduce::Arguments),
    /// Show, check or describe configurations.
    #[command(subcommand)]
    Config(config::Arguments),
    /// Train with workers that are started by hand.
    #[cfg(unix)]
    Coordinator(coordinator::Arguments),
    /// Make the secret and the certificate of a run on several hosts.
    #[cfg(unix)]
    Keys(keys::Arguments),
    /// Run layers of a network whose coordinator is another process.
    #[cfg(unix)]
    Worker(worker::Arguments),
    /// List, fetch or verify data sets.
    #[command(subcommand)]
    Data(data::Arguments),
}

/// A configuration as it is typed: `[CONFIG|PRESET] [key=value]…`.
#[derive(Clone, Debug, clap::Args)]
struct Typed {
    /// A TOML file or a preset (see `asynapse config list`), then any number of key=value overrides
    #[arg(value_name = "CONFIG|PRESET|key=value")]
    words: Vec<String>,
}

impl Typed {
    /// The file or preset, and the overrides. A word is an override if it has an equals sign behind a key.
    fn split(&self) -> Result<(Option<&str>, Vec<String>), String> {
        let is_key = |key: &str| {
            key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '>' | '"' | ' '))
        };
        let is_override = |word: &str| word.split_once('=').is_some_and(|(key, _)| is_key(key));
        let (overrides, targets): (Vec<&String>, Vec<&String>) = self.words.iter().partition(|word| is_override(word));
        match targets[..] {
            [] => Ok((None, overrides.into_iter().cloned().collect())),
            [target] => Ok((Some(target), overrides.into_iter().cloned().collect())),
            [first, second, ..] => {
                Err(format!("`{first}` and `{second}`: one configuration at a time; settings are written key=value"))
            }
        }
    }

    /// Reads and checks it; warnings go to stderr.
    fn load(&self) -> Result<crate::config::Loaded, Failure> {
        let (target, overrides) = self.split().map_err(Failure::input)?;
        let loaded = crate::config::load(target, &overrides).map_err(Failure::plain)?;
        loaded.warnings.iter().for_each(|warning| complain(format_args!("{warning}")));
        Ok(loaded)
    }
}

/// How a command ended if not well.
#[derive(Debug)]
struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// Exit code 2 with a sentence.
    fn input(message: impl Display) -> Self {
        Self { code: 2, message: format!("error: {message}") }
    }

    /// Exit code 2 with a text that has its own `error:`.
    fn plain(message: impl Display) -> Self {
        Self { code: 2, message: message.to_string() }
    }

    fn with_code(self, code: u8) -> Self {
        Self { code, ..self }
    }
}

/// Set when stdout did not take a line although somebody reads it: the disk is full.
static OUTPUT_LOST: AtomicBool = AtomicBool::new(false);

/// A line on stdout. Whoever reads may have gone (`| head`); that is no error.
fn say(line: impl Display) {
    if let Err(error) = writeln!(std::io::stdout(), "{line}")
        && error.kind() != ErrorKind::BrokenPipe
        && !OUTPUT_LOST.swap(true, Ordering::Relaxed)
    {
        complain(format_args!("error: stdout could not be written: {error}"));
    }
}

/// A line on stderr.
fn complain(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Prints a value as JSON on stdout.
fn say_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(Failure::input)?;
    say(text);
    Ok(())
}

/// Runs what was typed.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        Command::Train(arguments) => train::run(arguments),
        Command::Compare(arguments) => compare::run(arguments),
        Command::Audit(arguments) => audit::run(arguments),
        Command::Gradient(arguments) => gradient::run(arguments),
        Command::Delay(arguments) => delay::run(arguments),
        Command::Replay(arguments) => replay::run(arguments),
        Command::Sweep(arguments) => sweep::run(arguments),
        Command::Study(arguments) => study::run(arguments),
        Command::Reproduce(arguments) => reproduce::run(arguments),
        Command::Config(arguments) => config::run(arguments),
        #[cfg(unix)]
        Command::Coordinator(arguments) => coordinator::run(arguments),
        #[cfg(unix)]
        Command::Keys(arguments) => keys::run(arguments),
        #[cfg(unix)]
        Command::Worker(arguments) => worker::run(arguments),
        Command::Data(arguments) => data::run(arguments),
    };
    match outcome {
        Ok(()) if OUTPUT_LOST.load(Ordering::Relaxed) => ExitCode::from(2),
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.message.is_empty() {
                complain(failure.message.trim_end());
            }
            ExitCode::from(failure.code)
        }
    }
}
