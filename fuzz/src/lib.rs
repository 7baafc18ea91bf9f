//! What all fuzz targets share. A target gives any bytes to one function of `asynapse::fuzzing`, which panics only if there is a mistake.
//! No corpus is needed to begin with: now and then the mutator starts over from a valid message, made by the simulator's own encoders.
//!
//! ```text
//! cargo install cargo-fuzz
//! cargo +nightly fuzz list                                     the targets
//! cargo +nightly fuzz run frame -- -max_total_time=60          one of them
//! ```

use std::sync::OnceLock;

use libfuzzer_sys::fuzzer_mutate;

#[doc(hidden)]
pub use libfuzzer_sys;

/// One of so many mutations starts over from a valid message.
const FRESH: u32 = 32;

/// A fuzz target for the function of this name in `asynapse::fuzzing`.
#[macro_export]
macro_rules! decoder {
    ($name:ident) => {
        $crate::libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
            asynapse::fuzzing::$name(bytes);
        });
        $crate::libfuzzer_sys::fuzz_mutator!(|bytes: &mut [u8], size: usize, most: usize, seed: u32| {
            $crate::mutate(asynapse::fuzzing::seeds::$name, bytes, (size, most), seed)
        });
    };
}

/// Changes the first `size` of `bytes`, which has room for `most`, and says how many there are then.
pub fn mutate(seeds: fn() -> Vec<Vec<u8>>, bytes: &mut [u8], (size, most): (usize, usize), seed: u32) -> usize {
    static VALID: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let valid = VALID.get_or_init(seeds);
    let size = match valid.get((seed / FRESH) as usize % valid.len()) {
        Some(message) if seed % FRESH == 0 && message.len() <= most => {
            bytes[..message.len()].copy_from_slice(message);
            message.len()
        }
        _ => size,
    };
    fuzzer_mutate(bytes, size, most)
}
