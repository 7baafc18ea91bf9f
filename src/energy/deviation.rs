//! Predictive coding in deviation variables: what is simulated is how far the network is from its free equilibrium, in units of λ.
//!
//! ```text
//! u_l = (x_l − x̄_l)/λ       c_l = (a_l − ā_l)/λ = W_l u_{l−1}       a_l = ā_l + λ c_l       x̄_l = f(ā_l)
//! φ_λ(ā, c) = (f(ā + λc) − f(ā))/λ                 φ_0 = f'(ā) c
//! hidden   e_l = Π_l (u_l − φ_λ(ā_l, c_l))         d_l = e_l ⊙ f'(a_l)           = ε_l/λ and δ_l of `energy::predictive_coding`
//! output   e_L = T − p(a_L)                        d_L = e_L ⊙ p'(a_L)
//! du_l/dt = W_{l+1}ᵀ d_{l+1} − e_l = −∂Ẽ/∂u_l      Ẽ = (E(x) − E(x̄))/λ² = ½ Σ_l ‖e_l‖²/Π_l + (𝓛(a_L) − 𝓛(ā_L))/λ
//! −∂E/∂W_l / λ = d_l x_{l−1}ᵀ,  x_{l−1} = x̄_{l−1} + λ u_{l−1}                     the read-out needs no division by λ
//! ```
//!
//! The same network and the same equilibrium as with states, for any λ; but everything computed is of order one, so no digits are
//! lost to a small λ, and λ = 0 is the linearised network, whose equilibrium is exact backpropagation: `u_l = f'(ā_l) W_l u_{l−1} +
//! δ_l` with `δ_l = W_{l+1}ᵀ (δ_{l+1} ⊙ f'(ā_{l+1}))`. For λ = 0 the last term of Ẽ is its limit, `∂𝓛/∂a_L · c_L`. The free errors
//! must be zero, `x̄_l = f(ā_l)`, which a forward wave makes exact. Not in the paper.

use super::activation::on_each;
use super::{Activation, Loss};
use crate::math::{Field, Real, values, values_mut};

/// `e = Π (u − φ_λ(ā, c))` and `d = e ⊙ f'(ā + λc)`.
pub fn errors<T: Real>(
    f: Activation,
    (precision, nudge): (T, T),
    deviation: &[T],
    (rest, change): (&[T], &[T]),
    error: &mut [T],
    descending: &mut [T],
) {
    on_each!(f, f, {
        for ((((&u, &a), &c), e), d) in deviation.iter().zip(rest).zip(change).zip(error).zip(descending) {
            let step = nudge * c;
            *e = precision * (u - c * f.secant(a, step));
            *d = *e * f.value_and_slope(a + step).1;
        }
    });
}

/// `φ_λ(ā, c)` over a field.
pub fn increments<T: Real>(f: Activation, nudge: T, rest: &Field<T>, change: &Field<T>) -> Field<T> {
    let mut out = change.clone();
    for (c, &a) in values_mut(&mut out).iter_mut().zip(values(rest)) {
        *c = *c * f.secant(a, nudge * *c);
    }
    out
}

/// `ā + λ c`, or `x̄ + λ u`: where the network is.
pub fn total<T: Real>(nudge: T, rest: &Field<T>, change: &Field<T>) -> Field<T> {
    let mut out = rest.clone();
    out.zip_mut_with(change, |a, &c| *a = *a + nudge * c);
    out
}

impl Loss {
    /// `(𝓛(ā + λc) − 𝓛(ā))/λ`, summed over the batch in `f64`, without cancellation; for λ = 0 its limit `∂𝓛/∂a · c`.
    pub fn rise<T: Real>(
        self,
        output: Activation,
        nudge: T,
        (rest, change): (&Field<T>, &Field<T>),
        target: &Field<T>,
    ) -> f64 {
        let nudge = nudge.wide();
        let samples = rest.columns().into_iter().zip(change.columns()).zip(target.columns());
        samples
            .map(|((rest, change), target)| {
                let units = || rest.iter().zip(change).zip(target).map(|((a, c), t)| [a.wide(), c.wide(), t.wide()]);
                match self {
                    // ½(T − p)² − ½(T − p̄)² = −(p − p̄)(T − ½(p + p̄))
                    Self::SquaredError => units()
                        .map(|[a, c, t]| {
                            let increment = c * output.secant(a, nudge * c);
                            -increment * (t - output.value(a) - 0.5 * nudge * increment)
                        })
                        .sum::<f64>(),
                    // ln Σ e^{ā + λc} − ln Σ e^{ā} = ln(1 + Σ p̄ (e^{λc} − 1)); the largest step is taken out against overflow.
                    Self::CrossEntropy => {
                        let top = units().map(|[a, ..]| a).fold(f64::NEG_INFINITY, f64::max);
                        let sum: f64 = units().map(|[a, ..]| (a - top).exp()).sum();
                        let said: f64 = units().map(|[_, c, t]| t * c).sum();
                        let share = |a: f64| (a - top).exp() / sum;
                        if nudge == 0.0 {
                            return units().map(|[a, c, _]| share(a) * c).sum::<f64>() - said;
                        }
                        let step = units().map(|[_, c, _]| nudge * c).fold(f64::NEG_INFINITY, f64::max);
                        let grown: f64 = units().map(|[a, c, _]| share(a) * (nudge * c - step).exp_m1()).sum();
                        (step + grown.ln_1p()) / nudge - said
                    }
                }
            })
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    /// Against the difference of two losses where that has digits, and against the slope where it has none.
    #[test]
    fn the_rise_of_the_loss_is_its_difference_and_in_the_limit_its_slope() {
        let rest = array![[0.4, -3.0], [-0.7, 12.0], [0.15, 0.0]];
        let change = array![[1.5, -0.3], [0.2, 0.8], [-1.1, 2.0]];
        let target = array![[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]];
        for loss in [Loss::SquaredError, Loss::CrossEntropy] {
            for f in [Activation::Identity, Activation::Tanh, Activation::Sigmoid] {
                if loss == Loss::CrossEntropy && f != Activation::Identity {
                    continue;
                }
                for nudge in [1.0_f64, 0.1, -0.1, 0.01] {
                    let at = |a: &Field<f64>| loss.score(f, a, &target).loss;
                    let expected = (at(&total(nudge, &rest, &change)) - at(&rest)) / nudge;
                    let found = loss.rise(f, nudge, (&rest, &change), &target);
                    assert!((found - expected).abs() < 1e-11, "{loss:?} {f:?} λ = {nudge}: {found} {expected}");
                }
                let mut outputs = Field::zeros(rest.dim());
                loss.outputs_into(f, &rest, &mut outputs);
                let terms = rest.iter().zip(&outputs).zip(&target).zip(&change);
                let slope: f64 = terms.map(|(((&a, &p), &t), &c)| (p - t) * loss.slope(f, a) * c).sum();
                for nudge in [0.0, 1e-14, -1e-20] {
                    let found = loss.rise(f, nudge, (&rest, &change), &target);
                    assert!((found - slope).abs() < 1e-12, "{loss:?} {f:?} λ = {nudge}: {found} {slope}");
                }
            }
        }
    }
}
