//! Demonstrates the embedded data set: draws ten digits of every class on one sheet, a PGM picture on stdout, and checks that every
//! class is there and no two images are the same.
//!
//! `cargo run --release --example digit_sheet > digits.pgm`

use std::io::Write;

use asynapse::data::digits::{CLASSES, PIXELS, SIDE, draw};

fn main() -> std::io::Result<()> {
    let columns = 10;
    let mut by_class: Vec<Vec<[u8; PIXELS]>> = vec![Vec::new(); CLASSES];
    for index in 0.. {
        let (image, class) = draw(0, 0, index);
        let held = &mut by_class[usize::from(class)];
        if held.len() < columns {
            assert!(!held.contains(&image), "two images are the same");
            held.push(image);
        }
        if by_class.iter().all(|images| images.len() == columns) {
            break;
        }
    }
    let mut sheet = format!("P5 {} {} 255\n", columns * SIDE, CLASSES * SIDE).into_bytes();
    for images in &by_class {
        for row in 0..SIDE {
            images.iter().for_each(|image| sheet.extend_from_slice(&image[row * SIDE..(row + 1) * SIDE]));
        }
    }
    std::io::stdout().write_all(&sheet)
}
