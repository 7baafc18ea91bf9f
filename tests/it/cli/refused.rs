//! Input that cannot be honoured. Oracle: the promise of the command line: exit code 2, a sentence that names the culprit (file,
//! key, line), nothing on stdout, nothing left on the disk.

use std::fs;

use super::super::data::samples;
use super::program::{Bench, SMALL};

/// What is typed after `train`, and what has to be said.
const TYPED: &[(&[&str], &[&str])] = &[
    (&["tiny", "learning.nugde=1"], &["`learning.nugde`", "override 1", "did you mean `learning.nudge`?"]),
    (&["tiny", "epochs=3"], &["`epochs`", "`learning.epochs`"]),
    (&["tiny", "seed=1", "learning.nudge=abc"], &["`learning.nudge`", "override 2", "abc"]),
    (&["tiny", "learning.epochs=-1"], &["`learning.epochs`", "override 1", "-1"]),
    (&["tiny", "learning.nudge=0"], &["`learning.nudge`", "in deviation variables and one-sided only"]),
    (&["tiny", "learning.nudge=-0.1"], &["`learning.nudge`", "number ≥ 0"]),
    (&["tiny", "model.precision_ratio=0"], &["`model.precision_ratio`", "> 0 and ≤ 1"]),
    (&["tiny", "model.precision_ratio=1.01"], &["`model.precision_ratio`", "> 0 and ≤ 1"]),
    (&["tiny", "model.precision_ratio=1e-30"], &["`model.precision_ratio`", "cannot hold"]),
    (&["tiny", "model.feedback_gain=0"], &["`model.feedback_gain`", "> 0 and ≤ 1"]),
    (&["tiny", "model.feedback_gain=1.5"], &["`model.feedback_gain`", "> 0 and ≤ 1"]),
    (&["tiny", "model.precision=0"], &["`model.precision`", "number > 0"]),
    (&["tiny", "model.precision=[1,-1]"], &["`model.precision`", "number > 0"]),
    (&["tiny", "model.feedback=transposed"], &["`model.feedback`", "`sign-symmetric`"]),
    (
        &["tiny", "model.feedback=kolen-pollack", "learning.optimizer=sgd"],
        &["`model.feedback`", "learning.weight_decay"],
    ),
    (&["tiny", "model.feedback=kolen-pollack", "learning.weight_decay=1"], &["`model.feedback`", "`adamw`"]),
    (&["ep-mnist", "data.dir=x", "model.precision=2"], &["precisions belong to predictive coding"]),
    (&["tiny", "model.act_fn=rleu"], &["`model.act_fn`", "did you mean `relu`?"]),
    (&["tiny", "model.widths=[784,"], &["`model.widths`", "complete"]),
    (&["tniy"], &["`tniy`", "neither a preset nor a file", "did you mean the preset `tiny`?"]),
    (&["nowhere.toml"], &["nowhere.toml", "cannot read", "No such file"]),
    (&["./"], &["./", "cannot read"]),
    (&["tiny", "digits"], &["`tiny` and `digits`", "one configuration at a time"]),
    (&["mnist"], &["`data.dir`", "preset mnist:"]),
    (&["tiny", "data.dir=nowhere"], &["nowhere is not a folder", "asynapse data fetch mnist"]),
    (&["tiny", "model.widths=[100,8,10]"], &["model.widths begins with 100", "784"]),
    (&["tiny", "model.widths=[784,8,9]"], &["model.widths ends with 9", "10 classes"]),
    (&["tiny", "output.dir=/proc/nowhere"], &["/proc/nowhere", "could not be created"]),
    (&["tiny", "output.dir="], &["`output.dir`", "override 1"]),
    (&["tiny", "output.name=a/b"], &["`output.name`", "plain file name"]),
    (&["tiny", "workers=4"], &["`workers` is 4", "3 layers"]),
    (&["tiny", "schedule.mode=reference", "schedule.threads=2"], &["`schedule.threads`", "reference"]),
    (&["tiny", "schedule.threads=60000"], &["`schedule.threads`", "the limit is 1024"]),
    (&["tiny", "data.train=4294967295"], &["`data.train`", "at most"]),
    (&["tiny", "data.validation=2000"], &["`data.validation`", "all 2000 training samples"]),
    (&["--no-such-option"], &["--no-such-option"]),
    (&["--resume"], &["--resume"]),
];

#[test]
fn what_cannot_be_honoured_is_refused_before_anything_is_written() {
    let bench = Bench::new();
    for (words, parts) in TYPED {
        let outcome = bench.run(&[&["train"], *words].concat()).expect(2).says(parts);
        assert!(outcome.stdout.is_empty(), "{outcome}");
        assert!(bench.names().is_empty(), "left behind: {:?} by {outcome}", bench.names());
    }
}

#[test]
fn a_bad_file_is_named_with_the_line() {
    let files: &[(&str, &[&str])] = &[
        ("seed = 1\n\n[learning]\nnugde = 0.1\n", &["bad.toml:4:", "`learning.nugde`", "did you mean `nudge`?"]),
        ("[learning]\nepochs = 0.5\n", &["bad.toml:2:", "`learning.epochs`", "0.5"]),
        ("seed = \n", &["bad.toml:1:", "a value is missing"]),
        ("[learning\nepochs = 1\n", &["bad.toml:1:", "not TOML"]),
        ("seed = 1\nseed = 2\n", &["bad.toml:2:", "not TOML"]),
        ("[lerning]\nepochs = 1\n", &["bad.toml:1:", "did you mean `[learning]`?"]),
        ("seed = 'x'\n[learning]\nepochs = 'y'\n", &["bad.toml:1:", "bad.toml:3:", "2 problems"]),
    ];
    let bench = Bench::new();
    for (content, parts) in files {
        bench.put("bad.toml", content);
        for command in ["train", "compare"] {
            let outcome = bench.run(&[command, "bad.toml"]).expect(2).says(parts);
            assert!(outcome.stdout.is_empty(), "{outcome}");
        }
        bench.run(&["config", "check", "bad.toml"]).expect(2).says(parts);
        assert_eq!(bench.names(), ["bad.toml"]);
    }
    bench.put("bad.toml", b"seed = 1\n# \xff\n");
    bench.run(&["train", "bad.toml"]).expect(2).says(&["bad.toml", "line 2 is not UTF-8"]);
}

#[test]
fn bad_data_files_are_named() {
    let names = samples::ROLES.map(|role| role.spellings()[1].clone());
    let files = samples::raw_files();
    for (index, name) in names.iter().enumerate() {
        let bench = Bench::new();
        for (name, content) in names.iter().zip(&files) {
            bench.put(&format!("idx/{name}"), content);
        }
        let refused = |parts: &[&str]| {
            let words = ["train", "tiny", "data.dir=idx", "model.widths=[30,6,4]", "learning.epochs=1"];
            bench.run(&words).expect(2).says(parts);
            assert_eq!(bench.names(), ["idx"]);
        };
        bench.put(&format!("idx/{name}"), &files[index][..files[index].len() - 1]);
        refused(&[name, "cut short"]);
        bench.put(&format!("idx/{name}"), "this is no IDX file");
        refused(&[name, "not an IDX file"]);
        fs::remove_file(bench.path("idx").join(name)).expect("remove");
        refused(&["idx", name, "incomplete"]);
    }
}

#[test]
fn more_samples_than_there_are_is_an_error_of_the_key() {
    let bench = Bench::new();
    for (name, content) in samples::ROLES.map(|role| role.spellings()[1].clone()).iter().zip(&samples::raw_files()) {
        bench.put(&format!("idx/{name}"), content);
    }
    for (setting, parts) in [
        ("data.train=61", ["data.train asks for 61", "60"]),
        ("data.test=21", ["data.test asks for 21", "20"]),
        ("data.validation=60", ["data.validation asks for 60", "60"]),
        ("model.widths=[784,6,4]", ["model.widths begins with 784", "30 pixels"]),
        ("model.widths=[30,6,10]", ["model.widths ends with 10", "4 classes"]),
    ] {
        bench.run(&["train", "digits", "data.dir=idx", "model.widths=[30,6,4]", setting]).expect(2).says(&parts);
    }
    assert_eq!(bench.names(), ["idx"]);
}

#[test]
fn nothing_is_overwritten() {
    let bench = Bench::new();
    bench.train("a", &[]).expect(0);
    let run = bench.run_directory("a");
    let before = run.files();
    bench.train("a", &["seed=1"]).expect(2).says(&["runs/a", "exists already", "output.name", "--resume"]);
    assert!(run.files() == before, "the first run stands");

    bench.put("runs/b", "a file where the run directory should be");
    bench.train("b", &[]).expect(2).says(&["runs/b", "exists already"]);
    bench.put("file", "a file where the folder of runs should be");
    bench
        .run(&[&["train"], &SMALL[..], &["output.dir=file"]].concat())
        .expect(2)
        .says(&["file", "could not be created"]);
    bench.run(&[&["train"], &SMALL[..], &["output.dir=file/in it"]].concat()).expect(2).says(&["file/in it"]);
    assert_eq!(bench.names(), ["file", "runs"]);
    assert_eq!(fs::read_dir(bench.path("runs")).expect("runs").count(), 2);
}

#[test]
fn commands_that_do_not_exist_are_refused() {
    let bench = Bench::new();
    for (words, part) in [
        (&["tarin"][..], "tarin"),
        (&["config", "shwo"], "shwo"),
        (&["data", "get"], "get"),
        (&["compare", "--tolerance", "small"], "small"),
        (&["compare", "--tolerance", "nan"], "--tolerance"),
        (&[], "Usage"),
        (&["config"], "Usage"),
    ] {
        let outcome = bench.run(words).expect(2).says(&[part]);
        assert!(outcome.stdout.is_empty(), "{outcome}");
    }
    assert!(bench.names().is_empty());
}
