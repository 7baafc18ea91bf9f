//! Random numbers that are the same on every platform, for ever: counter-based streams and the few lines of sampling we need.
//!
//! Every use has its own ChaCha8 stream, keyed by `(seed, purpose, index)`, so nothing depends on the order of use and no
//! generator state has to be saved: epoch 7's shuffle is a function of the seed and 7. Integer ranges and shuffles of general
//! libraries change between their versions; these do not.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a stream is for. The number is part of every result ever produced: never renumber, only append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Initial weights; the index is the layer the weights lead to.
    Weights = 1,
    /// Order of the samples; the index is the epoch.
    Order = 2,
    /// Random networks and batches of tests, benches and examples.
    Trial = 3,
    /// What befalls one signal on a link: loss, copies, delays.
    Passage = 4,
    /// One period or offset of a layer's clock.
    Clock = 5,
    /// Feedback weights that are not the weights; the index is the layer they lead from.
    Feedback = 7,
    /// Noise on states; the index is `Numerics`' key, likewise below.
    StateNoise = 10,
    /// Noise on predictions.
    AscendingNoise = 11,
    /// Noise on errors.
    DescendingNoise = 12,
}

/// One independent stream of random numbers.
#[derive(Clone, Debug)]
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// The stream of `(seed, purpose, index)`.
    pub fn new(seed: u64, purpose: Purpose, index: u64) -> Self {
        Self::at(seed, purpose, [index, 0, 0])
    }

    /// The stream of `(seed, purpose, index)` with an index of three parts, of which the last is less than 2³².
    pub fn at(seed: u64, purpose: Purpose, [index, second, third]: [u64; 3]) -> Self {
        let mut key = [0_u8; 32];
        // Purposes are few, so the last part fits into the upper half of their place.
        for (slot, part) in key.chunks_exact_mut(8).zip([seed, purpose as u64 | third << 32, index, second]) {
            slot.copy_from_slice(&part.to_le_bytes());
        }
        Self(ChaCha8Rng::from_seed(key))
    }

    /// Uniform on [0, 1), a multiple of 2⁻⁵³.
    pub fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// Uniform on [low, high).
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Standard normal (Box and Muller's cosine branch). `libm` computes it, so that platforms agree.
    pub fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - self.unit()));
        radius * libm::cos(std::f64::consts::TAU * self.unit())
    }

    /// Uniform on 0..bound by multiply-and-shift; the bias is below bound / 2⁶⁴.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.0.next_u64()) * bound as u128) >> 64) as usize
    }

    /// A permutation of 0..count (Fisher and Yates).
    pub fn permutation(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        for last in (1..count).rev() {
            order.swap(last, self.below(last + 1));
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_reproducible_and_differ_in_each_part_of_their_key() {
        let draw = |seed, purpose, index| Stream::new(seed, purpose, index).unit();
        assert_eq!(draw(1, Purpose::Weights, 2), draw(1, Purpose::Weights, 2));
        assert_ne!(draw(1, Purpose::Weights, 2), draw(2, Purpose::Weights, 2));
        assert_ne!(draw(1, Purpose::Weights, 2), draw(1, Purpose::Order, 2));
        assert_ne!(draw(1, Purpose::Weights, 2), draw(1, Purpose::Weights, 3));
    }

    #[test]
    fn a_permutation_holds_every_number_once_and_moves_them_evenly() {
        let mut stream = Stream::new(0, Purpose::Trial, 0);
        let mut first_places = [0_u32; 5];
        for _ in 0..5000 {
            let mut order = stream.permutation(5);
            first_places[order[0]] += 1;
            order.sort_unstable();
            assert_eq!(order, [0, 1, 2, 3, 4]);
        }
        // Binomial(5000, 1/5): sd 28; five sd.
        assert!(first_places.iter().all(|&n| n.abs_diff(1000) < 141), "{first_places:?}");
    }

    #[test]
    fn normal_has_the_moments_of_a_standard_normal() {
        let mut stream = Stream::new(3, Purpose::Trial, 1);
        let n = 40_000;
        let draws: Vec<f64> = (0..n).map(|_| stream.normal()).collect();
        let moment = |k: i32| draws.iter().map(|x| x.powi(k)).sum::<f64>() / f64::from(n);
        assert!(moment(1).abs() < 0.025, "mean {}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.05, "variance {}", moment(2));
        assert!((moment(4) - 3.0).abs() < 0.3, "fourth moment {}", moment(4));
    }
}
