//! Checks of the drawn digits: the same for ever, balanced, varied, and neither trivial nor noise.
//!
//! Why it exists: everything else is judged on these images, so their promises are tested here
//! rather than where they are used.
//!
//! Where to go next: `mod.rs` states the promises.

use super::chance::{Chance, Purpose};
use super::{CLASSES, PIXELS, SIDE, class_of, draw, glyphs, hand, ink};

/// Squared distance between two images or mean images.
fn distance(left: &[f32; PIXELS], right: &[f32; PIXELS]) -> f32 {
    let squares = left.iter().zip(right).map(|(a, b)| (a - b) * (a - b));
    squares.sum()
}

/// Mean of some images, with full ink as one.
fn mean<'a>(images: impl Iterator<Item = &'a [u8; PIXELS]>) -> [f32; PIXELS] {
    let mut total = [0.0f32; PIXELS];
    let mut count = 0.0f32;
    for image in images {
        count += 1.0;
        for (sum, &byte) in total.iter_mut().zip(image) {
            *sum += f32::from(byte) / 255.0;
        }
    }
    total.map(|sum| sum / count.max(1.0))
}

#[test]
fn the_order_of_calls_does_not_matter() {
    let forward: Vec<_> = (0..50).map(|index| draw(7, 0, index)).collect();
    let mut backward: Vec<_> = (0..50).rev().map(|index| draw(7, 0, index)).collect();
    backward.reverse();
    assert!(forward == backward);
}

#[test]
fn every_argument_matters() {
    let mut images = Vec::new();
    for seed in [0, 1, u64::MAX] {
        for stream in [0, 1, u64::MAX] {
            for index in (0..20).chain([1 << 32, u64::MAX]) {
                images.push(draw(seed, stream, index).0);
            }
        }
    }
    let count = images.len();
    images.sort_unstable();
    images.dedup();
    assert_eq!(images.len(), count);
}

#[test]
fn every_block_of_ten_holds_every_class() {
    for seed in 0..5 {
        for block in (0..40).chain([1 << 50]) {
            let mut seen = [0; CLASSES];
            for place in 0..CLASSES as u64 {
                seen[usize::from(class_of(seed, 0, block * 10 + place))] += 1;
            }
            assert_eq!(seen, [1; CLASSES]);
        }
    }
}

#[test]
fn the_order_of_classes_varies() {
    let order = |seed, stream, block: u64| -> Vec<u8> {
        let places = block * 10..block * 10 + 10;
        places.map(|index| class_of(seed, stream, index)).collect()
    };
    assert_ne!(order(1, 0, 0), order(2, 0, 0));
    assert_ne!(order(1, 0, 0), order(1, 1, 0));
    assert_ne!(order(1, 0, 0), order(1, 0, 1));
    // Every class comes first about equally often: 100 times in 1000 on average.
    let mut first = [0; CLASSES];
    for block in 0..1000 {
        first[usize::from(class_of(3, 0, block * 10))] += 1;
    }
    assert!(first.iter().all(|count| (60..=140).contains(count)), "{first:?}");
}

#[test]
fn the_last_index_has_a_class() {
    assert!(usize::from(draw(u64::MAX, u64::MAX, u64::MAX).1) < CLASSES);
}

#[test]
fn images_are_neither_empty_nor_full() {
    let mut total = 0.0;
    for index in 0..1000 {
        let (image, class) = draw(11, 0, index);
        let part = image.iter().map(|&byte| f32::from(byte)).sum::<f32>() / (255.0 * 784.0);
        let brightest = image.iter().copied().max().unwrap_or(0);
        assert!((0.02..0.35).contains(&part), "class {class}, ink {part}");
        assert!(brightest > 150, "class {class}, brightest pixel {brightest}");
        total += part;
    }
    let mean = total / 1000.0;
    assert!((0.09..0.15).contains(&mean), "mean ink {mean}");
}

#[test]
fn digits_stay_inside_the_image() {
    // The outermost pixels may catch the soft border of a broad pen, but hardly ever its middle.
    let on_rim = |place: &usize| {
        let (row, column) = (place / SIDE, place % SIDE);
        row == 0 || column == 0 || row == SIDE - 1 || column == SIDE - 1
    };
    let cut = (0..2000).filter(|&index| {
        let (image, _) = draw(12, 0, index);
        (0..PIXELS).filter(on_rim).any(|place| image[place] > 128)
    });
    let count = cut.count();
    assert!(count < 40, "{count} of 2000 digits touch the rim");
}

/// A variant drawn with a calm hand: straight from anchor to anchor, always with the same pen.
fn calm_image(glyph: glyphs::Glyph) -> [u8; PIXELS] {
    let dot = |anchor: &glyphs::Anchor| hand::Dot {
        x: 5.0 + 17.0 * anchor.x,
        y: 5.0 + 17.0 * anchor.y,
        pressure: 1.0,
        flow: 1.0,
    };
    let strokes = glyph.iter();
    let trace: hand::Trace = strokes.map(|stroke| stroke.iter().map(dot).collect()).collect();
    ink::render(&trace, &mut Chance::new(0, 0, 0, Purpose::Drawing))
}

/// The part of the ink of two images that does not coincide, at the best shift of one of them.
fn ink_apart(left: &[u8; PIXELS], right: &[u8; PIXELS]) -> f32 {
    let at_shift = |shift: usize| {
        let (mut apart, mut together) = (0.0, 0.0);
        for (place, &pixel) in left.iter().enumerate() {
            // Digits keep clear of the rim, so wrapping around it does no harm.
            let other = (place + PIXELS + shift / 5 * SIDE + shift % 5 - 2 * SIDE - 2) % PIXELS;
            let (ink, other_ink) = (f32::from(pixel), f32::from(right[other]));
            apart += (ink - other_ink).abs();
            together += ink.max(other_ink);
        }
        apart / together
    };
    (0..25).map(at_shift).fold(1.0, f32::min)
}

#[test]
fn variants_of_a_class_differ_visibly() {
    for class in 0..CLASSES as u8 {
        let variants = glyphs::variants(class);
        assert!(variants.len() >= 3);
        let images: Vec<_> = variants.iter().map(|glyph| calm_image(glyph)).collect();
        for left in 0..images.len() {
            for right in 0..left {
                let apart = ink_apart(&images[left], &images[right]);
                assert!(apart > 0.25, "class {class}, variants {right} and {left}: {apart}");
            }
        }
    }
}

#[test]
fn nearest_mean_is_neither_hopeless_nor_perfect() {
    let train: Vec<_> = (0..2000).map(|index| draw(5, 0, index)).collect();
    let means: Vec<_> =
        (0..CLASSES as u8).map(|class| mean(train.iter().filter(|pair| pair.1 == class).map(|pair| &pair.0))).collect();
    let right = (0..500).filter(|&index| {
        let (image, class) = draw(5, 1, index);
        let image = mean([image].iter());
        let nearest = (0..CLASSES)
            .min_by(|&left, &right| distance(&image, &means[left]).total_cmp(&distance(&image, &means[right])));
        nearest == Some(usize::from(class))
    });
    let percent = right.count() as f32 / 5.0;
    assert!((50.0..95.0).contains(&percent), "{percent} percent");
}

#[test]
fn random_numbers_have_the_promised_shape() {
    let mut chance = Chance::new(1, 2, 3, Purpose::Drawing);
    let (mut sum, mut squares) = (0.0, 0.0);
    for _ in 0..20_000 {
        let bell = chance.bell();
        assert!(bell.abs() <= 3.5);
        sum += bell;
        squares += bell * bell;
        assert!((0.0..1.0).contains(&chance.unit()));
        assert!(chance.pick(3) < 3);
        assert!(chance.rough_bell().abs() < 3.5);
    }
    assert!((sum / 20_000.0).abs() < 0.03);
    assert!((squares / 20_000.0 - 1.0).abs() < 0.03);
    assert_eq!(chance.pick(0), 0);
}

#[test]
fn nothing_to_write_gives_a_black_image() {
    let mut chance = Chance::new(0, 0, 0, Purpose::Drawing);
    let trace = hand::write(&[], &mut chance);
    assert!(ink::render(&trace, &mut chance) == [0; PIXELS]);
    let trace = hand::write(&[&[&[]]], &mut chance);
    assert!(ink::render(&trace, &mut chance) == [0; PIXELS]);
}
