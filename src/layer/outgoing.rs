//! The side of a layer that faces up: it owns the weights that lead up, speaks predictions through them, hears the errors that
//! come back, and turns them into feedback; `collecting` is how it learns from them.
//!
//! ```text
//! a_{l+1} = W_{l+1} x_l + b_{l+1}          prediction          g_l = B_{l+1}ᵀ d_{l+1}          feedback, B = W if tied
//! ```
//!
//! An echoed error says which prediction it was computed from. Having remembered that prediction, this side works out the error
//! it would get now, `e_now = e + r(a_used) − r(a_now)`, from nothing but what it owns and was sent (`r` is the response of the
//! layer above to a current). Without this, an error that is old by a round trip carries this layer's own curvature back to it.

use std::collections::VecDeque;
use std::sync::Arc;

use ndarray::Array2;

use super::LayerSettings;
use super::above::Above;
use super::deviating::Ground;
use super::feedback::Feedback;
use super::imprecision::Channel;
use super::pages::Pages;
use crate::math::kernel::{Left, Shape, Start};
use crate::math::optimizer::Optimizer;
use crate::math::{Field, Real, values, values_mut};
use crate::network::Parameters;
use crate::signal::{Content, Signal, Stamp};

/// Predictions that may be unanswered at a time before the layer waits with new ones, unless a schedule says otherwise.
const UNANSWERED_MOST: usize = 64;

/// Weights and everything that passes through them.
#[derive(Debug)]
pub(super) struct Outgoing<T> {
    pub(super) parameters: Parameters<T>,
    pub(super) settings: Arc<LayerSettings>,
    /// Of weights and bias; made when they are first used.
    pub(super) optimizers: Option<Box<[Optimizer<T>; 2]>>,
    pub(super) above: Above<T>,
    /// What deviations are measured from, in a phase of them; their prediction has no bias.
    pub(super) ground: Option<Ground<T>>,
    /// Zeros, where it is wanted.
    no_bias: Vec<T>,
    /// The bias is this part's to learn; where a layer is cut into groups, one of them has it.
    pub(super) owns_bias: bool,
    /// `B`, if errors do not come down through the weights themselves.
    pub(super) back: Option<Box<Feedback<T>>>,
    /// Version of the prediction that belongs to the present state, unless `moved`.
    pub(super) version: u64,
    /// The state moved since the prediction was computed.
    pub(super) moved: bool,
    /// Version of the last one spoken.
    pub(super) said: u64,
    pub(super) prediction: Option<Arc<Field<T>>>,
    /// The prediction of this version as it was computed, where what is heard of it differs.
    computed: Option<(u64, Arc<Field<T>>)>,
    unanswered: VecDeque<(u64, Arc<Field<T>>)>,
    pub(super) unanswered_most: usize,
    echoes: bool,
    pub(super) heard: Option<Signal<T>>,
    adjoint: Option<Box<Field<T>>>,
    /// `g`, up to date unless `stale`.
    pub(super) feedback: Option<Box<Field<T>>>,
    stale: bool,
    /// Made when something is collected.
    pub(super) collected: Option<Box<Parameters<T>>>,
    pub(super) terms: usize,
    /// Where weights move during a phase: the Hebbian product one step ago.
    pub(super) previous: Option<Box<Parameters<T>>>,
    pub(super) transposed: Vec<T>,
    pages: Pages<T>,
}

impl<T: Real> Outgoing<T> {
    pub(super) fn new(parameters: Parameters<T>, settings: Arc<LayerSettings>, above: Above<T>) -> Self {
        Self {
            parameters,
            settings,
            optimizers: None,
            above,
            ground: None,
            no_bias: Vec::new(),
            owns_bias: true,
            back: None,
            version: 0,
            moved: true,
            said: 0,
            prediction: None,
            computed: None,
            unanswered: VecDeque::new(),
            unanswered_most: UNANSWERED_MOST,
            echoes: false,
            heard: None,
            adjoint: None,
            feedback: None,
            stale: true,
            collected: None,
            terms: 0,
            previous: None,
            transposed: Vec::new(),
            pages: Pages::new(),
        }
    }

    /// Forgets what belonged to another batch.
    pub(super) fn clear(&mut self) {
        self.prediction = None;
        self.computed = None;
        self.unanswered.clear();
        self.heard = None;
        self.moved = true;
        self.stale = true;
        self.terms = 0;
        self.previous = None;
    }

    /// What was predicted, and the feedback, went through other weights.
    pub(super) fn weights_moved(&mut self) {
        self.moved = true;
        self.stale = true;
    }

    /// The variables change: nothing that was said or heard counts any more, but what was collected does.
    pub(super) fn start_over(&mut self, ground: Option<Ground<T>>) {
        let terms = self.terms;
        self.clear();
        self.terms = terms;
        self.no_bias.resize(if ground.is_some() { self.parameters.bias.len() } else { 0 }, T::zero());
        self.ground = ground;
    }

    /// From now on errors come with an echo, so predictions have to be remembered until they are answered.
    pub(super) fn remember(&mut self, echoes: bool) {
        self.echoes = echoes;
    }

    /// True if the error is worked out here, against the prediction of this moment, so that it changes when the state moves.
    fn forms_errors(&self) -> bool {
        self.echoes || self.heard.as_ref().is_some_and(|heard| heard.content == Content::State)
    }

    /// True if there is a prediction that has not been spoken and room to speak it.
    pub(super) fn has_news(&self) -> bool {
        (self.moved || self.said != self.version) && self.has_room()
    }

    /// True if another prediction may be spoken.
    pub(super) fn has_room(&self) -> bool {
        self.unanswered.len() < self.unanswered_most
    }

    /// True if the present state's prediction has been spoken.
    pub(super) fn is_spoken(&self) -> bool {
        !self.moved && self.said == self.version
    }

    /// Brings the prediction up to date with the state.
    fn refresh_prediction(&mut self, state: &Field<T>) {
        if !self.moved {
            return;
        }
        let (to, from) = self.parameters.weights.dim();
        let batch = state.ncols();
        let bias = if self.ground.is_some() { &self.no_bias } else { &self.parameters.bias };
        let weights = values(&self.parameters.weights);
        let page = self.pages.publish(to, batch, |page| {
            if batch == 1 {
                T::current_of_one(weights, bias, values(state), values_mut(page));
            } else {
                let shape = Shape { rows: to, inner: from, cols: batch };
                T::product(shape, Left::Rows(weights), values(state), Start::Bias(bias), values_mut(page));
            }
        });
        self.version += 1;
        if self.echoes {
            self.unanswered.push_back((self.version, Arc::clone(&page)));
        }
        self.stale |= self.forms_errors();
        self.prediction = Some(page);
        self.moved = false;
    }

    /// The prediction of the layer above, stamped.
    pub(super) fn speak(&mut self, state: &Field<T>, (phase, step): (u64, u64), channel: Channel) -> Signal<T> {
        self.refresh_prediction(state);
        if channel.is_noisy() && self.said == self.version {
            self.repeat();
        }
        self.said = self.version;
        if !channel.is_clean() {
            self.misspeak(channel);
        }
        let numbers = Arc::clone(self.prediction.as_ref().expect("a refreshed prediction exists"));
        let answers = self.heard.as_ref().map_or(0, |error| error.stamp.version);
        Signal { stamp: Stamp { phase, step, version: self.version, answers }, content: Content::Prediction, numbers }
    }

    /// The same prediction is about to be said with other noise: it is another version, so that nobody takes it for a copy.
    fn repeat(&mut self) {
        self.version += 1;
        let Some((version, computed)) = &mut self.computed else { return };
        *version = self.version;
        if self.echoes {
            self.unanswered.push_back((self.version, Arc::clone(computed)));
        }
    }

    /// What is remembered as said is what is heard: not quite what was computed, which is kept to be said again.
    fn misspeak(&mut self, channel: Channel) {
        if self.computed.as_ref().is_none_or(|(version, _)| *version != self.version) {
            self.computed = self.prediction.take().map(|prediction| (self.version, prediction));
        }
        let (_, computed) = self.computed.as_ref().expect("a refreshed prediction exists");
        let heard = channel.carry(computed, &mut self.pages);
        if let Some((remembered, page)) = self.unanswered.back_mut()
            && *remembered == self.version
        {
            page.clone_from(&heard);
        }
        self.stale |= self.forms_errors();
        self.prediction = Some(heard);
    }

    /// A spoken prediction was replaced before it was heard: no error will ever answer it.
    pub(super) fn forget(&mut self, version: u64) {
        self.unanswered.retain(|(spoken, _)| *spoken != version);
    }

    /// Takes in an error; returns by how many versions its echo is behind.
    pub(super) fn hear(&mut self, error: Signal<T>) -> u64 {
        let answers = error.stamp.answers;
        let behind = self.version.saturating_sub(answers);
        while self.unanswered.front().is_some_and(|(version, _)| *version < answers) {
            self.unanswered.pop_front();
        }
        self.heard = Some(error);
        self.stale = true;
        behind
    }

    /// `d` of the layer above, given everything heard and the present prediction; `None` before an error was heard.
    pub(super) fn refresh_adjoint(&mut self, state: &Field<T>) -> Option<()> {
        let content = self.heard.as_ref()?.content;
        if content == Content::Adjoint || content == Content::Prediction {
            return Some(());
        }
        self.refresh_prediction(state);
        let heard = self.heard.as_ref()?;
        let now = &**self.prediction.as_ref()?;
        let ground = self.ground.as_ref();
        let mut error = (*heard.numbers).clone();
        match content {
            Content::State => error.zip_mut_with(&self.above.response(now, ground), |e, &r| *e = *e - r),
            _ if heard.stamp.answers == self.version => {}
            _ => {
                let answered = self.unanswered.iter().find(|(version, _)| *version == heard.stamp.answers);
                let used = &answered.expect("an answered prediction is remembered until a newer one is answered").1;
                let (then, now) = (self.above.response(used, ground), self.above.response(now, ground));
                ndarray::Zip::from(&mut error).and(&then).and(&now).for_each(|e, &then, &now| *e = *e + (then - now));
            }
        }
        let total = ground.map(|ground| ground.total(now));
        error.zip_mut_with(total.as_ref().unwrap_or(now), |e, &a| *e = *e * self.above.slope(a));
        self.adjoint = Some(Box::new(error));
        Some(())
    }

    /// The adjoint that `refresh_adjoint` prepared.
    pub(super) fn adjoint(&self) -> Option<&Field<T>> {
        let heard = self.heard.as_ref()?;
        if heard.content == Content::Adjoint { Some(&heard.numbers) } else { self.adjoint.as_deref() }
    }

    /// True if the adjoint, worked out as of now, is zero everywhere.
    pub(super) fn hears_silence(&mut self, state: &Field<T>) -> bool {
        self.refresh_adjoint(state);
        self.adjoint().is_none_or(|adjoint| values(adjoint).iter().all(|d| *d == T::zero()))
    }

    /// Brings `g` up to date with everything heard; false if no error has been heard yet.
    pub(super) fn refresh_feedback(&mut self, state: &Field<T>) -> bool {
        if self.moved && self.forms_errors() {
            self.refresh_prediction(state);
        }
        if !self.stale {
            return true;
        }
        if self.refresh_adjoint(state).is_none() {
            return false;
        }
        let mut feedback = self.feedback.take().unwrap_or_default();
        if feedback.dim() != state.dim() {
            *feedback = Array2::zeros(state.dim());
        }
        let (to, from) = self.parameters.weights.dim();
        let adjoint = values(self.adjoint().expect("prepared above"));
        let weights = values(self.back.as_ref().map_or(&self.parameters.weights, |back| &back.matrix));
        if state.ncols() == 1 {
            // One sample: gᵀ = dᵀ W runs along the rows of W, with the same chain per element as the batch.
            let shape = Shape { rows: 1, inner: to, cols: from };
            T::product(shape, Left::Rows(adjoint), weights, Start::Zero, values_mut(&mut feedback));
        } else {
            let shape = Shape { rows: from, inner: to, cols: state.ncols() };
            T::product(shape, Left::Columns(weights), adjoint, Start::Zero, values_mut(&mut feedback));
        }
        self.feedback = Some(feedback);
        self.stale = false;
        true
    }
}
