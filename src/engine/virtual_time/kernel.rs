//! The event queue: what happens next in virtual time. It knows nodes and links by number and nothing of layers.
//!
//! Time is counted in whole ticks of 2⁻²⁰ of the unit of model time, so that sums of periods and delays are exact, and equal
//! times are equal. Events at the same time have one order that no machine, thread or history can change:
//!
//! ```text
//! (time, rank of the kind, destination, link, number on the link)
//! ```

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt;
use std::ops::Add;

use serde::{Deserialize, Serialize};

/// Ticks in one unit of model time.
const TICKS: f64 = (1_u64 << 20) as f64;
/// Longer spans than this (2²⁰ units) are cut to it, so that no sum of a run can overflow.
const SPAN_MOST: u64 = 1 << 40;

/// A moment or a span of virtual time, in ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
///
/// Most events are some way ahead when they are put in, so they are kept by spans of time and sorted when their span comes; only what
/// is put into the present span goes through a heap.
#[derive(Debug)]
pub struct Queue<M> {
    /// The present span: what was there when it came, the next event last,
    sorted: Vec<Entry>,
    /// and what was put in since.
    heap: BinaryHeap<Reverse<Entry>>,
    /// The last tick of the present span. Both of the above are empty only if nothing is later.
    horizon: u64,
    /// Later spans, by number.
    later: BTreeMap<u64, Vec<Entry>>,
    /// Lists of spans that have passed, to be filled again.
    spare: Vec<Vec<Entry>>,
    /// What events carry lies still while their keys move.
    slots: Vec<Option<M>>,
    free: Vec<u32>,
}

/// A key in few words, in the same order, and where what it carries lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    time: u64,
    /// Rank, node and link.
    place: u64,
    number: u64,
    slot: u32,
}

/// A span is 2¹⁶ ticks, a sixteenth of the unit of time.
const SPAN: u32 = 16;
/// Bits of a node in a place: half a billion, beside ranks up to seven.
const NODE_BITS: u32 = 29;

impl Entry {
    fn new(key: &Key, slot: u32) -> Self {
        assert!(key.node >> NODE_BITS == 0 && key.rank < 8, "half a billion nodes, eight ranks");
        let place = u64::from(key.rank) << (32 + NODE_BITS) | u64::from(key.node) << 32 | u64::from(key.link);
        Self { time: key.time.0, place, number: key.number, slot }
    }

    fn key(&self) -> Key {
        Key {
            time: Time(self.time),
            rank: (self.place >> (32 + NODE_BITS)) as u8,
            node: (self.place >> 32) as u32 & ((1 << NODE_BITS) - 1),
            link: self.place as u32,
            number: self.number,
        }
    }
}

impl<M> Default for Queue<M> {
    fn default() -> Self {
        Self {
            sorted: Vec::new(),
            heap: BinaryHeap::new(),
            horizon: 0,
            later: BTreeMap::new(),
            spare: Vec::new(),
            slots: Vec::new(),
            free: Vec::new(),
        }
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
        let entry = Entry::new(&key, slot);
        if self.is_empty() {
            self.horizon = entry.time | ((1 << SPAN) - 1);
        }
        if entry.time <= self.horizon {
            self.heap.push(Reverse(entry));
        } else {
            let spare = &mut self.spare;
            self.later.entry(entry.time >> SPAN).or_insert_with(|| spare.pop().unwrap_or_default()).push(entry);
        }
    }

    /// The next event, and whether it is of the sorted ones.
    fn first(&self) -> Option<(&Entry, bool)> {
        match (self.sorted.last(), self.heap.peek()) {
            (Some(sorted), Some(Reverse(heaped))) if heaped < sorted => Some((heaped, false)),
            (Some(sorted), _) => Some((sorted, true)),
            (None, heaped) => heaped.map(|Reverse(heaped)| (heaped, false)),
        }
    }

    /// The time of the next event.
    pub fn next_time(&self) -> Option<Time> {
        self.first().map(|(entry, _)| Time(entry.time))
    }

    /// Takes the next event out.
    pub fn pop(&mut self) -> Option<(Key, M)> {
        self.pop_before(Time(u64::MAX))
    }

    /// Takes the next event out if it is earlier than `until`.
    pub fn pop_before(&mut self, until: Time) -> Option<(Key, M)> {
        let (&entry, is_sorted) = self.first().filter(|(entry, _)| entry.time < until.0)?;
        if is_sorted {
            self.sorted.pop();
        } else {
            self.heap.pop();
        }
        if self.is_empty()
            && let Some((span, mut entries)) = self.later.pop_first()
        {
            entries.sort_unstable_by(|one, other| other.cmp(one));
            self.horizon = span << SPAN | ((1 << SPAN) - 1);
            let passed = std::mem::replace(&mut self.sorted, entries);
            self.spare.push(passed);
        }
        self.free.push(entry.slot);
        let message = self.slots[entry.slot as usize].take().expect("an event in the queue has its slot");
        Some((entry.key(), message))
    }

    /// True if nothing will happen any more.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty() && self.heap.is_empty()
    }

    /// Forgets everything that was to come.
    pub fn clear(&mut self) {
        *self = Self::default();
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
                // Within a span, and in spans far apart.
                time: Time((stream.below(5) as u64) << (8 * stream.below(4)) | stream.below(3) as u64),
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

    /// Oracle: a set that is searched. Events are put in while others are taken out, at any time that is not over, and nothing that is
    /// not before a given time comes out.
    #[test]
    fn events_that_are_put_in_on_the_way_find_their_place() {
        let mut stream = Stream::new(2, Purpose::Trial, 0);
        let (mut queue, mut expected) = (Queue::default(), std::collections::BTreeSet::new());
        let mut now = 0;
        for number in 0..20_000 {
            let time = Time(now + ((stream.below(9) as u64) << (6 * stream.below(4))));
            let key = Key { time, rank: stream.below(8) as u8, node: u32::MAX >> 3, link: u32::MAX, number };
            queue.push(key, number);
            expected.insert(key);
            if number % 4 != 0 {
                let until = Time(now + stream.below(1 << 17) as u64);
                let first = expected.first().copied().filter(|key| key.time < until);
                assert_eq!(queue.pop_before(until), first.map(|key| (key, key.number)));
                if let Some(key) = first {
                    expected.remove(&key);
                    now = key.time.0;
                }
            }
            assert_eq!(queue.next_time(), expected.first().map(|key| key.time));
        }
        assert!(expected.len() > 4000);
    }

    #[test]
    fn dyadic_spans_are_exact_and_long_ones_are_cut() {
        assert_eq!(Time::of(0.75) + Time::of(0.25), Time::of(1.0));
        assert_eq!((0..1000).fold(Time(0), |sum, _| sum + Time::of(0.1)).0, 1000 * 104_858);
        assert_eq!(Time::of(f64::MAX).units(), Time::LONGEST);
        assert_eq!(Time::of(3.5).units(), 3.5);
    }
}
