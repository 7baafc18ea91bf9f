//! Who is connected with whom: the nodes of a network with their clocks and their ends of the links, and what that means for cutting
//! them into shards.
//!
//! ```text
//! nodes   layer by layer, group by group                    of whole layers: node l is layer l
//! links   gap by gap (layers l and l + 1), then by the group below, then by the group above: 2 numbers each, up and down
//!         of whole layers: 2l leads up from layer l, 2l + 1 down to it
//! ```
//!
//! Every pair of groups of neighbouring layers is joined by a link of its own. Draws are keyed by the numbers of nodes and links.

use std::ops::Range;
use std::sync::Arc;

use super::clocks::Clock;
use super::links::{Inlet, Outlet};
use super::node::Node;
use super::partition::Span;
use super::stage::Side;
use super::{UNANSWERED_MOST, VirtualSettings};
use crate::engine::EngineError;
use crate::layer::group::Group;
use crate::layer::{LayerSettings, Voice};
use crate::math::Real;
use crate::network::{FeedbackKind, NetworkSpec, Parameters};
use crate::rule::PlannedPhase;
use crate::signal::{Message, Reading};

/// Numbers of links that fit beside the numbers of their signals in the key of a draw.
pub const LINKS_MOST: usize = 1 << 24;

/// Links of a network, each in one direction.
pub fn links_in_all(network: &NetworkSpec) -> usize {
    (0..network.depth()).map(|lower| 2 * network.groups(lower) * network.groups(lower + 1)).sum()
}

/// The number of the first link between layers `gap` and `gap + 1`.
pub fn first_link(network: &NetworkSpec, gap: usize) -> usize {
    (0..gap).map(|gap| 2 * network.groups(gap) * network.groups(gap + 1)).sum()
}

/// The number of the link from one group to another next door, as (layer, group); `first` is that of the first between their layers.
pub fn link_number(network: &NetworkSpec, first: usize, from: (usize, usize), to: (usize, usize)) -> usize {
    let (up, upper) = (from.0 < to.0, network.groups(from.0.max(to.0)));
    let (below, above) = if up { (from.1, to.1) } else { (to.1, from.1) };
    first + 2 * (below * upper + above) + usize::from(!up)
}

/// One side of a node, as everybody knows it who knows the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) struct SideName {
    /// The link that leads away.
    pub(in crate::engine) link: u32,
    /// The node.
    pub(in crate::engine) from: usize,
    /// The one next door.
    pub(in crate::engine) to: usize,
}

/// The sides of some nodes: node by node, to those below, then to those above.
pub(in crate::engine) fn sides(network: &NetworkSpec, own: Range<usize>) -> Vec<SideName> {
    let first_link = first_links(network);
    let mut sides = Vec::new();
    for (from, (layer, group)) in network.places().enumerate().skip(own.start).take(own.len()) {
        if let Some(gap) = layer.checked_sub(1) {
            for (lower, to) in network.nodes_of(gap).enumerate() {
                let link = link_number(network, first_link[gap], (layer, group), (gap, lower));
                sides.push(SideName { link: link as u32, from, to });
            }
        }
        if layer < network.depth() {
            for (upper, to) in network.nodes_of(layer + 1).enumerate() {
                let link = link_number(network, first_link[layer], (layer, group), (layer + 1, upper));
                sides.push(SideName { link: link as u32, from, to });
            }
        }
    }
    sides
}

/// The first link of every gap.
fn first_links(network: &NetworkSpec) -> Vec<usize> {
    (0..network.depth()).map(|gap| first_link(network, gap)).collect()
}

/// Some of the nodes with their clocks and links. `weights` are those that lead up from a layer.
pub(super) fn wiring<'w, T: Real>(
    network: &Arc<NetworkSpec>,
    weights: &dyn Fn(usize) -> Option<&'w Parameters<T>>,
    settings: &VirtualSettings,
    own: Range<usize>,
) -> Vec<Node<T>> {
    assert!(links_in_all(network) <= LINKS_MOST, "links are numbered up to 2^24");
    // In step nothing is ever stale, and as in lock-step `d` itself goes down, whatever the message.
    let voice = if settings.is_in_step() { Voice::Adjoint } else { Voice::Plain(settings.message) };
    let VirtualSettings { rate, optimizer, numerics, .. } = *settings;
    let of_layer = Arc::new(LayerSettings { rate, optimizer, voice, numerics });
    let first_link = first_links(network);
    let mut first_node = vec![0];
    for layer in 0..=network.depth() {
        first_node.push(first_node[layer] + network.groups(layer));
    }
    // The end at (gap, lower) of a link that leads up, or at (gap + 1, upper) of one that leads down.
    let side = |gap: usize, lower: usize, upper: usize, up: bool| {
        let ends = [(gap, lower), (gap + 1, upper)];
        let [upward, downward] = [settings.link(ends[0], ends[1]), settings.link(ends[1], ends[0])];
        let (out, back, from, to) =
            if up { (upward, downward, ends[0], ends[1]) } else { (downward, upward, ends[1], ends[0]) };
        let link = link_number(network, first_link[gap], from, to);
        let outlet = Outlet::new(link as u32, (first_node[to.0] + to.1) as u32, out, settings.seed);
        Side::new(Inlet::new(&back), outlet, network.rows(to.0, to.1).len())
    };
    let node = |(id, (layer, own)): (usize, (usize, usize))| {
        let mut group = Group::new(network, layer, own, weights(layer), &of_layer);
        group.set_unanswered_most(UNANSWERED_MOST);
        let below = layer
            .checked_sub(1)
            .map_or_else(Vec::new, |gap| (0..network.groups(gap)).map(|lower| side(gap, lower, own, false)).collect());
        let above = if layer < network.depth() {
            (0..network.groups(layer + 1)).map(|upper| side(layer, own, upper, true)).collect()
        } else {
            Vec::new()
        };
        Node::new(id as u32, group, Clock::new(settings.clock((layer, own)), settings.seed, id), [below, above])
    };
    network.places().enumerate().skip(own.start).take(own.len()).map(node).collect()
}

/// What each node has to compute at a tick, in multiplications of both its products, and for events besides.
pub(super) fn loads(network: &NetworkSpec) -> Vec<f64> {
    /// What an event costs in such units.
    const EVENT: f64 = 1000.0;
    let load = |(layer, group): (usize, usize)| {
        let own = network.rows(layer, group).len() as f64;
        let above = network.widths().get(layer + 1).copied().unwrap_or(0) as f64;
        let groups = |layer: Option<usize>| layer.filter(|&l| l <= network.depth()).map_or(0, |l| network.groups(l));
        let links = if network.is_cut() { groups(layer.checked_sub(1)) + groups(Some(layer + 1)) } else { 1 };
        EVENT * links as f64 + 2.0 * own * above
    };
    network.places().map(load).collect()
}

/// One for all links of a gap and direction: from its first node to its last, and as fast as the fastest.
pub(super) fn spans(network: &NetworkSpec, settings: &VirtualSettings) -> Vec<Span> {
    let mut first = 0;
    let mut spans = Vec::new();
    for (gap, laws) in settings.links.iter().enumerate() {
        let ends = (first, first + network.groups(gap) + network.groups(gap + 1) - 1);
        let special = settings.group_links.iter().filter(|([from, to], _)| from.0.min(to.0) == gap);
        let least = laws.iter().chain(special.map(|(_, laws)| laws)).map(super::LinkLaws::least).min();
        spans.extend(least.map(|least| Span { ends, least }));
        first += network.groups(gap);
    }
    spans
}

/// What layers that are cut into groups cannot do.
pub(super) fn can_run<T: Real>(
    network: &NetworkSpec,
    settings: (bool, Message, bool),
    planned: &PlannedPhase,
) -> Result<(), EngineError> {
    let (in_step, message, imprecise) = settings;
    if !network.is_cut() {
        return Ok(());
    }
    let own_precisions = (1..network.depth()).any(|layer| network.unit_precision::<T>(layer).is_some());
    if network.feedback() != FeedbackKind::Tied || own_precisions {
        return Err(EngineError::Whole);
    }
    if imprecise {
        return Err(EngineError::ImpreciseGroups);
    }
    if !in_step && message != Message::Error {
        return Err(EngineError::Echoes);
    }
    if !in_step && planned.reading != Reading::AtEnd { Err(EngineError::Partial) } else { Ok(()) }
}
