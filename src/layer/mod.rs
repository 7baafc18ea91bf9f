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

use crate::energy::predictive_coding;
use crate::math::optimizer::OptimizerSpec;
use crate::math::{Extent, Field, Real, extent, values, values_mut};
use crate::network::{NetworkSpec, Parameters};
use crate::signal::{BadNumber, Directive, Extract, Motion, Origin, Phase, Signal};

/// What a layer's state is.
#[derive(Debug)]
enum Body<T> {
    /// The data; fixed.
    Input(Arc<Field<T>>),
    /// `x_l`.
    Hidden(Field<T>),
    /// The target; the state of a predictive-coding output is its prediction.
    Output(Arc<Field<T>>),
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
    nudge: T,
    phase: Option<Phase>,
    step: u64,
    staleness: u64,
    drive: Field<T>,
    measured: Option<Extent>,
    bad: Option<BadNumber>,
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
            l if l == depth => Body::Output(Arc::new(empty)),
            _ => Body::Hidden(empty),
        };
        let outgoing = parameters.map(|parameters| {
            let loss = (index + 1 == depth).then(|| network.loss());
            let gain = T::of(network.precision(index + 1));
            let above = Above { activation: network.activation(index + 1), loss, gain };
            let mut outgoing = Outgoing::new(parameters, settings.optimizer, above);
            outgoing.remember(settings.voice == Voice::Plain(crate::signal::Message::ErrorEcho));
            outgoing
        });
        let incoming = (index > 0).then(|| Incoming::new(network.activation(index), T::of(network.precision(index))));
        Self {
            index,
            network: network.clone(),
            settings,
            body,
            incoming,
            outgoing,
            batch: 0,
            nudge: T::zero(),
            phase: None,
            step: 0,
            staleness: 0,
            drive: Array2::zeros((0, 0)),
            measured: None,
            bad: None,
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
        let body = match &self.body {
            Body::Input(_) => Body::Input(given(data, "data")?),
            Body::Output(_) => Body::Output(given(target, "targets")?),
            Body::Hidden(state) if state.ncols() == batch => {
                self.forget_batch(batch);
                return Ok(());
            }
            Body::Hidden(_) => Body::Hidden(Array2::zeros(shape)),
        };
        self.body = body;
        self.forget_batch(batch);
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
        self.nudge = T::zero();
        if let Motion::Relax { nudge, from } = phase.motion {
            self.nudge = T::of(nudge);
            if let (Origin::Zero, Body::Hidden(state)) = (from, &mut self.body) {
                state.fill(T::zero());
                self.outgoing.as_mut().expect("a hidden layer has weights").moved = true;
            }
        }
        if let (Some(outgoing), true) = (&mut self.outgoing, self.index + 1 == self.network.depth()) {
            outgoing.above.gain = self.nudge;
        }
        if let Some(incoming) = &mut self.incoming {
            incoming.touch();
        }
        self.phase = Some(phase);
        self.step = 0;
        self.staleness = 0;
        self.measured = None;
        self.bad = None;
    }

    /// Takes in the current that the layer below predicts.
    pub fn hear_prediction(&mut self, prediction: Signal<T>) {
        if let Some(incoming) = &mut self.incoming {
            incoming.hear(prediction);
            self.measured = None;
        }
    }

    /// Takes in the error of the layer above.
    pub fn hear_error(&mut self, error: Signal<T>) {
        if let Some(outgoing) = &mut self.outgoing {
            self.staleness = self.staleness.max(outgoing.hear(error));
            self.measured = None;
        }
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
        incoming.touch();
        self.outgoing.as_mut().expect("a hidden layer has weights").moved = true;
        self.measured = None;
    }

    /// One step down the energy with what has been heard; returns the residual before it.
    pub fn relax(&mut self) -> f64 {
        let residual = self.residual();
        self.step += 1;
        if let Body::Hidden(state) = &mut self.body {
            predictive_coding::step(T::of(self.settings.rate), values(&self.drive), values_mut(state));
            self.incoming.as_mut().expect("a hidden layer hears from below").touch();
            self.outgoing.as_mut().expect("a hidden layer has weights").moved = true;
            self.measured = None;
        }
        residual
    }

    /// `max |∂E/∂x_l|` given everything heard; zero where there is no state that could move.
    pub fn residual(&mut self) -> f64 {
        if let Some(measured) = self.measured {
            return measured.largest;
        }
        let extent = self.measure();
        if !extent.finite && self.bad.is_none() {
            let numbers = if matches!(self.body, Body::Hidden(_)) {
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
        let incoming = self.incoming.as_ref().expect("an error was refreshed");
        let Body::Hidden(state) = &self.body else {
            return Extent { largest: 0.0, finite: extent(values(&incoming.error)).finite };
        };
        let outgoing = self.outgoing.as_mut().expect("a hidden layer has weights");
        if self.drive.dim() != state.dim() {
            self.drive = Array2::zeros(state.dim());
        }
        if outgoing.refresh_feedback(state) {
            let feedback = values(&outgoing.feedback);
            predictive_coding::drive(feedback, values(&incoming.error), values_mut(&mut self.drive));
        } else {
            // Nothing has come down yet: the layer is moved by its own error alone.
            self.drive.zip_mut_with(&incoming.error, |drive, &e| *drive = -e);
        }
        extent(values(&self.drive))
    }

    fn refresh_error(&mut self) -> bool {
        let Some(incoming) = &mut self.incoming else { return false };
        let against = match &self.body {
            Body::Output(target) => Against::Target(target, self.network.loss(), self.nudge),
            Body::Hidden(state) => Against::State(state),
            Body::Input(data) => Against::State(data),
        };
        incoming.refresh(&against, self.settings.voice)
    }

    fn state(&self) -> Option<&Field<T>> {
        match &self.body {
            Body::Input(data) => Some(data),
            Body::Hidden(state) => Some(state),
            Body::Output(_) => None,
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
