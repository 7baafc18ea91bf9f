//! Writes down what is seen of a layer, from when it is first asked for.

use super::now;
use crate::layer::Layer;
use crate::math::{Field, Real, values};
use crate::signal::Wanted;
use crate::signal::sighting::{PassingSeen, Side, Sightings, StepSeen};

/// One layer's.
#[derive(Debug)]
pub(in crate::engine) struct Recorder<T>(Option<Box<Record<T>>>);

/// What was seen since it was asked for last.
#[derive(Debug)]
struct Record<T> {
    /// The state when it was asked for last; empty where there is none.
    rest: Option<Field<T>>,
    seen: Sightings,
}

impl<T: Real> Recorder<T> {
    pub(super) fn new() -> Self {
        Self(None)
    }

    /// Answers; whoever wants the sightings begins new ones.
    pub(in crate::engine) fn hand_out(&mut self, wanted: Wanted, state: Option<&Field<T>>) -> Sightings {
        let clock = now();
        if wanted != Wanted::Sightings {
            return Sightings { clock, ..Sightings::default() };
        }
        let begun = Box::new(Record { rest: state.cloned(), seen: Sightings::default() });
        let ended = self.0.replace(begun);
        Sightings { clock, ..ended.map(|record| record.seen).unwrap_or_default() }
    }

    /// A phase begins.
    pub(in crate::engine) fn begins(&mut self) {
        if let Some(record) = &mut self.0 {
            record.seen.began = Some(now());
        }
    }

    /// The layer has taken a step.
    pub(in crate::engine) fn stepped(&mut self, layer: &Layer<T>, residual: f64) {
        let Some(Record { rest, seen }) = self.0.as_deref_mut() else { return };
        let at = now();
        if seen.steps.len() == Sightings::STEPS_MOST {
            seen.steps_dropped += 1;
            return;
        }
        let (Some(state), Some(rest)) = (layer.state(), rest) else { return };
        let pairs = || values(state).iter().zip(values(rest)).map(|(x, rest)| (x.wide(), rest.wide()));
        let differs = pairs().any(|(x, rest)| x.to_bits() != rest.to_bits());
        let displacement = crate::math::length(pairs().map(|(x, rest)| x - rest));
        let error = layer.error_norm().unwrap_or(f64::NAN);
        seen.steps.push(StepSeen { at, step: layer.step(), residual, displacement, error, differs });
    }

    /// A signal of this version was said to, or else heard from, a neighbour.
    pub(in crate::engine) fn passes(&mut self, side: Side, said: bool, version: u64) {
        let Some(Record { seen, .. }) = self.0.as_deref_mut() else { return };
        if seen.passings.len() == Sightings::PASSINGS_MOST {
            seen.passings_dropped += 1;
            return;
        }
        let at = now();
        seen.passings.push(PassingSeen { at, side, said, version });
    }
}
