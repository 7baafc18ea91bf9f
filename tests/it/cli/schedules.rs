//! The same training under every schedule. Oracle: the synchronous reference, which shares no code with the layers that are
//! actors; lock-step has to be its equal bit for bit, free-running in what it learns.

use super::program::Bench;

#[test]
fn lock_step_leaves_the_bits_of_the_reference() {
    for more in [&["learning.epochs=2"][..], &["dtype=f64", "learning.rule=pc-clamped", "inference.free_phase=relax"]] {
        let bench = Bench::new();
        let schedules = [("r", "reference", "1"), ("l1", "lock-step", "1"), ("l2", "lock-step", "2")];
        for (name, mode, threads) in schedules {
            let (mode, threads) = (format!("schedule.mode={mode}"), format!("schedule.threads={threads}"));
            bench.train(name, &[more, &[&mode, &threads]].concat()).expect(0);
        }
        let reference = bench.run_directory("r");
        for (name, mode, _) in schedules {
            let run = bench.run_directory(name);
            assert!(run.learnt() == reference.learnt(), "weights of {name} with {more:?}");
            assert_eq!(run.timeless_metrics(), reference.timeless_metrics(), "{name} with {more:?}");
            assert_eq!(run.meta()["schedule"], mode);
            assert_eq!(run.meta()["deterministic"], true);
        }
    }
}

#[test]
fn free_running_learns_what_lock_step_learns() {
    let bench = Bench::new();
    // Both go to the same equilibrium only if both get there.
    let settled =
        ["inference.tolerance=1e-5", "inference.max_infer_iters=5000", "learning.param_lr=0.02", "learning.epochs=6"];
    bench.train("lock-step", &settled).expect(0);
    let accuracy =
        |name: &str| *bench.run_directory(name).table("metrics.csv").numbers("accuracy", "test").last().expect("one");
    let expected = accuracy("lock-step");
    assert!(expected > 0.3, "three times chance after six epochs: {expected}");
    for (name, message) in [("echo", "links.message=error+echo"), ("state", "links.message=state")] {
        let free = [&settled[..], &["schedule.mode=free-running", "schedule.threads=2", message]].concat();
        bench.train(name, &free).expect(0);
        let reached = accuracy(name);
        // Of 100 test samples; different roundings may decide a few otherwise.
        assert!((reached - expected).abs() <= 0.05, "{name}: accuracy {reached}, lock-step {expected}");
        let run = bench.run_directory(name);
        assert_eq!(run.meta()["deterministic"], false);
        assert_eq!(run.status(), "done");
    }
}
