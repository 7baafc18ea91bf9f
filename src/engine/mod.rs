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
//! Read on: [`mod@mailbox`] and `hall` (the links), `actor` (the task), `lock_step`, `free_running` (the two orders), `coordinator`
//! (the phases), `transacting` (updates where processes may die).

pub(crate) mod actor;
pub mod afar;
mod asking;
mod census;
pub(crate) mod coordinator;
pub(crate) mod crash;
mod error;
mod free_groups;
mod free_running;
mod hall;
mod halls;
pub(crate) mod line;
mod lock_step;
pub mod mailbox;
pub(crate) mod part;
mod parts;
mod quiet;
pub(crate) mod remote;
#[cfg(test)]
mod tests;
mod transacting;
pub mod transport;
pub mod virtual_time;
pub mod wall_clock;
pub(crate) mod whereabouts;
mod wiring;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use actor::{Actor, Common, Life, Presence};
use coordinator::Coordinator;
pub use error::{EngineError, Loss, Member, Severed};
use hall::Counter;
use mailbox::{Delivery, Gate};
use parts::split;
use transport::Transport;
use wall_clock::{WallClock, WallLaws};
use whereabouts::Whereabouts;
use wiring::{Chain, chain};

use crate::layer::group::Group;
use crate::layer::{LayerSettings, Voice};
use crate::math::optimizer::OptimizerSpec;
use crate::math::{Field, Numerics, Real};
use crate::network::{FeedbackKind, NetworkSpec, Weights};
use crate::rule::{Plan, PlannedPhase};
use crate::settling::{Limits, Outstanding, PhaseRecord};
use crate::signal::{Directive, Extract, Message, Reading, Wanted};

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

impl Schedule {
    /// What becomes of a signal that was not heard when the next one comes.
    pub(crate) fn delivery(self) -> Delivery {
        match self {
            Self::LockStep => Delivery::InOrder,
            Self::FreeRunning => Delivery::NewestWins,
        }
    }
}

impl EngineSettings {
    /// The same for each of its layers.
    fn of_layer(&self) -> LayerSettings {
        let voice = match self.schedule {
            Schedule::LockStep => Voice::Adjoint,
            Schedule::FreeRunning => Voice::Plain(self.message),
        };
        LayerSettings { rate: self.rate, optimizer: self.optimizer, voice, numerics: self.numerics }
    }

    // Parking and waking across threads costs some 25 µs, a poll that finds the signal a quarter of one.
    fn polls_before_parking(&self) -> u32 {
        if self.threads == 1 { 0 } else { 64 }
    }
}

/// Groups of neurons, and what passes between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Groups, each an actor.
    pub actors: usize,
    /// Links between them, each in one direction.
    pub links: usize,
    /// Signals that were said so far on all of them.
    pub messages: u64,
}

/// A network of actors.
pub struct Engine<T: Real> {
    /// Dropped first: with it end the tasks that hold connections.
    runtime: Runtime,
    coordinator: Coordinator<T>,
    /// `[up, down]` between layers l and l + 1, at index l; none where the layers live in other processes.
    gates: Vec<[Gate<T>; 2]>,
    /// What groups say to each other; none where layers are whole.
    counters: Vec<Counter<T>>,
    /// The largest batch, where processes had to be told.
    batch_most: Option<usize>,
    /// The tasks that speak with those processes.
    conversations: Vec<JoinHandle<()>>,
    /// Who looks after the processes, or keeps the time.
    _guard: Option<Box<dyn std::any::Any + Send>>,
}

/// Time for processes to hear that they are not needed any more.
const FAREWELL: Duration = Duration::from_secs(3);

/// Reports that may wait at the coordinator before a layer waits to report.
pub(crate) const NEWS_MOST: usize = 1024;

impl<T: Real> Engine<T> {
    /// Starts one task per layer.
    pub fn new(network: &NetworkSpec, weights: Weights<T>, settings: EngineSettings) -> Result<Self, EngineError> {
        Self::with_transport(network, weights, settings, Transport::InProcess)
    }

    /// The same, with every link on this transport. All but the first carry bytes between two pumps instead of sharing a mailbox.
    pub fn with_transport(
        network: &NetworkSpec,
        weights: Weights<T>,
        settings: EngineSettings,
        transport: Transport,
    ) -> Result<Self, EngineError> {
        Self::with_laws(network, weights, settings, transport, None)
    }

    /// The same, free-running, with clocks and links that take their time (`wall_clock`).
    pub fn with_laws(
        network: &NetworkSpec,
        weights: Weights<T>,
        settings: EngineSettings,
        transport: Transport,
        laws: Option<WallLaws>,
    ) -> Result<Self, EngineError> {
        assert!(network.fits(&weights), "weights have the shapes of the network");
        let places = places(network);
        can_be_cut::<T>(network, &settings)?;
        if network.is_cut() && transport != Transport::InProcess {
            return Err(EngineError::Together);
        }
        assert!(
            laws.is_none() || settings.schedule == Schedule::FreeRunning,
            "laws are imposed on free-running layers"
        );
        let runtime = runtime(settings.threads, transport)?;
        let unstarted = |source| EngineError::Runtime { threads: settings.threads, source };
        let wall = WallClock::start(laws).map_err(unstarted)?;
        // Shared: a million neurons do not each need the widths of a million layers.
        let (shared, of_layer) = (Arc::new(network.clone()), Arc::new(settings.of_layer()));
        let (whereabouts, outstanding) = (Arc::new(Whereabouts::of(network)), Arc::new(Outstanding::default()));
        let (news_out, news) = mpsc::channel(NEWS_MOST);
        let mut directives = Vec::with_capacity(places.len());
        let wired = runtime.block_on(chain(network, settings.schedule, transport, &news_out, wall.imposes()));
        let Chain { links, gates, counters } = wired.map_err(|source| EngineError::Links { transport, source })?;
        let common = Arc::new(Common {
            news: news_out,
            outstanding: Arc::clone(&outstanding),
            schedule: settings.schedule,
            polls_before_parking: settings.polls_before_parking(),
        });
        for (node, ((layer, group), mut links)) in places.into_iter().zip(links).enumerate() {
            let (out, inbox) = line::line();
            directives.push(out);
            runtime.spawn(Life::begin(Actor {
                presence: Presence { whereabouts: Arc::clone(&whereabouts), node },
                beat: wall.impose((network, node), &mut links, &outstanding),
                recorder: wall.recorder(),
                layer: wall.patient(Group::new(&shared, layer, group, weights.get(layer), &of_layer)),
                links,
                directives: inbox,
                common: Arc::clone(&common),
            }));
        }
        let coordinator = Coordinator::new(&shared, &settings, directives, news, whereabouts).of_groups(outstanding);
        let (conversations, guard) = (Vec::new(), Some(Box::new(wall) as Box<dyn std::any::Any + Send>));
        Ok(Self { runtime, coordinator, gates, counters, batch_most: None, conversations, _guard: guard })
    }

    /// Layers that live in other processes, behind these lines, which `conversations` carry; `guard` is dropped after the connections.
    pub(crate) fn spread(
        runtime: Runtime,
        coordinator: Coordinator<T>,
        batch_most: usize,
        (conversations, guard): (Vec<JoinHandle<()>>, Box<dyn std::any::Any + Send>),
    ) -> Self {
        let (gates, counters) = (Vec::new(), Vec::new());
        let batch_most = Some(batch_most);
        Self { runtime, coordinator, gates, counters, batch_most, conversations, _guard: Some(guard) }
    }

    /// Says farewell to processes that run layers, and waits a moment for them to go. If it is merely dropped they are cut off, which
    /// to them is the death of their coordinator.
    pub fn dismiss(self) {
        let Self { runtime, coordinator, conversations, .. } = self;
        // With it end the lines, and at the end of a line stands the farewell.
        drop(coordinator);
        if !conversations.is_empty() {
            let gone = futures::future::join_all(conversations);
            // Whoever is not gone by then is cut off after all.
            runtime.block_on(async { tokio::time::timeout(FAREWELL, gone).await.is_ok() });
        }
    }

    /// The gate of the link on which layer `from` speaks to its neighbour `to`; `None` if they are no neighbours, or are cut.
    pub fn gate(&self, from: usize, to: usize) -> Option<Gate<T>> {
        let [up, down] = self.gates.get(from.min(to))?;
        match to.checked_sub(from) {
            Some(1) => Some(up.clone()),
            None if from - to == 1 => Some(down.clone()),
            _ => None,
        }
    }

    /// How many groups there are, and what passed between them so far; `None` where layers are whole.
    pub fn traffic(&self) -> Option<Traffic> {
        let (actors, links) = (self.coordinator.nodes(), self.counters.iter().map(Counter::links).sum());
        let messages = self.counters.iter().map(Counter::messages).sum();
        (!self.counters.is_empty()).then_some(Traffic { actors, links, messages })
    }

    /// The number of the next batch, which noise is a function of; without it batches are numbered from 1.
    pub fn number(&mut self, batch: u64) -> Result<(), EngineError> {
        self.coordinator.tell_all(|| Directive::Number(batch))
    }

    /// Shows a batch: data (`n_0 × batch`) to the input, targets (`n_L × batch`) to the output, its size to everyone.
    pub fn present(&mut self, data: &Field<T>, target: &Field<T>) -> Result<(), EngineError> {
        let batch = data.ncols();
        if let Some(most) = self.batch_most.filter(|most| batch > *most) {
            return Err(EngineError::Batch { batch, most });
        }
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
        if planned.reading != Reading::AtEnd && self.coordinator.groups_run_free() {
            return Err(EngineError::Partial);
        }
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

    /// Asks every layer for something, for a checkpoint or a comparison. In the order of the layers.
    pub fn extract(&mut self, wanted: Wanted) -> Result<Vec<Extract<T>>, EngineError> {
        // Layers elsewhere have journals too, but those do not travel.
        if wanted == Wanted::Journal && self.batch_most.is_some() {
            return Err(EngineError::Journals);
        }
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

/// Layer and group of every node.
fn places(network: &NetworkSpec) -> Vec<(usize, usize)> {
    (0..=network.depth()).flat_map(|layer| (0..network.groups(layer)).map(move |group| (layer, group))).collect()
}

/// What belongs to whole layers only.
pub(crate) fn can_be_cut<T: Real>(network: &NetworkSpec, settings: &EngineSettings) -> Result<(), EngineError> {
    if !network.is_cut() {
        return Ok(());
    }
    if settings.schedule == Schedule::FreeRunning && settings.message != Message::Error {
        return Err(EngineError::Echoes);
    }
    let own_precisions = (1..network.depth()).any(|layer| network.unit_precision::<T>(layer).is_some());
    if network.feedback() != FeedbackKind::Tied || own_precisions {
        return Err(EngineError::Whole);
    }
    if settings.numerics.acts() {
        return Err(EngineError::ImpreciseGroups);
    }
    Ok(())
}

/// A runtime for the actors, with I/O only where there are sockets: its way of waiting costs a system call more.
fn runtime(threads: usize, transport: Transport) -> Result<Runtime, EngineError> {
    let mut builder = if threads == 1 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    if threads > 1 {
        builder.worker_threads(threads);
    }
    if matches!(transport, Transport::Unix | Transport::Tcp) {
        builder.enable_io();
    }
    builder.enable_time().build().map_err(|source| EngineError::Runtime { threads, source })
}
