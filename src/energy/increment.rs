//! Increments of activations without cancellation: the mean slope of `f` between two currents.
//!
//! ```text
//! secant(a, δ) = (f(a + δ) − f(a)) / δ,      secant(a, 0) = f'(a)          so that   φ_λ(a, c) = c · secant(a, λc)
//!
//! identity     1
//! relu, leaky, hard-sigmoid   one slope between kinks; across a kink at k   s_b + (s_b − s_a)(a − k)/δ
//! tanh         (tanh δ / δ) (1 − t²) / (1 + t tanh δ),  t = tanh a                      |δ| ≤ ½    (addition formula)
//! sigmoid      q σ(1 − σ) / (1 + σ q δ),  q = (e^δ − 1)/δ,  σ = σ(a)                    |δ| ≤ 1
//! softplus     ln(1 + σ q δ) / δ                                                       |δ| ≤ 1
//! gelu         Φ(a + δ) + a φ(m) Σ_k He_2k(m) h^2k / (2k + 1)!,  m = a + h,  h = δ/2    |δ| ≤ ½
//! ```
//!
//! The textbook difference `(f(a + δ) − f(a))/δ` has an error of `ε |f| / |δ|`, which is everything for a small δ; beyond the stated
//! borders it is harmless and is what is computed. GELU's series is Taylor's about the middle of the step, cut after k = 7: by
//! Cramér's bound `|He_n φ| ≤ 0.44 √n!` the rest is below 2e-18. So the error of a secant is a few units in the last place of 1,
//! whatever δ is; a secant itself is at most about 1.1. Next: `crate::energy::deviation`, which is why this exists.

use super::Activation;
use crate::math::Real;

impl Activation {
    /// `(f(a + δ) − f(a)) / δ`, and `f'(a)` for δ = 0, accurate for every δ.
    #[inline(always)]
    pub fn secant<T: Real>(self, a: T, delta: T) -> T {
        let (zero, one) = (T::zero(), T::one());
        let ahead = a + delta;
        match self {
            Self::Identity => one,
            Self::Relu => bent(a, ahead, delta, zero, one),
            Self::LeakyRelu => bent(a, ahead, delta, T::of(0.01), one),
            Self::HardSigmoid => clipped(a, ahead, delta),
            Self::Tanh if delta.abs() <= T::of(0.5) => {
                let (value, slope) = self.value_and_slope(a);
                let step = delta.tanh();
                let ratio = if delta == zero { one } else { step / delta };
                ratio * slope / (one + value * step)
            }
            Self::Sigmoid if delta.abs() <= one => {
                let (value, slope) = self.value_and_slope(a);
                let growth = growth(delta);
                growth * slope / (one + value * growth * delta)
            }
            Self::Softplus if delta.abs() <= one => {
                let mean = self.value_and_slope(a).1 * growth(delta);
                mean * log_ratio(mean * delta)
            }
            Self::Softplus => {
                // max(a, 0) + ln(1 + e^{−|a|}): the first part by its kink, the second, which is at most ln 2, by its difference.
                let tail = |a: T| (-a.abs()).exp().ln_1p();
                bent(a, ahead, delta, zero, one) + (tail(ahead) - tail(a)) / delta
            }
            Self::Gelu => {
                let cumulative = |a: T| T::of(0.5) * (one + (a * T::of(std::f64::consts::FRAC_1_SQRT_2)).erf());
                let mean = if delta.abs() <= T::of(0.5) {
                    mean_density(a, delta)
                } else {
                    (cumulative(ahead) - cumulative(a)) / delta
                };
                cumulative(ahead) + a * mean
            }
            Self::Tanh | Self::Sigmoid => (self.value_and_slope(ahead).0 - self.value_and_slope(a).0) / delta,
        }
    }
}

/// Mean slope of a function with slope `below` up to a kink at zero and `above` beyond it.
#[inline(always)]
fn bent<T: Real>(a: T, ahead: T, delta: T, below: T, above: T) -> T {
    let slope = |a: T| if a > T::zero() { above } else { below };
    let (here, there) = (slope(a), slope(ahead));
    // Across the kink |a| ≤ |δ|: nothing is divided by less than itself. The zero passes a bad number on.
    if here == there { here + T::zero() * ahead } else { there + (there - here) * (a / delta) }
}

/// Mean slope of `clip(a, 0, 1)`.
#[inline(always)]
fn clipped<T: Real>(a: T, ahead: T, delta: T) -> T {
    let (zero, one) = (T::zero(), T::one());
    // −1 below, 0 within, 1 above; without a step the slope at the kinks is zero, as in `value_and_slope`. A step from the upper
    // kink may be too small for 1 + δ to differ from 1, so it is seen from the kink.
    let place = |from_one: T, a: T| i8::from(from_one >= zero) - i8::from(a <= zero);
    let from_one = a - one;
    match (place(from_one, a), place(from_one + delta, ahead)) {
        (0, 0) => one + zero * ahead,
        (here, there) if here == there => zero * ahead,
        (0, 1) => (one - a) / delta,
        (0, _) => -a / delta,
        (1, 0) => one + (a - one) / delta,
        (_, 0) => one + a / delta,
        (1, _) => -one / delta,
        _ => one / delta,
    }
}

/// `(e^δ − 1)/δ`, one at zero.
#[inline(always)]
fn growth<T: Real>(delta: T) -> T {
    if delta == T::zero() { T::one() } else { delta.exp_m1() / delta }
}

/// `ln(1 + z)/z`, one at zero.
#[inline(always)]
fn log_ratio<T: Real>(z: T) -> T {
    // Below ε the quotient is one to within half of it, and z may be a denormal number that has lost its digits.
    if z.abs() < T::epsilon() { T::one() } else { z.ln_1p() / z }
}

/// `(Φ(a + δ) − Φ(a))/δ` for |δ| ≤ ½: the even Taylor series of the normal density about the middle.
#[inline(always)]
fn mean_density<T: Real>(a: T, delta: T) -> T {
    let half = T::of(0.5) * delta;
    let middle = a + half;
    let density = T::of(0.398_942_280_401_432_7) * (T::of(-0.5) * middle * middle).exp();
    // Where the density is zero in this format so is the mean, and the polynomials, which may overflow, are not asked for.
    if density == T::zero() {
        return density;
    }
    let (mut before, mut hermite) = (T::one(), middle);
    let (mut sum, mut power) = (T::one(), T::one());
    for k in 1..=7_u32 {
        // He_{n+1}(m) = m He_n(m) − n He_{n−1}(m), twice; `power` becomes h^2k / (2k + 1)!.
        let order = 2 * k;
        let even = middle * hermite - T::of(f64::from(order - 1)) * before;
        let odd = middle * even - T::of(f64::from(order)) * hermite;
        (before, hermite) = (even, odd);
        power = power * half * half * T::of(1.0 / f64::from(order * (order + 1)));
        sum = sum + even * power;
    }
    density * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    const CURRENTS: [f64; 17] =
        [-30.0, -9.0, -4.2, -2.0, -1.0, -0.4, -1e-3, -1e-9, 0.0, 1e-9, 1e-3, 0.3, 0.9, 1.0, 2.5, 7.0, 30.0];
    const STEPS: [f64; 15] = [0.0, 1e-300, 1e-30, 1e-12, 1e-8, 1e-5, 1e-3, 0.05, 0.3, 0.49, 0.51, 0.99, 1.3, 6.0, 40.0];

    fn places() -> impl Iterator<Item = (f64, f64)> {
        CURRENTS.into_iter().flat_map(|a| STEPS.into_iter().flat_map(move |step| [(a, step), (a, -step)]))
    }

    /// Nodes and weights of Gauss and Legendre's rule on [0, 1], by Newton's method on the polynomial.
    fn gauss(points: u32) -> Vec<(f64, f64)> {
        let legendre = |x: f64| {
            let (mut before, mut here) = (1.0, x);
            for n in 1..points {
                let n = f64::from(n);
                (before, here) = (here, ((2.0 * n + 1.0) * x * here - n * before) / (n + 1.0));
            }
            (here, f64::from(points) * (x * here - before) / (x * x - 1.0))
        };
        let node = |i: u32| {
            let mut x = (std::f64::consts::PI * (f64::from(i) + 0.75) / (f64::from(points) + 0.5)).cos();
            for _ in 0..8 {
                let (value, slope) = legendre(x);
                x -= value / slope;
            }
            let slope = legendre(x).1;
            (0.5 * (1.0 + x), 1.0 / ((1.0 - x * x) * slope * slope))
        };
        (0..points).map(node).collect()
    }

    /// `∫₀¹ f'(a + tδ) dt`, which is the secant: no difference is taken anywhere.
    fn integral(f: Activation, a: f64, delta: f64) -> f64 {
        let panels = 1 + (delta.abs() * 4.0) as u32;
        let rule = gauss(16);
        let sum: f64 = (0..panels)
            .flat_map(|panel| rule.iter().map(move |(t, w)| ((f64::from(panel) + t) / f64::from(panels), w)))
            .map(|(t, w)| w * f.value_and_slope(a + t * delta).1)
            .sum();
        sum / f64::from(panels)
    }

    #[test]
    fn secants_of_smooth_functions_are_the_integrals_of_their_slopes() {
        for f in Activation::ALL.into_iter().filter(|f| f.is_smooth()) {
            for (a, delta) in places() {
                let (found, expected) = (f.secant(a, delta), integral(f, a, delta));
                let bound = if delta.abs() <= 1.0 { 1e-14 } else { 1e-13 }; // the rule of quadrature itself rounds
                assert!((found - expected).abs() < bound, "{f:?} at {a} by {delta}: {found} against {expected}");
            }
        }
    }

    #[test]
    fn secants_with_kinks_are_exact_on_a_grid_where_differences_are() {
        // Multiples of 1/64: every sum and difference below is exact, so the textbook formula is too.
        for f in [Activation::Identity, Activation::Relu, Activation::HardSigmoid, Activation::LeakyRelu] {
            for a in -160..160 {
                for delta in (-200..200).filter(|&delta| delta != 0) {
                    let (a, delta) = (f64::from(a) / 64.0, f64::from(delta) / 64.0);
                    let expected = (f.value(a + delta) - f.value(a)) / delta;
                    let found = f.secant(a, delta);
                    // The slope at a kink is a convention; the secant of a step that ends on one is not.
                    assert!((found - expected).abs() < 1e-13, "{f:?} at {a} by {delta}: {found} against {expected}");
                }
            }
        }
    }

    #[test]
    fn without_a_step_the_secant_is_the_slope() {
        for f in Activation::ALL {
            for a in CURRENTS {
                let (found, expected) = (f.secant(a, 0.0), f.value_and_slope(a).1);
                assert!((found - expected).abs() < 1e-15, "{f:?} at {a}: {found} against {expected}");
                let (found, expected) = (f.secant(a as f32, 0.0), f.value_and_slope(a as f32).1);
                assert!((found - expected).abs() < 2e-7, "{f:?} at {a} in f32: {found} against {expected}");
            }
        }
    }

    /// The point of it all: in f32 a step of 1e-8 costs no digits, where the textbook difference has none left.
    #[test]
    fn single_precision_loses_nothing_to_small_steps() {
        for f in Activation::ALL {
            let mut textbook: f64 = 0.0;
            for (a, delta) in places().map(|(a, delta)| (a as f32, delta as f32)) {
                let found = f64::from(f.secant(a, delta));
                let expected = f.secant(f64::from(a), f64::from(delta));
                assert!((found - expected).abs() < 3e-6, "{f:?} at {a} by {delta}: {found} against {expected}");
                if delta != 0.0 && delta.abs() < 1e-6 {
                    let difference = f64::from((f.value(a + delta) - f.value(a)) / delta);
                    textbook = textbook.max((difference - expected).abs());
                }
            }
            assert!(textbook > 0.2, "{f:?}: the textbook difference is off by {textbook}");
        }
    }

    #[test]
    fn a_bad_number_is_passed_on() {
        for f in Activation::ALL.into_iter().filter(|f| *f != Activation::Identity) {
            assert!(f.secant(f32::NAN, 0.1).is_nan(), "{f:?} swallows a current");
            assert!(f.secant(0.1, f32::NAN).is_nan(), "{f:?} swallows a step");
        }
    }
}
