//! The same waves on the wall clock: layers as actors that run freely, in one process or in several, with or without imposed delays.
//!
//! ```text
//! t = 0       the layer that is switched hears that the phase begins
//! arrival     the first step after which any bit differs, where the layers rest exactly (the free phase is one wave); else unknown
//! onset, rise, settling, overshoot      as in virtual time (`super::rise`), of the layer's own steps
//! predicted   what `super::measure` finds in virtual time with the same clocks and links, times schedule.time_unit_ms
//! least       the sum of the least delays of the links on the way: nothing may arrive sooner
//! ```
//!
//! The layers live here, in processes that are started here, or in processes that somebody else starts, on this machine or others
//! ([`Hands`]). Each process has its own monotonic clock. What lies between them is estimated by pings before and after the wave ([`offset`]) and
//! subtracted; the error of that is written beside the results. Times are milliseconds.
//!
//! Read on: [`offset`], `merge` (what was seen, on one clock), [`verdict`], `files`.

mod files;
mod merge;
pub mod offset;
pub mod verdict;

use serde::Serialize;

pub use files::{Written, write};

use super::rise::rise;
use super::watch::Seen;
use super::wave::{Bench, finite, is_at_rest, untaught};
use super::{AT_REST, DelayError, Direction, Request, Row, Wave};
use crate::config::{Config, Groups, ScheduleMode};
use crate::engine::Engine;
use crate::engine::wall_clock::now;
use crate::experiment::assemble;
use crate::experiment::machine::Machine;
use crate::experiment::workers::{Hands, placement};
use crate::math::Real;
use crate::network::NetworkSpec;
use crate::settling::{Limits, PhaseRecord};
use crate::signal::sighting::Sightings;
use crate::signal::{Extract, Motion, Wanted};
use merge::Merged;
use offset::{Offset, Ping, between, estimate};

/// Questions to every process before and after a wave.
const PINGS: usize = 100;

/// What was measured of one layer. Times in milliseconds from the switch on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WallRow {
    /// `down` or `up`.
    pub direction: Direction,
    /// Which layer.
    pub layer: usize,
    /// Which of its groups; 0 where it is whole.
    pub group: usize,
    /// The number of the node in what was seen.
    #[serde(skip)]
    pub node: usize,
    /// What it is called.
    #[serde(skip)]
    pub name: String,
    /// The process it lives in.
    pub worker: usize,
    /// Links between it and the switch.
    pub hops: usize,
    /// Nothing can arrive sooner.
    pub least: f64,
    /// By so much its times may be off, for the clocks of two processes.
    pub clock_error: f64,
    /// The first step after which any bit differed.
    pub arrival: Option<f64>,
    /// The same in virtual time.
    pub predicted_arrival: Option<f64>,
    /// First step above threshold × displacement.
    pub onset: Option<f64>,
    /// The same in virtual time.
    pub predicted_onset: Option<f64>,
    /// Measured over predicted onset.
    pub ratio: Option<f64>,
    /// 10 % of the displacement.
    pub rise10: Option<f64>,
    /// 50 %.
    pub rise50: Option<f64>,
    /// The same in virtual time.
    pub predicted_rise50: Option<f64>,
    /// 90 %.
    pub rise90: Option<f64>,
    /// From here on within 5 % of it; empty if the layer had not come to rest by the end of the run.
    pub settling: Option<f64>,
    /// The same in virtual time.
    pub predicted_settling: Option<f64>,
    /// (largest − final) / final.
    pub overshoot: Option<f64>,
    /// ‖x − x̄‖ at the end of the run.
    pub displacement: f64,
    /// max |∂E/∂x| at the end of the run, in its whole layer.
    pub residual: f64,
}

/// The clock of a process against that of the coordinator, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ClockOffset {
    /// Which process.
    pub worker: usize,
    /// Its clock minus ours.
    pub offset: f64,
    /// Off by no more than this.
    pub error: f64,
}

/// One wave.
#[derive(Debug)]
pub struct WallWave {
    /// As in virtual time, in milliseconds.
    pub wave: Wave,
    /// One per layer or group that can move, nearest first.
    pub rows: Vec<WallRow>,
    /// The process of every node.
    pub homes: Vec<usize>,
    /// One per process; none if there is only one.
    pub offsets: Vec<ClockOffset>,
    /// Signals that were heard, and how many of them sooner after they were said than their links allow; `None` between groups, which are
    /// not followed signal by signal.
    pub arrows: Option<(usize, usize)>,
}

/// Measures all the waves that are asked for, one after the other, each from the free equilibrium on.
///
/// # Errors
/// As in virtual time; and processes that can't be started or do not come, layers in which nothing moves any more.
pub fn measure<T: Real>(request: &Request, hands: &Hands) -> Result<Vec<WallWave>, DelayError> {
    fits(&request.config, hands)?;
    let bench = Bench::<T>::new(&request.config, request.rest)?;
    let homes = homes(&request.config, &bench)?;
    let mut engine = engine(&request.config, &bench, hands)?;
    let waves = request.directions.iter().map(|&direction| wave(request, direction, (&bench, &homes), &mut engine));
    let waves = waves.collect();
    // Whether it went well or not, for the workers it is over.
    engine.dismiss();
    waves
}

fn wave<T: Real>(
    request: &Request,
    direction: Direction,
    (bench, homes): (&Bench<T>, &[usize]),
    engine: &mut Engine<T>,
) -> Result<WallWave, DelayError> {
    engine.present(&bench.data, &bench.target)?;
    is_at_rest(&engine.run_phase(&bench.free, bench.limits)?)?;
    let before = offsets(engine, homes)?;
    engine.extract_of_nodes(Wanted::Sightings)?;
    let phase = match direction {
        Direction::Down => bench.taught,
        Direction::Up => {
            engine.show(&bench.other)?;
            untaught()
        }
    };
    let record = engine.run_phase(&phase, Limits::steps(bench.limits.steps_max))?;
    let seen = sightings(engine)?;
    let after = offsets(engine, homes)?;
    finite(&record, direction.name())?;
    let offsets: Vec<Offset> = before.into_iter().zip(after).map(|(before, after)| between(before, after)).collect();
    let source = if direction == Direction::Down { bench.network.depth() } else { 0 };
    let laws = assemble::wall_laws(&request.config, &bench.network);
    let merged = Merged::new(&seen, (homes, &offsets), (&bench.network, source), laws.as_ref())?;
    let predicted = laws.as_ref().map(|laws| predicted::<T>(request, direction, laws.unit_ms)).transpose()?;
    let exact = bench.free.motion == Motion::Forward;
    let network = &bench.network;
    let scene = Scene { network, direction, threshold: request.threshold, homes, exact, predicted: &predicted };
    let groups = |(hops, layer)| (0..network.groups(layer)).map(move |group| (hops, (layer, group)));
    let places = bench.places(direction).flat_map(groups);
    let rows = places.map(|place| scene.row(place, &merged, &record)).collect::<Vec<_>>();
    let is_one = offsets.len() == 1;
    let of = |(worker, offset): (usize, Offset)| ClockOffset {
        worker,
        offset: offset.nanoseconds * 1e-6,
        error: offset.error * 1e-6,
    };
    let Merged { seen, arrows, arrows_too_early, length, .. } = merged;
    let plain = rows.iter().map(plain).collect();
    let names = bench.network.places().map(|place| bench.network.name_of(place)).collect();
    let (switch, unit) = (bench.switch(direction), "ms of wall clock");
    let wave = Wave { direction, switch, rows: plain, names, length, unit, seen };
    let offsets = if is_one { Vec::new() } else { offsets.into_iter().enumerate().map(of).collect() };
    let arrows = (!bench.network.is_cut()).then_some((arrows, arrows_too_early));
    Ok(WallWave { wave, rows, homes: homes.to_vec(), offsets, arrows })
}

/// What no wall clock can measure.
fn fits(config: &Config, hands: &Hands) -> Result<(), DelayError> {
    if config.model.groups != Groups::Count(1) && !matches!(hands, Hands::Children) {
        let what =
            "model.groups: groups of neurons that run free live in one process; leave out --listen, or the groups";
        return Err(DelayError::Unfit(what.to_owned()));
    }
    if config.inference.max_infer_iters > Sightings::STEPS_MOST {
        return Err(DelayError::Unfit(format!(
            "inference.max_infer_iters = {}: of a layer on the wall clock at most {} steps are kept",
            config.inference.max_infer_iters,
            Sightings::STEPS_MOST
        )));
    }
    Ok(())
}

/// The process of every node.
fn homes<T: Real>(config: &Config, bench: &Bench<T>) -> Result<Vec<usize>, DelayError> {
    let nodes = bench.network.groups_in_all();
    if config.workers == 1 {
        return Ok(vec![0; nodes]);
    }
    let placement = placement(config, &bench.network)
        .map_err(|problem| DelayError::Unfit(format!("schedule.placement: {problem}")))?;
    let home = |node| placement.parts().iter().position(|part| part.contains(&node)).unwrap_or(0);
    Ok((0..nodes).map(home).collect())
}

fn engine<T: Real>(config: &Config, bench: &Bench<T>, hands: &Hands) -> Result<Engine<T>, DelayError> {
    match assemble::machine(config, &bench.network, bench.weights.clone(), (hands, 1))? {
        Machine::Actors(engine) => Ok(*engine),
        _ => Err(DelayError::Unfit("schedule.mode: only free-running layers live by the wall clock".to_owned())),
    }
}

/// The clock of every process against ours. Within one process all layers have one clock.
fn offsets<T: Real>(engine: &mut Engine<T>, homes: &[usize]) -> Result<Vec<Offset>, DelayError> {
    let workers = homes.iter().max().map_or(1, |most| most + 1);
    if workers == 1 {
        return Ok(vec![Offset::default()]);
    }
    let mut of = |worker: usize| {
        let layer = homes.iter().position(|&home| home == worker).unwrap_or(0);
        let mut ping = || {
            let asked = now();
            let answered = engine.clock(layer)?;
            Ok(Ping { asked, answered, heard: now() })
        };
        let pings = (0..PINGS).map(|_| ping()).collect::<Result<Vec<Ping>, DelayError>>()?;
        Ok(estimate(&pings).unwrap_or_default())
    };
    (0..workers).map(&mut of).collect()
}

fn sightings<T: Real>(engine: &mut Engine<T>) -> Result<Vec<Sightings>, DelayError> {
    let is_seen = |extract| if let Extract::Seen(seen) = extract { Some(*seen) } else { None };
    Ok(engine.extract_of_nodes(Wanted::Sightings)?.into_iter().filter_map(is_seen).collect())
}

/// The wave in virtual time, in milliseconds of this unit.
fn predicted<T: Real>(request: &Request, direction: Direction, unit_ms: f64) -> Result<Vec<Row>, DelayError> {
    let mut config = request.config.clone();
    config.schedule.mode = ScheduleMode::VirtualTime;
    config.workers = 1;
    let wave = super::measure::<T>(&Request { config, ..request.clone() }, direction, 0)?;
    let scaled = |time: Option<f64>| time.map(|time| time * unit_ms);
    let row = |row: Row| Row {
        arrival: scaled(row.arrival),
        closed_form: scaled(row.closed_form),
        synchronous: scaled(row.synchronous),
        onset: scaled(row.onset),
        rise10: scaled(row.rise10),
        rise50: scaled(row.rise50),
        rise90: scaled(row.rise90),
        settling: scaled(row.settling),
        ..row
    };
    Ok(wave.rows.into_iter().map(row).collect())
}

/// What the rows of a wave have in common.
struct Scene<'a> {
    network: &'a NetworkSpec,
    direction: Direction,
    threshold: f64,
    homes: &'a [usize],
    exact: bool,
    predicted: &'a Option<Vec<Row>>,
}

impl Scene<'_> {
    fn row(&self, (hops, place): (usize, (usize, usize)), merged: &Merged, record: &PhaseRecord) -> WallRow {
        let (layer, group) = place;
        let node = self.network.nodes_of(layer).start + group;
        let track = &merged.seen.tracks[node];
        let residual = record.reports[layer].residual;
        let end = track.trajectory.last().map_or(0.0, |&(_, displacement)| displacement);
        let measured = rise(&track.trajectory, self.threshold, residual <= AT_REST * end);
        let predicted =
            self.predicted.as_ref().and_then(|rows| rows.iter().find(|row| (row.layer, row.group) == place));
        let predicted_onset = predicted.and_then(|row| row.onset);
        WallRow {
            direction: self.direction,
            layer,
            group,
            node,
            name: self.network.name_of(place),
            worker: self.homes[node],
            hops,
            least: merged.least[node],
            clock_error: merged.errors[node],
            arrival: merged.arrivals[node].filter(|_| self.exact),
            predicted_arrival: predicted.and_then(|row| row.arrival),
            onset: measured.onset,
            predicted_onset,
            ratio: measured.onset.zip(predicted_onset).map(|(onset, predicted)| onset / predicted),
            rise10: measured.rise[0],
            rise50: measured.rise[1],
            predicted_rise50: predicted.and_then(|row| row.rise50),
            rise90: measured.rise[2],
            settling: measured.settling,
            predicted_settling: predicted.and_then(|row| row.settling),
            overshoot: measured.overshoot,
            displacement: measured.displacement,
            residual,
        }
    }
}

/// The same without what is only known on the wall clock.
fn plain(row: &WallRow) -> Row {
    let &WallRow {
        direction,
        layer,
        group,
        node,
        hops,
        arrival,
        onset,
        rise10,
        rise50,
        rise90,
        settling,
        overshoot,
        ..
    } = row;
    let &WallRow { displacement, residual, .. } = row;
    let (closed_form, synchronous) = (None, None);
    Row {
        direction,
        layer,
        group,
        node,
        hops,
        arrival,
        closed_form,
        synchronous,
        onset,
        rise10,
        rise50,
        rise90,
        settling,
        overshoot,
        displacement,
        residual,
    }
}
