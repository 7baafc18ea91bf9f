//! A layer is a state machine without I/O: it knows its state, its weights, what its neighbours last told it, and nothing else.
//!
//! Methods come in four kinds, called in this order by whoever drives it (a `for` loop, a queue of virtual events, a task):
//!
//! - **hear**: [`Layer::hear_directive`], [`Layer::hear_prediction`], [`Layer::hear_error`] take in what arrived;
//! - **relax**: [`Layer::forward`] or [`Layer::relax`] moves the state; [`Layer::residual`] says how far it would move;
//! - **speak**: [`Layer::speak_prediction`] upward, [`Layer::speak_error`] downward, [`Layer::report`] to the coordinator;
//! - **learn**: the directives `Collect` and `Learn` (local Hebbian update, optimiser beside the weights).
//!
//! ```text
//!            hears a_l ──► incoming (e_l, d_l) ──► says d_l                 x_l ← x_l + η (g_l − e_l)
//!    says a_{l+1} ◄── outgoing (W_{l+1}, b_{l+1}) ◄── hears d_{l+1},  g_l = W_{l+1}ᵀ d_{l+1}
//! ```
//!
//! A layer owns `x_l` and its *outgoing* weights, so that for every energy only currents go up and only errors come down. The
//! two sides are `incoming` and `outgoing`; the input has no incoming side, the output no outgoing one and, in predictive
//! coding, no state of its own. Nothing here is `async`, and no method waits. Next: `crate::engine` for the task around it,
//! `crate::reference` for the program that contradicts it if it is wrong.

mod above;
mod collecting;
mod continual;
mod deviating;
mod feedback;
pub mod group;
mod hearing;
mod imprecision;
mod incoming;
mod journal;
mod learning;
mod outgoing;
mod pages;
mod passing;
mod precision;
mod relaxing;
mod speaking;
mod staging;
mod watching;

use std::ops::Range;
use std::sync::Arc;

use ndarray::Array2;

use above::Above;
use feedback::Feedback;
use incoming::Incoming;
pub use incoming::Voice;
use journal::Journal;
use outgoing::Outgoing;
use precision::UnitPrecision;
use staging::InTransaction;

use crate::energy::EnergyKind;
use crate::math::optimizer::OptimizerSpec;
use crate::math::{Extent, Field, Moment, Numerics, Real, values, values_mut};
use crate::network::{NetworkSpec, Parameters};
use crate::signal::{BadNumber, Directive, Extract, Message, Motion, Phase, Teaching, Versions};

/// What a layer's state is.
#[derive(Debug)]
enum Body<T> {
    /// The data; fixed.
    Input(Arc<Field<T>>),
    /// `x_l`.
    Hidden(Field<T>),
    /// The target, and `x_L` where the energy gives the output a state (predictive coding's output is its prediction).
    Output {
        /// `T`.
        target: Arc<Field<T>>,
        /// `x_L`, or empty.
        state: Field<T>,
    },
}

/// Constants of a layer that are not the network's.
#[derive(Clone, Copy, Debug)]
pub struct LayerSettings {
    /// η_x, `activity_lr`.
    pub rate: f64,
    /// The optimiser of the outgoing weights.
    pub optimizer: OptimizerSpec,
    /// What goes down.
    pub voice: Voice,
    /// How precisely the state is held and signals are said.
    pub numerics: Numerics,
}

/// One layer of a network.
#[derive(Debug)]
pub struct Layer<T> {
    index: usize,
    /// Units: all of the layer's, or those of a group of it.
    units: usize,
    network: Arc<NetworkSpec>,
    settings: Arc<LayerSettings>,
    body: Body<T>,
    /// Made when there is something to hear.
    incoming: Option<Box<Incoming<T>>>,
    outgoing: Option<Outgoing<T>>,
    batch: usize,
    /// ρ(x) where the energy sends that instead of x.
    rho: Option<Box<Field<T>>>,
    remembered: Option<Box<Field<T>>>,
    /// `x̄_l`, while the state is `u_l` (`deviating`).
    rest: Option<Arc<Field<T>>>,
    phase: Option<Box<Phase>>,
    step: u64,
    /// Batch and phase within it, for the noise,
    moment: Moment,
    /// and how many signals it has said in this phase.
    said: Versions,
    staleness: u64,
    drive: Option<Box<Field<T>>>,
    measured: Option<Extent>,
    bad: Option<Box<BadNumber>>,
    /// The Hebbian product of this phase has been read at the first arrival of an error.
    arrived: bool,
    /// What is done to it from outside, if that is written down.
    journal: Option<Box<Journal<T>>>,
    /// Where its updates are transactions.
    transaction: Option<Box<InTransaction<T>>>,
}

impl<T: Real> Layer<T> {
    /// Layer `index` of `network`; `parameters` are those that lead to layer `index + 1` (none at the output).
    pub fn new(
        network: &NetworkSpec,
        index: usize,
        parameters: Option<Parameters<T>>,
        settings: LayerSettings,
    ) -> Self {
        let (network, settings) = (Arc::new(network.clone()), Arc::new(settings));
        Self::part(&network, index, 0..network.widths()[index], parameters, &settings, true)
    }

    /// The part of a layer that has these units; only one part learns the bias of the layer above. See [`group::Group`].
    pub(super) fn part(
        network: &Arc<NetworkSpec>,
        index: usize,
        rows: Range<usize>,
        parameters: Option<Parameters<T>>,
        settings: &Arc<LayerSettings>,
        owns_bias: bool,
    ) -> Self {
        let depth = network.depth();
        assert_eq!(parameters.is_some(), index < depth, "every layer but the output owns outgoing weights");
        let empty = Array2::zeros((rows.len(), 0));
        let body = match index {
            0 => Body::Input(Arc::new(empty)),
            l if l == depth => Body::Output { target: Arc::new(empty.clone()), state: empty },
            _ => Body::Hidden(empty),
        };
        let outgoing = parameters.map(|parameters| {
            let loss = (index + 1 == depth).then(|| network.loss());
            let gain = T::of(network.precision(index + 1));
            let units = UnitPrecision::new(network, index + 1).map(Box::new);
            let above = Above { activation: network.activation(index + 1), loss, gain, units };
            let mut outgoing = Outgoing::new(parameters, Arc::clone(settings), above);
            outgoing.owns_bias = owns_bias;
            // Only answers have an echo; a layer that sends its state answers nothing.
            let answered = network.energy() == EnergyKind::PredictiveCoding;
            let back = Feedback::new(network, index + 1, &outgoing.parameters.weights, settings.optimizer);
            outgoing.back = back.map(Box::new);
            outgoing.echo = (answered && settings.voice == Voice::Plain(Message::ErrorEcho)).then(Box::default);
            outgoing
        });
        // Precisions of its own may be learned, stored and restored before anything is heard.
        let own_units = index > 0 && network.unit_precision::<T>(index).is_some();
        let incoming = own_units.then(|| Box::new(Incoming::new(network, index)));
        Self {
            index,
            units: rows.len(),
            network: Arc::clone(network),
            settings: Arc::clone(settings),
            body,
            incoming,
            outgoing,
            batch: 0,
            rho: None,
            remembered: None,
            rest: None,
            phase: None,
            step: 0,
            moment: Moment::default(),
            said: Versions::default(),
            staleness: 0,
            drive: None,
            measured: None,
            bad: None,
            arrived: false,
            journal: None,
            transaction: None,
        }
    }

    /// Its index, 0 for the input.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The phase it is in.
    pub fn phase(&self) -> Option<&Phase> {
        self.phase.as_deref()
    }

    /// Steps taken in this phase.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// True if the Hebbian product of this phase was read at the first arrival of an error.
    pub fn has_arrived(&self) -> bool {
        self.arrived
    }

    /// How many predictions may be unanswered before the layer waits with new ones. It has to exceed the steps of a round trip.
    pub fn set_unanswered_most(&mut self, most: usize) {
        if let Some(echo) = self.outgoing.as_mut().and_then(|outgoing| outgoing.echo.as_mut()) {
            echo.most = most;
        }
    }

    fn obey(&mut self, directive: Directive<T>) -> Result<Option<Extract<T>>, LayerError> {
        match directive {
            Directive::Present { batch, data, target } => self.present(batch, data, target)?,
            Directive::Show(data) => self.show(data)?,
            Directive::Begin(phase) => self.begin(phase)?,
            Directive::Number(batch) => self.moment.batch = batch.wrapping_sub(1),
            Directive::Remember => self.remembered = self.state().cloned().map(Box::new),
            Directive::Collect { coefficient } => self.collect(coefficient)?,
            Directive::Learn => self.learn()?,
            Directive::Transact(order) => return self.transact(order),
            Directive::Extract(wanted) => return self.extract(wanted).map(Some),
            Directive::Install(extract) => self.install(*extract)?,
            Directive::Continue(_) | Directive::Recount | Directive::Halt => {}
        }
        Ok(None)
    }

    /// What the output is told in the present phase.
    fn teaching(&self) -> Teaching {
        match self.phase().map(|phase| phase.motion) {
            Some(Motion::Relax { teaching, .. }) => teaching,
            Some(Motion::Deviate { nudge }) => Teaching::Nudged(nudge),
            Some(Motion::Forward) | None => Teaching::Free,
        }
    }

    /// λ of the present phase.
    fn nudge(&self) -> T {
        match self.teaching() {
            Teaching::Free => T::zero(),
            Teaching::Nudged(nudge) => T::of(nudge),
            Teaching::Clamped => T::of(self.network.precision(self.network.depth())),
        }
    }

    /// Everything that follows from the state is out of date.
    fn state_moved(&mut self) {
        if self.network.energy() == EnergyKind::Hopfield {
            let rho = self.network.activation(self.index);
            let mut values_of_rho = self.rho.take().unwrap_or_default();
            if let Some(state) = self.state() {
                if values_of_rho.dim() != state.dim() {
                    *values_of_rho = Array2::zeros(state.dim());
                }
                rho.values_into(values(state), values_mut(&mut values_of_rho));
            }
            self.rho = Some(values_of_rho);
        }
        if let Some(incoming) = &mut self.incoming {
            incoming.touch();
        }
        if let Some(outgoing) = &mut self.outgoing {
            outgoing.state_moved();
        }
        self.measured = None;
    }

    /// `s_l`: what goes up through the weights.
    fn source(&self) -> Option<&Field<T>> {
        if self.network.energy() == EnergyKind::Hopfield { self.rho.as_deref() } else { self.state() }
    }

    /// True if the layer has a state that moves in this phase.
    pub fn can_move(&self) -> bool {
        match &self.body {
            Body::Input(_) => false,
            Body::Hidden(_) => true,
            Body::Output { state, .. } => !state.is_empty() && self.teaching() != Teaching::Clamped,
        }
    }

    /// `x_l`, or the data at the input; `None` where the output has no state of its own. For observers: no decision of a schedule
    /// depends on it.
    pub fn state(&self) -> Option<&Field<T>> {
        match &self.body {
            Body::Input(data) => Some(data),
            Body::Hidden(state) => Some(state),
            Body::Output { state, .. } => Some(state).filter(|state| !state.is_empty()),
        }
    }

    fn fault(&self, what: String) -> LayerError {
        LayerError { layer: self.index, what }
    }
}

/// What a layer can't do, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("layer {layer}: {what}")]
pub struct LayerError {
    /// Which layer.
    pub layer: usize,
    /// Why not.
    pub what: String,
}
