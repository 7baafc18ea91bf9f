//! Runs whose groups of neurons live in several processes. Oracle: the run in one process with the same groups, bit for bit, also
//! where workers die, and where a run is resumed by others.

use super::processes::{SLOW, gone, signal, workers};
use super::program::Bench;

const CUT: &str = "model.groups=2";

#[test]
fn groups_in_several_processes_train_the_bits_of_one() {
    let bench = Bench::new();
    bench.train("one", &[CUT]).expect(0);
    bench.train("whole", &[]).expect(0);
    let learnt = |name: &str| bench.run_directory(name).learnt();
    assert!(learnt("one") != learnt("whole"), "shares are added in another order than products");
    for (name, more) in [
        ("two", &["workers=2"][..]),
        ("three", &["workers=3", "links.transport=tcp"]),
        ("placed", &["workers=3", "schedule.placement=[[\"0.1\",\"1.0\"],[\"0.0\",2],[\"1.1\"]]"]),
        ("threads", &["workers=2", "schedule.threads=2"]),
    ] {
        bench.train(name, &[&[CUT], more].concat()).expect(0);
        assert!(learnt(name) == learnt("one"), "{name}");
        assert_eq!(
            bench.run_directory(name).text("layers.csv"),
            bench.run_directory("one").text("layers.csv"),
            "{name}"
        );
    }
    assert_eq!(bench.socket_folders(), 0);
}

#[test]
fn a_resumed_run_may_have_its_groups_elsewhere() {
    let bench = Bench::new();
    bench.train("whole", &[CUT, "learning.epochs=2"]).expect(0);
    bench.train("parts", &[CUT, "workers=2"]).expect(0);
    let placement = "schedule.placement=[[\"0.0\",\"1.1\"],[\"0.1\"],[\"1.0\",2]]";
    bench.resume("parts", &["learning.epochs=2", "workers=3", placement]).expect(0);
    assert!(bench.run_directory("parts").learnt() == bench.run_directory("whole").learnt());
    bench.resume("parts", &["learning.epochs=3", "workers=1", "schedule.placement=auto"]).expect(0);
    bench.resume("whole", &["learning.epochs=3"]).expect(0);
    assert!(bench.run_directory("parts").learnt() == bench.run_directory("whole").learnt());
}

/// Twelve steps, a checkpoint after every second.
const SHORT: [&str; 5] =
    ["data.train=96", "data.batch_size=8", "inference.max_infer_iters=20", "record.checkpoint_every=2", CUT];

#[test]
#[cfg(debug_assertions)]
fn a_worker_that_dies_with_its_groups_is_replaced() {
    let bench = Bench::new();
    bench.train("one", &SHORT).expect(0);
    for (name, place) in [
        ("begin", "worker.begun@5"),
        ("vote", "worker.prepared@9"),
        ("commit", "worker.commit@6"),
        ("half", "coordinator.half-committed@3"),
    ] {
        let fired = bench.put(&format!("{name}/.none"), "").with_file_name("");
        bench.set("ASYNAPSE_CRASH", &format!("{}:{place}", fired.display()));
        let mut outcome = bench.train(name, &[&SHORT[..], &["workers=2"]].concat());
        let mut resumed = 0;
        while outcome.code != Some(0) {
            assert!(matches!(outcome.code, None | Some(75)) && resumed < 3, "{outcome}");
            outcome = bench.resume(name, &[]);
            resumed += 1;
        }
        assert!(fired.join(place.replace('@', ".")).exists(), "{place} was never passed");
        let (run, one) = (bench.run_directory(name), bench.run_directory("one"));
        assert!(run.learnt() == one.learnt(), "{place}: other weights");
        assert_eq!(run.timeless_metrics(), one.timeless_metrics(), "{place}");
        assert_eq!(run.text("layers.csv"), one.text("layers.csv"), "{place}");
    }
}

#[test]
fn the_groups_of_a_lost_worker_are_named() {
    let bench = Bench::new();
    let mut process = bench.start_training("a", &[&SLOW[..], &["workers=2", CUT]].concat());
    let run = bench.run_directory("a");
    process.until("its checkpoints", || (run.checkpoints().len() >= 2).then_some(()));
    let workers = workers(&process);
    assert_eq!(workers.len(), 2, "one process for every worker");
    signal("KILL", workers[0]);
    process.until_said("layers 0.");
    process.until_said("was killed (SIGKILL)");
    let before = run.position()[0];
    process.until("another checkpoint", || (run.position()[0] > before).then_some(()));
    process.signal("TERM");
    process.wait().expect(130);
    gone(&workers);
}
