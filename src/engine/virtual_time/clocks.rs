//! A layer's clock: when it acts. A period is drawn for every tick, so that a clock may be even, jittery or without memory.
//!
//! ```text
//! tick 0 at (phase begins) + offset,      tick n+1 at tick n + period,      both drawn from their law
//! ```
//!
//! Draws are functions of (seed, batch, layer, number), not of the order in which clocks run. A period that is drawn shorter than
//! a tick of [`Time`] is one tick: time goes on.

use serde::{Deserialize, Serialize};

use super::kernel::Time;
use crate::math::law::Law;
use crate::math::random::{Purpose, Stream};

/// From what a layer's ticks are drawn, in units of model time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClockLaws {
    /// Between two ticks; 1 is one inference step.
    pub period: Law,
    /// From the beginning of a phase to the first tick.
    pub offset: Law,
}

impl Default for ClockLaws {
    fn default() -> Self {
        Self { period: Law::Always(1.0), offset: Law::ZERO }
    }
}

/// One clock.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Clock {
    laws: ClockLaws,
    seed: u64,
    node: u64,
    batch: u64,
    drawn: u64,
    next: Time,
}

impl Clock {
    pub(in crate::engine) fn new(laws: ClockLaws, seed: u64, node: usize) -> Self {
        Self { laws, seed, node: node as u64, batch: 0, drawn: 0, next: Time::default() }
    }

    /// From now on draws belong to another batch.
    pub(super) fn turn_to(&mut self, batch: u64) {
        (self.batch, self.drawn) = (batch, 0);
    }

    /// Starts at the beginning of a phase; the first tick.
    pub(in crate::engine) fn start(&mut self, now: Time) -> Time {
        self.next = now + self.draw(self.laws.offset);
        self.next
    }

    /// The first tick later than `now`.
    pub(in crate::engine) fn after(&mut self, now: Time) -> Time {
        self.from(now + Time::TICK)
    }

    /// True if it ticks exactly now.
    pub(super) fn ticks_at(&mut self, now: Time) -> bool {
        self.from(now) == now
    }

    /// The first tick not before `now`.
    fn from(&mut self, now: Time) -> Time {
        if let Some(period) = self.laws.period.constant() {
            // A layer that has slept for long needs no loop to find its place in the beat.
            let period = Time::of(period).max(Time::TICK).0;
            let behind = now.since(self.next).0.div_ceil(period);
            self.next = self.next + Time(behind.saturating_mul(period));
            return self.next;
        }
        while self.next < now {
            self.next = self.next + self.draw(self.laws.period).max(Time::TICK);
        }
        self.next
    }

    fn draw(&mut self, law: Law) -> Time {
        if let Some(always) = law.constant() {
            return Time::of(always);
        }
        // 2⁴⁰ draws of a batch fit beside 2²⁴ nodes.
        let mut stream = Stream::at(self.seed, Purpose::Clock, [self.batch, self.node << 40 | self.drawn, 0]);
        self.drawn += 1;
        Time::of(law.draw(&mut stream))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::law::Drawn;

    #[test]
    fn an_even_clock_keeps_its_beat_through_a_sleep() {
        let laws = ClockLaws { period: Law::Always(0.75), offset: Law::Always(0.5) };
        let mut clock = Clock::new(laws, 0, 1);
        assert_eq!(clock.start(Time::of(10.0)), Time::of(10.5));
        assert_eq!(clock.after(Time::of(10.5)), Time::of(11.25), "later than now, never at it");
        assert_eq!(clock.after(Time::of(11.0)), Time::of(11.25));
        assert!(clock.ticks_at(Time::of(11.25)) && clock.ticks_at(Time::of(12.0)) && !clock.ticks_at(Time::of(12.5)));
        assert_eq!(clock.after(Time::of(16.0)), Time::of(16.5));
    }

    #[test]
    fn a_jittery_clock_has_its_mean_period_and_the_same_ticks_for_the_same_seed() {
        let period = Law::Drawn(Drawn::Exponential { mean: 2.0, min: None });
        let laws = ClockLaws { period, ..ClockLaws::default() };
        let ticks = |seed| {
            let mut clock = Clock::new(laws, seed, 3);
            clock.start(Time::default());
            let mut now = Time::default();
            (0..10_000)
                .map(|_| {
                    now = clock.after(now);
                    now.units()
                })
                .collect::<Vec<f64>>()
        };
        assert_eq!(ticks(1), ticks(1));
        assert_ne!(ticks(1), ticks(2));
        // Five standard errors of the mean of 10,000 exponential periods.
        assert!((ticks(1)[9_999] / 10_000.0 - 2.0).abs() < 0.1);
    }
}
