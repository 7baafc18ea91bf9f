//! Runs that go on where they stopped. Oracle: the run that was never stopped, bit for bit but for its clock; and, where nothing
//! may be resumed, the files as they were before.

use std::fs;

use super::super::data::samples;
use super::artefacts::Run;
use super::program::Bench;

/// A resumed run against the undisturbed one.
#[track_caller]
pub(super) fn assert_same(resumed: &Run, undisturbed: &Run) {
    let names =
        [resumed, undisturbed].map(|run| run.path().file_name().expect("a name").to_string_lossy().into_owned());
    assert_eq!(resumed.position(), undisturbed.position());
    assert!(resumed.learnt() == undisturbed.learnt(), "weights and optimiser states");
    assert_eq!(resumed.timeless_metrics(), undisturbed.timeless_metrics());
    assert_eq!(resumed.text("layers.csv"), undisturbed.text("layers.csv"));
    assert_eq!(resumed.status(), "done");
    let renamed = resumed.text("config.toml").replace(&format!("\"{}\"", names[0]), &format!("\"{}\"", names[1]));
    let expected = undisturbed.text("config.toml");
    let differing: Vec<_> = renamed.lines().zip(expected.lines()).filter(|(one, other)| one != other).collect();
    assert!(renamed == expected, "what is stored describes the whole run, but {differing:?}");
}

#[test]
fn one_epoch_and_another_are_two_epochs() {
    for more in [
        &["data.validation=40"][..],
        &["learning.optimizer=momentum", "schedule.mode=reference", "record.every=3"],
        &["learning.optimizer=sgd", "dtype=f64", "record.cosine_every=3"],
        &["learning.optimizer=adamw", "learning.rule=backprop"],
        &["model.widths=[784,12,8,10]", "model.feedback=random"],
        &["model.widths=[784,12,8,10]", "model.feedback=sign-symmetric", "schedule.mode=reference"],
        &[
            "model.widths=[784,12,8,10]",
            "model.feedback=kolen-pollack",
            "learning.optimizer=momentum",
            "learning.weight_decay=0.01",
        ],
        &[
            "model.widths=[784,12,8,10]",
            "model.feedback=kolen-pollack",
            "learning.optimizer=adamw",
            "learning.weight_decay=0.1",
            "schedule.mode=reference",
        ],
        &["numerics.message_noise=0.01", "numerics.state_noise=0.01", "numerics.messages=fp16", "data.validation=40"],
        &["numerics.message_noise=0.01", "schedule.mode=reference", "inference.variables=deviation"],
    ] {
        let bench = Bench::new();
        bench.train("whole", &[more, &["learning.epochs=2"]].concat()).expect(0);
        bench.train("parts", more).expect(0);
        let outcome = bench.resume("parts", &["learning.epochs=2"]).expect(0);
        assert!(!outcome.stderr.contains("steps 0 to"), "it does not begin again: {outcome}");
        let run = bench.run_directory("parts");
        assert_same(&run, &bench.run_directory("whole"));
        assert_eq!(run.text("overrides.txt").lines().last(), Some("learning.epochs=2"), "what was typed is kept");
    }
}

#[test]
fn another_number_of_threads_changes_no_bit() {
    let bench = Bench::new();
    bench.train("whole", &["learning.epochs=2", "schedule.threads=2"]).expect(0);
    bench.train("parts", &["schedule.threads=1"]).expect(0);
    bench.resume("parts", &["learning.epochs=2", "schedule.threads=2"]).expect(0);
    assert_same(&bench.run_directory("parts"), &bench.run_directory("whole"));
}

#[test]
fn a_run_without_an_order_goes_on_as_well() {
    let bench = Bench::new();
    let free = ["schedule.mode=free-running", "schedule.threads=2", "links.message=state"];
    bench.train("a", &free).expect(0);
    bench.resume("a", &["learning.epochs=3"]).expect(0);
    let run = bench.run_directory("a");
    assert_eq!((run.position(), run.status().as_str()), ([21, 3, 0], "done"));
    let metrics = run.table("metrics.csv");
    assert_eq!(metrics.numbers("step", "train"), (1..=21).map(f64::from).collect::<Vec<_>>());
    assert_eq!(metrics.numbers("step", "test"), [7.0, 14.0, 21.0]);
}

#[test]
fn a_run_that_is_done_is_told_so_and_left_alone() {
    let bench = Bench::new();
    let first = bench.train("a", &[]).expect(0);
    let run = bench.run_directory("a");
    let before = run.files();
    for _ in 0..2 {
        let again = bench.resume("a", &[]).expect(0).says(&["1 epochs are done", "learning.epochs"]);
        let accuracy = |text: &str| text.split_whitespace().nth(2).map(str::to_owned);
        assert_eq!(accuracy(&again.stdout), accuracy(&first.stdout), "of the same weights: {again}");
    }
    assert!(run.files() == before, "nothing is written");
    bench.resume("a", &["learning.epochs=2"]).expect(0);
    let before = run.files();
    let name = run.path().file_name().expect("a name").to_string_lossy().into_owned();
    bench.resume("a", &["learning.epochs=1"]).expect(2).says(&[&name, "epoch 2", "learning.epochs = 1"]);
    assert!(run.files() == before, "nothing is written");
}

#[test]
fn a_run_that_ended_before_it_could_say_so_is_completed() {
    let bench = Bench::new();
    bench.train("a", &["learning.epochs=2"]).expect(0);
    let run = bench.run_directory("a");
    let (learnt, metrics) = (run.learnt(), run.text("metrics.csv"));
    // Killed behind the last checkpoint, in front of the last line of meta.json.
    let killed = run.text("meta.json").replace("\"done\"", "\"running\"");
    fs::write(run.file("meta.json"), killed).expect("write");
    bench.resume("a", &[]).expect(0);
    assert_eq!(run.status(), "done");
    assert_eq!(run.meta()["summary"]["steps"], 14);
    assert!(run.learnt() == learnt && run.text("metrics.csv") == metrics, "there was nothing left to learn");
}

#[test]
fn settings_that_would_make_it_another_run_are_refused() {
    let bench = Bench::new();
    bench.train("a", &[]).expect(0);
    let run = bench.run_directory("a");
    let before = run.files();
    for forbidden in ["learning.nudge=0.5", "seed=1", "data.batch_size=8", "output.name=b", "learning.rule=backprop"] {
        bench.resume("a", &["learning.epochs=2", forbidden]).expect(2).says(&[forbidden, "learning.epochs"]);
    }
    bench.resume("a", &["tiny"]).expect(2).says(&["`tiny`", "its own configuration"]);
    bench.resume("a", &["learning.epochs=two"]).expect(2).says(&["learning.epochs", "two"]);
    bench.resume("a", &["record.evry=2"]).expect(2).says(&["record.evry", "record.every"]);
    assert!(run.files() == before, "nothing is written");
    assert_eq!(fs::read_dir(bench.path("runs")).expect("runs").count(), 1);
}

#[test]
fn only_a_run_can_be_resumed() {
    let bench = Bench::new();
    bench.resume("nothing", &[]).expect(2).says(&["runs/nothing", "not a run directory"]);
    assert!(bench.names().is_empty(), "nothing is made");
    fs::create_dir_all(bench.path("runs/empty")).expect("a folder");
    bench.resume("empty", &[]).expect(2).says(&["runs/empty", "not a run directory"]);
    bench.train("a", &[]).expect(0);
    fs::remove_dir_all(bench.path("runs/a/checkpoints")).expect("remove");
    bench.resume("a", &["learning.epochs=2"]).expect(2).says(&["runs/a", "no checkpoint"]);
    fs::remove_file(bench.path("runs/a/meta.json")).expect("remove");
    bench.resume("a", &["learning.epochs=2"]).expect(2).says(&["runs/a/meta.json"]);
}

#[test]
fn other_data_are_refused() {
    let bench = Bench::new();
    let names = samples::ROLES.map(|role| role.spellings()[1].clone());
    let put = |index: usize, content: &[u8]| bench.put(&format!("idx/{}", names[index]), content);
    let files = samples::raw_files();
    files.iter().enumerate().for_each(|(index, content)| drop(put(index, content)));
    let own = ["data.dir=idx", "data.train=0", "data.test=0", "model.widths=[30,6,4]"];
    bench.train("whole", &[&own[..], &["learning.epochs=2"]].concat()).expect(0);
    bench.train("parts", &own).expect(0);
    let run = bench.run_directory("parts");
    let before = run.files();
    for (index, name) in names.iter().enumerate() {
        let mut other = files[index].clone();
        *other.last_mut().expect("content") ^= 1;
        put(index, &other);
        bench.resume("parts", &["learning.epochs=2"]).expect(2).says(&[name, "same data"]);
        assert!(run.files() == before, "nothing is written");
        put(index, &files[index]);
    }
    bench.resume("parts", &["learning.epochs=2"]).expect(0);
    assert_same(&run, &bench.run_directory("whole"));
}
