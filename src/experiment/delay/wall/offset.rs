//! What lies between the clocks of two processes.
//!
//! ```text
//! asked at s, answered at a by the other clock, heard at r:       a − r ≤ θ ≤ a − s,     θ = their clock − ours
//! one ping       θ ≈ a − (s + r)/2,  off by at most (r − s)/2            (Cristian, "Probabilistic clock synchronization", 1989)
//! many           the one that came back fastest                          (the minimum filter of NTP)
//! before, after  their mean, off by at most the larger error + half of what lies between them: a steady drift is inside
//! ```
//!
//! On one machine all processes read one monotonic clock: there the truth is known, θ = 0, and what is found has to hold it within its error.

use serde::Serialize;

/// One question and its answer, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ping {
    /// Our clock when it was asked.
    pub asked: u64,
    /// Their clock when it was answered.
    pub answered: u64,
    /// Our clock when the answer was here.
    pub heard: u64,
}

/// Their clock minus ours, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Offset {
    /// The estimate.
    pub nanoseconds: f64,
    /// It is off by no more than this.
    pub error: f64,
}

/// From the fastest of some pings; `None` of none.
pub fn estimate(pings: &[Ping]) -> Option<Offset> {
    let fastest = pings.iter().min_by_key(|ping| ping.heard.saturating_sub(ping.asked))?;
    let Ping { asked, answered, heard } = *fastest;
    let middle = 0.5 * (asked as f64 + heard as f64);
    Some(Offset { nanoseconds: answered as f64 - middle, error: 0.5 * heard.saturating_sub(asked) as f64 })
}

/// Between two estimates, at the beginning and at the end of what is measured.
#[must_use]
pub fn between(before: Offset, after: Offset) -> Offset {
    let apart = (after.nanoseconds - before.nanoseconds).abs();
    Offset {
        nanoseconds: 0.5 * (before.nanoseconds + after.nanoseconds),
        error: before.error.max(after.error) + 0.5 * apart,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::random::{Purpose, Stream};

    /// Pings to a clock that is ahead by `offset` and runs at `rate`, with ways of exponential lengths that differ both ways.
    fn pings(seed: u64, offset: f64, rate: f64, from: f64) -> Vec<Ping> {
        let mut stream = Stream::new(seed, Purpose::Trial, 0);
        let mut way = |mean: f64| -mean * (1.0 - stream.unit()).ln();
        let mut now = from;
        (0..50)
            .map(|_| {
                let asked = now;
                let there = asked + 5e3 + way(80e3);
                let heard = there + 2e3 + way(20e3);
                now = heard + 1e3;
                Ping { asked: asked as u64, answered: (rate * there + offset) as u64, heard: heard as u64 }
            })
            .collect()
    }

    /// Oracle: the offset that was planted. Numbers are whole nanoseconds, which is worth one more.
    #[test]
    fn a_planted_offset_is_found_within_the_stated_error() {
        for seed in 0..200 {
            let planted = -4e9 + 4e7 * seed as f64;
            let pings = pings(seed, planted, 1.0, 1e10);
            let found = estimate(&pings).expect("fifty pings");
            assert!(
                (found.nanoseconds - planted).abs() <= found.error + 1.0,
                "seed {seed}: {found:?}, planted {planted}"
            );
            let mean = pings.iter().map(|ping| (ping.heard - ping.asked) as f64).sum::<f64>() / 50.0;
            assert!(found.error < 0.25 * mean, "seed {seed}: the filter takes a fast one, not {found:?} of {mean}");
        }
    }

    /// A clock that runs 50 millionths too fast for ten seconds: at every moment between, its offset is within the error.
    #[test]
    fn a_drift_is_inside_the_error_of_both_ends() {
        for seed in 0..50 {
            let (planted, rate) = (7e8, 1.0 + 50e-6);
            let ends = [1e9, 11e9].map(|from| estimate(&pings(seed, planted, rate, from)).expect("fifty pings"));
            let found = between(ends[0], ends[1]);
            for now in [1.01e9, 4e9, 11e9] {
                let there = planted + (rate - 1.0) * now;
                assert!(
                    (found.nanoseconds - there).abs() <= found.error + 1.0,
                    "seed {seed}: {found:?}, {there} at {now}"
                );
            }
            assert!(
                (found.error - 0.5 * 500e3).abs() < 60e3,
                "half the drift of 500 µs and half a round trip: {found:?}"
            );
        }
    }

    #[test]
    fn nobody_who_was_not_asked_has_an_offset() {
        assert_eq!(estimate(&[]), None);
    }
}
