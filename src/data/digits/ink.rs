//! From a pen path in pixels to a grey image.
//!
//! Why it exists: an image of a line is the distance to that line, cut off at the pen's radius.
//! Drawing every straight piece only into its own surroundings keeps this fast enough to make
//! images while a network is being trained.
//!
//! Where to go next: this is the last step; `mod.rs` puts the steps together.

use super::chance::Chance;
use super::hand::{Dot, Trace};
use super::{PIXELS, SIDE};

/// Smallest and largest radius of the pen in pixels.
const RADIUS: (f32, f32) = (1.0, 1.8);

/// Smallest and largest width in pixels of the border between ink and background.
const SOFTNESS: (f32, f32) = (1.0, 1.9);

/// Smallest and largest overall ink level.
const LEVEL: (f32, f32) = (0.82, 1.05);

/// Largest spread of the grain within the ink.
const GRAIN: f32 = 0.10;

/// The properties of one pen.
struct Pen {
    radius: f32,
    softness: f32,
}

/// Draws the path with a random pen.
pub(super) fn render(trace: &Trace, chance: &mut Chance) -> [u8; PIXELS] {
    let pen = Pen { radius: chance.between(RADIUS.0, RADIUS.1), softness: chance.between(SOFTNESS.0, SOFTNESS.1) };
    let level = chance.between(LEVEL.0, LEVEL.1);
    let grain = GRAIN * chance.unit();
    let mut canvas = [0.0f32; PIXELS];
    for stroke in trace {
        for pair in stroke.windows(2) {
            draw_piece(&mut canvas, &pen, pair[0], pair[1]);
        }
    }
    develop(&canvas, level, grain, chance)
}

/// Draws one straight piece with round ends into the pixels around it.
fn draw_piece(canvas: &mut [f32; PIXELS], pen: &Pen, start: Dot, end: Dot) {
    let along = (end.x - start.x, end.y - start.y);
    // Two dots may coincide; the floor keeps the division harmless.
    let square = (along.0 * along.0 + along.1 * along.1).max(1e-6);
    let toward = (along.0 / square, along.1 / square);
    let radius = (pen.radius * start.pressure, pen.radius * end.pressure);
    let reach = radius.0.max(radius.1) + 0.5 * pen.softness;
    let sharpness = 1.0 / pen.softness;
    let (left, right) = pixels_between(start.x.min(end.x) - reach, start.x.max(end.x) + reach);
    let (top, bottom) = pixels_between(start.y.min(end.y) - reach, start.y.max(end.y) + reach);
    for row in top..bottom {
        let down = row as f32 - start.y;
        for column in left..right {
            let across = column as f32 - start.x;
            let part = (across * toward.0 + down * toward.1).clamp(0.0, 1.0);
            let away = (across - part * along.0, down - part * along.1);
            let distance = (away.0 * away.0 + away.1 * away.1).sqrt();
            let edge = radius.0 + part * (radius.1 - radius.0);
            let cover = ((edge - distance) * sharpness + 0.5).clamp(0.0, 1.0);
            let flow = start.flow + part * (end.flow - start.flow);
            // The cubic rounds the border off, as the optics of a scanner do.
            let value = flow * cover * cover * (3.0 - 2.0 * cover);
            // Where pieces overlap, the darker one counts, so that joints do not show.
            let pixel = &mut canvas[row * SIDE + column];
            *pixel = pixel.max(value);
        }
    }
}

/// The half-open range of pixel centres between two coordinates, cut to the image.
fn pixels_between(low: f32, high: f32) -> (usize, usize) {
    // A conversion to an unsigned number turns everything below zero into zero.
    let first = (low + 1.0) as usize;
    let last = (high + 1.0) as usize;
    (first.min(SIDE), last.min(SIDE))
}

/// Adds level and grain and turns ink amounts into bytes; the background stays black.
fn develop(canvas: &[f32; PIXELS], level: f32, grain: f32, chance: &mut Chance) -> [u8; PIXELS] {
    let mut image = [0u8; PIXELS];
    for (byte, &ink) in image.iter_mut().zip(canvas) {
        if ink > 0.0 {
            let value = ink * level * (1.0 + grain * chance.rough_bell());
            // The conversion saturates: values outside 0 to 255 take the nearest end.
            *byte = (value * 255.0 + 0.5) as u8;
        }
    }
    image
}
