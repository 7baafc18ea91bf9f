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

mod incoming;
mod learning;
mod outgoing;
mod pages;
mod speaking;

use std::sync::Arc;

use ndarray::Array2;

pub use incoming::Voice;
use incoming::{Against, Incoming};
use outgoing::{Above, Outgoing};

use crate::energy::{EnergyKind, hopfield, predictive_coding, rate, step};
use crate::math::optimizer::OptimizerSpec;
use crate::math::{Extent, Field, Real, extent, values, values_mut};
use crate::network::{NetworkSpec, Parameters};
use crate::signal::{BadNumber, Directive, Extract, Message, Motion, Origin, Phase, Reading, Signal, Teaching};

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
}

/// One layer of a network.
#[derive(Debug)]
pub struct Layer<T> {
    index: usize,
    network: NetworkSpec,
    settings: LayerSettings,
    body: Body<T>,
    incoming: Option<Incoming<T>>,
    outgoing: Option<Outgoing<T>>,
    batch: usize,
    teaching: Teaching,
    /// ρ(x) where the energy sends that instead of x.
    rho: Field<T>,
    remembered: Option<Field<T>>,
    phase: Option<Phase>,
    step: u64,
    staleness: u64,
    drive: Field<T>,
    measured: Option<Extent>,
    bad: Option<BadNumber>,
    /// The Hebbian product of this phase has been read at the first arrival of an error.
    arrived: bool,
}

impl<T: Real> Layer<T> {
    /// Layer `index` of `network`; `parameters` are those that lead to layer `index + 1` (none at the output).
    pub fn new(
        network: &NetworkSpec,
        index: usize,
        parameters: Option<Parameters<T>>,
        settings: LayerSettings,
    ) -> Self {
        let depth = network.depth();
        assert_eq!(parameters.is_some(), index < depth, "every layer but the output owns outgoing weights");
        let empty = Array2::zeros((network.widths()[index], 0));
        let body = match index {
            0 => Body::Input(Arc::new(empty)),
            l if l == depth => Body::Output { target: Arc::new(empty.clone()), state: empty },
            _ => Body::Hidden(empty),
        };
        let outgoing = parameters.map(|parameters| {
            let loss = (index + 1 == depth).then(|| network.loss());
            let gain = T::of(network.precision(index + 1));
            let above = Above { activation: network.activation(index + 1), loss, gain };
            let mut outgoing = Outgoing::new(parameters, settings.optimizer, above);
            // Only answers have an echo; a layer that sends its state answers nothing.
            let answered = network.energy() == EnergyKind::PredictiveCoding;
            outgoing.remember(answered && settings.voice == Voice::Plain(Message::ErrorEcho));
            outgoing
        });
        let incoming = (index > 0).then(|| Incoming::new(network, index));
        Self {
            index,
            network: network.clone(),
            settings,
            body,
            incoming,
            outgoing,
            batch: 0,
            teaching: Teaching::Free,
            rho: Array2::zeros((0, 0)),
            remembered: None,
            phase: None,
            step: 0,
            staleness: 0,
            drive: Array2::zeros((0, 0)),
            measured: None,
            bad: None,
            arrived: false,
        }
    }

    /// Its index, 0 for the input.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The phase it is in.
    pub fn phase(&self) -> Option<&Phase> {
        self.phase.as_ref()
    }

    /// Steps taken in this phase.
    pub fn step(&self) -> u64 {
        self.step
    }

    // ---- hear ----------------------------------------------------------------------------------------------------------

    /// Takes in a directive. `Extract` answers with what was asked for; the others with `None`. The schedule's own directives
    /// (`Continue`, `Recount`, `Halt`) say nothing to the mathematics and are left to the driver.
    pub fn hear_directive(&mut self, directive: Directive<T>) -> Result<Option<Extract<T>>, LayerError> {
        match directive {
            Directive::Present { batch, data, target } => self.present(batch, data, target)?,
            Directive::Begin(phase) => self.begin(phase),
            Directive::Remember => self.remembered = self.state().cloned(),
            Directive::Collect { coefficient } => self.collect(coefficient)?,
            Directive::Learn => self.learn()?,
            Directive::Extract(wanted) => return self.extract(wanted).map(Some),
            Directive::Install(extract) => self.install(*extract)?,
            Directive::Continue(_) | Directive::Recount | Directive::Halt => {}
        }
        Ok(None)
    }

    fn present(
        &mut self,
        batch: usize,
        data: Option<Arc<Field<T>>>,
        target: Option<Arc<Field<T>>>,
    ) -> Result<(), LayerError> {
        let shape = (self.network.widths()[self.index], batch);
        let given = |numbers: Option<Arc<Field<T>>>, what| match numbers {
            Some(numbers) if numbers.dim() == shape => Ok(numbers),
            Some(numbers) => Err(self.fault(format!("{what} are {:?}, the layer is {shape:?}", numbers.dim()))),
            None => Err(self.fault(format!("no {what} were presented"))),
        };
        let keep = |state: &Field<T>| if state.dim() == shape { state.clone() } else { Array2::zeros(shape) };
        self.body = match &self.body {
            Body::Input(_) => Body::Input(given(data, "data")?),
            Body::Output { state, .. } => {
                let state = if self.network.energy().has_output_state() { keep(state) } else { Array2::zeros((0, 0)) };
                Body::Output { target: given(target, "targets")?, state }
            }
            Body::Hidden(state) => Body::Hidden(keep(state)),
        };
        self.forget_batch(batch);
        self.state_moved();
        Ok(())
    }

    fn forget_batch(&mut self, batch: usize) {
        self.batch = batch;
        self.measured = None;
        if let Some(incoming) = &mut self.incoming {
            incoming.clear();
        }
        if let Some(outgoing) = &mut self.outgoing {
            outgoing.clear();
        }
    }

    fn begin(&mut self, phase: Phase) {
        self.teaching = Teaching::Free;
        if let Motion::Relax { teaching, from } = phase.motion {
            self.teaching = teaching;
            self.begin_at(from);
        }
        let nudge = self.nudge();
        if let (Some(outgoing), true) = (&mut self.outgoing, self.index + 1 == self.network.depth()) {
            outgoing.above.gain = nudge;
        }
        if let Some(incoming) = &mut self.incoming {
            incoming.touch();
        }
        self.phase = Some(phase);
        self.step = 0;
        self.staleness = 0;
        self.measured = None;
        self.bad = None;
        self.arrived = false;
    }

    /// Puts the states where a phase begins; a clamped output is put on its target.
    fn begin_at(&mut self, from: Origin) {
        let clamped = self.teaching == Teaching::Clamped;
        let (state, target) = match &mut self.body {
            Body::Hidden(state) => (state, None),
            Body::Output { state, target } if !state.is_empty() => (state, Some(target).filter(|_| clamped)),
            _ => return,
        };
        match (target, from, &self.remembered) {
            (Some(target), ..) => state.assign(target),
            (None, Origin::Zero, _) => state.fill(T::zero()),
            (None, Origin::Remembered, Some(remembered)) => state.assign(remembered),
            _ => return,
        }
        self.state_moved();
    }

    /// λ of the present phase.
    fn nudge(&self) -> T {
        match self.teaching {
            Teaching::Free => T::zero(),
            Teaching::Nudged(nudge) => T::of(nudge),
            Teaching::Clamped => T::of(self.network.precision(self.network.depth())),
        }
    }

    /// Everything that follows from the state is out of date.
    fn state_moved(&mut self) {
        if self.network.energy() == EnergyKind::Hopfield {
            let rho = self.network.activation(self.index);
            let mut values_of_rho = std::mem::take(&mut self.rho);
            if let Some(state) = self.state() {
                if values_of_rho.dim() != state.dim() {
                    values_of_rho = Array2::zeros(state.dim());
                }
                rho.values_into(values(state), values_mut(&mut values_of_rho));
            }
            self.rho = values_of_rho;
        }
        if let Some(incoming) = &mut self.incoming {
            incoming.touch();
        }
        if let Some(outgoing) = &mut self.outgoing {
            outgoing.moved = true;
        }
        self.measured = None;
    }

    /// `s_l`: what goes up through the weights.
    fn source(&self) -> Option<&Field<T>> {
        if self.network.energy() == EnergyKind::Hopfield { Some(&self.rho) } else { self.state() }
    }

    /// True if the layer has a state that moves in this phase.
    pub fn can_move(&self) -> bool {
        match &self.body {
            Body::Input(_) => false,
            Body::Hidden(_) => true,
            Body::Output { state, .. } => !state.is_empty() && self.teaching != Teaching::Clamped,
        }
    }

    /// Takes in the current that the layer below predicts.
    pub fn hear_prediction(&mut self, prediction: Signal<T>) {
        if let Some(incoming) = &mut self.incoming {
            incoming.hear(prediction);
            self.measured = None;
        }
    }

    /// Takes in the error of the layer above. In a phase that is read at the first arrival, that is now: in lock-step at the step
    /// at which the first error must arrive, otherwise when the first error arrives that is not zero.
    pub fn hear_error(&mut self, error: Signal<T>) {
        let Some(outgoing) = &mut self.outgoing else { return };
        self.staleness = self.staleness.max(outgoing.hear(error));
        self.measured = None;
        if let (Some(Phase { reading: Reading::FirstArrival(coefficient), .. }), false) = (self.phase, self.arrived) {
            let due = (self.network.depth() - 1 - self.index) as u64;
            let first = if self.settings.voice == Voice::Adjoint { self.step == due } else { !self.hears_silence() };
            if first {
                // There is an error, it was heard just now: collecting cannot fail.
                self.arrived = self.collect(coefficient).is_ok();
            }
        }
    }

    /// True if the error heard, worked out as of now, is zero everywhere.
    fn hears_silence(&mut self) -> bool {
        let Some(mut outgoing) = self.outgoing.take() else { return true };
        let silent = self.source().is_none_or(|source| outgoing.hears_silence(source));
        self.outgoing = Some(outgoing);
        silent
    }

    /// A prediction of this version was replaced before anybody heard it.
    pub fn prediction_was_lost(&mut self, version: u64) {
        if let Some(outgoing) = &mut self.outgoing {
            outgoing.forget(version);
        }
    }

    // ---- relax ---------------------------------------------------------------------------------------------------------

    /// The free phase in one wave: `x_l ← f(a_l)`.
    pub fn forward(&mut self) {
        let (Body::Hidden(state), Some(incoming)) = (&mut self.body, &mut self.incoming) else { return };
        let Some(current) = &incoming.current else { return };
        incoming.activation.values_into(values(&current.numbers), values_mut(state));
        self.state_moved();
    }

    /// One step down the energy with what has been heard; returns the residual before it.
    pub fn relax(&mut self) -> f64 {
        let residual = self.residual();
        self.step += 1;
        if !self.can_move() || self.drive.is_empty() {
            return residual;
        }
        let first_arrival = matches!(self.phase, Some(Phase { reading: Reading::FirstArrival(_), .. }));
        // Eq. 14, 15: one whole step makes the error equal to the feedback.
        let rate = if first_arrival { T::one() } else { T::of(self.settings.rate) };
        let clips = self.clips();
        if let Body::Hidden(state) | Body::Output { state, .. } = &mut self.body {
            step(rate, values(&self.drive), values_mut(state));
            if clips {
                hopfield::clip(values_mut(state));
            }
        }
        self.state_moved();
        residual
    }

    fn clips(&self) -> bool {
        self.network.energy() == EnergyKind::Hopfield && hopfield::clips(self.network.activation(self.index))
    }

    /// `max |∂E/∂x_l|` given everything heard; zero where there is no state that could move.
    pub fn residual(&mut self) -> f64 {
        if let Some(measured) = self.measured {
            return measured.largest;
        }
        let extent = self.measure();
        if !extent.finite && self.bad.is_none() {
            let numbers = if self.can_move() {
                values(&self.drive)
            } else {
                self.incoming.as_ref().map_or(&[][..], |incoming| values(&incoming.error))
            };
            let at = numbers.iter().position(|number| !number.is_finite()).unwrap_or(0);
            self.bad = Some(BadNumber { step: self.step, unit: at / self.batch.max(1) });
        }
        self.measured = Some(extent);
        extent.largest
    }

    /// True if a number that is not finite has come up in this phase.
    pub fn is_bad(&self) -> bool {
        self.bad.is_some()
    }

    /// Largest magnitude of the drive, and whether everything about this layer is finite.
    fn measure(&mut self) -> Extent {
        let silent = Extent { largest: 0.0, finite: true };
        if !self.refresh_error() {
            return silent;
        }
        if !self.can_move() {
            // The output of predictive coding, or a clamped one: no state moves, but its error may be bad.
            let error = self.incoming.as_ref().map_or(&[][..], |incoming| values(&incoming.error));
            return Extent { largest: 0.0, finite: extent(error).finite };
        }
        let mut drive = std::mem::take(&mut self.drive);
        let known = self.drive_into(&mut drive);
        self.drive = drive;
        if known { extent(values(&self.drive)) } else { silent }
    }

    /// The drive, from everything heard; false if something without which there is none has not been heard.
    fn drive_into(&mut self, drive: &mut Field<T>) -> bool {
        let energy = self.network.energy();
        let source = if energy == EnergyKind::Hopfield { Some(&self.rho) } else { None };
        let (state, target) = match &self.body {
            Body::Hidden(state) => (state, None),
            Body::Output { state, target } => (state, Some(target)),
            Body::Input(_) => return false,
        };
        let Some(incoming) = &self.incoming else { return false };
        if drive.dim() != state.dim() {
            *drive = Array2::zeros(state.dim());
        }
        let heard = match &mut self.outgoing {
            Some(outgoing) => outgoing.refresh_feedback(source.unwrap_or(state)),
            None => true,
        };
        let feedback = self.outgoing.as_ref().map(|outgoing| values(&outgoing.feedback));
        if energy == EnergyKind::PredictiveCoding {
            match feedback.filter(|_| heard) {
                Some(feedback) => predictive_coding::drive(feedback, values(&incoming.error), values_mut(drive)),
                // Nothing has come down yet: the layer is moved by its own error alone.
                None => drive.zip_mut_with(&incoming.error, |drive, &e| *drive = -e),
            }
            return true;
        }
        let Some(current) = incoming.current.as_ref().filter(|_| heard) else { return false };
        let (x, a, out) = (values(state), values(&current.numbers), values_mut(drive));
        match energy {
            EnergyKind::Hopfield => hopfield::drive(incoming.activation, x, a, feedback, out),
            _ => rate::drive(incoming.activation, T::of(self.network.feedback_gain()), x, a, feedback, out),
        }
        if let (Some(target), Teaching::Nudged(nudge)) = (target, self.teaching) {
            self.network.loss().pull(T::of(nudge), state, target, drive);
        }
        if hopfield::clips(incoming.activation) && energy == EnergyKind::Hopfield {
            hopfield::project(values(state), values_mut(drive));
        }
        true
    }

    fn refresh_error(&mut self) -> bool {
        let nudge = self.nudge();
        let energy = self.network.energy();
        let Some(incoming) = &mut self.incoming else { return false };
        let against = match &self.body {
            _ if energy == EnergyKind::Hopfield => Against::Own(&self.rho),
            Body::Output { state, .. } if energy == EnergyKind::Rate => Against::Own(state),
            Body::Hidden(state) if energy == EnergyKind::Rate => Against::Own(state),
            Body::Output { target, .. } => Against::Target(target, self.network.loss(), nudge),
            Body::Hidden(state) => Against::State(state),
            Body::Input(data) => Against::State(data),
        };
        incoming.refresh(&against, self.settings.voice)
    }

    fn state(&self) -> Option<&Field<T>> {
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
