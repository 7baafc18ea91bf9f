//! When the first change can reach a layer, worked out from clocks and delays alone. The simulator has no part in it, so that each can
//! contradict the other.
//!
//! A wave starts at one end of the chain at t = 0 and passes one layer after the other. Layer k hops away acts at
//! `o_k + n P_k`, n = 1, 2, … (at n = 0 it speaks and listens, but takes no step), and a signal needs `D_k` to reach it:
//!
//! ```text
//! s_0 = o_0                                     the source speaks at its first tick,
//! s_0 = o_0 + P_0                               or, if its own state has to move first, at its first step
//! a_k = s_{k−1} + D_k                           the change arrives
//! s_k = o_k + P_k max(1, ⌊(a_k − o_k) / P_k⌋ + 1)         the first step later than a_k: the onset
//!
//! equal clocks without offset:  s_k = k (⌊D/P⌋ + 1) P
//! ```
//!
//! A signal that arrives exactly at a tick is heard after the step of that tick (`crate::engine::virtual_time`), hence *later than*.
//! That also makes a delay of zero cost one period, as in lock-step: `s_k = k P`, the synchronous bound.
//!
//! Where layers are cut into groups, there are many ways from one end to a group, and the first to arrive counts:
//!
//! ```text
//! a_{k,h} = min over groups g of layer k − 1 of  s_{k−1,g} + D_{g,h}
//! ```
//!
//! Times are whole ticks of 2⁻²⁰ of the unit of model time, to which every period and delay is rounded before it is added.

use crate::engine::virtual_time::VirtualSettings;
use crate::engine::virtual_time::clocks::ClockLaws;
use crate::engine::virtual_time::links::LinkLaws;
use crate::network::NetworkSpec;

/// Ticks in one unit of model time.
const TICKS: f64 = 1_048_576.0;

/// When a layer acts, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beat {
    /// Of tick 0.
    pub offset: u64,
    /// Between two ticks.
    pub period: u64,
}

impl Beat {
    /// In units of model time.
    pub fn of(offset: f64, period: f64) -> Self {
        Self { offset: ticks(offset), period: ticks(period).max(1) }
    }

    fn of_laws(laws: &ClockLaws) -> Option<Self> {
        Some(Self::of(laws.offset.constant()?, laws.period.constant()?))
    }

    /// The first step later than `arrival`.
    fn step_after(self, arrival: u64) -> u64 {
        let count = match arrival.checked_sub(self.offset) {
            Some(since) => since / self.period + 1,
            None => 1,
        };
        self.offset + count * self.period
    }
}

/// A group, or a layer that is whole, behind the switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// When it acts.
    pub beat: Beat,
    /// The delay of the link from every group of the layer before, in ticks.
    pub delays: Vec<u64>,
}

/// The chain of layers that a wave runs along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// The groups of the layer that was switched.
    pub source: Vec<Beat>,
    /// Its state has to take a step before anybody can hear of it: an output with a state of its own that is nudged.
    pub source_moves: bool,
    /// The groups of every layer behind it.
    pub hops: Vec<Vec<Hop>>,
}

impl Path {
    /// From the laws of a run: down from the output to layer 1, or up from the input. `None` where something is drawn, lost,
    /// withheld or has to wait for the line, so that there is no closed form.
    pub fn of(
        network: &NetworkSpec,
        settings: &VirtualSettings,
        is_downward: bool,
        source_moves: bool,
    ) -> Option<Self> {
        let depth = network.depth();
        let layers: Vec<usize> = if is_downward { (1..=depth).rev().collect() } else { (0..=depth).collect() };
        let places = |layer: usize| (0..network.groups(layer)).map(move |group| (layer, group));
        let beat = |place| Beat::of_laws(&settings.clock(place));
        let hop = |from: usize, place| {
            let delays = places(from).map(|from| delay(&settings.link(from, place))).collect::<Option<Vec<_>>>()?;
            Some(Hop { beat: beat(place)?, delays })
        };
        let hops = layers.windows(2).map(|pair| places(pair[1]).map(|place| hop(pair[0], place)).collect());
        let hops = hops.collect::<Option<Vec<_>>>()?;
        Some(Self { source: places(layers[0]).map(beat).collect::<Option<_>>()?, source_moves, hops })
    }

    /// The onset of every group of every layer behind the source, in ticks.
    pub fn onsets(&self) -> Vec<Vec<u64>> {
        let first = |beat: &Beat| if self.source_moves { beat.offset + beat.period } else { beat.offset };
        let mut spoken: Vec<u64> = self.source.iter().map(first).collect();
        let mut onsets = |layer: &Vec<Hop>| {
            let arrival = |hop: &Hop| spoken.iter().zip(&hop.delays).map(|(spoken, delay)| spoken + delay).min();
            spoken = layer.iter().map(|hop| hop.beat.step_after(arrival(hop).unwrap_or(u64::MAX / 2))).collect();
            spoken.clone()
        };
        self.hops.iter().map(&mut onsets).collect()
    }

    /// The same with no delays: everybody waits for the next step only.
    #[must_use]
    pub fn synchronous(&self) -> Self {
        let at_once = |hop: &Hop| Hop { delays: vec![0; hop.delays.len()], ..hop.clone() };
        let hops = self.hops.iter().map(|layer| layer.iter().map(at_once).collect()).collect();
        Self { hops, ..self.clone() }
    }
}

fn delay(laws: &LinkLaws) -> Option<u64> {
    let is_plain = laws.loss == 0.0 && laws.bandwidth == 0.0 && laws.threshold == 0.0;
    let under_way = ticks(laws.delay.constant()?) + ticks(laws.jitter.constant()?);
    is_plain.then_some(under_way)
}

/// The nearest whole number of ticks.
pub fn ticks(units: f64) -> u64 {
    // A cast from a float saturates; laws are checked before they come here.
    (units * TICKS).round() as u64
}

/// In units of model time.
pub fn units(ticks: u64) -> f64 {
    ticks as f64 / TICKS
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of layers that are whole.
    fn path(source: Beat, source_moves: bool, hops: &[(Beat, u64)]) -> Path {
        let hops = hops.iter().map(|&(beat, delay)| vec![Hop { beat, delays: vec![delay] }]).collect();
        Path { source: vec![source], source_moves, hops }
    }

    fn onsets(path: &Path) -> Vec<u64> {
        path.onsets().into_iter().flatten().collect()
    }

    /// By hand: of two ways to the same group the shorter one counts, though its first link is the slower.
    #[test]
    fn of_several_ways_the_first_to_arrive_counts() {
        let beat = Beat::of(0.0, 1.0);
        let hop = |delays: &[f64]| Hop { beat, delays: delays.iter().map(|&delay| ticks(delay)).collect() };
        let hops = vec![vec![hop(&[0.0]), hop(&[2.5])], vec![hop(&[4.0, 0.0]), hop(&[0.0, 9.0])]];
        let path = Path { source: vec![beat], source_moves: false, hops };
        // 0 → 1 and 0 + 2.5 → 3; then min(1 + 4, 3 + 0) → 4, and min(1 + 0, 3 + 9) → 2.
        assert_eq!(path.onsets(), [[ticks(1.0), ticks(3.0)], [ticks(4.0), ticks(2.0)]]);
        assert_eq!(path.synchronous().onsets(), [[ticks(1.0); 2], [ticks(2.0); 2]]);
    }

    fn chain(hops: usize, (offset, period, delay): (f64, f64, f64)) -> Path {
        let beat = Beat::of(offset, period);
        path(beat, false, &vec![(beat, ticks(delay)); hops])
    }

    /// Worked out by hand, on paper: at every tick 0, P, 2P, …
    #[test]
    fn onsets_by_hand() {
        let at = |laws| onsets(&chain(3, laws)).into_iter().map(units).collect::<Vec<f64>>();
        assert_eq!(at((0.0, 1.0, 0.0)), [1.0, 2.0, 3.0], "no delay: a step each");
        assert_eq!(at((0.0, 1.0, 0.5)), [1.0, 2.0, 3.0], "arrives in time for the next step");
        assert_eq!(at((0.0, 1.0, 1.0)), [2.0, 4.0, 6.0], "arrives with the step, and is heard after it");
        assert_eq!(at((0.0, 1.0, 2.5)), [3.0, 6.0, 9.0]);
        assert_eq!(at((0.0, 0.5, 1.25)), [1.5, 3.0, 4.5]);
        assert_eq!(at((0.25, 1.0, 0.0)), [1.25, 2.25, 3.25], "everyone begins late");
    }

    /// Source at 0; the first layer steps at 0.75, 1.5, 2.25, …, the second at 2 + 0.5, 2 + 1, …
    #[test]
    fn layers_may_have_clocks_of_their_own() {
        let hops = vec![(Beat::of(0.0, 0.75), ticks(1.0)), (Beat::of(2.0, 0.5), ticks(0.25))];
        let path = path(Beat::of(0.0, 1.0), false, &hops);
        // Arrives at 1, step at 1.5; arrives at 1.75, before the second layer's clock has begun: its first step is at 2.5.
        assert_eq!(onsets(&path), [ticks(1.5), ticks(2.5)]);
        let moved = Path { source_moves: true, ..path };
        // The source steps at 1; arrives at 2, step at 2.25; arrives at 2.5 with a step, so the next, at 3.
        assert_eq!(onsets(&moved), [ticks(2.25), ticks(3.0)]);
        assert_eq!(onsets(&moved.synchronous()), [ticks(1.5), ticks(2.5)]);
    }
}
