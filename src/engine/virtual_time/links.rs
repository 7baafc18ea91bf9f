//! A link in one direction: how long a signal is under way, and what may befall it.
//!
//! ```text
//! leaves    when the link is free:  max(now, end of the last) + numbers / bandwidth
//! arrives   leaves + delay + jitter,  not before the one sent before it unless the link reorders
//! lost with probability p, delivered a second time (with a delay of its own) with probability q
//! ```
//!
//! All draws are functions of (seed, batch, link, number of the signal): no order of events can change them.
//!
//! What the receiver takes in only gets newer: a signal whose version is not above the last heard (a copy, or one that was
//! overtaken) is counted as late and dropped. That is what keeps settling safe on links that lose, copy and reorder.
//!
//! Send-on-change: while its layer moves, a signal that differs from the last one sent by no more than the threshold stays
//! unsaid; when the layer comes to rest it is said after all, unless it is the same number for number. Resending: if nothing has
//! acknowledged the newest signal after the time-out, it is sent again. An acknowledgement travels back with the delay and
//! the loss of the link in the other direction.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::kernel::Time;

use crate::engine::mailbox::Delivery;
use crate::math::law::Law;
use crate::math::random::{Purpose, Stream};
use crate::math::{Field, Real, values};
use crate::signal::{Content, Signal};

/// What a link does to what is sent through it. Times are in units of model time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkLaws {
    /// From leaving to arriving.
    pub delay: Law,
    /// Added to the delay of each signal.
    pub jitter: Law,
    /// Probability that a signal never arrives.
    pub loss: f64,
    /// Probability that it arrives twice.
    pub duplicate: f64,
    /// Signals may overtake each other.
    pub reorder: bool,
    /// Numbers per unit of time; zero: as many as are sent.
    pub bandwidth: f64,
    /// What happens to a signal that was not heard when the next one arrives.
    pub delivery: Delivery,
    /// A moving layer speaks only if some number differs by more than this from what it last said.
    pub threshold: f64,
    /// After how long the newest signal is sent again if it was not acknowledged; zero: never.
    pub resend: f64,
}

impl Default for LinkLaws {
    fn default() -> Self {
        Self {
            delay: Law::ZERO,
            jitter: Law::ZERO,
            loss: 0.0,
            duplicate: 0.0,
            reorder: false,
            bandwidth: 0.0,
            delivery: Delivery::NewestWins,
            threshold: 0.0,
            resend: 0.0,
        }
    }
}

impl LinkLaws {
    /// Everything arrives at once, and once, and everything is said: a link of lock-step.
    pub fn is_ideal(&self) -> bool {
        let zero = |law: Law| law.constant() == Some(0.0);
        zero(self.delay)
            && zero(self.jitter)
            && [self.loss, self.duplicate, self.bandwidth, self.threshold, self.resend] == [0.0; 5]
    }
}

impl LinkLaws {
    /// No signal and no acknowledgement takes it faster; what else befalls a signal only makes it later.
    pub fn least(&self) -> Time {
        Time::of(self.delay.least()) + Time::of(self.jitter.least())
    }
}

/// What has happened on a link, since the network was made or the run began. Times in units of model time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Signals sent, again or for the first time.
    pub sent: u64,
    /// Of these, sent again.
    pub resent: u64,
    /// Never arrived.
    pub lost: u64,
    /// Arrived twice.
    pub duplicated: u64,
    /// Replaced by a newer one before they were heard.
    pub overwritten: u64,
    /// Came after something newer, and were dropped.
    pub late: u64,
    /// Heard by the layer.
    pub heard: u64,
    /// Sum of their ages when they were heard, from being said.
    pub age: Time,
    /// The oldest.
    pub age_most: Time,
    /// Ages of at most ½, 1, 2, 4, … 2⁸ units, and above.
    pub ages: [u64; 11],
}

impl Tally {
    pub(super) fn hears(&mut self, age: Time) {
        self.heard += 1;
        self.age = self.age + age;
        self.age_most = self.age_most.max(age);
        let bin = (0..10).find(|&bin| age <= Time(1 << (19 + bin))).unwrap_or(10);
        self.ages[bin] += 1;
    }

    /// Both together.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        let Self { sent, resent, lost, duplicated, overwritten, late, heard, age, age_most, ages } = other;
        let counts = [sent, resent, lost, duplicated, overwritten, late, heard];
        let own = [
            &mut self.sent,
            &mut self.resent,
            &mut self.lost,
            &mut self.duplicated,
            &mut self.overwritten,
            &mut self.late,
            &mut self.heard,
        ];
        own.into_iter().zip(counts).for_each(|(own, count)| *own += count);
        self.ages.iter_mut().zip(ages).for_each(|(own, count)| *own += count);
        (self.age, self.age_most) = (self.age + *age, self.age_most.max(*age_most));
        self
    }

    /// Mean age, `None` if nothing was heard.
    pub fn age_mean(&self) -> Option<f64> {
        (self.heard > 0).then(|| self.age.units() / self.heard as f64)
    }
}

/// A signal under way.
#[derive(Clone, Debug)]
pub struct Passage<T> {
    /// When it was said.
    pub said: Time,
    /// What was said.
    pub signal: Signal<T>,
}

/// The sender's end.
#[derive(Debug)]
pub(in crate::engine) struct Outlet<T> {
    pub(in crate::engine) link: u32,
    pub(in crate::engine) to: u32,
    pub(in crate::engine) laws: LinkLaws,
    seed: u64,
    batch: u64,
    /// Transmissions of this batch.
    number: u64,
    free_at: Time,
    arrives_last: Time,
    /// The newest that was sent.
    pub(in crate::engine) newest: Option<Passage<T>>,
    withheld: Option<Signal<T>>,
    pub(in crate::engine) acknowledged: u64,
    pub(in crate::engine) timer: bool,
    pub(in crate::engine) tally: Tally,
}

/// When copies of a signal arrive; none if it is lost.
pub(in crate::engine) struct Arrivals(pub(in crate::engine) [Option<(Time, u64)>; 2]);

impl<T: Real> Outlet<T> {
    pub(in crate::engine) fn new(link: u32, to: u32, laws: LinkLaws, seed: u64) -> Self {
        Self {
            link,
            to,
            laws,
            seed,
            batch: 0,
            number: 0,
            free_at: Time::default(),
            arrives_last: Time::default(),
            newest: None,
            withheld: None,
            acknowledged: 0,
            timer: false,
            tally: Tally::default(),
        }
    }

    /// A new batch: what was said of another means nothing any more.
    pub(in crate::engine) fn turn_to(&mut self, batch: u64) {
        (self.batch, self.number) = (batch, 0);
        self.forget_the_future();
        (self.newest, self.withheld) = (None, None);
    }

    /// Nothing is under way any more.
    pub(in crate::engine) fn forget_the_future(&mut self) {
        (self.free_at, self.arrives_last, self.timer) = (Time::default(), Time::default(), false);
    }

    /// How often something was put on its way in this batch.
    pub(super) fn transmitted(&self) -> u64 {
        self.number
    }

    /// The version last sent; 0 if none.
    pub(in crate::engine) fn version(&self) -> u64 {
        self.newest.as_ref().map_or(0, |newest| newest.signal.stamp.version)
    }

    /// What is to be sent of what a layer would say; `last`: it will not speak again of its own accord.
    pub(in crate::engine) fn offer(&mut self, said: Option<Signal<T>>, last: bool) -> Option<Signal<T>> {
        let signal = said.or_else(|| self.withheld.take())?;
        self.withheld = None;
        let Some(newest) = &self.newest else { return Some(signal) };
        let echoes = signal.content == Content::Error && signal.stamp.answers != newest.signal.stamp.answers;
        // The same error in answer to another prediction says something else.
        let apart = if echoes { f64::INFINITY } else { distance(&newest.signal.numbers, &signal.numbers) };
        if apart == 0.0 {
            return None;
        }
        if apart <= self.laws.threshold && !last {
            self.withheld = Some(signal);
            return None;
        }
        Some(signal)
    }

    /// Puts the newest signal on its way.
    pub(in crate::engine) fn transmit(&mut self, now: Time) -> Arrivals {
        let Some(newest) = &self.newest else { return Arrivals([None; 2]) };
        let size = newest.signal.numbers.len() as f64;
        self.tally.sent += 1;
        if self.laws.bandwidth > 0.0 {
            self.free_at = self.free_at.max(now) + Time::of(size / self.laws.bandwidth);
        } else {
            self.free_at = now;
        }
        let leaves = self.free_at;
        self.number += 1;
        let number = self.number;
        let LinkLaws { delay, jitter, loss, duplicate, .. } = self.laws;
        if let (Some(delay), Some(jitter), true) =
            (delay.constant(), jitter.constant(), loss == 0.0 && duplicate == 0.0)
        {
            // Nothing to draw.
            let arrives = self.in_order(leaves + Time::of(delay) + Time::of(jitter));
            return Arrivals([Some((arrives, number)), None]);
        }
        let mut stream = Stream::at(self.seed, Purpose::Passage, [self.batch, u64::from(self.link) << 40 | number, 0]);
        // Always the same draws in the same order, so that one setting does not shift the others.
        let (fate, copy) = (stream.unit(), stream.unit());
        let mut under_way = || leaves + Time::of(delay.draw(&mut stream)) + Time::of(jitter.draw(&mut stream));
        let arrivals = [under_way(), under_way()];
        if fate < loss {
            self.tally.lost += 1;
            return Arrivals([None; 2]);
        }
        let first = Some((self.in_order(arrivals[0]), number));
        if copy >= duplicate {
            return Arrivals([first, None]);
        }
        self.tally.duplicated += 1;
        self.number += 1;
        Arrivals([first, Some((self.in_order(arrivals[1]), self.number))])
    }

    /// When an acknowledgement that leaves now by this link arrives; `None` if it is lost.
    pub(in crate::engine) fn acknowledge(&mut self, now: Time) -> Option<(Time, u64)> {
        self.number += 1;
        let mut stream =
            Stream::at(self.seed, Purpose::Passage, [self.batch, u64::from(self.link) << 40 | self.number, 0]);
        let lost = stream.unit() < self.laws.loss;
        let delay = Time::of(self.laws.delay.draw(&mut stream)) + Time::of(self.laws.jitter.draw(&mut stream));
        (!lost).then_some((now + delay, self.number))
    }

    fn in_order(&mut self, arrives: Time) -> Time {
        if self.laws.reorder {
            return arrives;
        }
        self.arrives_last = self.arrives_last.max(arrives);
        self.arrives_last
    }
}

/// Largest difference of any number; infinite if there is no comparing.
fn distance<T: Real>(a: &Arc<Field<T>>, b: &Arc<Field<T>>) -> f64 {
    if a.dim() != b.dim() {
        return f64::INFINITY;
    }
    let mut most = 0.0_f64;
    for (&a, &b) in values(a).iter().zip(values(b)) {
        let apart = (a.wide() - b.wide()).abs();
        if apart.is_nan() {
            return f64::INFINITY;
        }
        most = most.max(apart);
    }
    most
}

/// The receiver's end: what has arrived and was not heard.
#[derive(Debug)]
pub(super) struct Inlet<T> {
    delivery: Delivery,
    waiting: VecDeque<Passage<T>>,
    /// The newest version that arrived.
    arrived: u64,
    /// The newest version that the layer has heard.
    pub(super) heard: u64,
    /// The sender waits for acknowledgements.
    pub(super) acknowledges: bool,
    pub(super) tally: Tally,
}

impl<T> Inlet<T> {
    pub(super) fn new(laws: &LinkLaws) -> Self {
        Self {
            delivery: laws.delivery,
            waiting: VecDeque::new(),
            arrived: 0,
            heard: 0,
            acknowledges: laws.resend > 0.0,
            tally: Tally::default(),
        }
    }

    /// Takes in what arrived; false if it is no news.
    pub(super) fn arrive(&mut self, passage: Passage<T>) -> bool {
        if passage.signal.stamp.version <= self.arrived {
            self.tally.late += 1;
            return false;
        }
        self.arrived = passage.signal.stamp.version;
        if self.delivery == Delivery::NewestWins && self.waiting.pop_front().is_some() {
            self.tally.overwritten += 1;
        }
        self.waiting.push_back(passage);
        true
    }

    /// The next signal to be heard.
    pub(super) fn take(&mut self, now: Time) -> Option<Signal<T>> {
        let Passage { said, signal } = self.waiting.pop_front()?;
        self.tally.hears(now.since(said));
        self.heard = signal.stamp.version;
        Some(signal)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }
}
