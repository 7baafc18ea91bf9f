//! The catalogue is well-formed: nobody mistyped a digest's length or forgot a part.

use std::collections::HashSet;

use asynapse::data::catalogue::{self, KNOWN};

use super::samples::ROLES;

#[test]
fn every_data_set_is_complete() {
    for dataset in &KNOWN {
        assert_eq!(dataset.files.each_ref().map(|file| file.role), ROLES);
        for file in &dataset.files {
            assert_eq!(file.name, file.role.spellings()[0]);
            assert!(file.bytes > 1000);
            assert!(file.items == 60_000 || file.items == 10_000);
            for digest in [Some(file.sha256), file.content_sha256].into_iter().flatten() {
                assert_eq!(digest.len(), 64);
                assert!(digest.bytes().all(|byte| b"0123456789abcdef".contains(&byte)));
            }
        }
    }
}

#[test]
fn no_digest_was_copied_twice() {
    let mut seen = HashSet::new();
    let files = KNOWN.iter().flat_map(|dataset| &dataset.files);
    for file in files {
        for digest in [Some(file.sha256), file.content_sha256].into_iter().flatten() {
            assert!(seen.insert(digest), "{digest} appears twice");
        }
    }
}

#[test]
fn every_data_set_has_a_mirror_that_needs_no_tls() {
    for dataset in &KNOWN {
        assert!(dataset.mirrors.iter().any(|url| url.starts_with("http://")));
        for url in dataset.mirrors {
            assert!(url.starts_with("http") && url.ends_with('/'), "{url}");
        }
    }
}

#[test]
fn unknown_names_are_answered_with_the_known_ones() {
    assert_eq!(catalogue::find("kmnist").expect("a known name").name, "kmnist");
    let error = catalogue::find("minst").expect_err("an unknown name");
    let sentence = error.to_string();
    assert!(sentence.contains("`minst`"), "{sentence}");
    assert!(sentence.contains("mnist, fashion-mnist, kmnist"), "{sentence}");
}
