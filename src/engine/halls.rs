//! Halls between layers whose groups live in several processes: who sits in the halls here, and what goes over which connection.
//!
//! ```text
//! process p                                       process q
//! groups of l   ──say──► hall ══ connection (l; p, q) ══► hall ──► groups of l + 1 that live in q
//! groups of l+1 ──say──► hall ══        the same      ══► hall ──► groups of l that live in q
//! ```
//!
//! A round is complete in every hall for itself, when everybody has spoken in it who speaks at all, from here or from elsewhere. So
//! lock-step is what it is within one process: nobody is a round ahead, and shares are added in the order of the groups.

use std::collections::BTreeMap;
use std::ops::Range;

use tokio::sync::mpsc;

use super::actor::{Links, News, Side};
use super::hall::Pair;
use super::transport::Stream;
use super::transport::groups::{Voice, Voices, carry};
use super::wiring::trouble;
use crate::layer::LayerError;
use crate::math::Real;
use crate::network::NetworkSpec;
use crate::wire::frame::{Direction, Link};

/// Where the groups of one network live, as one process sees it.
pub(super) struct Homes<'n> {
    pub(super) network: &'n NetworkSpec,
    /// The nodes of every process.
    pub(super) parts: &'n [Vec<usize>],
    pub(super) here: usize,
    pub(super) batch_most: usize,
}

impl Homes<'_> {
    /// The groups of a layer that live in a process, ascending.
    fn groups(&self, layer: usize, process: usize) -> Vec<usize> {
        let nodes = self.network.nodes_of(layer);
        let part = self.parts[process].iter().filter(|node| nodes.contains(node));
        let mut groups: Vec<usize> = part.map(|node| node - nodes.start).collect();
        groups.sort_unstable();
        groups
    }

    /// What the groups of one process say to those of another between the layers `lower` and `lower + 1`.
    fn voices(&self, lower: usize, from: usize, to: usize) -> Voices {
        let network = self.network;
        let (upper, width) = (lower + 1, network.widths()[lower + 1]);
        let voice = |group, ranges: Vec<Range<usize>>, rows| {
            let travelling = ranges.iter().map(Range::len).sum();
            let link = Link { lower, group, rows: travelling, columns_most: self.batch_most };
            (group, Voice { link, ranges, rows })
        };
        let mut heard: Vec<Range<usize>> = Vec::new();
        for group in self.groups(upper, to) {
            let rows = network.rows(upper, group);
            match heard.last_mut() {
                Some(before) if before.end == rows.start => before.end = rows.end,
                _ => heard.push(rows),
            }
        }
        let mut voices = Voices::default();
        if !heard.is_empty() {
            let below = self.groups(lower, from).into_iter();
            voices[0].extend(below.map(|group| voice(group, heard.clone(), width)));
        }
        if !self.groups(lower, to).is_empty() {
            let above = self.groups(upper, from).into_iter();
            voices[1].extend(above.map(|group| {
                let rows = network.rows(upper, group).len();
                let whole = 0..rows;
                voice(group, vec![whole], rows)
            }));
        }
        voices
    }

    /// The links of all groups that live here. Connections are those of their lower layer with the process at their other end.
    pub(super) fn wire<T: Real>(
        &self,
        connections: Vec<(usize, usize, Stream)>,
        news: &mpsc::Sender<News<T>>,
    ) -> BTreeMap<usize, Links<T>> {
        let (network, here) = (self.network, self.here);
        let mut links: BTreeMap<usize, Links<T>> = self.parts[here].iter().map(|&node| (node, Links::none())).collect();
        let mut waiting: BTreeMap<usize, Vec<(usize, Stream)>> = BTreeMap::new();
        for (lower, peer, stream) in connections {
            waiting.entry(lower).or_default().push((peer, stream));
        }
        for lower in 0..network.depth() {
            let (mut outward, mut carried) = ([Vec::new(), Vec::new()], Vec::new());
            for (peer, stream) in waiting.remove(&lower).unwrap_or_default() {
                let (ours, theirs) = (self.voices(lower, here, peer), self.voices(lower, peer, here));
                // More than what is said in a round, each way.
                let (said, saying) = mpsc::channel(2 * (ours[0].len() + ours[1].len()).max(1));
                for (outward, _) in outward.iter_mut().zip(&ours).filter(|(_, ours)| !ours.is_empty()) {
                    outward.push(said.clone());
                }
                carried.push((peer, stream, (ours, theirs), saying));
            }
            let halls = Pair::new(network.groups(lower), network.groups(lower + 1), outward);
            for (layer, direction) in [(lower, Direction::Up), (lower + 1, Direction::Down)] {
                for group in self.groups(layer, here) {
                    let seat = Side::Hall(halls.seat(direction, group));
                    let links = links.entry(network.nodes_of(layer).start + group).or_insert_with(Links::none);
                    if direction == Direction::Up { links.above = seat } else { links.below = seat }
                }
            }
            // Whoever faults has to be one of those that live here.
            let layer = if self.groups(lower, here).is_empty() { lower + 1 } else { lower };
            for (peer, stream, voices, saying) in carried {
                let (news, pumps) = (news.clone(), carry(stream, voices, saying, halls.clone()));
                tokio::spawn(async move {
                    if let Err(error) = pumps.await {
                        let what = format!("the connection with worker {peer} can't go on: {error}");
                        let line = (lower, Some([here, peer]));
                        let _ = news.send(trouble(&error, line, LayerError { layer, what })).await;
                    }
                });
            }
        }
        links
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::energy::{Activation, Loss};
    use crate::network::Grouping;

    #[test]
    fn a_share_travels_as_the_rows_that_are_heard_there_and_once() {
        let network = NetworkSpec::new(&[3, 8, 2], Activation::Tanh, Loss::SquaredError).expect("a network");
        let network = network.with_groups(Grouping::Count(4));
        // Nodes: groups 0 to 2 of layer 0, 3 to 6 of layer 1, 7 the output.
        let parts = [vec![0, 1, 4], vec![2, 3, 5, 6], vec![7]];
        let homes = Homes { network: &network, parts: &parts, here: 0, batch_most: 9 };
        let [up, down] = homes.voices(0, 0, 1);
        for group in [0, 1] {
            let link = Link { lower: 0, group, rows: 6, columns_most: 9 };
            assert_eq!(
                up[&group],
                Voice { link, ranges: vec![0..2, 4..8], rows: 8 },
                "what neighbours hear is one block"
            );
        }
        let link = Link { lower: 0, group: 1, rows: 2, columns_most: 9 };
        assert_eq!(
            (up.len(), down),
            (2, BTreeMap::from([(1, Voice { link, ranges: std::iter::once(0..2).collect(), rows: 2 })]))
        );
        let [up, down] = homes.voices(1, 2, 0);
        assert!(up.is_empty() && down.len() == 1, "the output says its error to layer 1");
        assert_eq!(homes.voices(0, 0, 2), Voices::default(), "nobody of layers 0 and 1 lives there");
    }
}
