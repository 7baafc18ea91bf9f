//! One writer's way of writing a digit: from the anchors of a glyph to a pen path in pixels.
//!
//! Why it exists: two people who use the same variant still differ in every curve. This file
//! chooses a variant, shakes its anchors and strokes, varies pressure and ink, and joins the
//! anchors to a path fine enough to be drawn as straight pieces.
//!
//! Where to go next: `warp` bends and places the path, `ink` draws it.

use super::chance::Chance;
use super::glyphs::{Anchor, Glyph, Stroke};
use super::warp;

/// A point of the pen path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dot {
    /// Column, first in the unit square and in pixels after `warp`.
    pub(super) x: f32,
    /// Row, first in the unit square and in pixels after `warp`.
    pub(super) y: f32,
    /// How broad the pen is here, relative to its usual breadth.
    pub(super) pressure: f32,
    /// How much ink flows here, from 0 to 1.
    pub(super) flow: f32,
}

/// The whole pen path: one list of dots for every stroke.
pub(super) type Trace = Vec<Vec<Dot>>;

/// How far an anchor strays from its place, as a part of the unit square.
const ANCHOR_SHAKE: f32 = 0.016;

/// How far a whole stroke strays from its place.
const STROKE_SHAKE: f32 = 0.020;

/// How much pressure varies from anchor to anchor.
const PRESSURE_SHAKE: f32 = 0.12;

/// How often a digit has a place where the ink runs thin.
const GAP_PROBABILITY: f32 = 0.12;

/// Dots per unit length; a digit is about twenty pixels tall, so a piece is about two pixels.
const DOTS_PER_UNIT: f32 = 11.0;

/// Writes one of the variants and places it in the image.
pub(super) fn write(variants: &[Glyph], chance: &mut Chance) -> Trace {
    let Some(glyph) = variants.get(chance.pick(variants.len())) else {
        return Trace::new();
    };
    let mut trace: Trace = glyph.iter().map(|stroke| join(&shake(stroke, chance))).collect();
    if chance.happens(GAP_PROBABILITY) {
        thin_out(&mut trace, chance);
    }
    warp::bend(&mut trace, chance);
    warp::place(&mut trace, chance);
    trace
}

/// An anchor that has been moved, with the pressure at its place.
#[derive(Clone, Copy)]
struct Knot {
    x: f32,
    y: f32,
    pressure: f32,
    corner: bool,
}

/// Moves a stroke as a whole and each of its anchors a little.
fn shake(stroke: Stroke, chance: &mut Chance) -> Vec<Knot> {
    let stroke_x = STROKE_SHAKE * chance.bell();
    let stroke_y = STROKE_SHAKE * chance.bell();
    let shaken = |anchor: &Anchor| Knot {
        x: anchor.x + stroke_x + ANCHOR_SHAKE * chance.bell(),
        y: anchor.y + stroke_y + ANCHOR_SHAKE * chance.bell(),
        pressure: 1.0 + PRESSURE_SHAKE * chance.bell(),
        corner: anchor.corner,
    };
    stroke.iter().map(shaken).collect()
}

/// Joins knots by a smooth curve (cubic Hermite pieces, broken at corners).
fn join(knots: &[Knot]) -> Vec<Dot> {
    let mut dots = Vec::with_capacity(64);
    let Some(first) = knots.first() else {
        return dots;
    };
    dots.push(dot_at(first.x, first.y, first.pressure));
    for (place, pair) in knots.windows(2).enumerate() {
        let before = place.checked_sub(1).and_then(|earlier| knots.get(earlier));
        let piece = Piece::new(before, pair[0], pair[1], knots.get(place + 2));
        let steps = piece.steps();
        for step in 1..=steps {
            dots.push(piece.at(step as f32 / steps as f32));
        }
    }
    dots
}

/// The curve between two neighbouring knots.
struct Piece {
    start: Knot,
    end: Knot,
    start_slope: (f32, f32),
    end_slope: (f32, f32),
}

impl Piece {
    /// Chooses the slopes: along the neighbours where the pen runs through, free at ends and
    /// corners.
    fn new(before: Option<&Knot>, start: Knot, end: Knot, after: Option<&Knot>) -> Self {
        let chord = (end.x - start.x, end.y - start.y);
        let through = |from: &Knot, to: &Knot| (0.5 * (to.x - from.x), 0.5 * (to.y - from.y));
        let start_through = before.filter(|_| !start.corner).map(|before| through(before, &end));
        let end_through = after.filter(|_| !end.corner).map(|after| through(&start, after));
        // A free end takes the slope at which the curve does not bend there.
        let free = |other: (f32, f32)| (1.5 * chord.0 - 0.5 * other.0, 1.5 * chord.1 - 0.5 * other.1);
        let start_slope = start_through.unwrap_or_else(|| end_through.map_or(chord, free));
        let end_slope = end_through.unwrap_or_else(|| start_through.map_or(chord, free));
        Self { start, end, start_slope, end_slope }
    }

    /// In how many straight pieces the curve is drawn.
    fn steps(&self) -> usize {
        let across = self.end.x - self.start.x;
        let down = self.end.y - self.start.y;
        let length = (across * across + down * down).sqrt();
        ((length * DOTS_PER_UNIT) as usize + 1).clamp(2, 8)
    }

    /// The dot at a part of the way from the start (0) to the end (1).
    fn at(&self, part: f32) -> Dot {
        let square = part * part;
        let cube = square * part;
        let toward_end = 3.0 * square - 2.0 * cube;
        let leaving = part - 2.0 * square + cube;
        let arriving = cube - square;
        let mix = |start: f32, end: f32, start_slope: f32, end_slope: f32| {
            start + toward_end * (end - start) + leaving * start_slope + arriving * end_slope
        };
        dot_at(
            mix(self.start.x, self.end.x, self.start_slope.0, self.end_slope.0),
            mix(self.start.y, self.end.y, self.start_slope.1, self.end_slope.1),
            self.start.pressure + part * (self.end.pressure - self.start.pressure),
        )
    }
}

/// A dot with full ink.
fn dot_at(x: f32, y: f32, pressure: f32) -> Dot {
    Dot { x, y, pressure, flow: 1.0 }
}

/// Lets the ink run thin around one dot of the path, as a failing pen does.
fn thin_out(trace: &mut Trace, chance: &mut Chance) {
    let stroke = chance.pick(trace.len());
    let Some(dots) = trace.get_mut(stroke) else {
        return;
    };
    let middle = chance.unit() * dots.len() as f32;
    let reach = chance.between(1.0, 3.5);
    let depth = chance.between(0.3, 0.9);
    for (place, dot) in dots.iter_mut().enumerate() {
        let away = (place as f32 - middle).abs() / reach;
        if away < 1.0 {
            dot.flow = 1.0 - depth * (1.0 - away);
        }
    }
}
