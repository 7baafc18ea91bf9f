//! Watching a network in virtual time: its log, its observer, and what has happened on every link.

use super::VirtualNetwork;
use super::errand::Counts;
use super::links::Tally;
use super::partition::Partition;
use super::record::{EventLog, Observer};
use super::shard::Member;
use super::wiring::links_in_all;
use crate::engine::Traffic;
use crate::math::Real;

impl<T: Real> VirtualNetwork<T> {
    /// From now on somebody watches; returns who watched before. Whoever watches sees events in their order, so as long as somebody
    /// does there is one shard; what happens is the same.
    pub fn watch(&mut self, observer: Option<Box<dyn Observer<T>>>) -> Option<Box<dyn Observer<T>>> {
        let before = self.members.iter_mut().find_map(|shard| shard.stage.observer.take());
        if observer.is_some() {
            self.divide(Partition::whole(self.network.groups_in_all()));
        } else {
            self.divide(self.partition.clone());
        }
        if let Some(shard) = self.members.first_mut() {
            shard.stage.observer = observer;
        }
        before
    }

    /// `max |∂E/∂x|` of every node, given everything it has heard.
    pub fn residuals(&mut self) -> Vec<f64> {
        self.members.iter_mut().flat_map(|shard| &mut shard.nodes).map(|node| node.layer.residual()).collect()
    }
}

impl<T: Real, M: Member<T> + Send> VirtualNetwork<T, M> {
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

    /// How many groups there are, and what passed between them so far; `None` where layers are whole.
    pub fn traffic(&self) -> Option<Traffic> {
        let sent = || self.members.iter().flat_map(Member::counts).map(|counts| counts.sent.sent).sum();
        let (actors, links) = (self.network.groups_in_all(), links_in_all(&self.network));
        self.network.is_cut().then(|| Traffic { actors, links, messages: sent() })
    }

    /// What has happened on every link up to the end of the last phase, in their order: `(from, to)`, the numbers of the nodes, and its
    /// counts.
    pub fn tallies(&self) -> Vec<((usize, usize), Tally)> {
        let mut tallies = vec![((0, 0), Tally::default()); links_in_all(&self.network)];
        for Counts { link, from, to, sent, heard } in self.members.iter().flat_map(Member::counts) {
            let Tally { sent, resent, lost, duplicated, .. } = sent;
            let (ends, tally) = &mut tallies[link as usize];
            *ends = (from, to);
            *tally = Tally { sent, resent, lost, duplicated, ..*tally };
            // The receiver's counts are at its end of the other direction.
            let (_, tally) = &mut tallies[(link ^ 1) as usize];
            let Tally { sent, resent, lost, duplicated, .. } = *tally;
            *tally = Tally { sent, resent, lost, duplicated, ..heard };
        }
        tallies
    }
}
