//! Oracle: the product kernel against three scalar loops of `mul_add`, bit for bit.

use asynapse::math::Real;
use asynapse::math::kernel::{Left, Product, Shape, Start, plain};
use asynapse::math::random::{Purpose, Stream};
use asynapse::math::transpose_into;

fn numbers<T: Real>(stream: &mut Stream, count: usize) -> Vec<T> {
    (0..count).map(|_| T::of(stream.normal())).collect()
}

/// Every shape that ends a tile early, in both layouts and from every start.
fn tiles_equal_scalar_chains<T: Real>() {
    let mut stream = Stream::new(11, Purpose::Trial, 0);
    for rows in [1, 2, 5, 6, 7, 10, 13] {
        for inner in [1, 3, 17, 64] {
            for cols in [1, 2, 7, 8, 15, 16, 17, 31, 32, 48, 63, 64, 100, 129] {
                let shape = Shape { rows, inner, cols };
                let a: Vec<T> = numbers(&mut stream, rows * inner);
                let b: Vec<T> = numbers(&mut stream, inner * cols);
                let bias: Vec<T> = numbers(&mut stream, rows);
                let held: Vec<T> = numbers(&mut stream, rows * cols);
                for left in [Left::Rows(&a[..]), Left::Columns(&a[..])] {
                    for start in [Start::Zero, Start::Bias(&bias[..]), Start::Held] {
                        let (mut fast, mut slow) = (held.clone(), held.clone());
                        T::product(shape, left, &b, start, &mut fast);
                        plain(shape, left, &b, start, &mut slow);
                        assert!(fast == slow, "{shape:?} {left:?} {start:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn tiles_equal_scalar_chains_in_f32_and_f64() {
    tiles_equal_scalar_chains::<f32>();
    tiles_equal_scalar_chains::<f64>();
}

#[test]
fn bits_do_not_depend_on_how_the_batch_or_the_rows_are_cut() {
    let mut stream = Stream::new(12, Purpose::Trial, 0);
    let (rows, inner, cols) = (23, 50, 70);
    let a: Vec<f32> = numbers(&mut stream, rows * inner);
    let b: Vec<f32> = numbers(&mut stream, inner * cols);
    let mut whole = vec![0.0; rows * cols];
    f32::product(Shape { rows, inner, cols }, Left::Rows(&a), &b, Start::Zero, &mut whole);
    for cut in [1, 13, 16, 33, 64, 69] {
        let part: Vec<f32> = b.chunks(cols).flat_map(|row| row[cut..].to_vec()).collect();
        let mut out = vec![0.0; rows * (cols - cut)];
        f32::product(Shape { rows, inner, cols: cols - cut }, Left::Rows(&a), &part, Start::Zero, &mut out);
        for row in 0..rows {
            assert_eq!(out[row * (cols - cut)..(row + 1) * (cols - cut)], whole[row * cols + cut..(row + 1) * cols]);
        }
    }
    for cut in [1, 5, 6, 11] {
        let mut out = vec![0.0; (rows - cut) * cols];
        let left = Left::Rows(&a[cut * inner..]);
        f32::product(Shape { rows: rows - cut, inner, cols }, left, &b, Start::Zero, &mut out);
        assert_eq!(out, whole[cut * cols..]);
    }
}

#[test]
fn reading_columns_is_multiplying_by_the_transpose() {
    let mut stream = Stream::new(13, Purpose::Trial, 0);
    let (rows, inner, cols) = (30, 40, 16);
    let a: Vec<f64> = numbers(&mut stream, rows * inner);
    let b: Vec<f64> = numbers(&mut stream, rows * cols);
    let mut transposed = vec![0.0; rows * inner];
    transpose_into(&a, rows, inner, &mut transposed);
    let shape = Shape { rows: inner, inner: rows, cols };
    let (mut in_place, mut copied) = (vec![0.0; inner * cols], vec![0.0; inner * cols]);
    f64::product(shape, Left::Columns(&a), &b, Start::Zero, &mut in_place);
    f64::product(shape, Left::Rows(&transposed), &b, Start::Zero, &mut copied);
    assert_eq!(in_place, copied);
}

/// The path of a single sample has its own order of summation: sixteen chains, joined pairwise, bias last.
#[test]
fn one_sample_is_the_sixteen_chain_sum() {
    let mut stream = Stream::new(14, Purpose::Trial, 0);
    for inner in [1, 15, 16, 17, 100, 784] {
        let w: Vec<f32> = numbers(&mut stream, 3 * inner);
        let s: Vec<f32> = numbers(&mut stream, inner);
        let bias: Vec<f32> = numbers(&mut stream, 3);
        let mut out = vec![0.0; 3];
        f32::current_of_one(&w, &bias, &s, &mut out);
        for row in 0..3 {
            let mut chains = [0.0_f32; 16];
            for p in 0..inner {
                chains[p % 16] = w[row * inner + p].mul_add(s[p], chains[p % 16]);
            }
            for width in [8, 4, 2, 1] {
                for c in 0..width {
                    chains[c] += chains[c + width];
                }
            }
            assert_eq!(out[row], bias[row] + chains[0]);
            let exact: f64 = (0..inner).map(|p| f64::from(w[row * inner + p]) * f64::from(s[p])).sum();
            assert!((f64::from(out[row]) - exact - f64::from(bias[row])).abs() < 1e-3);
        }
    }
}
