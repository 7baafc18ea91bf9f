//! Fetching from mirrors that take their time: no wait is without a limit.
//!
//! Why it exists: a fetch must neither hang nor throw away what a slow mirror has sent already.

use std::time::{Duration, Instant};

use asynapse::data::fetch::FetchOptions;

use super::fetching::{from_mirrors, quietly};
use super::fetching_faults::reason_after;
use super::samples::{Sample, folder};
use super::server::{Reply, Server};

/// Options that wait for next to nothing; for mirrors that are meant to fail.
fn impatient(mirrors: &[String]) -> FetchOptions {
    waiting(mirrors, Duration::from_millis(200))
}

/// Options that wait long enough for a good answer on a busy machine.
fn fairly_patient(mirrors: &[String]) -> FetchOptions {
    waiting(mirrors, Duration::from_millis(800))
}

/// Options with one time-out for everything.
fn waiting(mirrors: &[String], limit: Duration) -> FetchOptions {
    let mut options = from_mirrors(mirrors);
    options.limits.connect = limit;
    options.limits.answer = limit;
    options.limits.window = limit;
    options
}

#[test]
fn silence_is_not_waited_for() {
    let reason = reason_after(&Reply::Silence, |options| *options = impatient(&options.mirrors));
    assert!(reason.contains("took longer than 200ms"), "{reason}");
    let reason = reason_after(&Reply::TrickleHeaders, |options| *options = impatient(&options.mirrors));
    assert!(reason.contains("the answer took longer than 200ms"), "{reason}");
}

#[test]
fn a_trickle_is_cut_off_and_resumed() {
    let reason = reason_after(&Reply::Trickle, |options| *options = impatient(&options.mirrors));
    assert!(reason.contains("bytes arrived in 200ms"), "{reason}");

    let sample = Sample::new();
    let server = Server::start(&sample, vec![Reply::Trickle]);
    let dir = folder();
    sample.put_from(1, &dir);
    quietly(&sample, &dir, &fairly_patient(&[server.address()])).expect("the rest at once");
    assert!(server.ranges()[1].as_deref().is_some_and(|range| range.starts_with("bytes=")));
    assert!(sample.is_complete(dir.path()));
}

#[test]
fn a_transfer_that_stops_halfway_is_resumed() {
    let sample = Sample::new();
    let server = Server::start(&sample, vec![Reply::StopHalfway]);
    let dir = folder();
    sample.put_from(1, &dir);
    let begin = Instant::now();
    quietly(&sample, &dir, &fairly_patient(&[server.address()])).expect("the rest");
    // The server would hang up by itself after three seconds.
    assert!(begin.elapsed() < Duration::from_millis(2500));
    let half = sample.served[0].len() / 2;
    assert_eq!(server.ranges(), [None, Some(format!("bytes={half}-"))]);
    assert!(sample.is_complete(dir.path()));
}

#[test]
fn one_request_does_not_last_forever_however_fast_it_is() {
    let reason = reason_after(&Reply::Trickle, |options| {
        options.limits.least_per_window = 0;
        options.limits.request = Duration::from_millis(200);
    });
    assert!(reason.contains("the request took longer than 200ms"), "{reason}");
}
