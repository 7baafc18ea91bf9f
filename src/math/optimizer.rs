//! Optimisers, held by whoever owns the weights: one per tensor, no state shared.
//!
//! With `g` the gradient of the batch-mean loss (the sign of PyTorch's `.grad`), `η` = `param_lr`, `ω` = `weight_decay`:
//!
//! ```text
//! sgd        g ← g + ω p                                            p ← p − η g
//! momentum   g ← g + ω p     v ← μ v + g                            p ← p − η v
//! adam       g ← g + ω p     m ← β₁ m + (1−β₁) g                    p ← p − η/(1−β₁ᵗ) · m / (√v / √(1−β₂ᵗ) + ε)
//!                            v ← β₂ v + (1−β₂) g²
//! adamw      as adam without ω in g;  p ← p − η ω p  first
//! ```
//!
//! These are PyTorch's definitions, so that a learning rate means the same there and here (Kingma & Ba 2015; Loshchilov &
//! Hutter 2019). The optimiser is told `h`, the sum of Hebbian products, and the factor that turns it into `−g`.

use serde::{Deserialize, Serialize};

use super::Real;

/// Which optimiser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OptimizerKind {
    /// Plain gradient descent.
    Sgd,
    /// Gradient descent with heavy-ball momentum.
    Momentum,
    /// Adam.
    #[default]
    Adam,
    /// Adam with decoupled weight decay.
    Adamw,
}

/// An optimiser and its constants.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct OptimizerSpec {
    /// Which one.
    pub kind: OptimizerKind,
    /// η, `param_lr`.
    pub rate: f64,
    /// μ.
    pub momentum: f64,
    /// β₁ and β₂.
    pub betas: (f64, f64),
    /// ε.
    pub epsilon: f64,
    /// ω.
    pub weight_decay: f64,
}

impl OptimizerSpec {
    /// Plain gradient descent with rate `η`.
    pub fn sgd(rate: f64) -> Self {
        Self { kind: OptimizerKind::Sgd, rate, momentum: 0.0, betas: (0.9, 0.999), epsilon: 1e-8, weight_decay: 0.0 }
    }
}

/// The memory of one tensor's optimiser; empty vectors where a kind keeps none.
#[derive(Clone, Debug, PartialEq)]
pub struct OptimizerState<T> {
    /// Updates made so far.
    pub updates: u64,
    /// Velocity (momentum) or first moment (Adam).
    pub first: Vec<T>,
    /// Second moment (Adam).
    pub second: Vec<T>,
}

/// One tensor's optimiser.
#[derive(Clone, Debug)]
pub struct Optimizer<T> {
    spec: OptimizerSpec,
    state: OptimizerState<T>,
}

impl<T: Real> Optimizer<T> {
    /// A fresh optimiser of a tensor with `size` numbers.
    pub fn new(spec: OptimizerSpec, size: usize) -> Self {
        let (first, second) = match spec.kind {
            OptimizerKind::Sgd => (0, 0),
            OptimizerKind::Momentum => (size, 0),
            OptimizerKind::Adam | OptimizerKind::Adamw => (size, size),
        };
        let state = OptimizerState { updates: 0, first: vec![T::zero(); first], second: vec![T::zero(); second] };
        Self { spec, state }
    }

    /// What has to be stored to go on later.
    pub fn state(&self) -> &OptimizerState<T> {
        &self.state
    }

    /// Goes on from a stored state; false, and nothing changed, if its sizes are not this tensor's.
    #[must_use]
    pub fn restore(&mut self, state: OptimizerState<T>) -> bool {
        let fits = state.first.len() == self.state.first.len() && state.second.len() == self.state.second.len();
        if fits {
            self.state = state;
        }
        fits
    }

    /// One update of `parameters`; the gradient is `−scale · hebbian`.
    pub fn update(&mut self, parameters: &mut [T], hebbian: &[T], scale: T) {
        assert_eq!(parameters.len(), hebbian.len(), "one Hebbian product per parameter");
        self.state.updates += 1;
        let arch = pulp::Arch::new();
        match self.spec.kind {
            OptimizerKind::Sgd => arch.dispatch(|| self.sgd(parameters, hebbian, scale)),
            OptimizerKind::Momentum => arch.dispatch(|| self.heavy_ball(parameters, hebbian, scale)),
            OptimizerKind::Adam | OptimizerKind::Adamw => arch.dispatch(|| self.adam(parameters, hebbian, scale)),
        }
    }

    #[inline(always)]
    fn sgd(&self, parameters: &mut [T], hebbian: &[T], scale: T) {
        let (rate, decay) = (T::of(self.spec.rate), T::of(self.spec.weight_decay));
        for (p, &h) in parameters.iter_mut().zip(hebbian) {
            let gradient = decay * *p - scale * h;
            *p = *p - rate * gradient;
        }
    }

    #[inline(always)]
    fn heavy_ball(&mut self, parameters: &mut [T], hebbian: &[T], scale: T) {
        let (rate, decay, momentum) = (T::of(self.spec.rate), T::of(self.spec.weight_decay), T::of(self.spec.momentum));
        for ((p, &h), v) in parameters.iter_mut().zip(hebbian).zip(&mut self.state.first) {
            let gradient = decay * *p - scale * h;
            *v = momentum * *v + gradient;
            *p = *p - rate * *v;
        }
    }

    #[inline(always)]
    fn adam(&mut self, parameters: &mut [T], hebbian: &[T], scale: T) {
        let (beta1, beta2) = self.spec.betas;
        let t = self.state.updates as f64;
        let step = T::of(self.spec.rate / (1.0 - libm::pow(beta1, t)));
        let second_scale = T::of(1.0 / libm::sqrt(1.0 - libm::pow(beta2, t)));
        let epsilon = T::of(self.spec.epsilon);
        let (decay, shrink) = match self.spec.kind {
            OptimizerKind::Adamw => (T::zero(), T::of(1.0 - self.spec.rate * self.spec.weight_decay)),
            _ => (T::of(self.spec.weight_decay), T::one()),
        };
        let (keep1, keep2) = (T::of(beta1), T::of(beta2));
        let (add1, add2) = (T::of(1.0 - beta1), T::of(1.0 - beta2));
        let moments = self.state.first.iter_mut().zip(&mut self.state.second);
        for ((p, &h), (m, v)) in parameters.iter_mut().zip(hebbian).zip(moments) {
            let gradient = decay * *p - scale * h;
            *m = keep1 * *m + add1 * gradient;
            *v = keep2 * *v + add2 * (gradient * gradient);
            *p = shrink * *p - step * *m / (v.sqrt() * second_scale + epsilon);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(kind: OptimizerKind) -> OptimizerSpec {
        OptimizerSpec { kind, rate: 0.1, momentum: 0.9, betas: (0.9, 0.999), epsilon: 1e-8, weight_decay: 0.0 }
    }

    /// Runs with a constant gradient of 1: `h = −1`, scale 1.
    fn after(spec: OptimizerSpec, updates: usize, start: f64) -> f64 {
        let mut optimizer = Optimizer::<f64>::new(spec, 1);
        let mut parameter = [start];
        for _ in 0..updates {
            optimizer.update(&mut parameter, &[-1.0], 1.0);
        }
        parameter[0]
    }

    #[test]
    fn constant_gradient_moves_as_the_closed_forms_say() {
        assert!((after(spec(OptimizerKind::Sgd), 7, 2.0) - (2.0 - 0.7)).abs() < 1e-12);
        // Velocities 1, 1.9, 2.71: sum 5.61.
        assert!((after(spec(OptimizerKind::Momentum), 3, 2.0) - (2.0 - 0.561)).abs() < 1e-12);
        // Both bias-corrected moments are exactly 1, so each step is η/(1+ε).
        assert!((after(spec(OptimizerKind::Adam), 5, 2.0) - (2.0 - 0.5 / (1.0 + 1e-8))).abs() < 1e-9);
    }

    #[test]
    fn weight_decay_is_in_the_gradient_for_sgd_and_beside_it_for_adamw() {
        let decayed = |kind| OptimizerSpec { weight_decay: 0.5, ..spec(kind) };
        // g = 1 + 0.5·2 = 2; p = 2 − 0.1·2.
        assert!((after(decayed(OptimizerKind::Sgd), 1, 2.0) - 1.8).abs() < 1e-12);
        // Adam normalises the decayed gradient away; AdamW shrinks p by 1 − 0.05 and then steps 0.1.
        assert!((after(decayed(OptimizerKind::Adam), 1, 2.0) - 1.9).abs() < 1e-7);
        assert!((after(decayed(OptimizerKind::Adamw), 1, 2.0) - (1.9 - 0.1)).abs() < 1e-7);
    }

    #[test]
    fn a_stored_state_goes_on_with_the_same_bits_and_a_foreign_one_is_refused() {
        let mut whole = Optimizer::<f32>::new(spec(OptimizerKind::Adam), 3);
        let mut parameters = [1.0_f32, -2.0, 0.5];
        whole.update(&mut parameters, &[0.3, -0.1, 0.7], 0.5);
        let mut resumed = Optimizer::new(spec(OptimizerKind::Adam), 3);
        assert!(resumed.restore(whole.state().clone()));
        let mut copy = parameters;
        whole.update(&mut parameters, &[0.2, 0.2, -0.9], 0.5);
        resumed.update(&mut copy, &[0.2, 0.2, -0.9], 0.5);
        assert_eq!(parameters, copy);
        assert!(!Optimizer::<f32>::new(spec(OptimizerKind::Adam), 4).restore(whole.state().clone()));
    }
}
