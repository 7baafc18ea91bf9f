//! Deviation variables from the command line. Oracles: backpropagation, in `compare` and as a rule to train by; and the same
//! configuration in states, which must fail where deviations must not.

use serde_json::Value as Json;

use super::program::Bench;
use crate::data::mnist_folder;

/// Single precision, a nudge below what f32 resolves beside a state of order one, and a tolerance.
const TINY_NUDGE: [&str; 3] = ["dtype=f32", "learning.nudge=1e-8", "inference.max_infer_iters=2000"];

/// 784-128-64-10 with ReLU and with tanh: deviations are within 1e-4 of the gradient in every layer, states have lost the first.
fn serves(data: &[&str]) {
    let bench = Bench::new();
    for activation in ["model.act_fn=relu", "model.act_fn=tanh"] {
        let common = [&["compare"], data, &TINY_NUDGE, &[activation, "--tolerance", "1e-4"]].concat();
        let more = ["inference.variables=deviation", "inference.tolerance=1e-6", "--json"];
        let outcome = bench.run(&[&common[..], &more].concat()).expect(0);
        let comparison: Json = serde_json::from_str(&outcome.stdout).expect("JSON");
        for entry in comparison["entries"].as_array().expect("entries") {
            assert_eq!(entry["stop_reason"], "settled", "{outcome}");
        }
        bench.run(&common).expect(1).says(&["out of tolerance: reference, W1: distance 1.000e0"]);
    }
}

#[test]
fn single_precision_finds_the_gradient_of_the_digits_at_a_nudge_of_1e_8() {
    serves(&["digits", "data.train=64", "data.test=1"]);
}

#[test]
fn single_precision_finds_the_gradient_of_mnist_at_a_nudge_of_1e_8() {
    let dir = mnist_folder();
    if !dir.is_dir() {
        eprintln!("skipped: {} is not there (set ASYNAPSE_MNIST)", dir.display());
        return;
    }
    let dir = dir.canonicalize().expect("a folder");
    serves(&["mnist", &format!("data.dir={}", dir.display())]);
}

/// In the limit λ = 0 every update is backpropagation's, so the whole run is, up to rounding.
#[test]
fn training_in_the_limit_is_training_by_backpropagation() {
    let bench = Bench::new();
    let common = ["dtype=f64", "learning.optimizer=sgd", "learning.param_lr=0.1", "record.cosine_every=1"];
    let limit = ["learning.nudge=0", "inference.variables=deviation", "inference.tolerance=1e-13"];
    let more = ["inference.max_infer_iters=5000"];
    bench.train("limit", &[&common[..], &limit, &more].concat()).expect(0);
    bench.train("backprop", &[&common[..], &["learning.rule=backprop"]].concat()).expect(0);
    let losses = |name: &str| bench.run_directory(name).table("metrics.csv").numbers("loss", "train");
    let (limit, backprop) = (losses("limit"), losses("backprop"));
    assert_eq!((limit.len(), backprop.len()), (7, 7));
    assert!(backprop[6] < backprop[0], "it learns: {backprop:?}");
    assert!(limit.iter().zip(&backprop).all(|(a, b)| (a - b).abs() < 1e-11), "{limit:?} {backprop:?}");
    let distances = bench.run_directory("limit").table("metrics.csv").numbers("grad_relative_distance", "train");
    assert!(distances.iter().all(|distance| *distance < 1e-11), "{distances:?}");
}
