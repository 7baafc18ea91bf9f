//! What a network is: widths, functions, precisions, and the weights a seed gives it.
//!
//! ```text
//! layers 0..=L, layer l has n_l units; W_l (n_l × n_{l-1}) and b_l (n_l) lead from layer l−1 to layer l
//! a_l = W_l x_{l-1} + b_l
//! ```
//!
//! A [`NetworkSpec`] that exists is valid. Next: `crate::signal`, then `crate::layer`.

mod address;
mod description;
mod feedback;
mod groups;
mod init;
pub mod precision;

pub use address::{Address, AddressError};
pub use description::Description;
pub use feedback::{Feedback, FeedbackKind, FeedbackState, take_signs};
pub use groups::Grouping;
pub use init::Init;

use std::fmt;

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::energy::{Activation, EnergyKind, Loss};
use crate::math::{Field, Real};

/// Everything about a network but its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Description", into = "Description")]
pub struct NetworkSpec {
    widths: Vec<usize>,
    activation: Activation,
    output: Activation,
    loss: Loss,
    energy: EnergyKind,
    precision: Vec<f64>,
    feedback_gain: f64,
    grouping: Grouping,
    feedback: Feedback,
    /// Precisions of the units of layers 1 … L, or empty.
    units: Vec<Vec<f64>>,
    precision_rate: f64,
}

/// Why a network can't be made, in a sentence that names the part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NetworkError(String);

impl NetworkSpec {
    /// A network of these widths (input first), `activation` in the hidden layers, unit precisions, identity output.
    pub fn new(widths: &[usize], activation: Activation, loss: Loss) -> Result<Self, NetworkError> {
        if widths.len() < 2 {
            return Err(NetworkError(format!("a network has an input and an output layer; widths are {widths:?}")));
        }
        if let Some(layer) = widths.iter().position(|&width| width == 0) {
            return Err(NetworkError(format!("layer {layer} has no units; widths are {widths:?}")));
        }
        Ok(Self {
            widths: widths.to_vec(),
            activation,
            output: Activation::Identity,
            loss,
            energy: EnergyKind::PredictiveCoding,
            precision: vec![1.0; widths.len() - 1],
            feedback_gain: 1.0,
            grouping: Grouping::default(),
            feedback: Feedback::default(),
            units: Vec::new(),
            precision_rate: 0.0,
        })
    }

    /// The same network with precisions `Π_1 … Π_L`.
    pub fn with_precision(mut self, precision: &[f64]) -> Result<Self, NetworkError> {
        if precision.len() != self.depth() {
            let (given, wanted) = (precision.len(), self.depth());
            return Err(NetworkError(format!("{given} precisions for {wanted} layers above the input")));
        }
        if let Some(at) = precision.iter().position(|&p| !(p.is_finite() && p > 0.0)) {
            return Err(NetworkError(format!("the precision of layer {} is {}, not positive", at + 1, precision[at])));
        }
        self.precision = precision.to_vec();
        Ok(self)
    }

    /// The same network with an output activation, which only squared error can have: softmax belongs to cross-entropy.
    pub fn with_output(mut self, output: Activation) -> Result<Self, NetworkError> {
        if self.loss == Loss::CrossEntropy && output != Activation::Identity {
            return Err(NetworkError("cross-entropy has its softmax; its output activation is identity".into()));
        }
        self.output = output;
        Ok(self)
    }

    /// The same network with another internal energy.
    pub fn with_energy(mut self, energy: EnergyKind) -> Result<Self, NetworkError> {
        let rho = self.activation;
        let bounded = matches!(rho, Activation::HardSigmoid | Activation::Sigmoid | Activation::Tanh);
        if energy == EnergyKind::Hopfield && !bounded {
            let what = "the Hopfield energy has a minimum for bounded activations only: hard-sigmoid, sigmoid or tanh";
            return Err(NetworkError(what.into()));
        }
        if energy.has_output_state() && self.precision.iter().any(|&precision| precision != 1.0) {
            return Err(NetworkError("precisions belong to predictive coding; other energies have none".into()));
        }
        if energy.has_output_state() {
            self.output = self.activation;
        }
        self.energy = energy;
        Ok(self)
    }

    /// The same rate network with feedback γ in (0, 1].
    pub fn with_feedback_gain(mut self, gamma: f64) -> Result<Self, NetworkError> {
        if !(gamma > 0.0 && gamma <= 1.0) {
            return Err(NetworkError(format!("the feedback γ = {gamma} is outside of (0, 1]")));
        }
        self.feedback_gain = gamma;
        Ok(self)
    }

    /// γ of a rate network.
    pub fn feedback_gain(&self) -> f64 {
        self.feedback_gain
    }

    /// L: the index of the output layer, and the number of weight matrices.
    pub fn depth(&self) -> usize {
        self.widths.len() - 1
    }

    /// n_l for every layer, input first.
    pub fn widths(&self) -> &[usize] {
        &self.widths
    }

    /// `f` of layer `l`: the hidden activation, or the output's at `l = L`.
    pub fn activation(&self, layer: usize) -> Activation {
        if layer == self.depth() { self.output } else { self.activation }
    }

    /// The supervised loss.
    pub fn loss(&self) -> Loss {
        self.loss
    }

    /// The internal energy.
    pub fn energy(&self) -> EnergyKind {
        self.energy
    }

    /// Π_l of layer `l ≥ 1`, where it begins if it is learned; NaN for a hidden layer whose units have precisions of their own.
    pub fn precision(&self, layer: usize) -> f64 {
        self.precision[layer - 1]
    }
}

impl fmt::Display for NetworkSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths: Vec<String> = self.widths.iter().map(usize::to_string).collect();
        write!(f, "{}", widths.join("-"))
    }
}

/// `W_l` and `b_l`: what leads to layer `l`, owned by layer `l − 1`.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters<T> {
    /// `n_l × n_{l−1}`, one row per unit of layer `l`.
    pub weights: Field<T>,
    /// `n_l`.
    pub bias: Vec<T>,
}

impl<T: Real> Parameters<T> {
    /// All zero.
    pub fn zeros(to: usize, from: usize) -> Self {
        Self { weights: Array2::zeros((to, from)), bias: vec![T::zero(); to] }
    }

    /// Every number, weights before bias, row by row.
    pub fn numbers(&self) -> impl Iterator<Item = T> + '_ {
        self.weights.iter().chain(&self.bias).copied()
    }
}

/// Weights of a whole network, `W_1, b_1` first. Holds them outside of layers: at birth, in checkpoints, in references.
pub type Weights<T> = Vec<Parameters<T>>;

impl NetworkSpec {
    /// Initial weights from a seed; each matrix has its own random stream, and `f32` holds the rounded numbers of `f64`.
    pub fn initial_weights<T: Real>(&self, init: Init, seed: u64) -> Weights<T> {
        (1..=self.depth()).map(|l| init.draw(seed, l, self.widths[l], self.widths[l - 1])).collect()
    }

    /// True if `weights` have the shapes of this network.
    pub fn fits<T>(&self, weights: &Weights<T>) -> bool {
        weights.len() == self.depth()
            && weights.iter().zip(self.widths.windows(2)).all(|(parameters, pair)| {
                parameters.weights.dim() == (pair[1], pair[0]) && parameters.bias.len() == pair[1]
            })
    }
}
