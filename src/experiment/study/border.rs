//! The largest stable `activity_lr` of a linear chain over the delay, found by bisection on runs in virtual time.
//!
//! ```text
//! r(t) = max_l |∂E/∂x_l|       stable: its peak over some periods of the slowest oscillation falls from the middle of the run to its end
//! ```
//!
//! The chain is the preset `study-border`; its weights, the message, the delay and the step are set here. Beside what is measured stand
//! the closed form and the two bounds of `chain.rs`, and a table of an earlier prototype, whose horizon was too short for bare errors at
//! long delays.

use std::sync::{Arc, Mutex, PoisonError};

use ndarray::Array2;
use serde::Serialize;

use super::chain::Chain;
use super::parallel::parallel;
use super::summary::plain;
use super::{Bench, Finding, Outcome, StudyError};
use crate::energy::Activation;
use crate::engine::virtual_time::VirtualNetwork;
use crate::engine::virtual_time::record::{Observer, Stepped};
use crate::experiment::assemble::{self, AssembleError};
use crate::network::{NetworkSpec, Parameters};
use crate::plot::{Axis, Figure, Series, Style};
use crate::rule::PlannedPhase;
use crate::settling::{Limits, StopReason};
use crate::signal::{Message, Motion, Origin, Teaching};

const MESSAGES: [(Message, &str); 3] =
    [(Message::ErrorEcho, "error+echo"), (Message::Error, "error"), (Message::State, "state")];
const WEIGHTS: [f64; 3] = [0.5, 1.0, 2.0];
const DELAYS: [u32; 7] = [0, 1, 2, 4, 8, 12, 16];
/// Measured and exact may be this far apart.
const BAR: f64 = 0.05;
/// Of the prototype: (weight, bare errors), delays of 0, 1, 2, 4, 8, 16 steps, a chain of eight weights.
const PROTOTYPE: [(f64, bool, [f64; 6]); 4] = [
    (1.0, false, [0.520, 0.521, 0.521, 0.522, 0.524, 0.528]),
    (1.0, true, [0.520, 0.353, 0.253, 0.162, 0.095, 0.054]),
    (2.0, false, [0.230, 0.231, 0.231, 0.231, 0.232, 0.233]),
    (2.0, true, [0.230, 0.111, 0.069, 0.040, 0.022, 0.012]),
];

/// What was found for one weight, message and delay. Steps are values of `inference.activity_lr`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cell {
    /// What goes down.
    pub message: &'static str,
    /// Every weight of the chain.
    pub weight: f64,
    /// Of every signal, in steps.
    pub delay: u32,
    /// The largest stable step, by bisection.
    pub measured: f64,
    /// The same in closed form.
    pub closed_form: f64,
    /// Below this partial asynchronism guarantees convergence.
    pub guaranteed: f64,
    /// Below this the bound of Choi, Choi & Seok does.
    pub choi: Option<f64>,
    /// What the prototype found.
    pub prototype: Option<f64>,
}

/// Peaks of the residual, step by step.
struct Watch(Arc<Mutex<Vec<f64>>>);

impl Observer<f64> for Watch {
    fn stepped(&mut self, stepped: &Stepped<'_, f64>) {
        let mut residuals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let step = stepped.step as usize;
        if residuals.len() <= step {
            residuals.resize(step + 1, 0.0);
        }
        residuals[step] = residuals[step].max(stepped.residual);
    }
}

pub(super) fn run(bench: &Bench<'_>) -> Result<Outcome, StudyError> {
    let network = assemble::network(&bench.base()?.config).map_err(AssembleError::from)?;
    let is_chain = network.widths().iter().all(|&units| units == 1) && network.depth() >= 2;
    if !is_chain || network.activation(1) != Activation::Identity {
        let what =
            "the border is that of a chain of single linear neurons: model.widths needs ones only, three or more";
        return Err(StudyError::Unfit(what.to_owned()));
    }
    let weights = if bench.quick { &WEIGHTS[1..2] } else { &WEIGHTS };
    let delays = if bench.quick { &[0, 2, 4][..] } else { &DELAYS };
    let work: Vec<Chain> = weights
        .iter()
        .flat_map(|&weight| MESSAGES.iter().map(move |(message, _)| (weight, *message)))
        .flat_map(|(weight, message)| delays.iter().map(move |&delay| (weight, message, delay)))
        .map(|(weight, message, delay)| Chain { weight, message, delay, states: network.depth() - 1 })
        .collect();
    let found =
        parallel(bench.jobs, &work, |chain| cell(bench, &network, chain), &|done, all| bench.progress(done, all));
    let cells = found.into_iter().collect::<Result<Vec<Cell>, StudyError>>()?;
    bench.table(&cells)?;
    for &weight in weights {
        draw(bench, &cells, weight, network.depth())?;
    }
    Ok(Outcome { findings: findings(bench, &cells), left_out: Vec::new(), table: markdown(&cells) })
}

fn cell(bench: &Bench<'_>, network: &NetworkSpec, chain: &Chain) -> Result<Cell, StudyError> {
    // Without delay it would be 2/Λ; whatever it is, doubling finds a step that is too large.
    let (mut stable, mut grown) = (0.0, 3.0 / chain.curvature());
    while !grows(bench, network, chain, grown)? {
        (stable, grown) = (grown, 2.0 * grown);
    }
    let width = if bench.quick { 2e-2 } else { 5e-3 };
    while grown - stable > width * grown {
        let middle = 0.5 * (stable + grown);
        if grows(bench, network, chain, middle)? { grown = middle } else { stable = middle }
    }
    let at = [0, 1, 2, 4, 8, 16].iter().position(|&delay| delay == chain.delay);
    let bare = chain.message == Message::Error;
    let of = |(weight, is_bare, row): &(f64, bool, [f64; 6])| {
        (*weight == chain.weight && *is_bare == bare && chain.states == 7).then(|| at.map(|at| row[at]))?
    };
    Ok(Cell {
        message: name(chain.message),
        weight: chain.weight,
        delay: chain.delay,
        measured: 0.5 * (stable + grown),
        closed_form: chain.border(),
        guaranteed: chain.guaranteed(),
        choi: chain.choi(),
        prototype: PROTOTYPE.iter().find_map(of),
    })
}

fn name(message: Message) -> &'static str {
    MESSAGES.iter().find(|(known, _)| *known == message).map_or("", |(_, name)| name)
}

/// Whether a run with this step grows.
fn grows(bench: &Bench<'_>, network: &NetworkSpec, chain: &Chain, step: f64) -> Result<bool, StudyError> {
    let words = [
        format!("inference.activity_lr={step:e}"),
        format!("links.message={}", name(chain.message)),
        format!("links.delay={}", chain.delay),
    ];
    let config = bench.load(None, &words)?.config;
    // An oscillation at the border takes at most about four round trips.
    let window = 5 * (2 * chain.delay as usize + 1) + 16;
    let windows = if bench.quick { 8 } else { 14 };
    let parameters = Parameters { weights: Array2::from_elem((1, 1), chain.weight), bias: vec![0.0] };
    let settings = assemble::virtual_time(&config, network);
    let mut simulated = VirtualNetwork::<f64>::new(network, vec![parameters; network.depth()], &settings);
    let residuals = Arc::new(Mutex::new(Vec::new()));
    simulated.watch(Some(Box::new(Watch(Arc::clone(&residuals)))));
    simulated.present(&Array2::zeros((1, 1)), &Array2::from_elem((1, 1), 1.0))?;
    let motion = Motion::Relax { teaching: Teaching::Clamped, from: Origin::Zero };
    let record = simulated.run_phase(&PlannedPhase::read(motion, 0.0), Limits::steps((window * windows) as u64))?;
    if record.reason == StopReason::Diverged {
        // It has grown beyond all numbers.
        return Ok(true);
    }
    let residuals = residuals.lock().unwrap_or_else(PoisonError::into_inner);
    let peak = |steps: &[f64]| steps.iter().copied().fold(0.0, f64::max);
    let peaks: Vec<f64> = residuals.get(1..).unwrap_or_default().chunks_exact(window).map(peak).collect();
    let (Some(&middle), Some(&last)) = (peaks.get(peaks.len() / 2), peaks.last()) else { return Ok(true) };
    let decayed = last <= 1e-12 * peak(&peaks);
    Ok(!last.is_finite() || (!decayed && last > middle))
}

fn draw(bench: &Bench<'_>, cells: &[Cell], weight: f64, depth: usize) -> Result<(), StudyError> {
    let of = |message: &str, number: fn(&Cell) -> f64| -> Vec<(f64, f64)> {
        let own = cells.iter().filter(|cell| cell.weight == weight && cell.message == message);
        own.map(|cell| (f64::from(cell.delay), number(cell))).collect()
    };
    let series = |name: &str, points, style| Series::new(name, points, style);
    let figure = Figure {
        title: format!("Largest stable step of a linear chain of {depth} weights w = {weight}"),
        x: Axis::linear("delay of every signal B (steps)"),
        y: Axis::log("largest stable activity_lr"),
        series: vec![
            series("bare errors", of("error", |c| c.measured), Style::Points),
            series("errors with echo", of("error+echo", |c| c.measured), Style::Points),
            series("states", of("state", |c| c.measured), Style::Points),
            series("closed form, bare errors", of("error", |c| c.closed_form), Style::Line),
            series("closed form, echo or states", of("state", |c| c.closed_form), Style::Line),
            series("guaranteed, bare errors", of("error", |c| c.guaranteed), Style::Dashed),
            series("guaranteed, echo or states", of("state", |c| c.guaranteed), Style::Dashed),
        ],
    };
    figure.write(bench.folder, &format!("{}-w{weight}", bench.study.name))?;
    Ok(())
}

fn findings(bench: &Bench<'_>, cells: &[Cell]) -> Vec<Finding> {
    let off = |cell: &Cell| (cell.measured / cell.closed_form - 1.0).abs();
    let worst = cells.iter().map(off).fold(0.0, f64::max);
    let within = cells.iter().filter(|cell| off(cell) <= BAR).count();
    let exact = format!(
        "measured border within {} % of the closed form in {within} of {} cells, at most {:.2} % off",
        100.0 * BAR,
        cells.len(),
        100.0 * worst
    );
    let unsafe_cells = cells.iter().filter(|cell| cell.measured < cell.guaranteed * (1.0 - 0.5 * BAR)).count();
    let safe = format!(
        "no measured border lies below what partial asynchronism guarantees, 2/(Λ(1 + 2S)): {unsafe_cells} of {} do",
        cells.len()
    );
    let compared: Vec<(&Cell, f64)> = cells.iter().filter_map(|cell| Some((cell, cell.prototype?))).collect();
    let beyond: Vec<String> = compared
        .iter()
        .filter(|(cell, prototype)| (cell.measured / prototype - 1.0).abs() > BAR)
        .map(|(cell, prototype)| {
            let Cell { message, weight, delay, measured, closed_form, .. } = cell;
            let (measured, exact) = (plain(*measured), plain(*closed_form));
            format!("{message} w = {weight} B = {delay} (measured {measured}, exact {exact}, there {prototype})")
        })
        .collect();
    let mut found = vec![bench.judged(&exact, within == cells.len()), bench.judged(&safe, unsafe_cells == 0)];
    if !compared.is_empty() {
        let near = compared.len() - beyond.len();
        let rest = if beyond.is_empty() { String::new() } else { format!("; beyond: {}", beyond.join(", ")) };
        found.push(bench.found(&format!(
            "within {} % of the table of an earlier prototype in {near} of {} cells{rest}",
            100.0 * BAR,
            compared.len()
        )));
    }
    found.extend(MESSAGES.iter().filter_map(|(_, message)| {
        let own = || cells.iter().filter(|cell| cell.message == *message && cell.weight == 1.0);
        let (first, last) = (own().min_by_key(|cell| cell.delay)?, own().max_by_key(|cell| cell.delay)?);
        let (one, other) = (plain(first.measured), plain(last.measured));
        let what = format!("w = 1, `{message}`: {one} without delay, {other} at {} steps", last.delay);
        Some(bench.found(&what))
    }));
    found
}

fn markdown(cells: &[Cell]) -> String {
    let mut text =
        "| message | w | delay | measured | closed form | guaranteed | Choi et al. | prototype |\n".to_owned();
    text.push_str("|---|---|---|---|---|---|---|---|\n");
    for cell in cells {
        let optional = |number: Option<f64>| number.map_or(String::new(), plain);
        text.push_str(&format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} |\n",
            cell.message,
            cell.weight,
            cell.delay,
            plain(cell.measured),
            plain(cell.closed_form),
            plain(cell.guaranteed),
            optional(cell.choi),
            optional(cell.prototype)
        ));
    }
    text
}
