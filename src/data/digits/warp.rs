//! How the whole shape leans, bends and sits in the image.
//!
//! Why it exists: slant, proportion and elastic bending belong to the digit as a whole and not to
//! a single stroke. Bending the pen path instead of the finished image is cheaper and keeps the
//! line sharp.
//!
//! Where to go next: `ink` draws the path that leaves this file.

use super::SIDE;
use super::chance::Chance;
use super::hand::{Dot, Trace};

/// Knots of the bending lattice along one edge; three cells and the margin a smooth curve needs.
const LATTICE: usize = 5;

/// Cells of the bending lattice along one edge of the unit square.
const CELLS: f32 = 3.0;

/// How far a lattice knot strays, as a part of the unit square.
const BEND: f32 = 0.028;

/// Spread of the tangent of half the turning angle; 0.07 is about eight degrees.
const TURN: f32 = 0.070;

/// Spread of the sideways lean per unit of height.
const LEAN: f32 = 0.16;

/// Spread of the width relative to the height.
const PROPORTION: f32 = 0.11;

/// Smallest and largest length in pixels of the longer side of the finished digit.
const LENGTH: (f32, f32) = (16.0, 19.5);

/// How far the digit sits from the centre at most, in pixels.
///
/// This is what makes the digits hard for a network without a hidden layer: going from 2.0 to
/// 2.4 pixels costs such a network five percent of its hits and a network with one hardly any.
const OFFSET: f32 = 2.4;

/// Bends the path smoothly: every dot moves with the knots of a coarse lattice around it.
pub(super) fn bend(trace: &mut Trace, chance: &mut Chance) {
    let mut knots = [[(0.0f32, 0.0f32); LATTICE]; LATTICE];
    for row in &mut knots {
        for knot in row.iter_mut() {
            *knot = (BEND * chance.bell(), BEND * chance.bell());
        }
    }
    for dot in trace.iter_mut().flatten() {
        let (column, across) = cell(dot.x);
        let (row, down) = cell(dot.y);
        let mut moved = (0.0, 0.0);
        for (line, height) in knots[row..].iter().zip(down) {
            for (knot, width) in line[column..].iter().zip(across) {
                moved.0 += height * width * knot.0;
                moved.1 += height * width * knot.1;
            }
        }
        dot.x += moved.0;
        dot.y += moved.1;
    }
}

/// The first of three lattice knots around a coordinate, and the weights of the three.
///
/// The weights are those of a quadratic B-spline, so the bending has no kinks at cell borders.
fn cell(coordinate: f32) -> (usize, [f32; 3]) {
    let scaled = (coordinate * CELLS).clamp(0.0, CELLS);
    let first = (scaled as usize).min(LATTICE - 3);
    let part = scaled - first as f32;
    let rest = 1.0 - part;
    let outer = (0.5 * rest * rest, 0.5 * part * part);
    (first, [outer.0, 1.0 - outer.0 - outer.1, outer.1])
}

/// Leans and turns the path, then fits it into a box of random size near the centre.
///
/// Scanned digits are usually normalised to a box, and fitting also keeps the path inside the
/// image, whatever the earlier steps did. Only the soft border of a broad pen may be cut off.
pub(super) fn place(trace: &mut Trace, chance: &mut Chance) {
    lean_and_turn(trace, chance);
    let (left, right) = extent(trace, |dot| dot.x);
    let (top, bottom) = extent(trace, |dot| dot.y);
    // A bar may have no width at all; the floor keeps the division harmless.
    let longest = (right - left).max(bottom - top).max(0.1);
    let scale = chance.between(LENGTH.0, LENGTH.1) / longest;
    let centre = (SIDE as f32 - 1.0) * 0.5;
    let centre_x = centre + chance.between(-OFFSET, OFFSET);
    let centre_y = centre + chance.between(-OFFSET, OFFSET);
    for dot in trace.iter_mut().flatten() {
        dot.x = centre_x + scale * (dot.x - 0.5 * (left + right));
        dot.y = centre_y + scale * (dot.y - 0.5 * (top + bottom));
    }
}

/// Shears, stretches and rotates around the middle of the unit square.
fn lean_and_turn(trace: &mut Trace, chance: &mut Chance) {
    let half = TURN * chance.bell();
    // Cosine and sine from the tangent of the half angle: exactly rounded on every platform.
    let cosine = (1.0 - half * half) / (1.0 + half * half);
    let sine = 2.0 * half / (1.0 + half * half);
    let lean = LEAN * chance.bell();
    let width = 1.0 + PROPORTION * chance.bell();
    for dot in trace.iter_mut().flatten() {
        let down = dot.y - 0.5;
        let across = width * (dot.x - 0.5) - lean * down;
        dot.x = cosine * across - sine * down;
        dot.y = sine * across + cosine * down;
    }
}

/// Smallest and largest value of one coordinate over the whole path.
fn extent(trace: &Trace, coordinate: impl Fn(&Dot) -> f32) -> (f32, f32) {
    trace
        .iter()
        .flatten()
        .map(coordinate)
        .fold(None, |span: Option<(f32, f32)>, value| match span {
            None => Some((value, value)),
            Some((low, high)) => Some((low.min(value), high.max(value))),
        })
        .unwrap_or((0.0, 0.0))
}
