//! `delay` with workers that somebody else starts, on this machine and behind lines that take their time. Oracles: one machine has one
//! monotonic clock, so that the true offset of every clock is 0; the delay that was put on the lines and on the links, which no wave
//! can beat.

use std::net::TcpListener;

use serde_json::Value as Json;

use super::delaying_wall::{SMALL, json, number, rows};
use super::namespaces::{Hosts, Wires};
use super::program::{Bench, Running};

/// Input, three hidden layers, output: on three workers, two of the borders between layers are between processes.
const PLACED: [&str; 2] = ["workers=3", "schedule.placement=[[0,1],[2],[3,4]]"];

fn worker<'w>(endpoint: &'w str, keys: &[&'w str]) -> Vec<&'w str> {
    [&["worker", "--join", endpoint, "--wait", "60"], keys].concat()
}

/// No clock is off by more than is stated, and none is stated to be exact.
#[track_caller]
fn clocks_hold_the_truth(found: &Json) {
    for wave in found["waves"].as_array().expect("waves") {
        let offsets = wave["offsets"].as_array().expect("clocks");
        assert_eq!(offsets.len(), 3, "{wave}");
        for clock in offsets {
            let (offset, error) = (number(clock, "offset"), number(clock, "error"));
            assert!(error > 0.0 && offset.abs() <= error, "{wave}");
        }
    }
}

#[test]
fn workers_started_by_hand_run_the_waves_and_are_sent_away() {
    let bench = Bench::new();
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    for endpoint in [format!("unix:{}", bench.path("a.sock").display()), format!("tcp:127.0.0.1:{port}")] {
        let keys = ["--secret-file", "secret"];
        let listening = ["--listen", endpoint.as_str(), "--wait", "60"];
        let mut host = bench.start(&[&SMALL[..], &PLACED, &listening, &keys].concat());
        host.until_said(&format!("waiting up to 60 s for 3 workers: asynapse worker --join {endpoint}"));
        let workers = [0; 3].map(|_| bench.start(&worker(&endpoint, &keys)));
        host.wait().expect(0);
        workers.into_iter().for_each(|worker| drop(worker.wait().expect(0)));
        rows(&bench);
        clocks_hold_the_truth(&json(&bench, "seen/delay.json"));
        let trace = json(&bench, "seen/trace.json");
        let records = trace["traceEvents"].as_array().expect("records");
        let processes = records.iter().filter(|record| record["name"] == "process_name").count();
        assert_eq!(processes, 6, "three workers, two waves");
        std::fs::remove_dir_all(bench.path("seen")).expect("the results");
    }
}

#[test]
fn what_does_not_go_with_callers_is_refused() {
    let bench = Bench::new();
    let listen = ["--listen", "unix:a.sock"];
    for (words, said) in [
        (&["--keys", "k"][..], "give --listen too"),
        (&["--secret-file", "k"], "give --listen too"),
        (&["--wait", "3"], "--listen"),
        (&listen, "nobody takes part without a secret"),
        (&["--listen", "tcp:0.0.0.0:7400", "--secret-file", "k"], "not encrypted"),
        (&["--listen", "unix:a.sock", "--secret-file", "k", "links.transport=tcp"], "links.transport is `tcp`"),
        (&["--listen", "unix:a.sock", "--secret-file", "k", "--wait", "1"], "0 of 1 workers came within 1 s"),
    ] {
        bench.run(&[&SMALL[..], words].concat()).expect(2).says(&[said]);
        assert!(!bench.path("seen").exists(), "{words:?} left a folder");
    }
    let virtual_time = ["delay", "--listen", "unix:a.sock", "--secret-file", "k"];
    bench.run(&virtual_time).expect(2).says(&["in virtual time all layers live here"]);
}

/// Each worker on a host of its own, whose lines take 20 ms in each direction.
#[test]
fn a_wave_is_as_late_as_the_lines_it_crosses() {
    const LINE: f64 = 20.0;
    let hosts = match Hosts::new(3, Wires::Slow(LINE as u32, 0.0)) {
        Ok(hosts) => hosts,
        Err(problem) if std::env::var_os("ASYNAPSE_HOSTS").is_some() => panic!("ASYNAPSE_HOSTS is set, but {problem}"),
        Err(problem) => return eprintln!("skipped: no hosts in network namespaces: {problem}"),
    };
    let bench = Bench::new();
    bench.run(&["keys", "k"]).expect(0);
    let endpoint = format!("tcp:{}:7400", hosts.address(0));
    let listening = ["--listen", endpoint.as_str(), "--keys", "k", "--wait", "60", "inference.max_infer_iters=1000"];
    let coordinator = bench.start_behind(&hosts.on(0), &[&SMALL[..], &PLACED, &listening].concat());
    let words = worker(&endpoint, &["--keys", "k"]);
    let workers: Vec<Running> = (0..3).map(|host| bench.start_behind(&hosts.on(host), &words)).collect();
    let outcome = coordinator.wait().expect(0);
    workers.into_iter().for_each(|worker| drop(worker.wait().expect(0)));
    eprintln!("{}", outcome.stdout);

    let found = json(&bench, "seen/delay.json");
    clocks_hold_the_truth(&found);
    // Two of the three are a line away from the coordinator: no ping can be back before 40 ms, and the program can't know better.
    let waves = found["waves"].as_array().expect("waves");
    for wave in waves {
        let far = |clock: &&Json| number(clock, "error") >= LINE;
        assert_eq!(wave["offsets"].as_array().expect("clocks").iter().filter(far).count(), 2, "{wave}");
        assert_eq!(wave["arrows_too_early"], 0, "{wave}");
    }
    let rows = found["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 6, "three hidden layers, two waves");
    for row in rows {
        let (direction, layer) = (row["direction"].as_str().expect("a word"), number(row, "layer") as usize);
        let homes = [0_usize, 0, 1, 2, 2];
        let source = if direction == "down" { 4 } else { 0 };
        let crossed = homes[layer].abs_diff(homes[source]) as f64;
        let wave = waves.iter().find(|wave| wave["direction"] == direction).expect("its wave");
        let offset = |layer: usize| number(&wave["offsets"][homes[layer]], "offset");
        // By the one clock of this machine: what was subtracted for clocks that are not apart is added again.
        let truth = |time: f64| time + offset(layer) - offset(source);
        let least = number(row, "least") + LINE * crossed;
        for first in ["arrival", "onset", "rise50"] {
            let time = number(row, first);
            assert!(truth(time) >= least - 1e-3, "{first}, {least} ms at least: {row} {wave}");
            assert!(time + number(row, "clock_error") >= least, "{first}: {row}");
        }
    }
}
