//! Lines between hosts that go dead without a word: every packet is dropped, no connection is closed (`tests/hosts/router.py`). Oracle:
//! the run in one process that nothing happened to, bit for bit; and the exit codes, sentences and generations that are promised.
//!
//! The coordinator is on the first of three hosts, a worker on each of the others, so that the three lines can be cut one by one.

use std::time::{Duration, Instant};

use super::hosts::{coordinator, hosts, make_keys, worker};
use super::namespaces::{Hosts, Wires};
use super::program::{Bench, Running};

/// 25 steps in an epoch, a checkpoint after every third.
const SHORT: [&str; 3] = ["data.batch_size=8", "inference.max_infer_iters=8", "record.checkpoint_every=3"];

/// A run of some epochs that has made some checkpoints: its coordinator and its two workers.
struct Scene {
    epochs: u64,
    settings: Vec<String>,
    hosts: Hosts,
    bench: Bench,
    host: Running,
    workers: [Running; 2],
}

/// Begins a run of layers cut into so many groups, or says why there are no hosts.
fn begin(wires: Wires, epochs: u64, groups: usize) -> Option<Scene> {
    let (hosts, bench) = (hosts(wires)?, Bench::new());
    make_keys(&bench, "k");
    let endpoint = format!("tcp:{}:7400", hosts.address(0));
    let settings = vec![format!("learning.epochs={epochs}"), format!("model.groups={groups}")];
    let own: Vec<&str> = settings.iter().map(String::as_str).collect();
    let more = [&SHORT[..], &own, &["workers=2", "output.name=a"]].concat();
    let host = bench.start_behind(&hosts.on(0), &coordinator(&endpoint, &["--keys", "k"], &more));
    let words = worker(&endpoint, &["--keys", "k", "--wait", "60"]);
    let workers = [1, 2].map(|which| bench.start_behind(&hosts.on(which), &words));
    let mut scene = Scene { epochs, settings, hosts, bench, host, workers };
    let run = scene.bench.run_directory("a");
    scene.host.until("its checkpoints", || (run.checkpoints().len() >= 2).then_some(()));
    Some(scene)
}

impl Scene {
    /// Waits for the end of the run, which is that of one to which nothing happened; so many generations did it.
    #[track_caller]
    fn ends_well(self, generations: &str, said: &[&str]) {
        let Self { epochs, settings, bench, host, workers, .. } = self;
        let outcome = host.wait().expect(0).says(said);
        workers.into_iter().for_each(|worker| drop(worker.wait().expect(0)));
        let own: Vec<&str> = settings.iter().map(String::as_str).collect();
        bench.train("b", &[&SHORT[..], &own].concat()).expect(0);
        let [run, undisturbed] = ["a", "b"].map(|name| bench.run_directory(name));
        assert!(run.learnt() == undisturbed.learnt(), "other weights: {outcome}");
        assert_eq!(run.timeless_metrics(), undisturbed.timeless_metrics());
        assert_eq!((run.status().as_str(), run.position()), ("done", [25 * epochs, epochs, 0]));
        assert_eq!(run.text("generation"), generations, "{outcome}");
    }
}

#[test]
fn a_dead_line_between_two_workers_is_noticed_and_the_run_goes_on_when_it_is_healed() {
    // Whole layers have other links than groups of neurons.
    for groups in [1, 2] {
        let Some(mut scene) = begin(Wires::Slow(1, 0.0), 4, groups) else { return };
        scene.hosts.cut(1, 2);
        let cut = Instant::now();
        scene.host.until_said("generation 2 waits");
        eprintln!("groups={groups}: a dead line was noticed after {:?}", cut.elapsed());
        scene.hosts.heal();
        let pids = [0, 1].map(|which| format!("(process {}, layer", scene.workers[which].pid()));
        scene.ends_well("2\n", &["the line between worker", &pids[0], &pids[1], "is dead", "all workers were cut off"]);
    }
}

#[test]
fn a_line_that_stays_dead_ends_the_run_with_the_command_that_goes_on_with_it() {
    let Some(mut scene) = begin(Wires::Slow(1, 0.0), 4, 1) else { return };
    scene.hosts.cut(1, 2);
    let cut = Instant::now();
    scene.host.until_said("generation 3 waits");
    eprintln!("the third generation was tried after {:?}", cut.elapsed());
    scene.host.wait().expect(75).says(&[
        "is dead",
        "3 generations in a row made no checkpoint",
        "the last good checkpoint is runs/a/checkpoints/step-",
        "go on with: asynapse coordinator --listen tcp:",
    ]);
    assert_eq!(scene.bench.run_directory("a").status(), "failed");
}

#[test]
fn lines_that_lose_a_tenth_or_rest_for_a_second_are_not_dead_and_nor_is_a_coordinator_that_was_stopped() {
    let Some(mut scene) = begin(Wires::Slow(1, 0.0), 4, 1) else { return };
    scene.hosts.cut(1, 2);
    std::thread::sleep(Duration::from_secs(1));
    scene.hosts.heal();
    // Longer than anybody may be without an answer: its system gives them.
    scene.host.signal("STOP");
    std::thread::sleep(Duration::from_secs(9));
    scene.host.signal("CONT");
    scene.ends_well("1\n", &[]);
    let Some(scene) = begin(Wires::Slow(1, 0.1), 1, 1) else { return };
    scene.ends_well("1\n", &[]);
}

#[test]
fn workers_notice_that_the_coordinators_host_has_vanished_and_come_back() {
    let Some(mut scene) = begin(Wires::Slow(1, 0.0), 4, 1) else { return };
    scene.hosts.cut(0, 1);
    scene.hosts.cut(0, 2);
    let cut = Instant::now();
    scene.host.until_said("generation 2 waits");
    eprintln!("the coordinator missed both hosts after {:?}", cut.elapsed());
    for worker in &mut scene.workers {
        worker.until_said("again for up to 60 s");
        eprintln!("a worker missed its coordinator's host after {:?}", cut.elapsed());
    }
    scene.hosts.heal();
    scene.ends_well("2\n", &["has given no sign of life for 3 s", "it was not started from here and is left alone"]);
}
