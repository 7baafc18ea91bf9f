//! Reading single IDX files: what is accepted, and how each kind of bad file is refused.

use std::error::Error;
use std::fs;
use std::path::Path;

use asynapse::data::error::DataError;
use asynapse::data::idx::{MOST_BYTES, read_images, read_labels};
use asynapse::data::idx_problem::{IdxProblem, Kind};

use super::samples::{folder, gzip, idx, noise, put};

/// The problem with a file that should hold images, and its sentence.
fn refused_images(name: &str, bytes: &[u8]) -> (IdxProblem, String) {
    let dir = folder();
    let path = put(&dir, name, bytes);
    problem(read_images(&path).expect_err("a bad file"), &path)
}

/// Unpacks the problem and checks that its sentence names the file.
fn problem(error: DataError, path: &Path) -> (IdxProblem, String) {
    let sentence = error.to_string();
    let name = path.display().to_string();
    assert!(sentence.starts_with(&name), "{sentence} does not begin with {name}");
    assert!(sentence.contains("expected"), "{sentence} does not say what was expected");
    match error {
        DataError::Idx { source, .. } => (source, sentence),
        other => panic!("not about the content: {other}"),
    }
}

#[test]
fn images_are_read_raw_and_compressed_whatever_their_name() {
    let dir = folder();
    let pixels = noise(3 * 4 * 2, 7);
    let raw = idx(&[3, 4, 2], &pixels);
    // The names lie about the compression on purpose.
    for path in [put(&dir, "raw.gz", &raw), put(&dir, "packed", &gzip(&raw, 9))] {
        let images = read_images(&path).expect("a valid file");
        assert_eq!((images.count, images.rows, images.cols), (3, 4, 2));
        assert_eq!(images.pixels, pixels);
    }
}

#[test]
fn labels_are_read_raw_and_compressed() {
    let dir = folder();
    let raw = idx(&[4], &[3, 0, 255, 1]);
    for path in [put(&dir, "raw", &raw), put(&dir, "packed", &gzip(&raw, 1))] {
        assert_eq!(read_labels(&path).expect("a valid file"), [3, 0, 255, 1]);
    }
}

#[test]
fn a_gzip_file_in_several_members_is_one_file() {
    let dir = folder();
    let raw = idx(&[4], &[3, 0, 2, 1]);
    let mut bytes = gzip(&raw[..5], 6);
    bytes.extend(gzip(&raw[5..], 6));
    let path = put(&dir, "labels", &bytes);
    assert_eq!(read_labels(&path).expect("a valid file"), [3, 0, 2, 1]);
}

#[test]
fn exchanged_files_are_recognised() {
    let (images_problem, sentence) = refused_images("f", &idx(&[3], &[1, 2, 3]));
    assert!(matches!(images_problem, IdxProblem::WrongKind { expected: Kind::Images, found: Kind::Labels }));
    assert!(sentence.contains("holds labels where images are expected"), "{sentence}");
    assert!(sentence.contains("exchanged"), "{sentence}");

    let dir = folder();
    let path = put(&dir, "f", &idx(&[1, 1, 1], &[1]));
    let error = read_labels(&path).expect_err("a bad file");
    assert!(matches!(problem(error, &path).0, IdxProblem::WrongKind { .. }));
}

#[test]
fn other_element_types_are_named() {
    for (code, word) in [
        (0x09, "signed bytes"),
        (0x0b, "16-bit"),
        (0x0c, "32-bit integers"),
        (0x0d, "32-bit floating"),
        (0x0e, "64-bit floating"),
    ] {
        let mut bytes = idx(&[1, 1, 1], &[1]);
        bytes[2] = code;
        let (problem, sentence) = refused_images("f", &bytes);
        assert!(matches!(problem, IdxProblem::ElementType { code: found, .. } if found == code));
        assert!(sentence.contains(word), "{sentence}");
    }
}

#[test]
fn files_of_another_format_are_refused() {
    for start in [*b"PK\x03\x04", [0, 0, 0x0a, 3], [0, 1, 8, 3], [8, 0, 0, 3]] {
        let mut bytes = idx(&[1, 1, 1], &[1]);
        bytes[..4].copy_from_slice(&start);
        let (problem, sentence) = refused_images("f", &bytes);
        assert!(matches!(problem, IdxProblem::NotIdx { found, .. } if found == start));
        assert!(sentence.contains("00 00 08 03"), "{sentence}");
    }
}

#[test]
fn other_numbers_of_dimensions_are_refused() {
    for dimensions in [&[2, 2][..], &[1, 1, 1, 3][..]] {
        let data = vec![0; dimensions.iter().product::<u32>() as usize];
        let (problem, _) = refused_images("f", &idx(dimensions, &data));
        let rank = dimensions.len() as u8;
        assert!(matches!(problem, IdxProblem::Rank { found, .. } if found == rank));
    }
}

#[test]
fn files_without_data_are_refused() {
    for dimensions in [[0, 28, 28], [3, 0, 28], [3, 28, 0], [0, 0, 0]] {
        let (problem, sentence) = refused_images("f", &idx(&dimensions, &[]));
        assert!(matches!(problem, IdxProblem::Empty { .. }));
        let shape = dimensions.map(|size| size.to_string()).join(" x ");
        assert!(sentence.contains(&shape), "{sentence}");
    }
}

#[test]
fn every_shorter_file_is_cut_short_and_every_longer_one_too_long() {
    let whole = idx(&[2, 3, 2], &noise(12, 3));
    for length in 0..whole.len() {
        let (raw, _) = refused_images("raw", &whole[..length]);
        let (packed, _) = refused_images("packed", &gzip(&whole[..length], 6));
        for problem in [raw, packed] {
            if length < 16 {
                assert!(matches!(problem, IdxProblem::HeaderCut { found, .. } if found == length));
            } else {
                assert!(matches!(
                    problem,
                    IdxProblem::Truncated { expected: 28, found } if found == length as u64
                ));
            }
        }
    }
    let mut longer = whole;
    longer.extend([0; 10]);
    let (raw, _) = refused_images("raw", &longer);
    assert!(matches!(raw, IdxProblem::TrailingBytes { expected: 28, found: 38 }));
    let (packed, _) = refused_images("packed", &gzip(&longer, 6));
    assert!(matches!(packed, IdxProblem::TrailingBytes { expected: 28, found: 29 }));
}

#[test]
fn oversized_headers_are_refused_before_anything_is_allocated() {
    for dimensions in [[u32::MAX, u32::MAX, u32::MAX], [1, 1, (MOST_BYTES + 1) as u32], [65_536, 65_536, 65_536]] {
        let bytes = idx(&dimensions, &[0; 50]);
        for stored in [bytes.clone(), gzip(&bytes, 6)] {
            let (problem, _) = refused_images("f", &stored);
            assert!(matches!(problem, IdxProblem::TooLarge { limit: MOST_BYTES, .. }));
        }
    }
}

#[test]
fn damaged_gzip_is_recognised_and_keeps_its_cause() {
    let whole = gzip(&idx(&[5, 8, 8], &noise(320, 4)), 6);
    let mut cut = whole.clone();
    cut.truncate(whole.len() - 9);
    let mut without_trailer = whole.clone();
    without_trailer.truncate(whole.len() - 4);
    let mut wrong_sum = whole.clone();
    let position = whole.len() - 6;
    wrong_sum[position] ^= 1;
    let mut followed = whole.clone();
    followed.extend(b"something else");
    for bytes in [cut, without_trailer, wrong_sum, followed, whole[..2].to_vec()] {
        let dir = folder();
        let path = put(&dir, "f", &bytes);
        let error = read_images(&path).expect_err("a damaged file");
        assert!(error.source().and_then(Error::source).is_some(), "{error} lost its cause");
        assert!(matches!(problem(error, &path).0, IdxProblem::BadGzip { .. }));
    }
}

#[test]
fn missing_files_and_folders_are_told_apart() {
    let dir = folder();
    let missing = read_images(&dir.path().join("nothing")).expect_err("no file");
    assert!(matches!(missing, DataError::Io { action: "read", .. }));
    assert!(missing.source().is_some());
    assert!(missing.to_string().contains("check the path"), "{missing}");
    let error = read_labels(dir.path()).expect_err("a folder");
    assert!(matches!(problem(error, dir.path()).0, IdxProblem::NotAFile));
}

#[test]
fn a_file_that_promises_gigabytes_costs_none() {
    // Just below the limit, so that only the missing data can stop it.
    let bytes = idx(&[2_000_000, 32, 32], &[0; 100]);
    let before = peak_address_space();
    for stored in [bytes.clone(), gzip(&bytes, 6)] {
        let (problem, _) = refused_images("f", &stored);
        assert!(matches!(problem, IdxProblem::Truncated { found: 116, .. }));
    }
    if let (Some(before), Some(after)) = (before, peak_address_space()) {
        let grown = after.saturating_sub(before);
        assert!(grown < 3 << 29, "reading it took {grown} bytes of address space");
    }
}

/// The most address space this process ever had, where the system tells.
fn peak_address_space() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmPeak:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}
