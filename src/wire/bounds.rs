//! How many numbers may follow a head: worked out from the network's description, never from a length on the wire.
//!
//! Addressed are nodes: the layers, or where layers are cut their groups of neurons, counted through all layers.

use super::WireError;
use crate::network::NetworkSpec;

/// What limits the numbers that may follow a head.
#[derive(Clone, Copy, Debug)]
pub struct Bounds<'n> {
    /// The network.
    pub network: &'n NetworkSpec,
    /// The largest batch.
    pub batch_most: usize,
}

impl Bounds<'_> {
    /// Width of a layer.
    pub(super) fn layer(&self, layer: usize) -> Result<usize, WireError> {
        let depth = self.network.depth();
        let width = self.network.widths().get(layer).copied();
        width.ok_or_else(|| WireError::field("the layer", layer, format!("0 to {depth}")))
    }

    /// Layer and group of a node: the layer itself where none is cut.
    pub(super) fn place(&self, node: usize) -> Result<(usize, usize), WireError> {
        let place = self.network.place_of(node);
        place.ok_or_else(|| {
            let (field, nodes) = if self.network.is_cut() {
                ("the group", self.network.groups_in_all())
            } else {
                ("the layer", self.network.depth() + 1)
            };
            WireError::field(field, node, format!("0 to {}", nodes - 1))
        })
    }

    /// Width of the whole layer of a node.
    pub(super) fn width(&self, node: usize) -> Result<usize, WireError> {
        self.layer(self.place(node)?.0)
    }

    /// Units of the node itself.
    pub(super) fn own(&self, node: usize) -> Result<usize, WireError> {
        let (layer, group) = self.place(node)?;
        Ok(self.network.rows(layer, group).len())
    }

    pub(super) fn batch(&self, batch: usize) -> Result<usize, WireError> {
        let most = self.batch_most;
        if batch <= most { Ok(batch) } else { Err(WireError::field("the batch", batch, format!("at most {most}"))) }
    }

    /// Shape of the weights that a node owns.
    pub(super) fn weights(&self, node: usize) -> Result<(usize, usize), WireError> {
        Ok((self.layer(self.place(node)?.0 + 1)?, self.own(node)?))
    }
}
