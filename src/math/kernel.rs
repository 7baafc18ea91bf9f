//! The one matrix product: `C[i,j] = start[i,j] + Σ_p A[i,p]·B[p,j]`, one sequential chain of fused multiply-adds per element.
//!
//! ```text
//! current   a = W·s + b     A = W  (n_l × n_{l-1}) by rows      B = s  (n_{l-1} × batch)   theory: a_l = s_{l-1} W_lᵀ + b_l
//! feedback  g = Wᵀ·d        A = W  read by columns              B = d  (n_l × batch)       theory: g_{l-1} = d_l W_l
//! Hebbian   h = d·sᵀ        A = d  (n_l × batch) by rows        B = sᵀ (batch × n_{l-1})   theory: h_l = d_lᵀ s_{l-1}
//! ```
//!
//! Because each element is its own chain in the order of `p`, its bits do not depend on how rows or columns are cut, on the
//! width of the vector unit, or on the batch around it: a group of neurons, a shard of a batch and a whole layer agree bit for
//! bit, and equal scalar `mul_add`. [`plain`] is that scalar form; tests hold the tiles against it. A single sample has a path
//! of its own for the current ([`Product::current_of_one`]): a dot product over sixteen lanes, with other bits than the batch.

use pulp::{Arch, Simd, WithSimd};

/// Left factor `A` (`rows × inner`) and how it lies in memory.
#[derive(Clone, Copy, Debug)]
pub enum Left<'a, T> {
    /// Row-major: `A[i,p] = numbers[i·inner + p]`.
    Rows(&'a [T]),
    /// Column-major, i.e. the transpose of a row-major matrix read in place: `A[i,p] = numbers[p·rows + i]`.
    Columns(&'a [T]),
}

/// What an element's chain starts from.
#[derive(Clone, Copy, Debug)]
pub enum Start<'a, T> {
    /// Zero.
    Zero,
    /// One number per row of `C`: the bias.
    Bias(&'a [T]),
    /// What `C` holds already.
    Held,
}

/// Sizes of a product: `C` is `rows × cols`, the sum runs over `inner`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Rows of `A` and `C`.
    pub rows: usize,
    /// Columns of `A`, rows of `B`.
    pub inner: usize,
    /// Columns of `B` and `C`.
    pub cols: usize,
}

/// Products over one number type.
pub trait Product: Sized {
    /// `C = start + A·B`; panics if a slice does not have the length its shape says.
    fn product(shape: Shape, left: Left<'_, Self>, right: &[Self], start: Start<'_, Self>, out: &mut [Self]);

    /// `a = W·s + b` for one sample: sixteen interleaved chains per row, joined pairwise, then the bias added.
    fn current_of_one(weights: &[Self], bias: &[Self], signal: &[Self], out: &mut [Self]);
}

/// The scalar form of [`Product::product`]: three loops and `mul_add`.
pub fn plain<T: super::Real>(shape: Shape, left: Left<'_, T>, right: &[T], start: Start<'_, T>, out: &mut [T]) {
    for i in 0..shape.rows {
        for j in 0..shape.cols {
            let mut sum = match start {
                Start::Zero => T::zero(),
                Start::Bias(bias) => bias[i],
                Start::Held => out[i * shape.cols + j],
            };
            for p in 0..shape.inner {
                let factor = match left {
                    Left::Rows(numbers) => numbers[i * shape.inner + p],
                    Left::Columns(numbers) => numbers[p * shape.rows + i],
                };
                sum = factor.mul_add(right[p * shape.cols + j], sum);
            }
            out[i * shape.cols + j] = sum;
        }
    }
}

fn check<T>(shape: Shape, left: Left<'_, T>, right: &[T], start: Start<'_, T>, out: &[T]) {
    let (Left::Rows(numbers) | Left::Columns(numbers)) = left;
    assert_eq!(numbers.len(), shape.rows * shape.inner, "product: A is rows × inner");
    assert_eq!(right.len(), shape.inner * shape.cols, "product: B is inner × cols");
    assert_eq!(out.len(), shape.rows * shape.cols, "product: C is rows × cols");
    if let Start::Bias(bias) = start {
        assert_eq!(bias.len(), shape.rows, "product: one bias per row");
    }
}

macro_rules! products {
    ($type:ident, $module:ident, $vector:ident, $lanes:ident, $splat:ident, $fma:ident, $load:ident, $store:ident, $as_simd:ident, $as_mut:ident) => {
        mod $module {
            use super::*;

            /// One product, waiting for its instruction set.
            pub(super) struct Job<'a> {
                pub(super) shape: Shape,
                pub(super) left: Left<'a, $type>,
                pub(super) right: &'a [$type],
                pub(super) start: Start<'a, $type>,
                pub(super) out: &'a mut [$type],
            }

            impl WithSimd for Job<'_> {
                type Output = ();

                #[inline(always)]
                fn with_simd<S: Simd>(mut self, simd: S) {
                    let (lanes, cols) = (S::$lanes, self.shape.cols);
                    // Four vectors of a row beside six rows fill the 32 registers of AVX-512; AVX2 has 16 and takes two.
                    let wide = if lanes * size_of::<$type>() >= 64 { 4 } else { 2 };
                    let mut col = 0;
                    while col + 4 * lanes <= cols && wide == 4 {
                        self.columns::<S, 4>(simd, col);
                        col += 4 * lanes;
                    }
                    while col + 2 * lanes <= cols {
                        self.columns::<S, 2>(simd, col);
                        col += 2 * lanes;
                    }
                    while col < cols {
                        self.last_columns::<S>(simd, col, lanes.min(cols - col));
                        col += lanes;
                    }
                }
            }

            impl Job<'_> {
                /// All rows of the `V` vectors of columns that begin at `col`.
                #[inline(always)]
                fn columns<S: Simd, const V: usize>(&mut self, simd: S, col: usize) {
                    let mut row = 0;
                    while row + 6 <= self.shape.rows {
                        self.tile::<S, 6, V>(simd, row, col);
                        row += 6;
                    }
                    if row + 4 <= self.shape.rows {
                        self.tile::<S, 4, V>(simd, row, col);
                        row += 4;
                    }
                    while row < self.shape.rows {
                        self.tile::<S, 1, V>(simd, row, col);
                        row += 1;
                    }
                }

                #[inline(always)]
                fn tile<S: Simd, const R: usize, const V: usize>(&mut self, simd: S, row: usize, col: usize) {
                    let Shape { rows, inner, cols } = self.shape;
                    let width = V * S::$lanes;
                    let mut sums = [[simd.$splat(0.0); V]; R];
                    match self.start {
                        Start::Zero => {}
                        Start::Bias(bias) => {
                            for (sum, &b) in sums.iter_mut().zip(&bias[row..row + R]) {
                                *sum = [simd.$splat(b); V];
                            }
                        }
                        Start::Held => {
                            for (r, sum) in sums.iter_mut().enumerate() {
                                let at = (row + r) * cols + col;
                                sum.copy_from_slice(S::$as_simd(&self.out[at..at + width]).0);
                            }
                        }
                    }
                    match self.left {
                        Left::Rows(numbers) => {
                            let lines: [&[$type]; R] =
                                std::array::from_fn(|r| &numbers[(row + r) * inner..(row + r + 1) * inner]);
                            for p in 0..inner {
                                let line = &self.right[p * cols + col..p * cols + col + width];
                                let b: &[S::$vector] = S::$as_simd(line).0;
                                for r in 0..R {
                                    let a = simd.$splat(lines[r][p]);
                                    for v in 0..V {
                                        sums[r][v] = simd.$fma(a, b[v], sums[r][v]);
                                    }
                                }
                            }
                        }
                        Left::Columns(numbers) => {
                            for p in 0..inner {
                                let line = &self.right[p * cols + col..p * cols + col + width];
                                let b: &[S::$vector] = S::$as_simd(line).0;
                                let factors = &numbers[p * rows + row..p * rows + row + R];
                                for r in 0..R {
                                    let a = simd.$splat(factors[r]);
                                    for v in 0..V {
                                        sums[r][v] = simd.$fma(a, b[v], sums[r][v]);
                                    }
                                }
                            }
                        }
                    }
                    for (r, sum) in sums.iter().enumerate() {
                        let at = (row + r) * cols + col;
                        S::$as_mut(&mut self.out[at..at + width]).0.copy_from_slice(sum);
                    }
                }

                /// All rows of a last vector of columns, `width` of its lanes in use.
                #[inline(always)]
                fn last_columns<S: Simd>(&mut self, simd: S, col: usize, width: usize) {
                    let mut row = 0;
                    while row + 4 <= self.shape.rows {
                        self.last_tile::<S, 4>(simd, row, col, width);
                        row += 4;
                    }
                    while row < self.shape.rows {
                        self.last_tile::<S, 1>(simd, row, col, width);
                        row += 1;
                    }
                }

                #[inline(always)]
                fn last_tile<S: Simd, const R: usize>(&mut self, simd: S, row: usize, col: usize, width: usize) {
                    let Shape { rows, inner, cols } = self.shape;
                    let mut sums: [S::$vector; R] = std::array::from_fn(|r| match self.start {
                        Start::Zero => simd.$splat(0.0),
                        Start::Bias(bias) => simd.$splat(bias[row + r]),
                        Start::Held => simd.$load(&self.out[(row + r) * cols + col..(row + r) * cols + col + width]),
                    });
                    for p in 0..inner {
                        let b = simd.$load(&self.right[p * cols + col..p * cols + col + width]);
                        for (r, sum) in sums.iter_mut().enumerate() {
                            let factor = match self.left {
                                Left::Rows(numbers) => numbers[(row + r) * inner + p],
                                Left::Columns(numbers) => numbers[p * rows + row + r],
                            };
                            *sum = simd.$fma(simd.$splat(factor), b, *sum);
                        }
                    }
                    for (r, sum) in sums.iter().enumerate() {
                        let at = (row + r) * cols + col;
                        simd.$store(&mut self.out[at..at + width], *sum);
                    }
                }
            }

            /// `W·s + b` for one sample.
            pub(super) struct One<'a> {
                pub(super) weights: &'a [$type],
                pub(super) bias: &'a [$type],
                pub(super) signal: &'a [$type],
                pub(super) out: &'a mut [$type],
            }

            impl WithSimd for One<'_> {
                type Output = ();

                #[inline(always)]
                fn with_simd<S: Simd>(self, _simd: S) {
                    let inner = self.signal.len();
                    for (i, slot) in self.out.iter_mut().enumerate() {
                        *slot = self.bias[i] + dot(&self.weights[i * inner..(i + 1) * inner], self.signal);
                    }
                }
            }

            /// Σ w·s over sixteen interleaved chains: chain `c` takes the terms `c, c+16, c+32, …`.
            #[inline(always)]
            fn dot(weights: &[$type], signal: &[$type]) -> $type {
                let mut chains: [$type; 16] = [0.0; 16];
                let (w, s) = (weights.chunks_exact(16), signal.chunks_exact(16));
                let (w_rest, s_rest) = (w.remainder(), s.remainder());
                for (w, s) in w.zip(s) {
                    for c in 0..16 {
                        chains[c] = w[c].mul_add(s[c], chains[c]);
                    }
                }
                for ((chain, &w), &s) in chains.iter_mut().zip(w_rest).zip(s_rest) {
                    *chain = w.mul_add(s, *chain);
                }
                for width in [8, 4, 2, 1] {
                    for c in 0..width {
                        chains[c] += chains[c + width];
                    }
                }
                chains[0]
            }
        }

        impl Product for $type {
            fn product(
                shape: Shape,
                left: Left<'_, $type>,
                right: &[$type],
                start: Start<'_, $type>,
                out: &mut [$type],
            ) {
                check(shape, left, right, start, out);
                Arch::new().dispatch($module::Job { shape, left, right, start, out });
            }

            fn current_of_one(weights: &[$type], bias: &[$type], signal: &[$type], out: &mut [$type]) {
                assert_eq!(weights.len(), out.len() * signal.len(), "current: W is out × in");
                assert_eq!(bias.len(), out.len(), "current: one bias per row");
                Arch::new().dispatch($module::One { weights, bias, signal, out });
            }
        }
    };
}

products!(
    f32,
    of_f32,
    f32s,
    F32_LANES,
    splat_f32s,
    mul_add_f32s,
    partial_load_f32s,
    partial_store_f32s,
    as_simd_f32s,
    as_mut_simd_f32s
);
products!(
    f64,
    of_f64,
    f64s,
    F64_LANES,
    splat_f64s,
    mul_add_f64s,
    partial_load_f64s,
    partial_store_f64s,
    as_simd_f64s,
    as_mut_simd_f64s
);
