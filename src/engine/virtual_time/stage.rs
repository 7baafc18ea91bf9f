//! What is around the nodes of a shard: the queue, the time, who watches, and the one way in which a signal is put on its way.

use std::ops::Range;

use super::errand::{Carried, Letter};
use super::kernel::{Key, Queue, Time};
use super::links::{Arrivals, Inlet, Outlet, Passage};
use super::record::{Observer, Passed, Record};
use crate::math::Real;
use crate::signal::Signal;

/// The order of events at one time: the exchange of lock-step. Steps, then predictions, then errors that answer them.
pub(super) mod rank {
    pub(in crate::engine) const TICK: u8 = 0;
    pub(in crate::engine) const PREDICTION: u8 = 1;
    pub(in crate::engine) const ANSWER: u8 = 2;
    pub(in crate::engine) const ERROR: u8 = 3;
    pub(in crate::engine) const ACKNOWLEDGED: u8 = 4;
    pub(in crate::engine) const RESEND: u8 = 5;
}

/// The two ends at one neighbour.
#[derive(Debug)]
pub(super) struct Side<T> {
    pub(super) inlet: Inlet<T>,
    pub(super) outlet: Outlet<T>,
    /// What was last heard of this neighbour in this batch, where what several of them say is put together.
    pub(super) latest: Option<Signal<T>>,
    /// Its neurons.
    pub(super) units: usize,
    /// One prediction of it is heard at a tick, even if more wait.
    pub(super) has_heard: bool,
}

impl<T> Side<T> {
    pub(super) fn new(inlet: Inlet<T>, outlet: Outlet<T>, units: usize) -> Self {
        Self { inlet, outlet, latest: None, units, has_heard: false }
    }
}

/// Everything around the nodes of a shard.
pub(super) struct Stage<T> {
    /// The nodes that are here.
    pub(super) own: Range<u32>,
    pub(super) queue: Queue<Carried<T>>,
    pub(super) now: Time,
    pub(super) phase: u64,
    /// Layers that have read their product at the first arrival in this phase.
    pub(super) arrived: usize,
    /// Events of nodes elsewhere.
    pub(super) sent_away: Vec<Letter<T>>,
    /// What has happened since it was last asked, if somebody keeps a log.
    pub(super) records: Option<Vec<Record>>,
    pub(super) observer: Option<Box<dyn Observer<T>>>,
}

impl<T: Real> Stage<T> {
    pub(super) fn schedule(
        &mut self,
        time: Time,
        rank: u8,
        (node, link): (u32, u32),
        number: u64,
        carried: Carried<T>,
    ) {
        let key = Key { time, rank, node, link, number };
        if self.own.contains(&node) {
            self.queue.push(key, carried);
        } else {
            self.sent_away.push(Letter { key, carried });
        }
    }

    pub(super) fn send(&mut self, outlet: &mut Outlet<T>, from: u32) {
        let Arrivals(arrivals) = outlet.transmit(self.now);
        let Some(newest) = &outlet.newest else { return };
        let version = newest.signal.stamp.version;
        if let Some(observer) = &mut self.observer {
            let (from, to) = (from as usize, outlet.to as usize);
            observer.sent(Passed { time: self.now, phase: self.phase, from, to, version });
        }
        let rank = if outlet.to > from { rank::PREDICTION } else { rank::ERROR };
        for (time, number) in arrivals.into_iter().flatten() {
            self.schedule(time, rank, (outlet.to, outlet.link), number, Carried::Signal(newest.clone()));
        }
        if outlet.laws.resend > 0.0 && !outlet.timer {
            outlet.timer = true;
            let due = self.now + Time::of(outlet.laws.resend).max(Time::TICK);
            self.schedule(due, rank::RESEND, (from, outlet.link), outlet.transmitted(), Carried::Nothing);
        }
    }
}

/// Sends what is to be sent of what a layer would say.
pub(super) fn say<T: Real>(
    outlet: &mut Outlet<T>,
    said: Option<Signal<T>>,
    (last, from): (bool, u32),
    stage: &mut Stage<T>,
) {
    if let Some(signal) = outlet.offer(said, last) {
        outlet.newest = Some(Passage { said: stage.now, signal });
        stage.send(outlet, from);
    }
}
