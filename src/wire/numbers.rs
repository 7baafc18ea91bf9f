//! Numbers as little-endian bytes, without copying where memory holds them so already.

use std::borrow::Cow;

use crate::math::Real;

/// The bytes of `numbers`, little-endian.
pub fn bytes<T: Real>(numbers: &[T]) -> Cow<'_, [u8]> {
    if cfg!(target_endian = "little") {
        return Cow::Borrowed(bytemuck::cast_slice(numbers));
    }
    let mut out = Vec::with_capacity(std::mem::size_of_val(numbers));
    numbers.iter().for_each(|number| number.write_le(&mut out));
    Cow::Owned(out)
}

/// The memory of `numbers`, to be filled with little-endian bytes; [`settle`] afterwards.
pub fn room<T: Real>(numbers: &mut [T]) -> &mut [u8] {
    bytemuck::cast_slice_mut(numbers)
}

/// Makes numbers of the little-endian bytes that were put in their place.
pub fn settle<T: Real>(numbers: &mut [T]) {
    if cfg!(target_endian = "big") {
        for number in numbers {
            if let Some(read) = T::read_le(bytemuck::bytes_of(number)) {
                *number = read;
            }
        }
    }
}
