//! How long a training step in lock-step takes on H hosts: a bound from below, of constants that are measured elsewhere.
//!
//! ```text
//! inference step = max( Σ c of the busiest host ,  c_l + c_{l+1} + T of the slowest link ,  (Σ c + Σ T) / cores )
//! training step  = f · weights + staging + exchanges · 2 α · max(1, H / cores) + bytes of the batch / β + steps · inference step
//! T              = 2 α + (bytes up + bytes down) / β
//! exchanges      = 1 for a wave, 2 for a phase of steps (the first states; the last ones), 2 for the update (prepare → vote, commit → applied)
//! ```
//!
//! c_l: computing of layer l, or of the share of it that lives on a host; α, β: latency and bandwidth of a link; f: what is done once per
//! training step (products at the ends of phases, the update), measured in one process and shared by the hosts as the weights are. How
//! many exchanges there are is counted in the protocols (`src/engine/coordinator.rs`, `src/transaction/`), not fitted. Staging is what a
//! transaction adds to an update: weights and optimiser are copied, and looked through for numbers that are not finite. Processes of one
//! machine share its cores, and there a latency is work: that is why links and exchanges are divided by them.
//!
//! In lock-step layer l answers its neighbour's prediction of every step, so a link is a cycle of a max-plus linear system, whose period
//! is its largest mean over cycles (Baccelli, Cohen, Olsder & Quadrat 1992, chapter 2). It is a bound from below: what else the
//! processors have to do, stragglers and lost packets are not in it.

/// Seconds, and bytes per second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wire {
    pub(super) name: &'static str,
    pub(super) latency: f64,
    pub(super) bandwidth: f64,
}

/// What one process needs, in seconds: per multiplication and addition, per number that is staged, and per weight once in a training step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Speed {
    pub(super) product: f64,
    pub(super) stage: f64,
    pub(super) once: f64,
}

/// What is done in a training step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deeds {
    pub(super) batch: usize,
    /// Phases in all, and those that make steps and are not one wave.
    pub(super) phases: [usize; 2],
    /// Of every phase that makes any.
    pub(super) steps: u64,
    /// Numbers that are kept per weight, its own included.
    pub(super) kept: usize,
}

/// A chain on hosts.
pub(super) struct Chain {
    pub(super) widths: Vec<usize>,
    /// Groups of every layer, and how many of them every host has.
    pub(super) groups: Vec<usize>,
    pub(super) parts: Vec<Vec<usize>>,
    pub(super) deeds: Deeds,
    pub(super) cores: usize,
}

impl Chain {
    /// Nodes are the groups, counted through all layers.
    pub(super) fn of_nodes(
        widths: &[usize],
        groups: &[usize],
        parts: &[Vec<usize>],
        deeds: Deeds,
        cores: usize,
    ) -> Self {
        let mut layers = Vec::new();
        groups.iter().enumerate().for_each(|(layer, &groups)| layers.extend(vec![layer; groups]));
        let count = |part: &Vec<usize>| {
            let mut counts = vec![0; groups.len()];
            part.iter().for_each(|&node| counts[layers[node]] += 1);
            counts
        };
        let parts = parts.iter().map(count).collect();
        Self { widths: widths.to_vec(), groups: groups.to_vec(), parts, deeds, cores }
    }

    /// Which part of a layer a host has.
    fn share(&self, host: usize, layer: usize) -> f64 {
        self.parts[host][layer] as f64 / self.groups[layer] as f64
    }

    /// Seconds that signals of one inference step are on their way between the part of `lower` here and that of the layer above there.
    fn travel(&self, lower: usize, here: usize, there: usize, wire: Wire) -> f64 {
        let heard = self.share(there, lower + 1) * (4 * self.widths[lower + 1] * self.deeds.batch) as f64;
        // Every group below says its share of all rows that are heard there; the groups there say their own rows of the error.
        let (up, down) = (self.parts[here][lower] as f64, self.parts[there][lower + 1] as f64);
        2.0 * wire.latency + (up * (64.0 + heard) + (64.0 * down + heard)) / wire.bandwidth
    }
}

/// Multiplications and additions of one inference step of a layer: the product up and the one down.
pub(super) fn products(widths: &[usize], layer: usize, batch: usize) -> f64 {
    let above = widths.get(layer + 1).copied().unwrap_or(0);
    if layer == 0 { 0.0 } else { 2.0 * (widths[layer] * above * batch) as f64 }
}

/// Weights and biases that a layer owns.
pub(super) fn numbers(widths: &[usize], layer: usize) -> f64 {
    ((widths[layer] + 1) * widths.get(layer + 1).copied().unwrap_or(0)) as f64
}

/// Coordinator to all and back, once per training step.
pub(super) fn exchanges(deeds: Deeds) -> usize {
    let [phases, of_steps] = deeds.phases;
    // A wave is told and reported. Where steps are made the first states are reported and gone on from, and the last reported.
    let inference = (phases - of_steps) + 2 * of_steps;
    // Prepare → vote, commit → applied.
    inference + 2
}

/// Seconds of a training step, and what bounds it.
pub(super) fn predict(chain: &Chain, speed: Speed, wire: Wire) -> (f64, &'static str) {
    let Chain { widths, parts, deeds, cores, .. } = chain;
    let layers = 0..widths.len();
    let compute: Vec<f64> = layers.clone().map(|l| speed.product * products(widths, l, deeds.batch)).collect();
    let most = |of: &dyn Fn(usize, usize) -> f64| {
        let of_host = |host| layers.clone().map(|l| chain.share(host, l) * of(host, l)).sum::<f64>();
        (0..parts.len()).map(of_host).fold(0.0, f64::max)
    };
    let used = (*cores).min(parts.len()) as f64;
    let busiest = most(&|_, l| compute[l]);
    let (mut slowest, mut travels) = (0.0_f64, 0.0);
    for lower in 1..widths.len() - 1 {
        let below: Vec<usize> = (0..parts.len()).filter(|&host| parts[host][lower] > 0).collect();
        let above: Vec<usize> = (0..parts.len()).filter(|&host| parts[host][lower + 1] > 0).collect();
        for (&here, &there) in below.iter().flat_map(|here| above.iter().map(move |there| (here, there))) {
            if here != there {
                let travel = chain.travel(lower, here, there, wire);
                let work =
                    chain.share(here, lower) * compute[lower] + chain.share(there, lower + 1) * compute[lower + 1];
                slowest = slowest.max(work + travel);
                travels += travel;
            }
        }
    }
    let shared = (compute.iter().sum::<f64>() + travels) / used;
    let step = busiest.max(shared).max(slowest);
    let inference = deeds.phases[1] as f64 * deeds.steps as f64 * step;
    // The products at the ends of phases and the update are as many as there are weights, and are shared as these are.
    let of_weights = |per: f64| {
        let all: f64 = layers.clone().map(|l| per * numbers(widths, l)).sum();
        most(&|_, l| per * numbers(widths, l)).max(all / used)
    };
    let mut once = of_weights(speed.once);
    if parts.len() > 1 {
        let crowd = (parts.len() as f64 / *cores as f64).max(1.0);
        let batch = (4 * deeds.batch * (widths[0] + widths[widths.len() - 1])) as f64;
        once += exchanges(*deeds) as f64 * 2.0 * wire.latency * crowd
            + batch / wire.bandwidth
            + of_weights(speed.stage * deeds.kept as f64);
    }
    let bound = if once > inference {
        "coordinator"
    } else if slowest >= busiest.max(shared) {
        "links"
    } else {
        "computing"
    };
    (once + inference, bound)
}
