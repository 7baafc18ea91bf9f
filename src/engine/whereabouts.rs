//! Where every layer is and what it waits for: read by nobody but the watchdog, and told only when nothing moves any more.

use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::network::NetworkSpec;

/// What a layer waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaits {
    Nothing = 0,
    Directive = 1,
    Prediction = 2,
    Error = 3,
    AnySignal = 4,
    Gone = 5,
}

/// One line of it, as another process tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sighting {
    layer: usize,
    awaits: u8,
    phase: u64,
    step: u64,
    progress: u64,
}

#[derive(Debug, Default)]
struct Place {
    awaits: AtomicU8,
    phase: AtomicU64,
    step: AtomicU64,
    progress: AtomicU64,
}

/// One line per layer, or per group of one.
#[derive(Debug)]
pub(crate) struct Whereabouts {
    places: Vec<Place>,
    /// The line of the first group of every layer: in a network of a million neurons names would take as much room as the lines.
    firsts: Vec<usize>,
}

/// So many lines are shown.
const LINES_MOST: usize = 40;

impl Whereabouts {
    /// A line for every layer of a network, or for each of its groups.
    pub(crate) fn of(network: &NetworkSpec) -> Self {
        Self::new(&network.group_counts())
    }

    /// Lines for so many groups of every layer.
    pub(crate) fn new(groups: &[usize]) -> Self {
        let first = |next: &mut usize, &groups: &usize| Some(std::mem::replace(next, *next + groups));
        let firsts = groups.iter().scan(0, first).collect();
        Self { places: (0..groups.iter().sum()).map(|_| Place::default()).collect(), firsts }
    }

    /// Layer, and group if the layer is cut.
    fn name(&self, line: usize) -> (usize, Option<usize>) {
        let layer = self.firsts.partition_point(|&first| first <= line) - 1;
        let (first, next) = (self.firsts[layer], self.firsts.get(layer + 1).copied().unwrap_or(self.places.len()));
        (layer, (next - first > 1).then_some(line - first))
    }

    pub(super) fn waits(&self, node: usize, awaits: Awaits, phase: u64, step: u64) {
        let place = &self.places[node];
        place.awaits.store(awaits as u8, Relaxed);
        place.phase.store(phase, Relaxed);
        place.step.store(step, Relaxed);
    }

    pub(super) fn ends(&self, node: usize) {
        self.places[node].awaits.store(Awaits::Gone as u8, Relaxed);
    }

    pub(super) fn goes_on(&self, node: usize) {
        let place = &self.places[node];
        place.awaits.store(Awaits::Nothing as u8, Relaxed);
        place.progress.fetch_add(1, Relaxed);
    }

    /// Where these layers are now.
    pub(crate) fn sightings(&self, layers: &[usize]) -> Vec<Sighting> {
        let of = |&layer: &usize| {
            let Place { awaits, phase, step, progress } = &self.places[layer];
            let (awaits, phase) = (awaits.load(Relaxed), phase.load(Relaxed));
            Sighting { layer, awaits, phase, step: step.load(Relaxed), progress: progress.load(Relaxed) }
        };
        layers.iter().map(of).collect()
    }

    /// Takes over what another process saw of its layers; of layers that do not exist it can have seen nothing.
    pub(crate) fn hear(&self, sightings: &[Sighting]) {
        for seen in sightings {
            if let Some(place) = self.places.get(seen.layer) {
                place.awaits.store(seen.awaits, Relaxed);
                place.phase.store(seen.phase, Relaxed);
                place.step.store(seen.step, Relaxed);
                place.progress.store(seen.progress, Relaxed);
            }
        }
    }

    /// A number that changes whenever any layer goes on.
    pub(super) fn progress(&self) -> u64 {
        self.places.iter().map(|place| place.progress.load(Relaxed)).fold(0, u64::wrapping_add)
    }
}

impl fmt::Display for Whereabouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (line, place) in self.places.iter().enumerate() {
            if line == LINES_MOST {
                return write!(f, "; and {} more", self.places.len() - LINES_MOST);
            }
            let (layer, group) = self.name(line);
            let group = group.map_or(String::new(), |group| format!(" group {group}"));
            let below = layer.saturating_sub(1);
            let above = layer + 1;
            let what = match place.awaits.load(Relaxed) {
                0 => "computes".to_owned(),
                1 => "waits for a directive".to_owned(),
                2 => format!("waits for the prediction of layer {below}"),
                3 => format!("waits for the error of layer {above}"),
                4 => "rests until a neighbour speaks".to_owned(),
                _ => "has ended".to_owned(),
            };
            let (phase, step) = (place.phase.load(Relaxed), place.step.load(Relaxed));
            let separator = if line == 0 { "" } else { "; " };
            write!(f, "{separator}layer {layer}{group} {what} (phase {phase}, step {step})")?;
        }
        Ok(())
    }
}

/// How long no layer has gone on. Answers to the coordinator's own questions are no sign of life.
pub(super) struct Watchdog {
    pub(super) stall: Duration,
    progress: u64,
    since: Instant,
}

impl Watchdog {
    pub(super) fn new(stall: Duration) -> Self {
        Self { stall, progress: 0, since: Instant::now() }
    }

    /// Nobody had anything to do until now.
    pub(super) fn wake(&mut self) {
        self.since = Instant::now();
    }

    /// When patience ends if nothing is seen to move until then.
    pub(super) fn patience(&self) -> Instant {
        self.since + self.stall
    }

    /// Asked when patience has ended: true if some layer went on meanwhile, and patience begins anew. Going over all layers at every
    /// report would cost more than the layers themselves where there are many; so a stall is noticed after one to two spans.
    pub(super) fn has_moved(&mut self, progress: u64) -> bool {
        let moved = self.progress != progress;
        if moved {
            self.progress = progress;
            self.wake();
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::wire::control::{decode, encode};

    #[test]
    fn a_line_is_called_by_its_layer_and_by_its_group_where_the_layer_is_cut() {
        let whereabouts = Whereabouts::new(&[2, 1, 3, 1]);
        whereabouts.ends(4);
        let lines = whereabouts.to_string();
        let names = [
            "layer 0 group 0",
            "layer 0 group 1",
            "layer 1",
            "layer 2 group 0",
            "layer 2 group 1",
            "layer 2 group 2",
            "layer 3",
        ];
        let told: Vec<&str> = lines.split("; ").collect();
        assert_eq!(told.len(), names.len(), "{lines}");
        for (line, (told, name)) in told.iter().zip(names).enumerate() {
            let what = if line == 4 { "has ended" } else { "computes" };
            assert!(told.starts_with(&format!("{name} {what}")), "{told}");
        }
    }

    proptest! {
        #[test]
        fn signs_of_life_are_read_as_written_and_damaged_ones_are_none_or_others(
            seen in vec((0_usize..6, any::<u8>(), any::<u64>(), any::<u64>(), any::<u64>()), 0..6),
            hits in vec((any::<usize>(), any::<u8>()), 1..6), noise in vec(any::<u8>(), 0..60),
        ) {
            let whereabouts = Whereabouts::new(&[1, 1, 1]);
            let sightings: Vec<Sighting> = seen
                .iter()
                .map(|&(layer, awaits, phase, step, progress)| Sighting { layer, awaits, phase, step, progress })
                .collect();
            let mut bytes = encode(&sightings);
            prop_assert_eq!(decode("a sign of life", &bytes), Ok(sightings.clone()));
            whereabouts.hear(&sightings);
            for layer in 0..3 {
                let last = sightings.iter().rev().find(|sighting| sighting.layer == layer).copied();
                let told = whereabouts.sightings(&[layer])[0];
                prop_assert_eq!(told, last.unwrap_or(Sighting { layer, ..Sighting::default() }));
            }
            for (at, byte) in hits {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
            for bytes in [bytes, noise] {
                if let Ok(sightings) = decode::<Vec<Sighting>>("a sign of life", &bytes) {
                    whereabouts.hear(&sightings);
                }
                prop_assert!(whereabouts.to_string().matches("(phase ").count() == 3);
                let _ = whereabouts.progress();
            }
        }
    }
}
