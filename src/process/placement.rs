//! Which layers live in which worker process.
//!
//! ```text
//! cost of layer l = n_l · n_{l+1}      the product it computes up and the one it computes down; n_L at the output
//! cost of layer 0 = 0                  its one product of a phase is computed while all others wait for it
//! auto            = blocks of neighbouring layers whose dearest block is as cheap as it can be
//! ```

use std::fmt;

use crate::network::NetworkSpec;

/// For every worker its layers, ascending. Every layer is in exactly one of them, and every worker has one at least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement(Vec<Vec<usize>>);

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
    /// A layer in two places.
    #[error("layer {layer} is named twice, for worker {first} and worker {second}")]
    Twice {
        /// Which layer.
        layer: usize,
        /// Where first.
        first: usize,
        /// Where again.
        second: usize,
    },
    /// A layer nowhere.
    #[error("layer {layer} is given to no worker")]
    Missing {
        /// Which layer.
        layer: usize,
    },
}

impl Placement {
    /// Blocks of neighbouring layers, balanced by cost.
    pub fn auto(network: &NetworkSpec, workers: usize) -> Result<Self, PlacementError> {
        let widths = network.widths();
        let layers = widths.len();
        if workers == 0 || workers > layers {
            return Err(PlacementError::Workers { workers, layers });
        }
        let cost = |layer: usize| match layer {
            0 => 0,
            _ => widths[layer] as u128 * widths.get(layer + 1).map_or(1, |&above| above as u128),
        };
        let costs: Vec<u128> = (0..layers).map(cost).collect();
        // The least bound under which so many blocks are enough.
        let (mut low, mut high) = (costs.iter().copied().max().unwrap_or(0), costs.iter().sum());
        while low < high {
            let middle = low + (high - low) / 2;
            if blocks(&costs, middle).len() <= workers { high = middle } else { low = middle + 1 }
        }
        let mut placed = blocks(&costs, low);
        // Fewer may be enough; whoever is left over takes from the block with the most layers, which makes no block dearer.
        while placed.len() < workers {
            let longest = (0..placed.len()).max_by_key(|&block| (placed[block].len(), block)).unwrap_or(0);
            let half = placed[longest].len() / 2;
            let rest = placed[longest].split_off(half);
            placed.insert(longest + 1, rest);
        }
        Ok(Self(placed))
    }

    /// As somebody wants it.
    pub fn explicit(lists: &[Vec<usize>], layers: usize) -> Result<Self, PlacementError> {
        let mut home: Vec<Option<usize>> = vec![None; layers];
        for (worker, list) in lists.iter().enumerate() {
            if list.is_empty() {
                return Err(PlacementError::Empty { worker });
            }
            for &layer in list {
                match home.get_mut(layer) {
                    None => return Err(PlacementError::Unknown { worker, layer, last: layers - 1 }),
                    Some(Some(first)) => return Err(PlacementError::Twice { layer, first: *first, second: worker }),
                    Some(free) => *free = Some(worker),
                }
            }
        }
        if let Some(layer) = home.iter().position(Option::is_none) {
            return Err(PlacementError::Missing { layer });
        }
        let sorted = lists.iter().map(|list| {
            let mut list = list.clone();
            list.sort_unstable();
            list
        });
        Ok(Self(sorted.collect()))
    }

    /// How many workers.
    pub fn workers(&self) -> usize {
        self.0.len()
    }

    /// For every worker its layers.
    pub fn parts(&self) -> &[Vec<usize>] {
        &self.0
    }

    /// Where a layer lives.
    pub(super) fn home(&self, layer: usize) -> Option<usize> {
        self.0.iter().position(|part| part.contains(&layer))
    }

    /// Lower layers of the links that leave a worker: on which it is the lower side, and on which it is the upper.
    pub(super) fn borders(&self, worker: usize) -> [Vec<usize>; 2] {
        let own = &self.0[worker];
        let last = self.0.iter().flatten().copied().max().unwrap_or(0);
        let up = own.iter().copied().filter(|layer| *layer < last && !own.contains(&(layer + 1))).collect();
        let down =
            own.iter().filter(|layer| **layer > 0 && !own.contains(&(**layer - 1))).map(|layer| layer - 1).collect();
        [up, down]
    }
}

/// The fewest blocks none of which costs more than `most`.
fn blocks(costs: &[u128], most: u128) -> Vec<Vec<usize>> {
    let mut blocks = vec![Vec::new()];
    let mut sum = 0;
    for (layer, &cost) in costs.iter().enumerate() {
        let full = sum + cost > most && sum > 0;
        if full {
            blocks.push(Vec::new());
            sum = 0;
        }
        sum += cost;
        if let Some(block) = blocks.last_mut() {
            block.push(layer);
        }
    }
    blocks
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
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
        assert_eq!(place(&[&[0, 1], &[1, 2, 3]]), Err(PlacementError::Twice { layer: 1, first: 0, second: 1 }));
        assert_eq!(place(&[&[0, 1], &[3]]), Err(PlacementError::Missing { layer: 2 }));
        assert_eq!(place(&[&[0, 1, 2, 3], &[]]), Err(PlacementError::Empty { worker: 1 }));
        assert_eq!(place(&[&[0, 1], &[2, 3, 4]]), Err(PlacementError::Unknown { worker: 1, layer: 4, last: 3 }));
    }

    #[test]
    fn borders_are_where_neighbours_live_elsewhere() {
        let placed = Placement::explicit(&[vec![0, 2], vec![1, 3]], 4).expect("a placement");
        assert_eq!(placed.borders(0), [vec![0, 2], vec![1]]);
        assert_eq!(placed.borders(1), [vec![1], vec![0, 2]]);
        assert_eq!((placed.home(2), placed.home(4)), (Some(0), None));
    }
}
