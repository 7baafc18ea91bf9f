//! `delay` on the wall clock, in one process and in several. Oracles: what links alone take, below which nothing may be; the files and exit
//! codes that are promised. How late things are is printed by the program and not asserted: this machine may be busy.

use serde_json::Value as Json;

use super::program::{Bench, Outcome};

pub(super) const SMALL: [&str; 6] = [
    "delay",
    "delay-wall",
    "model.widths=[784,8,8,8,10]",
    "data.train=20",
    "inference.max_infer_iters=300",
    "--out=seen",
];

fn delay(bench: &Bench, more: &[&str]) -> Outcome {
    bench.run(&[&SMALL[..], more].concat())
}

pub(super) fn json(bench: &Bench, file: &str) -> Json {
    serde_json::from_slice(&std::fs::read(bench.path(file)).expect("a file")).expect("JSON")
}

pub(super) fn number(row: &Json, name: &str) -> f64 {
    row[name].as_f64().unwrap_or_else(|| panic!("{name} in {row}"))
}

/// Rows of both waves: never sooner than the links, beside a prediction that is the closed form.
pub(super) fn rows(bench: &Bench) {
    let found = json(bench, "seen/delay.json");
    let rows = found["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 6, "three hidden layers, two waves");
    for row in rows {
        let hops = number(row, "hops");
        assert!((number(row, "least") - 5.0 * hops).abs() < 1e-3, "{row}");
        // Period 2, delay 5: (⌊2.5⌋ + 1) · 2 per hop.
        assert!((number(row, "predicted_arrival") - 6.0 * hops).abs() < 1e-9, "{row}");
        for first in ["arrival", "onset", "rise10", "rise50", "rise90"] {
            assert!(number(row, first) + number(row, "clock_error") >= number(row, "least"), "{first}: {row}");
        }
        let ratio = number(row, "onset") / number(row, "predicted_onset");
        assert!((number(row, "ratio") - ratio).abs() < 1e-12, "{row}");
    }
    for wave in found["waves"].as_array().expect("waves") {
        assert_eq!(wave["arrows_too_early"], 0, "{wave}");
        assert!(number(wave, "arrows") > 100.0, "{wave}");
    }
}

#[test]
fn nothing_is_sooner_than_its_links_in_one_process() {
    let bench = Bench::new();
    let outcome = delay(&bench, &[]).expect(0);
    assert_eq!(outcome.stdout.matches(" 0 of them before their link allows").count(), 2, "{outcome}");
    rows(&bench);
    for stem in ["delay-down", "delay-up", "heat-down", "errors-down", "errors-up"] {
        let picture = std::fs::read(bench.path(&format!("seen/{stem}.png"))).expect("a picture");
        assert!(picture.starts_with(b"\x89PNG"), "{stem}");
    }
    assert!(json(&bench, "seen/delay.json")["waves"][0]["offsets"].as_array().expect("clocks").is_empty());
}

/// The clocks of three processes become one: no signal is heard sooner after it was said than its link allows, beyond what is stated.
#[cfg(target_os = "linux")]
#[test]
fn nothing_is_sooner_than_its_links_across_processes_on_one_clock() {
    for transport in ["unix", "tcp"] {
        let bench = Bench::new();
        delay(&bench, &["workers=3", &format!("links.transport={transport}")]).expect(0);
        rows(&bench);
        let found = json(&bench, "seen/delay.json");
        for wave in found["waves"].as_array().expect("waves") {
            let offsets = wave["offsets"].as_array().expect("clocks");
            assert_eq!(offsets.len(), 3, "{wave}");
            for clock in offsets {
                // One machine has one monotonic clock: none is ahead of another.
                let (offset, error) = (number(clock, "offset"), number(clock, "error"));
                assert!(error > 0.0 && offset.abs() <= error, "{wave}");
            }
        }
        let trace = json(&bench, "seen/trace.json");
        let records = trace["traceEvents"].as_array().expect("records");
        let processes = records.iter().filter(|record| record["name"] == "process_name").count();
        assert_eq!(processes, 6, "three workers, two waves");
        let mut said = std::collections::BTreeMap::new();
        let mut across = 0;
        for record in records {
            let id = record["id"].as_str().unwrap_or_default();
            match record["ph"].as_str() {
                Some("s") => drop(said.insert(id, record)),
                Some("f") => {
                    across += usize::from(said.get(id).expect("said before it is heard")["pid"] != record["pid"])
                }
                _ => {}
            }
        }
        assert!(across > 50, "{across} arrows from process to process");
    }
}

/// Nobody hits a prediction to the nanosecond.
#[test]
fn beyond_the_tolerance_is_code_1() {
    let bench = Bench::new();
    let outcome = delay(&bench, &["--direction=down", "--within=0"]).expect(1);
    assert!(outcome.stderr.contains("layer 3: onset at"), "{outcome}");
    assert!(
        outcome.stdout.contains("onset / onset in virtual time"),
        "what was measured is shown all the same: {outcome}"
    );
    assert!(bench.path("seen/delay.csv").exists(), "and left");
}

/// Without a unit nothing is imposed and nothing predicted; what the machine takes is measured.
#[test]
fn links_that_take_the_time_they_take_are_measured_too() {
    let bench = Bench::new();
    let plain = ["schedule.time_unit_ms=0", "clocks.period=1", "links.delay=0", "--direction=down"];
    let outcome = delay(&bench, &plain).expect(0);
    assert!(outcome.stdout.contains("nothing is predicted in milliseconds"), "{outcome}");
    let found = json(&bench, "seen/delay.json");
    for row in found["rows"].as_array().expect("rows") {
        assert!(row["predicted_onset"].is_null() && number(row, "least") == 0.0 && number(row, "onset") > 0.0, "{row}");
    }
}

#[test]
fn what_the_wall_clock_cannot_honour_is_refused_with_link_and_key() {
    let bench = Bench::new();
    let cases: &[(&[&str], &str)] = &[
        (&["links.threshold=0.1"], "`links.threshold` cannot be honoured by the mode `free-running`"),
        (&["links.\"2->1\".delivery=queue"], "`links.2->1.delivery` cannot be honoured by the mode `free-running`"),
        (&["schedule.time_unit_ms=0"], "schedule.time_unit_ms"),
        (&["schedule.time_unit_ms=-1"], "schedule.time_unit_ms"),
        (&["schedule.mode=lock-step"], "`links.delay` cannot be honoured by the mode `lock-step`"),
        (&["links.\"2->1\".loss=0.1"], "link 2->1"),
        (&["links.\"2->1\".delay=-1"], "2->1"),
        (&["clocks.period=0"], "clocks.period"),
        (&["--depths=2,4"], "--depths"),
        (&["--within=-1"], "--within"),
        (&["schedule.mode=virtual-time", "--within=0.2"], "--within"),
        (&["inference.max_infer_iters=20000"], "inference.max_infer_iters"),
    ];
    for (words, names) in cases {
        let outcome = delay(&bench, words).expect(2);
        assert!(outcome.stderr.contains(names), "{words:?}: {outcome}");
        assert!(!bench.path("seen").exists(), "{words:?} left a folder");
    }
}
