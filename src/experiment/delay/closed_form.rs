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
//! Where layers are cut into groups, there are many ways from one end to a group, and the first to arrive counts. The fastest may even
//! turn round: down by quick groups and up again to one whose own link is slow. Of node n, with its groups below g and above h:
//!
//! ```text
//! a⁺_n = min_g s_g + D_{g,n}        a⁻_n = min_h d_h + D_{h,n}        what changes below and above reaches it
//! s_n  = the first step later than min(a⁺_n, a⁻_n)                    its state, and with it what it says up
//! d_n  = min(s_n, the first tick not before a⁺_n)                     what it says down: the error answers the current at once
//! ```
//!
//! (The last holds in predictive coding; other energies send the state down, d_n = s_n.) The least solution is found by repetition.
//!
//! Times are whole ticks of 2⁻²⁰ of the unit of model time, to which every period and delay is rounded before it is added.

use crate::energy::EnergyKind;
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

    /// The first tick not before `arrival`, tick 0 included.
    fn tick_from(self, arrival: u64) -> u64 {
        self.offset + arrival.saturating_sub(self.offset).div_ceil(self.period) * self.period
    }
}

/// Never.
const NEVER: u64 = u64::MAX;

/// What a wave runs through: layers, each of one group or more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// When the groups of every layer act.
    pub beats: Vec<Vec<Beat>>,
    /// Delays up and down between layers l and l + 1, at index l; of each, by the group below, then by the group above, in ticks.
    pub delays: Vec<[Vec<Vec<u64>>; 2]>,
    /// From the output, not from the input.
    pub is_downward: bool,
    /// The source's state has to take a step before anybody can hear of it: an output with a state of its own that is nudged.
    pub source_moves: bool,
    /// The output has a state that moves.
    pub output_moves: bool,
    /// What goes down answers the current from below.
    pub answers: bool,
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
        let places = |layer: usize| (0..network.groups(layer)).map(move |group| (layer, group));
        let beats = (0..=network.depth())
            .map(|layer| places(layer).map(|place| Beat::of_laws(&settings.clock(place))).collect::<Option<Vec<_>>>());
        let of_gap = |gap: usize| {
            let all = |up: bool| {
                let link = |lower, upper| if up { settings.link(lower, upper) } else { settings.link(upper, lower) };
                let row = |lower| places(gap + 1).map(|upper| delay(&link(lower, upper))).collect::<Option<Vec<_>>>();
                places(gap).map(row).collect::<Option<Vec<_>>>()
            };
            Some([all(true)?, all(false)?])
        };
        Some(Self {
            beats: beats.collect::<Option<_>>()?,
            delays: (0..network.depth()).map(of_gap).collect::<Option<_>>()?,
            is_downward,
            source_moves,
            output_moves: network.energy().has_output_state(),
            answers: network.energy() == EnergyKind::PredictiveCoding,
        })
    }

    /// The onset of every group of every layer, in ticks; `None` where nothing arrives, as at the source.
    pub fn onsets(&self) -> Vec<Vec<Option<u64>>> {
        let last = self.beats.len() - 1;
        let mut states: Vec<Vec<u64>> = self.beats.iter().map(|layer| vec![NEVER; layer.len()]).collect();
        let (mut predictions, mut errors) = (states.clone(), states.clone());
        let spoken = |beat: &Beat| if self.source_moves { beat.offset + beat.period } else { beat.offset };
        if self.is_downward {
            errors[last] = self.beats[last].iter().map(spoken).collect();
        } else {
            predictions[0] = self.beats[0].iter().map(spoken).collect();
        }
        loop {
            let before = (states.clone(), errors.clone());
            for (layer, beats) in self.beats.iter().enumerate().skip(1) {
                for (group, beat) in beats.iter().enumerate() {
                    let [up, _] = &self.delays[layer - 1];
                    let below = predictions[layer - 1].iter().zip(up).map(|(&said, up)| said.saturating_add(up[group]));
                    let below = below.min().unwrap_or(NEVER);
                    let above = self.delays.get(layer).and_then(|[_, down]| {
                        errors[layer + 1]
                            .iter()
                            .zip(&down[group])
                            .map(|(&said, &delay)| said.saturating_add(delay))
                            .min()
                    });
                    let arrival = above.map_or(below, |above| above.min(below));
                    let (state, error) = (&mut states[layer][group], &mut errors[layer][group]);
                    if arrival < NEVER && (layer < last || self.output_moves) {
                        *state = beat.step_after(arrival).min(*state);
                        predictions[layer][group] = *state;
                    }
                    if below < NEVER && self.answers {
                        *error = beat.tick_from(below).min(*error);
                    }
                    *error = (*error).min(*state);
                }
            }
            if before.0 == states && before.1 == errors {
                let found = |onset: u64| (onset < NEVER).then_some(onset);
                return states.into_iter().map(|layer| layer.into_iter().map(found).collect()).collect();
            }
        }
    }

    /// The same with no delays: everybody waits for the next step only.
    #[must_use]
    pub fn synchronous(&self) -> Self {
        let at_once = |delays: &Vec<Vec<u64>>| delays.iter().map(|row| vec![0; row.len()]).collect();
        Self { delays: self.delays.iter().map(|[up, down]| [at_once(up), at_once(down)]).collect(), ..self.clone() }
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

    /// Up through layers of several groups, with the delays from each group of the layer before; nothing comes down.
    fn upward(beats: Vec<Vec<Beat>>, up: &[&[&[f64]]], source_moves: bool) -> Path {
        let gap = |up: &&[&[f64]]| -> [Vec<Vec<u64>>; 2] {
            let row = |row: &&[f64]| row.iter().map(|&delay| ticks(delay)).collect::<Vec<u64>>();
            [up.iter().map(row).collect(), up.iter().map(|row| vec![NEVER; row.len()]).collect()]
        };
        let delays = up.iter().map(gap).collect();
        Path { beats, delays, is_downward: false, source_moves, output_moves: true, answers: true }
    }

    /// Of layers that are whole.
    fn path(source: Beat, source_moves: bool, hops: &[(Beat, f64)]) -> Path {
        let beats = std::iter::once(source).chain(hops.iter().map(|hop| hop.0)).map(|beat| vec![beat]).collect();
        let mut path = upward(beats, &vec![&[&[0.0][..]][..]; hops.len()], source_moves);
        for (delays, hop) in path.delays.iter_mut().zip(hops) {
            delays[0][0][0] = ticks(hop.1);
        }
        path
    }

    /// Of everybody behind the source.
    fn onsets(path: &Path) -> Vec<u64> {
        path.onsets().into_iter().flatten().flatten().collect()
    }

    /// By hand: of two ways to the same group the shorter one counts, though its first link is the slower.
    #[test]
    fn of_several_ways_the_first_to_arrive_counts() {
        let beat = Beat::of(0.0, 1.0);
        let beats = vec![vec![beat], vec![beat; 2], vec![beat; 2]];
        let path = upward(beats, &[&[&[0.0, 2.5]], &[&[4.0, 0.0], &[0.0, 9.0]]], false);
        // 0 → 1 and 0 + 2.5 → 3; then min(1 + 4, 3 + 0) → 4, and min(1 + 0, 3 + 9) → 2.
        assert_eq!(onsets(&path), [1.0, 3.0, 4.0, 2.0].map(ticks));
        assert_eq!(onsets(&path.synchronous()), [1.0, 1.0, 2.0, 2.0].map(ticks));
    }

    /// By hand: the second group of layer 1 has a slow link from the source, and hears of the change from above.
    #[test]
    fn a_wave_may_turn_round() {
        let beat = Beat::of(0.0, 1.0);
        let beats = vec![vec![beat], vec![beat; 2], vec![beat]];
        let mut path = upward(beats, &[&[&[0.0, 9.0]], &[&[0.0], &[0.0]]], false);
        assert_eq!(onsets(&path), [1.0, 10.0, 2.0].map(ticks), "nothing comes down");
        path.delays[1][1] = vec![vec![0], vec![0]];
        // Layer 2 hears the first group at 1, with its tick, and answers at once: heard after that tick, so a step at 2.
        assert_eq!(onsets(&path), [1.0, 2.0, 2.0].map(ticks));
        // Where the state goes down instead, it has to move first, at 2.
        assert_eq!(onsets(&Path { answers: false, ..path }), [1.0, 3.0, 2.0].map(ticks));
    }

    fn chain(hops: usize, (offset, period, delay): (f64, f64, f64)) -> Path {
        let beat = Beat::of(offset, period);
        path(beat, false, &vec![(beat, delay); hops])
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
        let hops = vec![(Beat::of(0.0, 0.75), 1.0), (Beat::of(2.0, 0.5), 0.25)];
        let path = path(Beat::of(0.0, 1.0), false, &hops);
        // Arrives at 1, step at 1.5; arrives at 1.75, before the second layer's clock has begun: its first step is at 2.5.
        assert_eq!(onsets(&path), [ticks(1.5), ticks(2.5)]);
        let moved = Path { source_moves: true, ..path };
        // The source steps at 1; arrives at 2, step at 2.25; arrives at 2.5 with a step, so the next, at 3.
        assert_eq!(onsets(&moved), [ticks(2.25), ticks(3.0)]);
        assert_eq!(onsets(&moved.synchronous()), [ticks(1.5), ticks(2.5)]);
    }
}
