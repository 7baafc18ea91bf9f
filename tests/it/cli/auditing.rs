//! `asynapse audit`: what it prints and leaves, and what it refuses.

use super::program::Bench;

/// A network that is audited in no time.
const SMALL: [&str; 5] =
    ["audit", "--quick", "model.widths=[784,6,5,10]", "data.batch_size=3", "inference.max_infer_iters=10"];

fn words<'a>(more: &[&'a str]) -> Vec<&'a str> {
    SMALL.iter().chain(more).copied().collect()
}

#[test]
fn cards_are_printed_and_left_in_a_folder() {
    let bench = Bench::new();
    let outcome = bench.run(&words(&["--algorithms", "pc-nudge,first-step,backprop", "--out", "cards"]));
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    for part in ["## Locality", "## What an update reads", "| pc-nudge | local (", "`backprop`: no card"] {
        assert!(outcome.stdout.contains(part), "{part} is missing in {}", outcome.stdout);
    }
    assert!(!outcome.stdout.contains("not local"));
    let left = std::fs::read_to_string(bench.path("cards/audit.md")).expect("audit.md");
    assert_eq!(left.trim_end(), outcome.stdout.trim_end());
    let mut table = csv::Reader::from_path(bench.path("cards/audit.csv")).expect("audit.csv");
    let rows: Vec<csv::StringRecord> = table.records().map(|row| row.expect("a row")).collect();
    let replayed = rows.iter().filter(|row| &row[3] == "replayed alone");
    assert_eq!(replayed.clone().count(), 2 * 2 * 4, "two algorithms, two schedules, four layers");
    assert!(replayed.into_iter().all(|row| &row[4] == "same bits"));
    for figure in ["audit-reads", "audit-costs"] {
        let png = std::fs::read(bench.path(&format!("cards/{figure}.png"))).expect("a figure");
        assert!(png.starts_with(b"\x89PNG"));
    }
}

#[test]
fn a_configuration_is_audited_as_it_is() {
    let bench = Bench::new();
    let typed = ["--algorithms", "config", "--json", "learning.rule=pc-clamped", "model.act_fn=tanh", "--out", "cards"];
    let outcome = bench.run(&words(&typed));
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let cards: serde_json::Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    assert_eq!(cards[0]["algorithm"], "config");
    assert_eq!(cards[0]["observed"].as_array().map(Vec::len), Some(2));
}

#[test]
fn what_cannot_be_audited_is_refused_before_anything_runs() {
    let bench = Bench::new();
    for (more, part) in [
        (vec!["--algorithms", "pc-nudge,hebb"], "hebb: no such algorithm"),
        (vec!["--algorithms", "ep", "learning.rule=chl"], "leave it out"),
        (vec!["--algorithms", "ep", "schedule.mode=reference"], "leave it out"),
        (vec!["--algorithms", "pc-nudge", "model.groups=2"], "model.groups"),
        (vec!["--algorithms", "pc-nudge", "learning.nudge=-1"], "learning.nudge"),
        (vec!["--updates", "0"], "--updates"),
    ] {
        let outcome = bench.run(&words(&more));
        assert_eq!(outcome.code, Some(2), "{more:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(part), "{more:?}: {}", outcome.stderr);
        assert!(outcome.stdout.is_empty());
    }
    let bench = Bench::new();
    bench.put("cards/kept.txt", "kept");
    let outcome = bench.run(&words(&["--algorithms", "pc-nudge", "--out", "cards"]));
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.stderr.contains("exists already"));
}
