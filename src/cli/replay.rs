//! `asynapse replay RUN`: was that what happens? And what did happen at that moment?

use std::path::PathBuf;

use super::{Failure, say};
use crate::config;
use crate::experiment::replay::{Difference, Moment, ReplayError, Replayed, Request, Shown, replay};
use crate::math::Dtype;
use crate::run::meta::LoggedEvents;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  asynapse train tiny schedule.mode=virtual-time links.delay=2 record.event_log=10 output.name=a
  asynapse replay runs/a                                    hold every event against the log
  asynapse replay runs/a --batch 3 --from 12.5 --events 40  and show what happened at a moment

Exit code 1 if an event is not as it was.")]
pub(super) struct Arguments {
    /// The directory of a run in virtual time that has an events.log
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Show events of this batch, counted from 0
    #[arg(long, value_name = "B")]
    batch: Option<u64>,
    /// Show them from this time on, in τ since the batch was presented
    #[arg(long, value_name = "T", default_value_t = 0.0, requires = "batch")]
    from: f64,
    /// Show so many
    #[arg(long, value_name = "N", default_value_t = 20, requires = "batch")]
    events: usize,
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { run, batch, from, events } = arguments;
    if !from.is_finite() || from < 0.0 {
        return Err(Failure::input(format!("--from {from}: a time is a number from 0 on")));
    }
    let path = run.join("config.toml");
    if !path.is_file() {
        return Err(Failure::input(format!("{} is not a run directory: it has no config.toml", run.display())));
    }
    let config = config::load(Some(&path.to_string_lossy()), &[]).map_err(Failure::plain)?.config;
    let request = Request { run, config, moment: batch.map(|batch| Moment { batch, from, events }) };
    let replayed = match request.config.dtype {
        Dtype::F32 => replay::<f32>(&request),
        Dtype::F64 => replay::<f64>(&request),
    };
    let replayed = replayed.map_err(|error| {
        let code = if matches!(error, ReplayError::Step(_)) { 3 } else { 2 };
        Failure::input(error).with_code(code)
    })?;
    show(&replayed, from);
    match (&replayed.difference, &replayed.events) {
        (Some(difference), _) => Err(Failure::input(differs(difference)).with_code(1)),
        (None, Some(LoggedEvents { batches, events, sha256 })) => {
            say(format_args!("{events} events of {batches} batches: each as it was. SHA-256 {sha256}"));
            Ok(())
        }
        (None, None) => Ok(()),
    }
}

fn differs(difference: &Difference) -> String {
    let Difference { place, batch, recorded, replayed } = difference;
    let was = recorded.map_or("nothing, the log ends here".to_owned(), |record| record.to_string());
    let is = replayed.map_or("nothing, the run is over".to_owned(), |record| record.to_string());
    let moment = replayed.or(*recorded).map_or(0.0, |record| record.key.time.units());
    format!(
        "event {place} of the log, in batch {batch}, is not as it was\n  recorded: {was}\n  replayed: {is}\n\
         to see what happened there: --batch {batch} --from {moment}"
    )
}

fn show(replayed: &Replayed, from: f64) {
    if replayed.shown.is_empty() {
        return;
    }
    let norm = |norm: &Option<f64>| norm.map_or("-".to_owned(), |norm| format!("{norm:.6e}"));
    say(format_args!("before {from} τ, ‖x‖ of each layer that has taken a step:"));
    let called = |node: usize| replayed.names.get(node).cloned().unwrap_or_else(|| node.to_string());
    for (node, before) in replayed.norms.iter().enumerate().filter(|(_, before)| before.is_some()) {
        let layer = called(node);
        say(format_args!("  layer {layer:>4}  {}", norm(before)));
    }
    say(format_args!(
        "{:>14}  {:<12} {:>6} {:>6} {:>8} {:>8}  ‖x‖ after",
        "time", "event", "layer", "link", "number", "step"
    ));
    for Shown { record, norm: after } in &replayed.shown {
        let key = &record.key;
        let (time, kind) = (key.time.units(), record.kind());
        let (layer, link, number, step) = (called(key.node as usize), key.link, key.number, record.count);
        say(format_args!("{time:>14.6}  {kind:<12} {layer:>6} {link:>6} {number:>8} {step:>8}  {}", norm(after)));
    }
}
