//! `asynapse delay`.

mod wall;

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::ValueEnum;

use super::{Failure, Typed, complain, folder, say, say_json, show};
use crate::config::ScheduleMode;
use crate::engine::EngineError;
use crate::experiment::delay::depth::{self, Fit, Sweep};
use crate::experiment::delay::{DelayError, Direction, Request, Rest, Row, Wave, Written, measure, write};
use crate::experiment::workers::Hands;
use crate::math::{Dtype, Real};

/// Most events of a wave that are kept for the timeline.
const EVENTS_MOST: usize = 200_000;
/// Depths of a sweep at most: more layers than any chain of the literature.
const DEPTH_MOST: i64 = 512;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Starts at the free equilibrium; at t = 0 the output is nudged or clamped, as learning.rule says, or the input changes.
Every layer then takes inference.max_infer_iters steps, in virtual time or, with schedule.mode=free-running, on the wall clock.
A table goes to stdout; delay.csv, figures, and trace.json,
the event timeline for https://ui.perfetto.dev (1 unit of model time is drawn as 1 ms), into a new folder. Without a configuration
it is the preset delay: ten layers of weights, links of 2.5 periods.

Examples:
  asynapse delay
  asynapse delay links.delay=0.5 'links.\"3->2\"={delay=20}' --direction down
  asynapse delay --rest zero --depths 2,4,8,16,32,64,128
  asynapse delay delay-wall --within 0.2
  asynapse delay delay-wall workers=3

On several hosts, with keys made by `asynapse keys DIR`; onsets, clocks and the timeline of all of them come together here:
  asynapse delay delay-wall workers=3 --listen tcp:node1:7400 --keys DIR
  asynapse worker --join tcp:node1:7400 --keys DIR --wait 60                 on every host"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    typed: Typed,
    /// From the output, from the input, or one after the other
    #[arg(long, value_name = "WAVE", default_value = "both")]
    direction: Choice,
    /// Share of its final displacement at which a layer counts as moved
    #[arg(long, value_name = "R", default_value_t = 0.01)]
    threshold: f64,
    /// What the layers rest on: the first batch of the data, or exactly zero
    #[arg(long, value_name = "REST", default_value = "data")]
    rest: RestChoice,
    /// Layers of weights of further networks, each measured at its far end
    #[arg(long, value_name = "L,…", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(2..=DEPTH_MOST))]
    depths: Vec<u16>,
    /// Free-running: fail if an onset is off its prediction in virtual time by more than this share
    #[arg(long, value_name = "SHARE")]
    within: Option<f64>,
    /// Free-running: wait here for workers that are started by hand, on this machine or others, instead of starting them
    #[cfg(unix)]
    #[arg(long, value_name = "ENDPOINT")]
    listen: Option<crate::process::endpoint::Endpoint>,
    #[cfg(unix)]
    #[command(flatten)]
    keys: super::keys::Chosen,
    /// With --listen: seconds to wait for the workers [default: 300]
    #[cfg(unix)]
    #[arg(long, value_name = "SECONDS", requires = "listen")]
    wait: Option<u32>,
    /// The folder to make [default: output.dir/DATE-delay]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print delay.json instead of tables
    #[arg(long)]
    json: bool,
}

/// Which waves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Choice {
    /// From the output, as the rule teaches it
    Down,
    /// From the input
    Up,
    /// Both
    Both,
}

/// Before the switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum RestChoice {
    /// The first batch
    Data,
    /// Zero input, no biases: no step is too small to be seen
    Zero,
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    if !(arguments.threshold > 0.0 && arguments.threshold < 1.0) {
        return Err(Failure::input(format!("--threshold {}: a share between 0 and 1", arguments.threshold)));
    }
    if arguments.within.is_some_and(|within| !within.is_finite() || within < 0.0) {
        return Err(Failure::input("--within: a share of the predicted onset, 0 or more"));
    }
    let loaded = named(&arguments.typed)?.load()?;
    let directions = match arguments.direction {
        Choice::Down => vec![Direction::Down],
        Choice::Up => vec![Direction::Up],
        Choice::Both => vec![Direction::Down, Direction::Up],
    };
    let rest = if arguments.rest == RestChoice::Zero { Rest::Zero } else { Rest::Data };
    let mut depths: Vec<usize> = arguments.depths.iter().copied().map(usize::from).collect();
    depths.sort_unstable();
    depths.dedup();
    let request = Request { config: loaded.config.clone(), directions, threshold: arguments.threshold, rest, depths };
    let hands = hands(&arguments, &request)?;
    if request.config.schedule.mode == ScheduleMode::FreeRunning {
        return wall::run(&arguments, &loaded, (&request, &hands));
    }
    if request.config.workers > 1 {
        return Err(Failure::input(
            "`workers` must be 1 for waves in virtual time: whoever watches them sees all events in one order, in one process; \
             for several, give schedule.mode=free-running, such as the preset delay-wall",
        ));
    }
    if arguments.within.is_some() {
        return Err(Failure::input(
            "--within: in virtual time arrivals are exact; it is for schedule.mode = \"free-running\"",
        ));
    }
    let (waves, sweeps) = match request.config.dtype {
        Dtype::F32 => measured::<f32>(&request),
        Dtype::F64 => measured::<f64>(&request),
    }
    .map_err(failed)?;
    let run = folder::create(arguments.out.as_deref(), &loaded, &loaded.overrides, "delay")?;
    let written = write(&request, &waves, &sweeps, &run).map_err(failed)?;
    if arguments.json {
        say_json(&written)?;
    } else {
        waves.iter().for_each(|wave| say(table(wave)));
        sweeps.iter().for_each(|sweep| say(lines(sweep)));
        say(format_args!("{}", run.path().display()));
        if let Some(cut) = written.trace.cut_at.iter().flatten().reduce(|a, b| if a < b { a } else { b }) {
            say(format_args!("trace.json ends at {cut} units of model time, where it is full; the run went on"));
        }
    }
    judge(&written)
}

/// Who runs the layers.
#[cfg(unix)]
fn hands(arguments: &Arguments, request: &Request) -> Result<Hands, Failure> {
    let Some(listen) = arguments.listen.clone() else {
        if arguments.keys.is_given() {
            return Err(Failure::input(
                "--keys, --secret-file and --tls-… are for workers that call: give --listen too",
            ));
        }
        return Ok(Hands::Children);
    };
    if request.config.schedule.mode != ScheduleMode::FreeRunning {
        return Err(Failure::input(
            "--listen: in virtual time all layers live here; give schedule.mode=free-running, such as the preset delay-wall",
        ));
    }
    let (keys, wait) = (&arguments.keys, arguments.wait.unwrap_or(super::callers::WAIT));
    super::callers::hands(&request.config, listen, (keys, wait), "asynapse delay")
}

/// Who runs the layers.
#[cfg(not(unix))]
fn hands(_arguments: &Arguments, _request: &Request) -> Result<Hands, Failure> {
    Ok(Hands::Children)
}

/// What was typed; the preset `delay` where no configuration is named.
fn named(typed: &Typed) -> Result<Typed, Failure> {
    let (target, mut words) = typed.split().map_err(Failure::input)?;
    words.insert(0, target.unwrap_or("delay").to_owned());
    Ok(Typed { words })
}

fn measured<T: Real>(request: &Request) -> Result<(Vec<Wave>, Vec<Sweep>), DelayError> {
    let waves: Vec<Wave> = request
        .directions
        .iter()
        .map(|&direction| measure::<T>(request, direction, EVENTS_MOST))
        .collect::<Result<_, _>>()?;
    let on_terminal = std::io::stderr().is_terminal();
    let mut progress = |line: &str| {
        if on_terminal {
            complain(line);
        }
    };
    let sweep = |&direction: &Direction| depth::sweep::<T>(request, direction, &mut progress);
    let sweeps = if request.depths.is_empty() {
        Vec::new()
    } else {
        request.directions.iter().map(sweep).collect::<Result<_, _>>()?
    };
    Ok((waves, sweeps))
}

fn failed(error: DelayError) -> Failure {
    let stalled = matches!(&error, DelayError::Engine(EngineError::Stalled { .. }));
    let code = if stalled || matches!(error, DelayError::Restless(_)) { 3 } else { 2 };
    Failure::input(error).with_code(code)
}

fn time(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| {
        let text = format!("{value:.3}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    })
}

fn table(wave: &Wave) -> String {
    let head = [
        "layer",
        "hops",
        "arrival",
        "closed form",
        "onset",
        "10 %",
        "50 %",
        "90 %",
        "settled",
        "overshoot",
        "displacement",
    ];
    let line = |row: &Row| {
        let mut cells = vec![row.name(wave).to_owned(), row.hops.to_string()];
        let times = [row.arrival, row.closed_form, row.onset, row.rise10, row.rise50, row.rise90, row.settling];
        cells.extend(times.map(time));
        cells.push(row.overshoot.map_or("-".to_owned(), |share| format!("{:.1} %", 100.0 * share)));
        cells.push(format!("{:.3e}", row.displacement));
        cells
    };
    let rows: Vec<Vec<String>> = wave.rows.iter().map(line).collect();
    let (name, switch, agree) = (wave.direction.name(), &wave.switch, agreement(&wave.rows));
    let columns = show::columns(&head, &rows);
    format!("wave {name}: {switch} at t = 0; times in units of model time\n\n{columns}\n\n{agree}\n")
}

/// Who the rows are.
fn who(rows: &[Row]) -> &'static str {
    if rows.iter().any(|row| row.group > 0) { "groups" } else { "layers" }
}

/// How arrivals and closed form compare.
fn agreement(rows: &[Row]) -> String {
    if rows.iter().all(|row| row.closed_form.is_none()) {
        return "no closed form: something is drawn, lost, withheld, or has to wait for its link".to_owned();
    }
    let agree = rows.iter().filter(|row| row.agrees()).count();
    let early = rows.iter().filter(|row| row.is_too_early()).count();
    let late = rows.len() - agree - early;
    let mut text = format!("arrival = closed form, to the tick: {agree} of {} {}", rows.len(), who(rows));
    if late > 0 {
        text.push_str(&format!(
            "; {late} later or never: a first step too small to change a bit of the state, or a derivative of zero; \
             try --rest zero and dtype=f64"
        ));
    }
    if early > 0 {
        text.push_str(&format!("; {early} EARLIER"));
    }
    text
}

fn lines(sweep: &Sweep) -> String {
    let head = ["layers", "hops", "arrival", "closed form", "onset", "50 %", "settled", "displacement"];
    let line = |far: &depth::Far| {
        let row = &far.row;
        let mut cells = vec![far.depth.to_string(), row.hops.to_string()];
        cells.extend([row.arrival, row.closed_form, row.onset, row.rise50, row.settling].map(time));
        cells.push(format!("{:.3e}", row.displacement));
        cells
    };
    let columns = show::columns(&head, &sweep.far.iter().map(line).collect::<Vec<_>>());
    let fit = |name: &str, fit: Option<Fit>| {
        fit.map_or(format!("{name}: no line"), |Fit { slope, r_squared, .. }| {
            format!("{name}: {slope:.6} per hop (R² = {r_squared:.6})")
        })
    };
    let fits = [
        fit("arrival", sweep.arrival),
        fit("closed form", sweep.closed_form),
        fit("onset", sweep.onset),
        fit("ln displacement", sweep.log_displacement),
    ];
    let name = sweep.direction.name();
    format!("wave {name} at the farthest hidden layer\n\n{columns}\n\n{}\n", fits.join("\n"))
}

fn called(row: &Row) -> String {
    if row.node == row.layer { row.layer.to_string() } else { format!("{}.{}", row.layer, row.group) }
}

/// The exit code: 1 if anything was faster than it can be, 3 if a layer was still moving.
fn judge(written: &Written<'_>) -> Result<(), Failure> {
    let far = written.depths.iter().flat_map(|sweep| sweep.far.iter().map(|far| &far.row));
    let rows: Vec<&Row> = written.rows.iter().copied().chain(far).collect();
    if let Some(row) = rows.iter().find(|row| row.is_too_early()) {
        let (layer, arrival, least) = (called(row), time(row.arrival), time(row.closed_form));
        let message =
            format!("layer {layer} moved at {arrival}, before the closed form's {least}: nothing can be that fast");
        return Err(Failure { code: 1, message });
    }
    let moving = rows.iter().filter(|row| !row.is_at_rest()).count();
    all_at_rest(moving)
}

/// The exit code is 3 where layers still moved.
fn all_at_rest(moving: usize) -> Result<(), Failure> {
    if moving == 0 {
        return Ok(());
    }
    let message = format!(
        "{moving} layers had not come to rest when the run ended, so that their final displacements are not final; \
         raise inference.max_infer_iters"
    );
    Err(Failure::input(message).with_code(3))
}
