//! Runs that are ended from outside: asked to by SIGINT and SIGTERM, or killed. Oracle: the run that was never disturbed. To be
//! sure of the middle, the disturbed run is given far more epochs than it will see, and a resumed run may be given fewer.

use std::fs::{self, OpenOptions};
use std::io::Write;

use super::artefacts::Run;
use super::program::{Bench, Running};
use super::resumed::assert_same;

/// 25 batches in an epoch, of some milliseconds each; a checkpoint at every third.
const SLOW: [&str; 4] =
    ["data.batch_size=8", "inference.max_infer_iters=500", "record.checkpoint_every=3", "record.layers_every=4"];

/// Starts a run that would go on for hours, and waits until it has made so many checkpoints.
fn begun(bench: &Bench, checkpoints: usize) -> Running {
    let mut process = bench.start_training("disturbed", &[&SLOW[..], &["learning.epochs=100000"]].concat());
    let run = bench.run_directory("disturbed");
    let written = || run.checkpoints().len() >= checkpoints;
    process.until("its checkpoints", || written().then_some(()));
    process
}

/// Resumes to the end of the epoch after the next and compares with the run that was never disturbed.
fn goes_on_as_if_nothing_had_been(bench: &Bench) {
    let run = bench.run_directory("disturbed");
    let epochs = format!("learning.epochs={}", run.position()[1] + 2);
    bench.resume("disturbed", &[&epochs]).expect(0);
    bench.train("undisturbed", &[&SLOW[..], &[&epochs]].concat()).expect(0);
    assert_same(&run, &bench.run_directory("undisturbed"));
}

fn asked_to_end_by(signal: &str) {
    let bench = Bench::new();
    let process = begun(&bench, 1);
    process.signal(signal);
    let outcome = process.wait().expect(130).says(&["interrupted after training step", "--resume runs/disturbed"]);
    assert!(outcome.stdout.is_empty(), "{outcome}");
    let run = bench.run_directory("disturbed");
    assert_eq!(run.status(), "interrupted");
    assert!(run.text("run.log").contains("interrupted after training step"), "the log says why it ended");
    let [step, ..] = run.position();
    assert!(outcome.stderr.contains(&format!("training step {step};")), "the checkpoint is of that step: {outcome}");
    assert_eq!(run.table("metrics.csv").cells("step", "train").last(), Some(&step.to_string().as_str()));
    goes_on_as_if_nothing_had_been(&bench);
}

#[test]
fn an_interrupted_run_goes_on_with_the_same_bits() {
    asked_to_end_by("INT");
}

#[test]
fn a_terminated_run_goes_on_with_the_same_bits() {
    asked_to_end_by("TERM");
}

#[test]
fn the_second_signal_does_not_wait_for_the_step() {
    let bench = Bench::new();
    // A single step of this run takes minutes.
    let mut process = bench.start_training("a", &["inference.max_infer_iters=10000000"]);
    let run = bench.run_directory("a");
    process.until("the run", || run.file("run.log").is_file().then_some(()));
    process.signal("INT");
    process.until_said("finishing this step; once more to stop at once");
    process.signal("TERM");
    process.wait().expect(130);
    assert!(run.checkpoints().is_empty(), "there was no time for one");
    assert_eq!(run.status(), "running", "nor to say so");
}

#[test]
fn a_killed_run_goes_on_with_the_same_bits() {
    let bench = Bench::new();
    let process = begun(&bench, 2);
    let run = bench.run_directory("disturbed");
    // While it runs nobody else may write there.
    bench.resume("disturbed", &[]).expect(2).says(&["runs/disturbed", "in use"]);
    process.signal("KILL");
    assert_eq!(process.wait().code, None, "ended by the signal");
    assert_eq!(run.status(), "running", "it could not say otherwise");
    // Three are kept, and a fourth may just have been written.
    assert!(run.checkpoints().len() <= 4, "{:?}", run.checkpoints());
    leave_torn_rows(&run);
    goes_on_as_if_nothing_had_been(&bench);
}

/// What a crash may leave behind as well: rows after the checkpoint, the last one torn, and half of a checkpoint.
fn leave_torn_rows(run: &Run) {
    for (table, rows) in
        [("metrics.csv", "7,99999999,train,1.0,0.5,,,,,,,,1.0\n7,99999999,tra"), ("layers.csv", "7,999")]
    {
        let file = OpenOptions::new().append(true).open(run.file(table));
        file.and_then(|mut file| file.write_all(rows.as_bytes())).expect("append");
    }
    let half = run.file("checkpoints").join(".step-00000099.tmp");
    fs::create_dir_all(&half).expect("a folder");
    fs::write(half.join("model.safetensors"), "half").expect("write");
}
