//! What every layer saw, put onto one clock: that of the coordinator, with t = 0 at the switch.

use std::collections::BTreeMap;

use super::super::DelayError;
use super::super::watch::{Happened, Passing, Track};
use super::Seen;
use super::offset::Offset;
use crate::engine::virtual_time::kernel::Time;
use crate::engine::virtual_time::links::LinkLaws;
use crate::engine::wall_clock::WallLaws;
use crate::network::NetworkSpec;
use crate::signal::sighting::{Side, Sightings};

/// Everything on one clock, in milliseconds.
pub(super) struct Merged {
    pub(super) seen: Seen,
    /// First step of every layer after which a bit differed.
    pub(super) arrivals: Vec<Option<f64>>,
    /// By how much times of a layer may be off against those of the layer that was switched.
    pub(super) errors: Vec<f64>,
    /// Signals that were heard.
    pub(super) arrows: usize,
    /// Of these, sooner than possible.
    pub(super) arrows_too_early: usize,
    /// From the switch to the last that was seen.
    pub(super) length: f64,
    /// The least time from the switch to each node.
    pub(super) least: Vec<f64>,
}

/// Milliseconds that a signal takes at least; a tick of model time less, to which times are rounded.
fn least(laws: &LinkLaws, unit_ms: f64) -> f64 {
    let units = laws.delay.least() + laws.jitter.least();
    ((units - Time::TICK.units()) * unit_ms).max(0.0)
}

impl Merged {
    /// One per node. `source` is the layer that was switched; at t = 0 its phase begins, of its groups for the first.
    pub(super) fn new(
        sightings: &[Sightings],
        (homes, offsets): (&[usize], &[Offset]),
        (network, source): (&NetworkSpec, usize),
        laws: Option<&WallLaws>,
    ) -> Result<Self, DelayError> {
        let ways = ways(network, source, laws);
        let source = network.nodes_of(source).start;
        let dropped: u64 = sightings.iter().map(|seen| seen.steps_dropped).sum();
        let began = sightings.get(source).and_then(|seen| seen.began);
        let (Some(began), 0, true) = (began, dropped, sightings.len() == homes.len()) else {
            let what = format!("what layers did on the wall clock was not kept whole ({dropped} steps are missing)");
            return Err(DelayError::Restless(what));
        };
        let zero = began as f64 - offsets[homes[source]].nanoseconds;
        let at = |layer: usize, clock: u64| (clock as f64 - offsets[homes[layer]].nanoseconds - zero) * 1e-6;
        let error = |from: usize, to: usize| {
            let of = |layer: usize| offsets[homes[layer]].error * 1e-6;
            if homes[from] == homes[to] { 0.0 } else { of(from) + of(to) }
        };
        let unit = laws.map_or(0.0, |laws| laws.unit_ms);
        let leasts = (0..network.depth()).map(|gap| match laws {
            Some(laws) => laws.links[gap].each_ref().map(|link| least(link, unit)),
            None => [0.0; 2],
        });
        let least: Vec<[f64; 2]> = leasts.collect();
        let mut events = Vec::new();
        let tracks = (0..homes.len()).map(|layer| track(layer, &sightings[layer], &at, &mut events)).collect();
        let first = |(layer, seen): (usize, &Sightings)| {
            seen.steps.iter().find(|step| step.differs).map(|step| at(layer, step.at).max(0.0))
        };
        let arrivals = sightings.iter().enumerate().map(first).collect();
        events.sort_by(|a, b| time(a).total_cmp(&time(b)));
        let (arrows, arrows_too_early) = arrows(&events, &least, &error);
        // The phase begins at the switch, elsewhere sooner or later by what its announcement takes: what was before is drawn at the switch.
        events.iter_mut().for_each(not_before_the_switch);
        let length = events.last().map_or(0.0, time);
        let dropped = sightings.iter().map(|seen| seen.passings_dropped).sum();
        let errors = (0..homes.len()).map(|layer| error(source, layer)).collect();
        let seen = Seen { tracks, events, dropped };
        Ok(Self { seen, arrivals, errors, arrows, arrows_too_early, length, least: ways })
    }
}

/// The least time from the layer that is switched to every node, on the fastest way there is: where groups have links of their own it may
/// lead down and up again.
fn ways(network: &NetworkSpec, source: usize, laws: Option<&WallLaws>) -> Vec<f64> {
    let Some(laws) = laws else { return vec![0.0; network.groups_in_all()] };
    let mut least: Vec<f64> =
        network.places().map(|(layer, _)| if layer == source { 0.0 } else { f64::INFINITY }).collect();
    let node = |(layer, group): (usize, usize)| network.nodes_of(layer).start + group;
    let pairs = |lower: usize| {
        let below = (0..network.groups(lower)).map(move |group| (lower, group));
        below.flat_map(move |from| (0..network.groups(lower + 1)).map(move |group| (from, (lower + 1, group))))
    };
    let links: Vec<_> =
        (0..network.depth()).flat_map(pairs).flat_map(|(below, above)| [(below, above), (above, below)]).collect();
    loop {
        let before = least.clone();
        for &(from, to) in &links {
            let on_this = least[node(from)] + self::least(&laws.link(from, to), laws.unit_ms);
            least[node(to)] = least[node(to)].min(on_this);
        }
        if before == least {
            return least;
        }
    }
}

fn time(happened: &Happened) -> f64 {
    match *happened {
        Happened::Step { time, .. } => time,
        Happened::Sent(passing) | Happened::Arrived(passing) => passing.time,
    }
}

fn not_before_the_switch(happened: &mut Happened) {
    match happened {
        Happened::Step { time, .. } => *time = time.max(0.0),
        Happened::Sent(passing) | Happened::Arrived(passing) => passing.time = passing.time.max(0.0),
    }
}

/// One layer's trajectory, and its events among those of the others.
fn track(layer: usize, seen: &Sightings, at: &dyn Fn(usize, u64) -> f64, events: &mut Vec<Happened>) -> Track {
    let mut track = Track { trajectory: vec![(0.0, 0.0)], errors: vec![(0.0, 0.0)], ..Track::default() };
    for step in &seen.steps {
        let time = at(layer, step.at);
        track.trajectory.push((time.max(0.0), step.displacement));
        if !step.error.is_nan() {
            track.errors.push((time.max(0.0), step.error));
        }
        events.push(Happened::Step { time, layer, step: step.step, displacement: Some(step.displacement) });
    }
    for passing in &seen.passings {
        let time = at(layer, passing.at);
        let neighbour = match passing.side {
            Side::Above => layer + 1,
            // No layer has anything to say below the input.
            Side::Below => layer.saturating_sub(1),
        };
        let (from, to) = if passing.said { (layer, neighbour) } else { (neighbour, layer) };
        let passing_at = Passing { time, from, to, version: passing.version };
        events.push(if passing.said { Happened::Sent(passing_at) } else { Happened::Arrived(passing_at) });
    }
    track
}

/// Signals that were heard, and those of them that were heard too soon, by more than clocks may be off.
fn arrows(events: &[Happened], least: &[[f64; 2]], error: &dyn Fn(usize, usize) -> f64) -> (usize, usize) {
    let mut said = BTreeMap::new();
    for happened in events {
        if let Happened::Sent(Passing { time, from, to, version }) = *happened {
            said.entry((from, to, version)).or_insert(time);
        }
    }
    let (mut arrows, mut early) = (0, 0);
    for happened in events {
        if let Happened::Arrived(Passing { time, from, to, version }) = *happened
            && let Some(sent) = said.get(&(from, to, version))
        {
            let least = least[from.min(to)][usize::from(to < from)];
            arrows += 1;
            // One part in a million of a millisecond is what the subtraction of large numbers may cost.
            early += usize::from(time - sent + error(from, to) + 1e-6 < least);
        }
    }
    (arrows, early)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::energy::{Activation, Loss};
    use crate::math::law::Law;
    use crate::network::Grouping;
    use crate::signal::sighting::{PassingSeen, StepSeen};

    fn said(at: u64, side: Side, said: bool, version: u64) -> PassingSeen {
        PassingSeen { at, side, said, version }
    }

    /// Two layers in two processes; layer 1 is switched and speaks 1 ms later, layer 0 hears it `under_way` ms after that and steps
    /// another 1 ms later. The clock of the second process is 1 s behind, and the offset known to 0.1 ms.
    fn merged(under_way: u64) -> Merged {
        let ms = 1_000_000;
        let above = Sightings {
            began: Some(5_000 * ms),
            passings: vec![said(5_001 * ms, Side::Below, true, 7)],
            ..Sightings::default()
        };
        let heard = 4_001 * ms + under_way * ms;
        let step =
            StepSeen { at: heard + ms, step: 1, residual: 1.0, displacement: 2.0, error: f64::NAN, differs: true };
        let below =
            Sightings { steps: vec![step], passings: vec![said(heard, Side::Above, false, 7)], ..Sightings::default() };
        two(below, above)
    }

    /// What two layers saw, the clock of the lower one 1 s behind.
    fn two(below: Sightings, above: Sightings) -> Merged {
        let offsets = [Offset { nanoseconds: -1e9, error: 0.1e6 }, Offset::default()];
        let link = LinkLaws { delay: Law::Always(2.5), ..LinkLaws::default() };
        let laws = WallLaws {
            unit_ms: 2.0,
            seed: 0,
            clocks: vec![Default::default(); 2],
            links: vec![[link; 2]],
            group_clocks: Vec::new(),
            group_links: Vec::new(),
        };
        Merged::new(&[below, above], (&[0, 1], &offsets), (&network(&[1, 1]), 1), Some(&laws)).expect("whole")
    }

    fn network(widths: &[usize]) -> NetworkSpec {
        NetworkSpec::new(widths, Activation::Tanh, Loss::SquaredError).expect("a network")
    }

    /// 2-2-1 in single neurons. From the output to group 1 of layer 1 it is 9 ms straight, and 2 + 3 + 1 ms by way of the other group and
    /// of the input.
    #[test]
    fn the_fastest_way_to_a_group_may_lead_down_and_up_again() {
        let cut = network(&[2, 2, 1]).with_groups(Grouping::Neuron);
        let of = |delay| LinkLaws { delay: Law::Always(delay), ..LinkLaws::default() };
        let group_links = vec![([(0, 1), (1, 1)], of(1.0)), ([(1, 0), (0, 1)], of(3.0)), ([(2, 0), (1, 0)], of(2.0))];
        let (clocks, links) = (vec![Default::default(); 3], vec![[of(9.0); 2]; 2]);
        let laws = WallLaws { unit_ms: 1.0, seed: 0, clocks, links, group_clocks: Vec::new(), group_links };
        let found = ways(&cut, 2, Some(&laws));
        for (found, expected) in found.iter().zip([11.0, 5.0, 2.0, 6.0, 0.0]) {
            assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        }
        assert_eq!(ways(&cut, 2, None), [0.0; 5]);
    }

    #[test]
    fn two_clocks_become_one() {
        let merged = merged(6);
        assert_eq!(merged.arrivals, [Some(8.0), None]);
        assert_eq!(merged.seen.tracks[0].trajectory, [(0.0, 0.0), (8.0, 2.0)]);
        assert_eq!((merged.arrows, merged.arrows_too_early), (1, 0));
        assert!((merged.least[0] - 5.0).abs() < 1e-5 && merged.least[1] == 0.0);
        assert!((merged.errors[0] - 0.1).abs() < 1e-12 && merged.errors[1] == 0.0);
    }

    /// A delay of 2.5 units of 2 ms: after 5 ms a signal may be there, after 4 ms it can't.
    #[test]
    fn what_is_heard_before_it_can_be_is_caught() {
        assert_eq!(merged(5).arrows_too_early, 0);
        assert_eq!(merged(4).arrows_too_early, 1);
    }

    /// Behind a slow line a phase begins sooner than at the switch: a signal that left 2 ms before and came 3 ms after took 5 ms.
    #[test]
    fn what_was_on_its_way_at_the_switch_took_the_time_it_took() {
        let ms = 1_000_000;
        for (under_way, early) in [(5, 0), (4, 1)] {
            let above = Sightings {
                began: Some(5_000 * ms),
                passings: vec![said((4_998 + under_way) * ms, Side::Below, false, 3)],
                ..Sightings::default()
            };
            let below = Sightings { passings: vec![said(3_998 * ms, Side::Above, true, 3)], ..Sightings::default() };
            let merged = two(below, above);
            assert_eq!((merged.arrows, merged.arrows_too_early), (1, early));
            assert!(merged.seen.events.iter().all(|happened| time(happened) >= 0.0));
        }
    }

    #[test]
    fn what_was_not_kept_whole_is_no_measurement() {
        let seen = Sightings { began: Some(1), steps_dropped: 3, ..Sightings::default() };
        let chain = network(&[1, 1]);
        assert!(Merged::new(&[seen.clone(), seen], (&[0, 0], &[Offset::default()]), (&chain, 1), None).is_err());
    }
}
