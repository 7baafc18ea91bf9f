//! What a wave does to every layer or group: an observer of a run in virtual time, or of stamps taken from a wall clock.
//!
//! It keeps, per layer, the displacement from rest after every step, the first step after which any bit is not what it is without the
//! switch, and what was sent and what arrived. Nothing in the run depends on it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::engine::virtual_time::kernel::Time;
use crate::engine::virtual_time::record::{Observer, Passed, Stepped};
use crate::math::{Field, Real, length, values};

/// What a layer or a link did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Happened {
    /// A layer took a step.
    Step {
        /// When, from the switch on.
        time: f64,
        /// Which node: the layer, where layers are whole.
        layer: usize,
        /// Its number in this phase.
        step: u64,
        /// ‖x − x̄‖ after it; `None` without a state.
        displacement: Option<f64>,
    },
    /// A signal was sent.
    Sent(Passing),
    /// A signal arrived, and was news.
    Arrived(Passing),
}

/// One end of a signal's way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Passing {
    /// When, from the switch on.
    pub time: f64,
    /// Who said it.
    pub from: usize,
    /// Whom it is for.
    pub to: usize,
    /// Its version: with `from` and `to` its name.
    pub version: u64,
}

/// One layer through the run.
#[derive(Clone, Debug, Default)]
pub struct Track {
    /// `(time, ‖x − x̄‖)`, from `(0, 0)` on.
    pub trajectory: Vec<(f64, f64)>,
    /// `(time, ‖ε‖)`, where there is such an error; at `(0, 0)` where the layers rest without errors.
    pub errors: Vec<(f64, f64)>,
    /// The first step after which a bit of the state differed from the run without the switch, in ticks from the switch on.
    pub arrival: Option<u64>,
    /// Digest of the state after every step, for the run that is compared with this one; empty unless asked for.
    pub(super) digests: Vec<u64>,
}

/// Everything that was seen of a run.
#[derive(Debug, Default)]
pub struct Seen {
    /// One per layer, or per group where layers are cut, in the order of nodes.
    pub tracks: Vec<Track>,
    /// In the order in which it happened, at most `events_most`.
    pub events: Vec<Happened>,
    /// What happened after that.
    pub dropped: u64,
}

/// Watches one phase.
pub struct Watch<T> {
    began: Time,
    rest: Vec<Field<T>>,
    /// The run without the switch; `None` where it is known to stand still.
    still: Option<Vec<Track>>,
    keeps_digests: bool,
    events_most: usize,
    seen: Arc<Mutex<Seen>>,
}

impl<T: Real> Watch<T> {
    /// From `began` on, against the states at rest. The run is compared bit by bit with `still`, or with rest itself.
    pub fn new(began: Time, rest: Vec<Field<T>>, still: Option<Vec<Track>>, events_most: usize) -> Self {
        // Without a run to compare with, the layers rest where a forward pass has put them, which leaves no errors.
        let errors = if still.is_none() { vec![(0.0, 0.0)] } else { Vec::new() };
        let track = Track { trajectory: vec![(0.0, 0.0)], errors, ..Track::default() };
        let seen = Seen { tracks: vec![track; rest.len()], ..Seen::default() };
        Self { began, rest, still, keeps_digests: false, events_most, seen: Arc::new(Mutex::new(seen)) }
    }

    /// Keeps a digest of every state, for a run without the switch.
    #[must_use]
    pub fn of_stillness(self) -> Self {
        Self { keeps_digests: true, ..self }
    }

    /// Where it writes to.
    pub fn seen(&self) -> Arc<Mutex<Seen>> {
        Arc::clone(&self.seen)
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("only one thread at a time watches")
    }

    fn note(&self, happened: Happened) {
        let mut seen = self.lock();
        if seen.events.len() < self.events_most {
            seen.events.push(happened);
        } else {
            seen.dropped += 1;
        }
    }

    fn passing(&self, passed: Passed) -> Passing {
        let Passed { time, from, to, version, .. } = passed;
        Passing { time: time.since(self.began).units(), from, to, version }
    }
}

impl<T: Real> Observer<T> for Watch<T> {
    fn stepped(&mut self, stepped: &Stepped<'_, T>) {
        let (layer, step) = (stepped.node, stepped.step);
        let elapsed = stepped.time.since(self.began);
        let displacement = stepped.state.map(|state| {
            let rest = values(&self.rest[layer]);
            let pairs = values(state).iter().zip(rest);
            let displacement = length(pairs.clone().map(|(x, rest)| x.wide() - rest.wide()));
            let track = &mut self.lock().tracks[layer];
            track.trajectory.push((elapsed.units(), displacement));
            track.errors.extend(stepped.error.map(|error| (elapsed.units(), error)));
            if self.keeps_digests {
                track.digests.push(digest(state));
            }
            let differs = match &self.still {
                // Steps are counted from 1.
                Some(still) => {
                    still[layer].digests.get(step as usize - 1).is_some_and(|&at_rest| at_rest != digest(state))
                }
                None => pairs.clone().any(|(x, rest)| x.wide().to_bits() != rest.wide().to_bits()),
            };
            if differs && track.arrival.is_none() {
                track.arrival = Some(elapsed.0);
            }
            displacement
        });
        self.note(Happened::Step { time: elapsed.units(), layer, step, displacement });
    }

    fn sent(&mut self, passed: Passed) {
        self.note(Happened::Sent(self.passing(passed)));
    }

    fn arrived(&mut self, passed: Passed) {
        self.note(Happened::Arrived(self.passing(passed)));
    }
}

fn digest<T: Real>(state: &Field<T>) -> u64 {
    let mut hasher = DefaultHasher::new();
    values(state).iter().for_each(|x| x.wide().to_bits().hash(&mut hasher));
    hasher.finish()
}
