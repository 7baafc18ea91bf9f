//! `compare`. Oracles: the promised exit codes; bits for lock-step; the theory for the rest: the estimate is the gradient up to
//! O(λ), so a tighter nudge comes closer, and no bound above what was reported is broken.

use serde_json::Value as Json;

use super::program::{Bench, Outcome};

/// The small network in double precision, so that rounding is far below O(λ).
const BATCH: [&str; 5] = ["tiny", "data.train=64", "data.test=1", "model.widths=[784,8,10]", "dtype=f64"];

fn compare(bench: &Bench, more: &[&str]) -> Outcome {
    bench.run(&[&["compare"], &BATCH[..], more].concat())
}

fn parsed(outcome: &Outcome) -> Json {
    serde_json::from_str(&outcome.stdout).expect("JSON and nothing else")
}

#[test]
fn schedules_agree_and_are_near_the_gradient() {
    let bench = Bench::new();
    let outcome = compare(&bench, &["--json", "inference.max_infer_iters=300"]).expect(0);
    let comparison = parsed(&outcome);
    assert_eq!(comparison["batch"], 32);
    let entries = comparison["entries"].as_array().expect("entries");
    let names: Vec<&str> = entries.iter().map(|entry| entry["schedule"].as_str().expect("a name")).collect();
    assert_eq!(names, ["reference", "lock-step", "free-running"]);
    for entry in entries {
        assert_eq!(entry["layers"].as_array().map(Vec::len), Some(2), "one per weight matrix");
        assert!(entry["whole"]["cosine"].as_f64() > Some(0.999), "λ is 0.01: {entry}");
    }
    assert_eq!(entries[1]["bit_identical"], true, "lock-step");
    assert!(entries[2]["state_distance"].as_f64() < Some(1e-6), "free-running reaches the same equilibrium");

    let table = compare(&bench, &["inference.max_infer_iters=300"]).expect(0);
    for part in ["reference  W1", "lock-step  W2", "free-running  all", "same bits", "step-budget"] {
        assert!(table.stdout.contains(part), "{part}: {table}");
    }
    assert!(bench.names().is_empty(), "it writes nothing");
}

#[test]
fn a_tighter_nudge_comes_closer() {
    let bench = Bench::new();
    let distance = |nudge: &str| {
        let outcome = compare(&bench, &["--json", "inference.max_infer_iters=1000", nudge]).expect(0);
        parsed(&outcome)["entries"][0]["whole"]["relative_distance"].as_f64().expect("a distance")
    };
    let ratio = distance("learning.nudge=0.01") / distance("learning.nudge=0.001");
    assert!((8.0..12.0).contains(&ratio), "the error is proportional to λ: {ratio}");
}

#[test]
fn bounds_decide_the_exit_code() {
    let bench = Bench::new();
    let outcome = compare(&bench, &["--min-cosine", "0.9999999"]).expect(1);
    let outcome = outcome.says(&["out of tolerance: reference, W2: cosine 0.99", "lock-step", "free-running"]);
    assert!(outcome.stdout.contains("same bits"), "the table is printed all the same: {outcome}");
    let outcome = compare(&bench, &["--tolerance", "1e-9", "--json"]).expect(1).says(&["reference, W1: distance"]);
    parsed(&outcome);
    let outcome = compare(&bench, &["--min-cosine", "0.9", "--tolerance", "0.5"]).expect(0);
    assert!(outcome.stderr.is_empty(), "{outcome}");
}

#[test]
fn what_did_not_converge_is_said() {
    let bench = Bench::new();
    let outcome = compare(&bench, &["inference.tolerance=1e-6", "inference.max_infer_iters=3"]).expect(3);
    let outcome = outcome.says(&["reference did not converge in 3 steps", "inference.max_infer_iters"]);
    assert!(outcome.stdout.contains("same bits"), "{outcome}");
    // The same with enough steps.
    let outcome = compare(&bench, &["inference.tolerance=1e-6", "inference.max_infer_iters=5000", "--json"]).expect(0);
    for entry in parsed(&outcome)["entries"].as_array().expect("entries") {
        assert_eq!((&entry["stop_reason"], &entry["unsettled"]), (&"settled".into(), &0.into()), "{outcome}");
    }
}

#[test]
fn a_phase_read_at_the_first_arrival_has_no_tolerance_to_reach() {
    let bench = Bench::new();
    let outcome = compare(&bench, &["learning.rule=first-step", "inference.tolerance=1e-6", "--json"]).expect(0);
    for entry in parsed(&outcome)["entries"].as_array().expect("entries") {
        assert!(entry["whole"]["relative_distance"].as_f64() < Some(1e-12), "{entry}");
    }
}

#[test]
fn what_diverged_is_said() {
    let bench = Bench::new();
    // So far beyond the stability border that the energy grows, but not so long that a number overflows.
    let outcome = compare(&bench, &["inference.activity_lr=10", "inference.max_infer_iters=30"]).expect(3);
    outcome.says(&["reference diverged", "inference.activity_lr"]);
    let outcome = compare(&bench, &["inference.activity_lr=1e6", "inference.max_infer_iters=200"]).expect(3);
    outcome.says(&["reference: layer ", "at inference step ", "inference.activity_lr"]);
}

#[test]
fn backpropagation_is_not_compared_with_itself() {
    let bench = Bench::new();
    compare(&bench, &["learning.rule=backprop"]).expect(2).says(&["learning.rule", "nothing to compare"]);
}

#[test]
fn a_rule_is_spelt_out_or_refused_with_the_reason() {
    let bench = Bench::new();
    let phases = "learning.phases=['forward', 'nudged', 'nudged -1']";
    let outcome =
        compare(&bench, &["--json", "learning.rule=spelt-out", phases, "inference.max_infer_iters=500"]).expect(0);
    let distance = parsed(&outcome)["entries"][1]["whole"]["relative_distance"].as_f64().expect("a distance");
    assert!(distance < 1e-4, "a symmetric nudge of 0.01: {distance}");
    let hopfield = ["model.energy=hopfield", "model.act_fn=sigmoid", "model.loss=squared-error"];
    let arrival = ["learning.rule=spelt-out", "learning.read_out=first-arrival"];
    compare(&bench, &[&hopfield[..], &arrival].concat()).expect(2).says(&["never silent"]);
    compare(&bench, &["learning.rule=spelt-out", "learning.phases=['free', 'pushed']"]).expect(2).says(&["\"pushed\""]);
    compare(&bench, &["learning.rule=spelt-out", "learning.phases=[1]"]).expect(2).says(&["a list of texts"]);
}

#[test]
fn equation_17_is_shown_with_what_it_does() {
    let bench = Bench::new();
    let outcome = compare(&bench, &["--eq17", "--json", "learning.nudge=0.1"]).expect(0);
    let rows = parsed(&outcome);
    let rows = rows.as_array().expect("rows");
    assert_eq!(rows.len(), 12, "four estimates at three nudges");
    for row in rows.iter().filter(|row| row["estimate"] == "eq17") {
        assert!((row["layers"][0].as_f64().expect("W1") - 1.0).abs() < 0.02, "{row}");
        assert!(row["layers"][1].as_f64() < Some(1e-2), "{row}");
    }
    compare(&bench, &["--eq17", "learning.rule=pc-clamped"]).expect(2).says(&["pc-nudge"]);
    compare(&bench, &["--eq17", "inference.variables=deviation"]).expect(2).says(&["full precision"]);
    compare(&bench, &["--eq17", "numerics.states=bf16"]).expect(2).says(&["full precision"]);
    let unsettled = ["--eq17", "inference.tolerance=1e-12", "inference.max_infer_iters=3"];
    compare(&bench, &unsettled).expect(3).says(&["did not settle"]);
}
