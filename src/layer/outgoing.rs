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

use std::sync::Arc;

use ndarray::Array2;

use super::LayerSettings;
use super::above::Above;
use super::collecting::Hebbian;
use super::deviating::Ground;
use super::feedback::Feedback;
use super::imprecision::Channel;
use super::passing::{Echo, Passing};
use crate::math::kernel::{Left, Shape, Start};
use crate::math::optimizer::Optimizer;
use crate::math::{Field, Real, values, values_mut};
use crate::network::Parameters;
use crate::signal::{Content, Signal, Stamp};

/// Weights, and everything that passes through them.
#[derive(Debug)]
pub(super) struct Outgoing<T> {
    pub(super) parameters: Parameters<T>,
    pub(super) settings: Arc<LayerSettings>,
    /// Of weights and bias; made when they are first used.
    pub(super) optimizers: Option<Box<[Optimizer<T>; 2]>>,
    pub(super) above: Above<T>,
    /// The bias is this part's to learn; where a layer is cut into groups, one of them has it.
    pub(super) owns_bias: bool,
    /// `B`, if errors do not come down through the weights themselves.
    pub(super) back: Option<Box<Feedback<T>>>,
    /// What is remembered of predictions, if errors come with an echo.
    pub(super) echo: Option<Box<Echo<T>>>,
    /// Made when something is collected.
    pub(super) hebbian: Option<Box<Hebbian<T>>>,
    /// Made when something passes.
    pub(super) passing: Option<Box<Passing<T>>>,
}

impl<T: Real> Outgoing<T> {
    pub(super) fn new(parameters: Parameters<T>, settings: Arc<LayerSettings>, above: Above<T>) -> Self {
        Self {
            parameters,
            settings,
            optimizers: None,
            above,
            owns_bias: true,
            back: None,
            echo: None,
            hebbian: None,
            passing: None,
        }
    }

    /// Forgets what belonged to another batch.
    pub(super) fn clear(&mut self) {
        self.forget_traffic();
        if let Some(hebbian) = &mut self.hebbian {
            hebbian.begin_anew();
        }
    }

    fn forget_traffic(&mut self) {
        if let Some(passing) = &mut self.passing {
            passing.clear();
        }
        if let Some(echo) = &mut self.echo {
            echo.unanswered.clear();
        }
    }

    /// The state is another one.
    pub(super) fn state_moved(&mut self) {
        if let Some(passing) = &mut self.passing {
            passing.moved = true;
        }
    }

    /// What was predicted, and the feedback, went through other weights.
    pub(super) fn weights_moved(&mut self) {
        if let Some(passing) = &mut self.passing {
            passing.moved = true;
            passing.stale = true;
        }
    }

    /// The variables change: nothing that was said or heard counts any more, but what was collected does.
    pub(super) fn start_over(&mut self, ground: Option<Ground<T>>) {
        self.forget_traffic();
        if let Some(hebbian) = &mut self.hebbian {
            hebbian.previous = None;
        }
        let passing = self.passing.get_or_insert_default();
        passing.no_bias.resize(if ground.is_some() { self.parameters.bias.len() } else { 0 }, T::zero());
        passing.ground = ground;
    }

    /// What deviations are measured from, in a phase of them.
    pub(super) fn ground(&self) -> Option<&Ground<T>> {
        self.passing.as_ref()?.ground.as_ref()
    }

    /// The prediction of the present state, if it has been said.
    pub(super) fn present_prediction(&self) -> Option<&Arc<Field<T>>> {
        self.passing.as_ref().filter(|passing| !passing.moved)?.prediction.as_ref()
    }

    /// Versions of the prediction: of the newest, and of the last one spoken.
    pub(super) fn versions(&self) -> [u64; 2] {
        self.passing.as_ref().map_or([0; 2], |passing| [passing.version, passing.said])
    }

    /// The error that was heard last.
    pub(super) fn heard(&self) -> Option<&Signal<T>> {
        self.passing.as_ref()?.heard.as_ref()
    }

    /// `g`, as it was worked out last.
    pub(super) fn feedback(&self) -> Option<&Field<T>> {
        self.passing.as_ref()?.feedback.as_deref()
    }

    /// True if the error is worked out here, against the prediction of this moment, so that it changes when the state moves.
    fn forms_errors(&self) -> bool {
        self.echo.is_some() || self.heard().is_some_and(|heard| heard.content == Content::State)
    }

    /// True if there is a prediction that has not been spoken and room to speak it.
    pub(super) fn has_news(&self) -> bool {
        !self.is_spoken() && self.has_room()
    }

    /// True if another prediction may be spoken.
    pub(super) fn has_room(&self) -> bool {
        self.echo.as_ref().is_none_or(|echo| echo.unanswered.len() < echo.most)
    }

    /// True if the present state's prediction has been spoken.
    pub(super) fn is_spoken(&self) -> bool {
        self.passing.as_ref().is_some_and(|passing| !passing.moved && passing.said == passing.version)
    }

    /// Brings the prediction up to date with the state.
    fn refresh_prediction(&mut self, state: &Field<T>) {
        let forms_errors = self.forms_errors();
        let passing = self.passing.get_or_insert_default();
        if !passing.moved {
            return;
        }
        let (to, from) = self.parameters.weights.dim();
        let batch = state.ncols();
        let bias = if passing.ground.is_some() { &passing.no_bias } else { &self.parameters.bias };
        let weights = values(&self.parameters.weights);
        let page = passing.pages.publish(to, batch, |page| {
            if batch == 1 {
                T::current_of_one(weights, bias, values(state), values_mut(page));
            } else {
                let shape = Shape { rows: to, inner: from, cols: batch };
                T::product(shape, Left::Rows(weights), values(state), Start::Bias(bias), values_mut(page));
            }
        });
        passing.version += 1;
        if let Some(echo) = &mut self.echo {
            echo.unanswered.push_back((passing.version, Arc::clone(&page)));
        }
        passing.stale |= forms_errors;
        passing.prediction = Some(page);
        passing.moved = false;
    }

    /// The prediction of the layer above, stamped.
    pub(super) fn speak(&mut self, state: &Field<T>, (phase, step): (u64, u64), channel: Channel) -> Signal<T> {
        self.refresh_prediction(state);
        if channel.is_noisy() && self.is_spoken() {
            self.repeat();
        }
        if !channel.is_clean() {
            self.misspeak(channel);
        }
        let passing = self.passing.get_or_insert_default();
        passing.said = passing.version;
        let numbers = Arc::clone(passing.prediction.as_ref().expect("a refreshed prediction exists"));
        let answers = passing.heard.as_ref().map_or(0, |error| error.stamp.version);
        Signal {
            stamp: Stamp { phase, step, version: passing.version, answers },
            content: Content::Prediction,
            numbers,
        }
    }

    /// The same prediction is about to be said with other noise: it is another version, so that nobody takes it for a copy.
    fn repeat(&mut self) {
        let passing = self.passing.get_or_insert_default();
        passing.version += 1;
        let Some((version, computed)) = &mut passing.computed else { return };
        *version = passing.version;
        if let Some(echo) = &mut self.echo {
            echo.unanswered.push_back((passing.version, Arc::clone(computed)));
        }
    }

    /// What is remembered as said is what is heard: not quite what was computed, which is kept to be said again.
    fn misspeak(&mut self, channel: Channel) {
        let forms_errors = self.forms_errors();
        let passing = self.passing.get_or_insert_default();
        if passing.computed.as_ref().is_none_or(|(version, _)| *version != passing.version) {
            passing.computed = passing.prediction.take().map(|prediction| (passing.version, prediction));
        }
        let (_, computed) = passing.computed.as_ref().expect("a refreshed prediction exists");
        let heard = channel.carry(computed, &mut passing.pages);
        if let Some((remembered, page)) = self.echo.as_mut().and_then(|echo| echo.unanswered.back_mut())
            && *remembered == passing.version
        {
            page.clone_from(&heard);
        }
        passing.stale |= forms_errors;
        passing.prediction = Some(heard);
    }

    /// A spoken prediction was replaced before it was heard: no error will ever answer it.
    pub(super) fn forget(&mut self, version: u64) {
        if let Some(echo) = &mut self.echo {
            echo.unanswered.retain(|(spoken, _)| *spoken != version);
        }
    }

    /// Takes in an error; returns by how many versions its echo is behind.
    pub(super) fn hear(&mut self, error: Signal<T>) -> u64 {
        let answers = error.stamp.answers;
        if let Some(echo) = &mut self.echo {
            while echo.unanswered.front().is_some_and(|(version, _)| *version < answers) {
                echo.unanswered.pop_front();
            }
        }
        let passing = self.passing.get_or_insert_default();
        passing.heard = Some(error);
        passing.stale = true;
        passing.version.saturating_sub(answers)
    }

    /// `d` of the layer above, given everything heard and the present prediction; `None` before an error was heard.
    pub(super) fn refresh_adjoint(&mut self, state: &Field<T>) -> Option<()> {
        let content = self.heard()?.content;
        if content == Content::Adjoint || content == Content::Prediction {
            return Some(());
        }
        self.refresh_prediction(state);
        let passing = self.passing.as_deref_mut()?;
        let heard = passing.heard.as_ref()?;
        let now = &**passing.prediction.as_ref()?;
        let ground = passing.ground.as_ref();
        let mut error = (*heard.numbers).clone();
        match content {
            Content::State => error.zip_mut_with(&self.above.response(now, ground), |e, &r| *e = *e - r),
            _ if heard.stamp.answers == passing.version => {}
            _ => {
                let mut remembered = self.echo.iter().flat_map(|echo| &echo.unanswered);
                let answered = remembered.find(|(version, _)| *version == heard.stamp.answers);
                let used = &answered.expect("an answered prediction is remembered until a newer one is answered").1;
                let (then, now) = (self.above.response(used, ground), self.above.response(now, ground));
                ndarray::Zip::from(&mut error).and(&then).and(&now).for_each(|e, &then, &now| *e = *e + (then - now));
            }
        }
        let total = ground.map(|ground| ground.total(now));
        error.zip_mut_with(total.as_ref().unwrap_or(now), |e, &a| *e = *e * self.above.slope(a));
        passing.adjoint = Some(Box::new(error));
        Some(())
    }

    /// The adjoint that `refresh_adjoint` prepared.
    pub(super) fn adjoint(&self) -> Option<&Field<T>> {
        self.passing.as_ref()?.adjoint()
    }

    /// True if the adjoint, worked out as of now, is zero everywhere.
    pub(super) fn hears_silence(&mut self, state: &Field<T>) -> bool {
        self.refresh_adjoint(state);
        self.adjoint().is_none_or(|adjoint| values(adjoint).iter().all(|d| *d == T::zero()))
    }

    /// Brings `g` up to date with everything heard; false if no error has been heard yet.
    pub(super) fn refresh_feedback(&mut self, state: &Field<T>) -> bool {
        if self.forms_errors() {
            self.refresh_prediction(state);
        }
        if self.passing.as_ref().is_some_and(|passing| !passing.stale) {
            return true;
        }
        if self.refresh_adjoint(state).is_none() {
            return false;
        }
        let passing = self.passing.get_or_insert_default();
        let mut feedback = passing.feedback.take().unwrap_or_default();
        if feedback.dim() != state.dim() {
            *feedback = Array2::zeros(state.dim());
        }
        let (to, from) = self.parameters.weights.dim();
        let adjoint = values(passing.adjoint().expect("prepared above"));
        let weights = values(self.back.as_ref().map_or(&self.parameters.weights, |back| &back.matrix));
        if state.ncols() == 1 {
            // One sample: gᵀ = dᵀ W runs along the rows of W, with the same chain per element as the batch.
            let shape = Shape { rows: 1, inner: to, cols: from };
            T::product(shape, Left::Rows(adjoint), weights, Start::Zero, values_mut(&mut feedback));
        } else {
            let shape = Shape { rows: from, inner: to, cols: state.ncols() };
            T::product(shape, Left::Columns(weights), adjoint, Start::Zero, values_mut(&mut feedback));
        }
        passing.feedback = Some(feedback);
        passing.stale = false;
        true
    }
}
