//! Activation functions `f` and their derivatives `f'`, elementwise, as PyTorch defines them.
//!
//! ```text
//! identity   a                      1
//! relu       max(a, 0)              1 if a > 0, else 0            (so ReLU'(0) = 0)
//! leaky-relu a or 0.01 a            1 if a > 0, else 0.01
//! tanh       tanh a                 1 − f²
//! sigmoid    1/(1 + e^{−a})         f (1 − f)
//! hard-sigmoid  clip(a, 0, 1)       1 if 0 < a < 1, else 0        (the equilibrium-propagation literature's, not PyTorch's a/6 + ½)
//! softplus   ln(1 + e^a)            sigmoid a
//! gelu       a Φ(a)                 Φ(a) + a φ(a)                 (exact, with erf)
//! ```

use serde::{Deserialize, Serialize};

use crate::math::Real;

/// An elementwise activation function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// `a`
    Identity,
    /// `max(a, 0)`
    #[default]
    Relu,
    /// `a` above zero, `0.01 a` below
    LeakyRelu,
    /// Hyperbolic tangent
    Tanh,
    /// Logistic function
    Sigmoid,
    /// `clip(a, 0, 1)`
    HardSigmoid,
    /// `ln(1 + e^a)`
    Softplus,
    /// `a Φ(a)`
    Gelu,
}

/// Runs a loop over numbers compiled once per activation and instruction set, so that the branch is taken once outside of it and
/// the loop vectorises. `on_each!(activation, name, { loop that uses name })`.
macro_rules! on_each {
    ($activation:expr, $name:ident, $body:block) => {
        on_each!(@ $activation, $name, $body, Identity Relu LeakyRelu Tanh Sigmoid HardSigmoid Softplus Gelu)
    };
    (@ $activation:expr, $name:ident, $body:block, $($variant:ident)*) => {
        match $activation {
            $($crate::energy::Activation::$variant => pulp::Arch::new().dispatch(|| {
                let $name = $crate::energy::Activation::$variant;
                $body
            }),)*
        }
    };
}
pub(crate) use on_each;

impl Activation {
    /// Every member, in the order of the configuration's documentation.
    pub const ALL: [Self; 8] = [
        Self::Identity,
        Self::Relu,
        Self::LeakyRelu,
        Self::Tanh,
        Self::Sigmoid,
        Self::HardSigmoid,
        Self::Softplus,
        Self::Gelu,
    ];

    /// The closed interval of its values: the infimum and the supremum.
    pub fn range(self) -> (f64, f64) {
        match self {
            Self::Identity | Self::LeakyRelu => (f64::NEG_INFINITY, f64::INFINITY),
            Self::Relu | Self::Softplus => (0.0, f64::INFINITY),
            Self::Tanh => (-1.0, 1.0),
            Self::Sigmoid | Self::HardSigmoid => (0.0, 1.0),
            // The minimum of x Φ(x), at x = −0.7518.
            Self::Gelu => (-0.169_971_21, f64::INFINITY),
        }
    }

    /// True where `f` has a continuous derivative: states of the others can settle on a kink and chatter.
    pub fn is_smooth(self) -> bool {
        !matches!(self, Self::Relu | Self::LeakyRelu | Self::HardSigmoid)
    }

    /// `f(a)`.
    pub fn value<T: Real>(self, a: T) -> T {
        self.value_and_slope(a).0
    }

    /// `f(a)` and `f'(a)`, which share their costly parts.
    #[inline(always)]
    pub fn value_and_slope<T: Real>(self, a: T) -> (T, T) {
        let (zero, one) = (T::zero(), T::one());
        match self {
            Self::Identity => (a, one),
            Self::Relu => (if a > zero { a } else { a * zero }, if a > zero { one } else { zero }),
            Self::LeakyRelu => {
                let slope = if a > zero { one } else { T::of(0.01) };
                (slope * a, slope)
            }
            Self::Tanh => {
                let value = a.tanh();
                (value, one - value * value)
            }
            Self::Sigmoid => {
                let value = sigmoid(a);
                (value, value * (one - value))
            }
            Self::HardSigmoid => {
                let inside = a > zero && a < one;
                let value = if a > one {
                    one
                } else if a > zero {
                    a
                } else {
                    a * zero
                };
                (value, if inside { one } else { zero })
            }
            // ln(1 + e^a) = max(a, 0) + ln(1 + e^{−|a|}) neither overflows nor loses digits.
            Self::Softplus => (a.max(zero) + (-a.abs()).exp().ln_1p(), sigmoid(a)),
            Self::Gelu => {
                let cumulative = T::of(0.5) * (one + (a * T::of(std::f64::consts::FRAC_1_SQRT_2)).erf());
                let density = T::of(0.398_942_280_401_432_7) * (T::of(-0.5) * a * a).exp();
                (a * cumulative, cumulative + a * density)
            }
        }
    }

    /// `f` over a slice: `out = f(currents)`.
    pub fn values_into<T: Real>(self, currents: &[T], out: &mut [T]) {
        on_each!(self, f, {
            for (value, &a) in out.iter_mut().zip(currents) {
                *value = f.value_and_slope(a).0;
            }
        });
    }

    /// `f` and `f'` over a slice.
    pub fn values_and_slopes_into<T: Real>(self, currents: &[T], values: &mut [T], slopes: &mut [T]) {
        on_each!(self, f, {
            for ((value, slope), &a) in values.iter_mut().zip(slopes).zip(currents) {
                (*value, *slope) = f.value_and_slope(a);
            }
        });
    }
}

/// `1/(1 + e^{−a})` without overflow on either side.
fn sigmoid<T: Real>(a: T) -> T {
    let small = (-a.abs()).exp();
    let high = T::one() / (T::one() + small);
    if a >= T::zero() { high } else { small * high }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Places away from the kinks at 0 and 1.
    const PLACES: [f64; 12] = [-30.0, -3.1, -1.7, -0.6, -0.2, -1e-3, 1e-3, 0.3, 0.9, 1.4, 2.8, 30.0];

    #[test]
    fn slopes_are_the_finite_differences_of_values() {
        let step = 1e-5;
        for f in Activation::ALL {
            for a in PLACES {
                let difference = (f.value(a + step) - f.value(a - step)) / (2.0 * step);
                let slope = f.value_and_slope(a).1;
                assert!((difference - slope).abs() < 1e-8, "{f:?} at {a}: {difference} against {slope}");
            }
        }
    }

    #[test]
    fn values_at_known_points() {
        assert_eq!(Activation::Relu.value_and_slope(0.0_f32), (0.0, 0.0));
        assert_eq!(Activation::HardSigmoid.value(7.0), 1.0);
        assert_eq!(Activation::LeakyRelu.value(-2.0), -0.02);
        assert_eq!(Activation::Sigmoid.value(0.0), 0.5);
        assert!((Activation::Softplus.value(0.0_f64) - 2.0_f64.ln()).abs() < 1e-15);
        assert!((Activation::Softplus.value(800.0_f64) - 800.0).abs() < 1e-12);
        // Φ(1) = 0.8413447460685429 (Abramowitz & Stegun, table 26.1).
        assert!((Activation::Gelu.value(1.0_f64) - 0.841_344_746_068_542_9).abs() < 1e-15);
        assert!((Activation::Sigmoid.value(-800.0_f64)).abs() < 1e-300);
    }

    #[test]
    fn a_bad_number_is_passed_on_and_never_hidden() {
        for f in Activation::ALL {
            assert!(f.value(f32::NAN).is_nan(), "{f:?} swallows NaN");
        }
    }

    #[test]
    fn slices_agree_with_single_values() {
        for f in Activation::ALL {
            let mut out = [0.0_f32; 12];
            f.values_into(&PLACES.map(|a| a as f32), &mut out);
            assert_eq!(out, PLACES.map(|a| f.value(a as f32)));
        }
    }
}
