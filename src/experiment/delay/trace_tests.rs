//! The timeline, read as a viewer reads it: pairs of arrows, slices that hold them, times in order.

use std::collections::{BTreeMap, BTreeSet};

use super::super::watch::Track;
use super::*;

/// Two layers that send each other a signal at every step, `delay` under way.
fn chatter(steps: u64, delay: f64) -> Seen {
    let mut events = Vec::new();
    for step in 1..=steps {
        let time = step as f64;
        for layer in 0..2 {
            events.push(Happened::Step { time, layer, step, displacement: Some(1.0) });
            let passing = Passing { time, from: layer, to: 1 - layer, version: step };
            events.push(Happened::Sent(passing));
            events.push(Happened::Arrived(Passing { time: time + delay, ..passing }));
        }
    }
    events.sort_by(|a, b| time_of(a).total_cmp(&time_of(b)));
    Seen { tracks: vec![Track::default(); 2], events, dropped: 0 }
}

fn source(seen: &Seen) -> Source<'_> {
    let length = seen.events.last().map_or(0.0, time_of);
    Source {
        name: "down".to_owned(),
        switch: "nudged".to_owned(),
        length,
        seen,
        arrivals: vec![(0, 2.0)],
        names: Vec::new(),
        homes: Vec::new(),
    }
}

/// What a viewer relies on; the number of arrows.
pub(crate) fn valid(trace: &Json) -> usize {
    let records = trace["traceEvents"].as_array().expect("records");
    let mut slices: BTreeMap<(u64, u64), Vec<(f64, f64)>> = BTreeMap::new();
    let mut ends: BTreeMap<String, Vec<(String, f64)>> = BTreeMap::new();
    let mut named = BTreeSet::new();
    let mut last = 0.0;
    for record in records {
        let track = (record["pid"].as_u64().expect("a process"), record["tid"].as_u64().expect("a track"));
        let ph = record["ph"].as_str().expect("a kind");
        if ph == "M" {
            named.insert(track);
            continue;
        }
        let ts = record["ts"].as_f64().expect("a time");
        assert!(ts >= last, "{ts} after {last}");
        last = ts;
        assert!(named.contains(&track), "{track:?} has a name before it is used");
        match ph {
            "X" => {
                let dur = record["dur"].as_f64().expect("a length");
                let on_track = slices.entry(track).or_default();
                assert!(dur > 0.0 || on_track.is_empty(), "{record}");
                if let Some((begun, ended)) = on_track.last() {
                    assert!(ts >= *ended && ts > *begun, "slices of a track follow one another: {record}");
                }
                on_track.push((ts, ts + dur));
            }
            "s" | "f" => {
                let id = record["id"].as_str().expect("an id").to_owned();
                let held = slices.get(&track).and_then(|slices| slices.last());
                assert!(held.is_some_and(|(from, to)| (*from..=*to).contains(&ts)), "no slice holds {record}");
                assert_eq!(ph == "f", record["bp"] == "e", "{record}");
                ends.entry(id).or_default().push((ph.to_owned(), ts));
            }
            "i" => assert_eq!(record["s"], "t"),
            other => panic!("{other}"),
        }
    }
    for (id, ends) in &ends {
        let [(from, said), (to, heard)] = &ends[..] else { panic!("{id}: {ends:?}") };
        assert_eq!((from.as_str(), to.as_str()), ("s", "f"), "{id}");
        assert!(said <= heard, "{id}");
    }
    ends.len()
}

#[test]
fn every_arrow_has_two_ends_and_each_is_held_by_a_slice() {
    for delay in [0.0, 0.25, 1.0, 2.5] {
        let seen = chatter(50, delay);
        let (trace, summary) = timeline(&[source(&seen), source(&seen)], &VIRTUAL);
        assert_eq!(valid(&trace), 200, "two waves, two layers, fifty signals each");
        assert_eq!(summary.arrows, 200);
        assert_eq!(summary.cut_at, [None, None]);
    }
}

#[test]
fn a_signal_that_is_lost_has_no_arrow() {
    let mut seen = chatter(3, 0.5);
    let arrival = seen.events.iter().position(|happened| matches!(happened, Happened::Arrived(_)));
    seen.events.remove(arrival.expect("one"));
    let (trace, summary) = timeline(&[source(&seen)], &VIRTUAL);
    assert_eq!((valid(&trace), summary.arrows), (5, 5));
}

#[test]
fn a_long_run_is_cut_at_a_time_and_says_so() {
    let seen = chatter(40_000, 0.5);
    let (trace, summary) = timeline(&[source(&seen)], &VIRTUAL);
    let arrows = valid(&trace);
    assert_eq!(arrows, summary.arrows);
    let records = trace["traceEvents"].as_array().expect("records").len();
    assert!((RECORDS_MOST / 2..=RECORDS_MOST).contains(&records), "{records}");
    let cut = summary.cut_at[0].expect("it is cut");
    assert_eq!(trace["otherData"]["cut_at"][0], cut);
    let last = trace["traceEvents"].as_array().and_then(|all| all.last()).map(moment_of).expect("a record");
    assert!(last <= cut * MICROSECONDS && last > (cut - 2.0) * MICROSECONDS, "{last} against {cut}");
    // What was dropped before it was seen cuts too.
    let seen = Seen { dropped: 7, ..chatter(10, 0.5) };
    assert!(timeline(&[source(&seen)], &VIRTUAL).1.cut_at[0].is_some());
}
