//! Which nodes make a shard: a run of neighbours in the order of nodes, cut where every link across needs some time.
//!
//! ```text
//! lookahead = least delay of any link that joins two shards
//! ```
//!
//! What a shard does before t + lookahead cannot be changed by what another does from t on, so all may go on to there at once. A cut
//! across a link that may deliver at once has no lookahead and is not made, however many shards were asked for.

use std::ops::Range;

use super::kernel::Time;

/// A link as far as cutting goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// Its ends, in any order.
    pub(super) ends: (usize, usize),
    /// No signal takes it faster.
    pub(super) least: Time,
}

/// Who belongs together, and how far each may look ahead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine) struct Partition {
    /// Nodes of each shard, in order.
    pub(super) shards: Vec<Range<usize>>,
    /// Without end if there is one shard.
    pub(super) lookahead: Time,
}

impl Partition {
    /// One shard, which waits for nobody.
    pub(super) fn whole(nodes: usize) -> Self {
        Self { shards: std::iter::once(0..nodes).collect(), lookahead: Time(u64::MAX) }
    }
}

/// The least delay across the gap before each node.
pub(super) fn across(nodes: usize, spans: &[Span]) -> Vec<Time> {
    let mut across = vec![Time(u64::MAX); nodes];
    for &Span { ends: (one, other), least } in spans {
        for gap in &mut across[one.min(other) + 1..=one.max(other)] {
            *gap = least.min(*gap);
        }
    }
    across
}

/// Cuts nodes with these loads into at most `most` shards of like load.
pub(super) fn cut(loads: &[f64], spans: &[Span], most: usize) -> Partition {
    let across = across(loads.len(), spans);
    let mut before = vec![0.0; loads.len()];
    for node in 1..loads.len() {
        before[node] = before[node - 1] + loads[node - 1];
    }
    let all: f64 = loads.iter().sum();
    let mut free: Vec<usize> = (1..loads.len()).filter(|&node| across[node] > Time(0)).collect();
    let mut cuts = Vec::new();
    for share in 1..most.min(free.len() + 1) {
        let wanted = all * share as f64 / most as f64;
        let apart = |&node: &usize| (before[node] - wanted).abs();
        let nearest = (0..free.len()).min_by(|&a, &b| apart(&free[a]).total_cmp(&apart(&free[b])));
        cuts.extend(nearest.map(|index| free.remove(index)));
    }
    cuts.sort_unstable();
    let lookahead = cuts.iter().map(|&node| across[node]).min().unwrap_or(Time(u64::MAX));
    let ends = cuts.iter().copied().chain([loads.len()]);
    let shards = ends.scan(0, |start, end| Some(std::mem::replace(start, end)..end)).collect();
    Partition { shards, lookahead }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(least: &[u64]) -> Vec<Span> {
        least.iter().enumerate().map(|(node, &least)| Span { ends: (node, node + 1), least: Time(least) }).collect()
    }

    #[test]
    fn shards_are_of_like_load_and_look_ahead_as_far_as_the_fastest_link_that_was_cut() {
        let partition = cut(&[1.0; 6], &chain(&[9, 4, 7, 8, 9]), 3);
        assert_eq!(partition.shards, [0..2, 2..4, 4..6]);
        assert_eq!(partition.lookahead, Time(4));
        let partition = cut(&[5.0, 1.0, 1.0, 1.0, 1.0, 1.0], &chain(&[9, 4, 7, 8, 9]), 2);
        assert_eq!((partition.shards, partition.lookahead), (vec![0..1, 1..6], Time(9)));
    }

    #[test]
    fn links_that_deliver_at_once_are_not_cut_and_links_that_leap_count_in_every_gap() {
        let partition = cut(&[1.0; 5], &chain(&[0, 0, 3, 0]), 4);
        assert_eq!((partition.shards, partition.lookahead), (vec![0..3, 3..5], Time(3)));
        let mut spans = chain(&[5, 5, 5, 5]);
        spans.push(Span { ends: (3, 1), least: Time(2) });
        assert_eq!(cut(&[1.0; 5], &spans, 5).lookahead, Time(2));
        spans.push(Span { ends: (0, 4), least: Time(0) });
        assert_eq!(cut(&[1.0; 5], &spans, 5), cut(&[1.0; 5], &spans, 1), "one shard");
        assert_eq!(cut(&[1.0], &[], 3).lookahead, Time(u64::MAX));
    }

    /// Every node is in one shard, and there are as many as asked for where nothing forbids it.
    #[test]
    fn no_node_is_lost() {
        for nodes in 1..12 {
            for most in 1..15 {
                let partition = cut(&vec![1.0; nodes], &chain(&vec![1; nodes - 1]), most);
                assert_eq!(partition.shards.len(), most.min(nodes));
                assert!(partition.shards.iter().all(|shard| !shard.is_empty()));
                assert_eq!(partition.shards.into_iter().flatten().collect::<Vec<_>>(), (0..nodes).collect::<Vec<_>>());
            }
        }
    }
}
