//! Watching a network in virtual time: its log, its observer, and what has happened on every link.

use super::VirtualNetwork;
use super::links::Tally;
use super::node::Node;
use super::partition::Partition;
use super::record::{EventLog, Observer};
use crate::math::Real;

impl<T: Real> VirtualNetwork<T> {
    /// Logs every event from now on.
    pub fn log_to(&mut self, log: EventLog) {
        self.log = Some(log);
    }

    /// The log, if there is one.
    pub fn log(&self) -> Option<&EventLog> {
        self.log.as_ref()
    }

    /// Takes the log out, to be finished.
    pub fn take_log(&mut self) -> Option<EventLog> {
        self.log.take()
    }

    /// From now on somebody watches; returns who watched before. Whoever watches sees events in their order, so as long as somebody
    /// does there is one shard; what happens is the same.
    pub fn watch(&mut self, observer: Option<Box<dyn Observer<T>>>) -> Option<Box<dyn Observer<T>>> {
        let before = self.shards.iter_mut().find_map(|shard| shard.stage.observer.take());
        if observer.is_some() {
            self.divide(Partition::whole(self.nodes().count()));
        } else {
            self.divide(self.partition.clone());
        }
        if let Some(shard) = self.shards.first_mut() {
            shard.stage.observer = observer;
        }
        before
    }

    /// What has happened on every link: `(from, to)` and its counts.
    pub fn tallies(&self) -> Vec<((usize, usize), Tally)> {
        let tally = |from: &Node<T>, to: &Node<T>, up: bool| {
            let (out, back) = if up { (&from.above, &to.below) } else { (&from.below, &to.above) };
            let (sender, receiver) = (out.as_ref()?.outlet.tally, back.as_ref()?.inlet.tally);
            let Tally { sent, resent, lost, duplicated, .. } = sender;
            Some(((from.layer.index(), to.layer.index()), Tally { sent, resent, lost, duplicated, ..receiver }))
        };
        let pairs = self.nodes().zip(self.nodes().skip(1));
        pairs.flat_map(|(lower, upper)| [tally(lower, upper, true), tally(upper, lower, false)]).flatten().collect()
    }
}
