//! Fetching from well-behaved mirrors: skipping, resuming, falling back, replacing.

use std::fs::{self, File};

use asynapse::data::error::DataError;
use asynapse::data::fetch::{FetchOptions, Fetched, Origin, Progress, ProxyUse, fetch};
use asynapse::data::folder::open_folder;
use tempfile::TempDir;

use super::samples::{Sample, folder, gzip, put, raw_files};
use super::server::{Reply, Server};

/// Options for these mirrors, never through a proxy.
pub(super) fn from_mirrors(mirrors: &[String]) -> FetchOptions {
    FetchOptions { mirrors: mirrors.to_vec(), proxy: ProxyUse::Direct, ..FetchOptions::default() }
}

/// Fetches without listening.
pub(super) fn quietly(sample: &Sample, dir: &TempDir, options: &FetchOptions) -> Result<Vec<Fetched>, DataError> {
    fetch(&sample.dataset, dir.path(), options, &mut |_| {})
}

/// Where the first file's unfinished copy lies.
pub(super) fn part_name(sample: &Sample) -> String {
    format!("{}.part", sample.dataset.files[0].name)
}

#[test]
fn a_data_set_is_fetched_into_a_new_folder_and_can_be_opened() {
    let sample = Sample::new();
    let server = Server::start(&sample, Vec::new());
    let dir = folder();
    let inside = dir.path().join("new/folder");
    let options = from_mirrors(&[format!("{}/", server.address())]);
    let all = fetch(&sample.dataset, &inside, &options, &mut |_| {}).expect("a good mirror");
    assert!(sample.is_complete(&inside));
    for (fetched, file) in all.iter().zip(&sample.dataset.files) {
        assert_eq!((fetched.file, fetched.sha256.as_str()), (file.name, file.sha256));
        assert_eq!(fetched.path, inside.join(file.name));
        let url = format!("{}/{}", server.address(), file.name);
        assert_eq!(fetched.origin, Origin::Downloaded { url });
    }
    assert_eq!(server.ranges(), [None, None, None, None]);
    assert_eq!(open_folder(&inside).expect("the fetched files").classes, 4);
}

#[test]
fn files_that_are_there_are_not_asked_for() {
    let sample = Sample::new();
    let server = Server::start(&sample, Vec::new());
    let dir = folder();
    sample.put_from(1, &dir);
    let all = quietly(&sample, &dir, &from_mirrors(&[server.address()])).expect("a good mirror");
    assert_eq!(server.requests().len(), 1);
    assert!(matches!(all[0].origin, Origin::Downloaded { .. }));
    assert!(all[1..].iter().all(|fetched| fetched.origin == Origin::AlreadyThere));
    assert!(sample.is_complete(dir.path()));

    quietly(&sample, &dir, &from_mirrors(&[server.address()])).expect("nothing to do");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn differently_compressed_files_are_accepted_as_they_are() {
    let sample = Sample::new();
    let dir = folder();
    sample.put_from(1, &dir);
    let other = gzip(&raw_files()[0], 1);
    let path = put(&dir, sample.dataset.files[0].name, &other);
    let all = quietly(&sample, &dir, &from_mirrors(&[])).expect("nothing to do");
    assert_eq!(all[0].origin, Origin::AlreadyThere);
    assert_ne!(all[0].sha256, sample.dataset.files[0].sha256);
    assert_eq!(fs::read(path).expect("the file"), other);
}

#[test]
fn a_cut_connection_is_resumed_where_it_was_cut() {
    let sample = Sample::new();
    let server = Server::start(&sample, vec![Reply::CutAfter(700), Reply::CutAfter(300)]);
    let dir = folder();
    sample.put_from(1, &dir);
    quietly(&sample, &dir, &from_mirrors(&[server.address()])).expect("it gets further each time");
    let expected = [None, Some("bytes=700-".to_string()), Some("bytes=1000-".to_string())];
    assert_eq!(server.ranges(), expected);
    assert!(sample.is_complete(dir.path()));
}

#[test]
fn an_interrupted_fetch_is_resumed_by_the_next_one() {
    let sample = Sample::new();
    let server = Server::start(&sample, vec![Reply::CutAfter(500)]);
    let dir = folder();
    sample.put_from(1, &dir);
    let mut options = from_mirrors(&[server.address()]);
    options.limits.tries = 1;
    let error = quietly(&sample, &dir, &options).expect_err("cut off");
    assert!(matches!(error, DataError::MirrorsFailed { .. }), "{error}");
    let part = dir.path().join(part_name(&sample));
    assert_eq!(fs::metadata(&part).expect("the unfinished file").len(), 500);
    assert!(!dir.path().join(sample.dataset.files[0].name).exists());

    quietly(&sample, &dir, &options).expect("the rest");
    assert_eq!(server.ranges()[1].as_deref(), Some("bytes=500-"));
    assert!(sample.is_complete(dir.path()));
}

#[test]
fn one_mirror_continues_what_another_began() {
    let sample = Sample::new();
    let first = Server::start(&sample, vec![Reply::CutAfter(400), Reply::Status(503)]);
    let second = Server::start(&sample, Vec::new());
    let dir = folder();
    sample.put_from(1, &dir);
    let options = from_mirrors(&[first.address(), second.address()]);
    quietly(&sample, &dir, &options).expect("two halves");
    assert_eq!(second.ranges(), [Some("bytes=400-".to_string())]);
    assert!(sample.is_complete(dir.path()));
}

#[test]
fn a_complete_unfinished_file_only_needs_its_name() {
    let sample = Sample::new();
    let dir = folder();
    sample.put_from(1, &dir);
    put(&dir, &part_name(&sample), &sample.served[0]);
    let nowhere = from_mirrors(&["http://127.0.0.1:9".to_string()]);
    let all = quietly(&sample, &dir, &nowhere).expect("nothing to ask");
    assert_eq!(all[0].origin, Origin::AlreadyThere);
    assert!(sample.is_complete(dir.path()));
}

#[test]
fn an_unfinished_file_with_wrong_bytes_does_not_spoil_the_result() {
    // Too few bytes are continued and then found wrong; too many cannot be continued at all.
    for (length, requests) in [(300, 2), (5000, 1)] {
        let sample = Sample::new();
        let server = Server::start(&sample, Vec::new());
        let dir = folder();
        sample.put_from(1, &dir);
        put(&dir, &part_name(&sample), &vec![7; length]);
        quietly(&sample, &dir, &from_mirrors(&[server.address()])).expect("a fresh start");
        assert!(sample.is_complete(dir.path()));
        assert_eq!(server.requests().len(), requests);
    }
}

#[test]
fn a_missing_file_on_one_mirror_is_asked_from_the_next() {
    let sample = Sample::new();
    let first = Server::start(&sample, vec![Reply::Status(404)]);
    let second = Server::start(&sample, Vec::new());
    let dir = folder();
    sample.put_from(1, &dir);
    let mut told = Vec::new();
    let options = from_mirrors(&[first.address(), second.address()]);
    let all = fetch(&sample.dataset, dir.path(), &options, &mut |progress| {
        told.push(format!("{progress:?}"));
    });
    let all = all.expect("the second mirror");
    assert!(matches!(&all[0].origin, Origin::Downloaded { url } if url.starts_with(&second.address())));
    let failed = told.iter().find(|line| line.starts_with("Failed")).expect("a report");
    assert!(failed.contains("404") && failed.contains(&first.address()), "{failed}");
    assert!(sample.is_complete(dir.path()));
}

#[test]
fn redirects_are_followed_with_the_range() {
    let sample = Sample::new();
    let real = Server::start(&sample, vec![Reply::CutAfter(600)]);
    let name = sample.dataset.files[0].name;
    let target = format!("{}/{name}", real.address());
    let front = Server::start(&sample, vec![Reply::Redirect(target.clone()), Reply::Redirect(target)]);
    let dir = folder();
    sample.put_from(1, &dir);
    quietly(&sample, &dir, &from_mirrors(&[front.address()])).expect("redirected");
    assert_eq!(real.ranges(), [None, Some("bytes=600-".to_string())]);
    assert!(sample.is_complete(dir.path()));
}

#[test]
fn a_different_file_is_only_replaced_by_force() {
    let sample = Sample::new();
    let server = Server::start(&sample, Vec::new());
    let dir = folder();
    // The last file is the bad one, and still nothing is downloaded before.
    let path = put(&dir, sample.dataset.files[3].name, b"precious");
    let mut options = from_mirrors(&[server.address()]);
    let error = quietly(&sample, &dir, &options).expect_err("a different file");
    assert!(matches!(&error, DataError::WrongDigest { expected, .. } if expected == sample.dataset.files[3].sha256));
    assert!(error.to_string().contains("--force"), "{error}");
    assert_eq!(fs::read(&path).expect("the file"), b"precious");
    assert!(server.requests().is_empty());

    options.force = true;
    quietly(&sample, &dir, &options).expect("replaced");
    assert!(sample.is_complete(dir.path()));
}

#[test]
fn two_downloads_do_not_write_one_file() {
    let sample = Sample::new();
    let dir = folder();
    let part = put(&dir, &part_name(&sample), b"");
    let held = File::open(part).expect("the unfinished file");
    held.lock().expect("a lock");
    let error = quietly(&sample, &dir, &from_mirrors(&["http://127.0.0.1:9".to_string()]));
    assert!(matches!(error.expect_err("locked"), DataError::Busy { .. }));
}

#[test]
fn progress_goes_forward_to_the_end() {
    let sample = Sample::new();
    let server = Server::start(&sample, vec![Reply::CutAfter(900)]);
    let dir = folder();
    sample.put_from(2, &dir);
    let (mut received_last, mut started, mut finished, mut there) = (0, Vec::new(), 0, 0);
    let mut listen = |progress: Progress<'_>| match progress {
        Progress::Started { from, total, .. } => {
            assert!(from < total);
            received_last = from;
            started.push(from);
        }
        Progress::Received { received, total, .. } => {
            assert!(received > received_last && received <= total);
            received_last = received;
        }
        Progress::Finished { .. } => finished += 1,
        Progress::AlreadyThere { .. } => there += 1,
        Progress::Failed { reason, .. } => assert!(reason.contains("after 900 of"), "{reason}"),
    };
    let options = from_mirrors(&[server.address()]);
    fetch(&sample.dataset, dir.path(), &options, &mut listen).expect("a good mirror");
    assert_eq!((started, finished, there), (vec![0, 900, 0], 2, 2));
}
