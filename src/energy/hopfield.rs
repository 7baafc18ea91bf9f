//! The layered Hopfield energy (Eq. 8) of one layer, with the leak of Scellier & Bengio (2017).
//!
//! ```text
//! I     = ½ Σ_l ‖x_l‖² − Σ_l ρ(x_l)·a_l,      a_l = W_l ρ(x_{l−1}) + b_l
//! s_l   = ρ(x_l)                                    what goes up through the weights
//! d_l   = ρ(x_l)                                    what goes down: −∂E/∂a_l
//! drive = −∂E/∂x_l = −x_l + ρ'(x_l) ⊙ (a_l + g_l),  g_l = W_{l+1}ᵀ ρ(x_{l+1})
//! output, nudged by β:   drive += −β ∂𝓛/∂x_L;       clamped: x_L = T
//! ```
//!
//! Differs from the paper: Eq. 8 has no minimum for unbounded x; the leak ½‖x‖² belongs to it, and the sign is that of an energy
//! that falls when active neurons are connected. With hard-sigmoid, states are clipped to [0, 1] after every step, as Scellier &
//! Bengio do, and ρ' is one on the closed interval: a state at its bound can come back, and zero is no trap to start from.

use super::Activation;
use crate::math::Real;

/// True if states are clipped to [0, 1] with this activation.
pub fn clips(rho: Activation) -> bool {
    rho == Activation::HardSigmoid
}

/// ρ'(x), one on the closed interval for hard-sigmoid.
#[inline(always)]
pub fn slope<T: Real>(rho: Activation, x: T) -> T {
    match rho {
        Activation::HardSigmoid if x >= T::zero() && x <= T::one() => T::one(),
        _ => rho.value_and_slope(x).1,
    }
}

/// `drive = −x + ρ'(x) ⊙ (a + g)`; `feedback` is `None` at the output.
pub fn drive<T: Real>(rho: Activation, state: &[T], current: &[T], feedback: Option<&[T]>, out: &mut [T]) {
    match feedback {
        Some(feedback) => {
            for (((slot, &x), &a), &g) in out.iter_mut().zip(state).zip(current).zip(feedback) {
                *slot = slope(rho, x) * (a + g) - x;
            }
        }
        None => {
            for ((slot, &x), &a) in out.iter_mut().zip(state).zip(current) {
                *slot = slope(rho, x) * a - x;
            }
        }
    }
}

/// Clips states to [0, 1].
pub fn clip<T: Real>(state: &mut [T]) {
    state.iter_mut().for_each(|x| *x = x.max(T::zero()).min(T::one()));
}

/// What clipping leaves of a drive: nothing where the state stands at a bound and would leave.
pub fn project<T: Real>(state: &[T], drive: &mut [T]) {
    for (drive, &x) in drive.iter_mut().zip(state) {
        let outward = (x <= T::zero() && *drive < T::zero()) || (x >= T::one() && *drive > T::zero());
        if outward {
            *drive = T::zero();
        }
    }
}

/// This layer's share of the energy, `½ Σ x² − Σ ρ(x)·a`, over units and samples.
pub fn energy<T: Real>(rho: Activation, state: &[T], current: &[T]) -> f64 {
    let share = |(x, a): (&T, &T)| 0.5 * x.wide() * x.wide() - rho.value(*x).wide() * a.wide();
    state.iter().zip(current).map(share).sum()
}
