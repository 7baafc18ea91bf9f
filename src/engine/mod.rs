//! Layers as actors: one tokio task per layer, and the coordinator that runs their phases.
//!
//! ```text
//! dataset ─► coordinator ─directive─►  layer 0 ─prediction─► layer 1 ─prediction─► … ─► layer L ◄─ target
//!                  ▲                          ◄───error────         ◄───error────
//!                  └────────────report───────────┴────────────────────┴───────────────────┘
//! ```
//!
//! [`Engine`] owns the runtime and is called from ordinary code: `present` a batch, `run_phase`, `collect`, `learn`. Two schedules
//! drive the same layers ([`Schedule`]); the third way to run a network, without any of this, is `crate::reference`.
//!
//! What can go wrong, and what happens: a layer that cannot do what it is told answers with a fault, which ends the call with
//! its sentence; a task that ends takes its neighbours with it by closing its mailboxes; a network in which nothing moves for
//! `stall` is reported with who waits for whom; a number that is not finite ends the phase as diverged with layer and unit.
//!
//! Read on: [`mod@mailbox`], `actor` (the task), `lock_step`, `free_running` (the two orders), `coordinator` (the phases).

mod actor;
mod coordinator;
mod free_running;
mod lock_step;
pub mod mailbox;
mod parts;
#[cfg(test)]
mod tests;
pub mod virtual_time;
mod whereabouts;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use actor::{Actor, Links};
use coordinator::Coordinator;
use mailbox::{Delivery, Gate, mailbox};
use parts::split;
use whereabouts::{Watchdog, Whereabouts};

use crate::layer::group::Group;
use crate::layer::{LayerSettings, Voice};
use crate::math::optimizer::OptimizerSpec;
use crate::math::{Field, Numerics, Real};
use crate::network::{FeedbackKind, NetworkSpec, Weights};
use crate::rule::{Plan, PlannedPhase};
use crate::settling::{Limits, PhaseRecord};
use crate::signal::{Directive, Extract, Message, Wanted};

/// In which order layers act.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Step `t` waits for the neighbours' step `t`: bit-identical to the reference.
    #[default]
    LockStep,
    /// Everyone at its own pace with the newest signals.
    FreeRunning,
}

/// How an engine runs its layers.
#[derive(Clone, Copy, Debug)]
pub struct EngineSettings {
    /// The order.
    pub schedule: Schedule,
    /// Threads; one: a single-threaded runtime on the caller's thread.
    pub threads: usize,
    /// What goes down in the free-running schedule.
    pub message: Message,
    /// η_x.
    pub rate: f64,
    /// The optimiser of every layer.
    pub optimizer: OptimizerSpec,
    /// How precisely states are held and signals said.
    pub numerics: Numerics,
    /// Nothing moves for this long: the network has stalled.
    pub stall: Duration,
}

/// Why the engine can't go on.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The runtime could not be started.
    #[error("the runtime with {threads} threads could not be started")]
    Runtime {
        /// Threads asked for.
        threads: usize,
        /// Why.
        source: std::io::Error,
    },
    /// The settling protocol counts versions per layer.
    #[error(
        "groups of neurons run in lock-step, not free-running: the settling protocol compares versions layer by layer"
    )]
    Groups,
    /// Feedback weights and precisions of single units are not cut.
    #[error(
        "layers cut into groups of neurons have tied feedback and one precision per layer: other matrices and lists are not cut"
    )]
    Whole,
    /// Noise and rounding are put on the signals of whole layers.
    #[error("limited precision is that of whole layers, not of groups of neurons")]
    ImpreciseGroups,
    /// In virtual time signals of an earlier phase may still come, and they are not deviations.
    #[error(
        "deviation variables are not simulated in virtual time: signals of an earlier phase may still be under way"
    )]
    NoDeviations,
    /// A layer could not do what it was told.
    #[error(transparent)]
    Layer(#[from] crate::layer::LayerError),
    /// Nothing moves.
    #[error("nothing moved for {seconds} s in phase {phase}: {whereabouts}")]
    Stalled {
        /// The phase.
        phase: u64,
        /// The watchdog's patience.
        seconds: f64,
        /// Who waits for whom.
        whereabouts: String,
    },
    /// A task is gone or spoke out of turn.
    #[error("layer {layer} lost a neighbour in phase {phase}: {whereabouts}")]
    LinkBroken {
        /// Who noticed.
        layer: usize,
        /// The phase.
        phase: u64,
        /// Who waits for whom.
        whereabouts: String,
    },
    /// A recount contradicted the reports it repeats; the protocol's proof says that this can't be.
    #[error("phase {phase}: a recount differs from the reports of layers at rest")]
    Recount {
        /// The phase.
        phase: u64,
    },
    /// A task is gone, and nobody is left to notice it.
    #[error("a layer has ended: {whereabouts}")]
    Ended {
        /// Who waits for whom.
        whereabouts: String,
    },
}

impl EngineError {
    /// Adds to a stall which signal nobody has heard.
    fn with(self, detector: &crate::settling::Detector) -> Self {
        match (self, detector.unheard()) {
            (Self::Stalled { phase, seconds, whereabouts }, Some((from, to))) => {
                let whereabouts = format!("{whereabouts}; layer {to} has not heard what layer {from} last said");
                Self::Stalled { phase, seconds, whereabouts }
            }
            (other, _) => other,
        }
    }
}

/// A network of actors.
pub struct Engine<T: Real> {
    runtime: Runtime,
    coordinator: Coordinator<T>,
    /// `[up, down]` between layers l and l + 1, at index l.
    gates: Vec<[Gate<T>; 2]>,
}

/// Directives that may wait at a layer; the coordinator never has more than a few outstanding.
const DIRECTIVES_MOST: usize = 64;
/// Reports that may wait at the coordinator before a layer waits to report.
const NEWS_MOST: usize = 1024;

impl<T: Real> Engine<T> {
    /// Starts one task per layer.
    pub fn new(network: &NetworkSpec, weights: Weights<T>, settings: EngineSettings) -> Result<Self, EngineError> {
        assert!(network.fits(&weights), "weights have the shapes of the network");
        if settings.schedule == Schedule::FreeRunning && network.groups_in_all() > network.depth() + 1 {
            return Err(EngineError::Groups);
        }
        let own_precisions = (1..network.depth()).any(|layer| network.unit_precision::<T>(layer).is_some());
        let whole = network.feedback() != FeedbackKind::Tied || own_precisions;
        if whole && network.groups_in_all() > network.depth() + 1 {
            return Err(EngineError::Whole);
        }
        if settings.numerics.acts() && network.groups_in_all() > network.depth() + 1 {
            return Err(EngineError::ImpreciseGroups);
        }
        let mut builder =
            if settings.threads == 1 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
        if settings.threads > 1 {
            builder.worker_threads(settings.threads);
        }
        let runtime = builder
            .enable_time()
            .build()
            .map_err(|source| EngineError::Runtime { threads: settings.threads, source })?;
        let voice = match settings.schedule {
            Schedule::LockStep => Voice::Adjoint,
            Schedule::FreeRunning => Voice::Plain(settings.message),
        };
        let EngineSettings { rate, optimizer, numerics, .. } = settings;
        let of_layer = LayerSettings { rate, optimizer, voice, numerics };
        let depth = network.depth();
        // Shared: a million neurons do not each need the widths of a million layers.
        let shared = Arc::new(network.clone());
        let places: Vec<(usize, usize)> =
            (0..=depth).flat_map(|layer| (0..network.groups(layer)).map(move |group| (layer, group))).collect();
        let cut = |layer| network.groups(layer) > 1;
        let names = places.iter().map(|&(layer, group)| (layer, cut(layer).then_some(group))).collect();
        let whereabouts = Arc::new(Whereabouts::new(names));
        let (news_out, news) = mpsc::channel(NEWS_MOST);
        let mut directives = Vec::with_capacity(places.len());
        let (links, gates) = links(network, settings.schedule);
        for (node, (&(layer, group), links)) in places.iter().zip(links).enumerate() {
            let (out, inbox) = mpsc::channel(DIRECTIVES_MOST);
            directives.push(out);
            let actor = Actor {
                layer: Group::new(&shared, layer, group, weights.get(layer), of_layer),
                node,
                links,
                directives: inbox,
                news: news_out.clone(),
                whereabouts: Arc::clone(&whereabouts),
                schedule: settings.schedule,
                // Parking and waking across threads costs some 25 µs, a poll that finds the signal a quarter of one.
                polls_before_parking: if settings.threads == 1 { 0 } else { 64 },
            };
            runtime.spawn(actor::run(actor));
        }
        let phase = 0;
        let (schedule, watchdog) = (settings.schedule, Watchdog::new(settings.stall));
        let nodes_before = |first: &mut usize, layer| {
            let here = *first;
            *first += network.groups(layer);
            Some(here)
        };
        let first_nodes = (0..=depth).scan(0, nodes_before).collect();
        let network = network.clone();
        let coordinator = Coordinator {
            schedule,
            network,
            first_nodes,
            watchdog,
            directives,
            news,
            whereabouts,
            phase,
            broken: None,
        };
        Ok(Self { runtime, coordinator, gates })
    }

    /// The gate of the link on which layer `from` speaks to its neighbour `to`; `None` if they are no neighbours.
    pub fn gate(&self, from: usize, to: usize) -> Option<Gate<T>> {
        let [up, down] = self.gates.get(from.min(to))?;
        match to.checked_sub(from) {
            Some(1) => Some(up.clone()),
            None if from - to == 1 => Some(down.clone()),
            _ => None,
        }
    }

    /// The number of the next batch, which noise is a function of; without it batches are numbered from 1.
    pub fn number(&mut self, batch: u64) -> Result<(), EngineError> {
        self.coordinator.tell_all(|| Directive::Number(batch))
    }

    /// Shows a batch: data (`n_0 × batch`) to the input, targets (`n_L × batch`) to the output, its size to everyone.
    pub fn present(&mut self, data: &Field<T>, target: &Field<T>) -> Result<(), EngineError> {
        let batch = data.ncols();
        let (mut data, mut target) = (Some(Arc::new(data.clone())), Some(Arc::new(target.clone())));
        let last = self.coordinator.layers() - 1;
        for layer in 0..=last {
            let data = if layer == 0 { data.take() } else { None };
            let target = if layer == last { target.take() } else { None };
            for node in self.coordinator.nodes_of(layer) {
                let (data, target) = (data.clone(), target.clone());
                self.coordinator.tell(node, Directive::Present { batch, data, target })?;
            }
        }
        Ok(())
    }

    /// Runs one phase to its end.
    pub fn run_phase(&mut self, planned: &PlannedPhase, limits: Limits) -> Result<PhaseRecord, EngineError> {
        self.runtime.block_on(self.coordinator.phase(planned, limits))
    }

    /// Adds the Hebbian products of phase `index` of a plan to every layer's estimate.
    pub fn collect(&mut self, plan: &Plan, index: usize) -> Result<(), EngineError> {
        let depth = self.coordinator.layers() - 1;
        (0..depth).try_for_each(|layer| {
            let coefficient = plan.coefficient(index, layer + 1, depth);
            let mut nodes = self.coordinator.nodes_of(layer);
            nodes.try_for_each(|node| self.coordinator.tell(node, Directive::Collect { coefficient }))
        })
    }

    /// Updates all weights from what was collected.
    pub fn learn(&mut self) -> Result<(), EngineError> {
        self.coordinator.tell_all(|| Directive::Learn)
    }

    /// Asks every layer for something, for a checkpoint or a comparison. In the order of the layers.
    pub fn extract(&mut self, wanted: Wanted) -> Result<Vec<Extract<T>>, EngineError> {
        self.runtime.block_on(self.coordinator.extract(wanted))
    }

    /// Gives layers 0 … L−1 other weights and, where given, optimiser states.
    pub fn install(&mut self, extracts: Vec<Extract<T>>) -> Result<(), EngineError> {
        for (layer, extract) in extracts.into_iter().enumerate() {
            let parts = split(&self.coordinator.network, layer, extract);
            for (node, part) in self.coordinator.nodes_of(layer).zip(parts) {
                self.coordinator.tell(node, Directive::Install(Box::new(part)))?;
            }
        }
        // A question after the directives brings back a refusal, if there is one.
        self.extract(Wanted::Weights).map(drop)
    }
}

/// The mailboxes of every group, and the gates between the first groups of neighbouring layers.
fn links<T>(network: &NetworkSpec, schedule: Schedule) -> (Vec<Links<T>>, Vec<[Gate<T>; 2]>) {
    let delivery = match schedule {
        Schedule::LockStep => Delivery::InOrder,
        Schedule::FreeRunning => Delivery::NewestWins,
    };
    let mut links: Vec<Links<T>> = (0..network.groups_in_all()).map(|_| Links::none()).collect();
    let mut gates = Vec::with_capacity(network.depth());
    let mut first = 0;
    for lower in 0..network.depth() {
        let (here, above) = (network.groups(lower), network.groups(lower + 1));
        for below in first..first + here {
            for upper in first + here..first + here + above {
                let (up, from_below) = mailbox(delivery);
                let (down, from_above) = mailbox(delivery);
                if (below, upper) == (first, first + here) {
                    gates.push([up.gate(), down.gate()]);
                }
                links[below].to_above.push(up);
                links[below].from_above.push(from_above);
                links[upper].from_below.push(from_below);
                links[upper].to_below.push(down);
            }
        }
        first += here;
    }
    (links, gates)
}
