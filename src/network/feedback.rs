//! Feedback weights: the matrices through which errors come down, which need not be the transposes of those that predictions go
//! up through (the question of weight transport, appendix A.2).
//!
//! ```text
//! g_l = B_{l+1}ᵀ d_{l+1}                                   l = 1 … L − 1,  B_l has the shape of W_l
//!
//! tied             B = W                                   the gradient of the energy
//! random           B drawn once, never changed             feedback alignment, Lillicrap et al. 2016
//! sign-symmetric   B_ij = |M_ij| sign(W_ij), M drawn once   Liao, Leibo & Poggio 2016: random magnitudes, the signs of W as it learns
//! kolen-pollack    B drawn once, then B and W get the      Kolen & Pollack 1994; Akrout et al. 2019
//!                  same Hebbian update and both decay
//! ```
//!
//! Liao et al. compare several ways to take magnitudes (their uSF, brSF, frSF); ours is a fixed random magnitude per connection with
//! the present sign (frSF). A zero weight counts as positive if it is +0. By Kolen and Pollack, `W − B` shrinks by `1 − ηω` with
//! every update of plain gradient descent, so without a weight decay ω the two never meet.
//!
//! Only with tied weights do the states descend an energy. With the others they have a fixed point if the feedback is not too
//! strong, its residual says how far they are from it, and what is reported as energy is zero. Where `B` lives: beside `W`, in the
//! layer below. A biological network would keep it in other synapses, those of the descending axons, so `sign-symmetric` needs the
//! sign of a remote weight, and `kolen-pollack` needs the product of the same two activities at both places, but no weight.
//! `W_1` has no `B`: no error goes to the data. Next: `crate::layer`.

use serde::{Deserialize, Serialize};

use super::{Init, NetworkSpec};
use crate::math::optimizer::OptimizerState;
use crate::math::random::{Purpose, Stream};
use crate::math::{Field, Real, values, values_mut};

/// What errors come down through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FeedbackKind {
    /// The transposes of the weights.
    #[default]
    Tied,
    /// Fixed random matrices.
    Random,
    /// Fixed random magnitudes with the signs of the weights.
    SignSymmetric,
    /// Matrices that learn what the weights learn.
    KolenPollack,
}

/// The kind of feedback weights, and where the drawn ones come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feedback {
    /// Which kind.
    pub kind: FeedbackKind,
    /// The law the matrices are drawn from, in streams of their own.
    pub init: Init,
    /// The seed of those streams.
    pub seed: u64,
}

/// The feedback weights of one connection, with the state of their optimiser if they learn.
#[derive(Clone, Debug, PartialEq)]
pub struct FeedbackState<T> {
    /// `B_l`, of the shape of `W_l`.
    pub matrix: Field<T>,
    /// Of the optimiser.
    pub optimizer: Option<OptimizerState<T>>,
}

impl NetworkSpec {
    /// The same network with other feedback weights.
    pub fn with_feedback(mut self, feedback: Feedback) -> Self {
        self.feedback = feedback;
        self
    }

    /// What errors come down through.
    pub fn feedback(&self) -> FeedbackKind {
        self.feedback.kind
    }

    /// True if the states go down an energy: with tied feedback, and not in a rate network.
    pub fn descends_an_energy(&self) -> bool {
        self.feedback.kind == FeedbackKind::Tied && self.energy != crate::energy::EnergyKind::Rate
    }

    /// The matrix drawn for the feedback from layer `layer`, before it takes the signs of anything; `None` where the weights
    /// themselves serve, and at layer 1, from which nothing goes down.
    pub fn initial_feedback<T: Real>(&self, layer: usize) -> Option<Field<T>> {
        let Feedback { kind, init, seed } = self.feedback;
        (kind != FeedbackKind::Tied && layer > 1).then(|| {
            let mut stream = Stream::new(seed, Purpose::Feedback, layer as u64);
            init.draw_from(&mut stream, self.widths[layer], self.widths[layer - 1]).weights
        })
    }
}

/// Gives every entry of `matrix` the sign of the weight in its place.
pub fn take_signs<T: Real>(matrix: &mut Field<T>, weights: &Field<T>) {
    for (b, &w) in values_mut(matrix).iter_mut().zip(values(weights)) {
        *b = b.abs().copysign(w);
    }
}
