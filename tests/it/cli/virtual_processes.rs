//! Runs in virtual time whose layers live in several processes. Oracles: the run in one process, byte for byte, with its log of
//! events; and the run that nothing happened to.

use std::fs;

use super::artefacts::Run;
use super::processes::{SLOW, gone, signal, workers};
use super::program::{Bench, SMALL};

/// Delays, losses, copies, overtaking and clocks that are drawn, and a log that reaches into the second epoch of seven batches.
const ROUGH: [&str; 12] = [
    "model.widths=[784,8,6,10]",
    "schedule.mode=virtual-time",
    "inference.max_infer_iters=12",
    "clocks.period={ law = \"uniform\", low = 0.5, high = 1.5 }",
    "links.delay={ law = \"exponential\", mean = 0.5, min = 0.25 }",
    "links.jitter={ law = \"gamma\", mean = 0.2, shape = 2 }",
    "links.loss=0.1",
    "links.duplicate=0.1",
    "links.reorder=true",
    "links.resend=5",
    "record.cosine_every=0",
    "record.event_log=10",
];

fn log(run: &Run) -> Vec<u8> {
    fs::read(run.file("events.log")).expect("a log")
}

/// Everything that a run leaves behind but times.
#[track_caller]
fn assert_alike(run: &Run, one: &Run, what: &str) {
    assert!(log(run) == log(one), "{what}: another log");
    assert_eq!(run.meta()["events"], one.meta()["events"], "{what}");
    for table in ["links.csv", "layers.csv"] {
        assert_eq!(run.text(table), one.text(table), "{what}: {table}");
    }
    assert_eq!((run.status(), run.position()), (one.status(), one.position()), "{what}");
    assert!(run.learnt() == one.learnt(), "{what}: weights and optimiser states");
    assert_eq!(run.timeless_metrics(), one.timeless_metrics(), "{what}");
}

#[test]
fn several_processes_leave_the_bits_and_the_log_of_one() {
    let bench = Bench::new();
    bench.train("one", &[&ROUGH[..], &["learning.epochs=2"]].concat()).expect(0);
    let one = bench.run_directory("one");
    for (name, more) in [
        ("two", &["workers=2"][..]),
        ("three", &["workers=3", "links.transport=tcp"]),
        ("placed", &["workers=3", "schedule.placement=[[1],[2,3],[0]]", "schedule.shards=3"]),
        ("each", &["workers=4"]),
    ] {
        bench.train(name, &[&ROUGH[..], &["learning.epochs=2"], more].concat()).expect(0);
        assert_alike(&bench.run_directory(name), &one, name);
    }
    let replayed = bench.run(&["replay", "runs/three"]).expect(0);
    assert!(replayed.stdout.contains(one.meta()["events"]["sha256"].as_str().expect("a digest")), "{replayed}");
    assert_eq!(bench.socket_folders(), 0);
}

#[test]
fn a_run_is_resumed_in_another_number_of_processes() {
    let bench = Bench::new();
    bench.train("one", &[&ROUGH[..], &["learning.epochs=2"]].concat()).expect(0);
    bench.train("parts", &[&ROUGH[..], &["workers=3"]].concat()).expect(0);
    bench.resume("parts", &["learning.epochs=2", "workers=2"]).expect(0);
    let [parts, one] = ["parts", "one"].map(|name| bench.run_directory(name));
    assert!(parts.learnt() == one.learnt());
    assert!(log(&parts) == log(&one), "another log");
    assert_eq!(parts.text("links.csv"), one.text("links.csv"));
}

#[test]
fn workers_started_by_hand_leave_the_same_bits() {
    let bench = Bench::new();
    bench.train("one", &ROUGH).expect(0);
    let endpoint = format!("unix:{}", bench.path("a.sock").display());
    let words = ["coordinator", "--listen", &endpoint, "--secret-file", "secret", "--wait", "60"];
    let named = ["workers=2", "output.name=hand"];
    let mut host = bench.start(&[&words[..], &SMALL, &ROUGH, &named].concat());
    host.until("the socket", || bench.path("a.sock").exists().then_some(()));
    let worker = ["worker", "--connect", &endpoint, "--secret-file", "secret"];
    let workers = [bench.start(&worker), bench.start(&worker)];
    host.wait().expect(0);
    workers.into_iter().for_each(|worker| drop(worker.wait().expect(0)));
    assert_alike(&bench.run_directory("hand"), &bench.run_directory("one"), "by hand");
}

/// With a log of the first batches, some of which are made again.
const LATE: [&str; 4] = [
    "schedule.mode=virtual-time",
    "links.delay=1",
    "links.jitter={ law = \"exponential\", mean = 0.5 }",
    "record.event_log=6",
];

#[test]
fn a_killed_worker_is_made_up_for_and_the_log_is_that_of_an_undisturbed_run() {
    let bench = Bench::new();
    let mut process = bench.start_training("a", &[&SLOW[..], &LATE, &["workers=3"]].concat());
    let run = bench.run_directory("a");
    let mut all = Vec::new();
    for victim in 0..2 {
        let before = run.checkpoints().len() + usize::from(victim > 0);
        process.until("a checkpoint", || (run.checkpoints().len() > before.min(1)).then_some(()));
        let old = workers(&process);
        assert_eq!(old.len(), 3, "one process for every worker");
        signal("KILL", old[victim]);
        process.until_said(&format!("generation {}", victim + 2));
        all.extend(old);
        let position = run.position()[0];
        process.until("another checkpoint", || (run.position()[0] > position).then_some(()));
    }
    process.signal("INT");
    process.wait().expect(130).says(&["was killed (SIGKILL)", "interrupted after training step"]);
    gone(&all);
    let epochs = format!("learning.epochs={}", run.position()[1] + 1);
    bench.resume("a", &[&epochs]).expect(0);
    bench.train("b", &[&SLOW[..4], &LATE, &[epochs.as_str()]].concat()).expect(0);
    let undisturbed = bench.run_directory("b");
    assert!(run.learnt() == undisturbed.learnt());
    assert!(log(&run) == log(&undisturbed), "another log");
    assert_eq!(run.text("links.csv"), undisturbed.text("links.csv"));
}

/// In one process: what the state was before the first step of a batch is no part of the log.
#[test]
fn a_run_that_is_killed_within_its_log_goes_on_with_the_log_of_an_undisturbed_run() {
    let bench = Bench::new();
    let words = [&SLOW[..4], &LATE, &["learning.epochs=1"]].concat();
    let mut process = bench.start_training("a", &words);
    let run = bench.run_directory("a");
    process.until("a checkpoint", || (!run.checkpoints().is_empty()).then_some(()));
    process.signal("KILL");
    process.wait();
    bench.resume("a", &[]).expect(0);
    bench.train("b", &words).expect(0);
    assert!(log(&run) == log(&bench.run_directory("b")), "another log");
    bench.run(&["replay", "runs/a"]).expect(0);
}

#[test]
#[cfg(debug_assertions)]
fn a_worker_may_die_at_any_errand() {
    let short = ["data.train=48", "data.batch_size=8", "inference.max_infer_iters=5", "record.checkpoint_every=2"];
    let undisturbed = Bench::new();
    undisturbed.train("one", &[&short[..], &LATE].concat()).expect(0);
    let one = undisturbed.run_directory("one");
    for (place, counts) in [("worker.errand", [1, 9, 260, 430]), ("worker.performed", [2, 11, 340, 480])] {
        for count in counts {
            let bench = Bench::new();
            let fired = bench.put("fired/.none", "").with_file_name("");
            bench.set("ASYNAPSE_CRASH", &format!("{}:{place}@{count}", fired.display()));
            bench.train("a", &[&short[..], &LATE, &["workers=3"]].concat()).expect(0);
            assert!(fired.join(format!("{place}.{count}")).exists(), "{place} was never passed for the {count}th time");
            assert_alike(&bench.run_directory("a"), &one, &format!("{place}, {count}"));
        }
    }
}

#[test]
fn what_several_processes_cannot_do_in_virtual_time_is_refused_with_its_key() {
    let bench = Bench::new();
    let late = ["schedule.mode=virtual-time", "links.delay=1"];
    for (more, said) in [
        (&["schedule.mode=virtual-time", "workers=2"][..], &["`workers` must be at most 1", "links.delay"][..]),
        (&[late[0], late[1], "workers=2", "schedule.shards=3"], &["`schedule.shards` must be 2"]),
        (&[late[0], late[1], "workers=2", "schedule.placement=[[0,2],[1]]"], &["schedule.placement", "side by side"]),
    ] {
        bench.train("none", more).expect(2).says(said);
    }
    let waves = ["delay", "delay", "workers=2", "data.train=20", "data.test=20"];
    bench.run(&waves).expect(2).says(&["`workers` must be 1", "delay-wall"]);
}
