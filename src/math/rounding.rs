//! Number formats narrower than the one computed in: rounding to them, to nearest, ties to even, saturating.
//!
//! ```text
//! format      significand  normal exponents  largest                 smallest    what it is
//! bf16        8 bits       −126 … 127        (2 − 2⁻⁷)·2¹²⁷          2⁻¹³³       the upper half of an f32
//! fp16        11 bits      −14 … 15          65504                   2⁻²⁴        IEEE 754 binary16
//! fp8-e4m3    4 bits       −6 … 8            448                     2⁻⁹         OCP 8-bit, E4M3 (no infinity)
//! fp8-e5m2    3 bits       −14 … 15          57344                   2⁻¹⁶        OCP 8-bit, E5M2
//! fixed:N:F   N bits       k·2⁻ᶠ, −2ᴺ⁻¹ ≤ k < 2ᴺ⁻¹                                two's complement, F bits behind the point
//! ```
//!
//! `fixed:N` is `fixed:N:(N−4)`, which reaches from −8 to just below 8. Subnormal numbers are kept. What is larger than the largest
//! becomes the largest; infinities and NaN are passed on, so that a network that diverges is still seen to. The significand counts
//! its leading bit. Every value of every format is exact in f32 and in f64. Source: Micikevicius et al., "FP8 formats for deep
//! learning", 2022; the Open Compute Project's OFP8 specification. Next: [`super::Numerics`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Real;

/// A number format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Format {
    /// The one computed in: nothing is rounded.
    #[default]
    Exact,
    /// Brain floating point.
    Bf16,
    /// IEEE half precision.
    Fp16,
    /// Eight bits, four of them exponent.
    Fp8E4m3,
    /// Eight bits, five of them exponent.
    Fp8E5m2,
    /// Two's complement fixed point.
    Fixed {
        /// N, the bits of a number, sign included: 2 to 24.
        bits: u32,
        /// F, the bits behind the point: 0 to 30.
        fraction: u32,
    },
}

/// A text that names no number format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no number format: exact, bf16, fp16, fp8-e4m3, fp8-e5m2, fixed:N or fixed:N:F (N bits from 2 to 24, F of them, \
     or more, behind the point, from 0 to 30)"
)]
pub struct FormatError(String);

/// A floating-point format: bits of the significand, smallest normal exponent, largest number.
struct Floating {
    significand: i32,
    least_exponent: i32,
    largest: f64,
}

impl Format {
    /// The nearest number of this format; of two that are equally near, the one with an even last bit.
    pub fn round(self, x: f64) -> f64 {
        let (quantum, low, high) = match self.floating() {
            _ if !x.is_finite() => return x,
            Some(Floating { significand, least_exponent, largest }) => {
                // For a subnormal f64 the stored exponent is below every format's least one, which is what counts then.
                let exponent = ((x.to_bits() >> 52) & 0x7ff) as i32 - 1023;
                (two_to(exponent.max(least_exponent) - (significand - 1)), -largest, largest)
            }
            None => match self {
                Self::Fixed { bits, fraction } => {
                    let (quantum, half) = (two_to(-(fraction as i32)), two_to(bits as i32 - 1));
                    (quantum, -half * quantum, (half - 1.0) * quantum)
                }
                _ => return x,
            },
        };
        // Both the division and the product are by a power of two, so only the rounding rounds.
        ((x / quantum).round_ties_even() * quantum).clamp(low, high)
    }

    /// The same over a slice.
    pub fn round_all<T: Real>(self, numbers: &mut [T]) {
        if self != Self::Exact {
            numbers.iter_mut().for_each(|x| *x = T::of(self.round(x.wide())));
        }
    }

    fn floating(self) -> Option<Floating> {
        let (significand, least_exponent, largest) = match self {
            Self::Bf16 => (8, -126, (2.0 - two_to(-7)) * two_to(127)),
            Self::Fp16 => (11, -14, 65504.0),
            Self::Fp8E4m3 => (4, -6, 448.0),
            Self::Fp8E5m2 => (3, -14, 57344.0),
            Self::Exact | Self::Fixed { .. } => return None,
        };
        Some(Floating { significand, least_exponent, largest })
    }
}

/// 2ⁿ for −1022 ≤ n ≤ 1023.
fn two_to(n: i32) -> f64 {
    f64::from_bits(((n + 1023) as u64) << 52)
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact => f.write_str("exact"),
            Self::Bf16 => f.write_str("bf16"),
            Self::Fp16 => f.write_str("fp16"),
            Self::Fp8E4m3 => f.write_str("fp8-e4m3"),
            Self::Fp8E5m2 => f.write_str("fp8-e5m2"),
            Self::Fixed { bits, fraction } => write!(f, "fixed:{bits}:{fraction}"),
        }
    }
}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let wrong = || FormatError(text.to_owned());
        Ok(match text {
            "exact" => Self::Exact,
            "bf16" => Self::Bf16,
            "fp16" => Self::Fp16,
            "fp8-e4m3" => Self::Fp8E4m3,
            "fp8-e5m2" => Self::Fp8E5m2,
            _ => {
                let sizes = text.strip_prefix("fixed:").ok_or_else(wrong)?;
                let number = |text: &str| text.parse::<u32>().map_err(|_| wrong());
                let (bits, fraction) = match sizes.split_once(':') {
                    Some((bits, fraction)) => (number(bits)?, number(fraction)?),
                    None => (number(sizes)?, number(sizes)?.checked_sub(4).ok_or_else(wrong)?),
                };
                // More bits than a significand of f32 would not be exact in it.
                if !(2..=24).contains(&bits) || fraction > 30 {
                    return Err(wrong());
                }
                Self::Fixed { bits, fraction }
            }
        })
    }
}

impl TryFrom<String> for Format {
    type Error = FormatError;

    fn try_from(text: String) -> Result<Self, FormatError> {
        text.parse()
    }
}

impl From<Format> for String {
    fn from(format: Format) -> Self {
        format.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::random::{Purpose, Stream};

    /// Every finite number of an eight-bit float, from the definition of its code: sign, exponent, fraction.
    fn codes(exponent_bits: u32, bias: i32, is_finite: impl Fn(u32) -> bool) -> Vec<f64> {
        let fraction_bits = 7 - exponent_bits;
        let value = |code: u32| {
            let fraction = f64::from(code & ((1 << fraction_bits) - 1)) / f64::from(1 << fraction_bits);
            let exponent = ((code >> fraction_bits) & ((1 << exponent_bits) - 1)) as i32;
            let sign = if code >> 7 == 1 { -1.0 } else { 1.0 };
            let size = if exponent == 0 {
                fraction * 2_f64.powi(1 - bias)
            } else {
                (1.0 + fraction) * 2_f64.powi(exponent - bias)
            };
            (sign * size, code)
        };
        let mut values: Vec<(f64, u32)> = (0..256).filter(|code| is_finite(code & 0x7f)).map(value).collect();
        values.sort_by(|a, b| a.0.total_cmp(&b.0));
        values.dedup_by(|a, b| a.0 == b.0);
        values.into_iter().map(|(value, _)| value).collect()
    }

    fn e4m3() -> Vec<f64> {
        codes(4, 7, |code| code != 0x7f)
    }

    fn e5m2() -> Vec<f64> {
        codes(5, 15, |code| code < 0x7c)
    }

    /// The nearest of a sorted table, by search; a tie goes to the even position counted from zero, which is the even fraction.
    fn nearest(table: &[f64], x: f64) -> f64 {
        let zero = table.iter().position(|&value| value == 0.0).expect("a zero");
        let above = table.partition_point(|&value| value < x).min(table.len() - 1);
        let below = above.saturating_sub(usize::from(table[above] > x));
        let (down, up) = (x - table[below], table[above] - x);
        let takes_below = down < up || (down == up && below.abs_diff(zero).is_multiple_of(2)) || x > table[above];
        if takes_below && x <= table[above] { table[below] } else { table[above] }
    }

    #[test]
    fn all_codes_of_eight_bit_floats_are_fixed_and_everything_between_goes_to_the_nearest() {
        for (format, table) in [(Format::Fp8E4m3, e4m3()), (Format::Fp8E5m2, e5m2())] {
            assert_eq!(table.len(), if format == Format::Fp8E4m3 { 253 } else { 247 });
            for pair in table.windows(2) {
                let [low, high] = [pair[0], pair[1]];
                assert_eq!((format.round(low), format.round(high)), (low, high), "{format}");
                for part in [0.0, 0.1, 0.25, 0.499_999, 0.5, 0.500_001, 0.75, 0.999] {
                    let x = low + part * (high - low);
                    assert_eq!(format.round(x), nearest(&table, x), "{format} at {x}, between {low} and {high}");
                }
            }
            let largest = *table.last().expect("a largest");
            for beyond in [1.0001, 1.5, 1e9, 1e300] {
                assert_eq!(format.round(beyond * largest), largest, "{format} saturates");
                assert_eq!(format.round(-beyond * largest), -largest, "{format} saturates");
            }
        }
    }

    #[test]
    fn bf16_is_the_upper_half_of_an_f32_rounded_to_even() {
        let mut stream = Stream::new(1, Purpose::Trial, 0);
        for _ in 0..200_000 {
            let x = f32::from_bits((stream.unit() * 4_294_967_296.0) as u32);
            if !x.is_finite() {
                continue;
            }
            // The usual trick: add just less than half of the lower half, or half if the kept part is odd.
            let bits = x.to_bits();
            let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) & 0xffff_0000;
            let expected = f32::from_bits(rounded);
            let largest = f32::from_bits(0x7f7f_0000);
            let expected = if expected.is_finite() { expected } else { largest.copysign(x) };
            assert_eq!(Format::Bf16.round(f64::from(x)), f64::from(expected), "{x}");
        }
    }

    #[test]
    fn fp16_at_values_of_the_standard() {
        for (x, expected) in [
            (65504.0, 65504.0),
            (65520.0, 65504.0),
            (2049.0, 2048.0),
            (2051.0, 2052.0),
            (0.1, 0.099_975_585_937_5),
            (6.103_515_625e-5, 6.103_515_625e-5),
            (2_f64.powi(-24), 2_f64.powi(-24)),
            (2_f64.powi(-25), 0.0),
            (1.5 * 2_f64.powi(-24), 2_f64.powi(-23)),
        ] {
            assert_eq!((Format::Fp16.round(x), Format::Fp16.round(-x)), (expected, -expected), "{x}");
        }
    }

    #[test]
    fn fixed_point_counts_in_steps_from_end_to_end() {
        for (text, step, low, high) in
            [("fixed:8", 0.0625, -8.0, 7.9375), ("fixed:4:0", 1.0, -8.0, 7.0), ("fixed:3:5", 0.03125, -0.125, 0.09375)]
        {
            let format: Format = text.parse().expect("a format");
            let steps = ((high - low) / step) as i32;
            for k in 0..=steps {
                let x = low + f64::from(k) * step;
                assert_eq!(format.round(x), x);
                assert_eq!(format.round(x + 0.49 * step), x, "{text} at {x}");
                let tie = if k < steps && (x / step) as i64 % 2 != 0 { x + step } else { x };
                assert_eq!(format.round(x + 0.5 * step), tie, "{text}: halves go to the even count, at {x}");
            }
            assert_eq!((format.round(1e9), format.round(-1e9)), (high, low));
        }
    }

    #[test]
    fn rounding_is_idempotent_monotone_odd_for_floats_and_exact_in_f32() {
        let mut stream = Stream::new(2, Purpose::Trial, 0);
        let formats = ["bf16", "fp16", "fp8-e4m3", "fp8-e5m2", "fixed:8", "fixed:16", "fixed:24:20"];
        for format in formats.map(|text| text.parse::<Format>().expect("a format")) {
            let mut draws: Vec<f64> =
                (0..4000).map(|_| stream.normal() * 10_f64.powf(stream.uniform(-9.0, 6.0))).collect();
            draws.sort_by(f64::total_cmp);
            let rounded: Vec<f64> = draws.iter().map(|&x| format.round(x)).collect();
            assert!(rounded.windows(2).all(|pair| pair[0] <= pair[1]), "{format} is monotone");
            for (&x, &y) in draws.iter().zip(&rounded) {
                assert_eq!(format.round(y), y, "{format} is idempotent at {x}");
                assert_eq!(f64::from(y as f32), y, "{format} is exact in f32 at {x}");
                assert!(matches!(format, Format::Fixed { .. }) || format.round(-x) == -y, "{format} is odd at {x}");
            }
            assert!(format.round(f64::NAN).is_nan() && format.round(f64::INFINITY) == f64::INFINITY);
        }
        assert_eq!(Format::Exact.round(0.1), 0.1);
    }

    #[test]
    fn names_are_read_and_written_and_others_refused() {
        for text in ["exact", "bf16", "fp16", "fp8-e4m3", "fp8-e5m2", "fixed:8:4", "fixed:24:30"] {
            assert_eq!(text.parse::<Format>().expect("a format").to_string(), text);
        }
        assert_eq!("fixed:16".parse(), Ok(Format::Fixed { bits: 16, fraction: 12 }));
        for text in [
            "",
            "fp8",
            "fixed",
            "fixed:",
            "fixed:1:0",
            "fixed:25:0",
            "fixed:3",
            "fixed:8:31",
            "fixed:8:-1",
            "fixed:8:4:2",
        ] {
            let error = text.parse::<Format>().expect_err("no format").to_string();
            assert!(error.contains("fixed:N:F"), "{error}");
        }
    }
}
