//! `reproduce`. Oracles: the files that are promised, read by other readers; the claims of theory that hold on any data (the first
//! motion is the gradient, first-step is exact, orders); the promised exit codes.

use std::path::Path;

use serde_json::Value as Json;

use super::program::{Bench, Outcome};

/// So small that all panels take seconds in an unoptimised build.
const TINY: [&str; 6] =
    ["data.train=200", "data.test=1", "model.widths=[784,12,8,10]", "data.batch_size=16", "--seeds", "2"];

fn reproduce(bench: &Bench, panel: &str, more: &[&str]) -> Outcome {
    bench.run(&[&["reproduce", panel, "--quick", "--out", "figures"], more].concat())
}

/// Every number of every column whose cells are numbers.
fn numbers(path: &Path) -> Vec<f64> {
    let mut reader = csv::Reader::from_path(path).expect("a table");
    let mut found = Vec::new();
    for row in reader.records() {
        found.extend(row.expect("a whole row").iter().filter_map(|cell| cell.parse::<f64>().ok()));
    }
    found
}

#[test]
fn all_panels_leave_figures_tables_and_verdicts() {
    let bench = Bench::new();
    let outcome = reproduce(&bench, "all", &TINY).expect(0);
    let record: Json =
        serde_json::from_slice(&std::fs::read(bench.path("figures/reproduce.json")).expect("a record")).expect("JSON");
    assert_eq!(record["panels"], serde_json::json!(["fig2a", "fig2b", "fig2c", "fig3a", "fig3bc", "orders"]));
    assert_eq!(
        (&record["quick"], &record["seeds"], &record["config"]["data"]["train"]),
        (&true.into(), &2.into(), &200.into())
    );
    let verdicts = record["verdicts"].as_array().expect("verdicts");
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert_eq!(lines.len(), verdicts.len(), "a line per verdict: {outcome}");
    for (line, verdict) in lines.iter().zip(verdicts) {
        let ending = if verdict["agrees"] == true { "/ agrees" } else { "/ does not agree" };
        assert!(line.ends_with(ending) && line.contains(" says ") && line.contains(" / measured "), "{line}");
        let is_no_number = |word: &str| ["NaN", "inf", "-inf"].contains(&word.trim_end_matches([',', ';', ')']));
        assert!(!line.split_whitespace().any(is_no_number), "{line}");
    }
    let agrees = |part: &str| lines.iter().any(|line| line.contains(part) && line.ends_with("/ agrees"));
    for part in ["first step there is no error", "first-step is exact"] {
        assert!(agrees(part), "{part}: {outcome}");
    }
    for algorithm in ["pc-nudge, symmetric", "ep, one-sided", "ep, richardson", "chl, weak feedback"] {
        assert!(agrees(&format!("the error of {algorithm} falls")), "{algorithm}: {outcome}");
    }
    assert!(!outcome.stdout.contains("theory says the distances"), "numbers for MNIST say nothing of other data");
    let figures = [
        "fig2a",
        "fig2b",
        "fig2b-distance",
        "fig2c",
        "fig2c-linear",
        "fig2c-algorithms",
        "fig3a",
        "fig3a-linear",
        "fig3a-cosine",
        "fig3a-precision",
        "fig3b",
        "fig3c",
        "orders",
    ];
    for stem in figures {
        let file = |ending: &str| bench.path(&format!("figures/{stem}.{ending}"));
        assert!(std::fs::read(file("png")).expect("a picture").starts_with(b"\x89PNG"), "{stem}");
        assert!(std::fs::read_to_string(file("svg")).expect("a picture").contains("</svg>"), "{stem}");
        let drawn = numbers(&file("csv"));
        assert!(drawn.len() >= 4 && drawn.iter().all(|number| number.is_finite()), "{stem}: {drawn:?}");
    }
    for panel in ["fig2a", "fig2b", "fig2c", "fig3a", "fig3bc", "orders"] {
        let measured = numbers(&bench.path(&format!("figures/{panel}-measured.csv")));
        assert!(measured.len() >= 8 && measured.iter().all(|number| number.is_finite()), "{panel}");
    }
    let table = std::fs::read_to_string(bench.path("figures/orders.md")).expect("a table");
    assert_eq!(table.lines().count(), 13, "a head and eleven algorithms: {table}");
}

#[test]
fn actors_and_the_reference_measure_the_same_bits() {
    let bench = Bench::new();
    let run = |mode: &str, folder: &str| {
        let words = ["fig2b", "--quick", "--out", folder, mode].map(str::to_owned);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        bench.run(&[&["reproduce"], &words[..], &TINY].concat()).expect(0);
        std::fs::read(bench.path(folder).join("fig2b-measured.csv")).expect("a table")
    };
    assert_eq!(run("schedule.mode=lock-step", "actors"), run("schedule.mode=reference", "reference"));
}

#[test]
fn what_no_panel_reads_and_what_has_no_meaning_is_refused() {
    let bench = Bench::new();
    let refused = |words: &[&str], parts: &[&str]| {
        bench.run(&[&["reproduce"], words].concat()).expect(2).says(parts);
    };
    refused(&["fig2a", "learning.epochs=3"], &["learning.epochs", "fig2a does not read it"]);
    refused(&["fig3bc", "learning.rule=first-step"], &["learning.rule", "fig3bc does not read it"]);
    refused(&["fig3a", "dtype=f64"], &["dtype", "fig3a does not read it"]);
    refused(&["orders", "model.widths=[784,5,10]"], &["model.widths", "orders does not read it"]);
    refused(&["fig3bc", "--seeds", "3"], &["--seeds", "seed=N"]);
    refused(&["fig3a", "--seeds", "0"], &["0", "--seeds"]);
    refused(&["fig4"], &["fig4", "fig2a"]);
    refused(&["fig2a", "schedule.mode=free-running"], &["lock-step"]);
    refused(&["fig2a", "ep-mnist", "data.name=digits", "data.train=200", "data.test=1"], &["predictive coding"]);
    bench.put("figures/old.txt", "mine");
    refused(&["fig2a", "--out", "figures"], &["exists already", "--out"]);
    assert_eq!(std::fs::read_to_string(bench.path("figures/old.txt")).expect("a file"), "mine");
}

#[test]
fn strict_turns_a_disagreement_into_the_exit_code() {
    let bench = Bench::new();
    // One inference step leaves lower layers where they were: nothing about them can agree.
    let words = [&["inference.max_infer_iters=2", "--strict"], &TINY[..]].concat();
    let outcome = reproduce(&bench, "fig2b", &words).expect(1);
    assert!(outcome.stdout.contains("/ does not agree"), "{outcome}");
    outcome.says(&["do not agree"]);
}
