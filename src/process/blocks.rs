//! Blocks of neighbouring layers whose dearest is as cheap as it can be: what `auto` stands for in a placement. What a layer costs is said
//! in [`super::placement`], and so are the tests.

use super::placement::PlacementError;

/// Blocks of neighbouring layers, balanced by cost.
pub(super) fn by_cost(widths: &[usize], workers: usize) -> Result<Vec<Vec<usize>>, PlacementError> {
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
    Ok(placed)
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
