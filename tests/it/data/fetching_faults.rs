//! Fetching from mirrors that lie, stall or never end: each is given up, with its reason.

use std::fs;
use std::time::{Duration, Instant};

use asynapse::data::error::{DataError, MirrorFailure};
use asynapse::data::fetch::FetchOptions;

use super::fetching::{from_mirrors, part_name, quietly};
use super::samples::{Sample, folder, gzip, idx};
use super::server::{Reply, Server};

/// Why the only mirror failed, when it answers every request like this.
pub(super) fn reason_after(reply: &Reply, adjust: impl Fn(&mut FetchOptions)) -> String {
    let sample = Sample::new();
    let server = Server::start(&sample, vec![reply.clone(); 40]);
    let dir = folder();
    sample.put_from(1, &dir);
    let mut options = from_mirrors(&[server.address()]);
    adjust(&mut options);
    let begin = Instant::now();
    let error = quietly(&sample, &dir, &options).expect_err("a bad mirror");
    assert!(begin.elapsed() < Duration::from_secs(5), "{reply:?} took too long");
    assert!(server.requests().len() <= 6, "{reply:?} was asked too often");
    assert!(!dir.path().join(sample.dataset.files[0].name).exists());
    if let Ok(part) = fs::metadata(dir.path().join(part_name(&sample))) {
        assert!(part.len() > 0 && part.len() < sample.dataset.files[0].bytes);
    }
    only_failure(error).reason
}

/// The failure of the only mirror.
fn only_failure(error: DataError) -> MirrorFailure {
    let sentence = error.to_string();
    let DataError::MirrorsFailed { mut failures, .. } = error else {
        panic!("not about mirrors: {sentence}");
    };
    assert_eq!(failures.len(), 1, "{sentence}");
    let failure = failures.remove(0);
    assert!(sentence.contains(&failure.reason) && sentence.contains(&failure.url));
    failure
}

#[test]
fn bodies_of_another_length_are_refused_at_once() {
    let portal = b"<html>please log in</html>".to_vec();
    let reason = reason_after(&Reply::Body(portal), |_| {});
    assert!(reason.contains("announces 26 bytes"), "{reason}");
    let reason = reason_after(&Reply::WrongLength(1 << 40), |_| {});
    assert!(reason.contains("announces 1099511627776 bytes"), "{reason}");
}

#[test]
fn endless_bodies_are_cut_off() {
    let reason = reason_after(&Reply::Endless, |_| {});
    assert!(reason.contains("sends more than the expected"), "{reason}");
}

#[test]
fn wrong_content_is_thrown_away() {
    let sample = Sample::new();
    let mut other = sample.served[0].clone();
    other[100] ^= 1;
    let reason = reason_after(&Reply::Body(other), |_| {});
    assert!(reason.contains(sample.dataset.files[0].sha256), "{reason}");
}

#[test]
fn wrong_content_on_one_mirror_leaves_nothing_for_the_next() {
    let sample = Sample::new();
    let mut other = sample.served[0].clone();
    other[5] ^= 0x55;
    let bad = Server::start(&sample, vec![Reply::Body(other)]);
    let good = Server::start(&sample, Vec::new());
    let dir = folder();
    sample.put_from(1, &dir);
    quietly(&sample, &dir, &from_mirrors(&[bad.address(), good.address()])).expect("the good mirror");
    assert_eq!(bad.requests().len(), 1);
    assert_eq!(good.ranges(), [None]);
    assert!(sample.is_complete(dir.path()));
}

#[test]
fn a_short_body_without_length_is_asked_for_again_and_then_given_up() {
    let other = gzip(&idx(&[1], &[0]), 6);
    let reason = reason_after(&Reply::BodyWithoutLength(other), |_| {});
    assert!(reason.contains("it ended the transfer after"), "{reason}");
}

#[test]
fn a_mirror_that_ignores_ranges_starts_again() {
    let sample = Sample::new();
    let server = Server::start(&sample, vec![Reply::CutAfter(700), Reply::IgnoreRange]);
    let dir = folder();
    sample.put_from(1, &dir);
    quietly(&sample, &dir, &from_mirrors(&[server.address()])).expect("the whole file");
    assert_eq!(server.ranges(), [None, Some("bytes=700-".to_string())]);
    assert!(sample.is_complete(dir.path()));
}

#[test]
fn refused_and_misplaced_ranges_start_again() {
    for reply in [Reply::Status(416), Reply::PartFrom(50)] {
        let sample = Sample::new();
        let server = Server::start(&sample, vec![Reply::CutAfter(700), reply]);
        let dir = folder();
        sample.put_from(1, &dir);
        quietly(&sample, &dir, &from_mirrors(&[server.address()])).expect("from the beginning");
        assert_eq!(server.ranges(), [None, Some("bytes=700-".to_string()), None]);
        assert!(sample.is_complete(dir.path()));
    }
}

#[test]
fn a_part_nobody_asked_for_is_refused() {
    let reason = reason_after(&Reply::PartFrom(50), |_| {});
    assert!(reason.contains("206"), "{reason}");
}

#[test]
fn redirects_have_an_end() {
    let sample = Sample::new();
    let reply = Reply::Redirect(format!("/{}", sample.dataset.files[0].name));
    let reason = reason_after(&reply, |options| options.limits.redirects = 3);
    assert!(reason.contains("redirects more than 3 times"), "{reason}");
}

#[test]
#[cfg(not(feature = "https"))]
fn https_is_explained_in_builds_without_it() {
    let explanation = "an https address, which needs a build with the `https` feature";
    let sample = Sample::new();
    let secure = Server::start(&sample, Vec::new());
    let reply = Reply::Redirect(secure.address().replace("http://", "https://"));
    let reason = reason_after(&reply, |_| {});
    assert!(reason.contains(explanation), "{reason}");
    let reason = reason_after(&Reply::Proper, |options| {
        options.mirrors = vec!["HTTPS://127.0.0.1:9".to_string()];
    });
    assert!(reason.contains("https address needs a build"), "{reason}");
}

#[test]
fn other_addresses_are_refused() {
    for address in ["ftp://127.0.0.1/", "127.0.0.1/data", "file:///etc", "", "http://"] {
        let reason = reason_after(&Reply::Proper, |options| {
            options.mirrors = vec![address.to_string()];
        });
        assert!(!reason.is_empty(), "{address} has no reason");
    }
}

#[test]
fn a_closed_port_and_something_that_is_not_http_are_given_up() {
    let reason = reason_after(&Reply::Proper, |options| {
        options.mirrors = vec!["http://127.0.0.1:9".to_string()];
    });
    assert!(reason.contains("refused"), "{reason}");
    let reason = reason_after(&Reply::Garbage, |_| {});
    assert!(reason.contains("protocol"), "{reason}");
}

#[test]
fn a_mirror_that_gets_no_further_is_not_asked_again() {
    let sample = Sample::new();
    let server = Server::start(&sample, vec![Reply::CutAfter(300), Reply::CutAfter(0)]);
    let dir = folder();
    sample.put_from(1, &dir);
    let error = quietly(&sample, &dir, &from_mirrors(&[server.address()])).expect_err("stuck");
    assert!(only_failure(error).reason.contains("after 300 of"));
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn every_failure_is_listed() {
    let sample = Sample::new();
    let first = Server::start(&sample, vec![Reply::Status(404); 9]);
    let second = Server::start(&sample, vec![Reply::Status(500); 9]);
    let dir = folder();
    sample.put_from(1, &dir);
    let options = from_mirrors(&[first.address(), second.address()]);
    let error = quietly(&sample, &dir, &options).expect_err("two bad mirrors");
    let sentence = error.to_string();
    for part in [&first.address(), &second.address(), "404", "500", sample.dataset.files[0].name] {
        assert!(sentence.contains(part), "{part} is not in: {sentence}");
    }
    let part = dir.path().join(part_name(&sample));
    assert!(!part.exists(), "an empty unfinished file is left");
}

#[test]
fn a_data_set_without_usable_mirror_says_so() {
    let sample = Sample::new();
    let dir = folder();
    let error = quietly(&sample, &dir, &from_mirrors(&[])).expect_err("no mirror");
    assert!(error.to_string().contains("no mirror to try"), "{error}");
}
