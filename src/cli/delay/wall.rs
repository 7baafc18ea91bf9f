//! `asynapse delay` on the wall clock: layers that run freely.

use super::{Arguments, all_at_rest, failed, folder, say, say_json, show, time};
use crate::cli::Failure;
use crate::config::Loaded;
use crate::experiment::delay::Request;
use crate::experiment::delay::wall::verdict::{Fault, faults, ratios};
use crate::experiment::delay::wall::{WallRow, WallWave, measure, write};
use crate::experiment::workers::Hands;
use crate::math::Dtype;

pub(super) fn run(arguments: &Arguments, loaded: &Loaded, (request, hands): (&Request, &Hands)) -> Result<(), Failure> {
    if !request.depths.is_empty() {
        return Err(Failure::input("--depths: networks of growing depth are measured in virtual time only"));
    }
    if arguments.within.is_some() && request.config.schedule.time_unit_ms == 0.0 {
        return Err(Failure::input("--within: without schedule.time_unit_ms virtual time predicts no milliseconds"));
    }
    let waves = match request.config.dtype {
        Dtype::F32 => measure::<f32>(request, hands),
        Dtype::F64 => measure::<f64>(request, hands),
    }
    .map_err(failed)?;
    let run = folder::create(arguments.out.as_deref(), loaded, &loaded.overrides, "delay")?;
    let written = write(request, &waves, &run).map_err(failed)?;
    if arguments.json {
        say_json(&written)?;
    } else {
        waves.iter().for_each(|wave| say(table(wave)));
        say(format_args!("{}", run.path().display()));
    }
    judge(&waves, arguments.within)
}

fn table(wave: &WallWave) -> String {
    let head = [
        "layer",
        "worker",
        "hops",
        "links",
        "arrival",
        "predicted",
        "onset",
        "predicted",
        "ratio",
        "10 %",
        "50 %",
        "90 %",
        "settled",
        "overshoot",
        "displacement",
    ];
    let line = |row: &WallRow| {
        let mut cells = vec![row.name.clone(), row.worker.to_string(), row.hops.to_string(), time(Some(row.least))];
        cells.extend([row.arrival, row.predicted_arrival, row.onset, row.predicted_onset, row.ratio].map(time));
        cells.extend([row.rise10, row.rise50, row.rise90, row.settling].map(time));
        cells.push(row.overshoot.map_or("-".to_owned(), |share| format!("{:.1} %", 100.0 * share)));
        cells.push(format!("{:.3e}", row.displacement));
        cells
    };
    let columns = show::columns(&head, &wave.rows.iter().map(line).collect::<Vec<_>>());
    let (name, switch) = (wave.wave.direction.name(), &wave.wave.switch);
    let mut text = format!("wave {name}: {switch} at t = 0; times in ms of wall clock\n\n{columns}\n\n");
    text.push_str(&match ratios(&wave.rows) {
        Some((least, most)) => format!("onset / onset in virtual time: {least:.3} to {most:.3}"),
        None => "nothing is predicted in milliseconds without schedule.time_unit_ms".to_owned(),
    });
    text.push_str(&match wave.arrows {
        Some((heard, early)) => format!("; {heard} signals heard, {early} of them before their link allows\n"),
        None => "; groups are not followed signal by signal\n".to_owned(),
    });
    for clock in &wave.offsets {
        let (worker, offset, error) = (clock.worker, clock.offset, clock.error);
        text.push_str(&format!(
            "clock of worker {worker}: {offset:.3} ms against the coordinator's, known to ± {error:.3} ms\n"
        ));
    }
    text
}

/// The exit code: 1 if anything was early or beyond the tolerance, 3 if a layer was still moving.
fn judge(waves: &[WallWave], within: Option<f64>) -> Result<(), Failure> {
    let all: Vec<Fault> = waves.iter().flat_map(|wave| faults(wave, within)).collect();
    let text = |fault: &Fault| match fault {
        Fault::Early(text) | Fault::Beyond(text) => Some(text.clone()),
        Fault::Restless(_) => None,
    };
    let sentences: Vec<String> = all.iter().filter_map(text).collect();
    if !sentences.is_empty() {
        return Err(Failure { code: 1, message: sentences.join("\n") });
    }
    let moving: usize = all.iter().map(|fault| if let Fault::Restless(moving) = fault { *moving } else { 0 }).sum();
    all_at_rest(moving)
}
