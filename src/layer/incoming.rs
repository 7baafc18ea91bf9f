//! The side of a layer that faces down: it hears the prediction of its own state and answers with the error.
//!
//! ```text
//! hidden   e_l = Π_l (x_l − f(a_l))         d_l = e_l ⊙ f'(a_l)          (Eq. 3, 4; `energy::predictive_coding`)
//! output   e_L = λ (T − p(a_L))             d_L = e_L ⊙ p'(a_L)          (`energy::Loss`)
//! ```

use std::sync::Arc;

use ndarray::Array2;

use super::deviating::Ground;
use super::imprecision::Channel;
use super::pages::Pages;
use super::precision::UnitPrecision;
use crate::energy::{Activation, EnergyKind, Loss, deviation, predictive_coding};
use crate::math::{Field, Real, values, values_mut};
use crate::network::NetworkSpec;
use crate::signal::{Content, Message, Signal, Stamp};

/// What is heard from below, and the error made of it.
#[derive(Debug)]
pub(super) struct Incoming<T> {
    pub(super) activation: Activation,
    pub(super) precision: T,
    /// Π of the units, where they have precisions of their own.
    pub(super) units: Option<Box<UnitPrecision<T>>>,
    /// What goes down is an answer to the current, not the state alone.
    answers: bool,
    /// The current that last arrived, or `c`, its deviation.
    pub(super) current: Option<Signal<T>>,
    /// What deviations are measured from, in a phase of them.
    pub(super) ground: Option<Ground<T>>,
    /// `e`, up to date unless `stale`.
    pub(super) error: Field<T>,
    /// Version of the last error spoken or ready to be spoken.
    pub(super) version: u64,
    stale: bool,
    /// Version of the last one spoken.
    pub(super) said: u64,
    ready: Option<(Content, u64, Arc<Field<T>>)>,
    pages: Pages<T>,
}

/// The other half of an error: what the current is held against.
pub(super) enum Against<'a, T> {
    /// A hidden layer's own state.
    State(&'a Field<T>),
    /// The output's target, and λ (one where everything is in units of λ).
    Target(&'a Field<T>, Loss, T),
    /// Nothing: the state itself, or ρ of it, is what goes down (`energy::hopfield`, `energy::rate`).
    Own(&'a Field<T>),
}

impl<T: Real> Incoming<T> {
    pub(super) fn new(network: &NetworkSpec, layer: usize) -> Self {
        Self {
            activation: network.activation(layer),
            precision: T::of(network.precision(layer)),
            units: UnitPrecision::new(network, layer).map(Box::new),
            answers: network.energy() == EnergyKind::PredictiveCoding,
            current: None,
            ground: None,
            error: Array2::zeros((0, 0)),
            version: 0,
            stale: true,
            said: 0,
            ready: None,
            pages: Pages::new(),
        }
    }

    pub(super) fn hear(&mut self, current: Signal<T>) {
        self.current = Some(current);
        self.stale |= self.answers;
    }

    /// The state, the target or λ changed.
    pub(super) fn touch(&mut self) {
        self.stale = true;
    }

    /// Forgets what belonged to another batch.
    pub(super) fn clear(&mut self) {
        self.current = None;
        self.ready = None;
        self.stale = true;
    }

    /// True if there is an error that has not been spoken.
    pub(super) fn has_news(&self) -> bool {
        self.has_something() && (self.stale || self.said != self.version)
    }

    /// True if there is an error.
    pub(super) fn has_something(&self) -> bool {
        self.current.is_some() || !self.answers
    }

    /// Brings `e` and what will be said up to date with everything heard; false if nothing has been heard yet.
    pub(super) fn refresh(&mut self, against: &Against<'_, T>, voice: Voice) -> bool {
        if let Against::Own(source) = against {
            if self.stale {
                let (units, batch) = source.dim();
                let page = self.pages.publish(units, batch, |page| page.assign(source));
                self.version += 1;
                self.ready = Some((Content::Adjoint, 0, page));
                self.stale = false;
            }
            return true;
        }
        let Some(current) = &self.current else { return false };
        if !self.stale {
            return true;
        }
        let (rows, batch) = current.numbers.dim();
        if self.error.dim() != (rows, batch) {
            self.error = Array2::zeros((rows, batch));
        }
        let (a, error) = (&*current.numbers, &mut self.error);
        let (f, precision, units, ground) =
            (self.activation, self.precision, self.units.as_ref(), self.ground.as_ref());
        let adjoint = |error: &mut Field<T>, out: &mut Field<T>| match *against {
            Against::State(x) => match (ground, units) {
                (Some(ground), _) => {
                    let currents = (values(&ground.current), values(a));
                    let (error, out) = (values_mut(error), values_mut(out));
                    deviation::errors(f, (precision, ground.nudge), values(x), currents, error, out);
                }
                (None, Some(units)) => units.errors(f, x, a, error, out),
                (None, None) => {
                    let (error, out) = (values_mut(error), values_mut(out));
                    predictive_coding::errors(f, precision, values(x), values(a), error, out);
                }
            },
            Against::Own(_) => {}
            Against::Target(target, loss, nudge) => {
                let total = ground.map(|ground| ground.total(a));
                let a = total.as_ref().unwrap_or(a);
                // The outputs p are written to where the error will be.
                loss.outputs_into(f, a, error);
                let parts = values(target).iter().zip(values(a));
                for ((&t, &a), (e, d)) in parts.zip(values_mut(error).iter_mut().zip(values_mut(out))) {
                    *e = nudge * (t - *e);
                    *d = *e * loss.slope(f, a);
                }
            }
        };
        let (content, page) = match voice {
            Voice::Adjoint | Voice::Plain(Message::Error) => {
                (Content::Adjoint, self.pages.publish(rows, batch, |page| adjoint(error, page)))
            }
            Voice::Plain(Message::ErrorEcho) => {
                let mut out = Array2::zeros((rows, batch));
                adjoint(error, &mut out);
                (Content::Error, self.pages.publish(rows, batch, |page| page.assign(error)))
            }
            Voice::Plain(Message::State) => {
                let mut out = Array2::zeros((rows, batch));
                adjoint(error, &mut out);
                let (source, factor) = match *against {
                    Against::State(x) | Against::Own(x) => (x, precision),
                    Against::Target(target, _, nudge) => (target, nudge),
                };
                let page = self.pages.publish(rows, batch, |page| match units {
                    Some(units) => {
                        page.assign(source);
                        units.weigh(page);
                    }
                    None => page.zip_mut_with(source, |s, &x| *s = factor * x),
                });
                (Content::State, page)
            }
        };
        self.version += 1;
        self.ready = Some((content, current.stamp.version, page));
        self.stale = false;
        true
    }

    /// The error, stamped; `None` before anything was heard. Call `refresh` first.
    pub(super) fn speak(&mut self, (phase, step): (u64, u64), channel: Channel) -> Option<Signal<T>> {
        let (content, answers, numbers) = self.ready.as_ref()?;
        self.version += u64::from(channel.is_noisy() && self.said == self.version);
        self.said = self.version;
        let stamp = Stamp { phase, step, version: self.version, answers: *answers };
        let numbers = channel.carry(numbers, &mut self.pages);
        Some(Signal { stamp, content: *content, numbers })
    }
}

/// What the layer says downward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    /// Lock-step: nothing is ever stale, so `d` itself goes down whatever the message, and no echo has to be worked out.
    Adjoint,
    /// An asynchronous schedule: what `links.message` says.
    Plain(Message),
}
