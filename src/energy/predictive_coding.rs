//! The predictive-coding energy (Eq. 3, 4) of one layer.
//!
//! ```text
//! I      = ½ Σ_l Π_l ‖ε_l‖²,      ε_l = x_l − f(a_l),      a_l = W_l x_{l-1} + b_l
//! e_l    = Π_l ε_l                                          weighted prediction error
//! d_l    = e_l ⊙ f'(a_l)                                    what goes down: −∂E/∂a_l
//! drive  = −∂E/∂x_l = g_l − e_l,   g_l = W_{l+1}ᵀ d_{l+1}   feedback, minus own error
//! ```
//!
//! Differs from the paper: Eq. 3 lacks the ½ and counts Π twice, Eq. 4 has the sign of +∂E/∂x; the convention above is the one
//! under which Eq. 14 and Eq. 25 hold. At the free equilibrium every ε is zero (Eq. 20), so the forward pass *is* the free phase.
//! These are the leaf loops; `crate::layer` decides when they run.

use super::Activation;
use super::activation::on_each;
use crate::math::Real;

/// `e = Π (x − f(a))` and `d = e ⊙ f'(a)`.
pub fn errors<T: Real>(f: Activation, precision: T, state: &[T], current: &[T], error: &mut [T], descending: &mut [T]) {
    on_each!(f, f, {
        for (((&x, &a), e), d) in state.iter().zip(current).zip(error).zip(descending) {
            let (value, slope) = f.value_and_slope(a);
            *e = precision * (x - value);
            *d = *e * slope;
        }
    });
}

/// `drive = g − e`.
pub fn drive<T: Real>(feedback: &[T], error: &[T], out: &mut [T]) {
    pulp::Arch::new().dispatch(|| {
        for ((slot, &g), &e) in out.iter_mut().zip(feedback).zip(error) {
            *slot = g - e;
        }
    });
}
