//! Runs whose workers or coordinators die, at named moments and at random ones. Oracle: the run in one process that nothing happened
//! to, bit for bit. That a moment was reached is seen by what the process leaves behind there.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use super::artefacts::Run;
use super::processes::{SLOW, begun, gone, is_there, processes, signal, workers};
use super::program::{Bench, Outcome, SMALL};
use super::resumed::assert_same;

/// Twelve steps, a checkpoint after every second, of which one is kept.
const SHORT: [&str; 5] = [
    "data.train=96",
    "data.batch_size=8",
    "inference.max_infer_iters=20",
    "record.checkpoint_every=2",
    "record.keep=1",
];

/// Goes on with a run until it is done; every time it does not end by itself, or gives up, it is resumed.
#[track_caller]
fn carried_through(bench: &Bench, first: Outcome, more: &[&str]) -> usize {
    let (mut outcome, mut resumed) = (first, 0);
    while outcome.code != Some(0) {
        assert!(matches!(outcome.code, None | Some(75)) && resumed < 10, "{outcome}");
        outcome = bench.resume("a", more);
        resumed += 1;
    }
    resumed
}

/// No process that was started in this folder is left.
#[track_caller]
fn nobody_is_left(bench: &Bench) {
    let folder = bench.path("..").canonicalize().expect("a folder").display().to_string();
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let command = |pid: u32| fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let is_ours = |pid: u32| String::from_utf8_lossy(&command(pid)).contains(&folder);
        let left: Vec<u32> = processes().into_iter().map(|(pid, ..)| pid).filter(|&pid| is_ours(pid)).collect();
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{left:?} are still there");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A run in which somebody dies at these places, against one in which nobody does.
fn dies_at(undisturbed: &Run, place: &str, count: u32, others: &str) {
    let bench = Bench::new();
    let fired = bench.put("fired/.none", "").with_file_name("");
    bench.set("ASYNAPSE_CRASH", &format!("{}:{place}@{count}{others}", fired.display()));
    carried_through(&bench, bench.train("a", &[&SHORT[..], &["workers=3"]].concat()), &[]);
    assert!(fired.join(format!("{place}.{count}")).exists(), "{place} was never passed for the {count}th time");
    let run = bench.run_directory("a");
    assert!(run.learnt() == undisturbed.learnt(), "{place}, {count}: other weights");
    assert_eq!(run.timeless_metrics(), undisturbed.timeless_metrics(), "{place}, {count}");
    assert_eq!(run.text("layers.csv"), undisturbed.text("layers.csv"), "{place}, {count}");
    assert_eq!((run.status().as_str(), run.position()), ("done", undisturbed.position()), "{place}, {count}");
    nobody_is_left(&bench);
}

fn at_each(places: &[&str], others: impl Fn(u32) -> &'static str) {
    let bench = Bench::new();
    bench.train("one", &SHORT).expect(0);
    for place in places {
        for count in [1, 2, 5] {
            dies_at(&bench.run_directory("one"), place, count, others(count));
        }
    }
}

/// What is passed once in a generation is passed five times if four die.
fn until_the_fifth(count: u32) -> &'static str {
    if count == 1 {
        ""
    } else {
        ",worker.committed@8,worker.committed@16,worker.committed@24,worker.committed@32,worker.committed@40"
    }
}

#[test]
#[cfg(debug_assertions)]
fn workers_that_die_while_they_start() {
    let places = [
        "worker.called",
        "worker.task",
        "worker.listening",
        "worker.linked",
        "worker.ready",
        "worker.install",
        "worker.installed",
    ];
    at_each(&places, until_the_fifth);
}

#[test]
#[cfg(debug_assertions)]
fn workers_that_die_in_a_step() {
    let places =
        ["worker.present", "worker.presented", "worker.begin", "worker.begun", "worker.collect", "worker.collected"];
    at_each(&places, |_| "");
}

#[test]
#[cfg(debug_assertions)]
fn workers_that_die_in_a_transaction() {
    let places = [
        "worker.prepare",
        "worker.prepared",
        "worker.commit",
        "worker.committed",
        "worker.store",
        "worker.stored",
        "worker.extract",
        "worker.extracted",
    ];
    at_each(&places, |_| "");
}

#[test]
#[cfg(debug_assertions)]
fn coordinators_that_die_while_they_start() {
    let places = ["generation", "spawned", "gathered", "task", "connect", "ready", "raised", "install", "ended"];
    let places = places.map(|place| format!("coordinator.{place}"));
    at_each(&places.each_ref().map(String::as_str), |_| until_the_fifth(2));
}

#[test]
#[cfg(debug_assertions)]
fn coordinators_that_die_in_a_transaction() {
    let places = ["prepare", "half-prepared", "commit", "half-committed", "store"];
    let places = places.map(|place| format!("coordinator.{place}"));
    at_each(&places.each_ref().map(String::as_str), |_| "");
}

#[test]
#[cfg(debug_assertions)]
fn coordinators_that_die_while_they_write_a_checkpoint() {
    let places = ["begun", "file", "aside", "renamed", "durable", "pruned"];
    let places = places.map(|place| format!("coordinator.checkpoint-{place}"));
    at_each(&places.each_ref().map(String::as_str), |_| "");
}

/// Ends a run that would go on for hours at the end of its epoch, and compares.
fn ends_as_if_nothing_had_been(bench: &Bench) {
    let run = bench.run_directory("a");
    let epochs = format!("learning.epochs={}", run.position()[1] + 1);
    carried_through(bench, bench.resume("a", &[&epochs]), &[]);
    bench.train("b", &[&SLOW[..4], &[&epochs]].concat()).expect(0);
    assert!(run.learnt() == bench.run_directory("b").learnt(), "other weights");
    assert_eq!(run.timeless_metrics(), bench.run_directory("b").timeless_metrics());
    assert_eq!(run.text("layers.csv"), bench.run_directory("b").text("layers.csv"));
}

#[test]
fn a_killed_worker_is_made_up_for_and_the_bits_are_those_of_an_undisturbed_run() {
    for victim in [0, 2] {
        let bench = Bench::new();
        let (mut process, old) = begun(&bench, &[]);
        signal("KILL", old[victim]);
        let named = format!("worker {victim} (process {}, layer {victim}) was killed (SIGKILL)", old[victim]);
        process.until_said(&named);
        process.until_said("generation 2 starts all workers anew and goes on after step");
        gone(&old);
        let run = bench.run_directory("a");
        let before = run.position()[0];
        process.until("another checkpoint", || (run.position()[0] > before + 3).then_some(()));
        let new = workers(&process);
        assert!(new.len() == 3 && new.iter().all(|pid| !old.contains(pid)), "{old:?} and then {new:?}");
        assert!(run.text("run.log").contains(&named), "the log says it too");
        process.signal("INT");
        process.wait().expect(130);
        gone(&new);
        ends_as_if_nothing_had_been(&bench);
        assert_eq!(bench.socket_folders(), 0);
    }
}

/// Where a free phase begins at the states of the batch before, those are in the checkpoint; the next batch is no other one for it.
#[test]
fn states_that_go_on_from_batch_to_batch_survive_a_kill() {
    for (mode, workers) in [("lock-step", "workers=3"), ("lock-step", "workers=1"), ("reference", "workers=1")] {
        for energy in [&["inference.free_phase=persistent"][..], &HOPFIELD] {
            let bench = Bench::new();
            let schedule = format!("schedule.mode={mode}");
            let more = [&SLOW[..4], energy, &[&schedule, "inference.max_infer_iters=5"]].concat();
            let mut process = bench.start_training("a", &[&more[..], &["learning.epochs=100000", workers]].concat());
            let run = bench.run_directory("a");
            // In the middle of an epoch: at its end the states are those of an evaluation.
            process.until("a checkpoint", || (run.checkpoints().len() >= 2 && run.position()[2] > 0).then_some(()));
            process.signal("KILL");
            process.wait();
            let epochs = format!("learning.epochs={}", run.position()[1] + 1);
            bench.resume("a", &[&epochs]).expect(0);
            bench.train("b", &[&more[..], &[&epochs]].concat()).expect(0);
            assert!(run.learnt() == bench.run_directory("b").learnt(), "{mode} {workers} {energy:?}: other weights");
        }
    }
}

/// An energy whose free phases are found by descent, from where the batch before ended.
const HOPFIELD: [&str; 6] = [
    "record.cosine_every=0",
    "model.energy=hopfield",
    "learning.rule=ep",
    "model.act_fn=hard-sigmoid",
    "inference.free_phase=persistent",
    "model.loss=squared-error",
];

#[test]
fn a_killed_worker_of_a_run_without_an_order_is_made_up_for() {
    let bench = Bench::new();
    let (mut process, old) = begun(&bench, &["schedule.mode=free-running", "learning.epochs=4"]);
    signal("KILL", old[1]);
    process.until_said("goes on after step");
    process.wait().expect(0);
    let run = bench.run_directory("a");
    assert_eq!((run.position(), run.status().as_str()), ([100, 4, 0], "done"));
    // Every step is there once.
    let steps = run.table("metrics.csv").numbers("step", "train");
    assert_eq!(steps, (1..=100).map(f64::from).collect::<Vec<_>>());
}

#[test]
fn a_stopped_worker_is_noticed_ended_and_made_up_for() {
    let bench = Bench::new();
    // The watchdog of the engine is not to be the first.
    let (mut process, old) = begun(&bench, &["schedule.stall_seconds=100"]);
    signal("STOP", old[1]);
    process.until_said(&format!("worker 1 (process {}, layer 1) has given no sign of life for", old[1]));
    process.until_said("its process was killed; the other workers were told to end; generation 2");
    gone(&old);
    process.signal("INT");
    assert!(matches!(process.wait().code, Some(130)));
    ends_as_if_nothing_had_been(&bench);
}

/// A worker that nobody here can end is given up, its place taken, and then it wakes up.
#[test]
fn a_stopped_worker_that_wakes_up_when_it_has_been_replaced_changes_nothing() {
    let bench = Bench::new();
    let endpoint = format!("unix:{}", bench.path("a.sock").display());
    let host = ["coordinator", "--listen", &endpoint, "--secret-file", "secret", "--wait", "20"];
    let worker = || {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !bench.path("a.sock").exists() {
            assert!(Instant::now() < deadline, "nobody listens");
            thread::sleep(Duration::from_millis(5));
        }
        bench.start(&["worker", "--connect", &endpoint, "--secret-file", "secret"])
    };
    let own = ["workers=2", "output.name=a", "schedule.stall_seconds=100"];
    let mut first = bench.start(&[&host[..], &SMALL, &SLOW, &own].concat());
    let (mut sleeper, other) = (worker(), worker());
    let run = bench.run_directory("a");
    first.until("its checkpoints", || (run.checkpoints().len() >= 2).then_some(()));
    sleeper.signal("STOP");
    let outcome = first.wait().expect(75);
    outcome.says(&[
        "has given no sign of life",
        "it was not started from here and is left alone",
        "0 of 2 workers came within 20 s",
        "last good checkpoint",
    ]);
    other.wait();
    let epochs = format!("learning.epochs={}", run.position()[1] + 1);
    let second = bench.start(&[&host[..], &["--resume", "runs/a", &epochs]].concat());
    let replacements = [worker(), worker()];
    sleeper.until("its sleep", || Some(()));
    second.wait().expect(0);
    replacements.into_iter().for_each(|worker| drop(worker.wait().expect(0)));
    let learnt = run.learnt();
    sleeper.signal("CONT");
    sleeper.wait();
    assert!(run.learnt() == learnt && run.status() == "done");
    bench.train("b", &[&SLOW[..4], &[&epochs]].concat()).expect(0);
    assert!(learnt == bench.run_directory("b").learnt(), "other weights");
    // The second waited for workers in vain.
    assert_eq!(run.text("generation"), "3\n");
}

/// Numbers for choices, from a seed that is printed.
struct Choices(u64);

impl Choices {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

/// Kills at random until so many have hit: workers, coordinators, also shortly after one another.
fn killed_at_random(seed: u64, kills: u64) {
    let mut choices = Choices(seed);
    let bench = Bench::new();
    let words = [&SLOW[..], &["workers=3"]].concat();
    let mut process = bench.start_training("a", &words);
    let (mut hit, mut coordinators) = (0, 0);
    while hit < kills {
        let pause = if choices.below(4) == 0 { choices.below(30) } else { 20 + choices.below(400) };
        thread::sleep(Duration::from_millis(pause));
        if !is_there(process.pid()) {
            let ended = process.wait();
            assert!(matches!(ended.code, None | Some(75)), "seed {seed}: {ended}");
            process = bench.start(&["train", "--resume", "runs/a"]);
            continue;
        }
        let is_run = bench.path("runs/a/meta.json").exists();
        let workers = workers(&process);
        let victim = match choices.below(4) {
            0 if is_run => Some(process.pid()),
            _ => workers.get(choices.below(3) as usize).copied(),
        };
        // One that is gone already can't be hit.
        if let Some(victim) = victim.filter(|&victim| is_there(victim)) {
            signal("KILL", victim);
            hit += 1;
            coordinators += u64::from(victim == process.pid());
        }
    }
    process.signal("INT");
    let ended = process.wait();
    assert!(matches!(ended.code, None | Some(75 | 130)), "seed {seed}: {ended}");
    ends_as_if_nothing_had_been(&bench);
    let run = bench.run_directory("a");
    let generations: u64 = run.text("generation").trim().parse().expect("a number");
    let steps = run.position()[0];
    println!("seed {seed}: {kills} kills, {coordinators} of coordinators, {generations} generations, {steps} steps");
    assert!(generations > 1, "nobody noticed");
    nobody_is_left(&bench);
}

#[test]
fn kills_at_random_moments_change_no_bit() {
    let kills = std::env::var("ASYNAPSE_KILLS").ok().and_then(|count| count.parse().ok()).unwrap_or(12);
    for seed in 0..kills / 12 {
        killed_at_random(seed, 12);
    }
}

#[test]
fn a_worker_that_dies_again_and_again_is_given_up() {
    let bench = Bench::new();
    let (process, _) = begun(&bench, &[]);
    let run = bench.run_directory("a");
    let mut rounds = 0;
    // Faster than checkpoints are made: every generation is ended as soon as it is there.
    while is_there(process.pid()) && rounds < 400 {
        rounds += 1;
        workers(&process).into_iter().filter(|&pid| is_there(pid)).for_each(|pid| {
            let _ = std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status();
        });
        thread::sleep(Duration::from_millis(30));
    }
    let outcome = process.wait().expect(75);
    let outcome = outcome.says(&[
        "error: after",
        "given up, because",
        "was killed (SIGKILL)",
        "last good checkpoint",
        "--resume runs/a",
    ]);
    assert!(outcome.stdout.is_empty(), "{outcome}");
    assert_eq!(run.status(), "failed");
    ends_as_if_nothing_had_been(&bench);
}

#[test]
#[cfg(debug_assertions)]
fn generations_that_make_no_checkpoint_are_given_up() {
    let bench = Bench::new();
    let fired = bench.put("fired/.none", "").with_file_name("");
    // Whoever comes to its first phase ends there, in as many generations as there may be.
    let places: Vec<String> = (1..=9).map(|count| format!("worker.begun@{count}")).collect();
    bench.set("ASYNAPSE_CRASH", &format!("{}:{}", fired.display(), places.join(",")));
    let outcome = bench.train("a", &[&SHORT[..], &["workers=2"]].concat()).expect(75);
    let outcome =
        outcome.says(&["generation 2 starts", "generation 3 starts", "3 generations in a row made no checkpoint"]);
    outcome.says(&[
        "was ended by signal 6",
        "no checkpoint was written yet",
        "go on with: asynapse train --resume runs/a",
    ]);
    assert_eq!(bench.run_directory("a").text("generation"), "3\n");
}

#[test]
fn an_update_that_is_not_finite_is_made_on_no_layer() {
    let bench = Bench::new();
    let wild = ["learning.optimizer=sgd", "learning.param_lr=1e30", "learning.weight_decay=1e30", "workers=3"];
    let outcome = bench.train("a", &wild).expect(3);
    outcome.says(&["after 0 training steps", "the update of training step 1", "made on no layer", "learning.param_lr"]);
    let run = bench.run_directory("a");
    assert_eq!(run.status(), "diverged");
    assert!(run.checkpoints().is_empty(), "{:?}", run.checkpoints());
    nobody_is_left(&bench);
}

#[test]
fn a_full_disk_leaves_the_checkpoint_before_and_the_run_goes_on_when_there_is_room() {
    for workers in ["workers=1", "workers=3"] {
        let bench = Bench::new();
        bench.train("whole", &["learning.epochs=2", workers]).expect(0);
        bench.train("a", &[workers]).expect(0);
        let run = bench.run_directory("a");
        let before = run.learnt();
        // The optimiser's state has 51 KB; the shell counts in KiB, and a write beyond that is an error, not a signal.
        let words = ["train", "--resume", "runs/a", "learning.epochs=2"];
        let outcome = bench.run_limited("trap '' XFSZ; ulimit -f 40", &words).expect(75);
        let outcome =
            outcome.says(&["the checkpoint after training step 14 could not be made", "optimizer.safetensors"]);
        outcome.says(&[
            "File too large",
            "last good checkpoint is runs/a/checkpoints/step-00000007",
            "--resume runs/a",
        ]);
        assert_eq!((run.checkpoints(), run.status().as_str()), (vec!["step-00000007".to_owned()], "failed"));
        assert!(run.learnt() == before, "the checkpoint before is as it was");
        let folder = fs::read_dir(run.file("checkpoints")).expect("a folder");
        assert_eq!(folder.count(), 1, "nothing is left in the way");
        bench.resume("a", &["learning.epochs=2"]).expect(0);
        assert_same(&run, &bench.run_directory("whole"));
    }
}
