//! Virtual time: the same layers driven by one queue of events, with clocks, delays and losses drawn from a seed. No tokio, no wall
//! clock: a run is a function of its configuration, and can be repeated event for event.
//!
//! ```text
//! a layer ticks by its clock       at a tick it hears what has arrived, takes a step, and speaks
//! a signal takes its time          it leaves, is delayed, lost, copied or overtaken, and waits to be heard at the next tick
//! at one and the same time         ticks, then predictions, then the errors said in answer, then errors
//! ```
//!
//! The last line is the exchange of lock-step, so that with equal clocks and no delays the results are lock-step's, bit for bit.
//! It also says what arrives exactly at a tick: it is heard after the step of that tick. So a constant delay of D periods is D
//! steps of staleness, for every D ≥ 0, and a wave climbs one layer in (⌊D/P⌋ + 1) P.
//!
//! The unit of model time τ is one nominal period (`clocks.period = 1`), that is, one inference step; in the time of
//! dx/dt = −∂E/∂x it is η_x. Times are whole multiples of 2⁻²⁰ τ.
//!
//! What survives a batch: weights, optimisers, versions. What is drawn is keyed by (seed, batch, layer or link, number).
//!
//! Layers may be dealt out to shards, which run on as many threads as there are and meet in windows. Shards and threads are matters
//! of speed: log, states and weights have the same bits on any number of them.
//!
//! Read on: [`kernel`] (the queue), [`clocks`], [`links`], `node` (a layer and its events), `network` (phases), [`record`];
//! [`shard`] (what crosses between shards), `windows` (how they keep together).

mod census;
pub mod clocks;
pub mod kernel;
pub mod links;
mod network;
mod node;
mod partition;
mod phases;
pub mod record;
pub mod shard;
mod stage;
mod watching;
mod windows;

pub use network::VirtualNetwork;

use clocks::{Clock, ClockLaws};
use links::{Inlet, LinkLaws, Outlet};
use node::Node;
use stage::Side;

use crate::layer::{Layer, LayerSettings, Voice};
use crate::math::optimizer::OptimizerSpec;
use crate::math::{Numerics, Real};
use crate::network::{NetworkSpec, Weights};
use crate::signal::Message;

/// Round trips of more steps than this make a layer wait until an error answers it.
const UNANSWERED_MOST: usize = 4096;

/// How a network runs in virtual time.
#[derive(Clone, Debug)]
pub struct VirtualSettings {
    /// Seed of everything that is drawn.
    pub seed: u64,
    /// What goes down.
    pub message: Message,
    /// η_x.
    pub rate: f64,
    /// The optimiser of every layer.
    pub optimizer: OptimizerSpec,
    /// Simulated precision.
    pub numerics: Numerics,
    /// One per layer.
    pub clocks: Vec<ClockLaws>,
    /// `[up, down]` between layers l and l + 1, at index l.
    pub links: Vec<[LinkLaws; 2]>,
    /// A phase that has had more events at the end of a period is broken off.
    pub events_most: u64,
    /// Into how many shards the layers are cut, at most.
    pub shards: usize,
    /// On how many threads they run, at most.
    pub threads: usize,
}

impl VirtualSettings {
    /// Lock-step: equal clocks, ideal links.
    pub fn in_step(layers: usize, message: Message, rate: f64, optimizer: OptimizerSpec) -> Self {
        let (clocks, links) = (vec![ClockLaws::default(); layers], vec![[LinkLaws::default(); 2]; layers - 1]);
        let numerics = Numerics::default();
        let (events_most, shards, threads) = (u64::MAX, 1, 1);
        Self { seed: 0, message, rate, optimizer, numerics, clocks, links, events_most, shards, threads }
    }

    /// True if all clocks are even and alike and all links ideal.
    pub fn is_in_step(&self) -> bool {
        let even = |law: &ClockLaws| law.period.constant().is_some() && law.offset.constant().is_some();
        let alike = self.clocks.windows(2).all(|pair| pair[0] == pair[1]);
        alike && self.clocks.iter().all(even) && self.links.iter().flatten().all(LinkLaws::is_ideal)
    }
}

/// The layers with their clocks and links. Link 2l leads up from layer l, link 2l + 1 down to it.
fn wiring<T: Real>(network: &NetworkSpec, weights: Weights<T>, settings: &VirtualSettings) -> Vec<Node<T>> {
    // In step nothing is ever stale, and as in lock-step `d` itself goes down, whatever the message.
    let voice = if settings.is_in_step() { Voice::Adjoint } else { Voice::Plain(settings.message) };
    let VirtualSettings { rate, optimizer, numerics, .. } = *settings;
    let of_layer = LayerSettings { rate, optimizer, voice, numerics };
    let mut parameters = weights.into_iter();
    let side = |gap: usize, up: bool, to: usize| {
        let [upward, downward] = settings.links[gap];
        let (out, back) = if up { (upward, downward) } else { (downward, upward) };
        let link = 2 * gap as u32 + u32::from(!up);
        let outlet = Outlet::new(link, to as u32, out, settings.seed);
        Side { outlet, inlet: Inlet::new(&back) }
    };
    (0..=network.depth())
        .map(|index| {
            let mut layer = Layer::new(network, index, parameters.next(), of_layer);
            layer.set_unanswered_most(UNANSWERED_MOST);
            let below = index.checked_sub(1).map(|lower| side(lower, false, lower));
            let above = (index < network.depth()).then(|| side(index, true, index + 1));
            Node::new(layer, Clock::new(settings.clocks[index], settings.seed, index), below, above)
        })
        .collect()
}
