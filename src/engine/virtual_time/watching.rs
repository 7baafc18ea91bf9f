//! Watching a network in virtual time: its log, its observer, and what has happened on every link.

use super::VirtualNetwork;
use super::links::Tally;
use super::node::Node;
use super::partition::Partition;
use super::record::{EventLog, Observer};
use super::stage::Side;
use super::wiring::links_in_all;
use crate::engine::Traffic;
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

    /// `max |∂E/∂x|` of every node, given everything it has heard.
    pub fn residuals(&mut self) -> Vec<f64> {
        self.nodes_mut().map(|node| node.layer.residual()).collect()
    }

    /// How many groups there are, and what passed between them so far; `None` where layers are whole.
    pub fn traffic(&self) -> Option<Traffic> {
        let sent = self.nodes().flat_map(Node::sides).map(|side| side.outlet.tally.sent).sum();
        let (actors, links) = (self.network.groups_in_all(), links_in_all(&self.network));
        self.network.is_cut().then_some(Traffic { actors, links, messages: sent })
    }

    /// What has happened on every link, in their order: `(from, to)`, the numbers of the nodes, and its counts.
    pub fn tallies(&self) -> Vec<((usize, usize), Tally)> {
        let mut tallies = vec![((0, 0), Tally::default()); links_in_all(&self.network)];
        for (from, node) in self.nodes().enumerate() {
            for Side { outlet, inlet, .. } in node.sides() {
                let Tally { sent, resent, lost, duplicated, .. } = outlet.tally;
                let (link, tally) = &mut tallies[outlet.link as usize];
                *link = (from, outlet.to as usize);
                *tally = Tally { sent, resent, lost, duplicated, ..*tally };
                // The receiver's counts are at its end of the other direction.
                let (_, tally) = &mut tallies[(outlet.link ^ 1) as usize];
                let Tally { sent, resent, lost, duplicated, .. } = *tally;
                *tally = Tally { sent, resent, lost, duplicated, ..inlet.tally };
            }
        }
        tallies
    }
}
