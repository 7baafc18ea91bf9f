//! `delay`. Oracles: the files that are promised, read by other readers; k (⌊D/P⌋ + 1) P; the rules of the trace-event format; the
//! promised exit codes, and a sentence that names the key.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::program::{Bench, Outcome};

const SMALL: [&str; 4] = ["delay", "model.widths=[784,8,8,8,10]", "data.train=20", "--out=seen"];

fn delay(bench: &Bench, more: &[&str]) -> Outcome {
    bench.run(&[&["delay"], &SMALL[..], more].concat())
}

fn column(bench: &Bench, file: &str, name: &str) -> Vec<String> {
    let mut reader = csv::Reader::from_path(bench.path(file)).expect("a table");
    let index = reader.headers().expect("a head").iter().position(|head| head == name).expect("the column");
    reader.records().map(|row| row.expect("a whole row")[index].to_owned()).collect()
}

#[test]
fn a_table_figures_and_a_timeline_are_left_and_they_agree() {
    let bench = Bench::new();
    let outcome = delay(&bench, &["--depths", "2,4", "links.delay=1.5"]).expect(0);
    assert_eq!(outcome.stdout.matches("arrival = closed form, to the tick: 3 of 3 layers").count(), 2, "{outcome}");
    assert!(outcome.stdout.contains("arrival: 2.000000 per hop"), "{outcome}");
    let numbers =
        |name| column(&bench, "seen/delay.csv", name).iter().map(|cell| cell.parse().expect("a number")).collect();
    let (hops, arrivals): (Vec<f64>, Vec<f64>) = (numbers("hops"), numbers("arrival"));
    assert_eq!(hops, [1.0, 2.0, 3.0, 1.0, 2.0, 3.0]);
    assert_eq!(arrivals, hops.iter().map(|hops| 2.0 * hops).collect::<Vec<f64>>());
    assert_eq!(column(&bench, "seen/depth.csv", "depth"), ["2", "4", "2", "4"]);
    let stems = ["delay-down", "heat-up", "errors-down", "depth-down-time", "depth-up-displacement"];
    for stem in stems {
        let file = |ending: &str| bench.path(&format!("seen/{stem}.{ending}"));
        assert!(std::fs::read(file("png")).expect("a picture").starts_with(b"\x89PNG"), "{stem}");
        assert!(std::fs::read_to_string(file("svg")).expect("a picture").contains("</svg>"), "{stem}");
        assert!(csv::Reader::from_path(file("csv")).expect("a table").records().count() >= 2, "{stem}");
    }
    timeline(&bench);
}

/// What the trace-event format asks for, and what this one promises: a track per layer, arrows with both ends, in the order of time.
fn timeline(bench: &Bench) {
    let bytes = std::fs::read(bench.path("seen/trace.json")).expect("a timeline");
    let trace: Json = serde_json::from_slice(&bytes).expect("JSON");
    let records = trace["traceEvents"].as_array().expect("records");
    let of = |ph: &'static str| records.iter().filter(move |record| record["ph"] == ph);
    let mut ends: BTreeMap<&str, Vec<&Json>> = BTreeMap::new();
    for ph in ["s", "f"] {
        of(ph).for_each(|record| ends.entry(record["id"].as_str().expect("an id")).or_default().push(record));
    }
    assert!(ends.len() > 100, "{} arrows", ends.len());
    for (id, ends) in &ends {
        let [said, heard] = ends[..] else { panic!("{id}: {ends:?}") };
        assert_eq!((&said["ph"], &heard["ph"], &said["pid"]), (&"s".into(), &"f".into(), &heard["pid"]), "{id}");
        let (from, to) = (said["tid"].as_u64().expect("a track"), heard["tid"].as_u64().expect("a track"));
        assert_eq!(from.abs_diff(to), 1, "{id}: neighbours only");
        // A delay of 1.5 units, a millisecond each.
        let (said, heard) = (said["ts"].as_f64().expect("a time"), heard["ts"].as_f64().expect("a time"));
        assert!((heard - said - 1500.0).abs() < 1e-6, "{id}: {said} to {heard}");
    }
    let times: Vec<f64> = records.iter().filter_map(|record| record["ts"].as_f64()).collect();
    assert!(times.windows(2).all(|pair| pair[0] <= pair[1]), "in the order of time");
    let tracks = of("M").filter(|record| record["name"] == "thread_name").count();
    assert_eq!(tracks, 2 * (1 + 5), "two waves: the phase and five layers");
    assert_eq!(of("i").count(), 6, "the wave arrives at three layers, twice");
    assert_eq!(of("X").filter(|record| record["cat"] == "phase").count(), 2);
}

#[test]
fn json_is_what_the_file_holds() {
    let bench = Bench::new();
    let outcome = delay(&bench, &["--direction", "down", "--json", "--threshold", "0.1"]).expect(0);
    let printed: Json = serde_json::from_str(&outcome.stdout).expect("JSON");
    let written: Json =
        serde_json::from_slice(&std::fs::read(bench.path("seen/delay.json")).expect("a file")).expect("JSON");
    assert_eq!(printed, written);
    assert_eq!((&printed["threshold"], printed["rows"].as_array().map(Vec::len)), (&0.1.into(), Some(3)));
}

#[test]
fn what_has_no_wave_is_refused_with_the_key_that_is_to_blame() {
    let bench = Bench::new();
    let cases: &[(&[&str], &str)] = &[
        (&["learning.rule=backprop"], "learning.rule"),
        (&["schedule.mode=reference", "links.delay=0"], "schedule.mode"),
        (&["schedule.mode=lock-step", "links.delay=0"], "schedule.mode"),
        (&["model.widths=[784,10]"], "model.widths"),
        (&["data.batch_size=15"], "data.batch_size"),
        (&["model.act_fn=relu", "--rest", "zero"], "model.act_fn"),
        (&["--threshold", "0"], "--threshold"),
        (&["--threshold", "1.5"], "--threshold"),
        (&["--depths", "1,2"], "--depths"),
        (&["--depths", "2,4", "links.\"1->2\".delay=3"], "links."),
        (&["--depths", "2,4", "clocks.\"1\".period=3"], "clocks."),
        (&["links.delay=-1"], "links.delay"),
    ];
    for (words, names) in cases {
        let outcome = delay(&bench, words).expect(2);
        assert!(outcome.stderr.contains(names), "{words:?}: {outcome}");
        assert!(!bench.path("seen").exists(), "{words:?} left a folder");
    }
}

#[test]
fn without_a_configuration_it_is_the_preset() {
    let bench = Bench::new();
    let words = [&["delay"], &SMALL[1..], &["--direction", "up", "links.delay=0.5"]].concat();
    let outcome = bench.run(&words).expect(0);
    assert!(outcome.stdout.contains("arrival = closed form, to the tick: 3 of 3 layers"), "{outcome}");
}

#[test]
fn a_folder_that_exists_is_not_written_into() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("seen")).expect("a folder");
    let outcome = delay(&bench, &["--direction", "up"]).expect(2);
    assert!(outcome.stderr.contains("exists already"), "{outcome}");
}

#[test]
fn a_run_that_ends_before_rest_is_code_3() {
    let bench = Bench::new();
    let outcome = delay(&bench, &["--direction", "down", "inference.max_infer_iters=12"]).expect(3);
    assert!(outcome.stderr.contains("inference.max_infer_iters"), "{outcome}");
    assert!(outcome.stdout.contains("arrival = closed form"), "what was measured is shown all the same: {outcome}");
    let relaxed = ["inference.free_phase=relax", "inference.max_infer_iters=12", "inference.tolerance=1e-9"];
    let outcome = bench.run(&[&["delay"], &SMALL[..3], &["--out=other"], &relaxed[..]].concat()).expect(3);
    assert!(outcome.stderr.contains("the free phase did not come to rest"), "{outcome}");
}
