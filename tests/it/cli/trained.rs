//! A training run from start to end. Oracles: the promised layout of the run directory; arithmetic (how many batches there are,
//! which shares a batch can have); and a forward pass written here, which has to find the stored weights as good as reported.

use asynapse::data::dataset::{Dataset, Sizes, generated};
use serde_json::Value as Json;

use super::artefacts::tensors;
use super::program::{Bench, SMALL};

/// 200 samples in batches of 32: six whole ones and one of 8.
const BATCHES: [usize; 7] = [32, 32, 32, 32, 32, 32, 8];

#[test]
fn a_run_leaves_what_its_layout_promises() {
    let bench = Bench::new();
    let more = ["inference.max_infer_iters=12", "record.layers_every=2", "record.cosine_every=0"];
    let outcome = bench.train("a", &more).expect(0);
    assert!(outcome.stdout.contains("test accuracy") && outcome.stdout.contains("runs/a"), "{outcome}");
    assert!(!outcome.stdout.contains("epoch 1:"), "progress is not for stdout: {outcome}");
    let outcome = outcome.says(&["epoch 1: test accuracy", "run runs/a"]);
    assert_eq!(bench.names(), ["runs"]);

    let run = bench.run_directory("a");
    let typed = [&SMALL[1..], &["output.name=a"], &more].concat();
    assert_eq!(run.text("overrides.txt").lines().collect::<Vec<_>>(), typed);
    assert!(run.text("config.toml").contains("max_infer_iters = 12"));
    assert!(run.text("run.log").contains("checkpoint"));

    let meta = run.meta();
    assert_eq!((run.status().as_str(), meta["seed"].as_u64()), ("done", Some(0)));
    assert_eq!(meta["schedule"], "lock-step");
    assert_eq!(meta["deterministic"], true);
    assert_eq!(meta["samples"], serde_json::json!([200, 0, 100]));
    for source in meta["data"].as_array().expect("sources") {
        let digest = source[1].as_str().expect("a digest");
        assert!(digest.len() == 64 && digest.chars().all(|c| c.is_ascii_hexdigit()), "{source}");
    }

    let metrics = run.table("metrics.csv");
    let steps: Vec<f64> = (1..=7).map(f64::from).collect();
    assert_eq!(metrics.numbers("step", "train"), steps);
    for (accuracy, size) in metrics.numbers("accuracy", "train").into_iter().zip(BATCHES) {
        let right = accuracy * size as f64;
        assert!((0.0..=1.0).contains(&accuracy) && (right - right.round()).abs() < 1e-9, "{accuracy} of {size}");
    }
    assert_eq!(metrics.numbers("n_infer_iters", "train"), [12.0; 7]);
    assert_eq!(metrics.cells("stop_reason", "train"), ["step-budget"; 7]);
    assert!(metrics.numbers("energy", "train").iter().all(|energy| *energy > 0.0), "energies are sums of squares");
    assert!(metrics.numbers("loss", "").iter().all(|loss| *loss > 0.0));
    let clock = metrics.numbers("wall_s", "train");
    assert!(clock.is_sorted(), "{clock:?}");
    let [accuracy] = metrics.numbers("accuracy", "test")[..] else { panic!("one evaluation: {metrics:?}") };
    assert!(outcome.stdout.contains(&format!("{:.2} %", 100.0 * accuracy)), "{accuracy}: {outcome}");

    // Steps 1, 3, 5 and 7, three layers each.
    let layers = run.table("layers.csv");
    let expected: Vec<[f64; 2]> =
        [1, 3, 5, 7].iter().flat_map(|step| [0, 1, 2].map(|l| [f64::from(*step), l.into()])).collect();
    let steps_and_layers = layers.numbers("step", "").into_iter().zip(layers.numbers("layer", ""));
    assert_eq!(steps_and_layers.map(|(step, layer)| [step, layer]).collect::<Vec<_>>(), expected);
    assert!(layers.numbers("residual", "").iter().all(|residual| *residual >= 0.0));
    assert_eq!(layers.numbers("n_infer_iters", ""), [12.0; 12]);
}

#[test]
fn the_stored_weights_are_as_good_as_reported() {
    let sizes = Sizes { train: 200, validation: 40, test: 100 };
    let splits = generated(9, sizes);
    for (dtype, kind, close) in [("f32", safetensors::Dtype::F32, 1e-5), ("f64", safetensors::Dtype::F64, 1e-12)] {
        let bench = Bench::new();
        let kind_of_number = format!("dtype={dtype}");
        let more =
            [&kind_of_number, "data.seed=9", "data.validation=40", "learning.epochs=4", "learning.param_lr=0.02"];
        bench.train("a", &more).expect(0);
        let run = bench.run_directory("a");
        let model = tensors(&run.newest("model.safetensors"));
        let shapes: Vec<(&str, &[usize])> = model.iter().map(|(name, t)| (name.as_str(), &t.shape[..])).collect();
        let promised: [(&str, &[usize]); 4] =
            [("0.bias", &[8]), ("0.weight", &[8, 784]), ("2.bias", &[10]), ("2.weight", &[10, 8])];
        assert_eq!(shapes, promised);
        assert!(model.values().all(|tensor| tensor.kind == kind));

        let numbers = |name: &str| &model[name].numbers[..];
        let metrics = run.table("metrics.csv");
        for (name, set) in [("validation", &splits.validation), ("test", &splits.test)] {
            let hidden =
                |image: &[f64]| affine(numbers("0.weight"), numbers("0.bias"), image).into_iter().map(f64::tanh);
            let logits =
                |image: &[f64]| affine(numbers("2.weight"), numbers("2.bias"), &hidden(image).collect::<Vec<_>>());
            let [accuracy, loss] = judged(set, logits);
            let reported =
                ["accuracy", "loss"].map(|column| *metrics.numbers(column, name).last().expect("an evaluation"));
            assert!(
                (reported[0] - accuracy).abs() < 1e-12,
                "{dtype} {name}: accuracy {accuracy}, reported {reported:?}"
            );
            assert!((reported[1] - loss).abs() < close, "{dtype} {name}: loss {loss}, reported {reported:?}");
        }
        assert_eq!(run.meta()["samples"], serde_json::json!([160, 40, 100]));
        assert_eq!(metrics.numbers("epoch", "test"), [0.0, 1.0, 2.0, 3.0]);
    }
}

/// `W x + b`, row by row.
fn affine(weights: &[f64], bias: &[f64], x: &[f64]) -> Vec<f64> {
    let row = |(row, bias): (&[f64], &f64)| row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() + bias;
    weights.chunks(x.len()).zip(bias).map(row).collect()
}

/// Accuracy and mean softmax cross-entropy.
fn judged(set: &Dataset, logits: impl Fn(&[f64]) -> Vec<f64>) -> [f64; 2] {
    let (mut right, mut loss) = (0.0, 0.0);
    for sample in 0..set.len() {
        let image: Vec<f64> = set.image(sample).iter().map(|pixel| f64::from(*pixel) / 255.0).collect();
        let (logits, label) = (logits(&image), usize::from(set.label(sample)));
        let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        right += f64::from(u8::from(logits[label] == largest));
        loss += largest + logits.iter().map(|a| (a - largest).exp()).sum::<f64>().ln() - logits[label];
    }
    [right / set.len() as f64, loss / set.len() as f64]
}

#[test]
fn json_is_all_there_is_on_stdout() {
    let bench = Bench::new();
    let outcome = bench.train("a", &["--json", "record.cosine_every=3", "record.every=4"]).expect(0);
    let summary: Json = serde_json::from_str(&outcome.stdout).expect("JSON and nothing else");
    assert_eq!((&summary["run"], &summary["steps"], &summary["epochs"]), (&"runs/a".into(), &7.into(), &1.into()));
    // Compared at steps 1, 4 and 7; rows at steps 1 and 5, and wherever was compared.
    assert_eq!(summary["cosines_measured"], 3);
    let metrics = bench.run_directory("a").table("metrics.csv");
    assert_eq!(metrics.cells("step", "train"), ["1", "4", "5", "7"]);
    let cosines = metrics.cells("grad_cosine_similarity", "train");
    assert!(cosines[2].is_empty() && [0, 1, 3].iter().all(|row| !cosines[*row].is_empty()), "{cosines:?}");
    assert_eq!(summary["test"]["accuracy"], metrics.numbers("accuracy", "test")[0]);
    let model = summary["checkpoint"].as_str().expect("a checkpoint").to_owned() + "/model.safetensors";
    assert!(bench.path(&model).is_file());
}

#[test]
fn the_stored_configuration_gives_the_same_bits_again() {
    let bench = Bench::new();
    bench.train("a", &["seed=5", "learning.optimizer=momentum", "learning.epochs=2"]).expect(0);
    bench.run(&["train", "runs/a/config.toml", "output.name=b"]).expect(0);
    let (a, b) = (bench.run_directory("a"), bench.run_directory("b"));
    assert_eq!(a.learnt(), b.learnt());
    assert_eq!(a.timeless_metrics(), b.timeless_metrics());
    assert_eq!(a.text("layers.csv"), b.text("layers.csv"));
    assert_eq!(a.text("config.toml").replace("name = \"a\"", "name = \"b\""), b.text("config.toml"));
    // As it stands it names a run that exists.
    bench.run(&["train", "runs/a/config.toml"]).expect(2).says(&["runs/a", "exists already", "output.name"]);
}

#[test]
fn the_seed_decides_the_bits() {
    let bench = Bench::new();
    for (name, seed) in [("a", "seed=1"), ("b", "seed=1"), ("c", "seed=2")] {
        bench.train(name, &[seed]).expect(0);
    }
    let [a, b, c] = ["a", "b", "c"].map(|name| bench.run_directory(name).learnt());
    assert!(a == b, "the same seed gives the same weights");
    assert!(a != c, "another seed gives others");
    let digests = ["a", "c"].map(|name| bench.run_directory(name).meta()["data"].clone());
    assert_eq!(digests[0], digests[1], "the data have a seed of their own");
}

#[test]
fn backpropagation_leaves_the_same_files_without_phases() {
    let bench = Bench::new();
    let outcome =
        bench.train("a", &["learning.rule=backprop", "learning.epochs=4", "learning.param_lr=0.02"]).expect(0);
    assert!(!outcome.stdout.contains("phases ended by"), "{outcome}");
    let run = bench.run_directory("a");
    let metrics = run.table("metrics.csv");
    for column in ["energy", "n_infer_iters", "stop_reason", "residual"] {
        assert_eq!(metrics.cells(column, "train"), [""; 28], "{column}");
    }
    let losses = metrics.numbers("loss", "test");
    assert!(losses.len() == 4 && losses.last() < losses.first(), "the loss falls: {losses:?}");
    // A table without rows still has columns; readers refuse a file without any.
    let layers = run.table("layers.csv");
    assert!(layers.rows.is_empty() && layers.columns.contains(&"residual".to_owned()), "{layers:?}");
}

#[test]
fn a_run_without_a_name_is_called_after_preset_and_seed() {
    let bench = Bench::new();
    for _ in 0..2 {
        bench.run(&[&["train"], &SMALL[..], &["seed=17", "output.dir=here/and there"]].concat()).expect(0);
    }
    let entries = std::fs::read_dir(bench.path("here/and there")).expect("the runs");
    let names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(names.len(), 2, "neither replaces the other: {names:?}");
    assert!(names.iter().all(|name| name.contains("-tiny-seed17")), "{names:?}");
}
