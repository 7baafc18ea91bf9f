//! What passes through the weights that lead up: the prediction said last, the error heard last, and what was made of them.
//!
//! It is made when something first passes. A neuron that has been shown nothing has its weights and no room for traffic.

use std::collections::VecDeque;
use std::sync::Arc;

use super::deviating::Ground;
use super::pages::Pages;
use crate::math::{Field, Real};
use crate::signal::{Content, Signal};

/// The state of the traffic on one side of a layer.
#[derive(Debug)]
pub(super) struct Passing<T> {
    /// What deviations are measured from, in a phase of them; their prediction has no bias.
    pub(super) ground: Option<Ground<T>>,
    /// Zeros, where it is wanted.
    pub(super) no_bias: Vec<T>,
    /// Version of the prediction that belongs to the present state, unless `moved`.
    pub(super) version: u64,
    /// The state moved since the prediction was computed.
    pub(super) moved: bool,
    /// Version of the last one spoken.
    pub(super) said: u64,
    pub(super) prediction: Option<Arc<Field<T>>>,
    /// The prediction of this version as it was computed, where what is heard of it differs.
    pub(super) computed: Option<(u64, Arc<Field<T>>)>,
    pub(super) heard: Option<Signal<T>>,
    pub(super) adjoint: Option<Box<Field<T>>>,
    /// `g`, up to date unless `stale`.
    pub(super) feedback: Option<Box<Field<T>>>,
    pub(super) stale: bool,
    pub(super) pages: Pages<T>,
}

impl<T: Real> Default for Passing<T> {
    fn default() -> Self {
        Self {
            ground: None,
            no_bias: Vec::new(),
            version: 0,
            moved: true,
            said: 0,
            prediction: None,
            computed: None,
            heard: None,
            adjoint: None,
            feedback: None,
            stale: true,
            pages: Pages::new(),
        }
    }
}

impl<T: Real> Passing<T> {
    /// Forgets what belonged to another batch.
    pub(super) fn clear(&mut self) {
        self.prediction = None;
        self.computed = None;
        self.heard = None;
        self.moved = true;
        self.stale = true;
    }

    /// The adjoint: as it was heard, or as it was worked out.
    pub(super) fn adjoint(&self) -> Option<&Field<T>> {
        let heard = self.heard.as_ref()?;
        if heard.content == Content::Adjoint { Some(&heard.numbers) } else { self.adjoint.as_deref() }
    }
}

/// Predictions that may be unanswered at a time before the layer waits with new ones, unless a schedule says otherwise.
const UNANSWERED_MOST: usize = 64;

/// Predictions that are remembered until an error answers them, where errors come with an echo.
#[derive(Debug)]
pub(super) struct Echo<T> {
    pub(super) unanswered: VecDeque<(u64, Arc<Field<T>>)>,
    pub(super) most: usize,
}

impl<T> Default for Echo<T> {
    fn default() -> Self {
        Self { unanswered: VecDeque::new(), most: UNANSWERED_MOST }
    }
}
