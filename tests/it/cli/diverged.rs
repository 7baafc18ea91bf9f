//! Runs whose numbers leave the range of their format. Oracle: IEEE arithmetic. A step far beyond the stability border grows
//! geometrically until it overflows, and a weight of 1e38 times a few pixels does not fit into f32.

use super::artefacts::tensors;
use super::program::Bench;

/// Every inference step multiplies a deviation by some 1e6.
const WILD_STATES: [&str; 2] = ["inference.activity_lr=1e6", "inference.max_infer_iters=200"];

#[test]
fn states_that_overflow_end_the_run_with_layer_and_step() {
    for mode in ["reference", "lock-step", "free-running"] {
        let bench = Bench::new();
        let schedule = format!("schedule.mode={mode}");
        let outcome = bench.train("a", &[&WILD_STATES[..], &[&schedule]].concat()).expect(3);
        let outcome = outcome.says(&["after 0 training steps", "layer ", "at inference step ", "of phase 1"]);
        let outcome = outcome.says(&["inference.activity_lr", "no checkpoint was written yet"]);
        assert!(outcome.stdout.is_empty(), "{outcome}");
        let run = bench.run_directory("a");
        assert_eq!(run.status(), "diverged");
        assert!(run.text("run.log").contains("not finite"), "the log says why it ended");
        assert!(run.checkpoints().is_empty(), "{:?}", run.checkpoints());
        assert!(run.table("metrics.csv").rows.is_empty(), "the step was not made");
        bench.resume("a", &[]).expect(2).says(&["runs/a", "no checkpoint"]);
    }
}

#[test]
fn the_last_good_checkpoint_stands() {
    for mode in ["reference", "lock-step"] {
        let bench = Bench::new();
        let schedule = format!("schedule.mode={mode}");
        let more = ["learning.param_lr=1e36", "record.checkpoint_every=1", &schedule];
        let outcome = bench.train("a", &more).expect(3);
        outcome.says(&["after 1 training steps", "layer ", "last good checkpoint", "checkpoints/step-00000001"]);
        let run = bench.run_directory("a");
        assert_eq!(run.status(), "diverged");
        assert_eq!(run.checkpoints(), ["step-00000001"]);
        let model = tensors(&run.newest("model.safetensors"));
        assert!(model.values().all(|tensor| tensor.numbers.iter().all(|number| number.is_finite())));
        assert_eq!(run.table("metrics.csv").cells("step", ""), ["1"]);

        // It can be looked at, and it diverges again.
        let learnt = run.learnt();
        bench.resume("a", &[]).expect(3).says(&["after 1 training steps", "checkpoints/step-00000001"]);
        assert!(run.learnt() == learnt, "the checkpoint still stands");
        assert_eq!(run.status(), "diverged");
    }
}

#[test]
fn weights_that_overflow_are_never_stored() {
    for more in [
        // The evaluation after the only step is the first to see the weights.
        &["learning.param_lr=1e38", "data.train=32"][..],
        &["learning.param_lr=1e38", "learning.optimizer=sgd", "model.loss=squared-error"],
        &["learning.param_lr=1e38", "learning.rule=backprop"],
        &["learning.param_lr=1e308", "dtype=f64"],
    ] {
        let bench = Bench::new();
        bench.train("a", more).expect(3).says(&["learning.param_lr"]);
        let run = bench.run_directory("a");
        assert_eq!(run.status(), "diverged", "{more:?}");
        assert!(run.checkpoints().is_empty(), "{more:?}: {:?}", run.checkpoints());
        let losses = run.table("metrics.csv").numbers("loss", "");
        assert!(losses.iter().all(|loss| loss.is_finite()), "{more:?}: {losses:?}");
    }
}
