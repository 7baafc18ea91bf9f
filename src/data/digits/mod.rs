//! Handwritten-like digits drawn by a program: 28 by 28 grey images in ten classes.
//!
//! Why it exists: a fresh machine should be able to train something at once, without a download
//! and without a file. The images resemble the well-known scanned digits in size, polarity and
//! look, and a small network with a hidden layer is clearly better on them than a linear one.
//!
//! How hard they are, for 12,000 training and 2,000 test images: the nearest class mean is right
//! for about 69 percent of the test images, logistic regression for 84 to 86 percent after five
//! epochs and at most 90 when trained to the end, and a network with 128 and 64 hidden units
//! (Adam, step size 0.001, batches of 64) for 97.5 to 98.5 percent after five epochs when its
//! first weights are scaled for rectifiers, and 96 to 98 percent when they start smaller. The
//! constants at the top of `hand`, `warp` and `ink` set this; measure again after changing one.
//!
//! Every image is a pure function of a seed, a stream and an index. Nothing is remembered between
//! calls, so any subset may be drawn in any order and on any number of threads.
//!
//! The same triple gives the same bytes on every platform whose `f32` follows IEEE 754: the
//! drawing uses only `+`, `-`, `*`, `/`, square root, comparison and conversion, all of which are
//! rounded in one defined way. Sine, cosine, exponential and logarithm are not used anywhere,
//! because the standard library passes them to the platform and their last bit may differ.
//! Random numbers come as raw words from ChaCha8 and are turned into floats here, so a new version
//! of the `rand` crate with other sampling algorithms changes nothing.
//!
//! Where to go next, in the order an image is made:
//! `chance` (random numbers), `glyphs` (how each digit may be written), `hand` (one writer's way
//! of writing it), `warp` (how the whole shape leans and bends), `ink` (from pen path to pixels).

mod chance;
mod glyphs;
mod hand;
mod ink;
mod warp;

#[cfg(test)]
mod tests;

use chance::{Chance, Purpose};

/// Width and height of an image in pixels.
pub const SIDE: usize = 28;

/// Number of pixels in an image.
pub const PIXELS: usize = 784;

/// Number of classes: the digits zero to nine.
pub const CLASSES: usize = 10;

/// Draws one image, row by row (0 is the black background, 255 is full ink), and tells its class.
///
/// The result depends on the three arguments alone. `stream` separates independent sequences:
/// 0 is meant for training images and 1 for test images. Each block of ten consecutive indices
/// that starts at a multiple of ten holds every class once, in an order that depends on the seed.
pub fn draw(seed: u64, stream: u64, index: u64) -> ([u8; PIXELS], u8) {
    let class = class_of(seed, stream, index);
    let mut chance = Chance::new(seed, stream, index, Purpose::Drawing);
    let trace = hand::write(glyphs::variants(class), &mut chance);
    (ink::render(&trace, &mut chance), class)
}

/// The class at an index: a fresh random order of the ten classes for every block of ten.
///
/// The order is found anew at each call. This costs one shuffle of ten numbers and keeps `draw`
/// free of any memory.
fn class_of(seed: u64, stream: u64, index: u64) -> u8 {
    let block = index / CLASSES as u64;
    let place = (index % CLASSES as u64) as usize;
    let mut chance = Chance::new(seed, stream, block, Purpose::ClassOrder);
    let mut order: [u8; CLASSES] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
    for last in (1..CLASSES).rev() {
        order.swap(last, chance.pick(last + 1));
    }
    order[place]
}
