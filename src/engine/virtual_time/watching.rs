//! Watching a network in virtual time: its log, its observer, and what has happened on every link.

use super::VirtualNetwork;
use super::links::Tally;
use super::node::Node;
use super::record::{EventLog, Observer};
use crate::math::Real;

impl<T: Real> VirtualNetwork<T> {
    /// Logs every event from now on.
    pub fn log_to(&mut self, log: EventLog) {
        self.stage.log = Some(log);
    }

    /// The log, if there is one.
    pub fn log(&self) -> Option<&EventLog> {
        self.stage.log.as_ref()
    }

    /// Takes the log out, to be finished.
    pub fn take_log(&mut self) -> Option<EventLog> {
        self.stage.log.take()
    }

    /// From now on somebody watches; returns who watched before.
    pub fn watch(&mut self, observer: Option<Box<dyn Observer<T>>>) -> Option<Box<dyn Observer<T>>> {
        std::mem::replace(&mut self.stage.observer, observer)
    }

    /// What has happened on every link: `(from, to)` and its counts.
    pub fn tallies(&self) -> Vec<((usize, usize), Tally)> {
        let tally = |from: &Node<T>, to: &Node<T>, up: bool| {
            let (out, back) = if up { (&from.above, &to.below) } else { (&from.below, &to.above) };
            let (sender, receiver) = (out.as_ref()?.outlet.tally, back.as_ref()?.inlet.tally);
            let Tally { sent, resent, lost, duplicated, .. } = sender;
            Some(((from.layer.index(), to.layer.index()), Tally { sent, resent, lost, duplicated, ..receiver }))
        };
        self.nodes
            .windows(2)
            .flat_map(|pair| [tally(&pair[0], &pair[1], true), tally(&pair[1], &pair[0], false)])
            .flatten()
            .collect()
    }
}
