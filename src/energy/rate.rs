//! The layered rate network of Xie & Seung (2003), with feedback γ.
//!
//! ```text
//! s_l   = x_l                                   what goes up
//! d_l   = x_l                                   what goes down
//! drive = −x_l + f(a_l + γ g_l),                a_l = W_l x_{l−1} + b_l,   g_l = W_{l+1}ᵀ x_{l+1}
//! output, nudged by β:   drive += −β ∂𝓛/∂x_L;   clamped: x_L = T
//! ```
//!
//! For γ → 0 the rule γ^{l−L} [x_l x_{l−1}ᵀ(clamped) − x_l x_{l−1}ᵀ(free)] becomes backpropagation of the loss whose output error has
//! no f' (for logistic outputs: cross-entropy). The dynamics are not the gradient of an energy in these variables: what is reported
//! as energy is zero, and only the residual says how far the network is from its equilibrium.

use super::Activation;
use crate::math::Real;

/// `drive = −x + f(a + γ g)`; `feedback` is `None` at the output.
pub fn drive<T: Real>(f: Activation, gamma: T, state: &[T], current: &[T], feedback: Option<&[T]>, out: &mut [T]) {
    match feedback {
        Some(feedback) => {
            for (((slot, &x), &a), &g) in out.iter_mut().zip(state).zip(current).zip(feedback) {
                *slot = f.value(a + gamma * g) - x;
            }
        }
        None => {
            for ((slot, &x), &a) in out.iter_mut().zip(state).zip(current) {
                *slot = f.value(a) - x;
            }
        }
    }
}
