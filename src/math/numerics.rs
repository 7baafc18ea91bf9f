//! Simulated precision of computation: states and signals rounded to narrower formats, and noise on them.
//!
//! ```text
//! state    x ← round(x + σ_x n)         after every step, and after a forward wave; u in deviation variables
//! signal   y = round(value + σ_m n)     what is said, once for every time it is said;      n standard normal
//! ```
//!
//! The noise is not a sequence but a function: of the seed, what it is put on, the layer, the batch, the phase within it and the
//! step, each unit and sample in their order. So all schedules in which layers are in step have the same, and so has a resumed run.
//!
//! Out of step (free-running, and virtual time with clocks or links of its own) a layer's own count takes the place of the step: the
//! steps it has taken in this phase for its state, the signals it has said on that side in this phase for a signal. Nothing that
//! happens elsewhere can change such a count but by what the layer hears. A link adds nothing: a copy, or a signal that is sent again,
//! is the same page.
//!
//! What happens inside of a layer (products, its drive, its weights and their updates) stays in the format computed in. Next:
//! `crate::layer`.

use serde::{Deserialize, Serialize};

use super::random::{Purpose, Stream};
use super::rounding::Format;
use super::{Real, values_mut};

/// How precisely states are held and signals said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Numerics {
    /// Format of the states.
    pub states: Format,
    /// Format of the signals.
    pub messages: Format,
    /// σ_x, of every step.
    pub state_noise: f64,
    /// σ_m, of every signal.
    pub message_noise: f64,
    /// Seed of the noise.
    pub seed: u64,
}

/// What is rounded and made noisy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// A state.
    State,
    /// A prediction.
    Ascending,
    /// An error.
    Descending,
}

/// When: everything the noise is a function of besides the seed and what it is put on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Number of the batch.
    pub batch: u64,
    /// Phase within the batch, from 1.
    pub phase: u64,
    /// Step within the phase; out of step, how many signals were said on that side in it before this one.
    pub step: u64,
}

impl Numerics {
    /// True if nothing is done to this.
    pub fn leaves(&self, held: Held) -> bool {
        let (format, noise) = self.of(held);
        format == Format::Exact && noise == 0.0
    }

    /// True if anything is done to anything.
    pub fn acts(&self) -> bool {
        !(self.leaves(Held::State) && self.leaves(Held::Ascending))
    }

    /// True if any noise is drawn.
    pub fn is_noisy(&self) -> bool {
        self.state_noise > 0.0 || self.message_noise > 0.0
    }

    fn of(&self, held: Held) -> (Format, f64) {
        if held == Held::State { (self.states, self.state_noise) } else { (self.messages, self.message_noise) }
    }

    /// Adds the noise of this moment at this layer, then rounds.
    pub fn apply<T: Real>(&self, held: Held, layer: usize, moment: Moment, field: &mut super::Field<T>) {
        if self.leaves(held) {
            return;
        }
        let (format, noise) = self.of(held);
        let numbers = values_mut(field);
        if noise > 0.0 {
            let purpose = match held {
                Held::State => Purpose::StateNoise,
                Held::Ascending => Purpose::AscendingNoise,
                Held::Descending => Purpose::DescendingNoise,
            };
            let mut stream =
                Stream::at(self.seed, purpose, [moment.batch, moment.phase << 48 | moment.step, layer as u64]);
            numbers.iter_mut().for_each(|x| *x = *x + T::of(noise * stream.normal()));
        }
        format.round_all(numbers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::Field;

    fn noise(held: Held, layer: usize, moment: Moment, seed: u64) -> Field<f64> {
        let numerics = Numerics { state_noise: 0.5, message_noise: 0.5, seed, ..Numerics::default() };
        let mut field = Field::zeros((40, 50));
        numerics.apply(held, layer, moment, &mut field);
        field
    }

    #[test]
    fn noise_is_a_function_of_its_key_and_differs_in_every_part_of_it() {
        let moment = Moment { batch: 3, phase: 1, step: 7 };
        let here = noise(Held::State, 2, moment, 5);
        assert_eq!(here, noise(Held::State, 2, moment, 5));
        let others = [
            noise(Held::Ascending, 2, moment, 5),
            noise(Held::Descending, 2, moment, 5),
            noise(Held::State, 1, moment, 5),
            noise(Held::State, 2, Moment { batch: 4, ..moment }, 5),
            noise(Held::State, 2, Moment { phase: 2, ..moment }, 5),
            noise(Held::State, 2, Moment { step: 8, ..moment }, 5),
            noise(Held::State, 2, moment, 6),
        ];
        for (i, other) in others.iter().enumerate() {
            // Independent draws: a correlation of 2000 of them has a standard deviation of 0.022.
            let correlation = (&here * other).sum() / 2000.0 / 0.25;
            assert!(correlation.abs() < 0.12, "part {i}: {correlation}");
        }
        let deviation = (here.mapv(|n| n * n).sum() / 2000.0).sqrt();
        assert!((deviation - 0.5).abs() < 0.04, "{deviation}");
    }

    #[test]
    fn noise_comes_before_rounding_and_each_has_its_own_place() {
        let fixed = Format::Fixed { bits: 8, fraction: 2 };
        let numerics = Numerics { messages: fixed, message_noise: 0.5, ..Numerics::default() };
        let mut field: Field<f64> = Field::from_elem((10, 10), 0.1);
        numerics.apply(Held::State, 1, Moment::default(), &mut field);
        assert!(numerics.leaves(Held::State) && field.iter().all(|&x| x == 0.1), "states are left alone");
        numerics.apply(Held::Descending, 1, Moment::default(), &mut field);
        assert!(field.iter().all(|&x| (x * 4.0).fract() == 0.0) && field.iter().any(|&x| x != 0.0), "{field}");
    }
}
