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
//! Layers may be cut into groups of neurons: then every group is a node with a clock of its own and a link of its own to every group
//! next door, which have the laws of the layer but their own draws. Where nothing is late the bits are those of groups in lock-step.
//!
//! Layers may be dealt out to shards, which run on as many threads as there are and meet in windows. Shards and threads are matters
//! of speed: log, states and weights have the same bits on any number of them.
//!
//! Read on: [`kernel`] (the queue), [`clocks`], [`links`], `node` (a layer and its events), [`wiring`] (who is connected with whom), `network` (phases), [`record`];
//! [`shard`] and [`errand`] (what crosses between shards, which may live in several processes), `windows` (how they keep together).

mod census;
pub mod clocks;
pub mod errand;
mod hearing;
pub mod kernel;
pub(crate) mod laws;
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
pub mod wiring;

pub use network::VirtualNetwork;
pub(in crate::engine) use stage::rank::{
    ACKNOWLEDGED as RANK_ACKNOWLEDGED, ERROR as RANK_ERROR, PREDICTION as RANK_PREDICTION,
};

use std::collections::BTreeMap;

use clocks::ClockLaws;
use links::LinkLaws;

use crate::math::Numerics;
use crate::math::optimizer::OptimizerSpec;
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
    /// What is different for single groups, as (layer, group).
    pub group_clocks: BTreeMap<(usize, usize), ClockLaws>,
    /// What is different from one group to another.
    pub group_links: BTreeMap<[(usize, usize); 2], LinkLaws>,
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
        let (group_clocks, group_links) = (BTreeMap::new(), BTreeMap::new());
        Self {
            seed: 0,
            message,
            rate,
            optimizer,
            numerics,
            clocks,
            links,
            group_clocks,
            group_links,
            events_most,
            shards,
            threads,
        }
    }

    /// True if all clocks are even and alike and all links ideal.
    pub fn is_in_step(&self) -> bool {
        let even = |law: &ClockLaws| law.period.constant().is_some() && law.offset.constant().is_some();
        let alike = self.all_clocks().zip(self.all_clocks().skip(1)).all(|(one, next)| one == next);
        let mut links = self.links.iter().flatten().chain(self.group_links.values());
        alike && self.all_clocks().all(even) && links.all(LinkLaws::is_ideal)
    }

    /// The laws of the layers' clocks, and of those that are different.
    fn all_clocks(&self) -> impl Iterator<Item = &ClockLaws> {
        self.clocks.iter().chain(self.group_clocks.values())
    }

    /// By what a group ticks, as (layer, group).
    pub fn clock(&self, place: (usize, usize)) -> ClockLaws {
        self.group_clocks.get(&place).copied().unwrap_or(self.clocks[place.0])
    }

    /// What befalls signals from one group to another next door.
    pub fn link(&self, from: (usize, usize), to: (usize, usize)) -> LinkLaws {
        let [up, down] = self.links[from.0.min(to.0)];
        self.group_links.get(&[from, to]).copied().unwrap_or(if from.0 < to.0 { up } else { down })
    }
}
