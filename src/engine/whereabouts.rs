//! Where every layer is and what it waits for: read by nobody but the watchdog, and told only when nothing moves any more.

use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

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

#[derive(Debug, Default)]
struct Place {
    awaits: AtomicU8,
    phase: AtomicU64,
    step: AtomicU64,
    progress: AtomicU64,
}

/// One line per layer.
#[derive(Debug)]
pub(super) struct Whereabouts(Vec<Place>);

impl Whereabouts {
    pub(super) fn new(layers: usize) -> Self {
        Self((0..layers).map(|_| Place::default()).collect())
    }

    pub(super) fn waits(&self, layer: usize, awaits: Awaits, phase: u64, step: u64) {
        let place = &self.0[layer];
        place.awaits.store(awaits as u8, Relaxed);
        place.phase.store(phase, Relaxed);
        place.step.store(step, Relaxed);
    }

    pub(super) fn ends(&self, layer: usize) {
        self.0[layer].awaits.store(Awaits::Gone as u8, Relaxed);
    }

    pub(super) fn goes_on(&self, layer: usize) {
        let place = &self.0[layer];
        place.awaits.store(Awaits::Nothing as u8, Relaxed);
        place.progress.fetch_add(1, Relaxed);
    }

    /// A number that changes whenever any layer goes on.
    pub(super) fn progress(&self) -> u64 {
        self.0.iter().map(|place| place.progress.load(Relaxed)).fold(0, u64::wrapping_add)
    }
}

impl fmt::Display for Whereabouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (layer, place) in self.0.iter().enumerate() {
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
            let separator = if layer == 0 { "" } else { "; " };
            write!(f, "{separator}layer {layer} {what} (phase {phase}, step {step})")?;
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

    /// When patience ends, given how far the layers are.
    pub(super) fn patience(&mut self, progress: u64) -> Instant {
        if self.progress != progress {
            self.progress = progress;
            self.wake();
        }
        self.since + self.stall
    }
}
