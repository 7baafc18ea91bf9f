//! The event queue: what happens next in virtual time. It knows nodes and links by number and nothing of layers.
//!
//! Time is counted in whole ticks of 2⁻²⁰ of the unit of model time, so that sums of periods and delays are exact, and equal
//! times are equal. Events at the same time have one order that no machine, thread or history can change:
//!
//! ```text
//! (time, rank of the kind, destination, link, number on the link)
//! ```

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::ops::Add;

/// Ticks in one unit of model time.
const TICKS: f64 = (1_u64 << 20) as f64;
/// Longer spans than this (2²⁰ units) are cut to it, so that no sum of a run can overflow.
const SPAN_MOST: u64 = 1 << 40;

/// A moment or a span of virtual time, in ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// The shortest span that is not zero.
    pub const TICK: Self = Self(1);
    /// The longest span that one delay or period can be.
    pub const LONGEST: f64 = (SPAN_MOST >> 20) as f64;

    /// The nearest whole number of ticks; at most [`Time::LONGEST`].
    pub fn of(units: f64) -> Self {
        // A cast from a float saturates, and NaN becomes zero; laws are checked before they are drawn from.
        Self(((units * TICKS).round() as u64).min(SPAN_MOST))
    }

    /// In units of model time.
    pub fn units(self) -> f64 {
        self.0 as f64 / TICKS
    }

    /// From `earlier` to here, or zero.
    pub fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }
}

impl Add for Time {
    type Output = Self;

    fn add(self, span: Self) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} τ", self.units())
    }
}

/// When, what, where: the order of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// When.
    pub time: Time,
    /// Which kind comes first at one time: the smaller.
    pub rank: u8,
    /// The node it happens to.
    pub node: u32,
    /// The link it came by; 0 if none.
    pub link: u32,
    /// Its number on that link.
    pub number: u64,
}

/// Events to come, each with what it carries.
#[derive(Debug)]
pub struct Queue<M> {
    heap: BinaryHeap<Reverse<(Key, u32)>>,
    /// What events carry lies still while the heap moves their keys.
    slots: Vec<Option<M>>,
    free: Vec<u32>,
}

impl<M> Default for Queue<M> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), slots: Vec::new(), free: Vec::new() }
    }
}

impl<M> Queue<M> {
    /// Puts an event in.
    pub fn push(&mut self, key: Key, message: M) {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(message);
                slot
            }
            None => {
                self.slots.push(Some(message));
                u32::try_from(self.slots.len() - 1).expect("memory ends before four billion events wait")
            }
        };
        self.heap.push(Reverse((key, slot)));
    }

    /// The time of the next event.
    pub fn next_time(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse((key, _))| key.time)
    }

    /// Takes the next event out.
    pub fn pop(&mut self) -> Option<(Key, M)> {
        let Reverse((key, slot)) = self.heap.pop()?;
        self.free.push(slot);
        let message = self.slots[slot as usize].take().expect("an event in the heap has its slot");
        Some((key, message))
    }

    /// Takes the next event out if it is earlier than `until`.
    pub fn pop_before(&mut self, until: Time) -> Option<(Key, M)> {
        if self.next_time()? < until { self.pop() } else { None }
    }

    /// How many events wait.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// True if nothing will happen any more.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// Forgets everything that was to come.
    pub fn clear(&mut self) {
        self.heap.clear();
        self.slots.clear();
        self.free.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::random::{Purpose, Stream};

    /// Oracle: a sorted list. Whatever the order in which events are put in, they come out in the order of their keys.
    #[test]
    fn events_come_out_in_the_order_of_their_keys_whatever_the_order_in_which_they_went_in() {
        let mut stream = Stream::new(1, Purpose::Trial, 0);
        let mut keys: Vec<Key> = (0..2000)
            .map(|number| Key {
                time: Time(stream.below(20) as u64),
                rank: stream.below(4) as u8,
                node: stream.below(5) as u32,
                link: stream.below(5) as u32,
                number,
            })
            .collect();
        let mut queue = Queue::default();
        keys.iter().for_each(|&key| queue.push(key, key.number));
        keys.sort_unstable();
        let out: Vec<(Key, u64)> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(out, keys.iter().map(|&key| (key, key.number)).collect::<Vec<_>>());
        assert!(queue.is_empty());
    }

    #[test]
    fn dyadic_spans_are_exact_and_long_ones_are_cut() {
        assert_eq!(Time::of(0.75) + Time::of(0.25), Time::of(1.0));
        assert_eq!((0..1000).fold(Time(0), |sum, _| sum + Time::of(0.1)).0, 1000 * 104_858);
        assert_eq!(Time::of(f64::MAX).units(), Time::LONGEST);
        assert_eq!(Time::of(3.5).units(), 3.5);
    }
}
