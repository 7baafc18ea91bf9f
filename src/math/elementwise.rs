//! Sums, maxima and transposition over contiguous numbers, each in one fixed order.
//!
//! Floating-point addition is not associative, so the order is part of the result: sixteen running lanes, joined pairwise.
//! Nothing here depends on the instruction set or on who calls. Next: `crate::energy`.

use super::Real;

const LANES: usize = 16;

/// How far a set of numbers reaches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extent {
    /// Largest magnitude; if there are bad numbers, that of some of the others.
    pub largest: f64,
    /// True if no entry is NaN or infinite.
    pub finite: bool,
}

/// Largest magnitude, and whether everything is finite.
pub fn extent<T: Real>(numbers: &[T]) -> Extent {
    let mut largest = [T::zero(); LANES];
    // Zero times a number is zero unless the number is NaN or infinite, and NaN stays in a sum.
    let mut taint = [T::zero(); LANES];
    pulp::Arch::new().dispatch(|| {
        let mut see = |chunk: &[T]| {
            for ((&value, largest), taint) in chunk.iter().zip(&mut largest).zip(&mut taint) {
                let size = value.abs();
                *taint = *taint + size * T::zero();
                *largest = if size > *largest { size } else { *largest };
            }
        };
        let chunks = numbers.chunks_exact(LANES);
        let rest = chunks.remainder();
        chunks.for_each(&mut see);
        see(rest);
    });
    let finite = taint.iter().all(|lane| *lane == T::zero());
    let of_finite = largest.iter().filter(|size| size.is_finite());
    Extent { largest: of_finite.fold(0.0, |most, size| most.max(size.wide())), finite }
}

/// Σ v², accumulated in `f64` lanes and joined pairwise.
pub fn sum_of_squares<T: Real>(numbers: &[T]) -> f64 {
    let mut lanes = [0.0_f64; LANES];
    for chunk in numbers.chunks(LANES) {
        for (lane, value) in chunk.iter().enumerate() {
            let wide = value.wide();
            lanes[lane] += wide * wide;
        }
    }
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
    }
    lanes[0]
}

/// Writes the transpose of `from` (`rows × cols`, row-major) into `into` (`cols × rows`), in cache-sized blocks.
pub fn transpose_into<T: Real>(from: &[T], rows: usize, cols: usize, into: &mut [T]) {
    const BLOCK: usize = 16;
    assert_eq!(from.len(), rows * cols, "transpose: the source has the stated shape");
    assert_eq!(into.len(), rows * cols, "transpose: the target has the stated shape");
    for row_start in (0..rows).step_by(BLOCK) {
        let row_end = (row_start + BLOCK).min(rows);
        for col_start in (0..cols).step_by(BLOCK) {
            let col_end = (col_start + BLOCK).min(cols);
            for col in col_start..col_end {
                let line = &mut into[col * rows + row_start..col * rows + row_end];
                for (row, slot) in (row_start..row_end).zip(line) {
                    *slot = from[row * cols + col];
                }
            }
        }
    }
}

/// Euclidean length that neither overflows nor vanishes: a wave may be 10⁻²⁰⁰ high.
pub fn length(differences: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = differences.clone().map(f64::abs).fold(0.0, f64::max);
    if largest == 0.0 || !largest.is_finite() {
        return largest;
    }
    largest * differences.map(|difference| (difference / largest).powi(2)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extent_sees_every_position_and_every_kind_of_bad_number() {
        for length in [1, 15, 16, 17, 64, 100] {
            for position in 0..length {
                let mut numbers = vec![0.5_f32; length];
                numbers[position] = -7.0;
                assert_eq!(extent(&numbers), Extent { largest: 7.0, finite: true });
                for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    numbers[position] = bad;
                    assert!(!extent(&numbers).finite, "{bad} at {position} of {length}");
                }
            }
        }
    }

    #[test]
    fn sum_of_squares_of_the_first_integers_is_the_closed_form() {
        for n in [0_usize, 1, 7, 16, 33, 100] {
            let numbers: Vec<f64> = (1..=n).map(|i| i as f64).collect();
            assert_eq!(sum_of_squares(&numbers), (n * (n + 1) * (2 * n + 1) / 6) as f64);
        }
    }

    #[test]
    fn transposing_twice_is_the_identity_and_once_swaps_indices() {
        let (rows, cols) = (19, 35);
        let from: Vec<f64> = (0..rows * cols).map(|i| i as f64).collect();
        let (mut once, mut twice) = (vec![0.0; rows * cols], vec![0.0; rows * cols]);
        transpose_into(&from, rows, cols, &mut once);
        assert_eq!(once[4 * rows + 7], from[7 * cols + 4]);
        transpose_into(&once, cols, rows, &mut twice);
        assert_eq!(from, twice);
    }

    #[test]
    fn lengths_far_below_the_square_root_of_the_least_number_are_lengths() {
        assert!((length([3e-200, 4e-200].into_iter()) / 5e-200 - 1.0).abs() < 1e-15);
        assert_eq!(length([0.0, 0.0].into_iter()), 0.0);
    }
}
