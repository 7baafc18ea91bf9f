//! `sweep`. Oracles: `compare` and `train` of the same settings, one at a time; one job against four; an undisturbed sweep for one
//! that was interrupted, resumed, or made run by run; processes that are killed on purpose. Nothing that is refused leaves a file.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use asynapse::experiment::sweep::{Crew, Folder, Grid, Metric, RowStatus, RunKind, Sweep, run};
use serde_json::Value as Json;
use tokio_util::sync::CancellationToken;

use super::artefacts::{Run, Table};
use super::program::{Bench, Outcome, SMALL};

const NETWORK: [&str; 5] = ["tiny", "data.train=64", "data.test=20", "model.widths=[784,8,10]", "dtype=f64"];
const GRID: [&str; 4] = ["learning.nudge=0.1,0.01", "inference.max_infer_iters=5..15:2", "--seeds", "2"];

fn sweep(bench: &Bench, name: &str, more: &[&str]) -> Outcome {
    let name = format!("output.name={name}");
    bench.run(&[&["sweep"], &NETWORK[..], &[name.as_str()], more].concat())
}

fn index(bench: &Bench, name: &str) -> Table {
    bench.run_directory(name).table("index.csv")
}

fn bytes(bench: &Bench, name: &str) -> Vec<u8> {
    fs::read(bench.run_directory(name).file("index.csv")).expect("an index")
}

/// The rows of the files, by run.
fn rows(bench: &Bench, name: &str) -> Vec<String> {
    let entries = fs::read_dir(bench.run_directory(name).file("rows")).expect("rows");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    names.collect::<BTreeSet<_>>().into_iter().collect()
}

#[test]
fn every_row_is_what_compare_says_of_these_settings() {
    let bench = Bench::new();
    let outcome = sweep(&bench, "a", &[&GRID[..], &["--jobs", "1"]].concat()).expect(0);
    for part in ["learning.nudge", "inference.max_infer_iters", "2/2", "±", "runs/a/index.csv"] {
        assert!(outcome.stdout.contains(part), "{part}: {outcome}");
    }
    let table = index(&bench, "a");
    let head = ["run", "learning.nudge", "inference.max_infer_iters", "seed", "status", "reason", "loss", "cosine"];
    assert_eq!(table.columns[..8], head);
    let mut expected = Vec::new();
    for nudge in ["0.1", "0.01"] {
        for steps in ["5", "15"] {
            expected
                .extend(["0", "1"].map(|seed| [expected.len().to_string(), nudge.into(), steps.into(), seed.into()]));
        }
    }
    // The first key varies slowest, the seed fastest.
    let expected: Vec<_> = (0..8).zip(expected).map(|(run, [_, a, b, c])| [run.to_string(), a, b, c]).collect();
    let places: Vec<_> = table.rows.iter().map(|row| row[..4].to_vec()).collect();
    assert_eq!(places, expected);
    for row in &table.rows {
        let [nudge, steps, seed] = [1, 2, 3].map(|at| format!("{}={}", table.columns[at], row[at]));
        let words = [&["compare"], &NETWORK[..], &["--json", &nudge, &steps, &seed]].concat();
        let compared: Json = serde_json::from_str(&bench.run(&words).expect(0).stdout).expect("JSON");
        let lock_step = &compared["entries"][1];
        let number = |name: &str| row[table.column(name)].parse::<f64>().expect("a number");
        assert_eq!(row[table.column("status")], "done");
        assert_eq!(number("loss"), compared["loss"].as_f64().expect("a loss"));
        assert_eq!(number("cosine"), lock_step["whole"]["cosine"].as_f64().expect("a cosine"));
        assert_eq!(number("distance"), lock_step["whole"]["distance"].as_f64().expect("a distance"));
        assert_eq!(number("relative_distance_W2"), lock_step["layers"][1]["relative_distance"].as_f64().expect("it"));
        assert_eq!(number("n_infer_iters"), lock_step["n_infer_iters"].as_f64().expect("steps"));
        assert_eq!(row[table.column("stop_reason")], "step-budget");
    }
}

#[test]
fn neither_jobs_nor_interruptions_nor_the_order_of_runs_change_the_index() {
    let bench = Bench::new();
    sweep(&bench, "one", &[&GRID[..], &["--jobs", "1"]].concat()).expect(0);
    sweep(&bench, "four", &[&GRID[..], &["--jobs", "4"]].concat()).expect(0);
    let undisturbed = bytes(&bench, "one");
    assert!(bytes(&bench, "four") == undisturbed, "four jobs");
    // Rows that are missing or failed are made again, and only those.
    let folder = bench.run_directory("four");
    fs::remove_file(folder.file("rows/run-000002.json")).expect("a row");
    let kept = fs::metadata(folder.file("rows/run-000001.json")).expect("a row").modified().expect("a time");
    let failed = folder.text("rows/run-000005.json").replace("\"done\"", "\"failed\"");
    fs::write(folder.file("rows/run-000005.json"), failed).expect("a row");
    let outcome = sweep(&bench, "four", &[&GRID[..], &["--resume"]].concat()).expect(0);
    let lines = outcome.stderr.lines().filter(|line| line.contains("/8  run "));
    let made: BTreeSet<&str> = lines.map(|line| line.split_whitespace().nth(2).expect("a run")).collect();
    assert_eq!(made, BTreeSet::from(["2:", "5:"]), "{outcome}");
    assert!(bytes(&bench, "four") == undisturbed, "resumed");
    let still = fs::metadata(folder.file("rows/run-000001.json")).expect("a row").modified().expect("a time");
    assert_eq!(kept, still, "a finished row is left alone");
    // An array of jobs, in any order; each leaves a row of its own, and nobody but the last command writes the index.
    for run in [3, 0, 7, 1, 6, 2, 5] {
        sweep(&bench, "array", &[&GRID[..], &["--task-id", &run.to_string()]].concat()).expect(0);
    }
    let outcome = bench.run(&["sweep", "--folder", "runs/array", "--collect"]).expect(3);
    outcome.says(&["of 8 runs 1 have no row yet"]);
    assert_eq!(index(&bench, "array").rows.len(), 7);
    let mut job = Command::new(env!("CARGO_BIN_EXE_asynapse"));
    job.args(["sweep", "--folder", "runs/array", "--task-id", "slurm"]).env("SLURM_ARRAY_TASK_ID", "4");
    assert!(job.current_dir(bench.path("")).output().expect("start the program").status.success());
    sweep(&bench, "array", &[&GRID[..], &["--collect"]].concat()).expect(0);
    assert!(bytes(&bench, "array") == undisturbed, "an array of jobs");
    sweep(&bench, "array", &[&GRID[..], &["--task-id", "4"]].concat()).expect(2).says(&["done already"]);
    sweep(&bench, "array", &[&GRID[..], &["--task-id", "4", "--resume"]].concat()).expect(0);
    sweep(&bench, "array", &[&GRID[..], &["--task-id", "8"]].concat()).expect(2).says(&["no run 8", "the grid has 8"]);
    sweep(&bench, "array", &[&GRID[..], &["--task-id", "slurm"]].concat()).expect(2).says(&["SLURM_ARRAY_TASK_ID"]);
}

#[test]
fn a_run_that_fails_is_a_row_and_stops_no_other() {
    let bench = Bench::new();
    let rates = "inference.activity_lr=0.1,1e30,0.2";
    let outcome = sweep(&bench, "a", &[rates, "inference.max_infer_iters=200"]).expect(3).says(&["of 3 runs 1 failed"]);
    assert!(outcome.stdout.contains("runs/a/index.csv"), "{outcome}");
    let table = index(&bench, "a");
    assert_eq!(table.cells("status", ""), ["done", "failed", "done"]);
    let reason = table.cells("reason", "")[1];
    assert!(reason.contains("layer") && reason.contains("not finite"), "{reason}");
    assert_eq!(table.cells("cosine", "")[1], "", "what failed has no numbers");
}

/// A program that plays the part of Asynapse in a process: it writes no row.
#[cfg(unix)]
fn impostor(bench: &Bench, text: &str) -> Crew {
    use std::os::unix::fs::PermissionsExt;
    let program = bench.put("impostor", format!("#!/bin/sh\n{text}\n"));
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a program");
    Crew { program, jobs: 2 }
}

fn small_sweep(bench: &Bench) -> (Folder, Sweep) {
    let words = ["learning.nudge=0.1,0.2,0.3".to_owned()];
    let sweep = Sweep::new(RunKind::Compare, Grid::read(Some("tiny"), &words, None).expect("a grid"));
    (Folder::create(&bench.path("sweep"), &sweep).expect("a folder"), sweep)
}

#[test]
#[cfg(unix)]
fn a_process_that_dies_is_a_row_with_its_last_words() {
    for (text, expected) in [
        ("kill -9 $$", "its process ended with signal 9: it said nothing"),
        ("echo out of memory >&2; exit 7", "its process ended with exit code 7: out of memory"),
        ("printf \"x\\nthread 'main' panicked at a.rs:1:\\nboom\\nnote: run with RUST\\n\" >&2; exit 101", "boom"),
        ("exit 0", "its process ended with exit code 0: it said nothing"),
    ] {
        let bench = Bench::new();
        let (folder, sweep) = small_sweep(&bench);
        let mut told = 0;
        let cancel = CancellationToken::new();
        let rows = run(&folder, &sweep, &impostor(&bench, text), &cancel, &mut |_, _| told += 1).expect("rows");
        assert_eq!((rows.len(), told), (3, 3));
        for row in &rows {
            assert_eq!(row.status, RowStatus::Failed);
            assert!(row.reason.contains(expected) && !row.reason.contains("note:"), "{}", row.reason);
            assert_eq!(folder.row(row.run).expect("a row"), Some(row.clone()), "it is on the disk");
        }
    }
}

#[test]
#[cfg(unix)]
fn an_interrupted_run_has_no_row_and_a_cancelled_sweep_starts_none() {
    let bench = Bench::new();
    let (folder, sweep) = small_sweep(&bench);
    let cancel = CancellationToken::new();
    let rows = run(&folder, &sweep, &impostor(&bench, "exit 130"), &cancel, &mut |_, _| ()).expect("rows");
    assert!(rows.is_empty(), "they are to be continued");
    cancel.cancel();
    let started = bench.path("started");
    let crew = impostor(&bench, &format!("touch {}", started.display()));
    assert!(run(&folder, &sweep, &crew, &cancel, &mut |_, _| ()).expect("rows").is_empty());
    assert!(!started.exists(), "no process was started");
    let nobody = Crew { program: bench.path("nobody"), jobs: 1 };
    let error = run(&folder, &sweep, &nobody, &CancellationToken::new(), &mut |_, _| ()).expect_err("no program");
    assert!(error.to_string().contains("nobody can't be started"), "{error}");
}

#[test]
#[cfg(unix)]
fn an_interrupted_sweep_says_how_to_go_on_and_ends_with_the_same_index() {
    let bench = Bench::new();
    // Long enough to be interrupted, short enough to be waited for.
    let axes = ["learning.nudge=0.1..0.6:6", "inference.max_infer_iters=3000", "--jobs", "1"];
    let words = [&["sweep"], &NETWORK[..], &axes].concat();
    let mut running = bench.start(&[&words[..], &["output.name=a"]].concat());
    running.until_said("1/6");
    running.signal("INT");
    let outcome = running.wait().expect(130).says(&["interrupted after", "asynapse sweep --folder runs/a --resume"]);
    assert!(outcome.stdout.is_empty(), "{outcome}");
    let made = index(&bench, "a").rows.len();
    assert!((1..6).contains(&made), "{made} rows");
    bench.run(&["sweep", "--folder", "runs/a", "--resume"]).expect(0);
    bench.run(&[&words[..], &["output.name=b"]].concat()).expect(0);
    assert!(bytes(&bench, "a") == bytes(&bench, "b"));
}

#[test]
fn training_runs_are_those_of_train_and_go_on_where_they_stopped() {
    let bench = Bench::new();
    let words =
        [&["sweep"], &SMALL[..], &["learning.rule=pc-nudge,backprop", "--run", "train", "--seeds", "2"]].concat();
    bench.run(&[&words[..], &["output.name=s"]].concat()).expect(0);
    let table = index(&bench, "s");
    for (run, (rule, seed)) in [("pc-nudge", 0), ("pc-nudge", 1), ("backprop", 0), ("backprop", 1)].iter().enumerate() {
        let name = format!("{rule}{seed}");
        bench.train(&name, &[&format!("learning.rule={rule}"), &format!("seed={seed}")]).expect(0);
        let alone = bench.run_directory(&name);
        let swept = Run::at(bench.path("runs/s").join(format!("run-{run:06}")));
        assert!(alone.learnt() == swept.learnt(), "{name}: the same weights, bit for bit");
        let tests = alone.table("metrics.csv");
        let accuracy = tests.numbers("accuracy", "test");
        assert_eq!(table.numbers("test_accuracy", "")[run], *accuracy.last().expect("a test"));
        let cosines: Vec<f64> =
            tests.cells("grad_cosine_similarity", "train").iter().filter_map(|c| c.parse().ok()).collect();
        let told = table.cells("cosine", "")[run];
        assert_eq!(told.is_empty(), cosines.is_empty());
        if let Ok(mean) = told.parse::<f64>() {
            assert_eq!(mean, cosines.iter().sum::<f64>() / cosines.len() as f64);
        }
    }
    // As after an interruption: a run directory with its checkpoint and no row.
    let before = bytes(&bench, "s");
    let folder = bench.run_directory("s");
    fs::remove_file(folder.file("rows/run-000001.json")).expect("a row");
    // And one in which nothing was stored yet: it is left as it is, beside the next attempt.
    fs::remove_file(folder.file("rows/run-000003.json")).expect("a row");
    fs::remove_dir_all(folder.file("run-000003/checkpoints")).expect("checkpoints");
    bench.run(&["sweep", "--folder", "runs/s", "--resume", "--metric", "test_loss"]).expect(0);
    assert!(folder.file("run-000003-2").is_dir());
    let after = String::from_utf8(bytes(&bench, "s")).expect("text").replace("run-000003-2", "run-000003");
    assert!(after.into_bytes() == before, "the same index but for the new folder");
}

#[test]
fn what_makes_no_grid_is_refused_before_anything_is_written() {
    let bench = Bench::new();
    for (words, parts) in [
        (&["learning.nugde=1,2"][..], &["`learning.nugde`", "did you mean `learning.nudge`?"][..]),
        (&["learning.nudge=0.1,2"], &["`learning.nudge` must be at most 1", "in run 1 learning.nudge=2"]),
        (&["learning.nudge=0.1,abc"], &["`learning.nudge` must be a number", "abc"]),
        (&["learning.nudge=0.1..0.01:3"], &["`learning.nudge=0.1..0.01:3`", "not below its end"]),
        (&["learning.nudge=0.1,0.2", "learning.nudge=1"], &["`learning.nudge` is swept and given a second time"]),
        (&["learning.nudge=0.1,0.2", "learning.nudge=0.3,0.4"], &["`learning.nudge` is swept"]),
        (&["seed=1,2", "--seeds", "3"], &["seed=1,2", "--seeds"]),
        (&["seed=1,x"], &["seed=1,x", "whole numbers"]),
        (&["--seeds", "0"], &["--seeds is 0"]),
        (&["--seeds", "many"], &["many"]),
        (&["output.name=a,b"], &["output.name", "whole sweep"]),
        (&["data.batch_size=1..1000:1000", "learning.nudge=0.1..1:1000"], &["more than 100000 runs"]),
        (
            &["learning.rule=pc-nudge,ep", "model.energy=hopfield"],
            &["the pc- rules", "in run 0 learning.rule=pc-nudge"],
        ),
        (&["model.act_fn=tanh,relu", "model.energy=hopfield"], &["bounded activations", "in run 1 model.act_fn=relu"]),
        (&["learning.rule=pc-nudge,backprop"], &["nothing to compare", "--run train", "in run 1"]),
        (&["model.widths=[784,10],[784,"], &["model.widths"]),
        (&["--run", "fly"], &["fly"]),
        (&["--jobs", "0"], &["0"]),
        (&["--resume"], &["output.name=NAME"]),
        (&["--collect"], &["output.name=NAME"]),
        (&["--task-id", "0"], &["output.name=NAME"]),
        (&["--task-id", "x", "output.name=a"], &["--task-id is `x`"]),
        (&["--resume", "output.name=a"], &["runs/a", "is not the folder of a sweep"]),
        (&["--folder", "nowhere"], &["leave out configuration"]),
        (&["tiny", "digits"], &["one configuration at a time"]),
    ] {
        let outcome = bench.run(&[&["sweep"], &NETWORK[..], words].concat()).expect(2).says(parts);
        assert!(outcome.stdout.is_empty() && bench.names().is_empty(), "left {:?} by {outcome}", bench.names());
    }
    bench.run(&["sweep", "--folder", "nowhere"]).expect(2).says(&["nowhere", "is not the folder of a sweep"]);
    let outcome = sweep(&bench, "a", &[&GRID[..], &["--dry-run"]].concat()).expect(0);
    for part in ["8 runs of `compare`, numbered 0 to 7", "2 × learning.nudge = 0.1, 0.01", "2 × seed = 0, 1"] {
        assert!(outcome.stdout.contains(part), "{part}: {outcome}");
    }
    assert!(bench.names().is_empty(), "a dry run writes nothing");
}

#[test]
fn another_grid_is_not_taken_for_the_same() {
    let bench = Bench::new();
    let grid = ["learning.nudge=0.1,0.01", "inference.max_infer_iters=3,4"];
    sweep(&bench, "a", &grid).expect(0);
    let before = bytes(&bench, "a");
    sweep(&bench, "a", &grid).expect(2).says(&["runs/a", "exists already", "--resume"]);
    for (words, part) in [
        (&["learning.nudge=0.1,0.02", "inference.max_infer_iters=3,4"][..], "learning.nudge=0.1,0.02"),
        (&["inference.max_infer_iters=3,4", "learning.nudge=0.1,0.01"], "another order"),
        (&[grid[0], grid[1], "--seeds", "2"], "seeds 0,1"),
        (&[grid[0], grid[1], "model.act_fn=relu"], "model.act_fn=relu"),
        (&[grid[0], grid[1], "--run", "train"], "`compare`, not `train`"),
    ] {
        sweep(&bench, "a", &[words, &["--resume"]].concat()).expect(2).says(&["runs/a", "another sweep", part]);
        sweep(&bench, "a", &[words, &["--task-id", "0"]].concat()).expect(2).says(&["another sweep", part]);
    }
    assert!(bytes(&bench, "a") == before);
    sweep(&bench, "a", &[&grid[..], &["--resume"]].concat()).expect(0);
    sweep(&bench, "a", &[&grid[..], &["--resume", "--metric", "cosin"]].concat()).expect(2).says(&["cosin", "cosine"]);
    let all = sweep(&bench, "a", &[&grid[..], &["--resume", "--json"]].concat()).expect(0);
    let parsed: Json = serde_json::from_str(&all.stdout).expect("JSON");
    assert_eq!(parsed.as_array().map(Vec::len), Some(4));
    // Damage is named, and never taken for a result.
    bench.put("runs/a/rows/run-000001.json", "{");
    sweep(&bench, "a", &[&grid[..], &["--resume"]].concat()).expect(2).says(&["run-000001.json", "is no row"]);
    bench.put("runs/a/sweep.json", "{}");
    sweep(&bench, "a", &[&grid[..], &["--resume"]].concat()).expect(2).says(&["sweep.json"]);
}

#[test]
fn values_with_commas_and_networks_of_other_depths_share_an_index() {
    let bench = Bench::new();
    let axes = ["model.widths=[784,10],[784,6,10]", "model.precision=1,2"];
    bench.run(&[&["sweep", "tiny", "data.train=64", "output.name=a"], &axes[..]].concat()).expect(0);
    let table = index(&bench, "a");
    assert_eq!(table.cells("model.widths", ""), ["[784,10]", "[784,10]", "[784,6,10]", "[784,6,10]"]);
    assert_eq!(
        table.cells("cosine_W2", "").iter().map(|cell| cell.is_empty()).collect::<Vec<_>>(),
        [true, true, false, false]
    );
    assert_eq!(rows(&bench, "a").len(), 4, "a row each, and no logs of what went well");
    let folder = Folder::open(&bench.path("runs/a")).expect("a sweep").0;
    let row = folder.row(3).expect("a row").expect("it was run");
    assert_eq!(row.settings[1], ("model.precision".to_owned(), "2".to_owned()));
    assert!(matches!(row.metric("stop_reason"), Some(Metric::Text(_))));
    assert!(Path::new(folder.path()).join("sweep.json").is_file());
}
