//! How a layer is cut into groups of neurons, down to single ones.
//!
//! ```text
//! layer l, k groups:   group g has the rows ⌊g·n_l/k⌋ … ⌊(g+1)·n_l/k⌋ − 1
//! a_l = Σ_g share_g,   share_g = W_l[:, rows of g] x_{l−1}[rows of g]  (+ b_l in the first share),  added in the order of the groups
//! ```
//!
//! A group owns its neurons' states and their outgoing weights. The bias `b_l` is owned by the first group of the layer below. The
//! output layer is one group always: the softmax and the decision that is read from it couple its units.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{Address, NetworkSpec};

/// Into how many groups layers are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Grouping {
    /// So many in each layer, or as many as it has neurons.
    Count(usize),
    /// One neuron each.
    Neuron,
}

impl Default for Grouping {
    fn default() -> Self {
        Self::Count(1)
    }
}

impl Grouping {
    /// Groups of every layer of a network of these widths.
    pub fn counts(self, widths: &[usize]) -> Vec<usize> {
        let last = widths.len().saturating_sub(1);
        widths.iter().enumerate().map(|(layer, &width)| if layer == last { 1 } else { self.of_width(width) }).collect()
    }

    /// Groups of a layer with so many neurons that is not the output.
    pub fn of_width(self, width: usize) -> usize {
        match self {
            Self::Count(count) => count.clamp(1, width.max(1)),
            Self::Neuron => width,
        }
    }
}

impl NetworkSpec {
    /// The same network with its layers cut into groups.
    #[must_use]
    pub fn with_groups(mut self, grouping: Grouping) -> Self {
        self.grouping = grouping;
        self
    }

    /// Groups of a layer.
    pub fn groups(&self, layer: usize) -> usize {
        if layer == self.depth() { 1 } else { self.grouping.of_width(self.widths()[layer]) }
    }

    /// Groups of every layer.
    pub fn group_counts(&self) -> Vec<usize> {
        self.grouping.counts(self.widths())
    }

    /// True if any layer has more than one group.
    pub fn is_cut(&self) -> bool {
        (0..=self.depth()).any(|layer| self.groups(layer) > 1)
    }

    /// The units of a group.
    pub fn rows(&self, layer: usize, group: usize) -> Range<usize> {
        let (width, groups) = (self.widths()[layer], self.groups(layer));
        group * width / groups..(group + 1) * width / groups
    }

    /// Layer and group of a node: groups are counted through all layers, each layer's in a row.
    pub fn place_of(&self, node: usize) -> Option<(usize, usize)> {
        if self.grouping == Grouping::Count(1) {
            return (node <= self.depth()).then_some((node, 0));
        }
        let mut first = 0;
        for layer in 0..=self.depth() {
            let groups = self.groups(layer);
            if node < first + groups {
                return Some((layer, node - first));
            }
            first += groups;
        }
        None
    }

    /// The nodes of a layer, one per group; none if there is no such layer.
    pub fn nodes_of(&self, layer: usize) -> Range<usize> {
        if layer > self.depth() {
            return 0..0;
        }
        let first = match self.grouping {
            Grouping::Count(1) => layer,
            _ => (0..layer).map(|below| self.groups(below)).sum(),
        };
        first..first + self.groups(layer)
    }

    /// What a node is called: its layer, and its group if the layer has several.
    pub fn address(&self, node: usize) -> Option<Address> {
        let (layer, group) = self.place_of(node)?;
        Some(Address { layer, group: (self.groups(layer) > 1).then_some(group) })
    }

    /// Layer and group of every node, in the order in which nodes are numbered: layer by layer.
    pub fn places(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        (0..=self.depth()).flat_map(|layer| (0..self.groups(layer)).map(move |group| (layer, group)))
    }

    /// How a node is called: `2` a layer that is whole, `1.3` group 3 of layer 1.
    pub fn name_of(&self, (layer, group): (usize, usize)) -> String {
        if self.groups(layer) == 1 { layer.to_string() } else { format!("{layer}.{group}") }
    }

    /// Groups of all layers together.
    pub fn groups_in_all(&self) -> usize {
        (0..=self.depth()).map(|layer| self.groups(layer)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::energy::{Activation, Loss};

    #[test]
    fn groups_cover_every_unit_once_and_in_order() {
        let network = NetworkSpec::new(&[784, 10, 3, 10], Activation::Tanh, Loss::SquaredError).expect("a network");
        for (grouping, counts) in [
            (Grouping::Count(1), [1, 1, 1, 1]),
            (Grouping::Count(4), [4, 4, 3, 1]),
            (Grouping::Neuron, [784, 10, 3, 1]),
        ] {
            let network = network.clone().with_groups(grouping);
            for (layer, count) in counts.into_iter().enumerate() {
                assert_eq!(network.groups(layer), count);
                let rows: Vec<usize> = (0..count).flat_map(|group| network.rows(layer, group)).collect();
                assert_eq!(rows, (0..network.widths()[layer]).collect::<Vec<_>>());
                let sizes = (0..count).map(|group| network.rows(layer, group).len());
                assert!(sizes.clone().max().expect("a group") - sizes.min().expect("a group") <= 1, "balanced");
            }
            assert_eq!(network.groups_in_all(), counts.iter().sum::<usize>());
            assert_eq!(network.group_counts(), counts);
            let places = (0..4).flat_map(|layer| (0..counts[layer]).map(move |group| (layer, group)));
            for (node, (layer, group)) in places.enumerate() {
                assert_eq!(network.place_of(node), Some((layer, group)));
                assert_eq!(network.nodes_of(layer).nth(group), Some(node));
                let named = Address { layer, group: (counts[layer] > 1).then_some(group) };
                assert_eq!(network.address(node), Some(named));
            }
            assert_eq!((network.address(network.groups_in_all()), network.nodes_of(4)), (None, 0..0));
        }
    }
}
