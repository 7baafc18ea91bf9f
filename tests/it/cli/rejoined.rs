//! Workers that somebody else starts, and that die, come back, or never do. Oracle: the run in one process that nothing happened to, bit
//! for bit; exit codes and sentences that are promised; the command that a run which ended says one can go on with, which is run.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::processes::{SLOW, is_there};
use super::program::{Bench, Running, SMALL};

/// A run of a hundred steps, a checkpoint after every third.
const HUNDRED: [&str; 2] = ["learning.epochs=4", "output.name=a"];

fn endpoints(bench: &Bench) -> [String; 2] {
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    [format!("unix:{}", bench.path("a.sock").display()), format!("tcp:127.0.0.1:{port}")]
}

/// Starts a coordinator, and comes back when its secret is there.
fn coordinator(bench: &Bench, endpoint: &str, wait: &str, more: &[&str]) -> Running {
    let host = ["coordinator", "--listen", endpoint, "--secret-file", "secret", "--wait", wait];
    let mut host = bench.start(&[&host[..], more].concat());
    host.until("the secret", || bench.path("secret").is_file().then_some(()));
    host
}

fn worker(bench: &Bench, endpoint: &str, wait: &str) -> Running {
    bench.start(&["worker", "--join", endpoint, "--secret-file", "secret", "--wait", wait])
}

fn begun(bench: &Bench, endpoint: &str, wait: &str) -> Running {
    coordinator(bench, endpoint, wait, &[&SMALL[..], &SLOW[..4], &HUNDRED, &["workers=2"]].concat())
}

fn some_checkpoints(bench: &Bench, host: &mut Running) {
    let run = bench.run_directory("a");
    host.until("its checkpoints", || (run.checkpoints().len() >= 2).then_some(()));
}

#[track_caller]
fn is_as_if_nothing_had_been(bench: &Bench) {
    bench.train("b", &[&SLOW[..4], &HUNDRED[..1]].concat()).expect(0);
    let [run, undisturbed] = ["a", "b"].map(|name| bench.run_directory(name));
    assert!(run.learnt() == undisturbed.learnt(), "other weights");
    assert_eq!(run.timeless_metrics(), undisturbed.timeless_metrics());
    assert_eq!(run.text("layers.csv"), undisturbed.text("layers.csv"));
    assert_eq!((run.status().as_str(), run.position()), ("done", [100, 4, 0]));
}

#[test]
fn one_that_was_killed_is_started_again_and_the_survivor_comes_back_by_itself() {
    for which in [0, 1] {
        let bench = Bench::new();
        let endpoint = &endpoints(&bench)[which];
        let mut host = begun(&bench, endpoint, "60");
        let (survivor, victim) = (worker(&bench, endpoint, "60"), worker(&bench, endpoint, "60"));
        some_checkpoints(&bench, &mut host);
        victim.signal("KILL");
        host.until_said(&format!("(process {}", victim.pid()));
        host.until_said("generation 2 waits up to 60 s");
        let replacement = worker(&bench, endpoint, "60");
        host.wait().expect(0).says(&["closed its connections", "it was not started from here and is left alone"]);
        replacement.wait().expect(0);
        survivor.wait().expect(0).says(&["calling", "again for up to 60 s"]);
        is_as_if_nothing_had_been(&bench);
        assert_eq!(bench.run_directory("a").text("generation"), "2\n");
        assert!(!bench.path("a.sock").exists(), "the socket is gone");
    }
}

#[test]
fn when_nobody_comes_the_run_ends_with_the_command_that_goes_on_with_it() {
    let bench = Bench::new();
    let endpoint = &endpoints(&bench)[0];
    let mut host = begun(&bench, endpoint, "15");
    let (survivor, victim) = (worker(&bench, endpoint, "1"), worker(&bench, endpoint, "60"));
    some_checkpoints(&bench, &mut host);
    victim.signal("KILL");
    let named = format!("(process {}", victim.pid());
    let ended = host.wait().expect(75).says(&[
        &named,
        "closed its connections",
        "in the next generation 1 of 2 workers came within 15 s",
        "the last good checkpoint is runs/a/checkpoints/step-",
    ]);
    assert_eq!(bench.run_directory("a").status(), "failed");
    // It had come back, and was cut off again; its own patience is over.
    survivor.wait().expect(75);
    let (_, command) = ended.stderr.rsplit_once("go on with: asynapse ").expect("a command");
    let words: Vec<&str> = command.split_whitespace().collect();
    let host = bench.start(&words);
    let workers = [worker(&bench, endpoint, "60"), worker(&bench, endpoint, "60")];
    host.wait().expect(0);
    workers.into_iter().for_each(|worker| drop(worker.wait().expect(0)));
    is_as_if_nothing_had_been(&bench);
}

#[test]
fn workers_outlive_a_coordinator_that_is_started_again() {
    let bench = Bench::new();
    let endpoint = &endpoints(&bench)[1];
    let mut first = begun(&bench, endpoint, "60");
    let workers = [worker(&bench, endpoint, "60"), worker(&bench, endpoint, "60")];
    some_checkpoints(&bench, &mut first);
    first.signal("KILL");
    assert_eq!(first.wait().code, None);
    coordinator(&bench, endpoint, "60", &["--resume", "runs/a"]).wait().expect(0);
    workers.into_iter().for_each(|worker| drop(worker.wait().expect(0).says(&["again for up to 60 s"])));
    is_as_if_nothing_had_been(&bench);
}

#[test]
fn one_whose_coordinator_is_gone_says_so_and_how_to_go_on() {
    let bench = Bench::new();
    let endpoint = &endpoints(&bench)[1];
    let mut host = begun(&bench, endpoint, "60");
    let (patient, impatient) = (worker(&bench, endpoint, "20"), worker(&bench, endpoint, "60"));
    some_checkpoints(&bench, &mut host);
    // Whoever was asked to finish says farewell.
    host.signal("INT");
    host.wait().expect(130);
    patient.wait().expect(0);
    impatient.wait().expect(0);
    let mut host = coordinator(&bench, endpoint, "60", &["--resume", "runs/a"]);
    let told = bench.start(&["worker", "--join", endpoint, "--secret-file", "secret", "--wait", "1"]);
    let other = worker(&bench, endpoint, "1");
    let run = bench.run_directory("a");
    let before = run.position()[0];
    host.until("another checkpoint", || (run.position()[0] > before).then_some(()));
    host.signal("KILL");
    host.wait();
    for worker in [told, other] {
        worker.wait().expect(75).says(&["ended without a farewell", "within 1 s"]);
    }
}

/// A place that was taken by one who died before there was any work is free again.
#[test]
fn one_that_dies_while_it_waits_for_the_others_takes_no_place() {
    let bench = Bench::new();
    for endpoint in endpoints(&bench) {
        let mut host = begun(&bench, &endpoint, "60");
        let early = worker(&bench, &endpoint, "60");
        // Long enough to be let in; if it is not, nothing is tested and nothing fails.
        std::thread::sleep(Duration::from_millis(1500));
        host.until("its start", || Some(()));
        early.signal("KILL");
        early.wait();
        std::thread::sleep(Duration::from_millis(500));
        let workers = [worker(&bench, &endpoint, "60"), worker(&bench, &endpoint, "60")];
        host.wait().expect(0);
        workers.into_iter().for_each(|worker| drop(worker.wait().expect(0)));
        assert_eq!(bench.run_directory("a").text("generation"), "1\n", "{endpoint}: nobody was lost");
        std::fs::remove_dir_all(bench.path("runs/a")).expect("the run");
    }
}

/// Somebody who starts every worker again, as a loop around the command does, is not let down for ever.
#[test]
#[cfg(debug_assertions)]
fn the_patience_with_workers_that_die_again_and_again_is_that_with_children() {
    let bench = Bench::new();
    let endpoint = &endpoints(&bench)[0];
    let host = begun(&bench, endpoint, "60");
    let fired = bench.put("fired/.none", "").with_file_name("");
    // Whoever comes to its first phase ends there, in as many generations as there may be.
    let places: Vec<String> = (1..=9).map(|count| format!("worker.begun@{count}")).collect();
    bench.set("ASYNAPSE_CRASH", &format!("{}:{}", fired.display(), places.join(",")));
    let mut workers: Vec<Running> = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(100);
    while is_there(host.pid()) {
        assert!(Instant::now() < deadline, "the run goes on without progress");
        workers.retain(|worker| is_there(worker.pid()));
        while workers.len() < 2 {
            workers.push(worker(&bench, endpoint, "60"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let outcome = host.wait().expect(75);
    outcome.says(&[
        "generation 2 waits up to 60 s",
        "generation 3 waits up to 60 s",
        "3 generations in a row made no checkpoint",
        "go on with: asynapse coordinator --listen unix:",
    ]);
}
