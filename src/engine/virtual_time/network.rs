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

use std::any::Any;
use std::sync::Arc;

use super::VirtualSettings;
use super::errand::{Errand, Gait, Opening, Reply};
use super::kernel::Time;
use super::partition::{Partition, cut};
use super::record::EventLog;
use super::shard::{Member, Shard, ask_all};
use super::wiring::{can_run, loads, spans, wiring};
use crate::engine::EngineError;
use crate::engine::parts::{join_extracts, split};
use crate::math::{Field, Real};
use crate::network::{NetworkSpec, Weights};
use crate::rule::{Plan, PlannedPhase};
use crate::settling::{Limits, PhaseRecord};
use crate::signal::{Directive, Extract, Message, Motion, Phase, Reading, Wanted};

/// A network of layers driven by one order of events. Its nodes are shards in this process, or live with members elsewhere.
pub struct VirtualNetwork<T: Real, M: Member<T> = Shard<T>> {
    pub(super) network: Arc<NetworkSpec>,
    pub(in crate::engine) members: Vec<M>,
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
    /// The largest batch, where processes had to be told.
    batch_most: Option<usize>,
    pub(super) numbers: std::marker::PhantomData<T>,
    /// Who looks after members elsewhere; dropped after their connections.
    _guard: Option<Box<dyn Any + Send>>,
}

impl<T: Real> VirtualNetwork<T> {
    /// Nothing has happened yet.
    pub fn new(network: &NetworkSpec, weights: Weights<T>, settings: &VirtualSettings) -> Self {
        assert!(network.fits(&weights), "weights have the shapes of the network");
        let shared = Arc::new(network.clone());
        let nodes = wiring(&shared, &|layer| weights.get(layer), settings, 0..network.groups_in_all());
        let partition = cut(&loads(network), &spans(network, settings), settings.shards.max(1));
        let whole = vec![Shard::new(0..nodes.len(), nodes)];
        let mut network = Self::of_members(network, settings, partition.clone(), whole);
        network.divide(partition);
        network
    }

    /// Deals the nodes out anew. Between phases nothing is under way, so nothing else has to move.
    pub(super) fn divide(&mut self, partition: Partition) {
        let mut nodes = std::mem::take(&mut self.members).into_iter().flat_map(|shard| shard.nodes);
        let shards = partition.shards.into_iter();
        self.members =
            shards.map(|range| Shard::new(range.clone(), nodes.by_ref().take(range.len()).collect())).collect();
        self.lookahead = partition.lookahead;
    }
}

impl<T: Real, M: Member<T> + Send> VirtualNetwork<T, M> {
    /// Nodes that these members have, which are those of the partition.
    pub(in crate::engine) fn of_members(
        network: &NetworkSpec,
        settings: &VirtualSettings,
        partition: Partition,
        members: Vec<M>,
    ) -> Self {
        let depth = network.depth();
        assert_eq!((settings.clocks.len(), settings.links.len()), (depth + 1, depth), "laws for every layer and link");
        let periods = settings.clocks.iter().chain(settings.group_clocks.values()).map(|clock| clock.period.mean());
        let beat = Time::of(periods.fold(0.0, f64::max)).max(Time::TICK);
        Self {
            network: Arc::new(network.clone()),
            members,
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
            beat,
            events_most: settings.events_most,
            events: 0,
            batch_most: None,
            numbers: std::marker::PhantomData,
            _guard: None,
        }
    }

    /// The same with members in other processes, which have made room for batches of this size and are looked after by this guard.
    pub(in crate::engine) fn guarded(self, batch_most: usize, guard: Box<dyn Any + Send>) -> Self {
        Self { batch_most: Some(batch_most), _guard: Some(guard), threads: 1, ..self }
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

    /// Asks every member for something, and waits for all answers.
    pub(super) fn ask(&mut self, errand: impl FnMut(&M) -> Errand<T>) -> Result<Vec<Reply<T>>, EngineError> {
        ask_all(self.members.iter_mut(), errand)
    }

    /// Tells every node something, if there is something; what they hand out, in their order.
    fn direct(
        &mut self,
        mut directive: impl FnMut(usize) -> Option<Directive<T>>,
    ) -> Result<Vec<Extract<T>>, EngineError> {
        let mut of = |node| directive(node).map(|directive| (node, directive));
        let replies = self.ask(|member| Errand::Direct(member.own().filter_map(&mut of).collect()))?;
        let extracts: Result<Vec<_>, _> = replies.into_iter().map(Reply::extracts).collect();
        Ok(extracts?.into_iter().flatten().collect())
    }

    fn layer_of(&self) -> Vec<usize> {
        self.network.places().map(|(layer, _)| layer).collect()
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
    /// A member that cannot be reached.
    pub fn number(&mut self, batch: u64) -> Result<(), EngineError> {
        self.direct(|_| Some(Directive::Number(batch))).map(drop)
    }

    /// Shows a batch: data (`n_0 × batch`) to the input, targets (`n_L × batch`) to the output, its size to everyone.
    ///
    /// # Errors
    /// A layer that cannot take it.
    pub fn present(&mut self, data: &Field<T>, target: &Field<T>) -> Result<(), EngineError> {
        let size = data.ncols();
        if let Some(most) = self.batch_most.filter(|most| size > *most) {
            return Err(EngineError::Batch { batch: size, most });
        }
        let (data, target) = (Arc::new(data.clone()), Arc::new(target.clone()));
        self.batch += 1;
        // Nothing is left of the batch before, so that times do not depend on how many there were.
        self.now = Time(0);
        let batch = self.batch;
        let present = |_: &M| Errand::Present { batch, size, data: Arc::clone(&data), target: Arc::clone(&target) };
        self.ask(present).map(drop)
    }

    /// Shows the input other data of the same size (`n_0 × batch`) in the middle of a batch: a wave upward.
    ///
    /// # Errors
    /// Data that do not fit the input.
    pub fn show(&mut self, data: &Field<T>) -> Result<(), EngineError> {
        let data = Arc::new(data.clone());
        let inputs = self.network.groups(0);
        self.direct(|node| (node < inputs).then(|| Directive::Show(Arc::clone(&data)))).map(drop)
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
        let gait = match motion {
            Motion::Forward => Gait::Wave,
            _ if clocked => Gait::Clocked,
            _ => Gait::Resting,
        };
        self.begin(phase, gait)?;
        let record = match motion {
            Motion::Forward => self.wave(),
            _ => match (first_arrival, clocked, self.in_step) {
                (true, _, false) => self.first_arrival(),
                (true, _, true) | (false, true, false) => self.budget(),
                (false, true, true) => self.lock_step(limits),
                (false, false, _) => self.rest(limits),
            },
        }?;
        self.ask(|_| Errand::Finish { remember: planned.remember })?;
        Ok(record)
    }

    /// Every member hears how far its links have been heard elsewhere.
    fn begin(&mut self, phase: Phase, gait: Gait) -> Result<(), EngineError> {
        let (now, logged) = (self.now, self.log.is_some());
        let mut openings = Vec::new();
        let ends = self.ends()?;
        let heard: std::collections::BTreeMap<u32, u64> = ends.iter().flat_map(|ends| ends.heard.clone()).collect();
        for of_member in ends {
            let far = |(link, _): (u32, u64)| (link, heard.get(&link).copied().unwrap_or(0));
            let heard = of_member.spoken.into_iter().map(far).collect();
            openings.push(Opening { phase, gait, now, logged, heard });
        }
        let mut openings = openings.into_iter();
        self.ask(|_| Errand::Begin(openings.next().expect("one for every member"))).map(drop)
    }

    /// How far links have been heard, from every member.
    pub(super) fn ends(&mut self) -> Result<Vec<super::errand::Ends>, EngineError> {
        self.ask(|_| Errand::Ends)?.into_iter().map(Reply::ends).collect()
    }

    /// Adds the Hebbian products of phase `index` of a plan to every layer's estimate.
    ///
    /// # Errors
    /// A layer that has heard nothing to learn from.
    pub fn collect(&mut self, plan: &Plan, index: usize) -> Result<(), EngineError> {
        let (depth, layers) = (self.network.depth(), self.layer_of());
        let coefficient = |node: usize| plan.coefficient(index, layers[node] + 1, depth);
        let collect =
            |node: usize| (layers[node] < depth).then(|| Directive::Collect { coefficient: coefficient(node) });
        self.direct(collect).map(drop)
    }

    /// Updates all weights from what was collected.
    ///
    /// # Errors
    /// A layer that has collected nothing.
    pub fn learn(&mut self) -> Result<(), EngineError> {
        self.direct(|_| Some(Directive::Learn)).map(drop)
    }

    /// Asks every node for something. In their order; where layers are whole, they are the nodes.
    ///
    /// # Errors
    /// A node that does not have it.
    pub fn extract_of_nodes(&mut self, wanted: Wanted) -> Result<Vec<Extract<T>>, EngineError> {
        self.direct(|_| Some(Directive::Extract(wanted)))
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
        let mut extracts =
            extracts.into_iter().enumerate().flat_map(|(layer, extract)| split(&network, layer, extract));
        self.direct(|_| Some(Directive::Install(Box::new(extracts.next()?)))).map(drop)
    }
}
