//! Opening a folder: spellings, missing files, and files that do not fit together.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use asynapse::data::error::DataError;
use asynapse::data::folder::open_folder;
use asynapse::data::{catalogue, verify};
use tempfile::TempDir;

use super::samples::{ROLES, folder, gzip, idx, put, raw_files, sha256};

/// Writes the four files under their published names, compressed.
fn filled(files: &[Vec<u8>; 4]) -> TempDir {
    let dir = folder();
    for (role, bytes) in ROLES.iter().zip(files) {
        put(&dir, &role.spellings()[0], &gzip(bytes, 6));
    }
    dir
}

#[test]
fn a_complete_folder_is_read_with_its_digests() {
    let files = raw_files();
    let dir = filled(&files);
    let data = open_folder(dir.path()).expect("a complete folder");
    assert_eq!((data.rows, data.cols, data.classes), (6, 5, 4));
    assert_eq!(data.train.pixels, files[0][16..]);
    assert_eq!(data.train.labels, files[1][8..]);
    assert_eq!(data.test.pixels, files[2][16..]);
    assert_eq!(data.test.labels, files[3][8..]);
    assert_eq!(data.files.len(), 4);
    for (path, digest) in &data.files {
        let stored = fs::read(path).expect("the file");
        assert_eq!(*digest, sha256(&stored), "digest of {}", path.display());
    }
}

#[test]
fn every_spelling_is_found_and_the_published_one_comes_first() {
    for spelling in 0..4 {
        let dir = folder();
        for (role, bytes) in ROLES.iter().zip(raw_files()) {
            let name = role.spellings()[spelling].clone();
            let packed = name.ends_with(".gz");
            put(&dir, &name, &if packed { gzip(&bytes, 6) } else { bytes });
        }
        let data = open_folder(dir.path()).expect("a complete folder");
        assert_eq!(data.classes, 4, "spelling {spelling}");
    }
    let dir = filled(&raw_files());
    put(&dir, "train-labels-idx1-ubyte", b"left over, not even IDX");
    open_folder(dir.path()).expect("the published spelling is read");
}

#[test]
fn all_missing_files_are_listed_with_what_to_do() {
    let dir = folder();
    put(&dir, "train-images-idx3-ubyte", &raw_files()[0]);
    let error = open_folder(dir.path()).expect_err("three files are missing");
    let sentence = error.to_string();
    assert!(matches!(error, DataError::MissingFiles { .. }));
    for part in [
        "training labels",
        "test images",
        "test labels",
        "t10k-labels-idx1-ubyte.gz, t10k-labels-idx1-ubyte, t10k-labels.idx1-ubyte.gz, t10k-labels.idx1-ubyte",
        &format!("`asynapse data fetch mnist --dir {}`", dir.path().display()),
    ] {
        assert!(sentence.contains(part), "{part} is not in: {sentence}");
    }
    assert!(!sentence.contains("training images"), "{sentence}");
}

#[test]
fn a_missing_folder_is_not_an_empty_one() {
    let dir = folder();
    let nowhere = dir.path().join("nowhere");
    for path in [&nowhere, &put(&dir, "file", b"x")] {
        let error = open_folder(path).expect_err("not a folder");
        assert!(matches!(error, DataError::NotAFolder { .. }), "{error}");
        assert!(error.to_string().contains("asynapse data fetch mnist"), "{error}");
    }
}

#[test]
fn counts_must_agree() {
    let mut files = raw_files();
    files[3] = idx(&[19], &[1; 19]);
    let error = open_folder(filled(&files).path()).expect_err("a label is missing");
    assert!(matches!(error, DataError::CountMismatch { image_count: 20, label_count: 19, .. }));
}

#[test]
fn sizes_must_agree() {
    let mut files = raw_files();
    files[2] = idx(&[20, 5, 6], &[0; 600]);
    let error = open_folder(filled(&files).path()).expect_err("lying test images");
    assert!(matches!(error, DataError::SizeMismatch { expected: (6, 5), found: (5, 6), .. }));
}

#[test]
fn there_must_be_two_classes() {
    let mut files = raw_files();
    files[1] = idx(&[60], &[0; 60]);
    let error = open_folder(filled(&files).path()).expect_err("only one class");
    assert!(matches!(error, DataError::OneClass { .. }), "{error}");
}

#[test]
fn a_test_label_beyond_the_classes_is_pointed_at() {
    let mut files = raw_files();
    files[3][8 + 17] = 4;
    let error = open_folder(filled(&files).path()).expect_err("an unknown class");
    assert!(matches!(error, DataError::LabelOutOfRange { index: 17, value: 4, classes: 4, .. }));
    let sentence = error.to_string();
    assert!(sentence.contains("label 17") && sentence.contains("is 4"), "{sentence}");
}

#[test]
fn exchanged_files_are_recognised() {
    let mut files = raw_files();
    files.swap(0, 1);
    let error = open_folder(filled(&files).path()).expect_err("exchanged files");
    assert!(error.to_string().contains("exchanged"), "{error}");
}

/// Where the real MNIST files may lie.
pub(crate) fn mnist_folder() -> PathBuf {
    match env::var_os("ASYNAPSE_MNIST") {
        Some(dir) => PathBuf::from(dir),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/mnist"),
    }
}

#[test]
fn the_real_mnist_files_are_read_and_verified() {
    let dir = mnist_folder();
    if !dir.is_dir() {
        eprintln!("skipped: {} is not there (set ASYNAPSE_MNIST)", dir.display());
        return;
    }
    let data = open_folder(&dir).expect("the real files");
    assert_eq!((data.rows, data.cols, data.classes), (28, 28, 10));
    assert_eq!((data.train.labels.len(), data.test.labels.len()), (60_000, 10_000));
    assert_eq!(data.train.pixels.len(), 60_000 * 784);
    assert_eq!(data.train.labels[..5], [5, 0, 4, 1, 9]);
    assert_eq!(data.test.labels[..5], [7, 2, 1, 0, 4]);

    let mnist = catalogue::find("mnist").expect("the catalogue knows it");
    let checks = verify::verify(mnist, &dir).expect("a folder");
    for (check, (path, digest)) in checks.iter().zip(&data.files) {
        assert!(check.state.is_ok(), "{}: {:?}", check.file, check.state);
        assert_eq!(check.path.as_ref(), Some(path));
        assert_eq!(check.sha256.as_ref(), Some(digest));
    }
}
