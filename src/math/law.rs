//! Laws of random times: what a delay, a jitter, a period or a phase offset is drawn from.
//!
//! ```text
//! constant c                 c
//! uniform(low, high)         low + (high − low) u
//! exponential(mean)          −mean · ln(1 − u)
//! log-normal(mean, sd)       exp(μ + σ z),  σ² = ln(1 + sd²/mean²),  μ = ln mean − σ²/2
//! gamma(mean, shape)         mean/shape · G,  G ~ Γ(shape, 1)          (Marsaglia & Tsang 2000, "A simple method …")
//! ```
//!
//! `mean` and `sd` are those of the drawn numbers themselves, not of their logarithms. `min` raises every smaller draw to it, which
//! moves the mean; it is the floor below which a link is never faster. Logarithms and exponentials come from `libm`, so that
//! platforms agree on every bit.

use serde::{Deserialize, Serialize};

use super::random::Stream;

/// A law of non-negative numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Law {
    /// Always this number.
    Always(f64),
    /// A number is drawn each time.
    Drawn(Drawn),
}

/// A law that draws.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "law", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Drawn {
    /// Always `value`.
    Constant {
        /// The number.
        value: f64,
    },
    /// Every number of an interval is as likely.
    Uniform {
        /// The lower end.
        low: f64,
        /// The upper end.
        high: f64,
    },
    /// Without memory.
    Exponential {
        /// Expectation.
        mean: f64,
        /// Floor.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<f64>,
    },
    /// Its logarithm is normal.
    LogNormal {
        /// Expectation.
        mean: f64,
        /// Standard deviation.
        sd: f64,
        /// Floor.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<f64>,
    },
    /// The sum of `shape` exponential times.
    Gamma {
        /// Expectation.
        mean: f64,
        /// Shape k; the variance is `mean² / k`.
        shape: f64,
        /// Floor.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<f64>,
    },
}

impl Law {
    /// No time at all.
    pub const ZERO: Self = Self::Always(0.0);

    /// Why no time can be drawn from it; `None` if one can.
    pub fn problem(&self) -> Option<String> {
        let numbers: &[(&str, f64, bool)] = match *self {
            Self::Always(value) => &[("the number", value, true)],
            Self::Drawn(Drawn::Constant { value }) => &[("value", value, true)],
            Self::Drawn(Drawn::Uniform { low, high }) => {
                if low > high {
                    return Some(format!("low = {low} is above high = {high}"));
                }
                &[("low", low, true), ("high", high, true)]
            }
            Self::Drawn(Drawn::Exponential { mean, min }) => {
                &[("mean", mean, false), ("min", min.unwrap_or(0.0), true)]
            }
            Self::Drawn(Drawn::LogNormal { mean, sd, min }) => {
                &[("mean", mean, false), ("sd", sd, true), ("min", min.unwrap_or(0.0), true)]
            }
            Self::Drawn(Drawn::Gamma { mean, shape, min }) => {
                &[("mean", mean, false), ("shape", shape, false), ("min", min.unwrap_or(0.0), true)]
            }
        };
        numbers.iter().find_map(|&(name, value, zero)| match value {
            value if !value.is_finite() => Some(format!("{name} = {value} is no finite number")),
            value if value < 0.0 => Some(format!("{name} = {value} is negative, and no time is")),
            value if value == 0.0 && !zero => Some(format!("{name} must be above 0")),
            _ => None,
        })
    }

    /// The number it always is, if it is always the same.
    pub fn constant(&self) -> Option<f64> {
        match *self {
            Self::Always(value) | Self::Drawn(Drawn::Constant { value }) => Some(value),
            Self::Drawn(Drawn::Uniform { low, high }) if low == high => Some(low),
            Self::Drawn(_) => None,
        }
    }

    /// No draw is below this.
    pub fn least(&self) -> f64 {
        match *self {
            Self::Always(value) | Self::Drawn(Drawn::Constant { value }) => value,
            Self::Drawn(Drawn::Uniform { low, .. }) => low,
            Self::Drawn(Drawn::Exponential { min, .. } | Drawn::LogNormal { min, .. } | Drawn::Gamma { min, .. }) => {
                min.unwrap_or(0.0)
            }
        }
    }

    /// The mean of the draws before `min` raises some of them.
    pub fn mean(&self) -> f64 {
        match *self {
            Self::Always(value) | Self::Drawn(Drawn::Constant { value }) => value,
            Self::Drawn(Drawn::Uniform { low, high }) => 0.5 * (low + high),
            Self::Drawn(
                Drawn::Exponential { mean, .. } | Drawn::LogNormal { mean, .. } | Drawn::Gamma { mean, .. },
            ) => mean,
        }
    }

    /// The next number.
    pub fn draw(&self, stream: &mut Stream) -> f64 {
        let Self::Drawn(drawn) = *self else { return self.least() };
        let number = match drawn {
            Drawn::Constant { value } => value,
            Drawn::Uniform { low, high } => stream.uniform(low, high),
            Drawn::Exponential { mean, .. } => -mean * libm::log(1.0 - stream.unit()),
            Drawn::LogNormal { mean, sd, .. } => {
                let variance = libm::log1p((sd / mean) * (sd / mean));
                libm::exp(libm::log(mean) - 0.5 * variance + libm::sqrt(variance) * stream.normal())
            }
            Drawn::Gamma { mean, shape, .. } => mean / shape * gamma(shape, stream),
        };
        number.max(self.least())
    }
}

/// A number with the gamma law of this shape and scale 1.
fn gamma(shape: f64, stream: &mut Stream) -> f64 {
    if shape < 1.0 {
        // Γ(k) has the law of Γ(k + 1) · U^{1/k}.
        let power = libm::pow(1.0 - stream.unit(), 1.0 / shape);
        return gamma(shape + 1.0, stream) * power;
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / libm::sqrt(9.0 * d);
    loop {
        let z = stream.normal();
        let v = (1.0 + c * z).powi(3);
        if v > 0.0 && libm::log(1.0 - stream.unit()) < 0.5 * z * z + d * (1.0 - v + libm::log(v)) {
            return d * v;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::random::Purpose;
    use super::*;

    /// Mean and variance of each law as its textbook states them.
    #[test]
    fn draws_have_the_moments_of_their_law() {
        let laws = [
            (Drawn::Uniform { low: 1.0, high: 4.0 }, 2.5, 0.75),
            (Drawn::Exponential { mean: 2.0, min: None }, 2.0, 4.0),
            (Drawn::LogNormal { mean: 2.0, sd: 0.5, min: None }, 2.0, 0.25),
            (Drawn::Gamma { mean: 3.0, shape: 4.0, min: None }, 3.0, 2.25),
            (Drawn::Gamma { mean: 1.0, shape: 0.5, min: None }, 1.0, 2.0),
        ];
        for (index, (drawn, mean, variance)) in (0..).zip(laws) {
            let (law, mut stream) = (Law::Drawn(drawn), Stream::new(5, Purpose::Trial, index));
            assert_eq!((law.problem(), law.mean()), (None, mean));
            let draws: Vec<f64> = (0..100_000).map(|_| law.draw(&mut stream)).collect();
            let found = draws.iter().sum::<f64>() / 1e5;
            let spread = draws.iter().map(|x| (x - found).powi(2)).sum::<f64>() / 1e5;
            // Five standard errors of the mean; the variance of the heaviest tail here is known within a tenth.
            assert!((found - mean).abs() < 5.0 * (variance / 1e5_f64).sqrt(), "{drawn:?}: mean {found}");
            assert!((spread / variance - 1.0).abs() < 0.1, "{drawn:?}: variance {spread}");
            assert!(draws.iter().all(|&x| x >= law.least() && x >= 0.0));
        }
    }

    #[test]
    fn a_floor_is_never_undercut_and_is_reached() {
        let law = Law::Drawn(Drawn::Exponential { mean: 1.0, min: Some(0.7) });
        let mut stream = Stream::new(6, Purpose::Trial, 0);
        let draws: Vec<f64> = (0..1000).map(|_| law.draw(&mut stream)).collect();
        assert!(draws.iter().all(|&x| x >= 0.7) && draws.contains(&0.7) && draws.iter().any(|&x| x > 1.0));
    }

    #[test]
    fn impossible_laws_are_named() {
        for (law, word) in [
            (Law::Always(-1.0), "negative"),
            (Law::Always(f64::NAN), "finite"),
            (Law::Drawn(Drawn::Uniform { low: -0.5, high: 1.0 }), "low"),
            (Law::Drawn(Drawn::Uniform { low: 2.0, high: 1.0 }), "above high"),
            (Law::Drawn(Drawn::Exponential { mean: 0.0, min: None }), "mean"),
            (Law::Drawn(Drawn::Gamma { mean: 1.0, shape: 0.0, min: None }), "shape"),
            (Law::Drawn(Drawn::LogNormal { mean: 1.0, sd: 1.0, min: Some(-1.0) }), "min"),
        ] {
            assert!(law.problem().is_some_and(|problem| problem.contains(word)), "{law:?}: {:?}", law.problem());
        }
        assert_eq!(Law::ZERO.problem(), None);
    }
}
