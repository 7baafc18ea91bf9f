//! Thousands of spoiled files: whatever is done to a valid file, reading it returns.
//!
//! Why it exists: the other tests try the faults somebody thought of. These try the rest. A read
//! may succeed or be refused, but it must not panic, and what it returns must be consistent and no
//! larger than what the spoiled file can hold.

use std::fs;

use asynapse::data::error::DataError;
use asynapse::data::idx::{read_images, read_labels};

use super::samples::{folder, gzip, idx, next_random, noise};

/// How many spoiled files to try for each valid one.
const ROUNDS: u64 = 3000;

/// Changes, removes, repeats or adds some bytes.
fn spoil(bytes: &[u8], seed: u64) -> Vec<u8> {
    let mut spoiled = bytes.to_vec();
    let mut state = seed;
    let mut random = |below: usize| {
        state = next_random(state);
        usize::try_from(state >> 33).expect("31 bits") % below.max(1)
    };
    for _ in 0..=random(3) {
        let place = random(spoiled.len());
        // Half of the changes hit the header, where they matter most.
        let place = if random(2) == 0 { place % 16 } else { place };
        match random(6) {
            0 if place < spoiled.len() => spoiled[place] ^= 1 << random(8),
            1 if place < spoiled.len() => spoiled[place] = random(256) as u8,
            2 => spoiled.truncate(random(spoiled.len() + 1)),
            3 => spoiled.extend(noise(random(40), seed)),
            4 if place < spoiled.len() => drop(spoiled.remove(place)),
            _ => spoiled.insert(place.min(spoiled.len()), random(256) as u8),
        }
    }
    spoiled
}

#[test]
fn spoiled_image_files_never_panic() {
    let dir = folder();
    let path = dir.path().join("spoiled");
    let raw = idx(&[4, 5, 3], &noise(60, 9));
    let mut refused = 0;
    for (file, stored) in [raw.clone(), gzip(&raw, 6), gzip(&raw, 0)].iter().enumerate() {
        for round in 0..ROUNDS {
            let spoiled = spoil(stored, round * 3 + file as u64);
            fs::write(&path, &spoiled).expect("write a test file");
            match read_images(&path) {
                Ok(images) => {
                    assert_eq!(images.pixels.len(), images.count * images.rows * images.cols);
                    assert!(images.pixels.capacity() <= 1100 * spoiled.len() + 64);
                }
                Err(error) => {
                    refused += 1;
                    complains_properly(&error);
                }
            }
        }
    }
    assert!(refused > ROUNDS, "only {refused} spoiled files were refused");
}

#[test]
fn spoiled_label_files_never_panic() {
    let dir = folder();
    let path = dir.path().join("spoiled");
    let raw = idx(&[50], &noise(50, 11));
    for stored in [raw.clone(), gzip(&raw, 6)] {
        for round in 0..ROUNDS {
            fs::write(&path, spoil(&stored, round)).expect("write a test file");
            if let Err(error) = read_labels(&path) {
                complains_properly(&error);
            }
        }
    }
}

#[test]
fn noise_is_never_a_data_set() {
    let dir = folder();
    let path = dir.path().join("noise");
    for round in 0..ROUNDS {
        let length = usize::try_from(round).expect("a small number") % 100;
        let mut bytes = noise(length, round);
        if round % 2 == 0 && length > 3 {
            bytes[..3].copy_from_slice(&[0x1f, 0x8b, 8]);
        }
        fs::write(&path, bytes).expect("write a test file");
        complains_properly(&read_images(&path).expect_err("noise"));
    }
}

/// The sentence names the file and is about its content, not about the disk.
fn complains_properly(error: &DataError) {
    assert!(matches!(error, DataError::Idx { .. }), "{error}");
    assert!(error.to_string().contains("spoiled") || error.to_string().contains("noise"));
}
