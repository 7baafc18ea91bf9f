//! Which layers, or which of their groups of neurons, live in which worker process.
//!
//! ```text
//! cost of layer l = n_l · n_{l+1}      the product it computes up and the one it computes down; n_L at the output
//! cost of layer 0 = 0                  its one product of a phase is computed while all others wait for it
//! auto            = blocks of neighbouring layers whose dearest block is as cheap as it can be
//! auto, cut       : group g of k lives with worker ⌊g·N/k⌋ of N; a layer that is not cut lives where auto would have it
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use super::blocks::by_cost;
use crate::network::{Address, NetworkSpec};

/// For every worker its nodes, ascending: the layers, or the groups counted through all layers. Every node is in exactly one of them,
/// and every worker has one at least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    parts: Vec<Vec<usize>>,
    /// Groups of every layer.
    groups: Vec<usize>,
}

/// Why layers can't be placed so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// More workers than layers, or none.
    #[error("{workers} workers for {layers} layers: every worker needs a layer of its own")]
    Workers {
        /// How many workers.
        workers: usize,
        /// How many layers.
        layers: usize,
    },
    /// No layer has as many groups as it would take.
    #[error("{workers} workers for layers of at most {groups} groups: worker {worker} would have nothing to do")]
    Groups {
        /// How many workers.
        workers: usize,
        /// The most groups of a layer.
        groups: usize,
        /// Who has none.
        worker: usize,
    },
    /// A worker with nothing to do.
    #[error("worker {worker} has no layer; leave it out or give it one")]
    Empty {
        /// Which.
        worker: usize,
    },
    /// A layer that the network does not have.
    #[error("worker {worker} is given layer {layer}; the network has layers 0 to {last}")]
    Unknown {
        /// Which worker.
        worker: usize,
        /// Which layer.
        layer: usize,
        /// The last there is.
        last: usize,
    },
    /// A group that its layer does not have.
    #[error("worker {worker} is given group {address}; layer {} has {groups}, counted from 0", .address.layer)]
    UnknownGroup {
        /// Which worker.
        worker: usize,
        /// Which group.
        address: Address,
        /// How many the layer has.
        groups: usize,
    },
    /// A layer, or a group of one, in two places.
    #[error("layer {address} is named twice, for worker {first} and worker {second}")]
    Twice {
        /// Which layer or group.
        address: Address,
        /// Where first.
        first: usize,
        /// Where again.
        second: usize,
    },
    /// In virtual time, nodes that do not lie side by side.
    #[error(
        "worker {worker} has layer {address}, but not all between it and its others; in virtual time a worker has layers side by side"
    )]
    Scattered {
        /// Which worker.
        worker: usize,
        /// The first after a gap.
        address: Address,
    },
    /// In virtual time, two workers between which something may take no time.
    #[error(
        "layer {address} may be reached at once from another worker; in virtual time every link between two workers takes some time: \
         give links.delay a `min` above 0"
    )]
    Immediate {
        /// The first layer or group behind the border.
        address: Address,
    },
    /// A layer, or a group of one, nowhere.
    #[error("layer {address} is given to no worker")]
    Missing {
        /// Which layer or group.
        address: Address,
    },
}

impl Placement {
    /// What `auto` stands for.
    pub fn auto(network: &NetworkSpec, workers: usize) -> Result<Self, PlacementError> {
        Self::automatic(network.widths(), &network.group_counts(), workers)
    }

    /// The same for layers of these widths, each of so many groups.
    pub fn automatic(widths: &[usize], groups: &[usize], workers: usize) -> Result<Self, PlacementError> {
        let most = groups.iter().copied().max().unwrap_or(1);
        if most == 1 {
            return Ok(Self { parts: by_cost(widths, workers)?, groups: groups.to_vec() });
        }
        let layers = widths.len();
        let whole = by_cost(widths, workers).ok();
        let home = |layer: usize, group: usize| match (groups[layer], &whole) {
            (1, Some(parts)) => parts.iter().position(|part| part.contains(&layer)).unwrap_or(0),
            (1, None) => layer * workers / layers,
            (cut, _) => (group as u128 * workers as u128 / cut as u128) as usize,
        };
        let mut parts = vec![Vec::new(); workers];
        let nodes = (0..layers).flat_map(|layer| (0..groups[layer]).map(move |group| (layer, group)));
        for (node, (layer, group)) in nodes.enumerate() {
            parts.get_mut(home(layer, group)).ok_or(PlacementError::Workers { workers, layers })?.push(node);
        }
        match parts.iter().position(Vec::is_empty) {
            Some(worker) => Err(PlacementError::Groups { workers, groups: most, worker }),
            None => Ok(Self { parts, groups: groups.to_vec() }),
        }
    }

    /// Whole layers of a network that is not cut, as somebody wants them.
    pub fn explicit(lists: &[Vec<usize>], layers: usize) -> Result<Self, PlacementError> {
        Self::of_nodes(lists, &vec![1; layers])
    }

    /// Layers and groups, as somebody wants them, of layers with so many groups each. A layer that is named as a whole is all its groups.
    pub fn named(lists: &[Vec<Address>], groups: &[usize]) -> Result<Self, PlacementError> {
        let mut named = Vec::with_capacity(lists.len());
        for (worker, list) in lists.iter().enumerate() {
            let mut nodes = Vec::new();
            for &address in list {
                let Address { layer, group } = address;
                let Some(&of_layer) = groups.get(layer) else {
                    return Err(PlacementError::Unknown { worker, layer, last: groups.len() - 1 });
                };
                let first: usize = groups[..layer].iter().sum();
                match group {
                    None => nodes.extend(first..first + of_layer),
                    Some(group) if group < of_layer => nodes.push(first + group),
                    Some(_) => return Err(PlacementError::UnknownGroup { worker, address, groups: of_layer }),
                }
            }
            named.push(nodes);
        }
        Self::of_nodes(&named, groups)
    }

    /// Nodes, as somebody wants them.
    pub fn of_nodes(lists: &[Vec<usize>], groups: &[usize]) -> Result<Self, PlacementError> {
        let nodes = groups.iter().fold(0, |sum: usize, &groups| sum.saturating_add(groups));
        let address = |node| address(node, groups);
        // A map, so that no room is made for nodes that nobody named: the numbers may be somebody else's.
        let mut home: BTreeMap<usize, usize> = BTreeMap::new();
        for (worker, list) in lists.iter().enumerate() {
            if list.is_empty() {
                return Err(PlacementError::Empty { worker });
            }
            for &node in list {
                if node >= nodes {
                    return Err(PlacementError::Unknown { worker, layer: node, last: nodes.saturating_sub(1) });
                }
                if let Some(first) = home.insert(node, worker) {
                    return Err(PlacementError::Twice { address: address(node), first, second: worker });
                }
            }
        }
        if let Some(node) = (0..nodes).find(|node| !home.contains_key(node)) {
            return Err(PlacementError::Missing { address: address(node) });
        }
        let sorted = lists.iter().map(|list| {
            let mut list = list.clone();
            list.sort_unstable();
            list
        });
        Ok(Self { parts: sorted.collect(), groups: groups.to_vec() })
    }

    /// How many workers.
    pub fn workers(&self) -> usize {
        self.parts.len()
    }

    /// For every worker its nodes: the layers where none is cut.
    pub fn parts(&self) -> &[Vec<usize>] {
        &self.parts
    }

    /// For every worker the run of nodes that it has, if they lie side by side.
    pub(crate) fn runs(&self) -> Result<Vec<Range<usize>>, PlacementError> {
        let run = |(worker, part): (usize, &Vec<usize>)| {
            let gap = part.windows(2).find(|pair| pair[0] + 1 != pair[1]);
            match (gap, part.first(), part.last()) {
                (None, Some(&first), Some(&last)) => Ok(first..last + 1),
                (gap, ..) => {
                    let node = gap.map_or(0, |gap| gap[1]);
                    Err(PlacementError::Scattered { worker, address: address(node, &self.groups) })
                }
            }
        };
        self.parts.iter().enumerate().map(run).collect()
    }

    /// The links that leave a worker: their lower layer, and the worker at their other end.
    pub(crate) fn borders(&self, worker: usize) -> Vec<(usize, usize)> {
        // Whether a worker has groups of a layer.
        let lives = self.parts.iter().map(|part| {
            let mut lives = vec![false; self.groups.len()];
            part.iter().for_each(|&node| lives[address(node, &self.groups).layer] = true);
            lives
        });
        let lives: Vec<Vec<bool>> = lives.collect();
        let own = &lives[worker];
        let mut borders = Vec::new();
        for lower in 0..self.groups.len() - 1 {
            let speaks = |there: &Vec<bool>| own[lower] && there[lower + 1] || own[lower + 1] && there[lower];
            let peers = (0..lives.len()).filter(|&peer| peer != worker && speaks(&lives[peer]));
            borders.extend(peers.map(|peer| (lower, peer)));
        }
        borders
    }
}

/// What a node is called, if there is one of that number.
fn address(node: usize, groups: &[usize]) -> Address {
    let mut first = 0;
    for (layer, &of_layer) in groups.iter().enumerate() {
        if node - first < of_layer {
            return Address { layer, group: (of_layer > 1).then_some(node - first) };
        }
        first += of_layer;
    }
    node.into()
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |part: &Vec<usize>| {
            let names: Vec<String> = part.iter().map(|&node| address(node, &self.groups).to_string()).collect();
            format!("[{}]", names.join(", "))
        };
        let parts: Vec<String> = self.parts.iter().map(names).collect();
        write!(f, "[{}]", parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::energy::{Activation, Loss};

    fn network(widths: &[usize]) -> NetworkSpec {
        NetworkSpec::new(widths, Activation::Relu, Loss::CrossEntropy).expect("a network")
    }

    /// Every way to cut a chain into blocks, by exhaustion.
    fn cheapest(costs: &[usize], workers: usize) -> usize {
        if workers == 1 {
            return costs.iter().sum();
        }
        let cut = |at: usize| costs[..at].iter().sum::<usize>().max(cheapest(&costs[at..], workers - 1));
        (1..=costs.len() - (workers - 1)).map(cut).min().unwrap_or(usize::MAX)
    }

    #[test]
    fn auto_is_as_balanced_as_blocks_can_be() {
        for widths in [&[784, 128, 64, 10][..], &[3, 3, 3, 3, 3, 3, 3], &[1, 900, 2, 40, 40, 7], &[5, 3]] {
            let products = (1..widths.len()).map(|l| widths[l] * widths.get(l + 1).copied().unwrap_or(1));
            let costs: Vec<usize> = std::iter::once(0).chain(products).collect();
            for workers in 1..=widths.len() {
                let placed = Placement::auto(&network(widths), workers).expect("a placement");
                assert_eq!(Placement::explicit(placed.parts(), widths.len()), Ok(placed.clone()), "it is one");
                assert_eq!(placed.workers(), workers);
                assert!(placed.parts().concat().is_sorted(), "neighbours stay together: {placed}");
                let dearest = placed.parts().iter().map(|part| part.iter().map(|&l| costs[l]).sum::<usize>()).max();
                assert_eq!(dearest, Some(cheapest(&costs, workers)), "{widths:?} on {workers}: {placed}");
            }
            let layers = widths.len();
            for workers in [0, layers + 1] {
                let refused = Placement::auto(&network(widths), workers);
                assert_eq!(refused, Err(PlacementError::Workers { workers, layers }));
            }
        }
    }

    #[test]
    fn what_is_no_placement_is_named() {
        let place = |lists: &[&[usize]]| {
            let lists: Vec<Vec<usize>> = lists.iter().map(|list| list.to_vec()).collect();
            Placement::explicit(&lists, 4)
        };
        assert_eq!(place(&[&[3, 0], &[2, 1]]).map(|p| p.parts().to_vec()), Ok(vec![vec![0, 3], vec![1, 2]]));
        assert_eq!(
            place(&[&[0, 1], &[1, 2, 3]]),
            Err(PlacementError::Twice { address: 1.into(), first: 0, second: 1 })
        );
        assert_eq!(place(&[&[0, 1], &[3]]), Err(PlacementError::Missing { address: 2.into() }));
        assert_eq!(place(&[&[0, 1, 2, 3], &[]]), Err(PlacementError::Empty { worker: 1 }));
        assert_eq!(place(&[&[0, 1], &[2, 3, 4]]), Err(PlacementError::Unknown { worker: 1, layer: 4, last: 3 }));
    }

    #[test]
    fn borders_are_where_neighbours_live_elsewhere() {
        let placed = Placement::explicit(&[vec![0, 2], vec![1, 3]], 4).expect("a placement");
        assert_eq!(placed.borders(0), [(0, 1), (1, 1), (2, 1)]);
        assert_eq!(placed.borders(1), [(0, 0), (1, 0), (2, 0)]);
        // Groups 0 to 2 of layer 0 are nodes 0 to 2, those of layer 1 are 3 and 4, the output is 5.
        let cut = Placement::of_nodes(&[vec![0, 3], vec![1, 2], vec![4], vec![5]], &[3, 2, 1]).expect("a placement");
        assert_eq!(cut.borders(0), [(0, 1), (0, 2), (1, 3)]);
        assert_eq!(cut.borders(1), [(0, 0), (0, 2)]);
        assert_eq!(cut.borders(3), [(1, 0), (1, 2)]);
        assert_eq!(cut.to_string(), "[[0.0, 1.0], [0.1, 0.2], [1.1], [2]]");
    }

    #[test]
    fn groups_are_dealt_over_the_workers_and_each_has_one_home() {
        let auto = |groups: &[usize], workers| Placement::automatic(&[784, 2048, 2048, 10], groups, workers);
        let text = |groups: &[usize], workers| auto(groups, workers).map(|placed| placed.to_string());
        let two = "[[0.0, 1.0, 2.0], [0.1, 1.1, 2.1, 3]]".to_owned();
        assert_eq!(text(&[2, 2, 2, 1], 2), Ok(two));
        let three = "[[0.0, 0.1, 1.0, 1.1, 2.0, 2.1], [0.2, 1.2, 2.2], [0.3, 1.3, 2.3, 3]]".to_owned();
        assert_eq!(text(&[4, 4, 4, 1], 3), Ok(three));
        assert_eq!(auto(&[2, 2, 2, 1], 5), Err(PlacementError::Groups { workers: 5, groups: 2, worker: 1 }));
        for workers in 1..=4 {
            let placed = auto(&[4, 4, 4, 1], workers).expect("a placement");
            assert_eq!(Placement::of_nodes(placed.parts(), &[4, 4, 4, 1]), Ok(placed), "it is one");
        }
    }

    #[test]
    fn groups_that_are_named_wrongly_are_named_back() {
        let group = |layer, group| Address { layer, group: Some(group) };
        let place = |lists: &[&[Address]]| {
            let lists: Vec<Vec<Address>> = lists.iter().map(|list| list.to_vec()).collect();
            Placement::named(&lists, &[2, 2, 1])
        };
        let named = place(&[&[0.into(), group(1, 1)], &[2.into(), group(1, 0)]]);
        assert_eq!(named.map(|placed| placed.parts().to_vec()), Ok(vec![vec![0, 1, 3], vec![2, 4]]));
        let twice = place(&[&[0.into(), 1.into()], &[2.into(), group(1, 0)]]);
        assert_eq!(twice, Err(PlacementError::Twice { address: group(1, 0), first: 0, second: 1 }));
        let missing = place(&[&[0.into()], &[2.into(), group(1, 0)]]);
        assert_eq!(missing, Err(PlacementError::Missing { address: group(1, 1) }));
        let unknown = place(&[&[0.into(), 1.into()], &[group(2, 1)]]);
        assert_eq!(unknown, Err(PlacementError::UnknownGroup { worker: 1, address: group(2, 1), groups: 1 }));
        let unknown = place(&[&[0.into(), 1.into()], &[3.into()]]);
        assert_eq!(unknown, Err(PlacementError::Unknown { worker: 1, layer: 3, last: 2 }));
    }
}
