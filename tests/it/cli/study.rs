//! `study`. Oracles: lock-step for what nothing disturbs, the closed form of the stable step written a second time, the program's own
//! refusals, `train` for the trainings, and the same study with other threads.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use asynapse::experiment::audit::algorithms::find;
use asynapse::experiment::study::STUDIES;

use super::artefacts::{Run, Table};
use super::program::{Bench, Outcome};
use crate::virtual_delays::border;

/// What `--quick` sets, to run the same network by another command.
const QUICK: [&str; 3] = ["model.widths=[784,12,8,10]", "data.batch_size=8", "inference.max_infer_iters=60"];
const FIVE: [&str; 5] = ["pc-nudge", "pc-clamped", "first-step", "ep", "chl"];

fn study(bench: &Bench, name: &str, more: &[&str]) -> Outcome {
    bench.run(&[&["study", name, "--quick", "--out", name], more].concat())
}

fn measured(bench: &Bench, name: &str) -> Table {
    Run::at(bench.path(name)).table(&format!("{name}-measured.csv"))
}

/// The cells of the only row in which these columns have these cells.
fn row<'t>(table: &'t Table, wanted: &[(&str, &str)]) -> impl Fn(&str) -> &'t str + use<'t> {
    let fits = |row: &&Vec<String>| wanted.iter().all(|(name, cell)| row[table.column(name)] == *cell);
    let found: Vec<&Vec<String>> = table.rows.iter().filter(fits).collect();
    assert_eq!(found.len(), 1, "{wanted:?}");
    let only = found[0];
    move |name| only[table.column(name)].as_str()
}

/// The figures are there as pictures, and the table that drew them names these series.
fn drawn(bench: &Bench, name: &str, stem: &str) -> BTreeSet<String> {
    let file = |ending: &str| bench.path(&format!("{name}/{stem}.{ending}"));
    assert!(std::fs::read(file("png")).expect("a picture").starts_with(b"\x89PNG"), "{stem}");
    assert!(std::fs::read_to_string(file("svg")).expect("a picture").contains("</svg>"), "{stem}");
    let table = Run::at(bench.path(name)).table(&format!("{stem}.csv"));
    table.cells("series", "").into_iter().map(str::to_owned).collect()
}

#[test]
fn without_a_delay_every_algorithm_has_the_cosine_of_lock_step_to_the_last_bit() {
    let bench = Bench::new();
    let outcome = study(&bench, "delay", &["--jobs", "2"]).expect(0);
    let table = measured(&bench, "delay");
    assert_eq!(table.rows.len(), 5 * 2 * 3, "algorithms, seeds, delays");
    assert_eq!(drawn(&bench, "delay", "delay"), FIVE.map(str::to_owned).into());
    for name in FIVE {
        assert!(outcome.stdout.contains(&format!("delay: {name} (cosine ")), "{outcome}");
        let algorithm = find(name).expect("an algorithm");
        let words =
            [&["compare", "study", "seed=1", "--json"], &QUICK[..], algorithm.wants, algorithm.identity].concat();
        let compared: Json = serde_json::from_str(&bench.run(&words).expect(0).stdout).expect("JSON");
        let entries = compared["entries"].as_array().expect("entries");
        let lock_step = entries.iter().find(|entry| entry["schedule"] == "lock-step").expect("lock-step");
        let still = row(&table, &[("algorithm", name), ("seed", "1"), ("value", "0.0")]);
        assert_eq!(still("cosine").parse::<f64>().ok(), lock_step["whole"]["cosine"].as_f64(), "{name}");
        assert_eq!((still("undisturbed"), still("apart")), (still("cosine"), "0.0"), "{name}");
        let late = row(&table, &[("algorithm", name), ("seed", "1"), ("value", "16.0")]);
        let age: f64 = late("mean_age").parse().expect("an age");
        // Heard at the first tick after 16 τ, or at the end by a layer that had made its steps.
        assert!((16.0..=18.0).contains(&age), "{name}: {age}");
        assert_eq!(name == "first-step", late("apart").parse::<f64>().expect("a distance") < 1e-12, "{name}");
    }
}

#[test]
fn the_border_is_the_closed_form_and_no_lower_than_what_is_guaranteed() {
    let bench = Bench::new();
    let outcome = study(&bench, "border", &["--strict"]).expect(0);
    let table = measured(&bench, "border");
    assert_eq!(table.rows.len(), 9, "three messages and three delays");
    for index in 0..table.rows.len() {
        let cell = |name: &str| table.rows[index][table.column(name)].clone();
        let number = |name: &str| cell(name).parse::<f64>().expect("a number");
        let (message, weight, delay) = (cell("message"), number("weight"), number("delay"));
        let exact = border(weight, delay, message == "error");
        let found = number("measured");
        assert!((found / exact - 1.0).abs() < 0.05, "{message} w = {weight} B = {delay}: {found} against {exact}");
        assert!((number("closed_form") / exact - 1.0).abs() < 1e-3, "{message}: {}", number("closed_form"));
        let curvature = 1.0 + weight * weight + 2.0 * weight * (std::f64::consts::PI / 8.0).cos();
        let stale = if message == "error" { 2.0 * delay } else { delay };
        assert!((number("guaranteed") * curvature * (0.5 + stale) - 1.0).abs() < 1e-12);
        assert!(number("guaranteed") < 1.01 * found, "{message} w = {weight} B = {delay}");
    }
    assert_eq!(outcome.stdout.lines().filter(|line| line.ends_with("/ holds")).count(), 2, "{outcome}");
    assert_eq!(drawn(&bench, "border", "border-w1").len(), 7);
    bench.run(&["study", "border", "data.dir=x"]).expect(2).says(&["data.dir", "border does not read it"]);
    bench.run(&["study", "border", "model.widths=[1,2,1]"]).expect(2).says(&["model.widths needs ones only"]);
    // A chain of another length has another border, still the closed form's.
    let words = ["--strict", "model.widths=[1,1,1,1]"];
    let other = bench.run(&[&["study", "border", "--quick", "--out", "short"], &words[..]].concat()).expect(0);
    assert!(other.stdout.contains("/ holds"), "{other}");
    let shorter = Run::at(bench.path("short")).table("border-measured.csv");
    assert!(shorter.rows.iter().all(|row| row[shorter.column("prototype")].is_empty()));
}

#[test]
fn what_cannot_be_honoured_is_left_out_with_the_programs_sentence() {
    let bench = Bench::new();
    let outcome = study(&bench, "noise", &[]).expect(0);
    let reason = "`numerics.message_noise` must be 0 with the rule `first-step`";
    assert!(outcome.stdout.contains(&format!("noise: first-step is left out: {reason}")), "{outcome}");
    assert_eq!(drawn(&bench, "noise", "noise").len(), 4);
    assert!(measured(&bench, "noise").cells("problem", "").contains(&reason));
    let page = std::fs::read_to_string(bench.path("noise/noise.md")).expect("a page");
    assert!(page.contains(reason) && page.contains("| standard deviation of the noise | pc-nudge |"), "{page}");
    // Hopfield networks are bounded: without a bounded activation only predictive coding is left.
    let outcome = study(&bench, "threshold", &["model.act_fn=relu"]).expect(0);
    for name in ["ep", "chl"] {
        assert!(outcome.stdout.contains(&format!("threshold: {name} is left out: ")), "{outcome}");
    }
    assert_eq!(drawn(&bench, "threshold", "threshold").len(), 3);
}

#[test]
fn signals_are_no_older_than_their_bound_and_threads_change_nothing() {
    let bench = Bench::new();
    study(&bench, "staleness", &["--jobs", "1"]).expect(0);
    let table = measured(&bench, "staleness");
    for (bound, age) in table.numbers("value", "").into_iter().zip(table.numbers("mean_age", "")) {
        // Heard at the first tick after it arrived.
        assert!(age <= bound + 1.0 && (bound == 0.0 || age > 0.0), "mean age {age} under a bound of {bound}");
    }
    let again = bench.run(&["study", "staleness", "--quick", "--out", "again", "--jobs", "3"]).expect(0);
    let file = |folder: &str| std::fs::read(bench.path(&format!("{folder}/staleness-measured.csv"))).expect("a table");
    assert_eq!(file("staleness"), file("again"), "{again}");
}

#[test]
fn equilibria_do_not_remember_delays_and_what_has_not_settled_does_not_hold() {
    let bench = Bench::new();
    let outcome = study(&bench, "equilibrium", &["--strict"]).expect(0);
    assert!(outcome.stdout.lines().next().is_some_and(|line| line.ends_with("/ holds")), "{outcome}");
    let table = measured(&bench, "equilibrium");
    let (curve, apart) = (table.column("curve"), table.column("apart"));
    let fixed = table.rows.iter().filter(|row| row[curve].starts_with("a fixed number"));
    assert!(fixed.filter_map(|row| row[apart].parse::<f64>().ok()).any(|apart| apart > 1e-3), "steps remember");
    assert_eq!(drawn(&bench, "equilibrium", "equilibrium").len(), 5);
    let words = ["study", "equilibrium", "--quick", "--strict", "--out", "short", "schedule.events_max=400"];
    bench.run(&words).expect(1).says(&["1 of 1 do not hold"]);
}

#[test]
fn first_arrival_breaks_where_errors_are_lost_or_left_over_and_nowhere_else() {
    let bench = Bench::new();
    let outcome = study(&bench, "first-arrival", &["--strict"]).expect(0);
    assert_eq!(outcome.stdout.lines().filter(|line| line.ends_with("/ holds")).count(), 5, "{outcome}");
    let table = measured(&bench, "first-arrival");
    let least = |name: &str| {
        let own = table.rows.iter().filter(|row| row[table.column("curve")] == name);
        own.filter_map(|row| row[table.column("cosine")].parse::<f64>().ok()).fold(f64::INFINITY, f64::min)
    };
    assert!(least("first arrival, reordered") > 1.0 - 1e-9);
    assert!(least("first arrival, reordered, free phase relaxed") < 0.9);
    assert!(least("first arrival, errors lost") < 0.9);
    assert_eq!(drawn(&bench, "first-arrival", "first-arrival-reordering").len(), 5);
    assert_eq!(drawn(&bench, "first-arrival", "first-arrival-loss").len(), 4);
}

#[test]
fn trainings_are_those_of_train() {
    let bench = Bench::new();
    let outcome = study(&bench, "training", &["--seeds", "1", "seed=3"]).expect(0);
    let table = measured(&bench, "training");
    assert_eq!(table.rows.len(), 5 * 2 + 1);
    assert!(table.cells("problem", "").iter().all(|cell| cell.is_empty()), "{outcome}");
    assert_eq!(drawn(&bench, "training", "training").len(), 6);
    for (rule, delay) in [("pc-nudge", "0.0"), ("first-step", "0.0"), ("backprop", "")] {
        let name = format!("output.name={rule}");
        let words = ["data.train=320", "data.test=100", "learning.epochs=1", "seed=3"];
        let rules = format!("learning.rule={rule}");
        bench.run(&[&["train", "study-training", &name, &rules], &QUICK[..], &words].concat()).expect(0);
        let alone = bench.run_directory(rule).table("metrics.csv").numbers("accuracy", "test");
        let swept = row(&table, &[("algorithm", rule), ("delay", delay)]);
        assert_eq!(swept("test_accuracy").parse::<f64>().ok().as_ref(), alone.last(), "{rule}");
    }
}

#[test]
fn what_no_study_reads_is_refused_before_anything_is_written() {
    let bench = Bench::new();
    let refused = |words: &[&str], parts: &[&str]| {
        bench.run(&[&["study"], words].concat()).expect(2).says(parts);
        assert!(bench.names().is_empty(), "left {:?}", bench.names());
    };
    refused(&["flight"], &["`flight` is no study", "list, all, delay", "training"]);
    refused(&["delay", "delay"], &["delay is named twice"]);
    refused(&["delay", "learning.epochs=3"], &["learning.epochs", "delay does not read it"]);
    refused(&["delay", "links.delay=3"], &["links.delay", "delay sets it itself"]);
    refused(&["loss", "schedule.mode=lock-step"], &["schedule.mode", "loss sets it itself"]);
    refused(&["noise", "learning.rule=ep"], &["learning.rule", "noise sets it itself"]);
    refused(&["delay", "model.widhts=[784,10]"], &["model.widhts", "did you mean `model.widths`?"]);
    refused(&["delay", "model.widths=[784,0]"], &["model.widths"]);
    refused(&["delay", "--seeds", "0"], &["0", "--seeds"]);
    refused(&[], &["STUDY"]);
    let list = bench.run(&["study", "list"]).expect(0);
    assert_eq!(list.stdout.lines().count(), STUDIES.len());
    for (line, study) in list.stdout.lines().zip(&STUDIES) {
        assert!(line.starts_with(study.name) && line.ends_with(study.summary), "{line}");
    }
    bench.put("noise/mine.txt", "mine");
    study(&bench, "noise", &[]).expect(2).says(&["exists already"]);
}
