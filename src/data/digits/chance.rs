//! Random numbers whose values are fixed for ever.
//!
//! Why it exists: the sampling functions of the `rand` crate (ranges, shuffles, distributions) may
//! change between versions, and the usual bell curve needs a logarithm and a cosine, whose last
//! bit depends on the platform. So only raw 32-bit words are taken from ChaCha8; everything built
//! on them is written out here with exactly rounded arithmetic.
//!
//! Where to go next: `hand` uses these numbers to vary the pen path, `ink` to vary the pixels.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a sequence of random numbers is for; different purposes never share numbers.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    /// Everything about one image.
    Drawing,
    /// The order of the classes within one block of ten.
    ClassOrder,
}

/// A sequence of random numbers that belongs to one image (or one block of ten).
pub(super) struct Chance {
    words: ChaCha8Rng,
}

impl Chance {
    /// Starts the sequence for a place in a stream.
    ///
    /// The four numbers are laid side by side in the 32-byte key, so two different places can
    /// never have the same key.
    pub(super) fn new(seed: u64, stream: u64, position: u64, purpose: Purpose) -> Self {
        let tag: u64 = match purpose {
            Purpose::Drawing => 1,
            Purpose::ClassOrder => 2,
        };
        let mut key = [0u8; 32];
        for (part, number) in key.chunks_exact_mut(8).zip([seed, stream, position, tag]) {
            part.copy_from_slice(&number.to_le_bytes());
        }
        Self { words: ChaCha8Rng::from_seed(key) }
    }

    /// Evenly spread over `0.0..1.0`; both the 24-bit integer and the product are exact in `f32`.
    pub(super) fn unit(&mut self) -> f32 {
        (self.words.next_u32() >> 8) as f32 * (1.0 / 16_777_216.0)
    }

    /// Evenly spread between two numbers.
    pub(super) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// True with the given probability.
    pub(super) fn happens(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    /// One of `0..count`, each equally likely. For a count of zero the answer is zero.
    pub(super) fn pick(&mut self, count: usize) -> usize {
        let place = (self.unit() * count as f32) as usize;
        // The product may round up to `count` itself.
        place.min(count.saturating_sub(1))
    }

    /// Bell-shaped with mean zero and standard deviation one: a sum of four even numbers.
    ///
    /// The sum never leaves -3.5 to 3.5. That is wanted: a true bell curve would now and then
    /// produce a distortion so strong that the digit is lost.
    pub(super) fn bell(&mut self) -> f32 {
        let sum = self.unit() + self.unit() + self.unit() + self.unit();
        // Four even numbers have mean 2 and variance 4/12; this is the square root of 3.
        (sum - 2.0) * 1.732_050_8
    }

    /// A coarse bell shape from a single word, for the many numbers that pixel noise needs.
    pub(super) fn rough_bell(&mut self) -> f32 {
        let bytes = self.words.next_u32().to_le_bytes();
        let sum: i32 = bytes.iter().map(|&byte| i32::from(byte)).sum();
        // Four bytes have mean 510 and standard deviation close to 147.8.
        (sum - 510) as f32 * (1.0 / 147.8)
    }
}
