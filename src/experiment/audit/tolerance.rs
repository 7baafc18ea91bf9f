//! How much an algorithm bears before its estimate turns away from the gradient: one update per trial, the first batch, the weights
//! of the seed, the same number of steps as without the disturbance.
//!
//! ```text
//! precision   numerics.states and numerics.messages in a narrow format      the fewest bits with cosine ≥ 0.99
//! noise       numerics.message_noise, absolute                              the largest with cosine ≥ 0.9
//! delay       links.delay on every link, in virtual time                    the longest with cosine ≥ 0.9, in steps
//! ```
//!
//! Cosine with the exact gradient; where even the undisturbed estimate is further from it than that, with the undisturbed estimate, so
//! that it is still known what the algorithm bears. Largest and longest: of those that are tried, the last before the first that fails. Every trial is a configuration like any other; one
//! that can't be had says why.

use serde::Serialize;

use super::{Ground, Request};
use crate::config::load_text;
use crate::experiment::assemble;
use crate::experiment::machine::{Procedure, Purpose, closeness};
use crate::math::Real;
use crate::network::{Parameters, Weights};

/// One trial.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trial {
    /// The setting: a format, a standard deviation, a delay.
    pub setting: String,
    /// Bits, standard deviation, or steps.
    pub amount: f64,
    /// Cosine of the estimate with what it is held against; `None`: there was no estimate.
    pub cosine: Option<f64>,
    /// Why not.
    pub problem: Option<String>,
}

/// How much of one thing it bears.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tolerance {
    /// `precision`, `noise` or `delay`.
    pub of: &'static str,
    /// The least cosine.
    pub least: f64,
    /// What it bears; `None`: nothing that was tried, or nothing could be tried.
    pub bears: Option<Trial>,
    /// Nothing that was tried was too much.
    pub open: bool,
    /// Cosine with the exact gradient without any of it.
    pub undisturbed: Option<f64>,
    /// The estimates are held against the undisturbed one, which is too far from the gradient itself.
    pub against_itself: bool,
    /// Everything that was tried.
    pub trials: Vec<Trial>,
}

impl Tolerance {
    /// As a table says it; a dagger where estimates were held against the undisturbed one.
    pub fn cell(&self) -> String {
        let mark = if self.against_itself { " †" } else { "" };
        match &self.bears {
            Some(trial) if self.open && self.of != "precision" => format!("≥ {}{mark}", trial.setting),
            Some(trial) => format!("{}{mark}", trial.setting),
            None if self.trials.iter().all(|trial| trial.problem.is_some()) => {
                let why = self.trials.iter().find_map(|trial| trial.problem.as_deref()).unwrap_or("nothing was tried");
                format!("not available: {why}")
            }
            None => format!("none that was tried{mark}"),
        }
    }
}

/// All three.
pub(super) fn tolerances<T: Real>(request: &Request, ground: &Ground<T>) -> Vec<Tolerance> {
    vec![precision(request, ground), noise(request, ground), delay(request, ground)]
}

/// What the trials of one thing are held against.
struct Scale<T> {
    against: Weights<T>,
    found: Tolerance,
}

impl<T: Real> Scale<T> {
    fn new(of: &'static str, least: f64, without: &str, request: &Request, ground: &Ground<T>) -> Self {
        let undisturbed = estimate(request, ground, &[without.to_owned()]).ok();
        let cosine = undisturbed.as_ref().map(|estimate| closeness(estimate, &ground.exact).1.cosine);
        let own = undisturbed.filter(|_| cosine.is_some_and(|cosine| cosine < least));
        let found = Tolerance {
            of,
            least,
            bears: None,
            open: true,
            undisturbed: cosine,
            against_itself: own.is_some(),
            trials: Vec::new(),
        };
        // Estimates have the sign of the descent, gradients the other.
        let minus = |parameters: &Parameters<T>| Parameters {
            weights: parameters.weights.mapv(|number| -number),
            bias: parameters.bias.iter().map(|&number| -number).collect(),
        };
        let against = own.map_or_else(|| ground.exact.clone(), |own| own.iter().map(minus).collect());
        Self { against, found }
    }

    /// One update with these settings besides; true if it is close enough.
    fn holds(&mut self, request: &Request, ground: &Ground<T>, setting: &str, amount: f64, words: &[String]) -> bool {
        let measured = estimate(request, ground, words).and_then(|estimate| {
            // An estimate that is zero has no direction.
            let cosine = closeness(&estimate, &self.against).1.cosine;
            if cosine.is_finite() { Ok(cosine) } else { Err("the estimate is zero or not finite".to_owned()) }
        });
        let (cosine, problem) = match measured {
            Ok(cosine) => (Some(cosine), None),
            Err(problem) => (None, Some(problem)),
        };
        self.found.trials.push(Trial { setting: setting.to_owned(), amount, cosine, problem });
        cosine.is_some_and(|cosine| cosine >= self.found.least)
    }

    /// The last trial is the best so far.
    fn keep(&mut self) {
        self.found.bears = self.found.trials.last().cloned();
    }
}

fn precision<T: Real>(request: &Request, ground: &Ground<T>) -> Tolerance {
    let floats = [("fp8-e4m3", 8), ("fp8-e5m2", 8), ("bf16", 16), ("fp16", 16)];
    let widths: &[u32] = if request.quick { &[8, 16, 24] } else { &[6, 8, 10, 12, 14, 16, 18, 20, 22, 24] };
    let mut formats: Vec<(String, u32)> = widths.iter().map(|&bits| (format!("fixed:{bits}"), bits)).collect();
    formats.extend(floats.map(|(name, bits)| (name.to_owned(), bits)));
    formats.sort_by_key(|(_, bits)| *bits);
    let mut scale = Scale::new("precision", 0.99, IN_STEP, request, ground);
    for (format, bits) in formats {
        let numerics = ["states", "messages"].map(|what| format!("numerics.{what}={format}"));
        let words = [&[IN_STEP.to_owned()], &numerics[..]].concat();
        let holds = scale.holds(request, ground, &format, f64::from(bits), &words);
        if holds && scale.found.bears.is_none() {
            scale.keep();
        }
    }
    scale.found
}

fn noise<T: Real>(request: &Request, ground: &Ground<T>) -> Tolerance {
    let amounts = (-12..=2).step_by(if request.quick { 2 } else { 1 }).map(|half| 10_f64.powf(f64::from(half) / 2.0));
    let tried = amounts.map(|deviation| {
        let words = [IN_STEP.to_owned(), format!("numerics.message_noise={deviation:e}")];
        (format!("{deviation:.0e}"), deviation, words.to_vec())
    });
    rising("noise", IN_STEP, request, ground, tried.collect())
}

fn delay<T: Real>(request: &Request, ground: &Ground<T>) -> Tolerance {
    let amounts: &[u32] = if request.quick { &[1, 4, 16] } else { &[1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64] };
    let tried = amounts.iter().map(|&steps| {
        let words = [VIRTUAL.to_owned(), format!("links.delay={steps}")];
        (steps.to_string(), f64::from(steps), words.to_vec())
    });
    rising("delay", VIRTUAL, request, ground, tried.collect())
}

/// The synchronous program, which has the bits of lock-step.
const IN_STEP: &str = "schedule.mode=reference";
const VIRTUAL: &str = "schedule.mode=virtual-time";

/// More and more of something, until it is too much.
fn rising<T: Real>(
    of: &'static str,
    without: &str,
    request: &Request,
    ground: &Ground<T>,
    amounts: Vec<(String, f64, Vec<String>)>,
) -> Tolerance {
    let mut scale = Scale::new(of, 0.9, without, request, ground);
    for (setting, amount, words) in amounts {
        if !scale.holds(request, ground, &setting, amount, &words) {
            scale.found.open = false;
            break;
        }
        scale.keep();
    }
    scale.found
}

/// The estimate of one update with these settings besides.
fn estimate<T: Real>(request: &Request, ground: &Ground<T>, words: &[String]) -> Result<Weights<T>, String> {
    let overrides = [&request.overrides[..], words].concat();
    let loaded =
        load_text(&request.origin, &request.text, &overrides).map_err(|error| first_line(&error.to_string()))?;
    let config = loaded.config;
    let plan = assemble::plan(&config, &ground.network).map_err(|error| error.to_string())?;
    let procedure = Procedure { plan: plan.as_ref(), limits: assemble::limits(&config) };
    let (data, target) = &ground.batches[0];
    let record = assemble::machine_in(&config, &ground.network, ground.weights.clone(), config.schedule.mode)
        .and_then(|mut machine| machine.step((data, target), procedure, Purpose::Show))
        .map_err(|error| error.to_string())?;
    Ok(record.estimate.unwrap_or_default())
}

/// The problem in a line, without the place in the command that a user has not typed.
pub(in crate::experiment) fn first_line(problem: &str) -> String {
    let line = problem.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}
