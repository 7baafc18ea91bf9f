//! The two number types, `f32` and `f64`, behind one trait.
//!
//! A config chooses (`dtype`); the program then runs one monomorphic copy from end to end. Next: `kernel`.

use std::fmt::{Debug, Display};

use serde::{Deserialize, Serialize};

use super::kernel::Product;

/// Which number type a network computes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dtype {
    /// 32-bit floats, 24 bits of precision.
    #[default]
    F32,
    /// 64-bit floats, 53 bits of precision.
    F64,
}

/// A floating-point number the simulator can compute with: `f32` or `f64`.
pub trait Real:
    num_traits::Float + bytemuck::Pod + Default + Debug + Display + Product + Send + Sync + std::iter::Sum + 'static
{
    /// Its name in configs, records and checkpoints.
    const DTYPE: Dtype;
    /// Magnitudes below this are written as zero when a state moves: denormals cost fifty times the time of a normal number,
    /// and a state this small has no effect that the format could resolve.
    const FLUSH: Self;
    /// The nearest number of this type.
    fn of(value: f64) -> Self;
    /// The same number as `f64`, exact for both types.
    fn wide(self) -> f64;
    /// Gauss error function, for GELU's exact form.
    fn erf(self) -> Self;
    /// Little-endian bytes, as safetensors stores them.
    fn write_le(self, out: &mut Vec<u8>);
    /// Reads what `write_le` wrote; `bytes` holds exactly one number.
    fn read_le(bytes: &[u8]) -> Option<Self>;
}

macro_rules! real {
    ($type:ident, $dtype:ident, $flush:expr, $erf:path) => {
        impl Real for $type {
            const DTYPE: Dtype = Dtype::$dtype;
            const FLUSH: Self = $flush;
            fn of(value: f64) -> Self {
                value as $type
            }
            fn wide(self) -> f64 {
                f64::from(self)
            }
            fn erf(self) -> Self {
                $erf(self)
            }
            fn write_le(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn read_le(bytes: &[u8]) -> Option<Self> {
                Some(Self::from_le_bytes(bytes.try_into().ok()?))
            }
        }
    };
}

real!(f32, F32, 1e-30, libm::erff);
real!(f64, F64, 1e-280, libm::erf);
