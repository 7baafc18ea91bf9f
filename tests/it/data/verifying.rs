//! Verifying a folder against the catalogue.

use std::fs;

use asynapse::data::error::DataError;
use asynapse::data::verify::{State, verify};

use super::samples::{Sample, folder, gzip, idx, put, raw_files, sha256};

#[test]
fn published_files_are_right() {
    let sample = Sample::new();
    let dir = folder();
    sample.put_from(0, &dir);
    for (check, bytes) in verify(&sample.dataset, dir.path()).expect("a folder").iter().zip(&sample.served) {
        assert!(matches!(check.state, State::Published), "{check:?}");
        assert!(check.state.is_ok());
        assert_eq!(check.sha256, Some(sha256(bytes)));
    }
}

#[test]
fn missing_and_changed_files_are_reported_side_by_side() {
    let sample = Sample::without_content_digests();
    let dir = folder();
    sample.put_from(1, &dir);
    // Still a valid file, but with one label changed.
    let changed = gzip(&idx(&[60], &[1; 60]), 6);
    put(&dir, sample.dataset.files[1].name, &changed);
    let checks = verify(&sample.dataset, dir.path()).expect("a folder");
    assert!(matches!(checks[0].state, State::Missing));
    assert_eq!(checks[0].path, None);
    match &checks[1].state {
        State::WrongDigest { expected, actual } => {
            assert_eq!(*expected, sample.dataset.files[1].sha256);
            assert_eq!(*actual, sha256(&changed));
        }
        other => panic!("not a wrong digest: {other:?}"),
    }
    assert!(matches!(checks[2].state, State::Published));
    assert_eq!(checks.iter().filter(|check| check.state.is_ok()).count(), 2);
}

#[test]
fn damaged_compressed_files_have_a_wrong_digest() {
    let sample = Sample::new();
    let dir = folder();
    sample.put_from(0, &dir);
    let path = dir.path().join(sample.dataset.files[2].name);
    let mut bytes = fs::read(&path).expect("the file");
    bytes.truncate(100);
    fs::write(&path, bytes).expect("write a test file");
    let checks = verify(&sample.dataset, dir.path()).expect("a folder");
    assert!(matches!(checks[2].state, State::WrongDigest { .. }));
}

#[test]
fn another_compression_of_the_same_content_is_recognised() {
    let sample = Sample::new();
    let dir = folder();
    let [images, labels, test_images, test_labels] = raw_files();
    put(&dir, sample.dataset.files[0].name, &gzip(&images, 1));
    put(&dir, "train-labels-idx1-ubyte", &labels);
    put(&dir, "t10k-images.idx3-ubyte.gz", &gzip(&test_images, 9));
    let mut other = test_labels;
    other[10] ^= 1;
    put(&dir, "t10k-labels-idx1-ubyte", &other);
    let checks = verify(&sample.dataset, dir.path()).expect("a folder");
    for check in &checks[..2] {
        assert!(matches!(check.state, State::SameContent), "{check:?}");
    }
    assert!(checks[2].state.is_ok());
    assert!(matches!(checks[3].state, State::WrongDigest { .. }));
}

#[test]
fn raw_files_without_known_content_are_checked_for_structure() {
    let sample = Sample::without_content_digests();
    let dir = folder();
    let [images, labels, test_images, _] = raw_files();
    put(&dir, "train-images-idx3-ubyte", &images);
    put(&dir, "train-labels-idx1-ubyte", &labels[..labels.len() - 1]);
    // The training images where the test images belong.
    put(&dir, "t10k-images-idx3-ubyte", &images);
    put(&dir, "t10k-labels-idx1-ubyte", &test_images);
    let checks = verify(&sample.dataset, dir.path()).expect("a folder");
    assert!(matches!(checks[0].state, State::RightStructure) && checks[0].state.is_ok());
    assert!(matches!(&checks[1].state, State::Unreadable(error) if error.to_string().contains("cut short")));
    assert!(matches!(checks[2].state, State::WrongCount { expected: 20, actual: 60 }));
    assert!(matches!(&checks[3].state, State::Unreadable(error) if error.to_string().contains("exchanged")));
}

#[test]
fn a_missing_folder_is_an_error() {
    let sample = Sample::new();
    let dir = folder();
    let error = verify(&sample.dataset, &dir.path().join("nowhere")).expect_err("no folder");
    assert!(matches!(error, DataError::NotAFolder { .. }));
}
