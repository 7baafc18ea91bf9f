//! Numbers, dense products and random streams: what every equation below stands on.
//!
//! State is **feature-major**: a matrix of `units × batch`, one neuron per row, its batch contiguous. `theory` texts write
//! one sample per row; memory holds the transpose. So a block of neurons is a block of rows, a weight matrix is read in place
//! in both directions, and the innermost loop always runs over the batch.
//!
//! Read on: [`kernel`] (the one matrix product), then [`optimizer`], then `crate::energy`.

mod elementwise;
pub mod kernel;
pub mod law;
mod numerics;
pub mod optimizer;
pub mod random;
mod real;
pub mod rounding;

pub use elementwise::{Extent, extent, length, sum_of_squares, transpose_into};
pub use numerics::{Held, Moment, Numerics};
pub use real::{Dtype, Real};

use ndarray::Array2;

/// A feature-major matrix, `units × batch`, in standard (row-major) layout.
pub type Field<T> = Array2<T>;

/// The contiguous numbers of a field. Every field in this crate is made in standard layout and never re-strided.
pub fn values<T>(field: &Field<T>) -> &[T] {
    field.as_slice().expect("fields are made in standard layout")
}

/// The contiguous numbers of a field, to be written.
pub fn values_mut<T>(field: &mut Field<T>) -> &mut [T] {
    field.as_slice_mut().expect("fields are made in standard layout")
}
