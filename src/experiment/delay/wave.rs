//! One wave: a network brought to rest, switched at one end, and watched.
//!
//! What refuses to be measured is refused here, before anything runs. See the module above for the definitions.

use std::sync::Mutex;

use super::closed_form::{Path, units};
use super::rise::rise;
use super::watch::{Seen, Track, Watch};
use super::{AT_REST, DelayError, Direction, Request, Rest, Row, Wave};
use crate::config::{Config, ScheduleMode};
use crate::engine::virtual_time::{VirtualNetwork, VirtualSettings};
use crate::experiment::assemble::{self, AssembleError};
use crate::math::{Field, Real};
use crate::network::{NetworkSpec, Weights};
use crate::rule::PlannedPhase;
use crate::settling::{Limits, PhaseRecord, StopReason};
use crate::signal::{Extract, Motion, Origin, Teaching, Wanted};

/// Measures one wave; at most `events_most` events are kept for a timeline.
///
/// # Errors
/// A configuration without a wave, a free phase that does not come to rest, numbers that are not finite.
pub fn measure<T: Real>(request: &Request, direction: Direction, events_most: usize) -> Result<Wave, DelayError> {
    let bench = Bench::<T>::new(&request.config, request.rest)?;
    bench.wave(direction, request.threshold, events_most)
}

/// A network with its laws and what it is shown.
pub(super) struct Bench<T> {
    pub(super) network: NetworkSpec,
    pub(super) weights: Weights<T>,
    pub(super) settings: VirtualSettings,
    pub(super) free: PlannedPhase,
    pub(super) taught: PlannedPhase,
    pub(super) limits: Limits,
    pub(super) data: Field<T>,
    /// What the input becomes.
    pub(super) other: Field<T>,
    pub(super) target: Field<T>,
}

impl<T: Real> Bench<T> {
    pub(super) fn new(config: &Config, rest: Rest) -> Result<Self, DelayError> {
        fits(config)?;
        let network = assemble::network(config).map_err(AssembleError::from)?;
        let unfit = |what: &str| DelayError::Unfit(what.to_owned());
        let plan = assemble::plan(config, &network)?
            .ok_or_else(|| unfit("learning.rule = \"backprop\" has no layers that signal; choose another rule"))?;
        let is_taught = |phase: &&PlannedPhase| {
            matches!(phase.motion, Motion::Relax { teaching: Teaching::Nudged(_) | Teaching::Clamped, .. })
        };
        let taught = plan
            .phases
            .iter()
            .find(is_taught)
            .ok_or_else(|| unfit("learning.phases: no phase is nudged or clamped, so nothing is switched"))?;
        let Motion::Relax { teaching, .. } = taught.motion else {
            return Err(unfit("learning.phases: no phase is nudged or clamped, so nothing is switched"));
        };
        let splits = assemble::data(config, &network)?;
        let (size, there) = (config.data.batch_size, splits.train.len());
        if 2 * size > there {
            return Err(DelayError::Unfit(format!(
                "data.train = {there}: two batches of data.batch_size = {size} are needed, before and after the switch; \
                 lower data.batch_size"
            )));
        }
        let (mut data, target) = splits.train.batch::<T>(&(0..size).collect::<Vec<_>>());
        let (other, _) = splits.train.batch::<T>(&(size..2 * size).collect::<Vec<_>>());
        plan.admits(&network, &target).map_err(AssembleError::from)?;
        let mut weights = network.initial_weights::<T>(config.model.init, config.seed);
        if rest == Rest::Zero {
            passes_zero(config, &network)?;
            data.fill(T::zero());
            weights.iter_mut().for_each(|parameters| parameters.bias.fill(T::zero()));
        }
        let settings = assemble::virtual_time(config, &network);
        let taught = PlannedPhase::read(Motion::Relax { teaching, from: Origin::Here }, 0.0);
        let free = PlannedPhase::read(plan.phases[0].motion, 0.0);
        Ok(Self { network, weights, settings, free, taught, limits: assemble::limits(config), data, other, target })
    }

    /// A network at its free equilibrium, and its states.
    fn rested(&self) -> Result<(VirtualNetwork<T>, Vec<Field<T>>), DelayError> {
        let mut network = VirtualNetwork::new(&self.network, self.weights.clone(), &self.settings);
        network.present(&self.data, &self.target)?;
        let record = network.run_phase(&self.free, self.limits)?;
        is_at_rest(&record)?;
        let is_state = |extract| if let Extract::State(state) = extract { Some(state) } else { None };
        let states = network.extract_of_nodes(Wanted::State)?.into_iter().filter_map(is_state).collect();
        Ok((network, states))
    }

    /// What every layer would do without the switch, where that is not known.
    fn still(&self) -> Result<Option<Vec<Track>>, DelayError> {
        if self.free.motion == Motion::Forward {
            return Ok(None);
        }
        let (mut network, rest) = self.rested()?;
        let watch = Watch::new(network.now(), rest, None, 0).of_stillness();
        let seen = watch.seen();
        network.watch(Some(Box::new(watch)));
        network.run_phase(&untaught(), Limits::steps(self.limits.steps_max))?;
        network.watch(None);
        Ok(Some(taken(&seen).tracks))
    }

    fn wave(&self, direction: Direction, threshold: f64, events_most: usize) -> Result<Wave, DelayError> {
        let still = self.still()?;
        let (mut network, rest) = self.rested()?;
        let began = network.now();
        let watch = Watch::new(began, rest, still, events_most);
        let seen = watch.seen();
        network.watch(Some(Box::new(watch)));
        let phase = match direction {
            Direction::Down => self.taught,
            Direction::Up => {
                network.show(&self.other)?;
                untaught()
            }
        };
        let record = network.run_phase(&phase, Limits::steps(self.limits.steps_max))?;
        network.watch(None);
        finite(&record, direction.name())?;
        if record.reason == StopReason::EventBudget {
            let what = "the wave was broken off at its most events; raise schedule.events_max";
            return Err(DelayError::Restless(what.to_owned()));
        }
        let length = network.now().since(began).units();
        let seen = taken(&seen);
        let rows = self.rows(direction, threshold, &seen, &network.residuals());
        let unit = "model time";
        let names = self.network.places().map(|place| self.network.name_of(place)).collect();
        Ok(Wave { direction, switch: self.switch(direction), rows, names, length, unit, seen })
    }

    fn rows(&self, direction: Direction, threshold: f64, seen: &Seen, residuals: &[f64]) -> Vec<Row> {
        let is_downward = direction == Direction::Down;
        let source_moves = is_downward
            && self.network.energy().has_output_state()
            && matches!(self.taught.motion, Motion::Relax { teaching: Teaching::Nudged(_), .. });
        let path = Path::of(&self.network, &self.settings, is_downward, source_moves);
        let expected = path.as_ref().map(Path::onsets);
        let synchronous = path.map(|path| path.synchronous().onsets());
        let at = |onsets: &Option<Vec<Vec<Option<u64>>>>, layer: usize, group: usize| {
            onsets.as_ref()?.get(layer)?.get(group).copied().flatten().map(units)
        };
        let row = |(hops, layer, group): (usize, usize, usize)| {
            let node = (0..layer).map(|below| self.network.groups(below)).sum::<usize>() + group;
            let (track, residual) = (&seen.tracks[node], residuals[node]);
            let end = track.trajectory.last().map_or(0.0, |&(_, displacement)| displacement);
            let measured = rise(&track.trajectory, threshold, residual <= AT_REST * end);
            Row {
                direction,
                layer,
                group,
                node,
                hops,
                arrival: track.arrival.map(units),
                closed_form: at(&expected, layer, group),
                synchronous: at(&synchronous, layer, group),
                onset: measured.onset,
                rise10: measured.rise[0],
                rise50: measured.rise[1],
                rise90: measured.rise[2],
                settling: measured.settling,
                overshoot: measured.overshoot,
                displacement: measured.displacement,
                residual,
            }
        };
        let groups = |(hops, layer)| (0..self.network.groups(layer)).map(move |group| (hops, layer, group));
        self.places(direction).flat_map(groups).map(row).collect()
    }

    /// Hops and layer of everyone behind the switch that can move.
    pub(super) fn places(&self, direction: Direction) -> impl Iterator<Item = (usize, usize)> + use<T> {
        let depth = self.network.depth();
        let is_downward = direction == Direction::Down;
        // The input never moves, and in predictive coding the output has no state that could.
        let last = if !is_downward && self.network.energy().has_output_state() { depth } else { depth - 1 };
        (1..=last).map(move |hops| (hops, if is_downward { depth - hops } else { hops }))
    }

    pub(super) fn switch(&self, direction: Direction) -> String {
        match (direction, self.taught.motion) {
            (Direction::Up, _) => "the input becomes another".to_owned(),
            (_, Motion::Relax { teaching: Teaching::Nudged(nudge), .. }) => format!("the output is nudged by {nudge}"),
            _ => "the output is clamped".to_owned(),
        }
    }
}

fn taken(seen: &Mutex<Seen>) -> Seen {
    std::mem::take(&mut seen.lock().expect("the watch is over"))
}

/// Free relaxation from where the states are.
pub(super) fn untaught() -> PlannedPhase {
    PlannedPhase::read(Motion::Relax { teaching: Teaching::Free, from: Origin::Here }, 0.0)
}

/// What a free phase has to have ended as.
pub(super) fn is_at_rest(record: &PhaseRecord) -> Result<(), DelayError> {
    finite(record, "free")?;
    if matches!(record.reason, StopReason::Wave | StopReason::Settled) {
        return Ok(());
    }
    Err(DelayError::Restless(format!(
        "the free phase did not come to rest ({}, residual {:.3e}), so there is nothing to start from; \
         set inference.tolerance, or raise inference.max_infer_iters",
        record.reason,
        record.residual()
    )))
}

pub(super) fn finite(record: &PhaseRecord, phase: &str) -> Result<(), DelayError> {
    let Some((layer, bad)) = record.bad() else { return Ok(()) };
    Err(DelayError::Restless(format!(
        "{phase}: layer {layer}, unit {}: a number is not finite at step {}; choose a smaller inference.activity_lr",
        bad.unit, bad.step
    )))
}

/// What no wave can be measured of.
fn fits(config: &Config) -> Result<(), DelayError> {
    let unfit = |what: &str| Err(DelayError::Unfit(what.to_owned()));
    if !matches!(config.schedule.mode, ScheduleMode::VirtualTime | ScheduleMode::FreeRunning) {
        return unfit(
            "schedule.mode: delays are measured in virtual time or free-running; set it to \"virtual-time\", which without clocks and \
             links of its own has the bits of lock-step",
        );
    }
    if config.model.widths.len() < 3 {
        return unfit("model.widths: a wave needs a hidden layer to run through; give three numbers or more");
    }
    Ok(())
}

/// At zero every layer has to rest, and has to let a signal through.
fn passes_zero(config: &Config, network: &NetworkSpec) -> Result<(), DelayError> {
    let bad = (1..network.depth()).find(|&layer| {
        let (value, slope) = network.activation(layer).value_and_slope(0.0_f64);
        value != 0.0 || slope == 0.0
    });
    match bad {
        None => Ok(()),
        Some(_) => Err(DelayError::Unfit(format!(
            "model.act_fn = {:?}: --rest zero needs f(0) = 0 and f'(0) ≠ 0, such as tanh or identity",
            config.model.act_fn
        ))),
    }
}
