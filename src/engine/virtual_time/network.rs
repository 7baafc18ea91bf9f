//! The driver: a whole network in virtual time, with the face of the engine.
//!
//! How a phase runs depends on what the clocks and links are:
//!
//! - **in step** (all clocks even and alike, all links ideal): every moment between two ticks is a consistent cut, so phases run and
//!   are looked at exactly as in lock-step, and have its bits;
//! - **to a budget** (`tolerance = 0`): every layer takes its steps at its own ticks, then answers until all is heard;
//! - **to rest** (a tolerance, or a first arrival): layers rest and wake by the settling protocol.
//!
//! A phase is over when no event is left. Then nothing moves and nothing is under way, and the reports at that moment belong to one
//! state of the network; it is called settled only if [`Detector`] agrees that all rest and nothing spoken is unheard, and every
//! residual is within the tolerance. If something was lost for good, the reason is that. While layers move, the driver counts
//! every `check_every` periods, as the coordinator does on the wall clock, and may halt a phase as a plateau or as diverged
//! (`census`). Events are done by shards in windows (`windows`), which is invisible from here: only speed depends on it.

use std::sync::Arc;

use super::VirtualSettings;
use super::kernel::Time;
use super::node::{Node, Pace};
use super::partition::{Partition, cut};
use super::record::EventLog;
use super::shard::Shard;
use super::stage::Side;
use super::wiring::{can_run, links_in_all, loads, spans, wiring};
use crate::engine::EngineError;
use crate::engine::parts::{join_extracts, split};
use crate::math::{Field, Real};
use crate::network::{NetworkSpec, Weights};
use crate::rule::{Plan, PlannedPhase};
use crate::settling::{Limits, PhaseRecord, Settler};
use crate::signal::{Directive, Extract, Message, Motion, Phase, Reading, Wanted};

/// A network of layers driven by one order of events.
pub struct VirtualNetwork<T: Real> {
    pub(super) network: Arc<NetworkSpec>,
    pub(super) shards: Vec<Shard<T>>,
    /// The shards as they are while nobody watches.
    pub(super) partition: Partition,
    pub(super) lookahead: Time,
    pub(super) threads: usize,
    pub(super) log: Option<EventLog>,
    pub(super) now: Time,
    pub(super) phase: u64,
    batch: u64,
    in_step: bool,
    message: Message,
    imprecise: bool,
    /// The longest mean period of any clock.
    pub(super) beat: Time,
    pub(super) events_most: u64,
    pub(super) events: u64,
}

impl<T: Real> VirtualNetwork<T> {
    /// Nothing has happened yet.
    pub fn new(network: &NetworkSpec, weights: Weights<T>, settings: &VirtualSettings) -> Self {
        assert!(network.fits(&weights), "weights have the shapes of the network");
        let depth = network.depth();
        assert_eq!((settings.clocks.len(), settings.links.len()), (depth + 1, depth), "laws for every layer and link");
        let beat = settings
            .clocks
            .iter()
            .chain(settings.group_clocks.values())
            .map(|clock| clock.period.mean())
            .fold(0.0, f64::max);
        let network = Arc::new(network.clone());
        let nodes = wiring(&network, &weights, settings);
        let partition = cut(&loads(&network), &spans(&network, settings), settings.shards.max(1));
        let mut network = Self {
            network,
            shards: vec![Shard::new(0..nodes.len(), nodes)],
            lookahead: partition.lookahead,
            partition,
            threads: settings.threads.max(1),
            log: None,
            now: Time(0),
            phase: 0,
            batch: 0,
            in_step: settings.is_in_step(),
            message: settings.message,
            imprecise: settings.numerics.acts(),
            beat: Time::of(beat).max(Time::TICK),
            events_most: settings.events_most,
            events: 0,
        };
        network.divide(network.partition.clone());
        network
    }

    /// Into how many shards its layers are cut. Fewer than the settings ask for, if there are not so many layers or if links may
    /// deliver at once: between such layers there is no cut.
    pub fn shards(&self) -> usize {
        self.partition.shards.len()
    }

    /// No signal between two shards is faster.
    pub fn lookahead(&self) -> Option<Time> {
        (self.shards() > 1).then_some(self.partition.lookahead)
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node<T>> {
        self.shards.iter().flat_map(|shard| &shard.nodes)
    }

    pub(super) fn nodes_mut(&mut self) -> impl Iterator<Item = &mut Node<T>> {
        self.shards.iter_mut().flat_map(|shard| &mut shard.nodes)
    }

    /// Deals the nodes out anew. Between phases nothing is under way, so nothing else has to move.
    pub(super) fn divide(&mut self, partition: Partition) {
        let mut nodes = std::mem::take(&mut self.shards).into_iter().flat_map(|shard| shard.nodes);
        let shards = partition.shards.into_iter();
        self.shards =
            shards.map(|range| Shard::new(range.clone(), nodes.by_ref().take(range.len()).collect())).collect();
        self.lookahead = partition.lookahead;
    }

    /// True if the clocks and links make it lock-step.
    pub fn is_in_step(&self) -> bool {
        self.in_step
    }

    /// Virtual time since the batch was presented.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Events since the network was made.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Batches presented so far: random numbers are keyed by it.
    pub fn batches(&self) -> u64 {
        self.batch
    }

    /// Goes on counting batches from here, for a run that is resumed.
    pub fn set_batches(&mut self, batches: u64) {
        self.batch = batches;
    }

    /// The number of the next batch, which noise is a function of; without it batches are numbered from 1.
    ///
    /// # Errors
    /// None: every layer takes a number.
    pub fn number(&mut self, batch: u64) -> Result<(), EngineError> {
        self.nodes_mut().try_for_each(|node| node.layer.hear_directive(Directive::Number(batch)).map(drop))?;
        Ok(())
    }

    /// Shows a batch: data (`n_0 × batch`) to the input, targets (`n_L × batch`) to the output, its size to everyone.
    ///
    /// # Errors
    /// A layer that cannot take it.
    pub fn present(&mut self, data: &Field<T>, target: &Field<T>) -> Result<(), EngineError> {
        let size = data.ncols();
        let (data, target) = (Arc::new(data.clone()), Arc::new(target.clone()));
        self.batch += 1;
        self.shards.iter_mut().for_each(Shard::clear);
        // Nothing is left of the batch before, so that times do not depend on how many there were.
        self.now = Time(0);
        let (batch, last) = (self.batch, self.network.depth());
        for node in self.nodes_mut() {
            let layer = node.layer.index();
            let data = (layer == 0).then(|| Arc::clone(&data));
            let target = (layer == last).then(|| Arc::clone(&target));
            node.turn_to(batch, Directive::Present { batch: size, data, target })?;
        }
        Ok(())
    }

    /// Shows the input other data of the same size (`n_0 × batch`) in the middle of a batch: a wave upward.
    ///
    /// # Errors
    /// Data that do not fit the input.
    pub fn show(&mut self, data: &Field<T>) -> Result<(), EngineError> {
        let data = Arc::new(data.clone());
        let mut inputs = self.nodes_mut().take_while(|node| node.layer.index() == 0);
        inputs.try_for_each(|input| input.layer.hear_directive(Directive::Show(Arc::clone(&data))).map(drop))?;
        Ok(())
    }

    /// Runs one phase to its end.
    ///
    /// # Errors
    /// A layer that cannot do what the phase asks.
    pub fn run_phase(&mut self, planned: &PlannedPhase, limits: Limits) -> Result<PhaseRecord, EngineError> {
        if matches!(planned.motion, Motion::Deviate { .. }) {
            return Err(EngineError::NoDeviations);
        }
        can_run::<T>(&self.network, (self.in_step, self.message, self.imprecise), planned)?;
        self.phase += 1;
        let depth = self.network.depth() as u64;
        let PlannedPhase { motion, reading, .. } = *planned;
        let first_arrival = matches!(reading, Reading::FirstArrival(_));
        let clocked = self.in_step || (!first_arrival && limits.tolerance == 0.0);
        let steps = match (first_arrival, self.in_step) {
            // In step the error walks down one layer at every tick; else each layer moves once, when it arrives.
            (true, true) => depth - 1,
            (true, false) => 1,
            // Lock-step begins with a look at step 0.
            (false, true) => 0,
            (false, false) => limits.steps_max,
        };
        let tolerance = if first_arrival { 0.0 } else { limits.tolerance };
        let phase = Phase { number: self.phase, motion, steps, tolerance, reading };
        for shard in &mut self.shards {
            (shard.stage.now, shard.stage.phase, shard.stage.arrived) = (self.now, self.phase, 0);
            for node in &mut shard.nodes {
                let pace = match motion {
                    Motion::Forward => Pace::Wave { done: false },
                    _ if clocked => Pace::Clocked { until: steps },
                    _ => Pace::Resting(Settler::new(tolerance, steps)),
                };
                node.begin(phase, pace, &mut shard.stage)?;
            }
        }
        self.say_again();
        let record = match motion {
            Motion::Forward => self.wave(),
            _ => match (first_arrival, clocked, self.in_step) {
                (true, _, false) => self.first_arrival(),
                (true, _, true) | (false, true, false) => self.budget(),
                (false, true, true) => self.lock_step(limits),
                (false, false, _) => self.rest(limits),
            },
        }?;
        self.shards.iter_mut().for_each(Shard::clear);
        for node in self.nodes_mut() {
            node.sides_mut().for_each(|side| side.outlet.forget_the_future());
            if planned.remember {
                node.layer.hear_directive(Directive::Remember)?;
            }
        }
        Ok(record)
    }

    /// Adds the Hebbian products of phase `index` of a plan to every layer's estimate.
    ///
    /// # Errors
    /// A layer that has heard nothing to learn from.
    pub fn collect(&mut self, plan: &Plan, index: usize) -> Result<(), EngineError> {
        let depth = self.network.depth();
        for node in self.nodes_mut().filter(|node| node.layer.index() < depth) {
            let layer = node.layer.index();
            let coefficient = plan.coefficient(index, layer + 1, depth);
            node.layer.hear_directive(Directive::Collect { coefficient })?;
        }
        Ok(())
    }

    /// Updates all weights from what was collected.
    ///
    /// # Errors
    /// A layer that has collected nothing.
    pub fn learn(&mut self) -> Result<(), EngineError> {
        self.nodes_mut().try_for_each(|node| node.layer.hear_directive(Directive::Learn).map(drop))?;
        Ok(())
    }

    /// Asks every node for something. In their order; where layers are whole, they are the nodes.
    ///
    /// # Errors
    /// A node that does not have it.
    pub fn extract_of_nodes(&mut self, wanted: Wanted) -> Result<Vec<Extract<T>>, EngineError> {
        let mut extracts = Vec::new();
        for node in self.nodes_mut() {
            extracts.extend(node.layer.hear_directive(Directive::Extract(wanted))?);
        }
        Ok(extracts)
    }

    /// Asks every layer for something, for a checkpoint or a comparison. In the order of the layers.
    ///
    /// # Errors
    /// A layer that does not have it, or whose groups cannot put it together.
    pub fn extract(&mut self, wanted: Wanted) -> Result<Vec<Extract<T>>, EngineError> {
        let extracts = self.extract_of_nodes(wanted)?;
        join_extracts(&self.network, extracts).ok_or(EngineError::Whole)
    }

    /// Gives layers 0 … L−1 other weights and, where given, optimiser states.
    ///
    /// # Errors
    /// A layer that they do not fit.
    pub fn install(&mut self, extracts: Vec<Extract<T>>) -> Result<(), EngineError> {
        let network = Arc::clone(&self.network);
        let extracts = extracts.into_iter().enumerate().flat_map(|(layer, extract)| split(&network, layer, extract));
        for (node, extract) in self.nodes_mut().zip(extracts) {
            node.layer.hear_directive(Directive::Install(Box::new(extract)))?;
        }
        Ok(())
    }

    /// What a phase that was broken off left unheard is sent once more.
    fn say_again(&mut self) {
        let heard = self.heard();
        for shard in &mut self.shards {
            for (from, node) in (shard.stage.own.start..).zip(&mut shard.nodes) {
                for Side { outlet, .. } in node.sides_mut() {
                    if outlet.version() > heard[outlet.link as usize] {
                        outlet.tally.resent += 1;
                        shard.stage.send(outlet, from);
                    }
                }
            }
        }
    }

    /// The version last heard on every link, by its number.
    pub(super) fn heard(&self) -> Vec<u64> {
        let mut heard = vec![0; links_in_all(&self.network)];
        for side in self.nodes().flat_map(Node::sides) {
            // What comes in at a side came by the other direction, whose number is beside that of this one.
            heard[(side.outlet.link ^ 1) as usize] = side.inlet.heard;
        }
        heard
    }
}
