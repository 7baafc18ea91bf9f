//! How each digit may be written: several variants per class, each a few pen strokes.
//!
//! Why it exists: people do not agree on how to write a 4 or a 7. A classifier should need more
//! than one template per class, so every class has variants that differ in their strokes and not
//! only in their slant.
//!
//! A stroke is a row of anchors the pen passes through, in percent of a unit square with `0 0` at
//! the top left. The pen runs smoothly through an anchor unless it is marked `corner`.
//!
//! Where to go next: `hand` shakes the anchors and joins them to a pen path.

/// A point the pen passes through, in a unit square with the origin at the top left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Anchor {
    /// Distance from the left edge.
    pub(super) x: f32,
    /// Distance from the top edge.
    pub(super) y: f32,
    /// Whether the pen may change its direction abruptly here.
    pub(super) corner: bool,
}

/// Anchors that are joined without lifting the pen.
pub(super) type Stroke = &'static [Anchor];

/// One way of writing a digit.
pub(super) type Glyph = &'static [Stroke];

/// All ways of writing one digit; a class outside 0 to 9 is read modulo ten.
pub(super) fn variants(class: u8) -> &'static [Glyph] {
    match class % 10 {
        0 => ZERO,
        1 => ONE,
        2 => TWO,
        3 => THREE,
        4 => FOUR,
        5 => FIVE,
        6 => SIX,
        7 => SEVEN,
        8 => EIGHT,
        _ => NINE,
    }
}

/// Turns lists of `x y` (in percent, with an optional `corner`) into strokes.
macro_rules! glyph {
    ($( [ $( $x:literal $y:literal $($mark:ident)? ),+ ] )+) => {
        &[ $( &[ $( Anchor {
            x: $x as f32 / 100.0,
            y: $y as f32 / 100.0,
            corner: glyph!(@ $($mark)?),
        } ),+ ] ),+ ]
    };
    (@) => { false };
    (@ corner) => { true };
}

const ZERO: &[Glyph] = &[
    // A plain oval.
    glyph!([50 2, 27 14, 19 48, 28 86, 50 98, 73 86, 81 50, 72 14, 50 2]),
    // Wide and round, begun at the right.
    glyph!([78 22, 52 3, 20 22, 12 55, 28 90, 58 97, 86 74, 88 40, 74 16, 60 8]),
    // Narrow and leaning, its end crossing its beginning.
    glyph!([66 4, 46 10, 30 44, 28 82, 42 98, 58 84, 70 50, 72 18, 60 3, 46 8]),
    // An inward tail at the top.
    glyph!([38 22, 54 20, 70 4, 40 4, 18 34, 18 72, 42 98, 72 84, 84 48, 70 12]),
];

const ONE: &[Glyph] = &[
    // A bare bar.
    glyph!([50 2, 50 50, 50 98]),
    // A bar leaning far to the right.
    glyph!([68 3, 51 50, 34 97]),
    // With a flag.
    glyph!([30 26, 43 16, 54 2 corner, 54 50, 53 98]),
    // With a flag and a foot.
    glyph!([32 24, 52 3 corner, 52 50, 52 95] [28 96, 52 95, 76 96]),
];

const TWO: &[Glyph] = &[
    // A round head, a straight neck and a flat base.
    glyph!([20 26, 32 7, 54 3, 72 16, 70 38, 46 68, 18 95 corner, 50 95, 82 94]),
    // A loop at the lower left.
    glyph!([22 24, 40 5, 64 7, 74 26, 60 54, 36 82, 20 94, 14 82, 28 76, 52 88, 86 92]),
    // Angular, almost a letter Z.
    glyph!([20 10, 48 5, 76 8 corner, 48 50, 18 92 corner, 50 93, 80 90]),
    // A swan's neck with a wavy base.
    glyph!([24 34, 28 12, 48 2, 68 12, 68 36, 48 64, 20 90 corner, 38 82, 60 94, 84 86]),
];

const THREE: &[Glyph] = &[
    // Two bowls that meet in a point.
    glyph!([22 14, 44 3, 68 10, 70 30, 42 47 corner, 72 58, 78 80, 54 97, 20 88]),
    // A flat top with a sharp turn.
    glyph!([22 6, 50 5, 76 5 corner, 44 42 corner, 70 52, 76 76, 52 97, 22 90]),
    // A small loop in the middle.
    glyph!([18 22, 34 4, 62 6, 70 24, 56 46, 36 56, 28 46, 44 40, 70 54, 80 76, 62 96, 34 98,
            18 80]),
    // Two shallow bowls without a point.
    glyph!([26 8, 54 4, 72 20, 62 38, 48 47, 66 56, 76 74, 58 94, 24 96]),
];

const FOUR: &[Glyph] = &[
    // Open: an angle and a bar.
    glyph!([30 6, 24 30, 18 54 corner, 50 55, 84 53] [68 12, 66 55, 64 98]),
    // Closed: a triangle on a bar.
    glyph!([62 98, 63 50, 64 3 corner, 38 34, 14 64 corner, 50 65, 86 64]),
    // Open with a round bowl.
    glyph!([24 4, 18 32, 30 52, 54 50, 74 38] [78 4, 72 48, 66 98]),
    // In one go, the bar leaving to the left.
    glyph!([34 4, 22 48 corner, 48 52, 72 44] [70 22, 68 60, 68 97]),
];

const FIVE: &[Glyph] = &[
    // A neck, a belly and a separate top bar.
    glyph!([32 6, 30 24, 27 44 corner, 52 38, 74 54, 72 80, 50 97, 20 90] [32 6, 54 6, 78 4]),
    // In one go, begun at the top right.
    glyph!([82 4, 60 5, 40 6 corner, 31 22, 24 38 corner, 58 34, 82 54, 74 84, 46 97, 18 92]),
    // Almost a letter S.
    glyph!([76 8, 52 4, 34 14, 32 36, 52 48, 70 64, 66 88, 42 98, 20 88]),
    // A wide bar and a small belly.
    glyph!([88 8, 60 8, 36 12 corner, 32 32, 30 52 corner, 52 48, 66 62, 60 86, 36 97, 16 90]),
];

const SIX: &[Glyph] = &[
    // A curved back and a round belly.
    glyph!([68 4, 42 20, 24 52, 26 84, 48 98, 70 88, 74 66, 56 52, 36 60, 26 76]),
    // A straight slanting back and a small belly.
    glyph!([60 2, 42 34, 30 68, 34 92, 52 98, 66 84, 60 66, 44 66, 32 80]),
    // A hooked top and a wide belly.
    glyph!([76 16, 60 4, 36 14, 20 48, 24 84, 52 98, 80 82, 76 58, 50 50, 26 66]),
    // A spiral that stays open.
    glyph!([46 3, 30 32, 24 68, 40 96, 68 92, 78 68, 62 54, 46 64, 44 76]),
];

const SEVEN: &[Glyph] = &[
    // Two straight lines.
    glyph!([18 8, 48 7, 80 6 corner, 60 50, 42 98]),
    // With a bar through the stem.
    glyph!([20 7, 48 6, 78 6 corner, 58 50, 44 98] [34 52, 56 50, 76 48]),
    // With a hook at the left.
    glyph!([17 26, 20 8 corner, 50 10, 80 6 corner, 62 46, 54 98]),
    // A curved stem and a round shoulder.
    glyph!([14 20, 36 4, 66 3, 80 20, 68 44, 52 68, 46 97]),
    // With a hook and a bar.
    glyph!([19 22, 22 7 corner, 52 8, 82 5 corner, 60 52, 42 97] [32 56, 54 54, 78 50]),
];

const EIGHT: &[Glyph] = &[
    // In one go, crossing in the middle.
    glyph!([70 14, 48 2, 30 16, 38 38, 62 58, 72 80, 50 98, 28 82, 38 60, 62 40, 70 14]),
    // A small ring on a large ring.
    glyph!([50 3, 32 14, 34 36, 50 46, 66 36, 68 14, 50 3]
           [50 46, 26 60, 26 86, 50 98, 74 86, 74 60, 50 46]),
    // The top stays open.
    glyph!([80 18, 62 3, 34 8, 34 32, 62 56, 72 82, 48 98, 24 84, 36 60, 62 46, 84 26]),
    // Narrow and leaning.
    glyph!([70 12, 54 2, 38 18, 44 40, 58 60, 60 84, 42 98, 26 86, 36 64, 60 42, 72 22, 64 6]),
];

const NINE: &[Glyph] = &[
    // A ring with a straight stem.
    glyph!([72 16, 50 4, 28 18, 28 42, 48 52, 68 40, 72 16 corner, 70 56, 68 98]),
    // A ring with a curved tail.
    glyph!([72 22, 54 3, 30 14, 26 38, 46 52, 68 40, 72 22, 70 60, 54 90, 28 96]),
    // A hooked tail like a letter g.
    glyph!([70 12, 46 3, 26 22, 36 44, 60 40, 72 12 corner, 72 54, 68 88, 46 98, 24 88]),
    // A small ring on a slanting stem.
    glyph!([72 14, 56 2, 32 12, 27 34, 44 46, 63 36, 74 12, 62 56, 44 98]),
];
