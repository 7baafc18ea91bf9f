//! `gradient`. Oracles: finite differences of the loss of a network written out below; the same network in other names and types;
//! `compare`'s promise that schedules agree; the promised exit codes. Input that is wrong is an error that names file and tensor.

use std::collections::BTreeMap;

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::Value as Json;

use super::artefacts::{Tensor, tensors};
use super::program::{Bench, Outcome};

const BATCH: usize = 5;

/// A tensor to be stored: name, type, shape, bytes.
type Stored = (String, Dtype, Vec<usize>, Vec<u8>);

fn stored(name: &str, shape: &[usize], numbers: &[f64]) -> Stored {
    let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    (name.to_owned(), Dtype::F64, shape.to_vec(), bytes)
}

fn narrow((name, _, shape, bytes): Stored) -> Stored {
    let wide = bytes.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes));
    (name, Dtype::F32, shape, wide.flat_map(|number| (number as f32).to_le_bytes()).collect())
}

fn put(bench: &Bench, name: &str, tensors: &[Stored]) {
    let views = tensors.iter().map(|(name, kind, shape, bytes)| {
        (name.as_str(), TensorView::new(*kind, shape.clone(), bytes).expect("bytes for the shape"))
    });
    bench.put(name, safetensors::serialize(views, None).expect("a safetensors file"));
}

/// Numbers without a pattern that a transposition would leave as it is, each a multiple of 1/64, so exact in f32.
fn numbers(count: usize, seed: usize) -> Vec<f64> {
    (0..count).map(|i| ((i * 37 + seed * 53) % 101) as f64 / 64.0 - 0.75).collect()
}

/// `W1, b1, W2, b2` and `x, y`, row by row.
fn parameters() -> [Vec<f64>; 4] {
    [numbers(12, 1), numbers(3, 2), numbers(6, 3), numbers(2, 4)]
}

fn data() -> (Vec<f64>, Vec<f64>) {
    let classes = (0..BATCH).flat_map(|sample| if sample % 3 == 0 { [1.0, 0.0] } else { [0.0, 1.0] });
    (numbers(BATCH * 4, 5), classes.collect())
}

fn net(names: [&str; 4]) -> Vec<Stored> {
    let [w1, b1, w2, b2] = parameters();
    let parts: [(&[usize], Vec<f64>); 4] = [(&[3, 4], w1), (&[3], b1), (&[2, 3], w2), (&[2], b2)];
    names.iter().zip(parts).map(|(name, (shape, numbers))| stored(name, shape, &numbers)).collect()
}

fn batch() -> Vec<Stored> {
    let (x, y) = data();
    vec![stored("x", &[BATCH, 4], &x), stored("y", &[BATCH, 2], &y)]
}

const SEQUENTIAL: [&str; 4] = ["0.weight", "0.bias", "2.weight", "2.bias"];
const TANH: [&str; 2] = ["model.act_fn=tanh", "dtype=f64"];

fn bench() -> Bench {
    let bench = Bench::new();
    put(&bench, "net.safetensors", &net(SEQUENTIAL));
    put(&bench, "batch.safetensors", &batch());
    bench
}

fn gradient(bench: &Bench, more: &[&str]) -> Outcome {
    let words = ["gradient", "--weights", "net.safetensors", "--data", "batch.safetensors", "--out", "out.safetensors"];
    bench.run(&[&words[..], more].concat())
}

fn parsed(outcome: &Outcome) -> Json {
    serde_json::from_str(&outcome.stdout).expect("JSON and nothing else")
}

fn out(bench: &Bench) -> BTreeMap<String, Tensor> {
    tensors(&bench.path("out.safetensors"))
}

/// Mean cross-entropy of the 4-3-2 network with tanh, from the definitions.
fn loss(parameters: &[Vec<f64>; 4]) -> f64 {
    let [w1, b1, w2, b2] = parameters;
    let (x, y) = data();
    let sum: f64 = (0..BATCH)
        .map(|n| {
            let dot = |w: &[f64], s: &[f64]| w.iter().zip(s).map(|(w, s)| w * s).sum::<f64>();
            let hidden: Vec<f64> = (0..3).map(|i| (dot(&w1[4 * i..4 * i + 4], &x[4 * n..]) + b1[i]).tanh()).collect();
            let a: Vec<f64> = (0..2).map(|i| dot(&w2[3 * i..3 * i + 3], &hidden) + b2[i]).collect();
            let total: f64 = a.iter().map(|a| a.exp()).sum();
            -(0..2).map(|i| y[2 * n + i] * (a[i].exp() / total).ln()).sum::<f64>()
        })
        .sum();
    sum / BATCH as f64
}

#[test]
fn the_gradient_is_the_finite_difference_of_the_mean_loss() {
    let bench = bench();
    let summary = parsed(&gradient(&bench, &[&TANH[..], &["--json", "learning.rule=backprop"]].concat()).expect(0));
    assert!((summary["loss"].as_f64().expect("a loss") - loss(&parameters())).abs() < 1e-14);
    let out = out(&bench);
    let names: Vec<&str> = out.keys().map(String::as_str).collect();
    let expected = ["estimate.W1", "estimate.W2", "estimate.b1", "estimate.b2"];
    assert_eq!(names[..4], expected);
    assert_eq!(names[4..], expected.map(|name| name.replace("estimate", "reference")), "backprop has no phases");
    for (index, (name, shape)) in [("W1", &[3, 4][..]), ("b1", &[3]), ("W2", &[2, 3]), ("b2", &[2])].iter().enumerate()
    {
        for what in ["estimate", "reference"] {
            let tensor = &out[&format!("{what}.{name}")];
            assert_eq!((tensor.kind, &tensor.shape[..]), (Dtype::F64, *shape), "{what}.{name}");
            for (at, &ours) in tensor.numbers.iter().enumerate() {
                let moved = |step: f64| {
                    let mut parameters = parameters();
                    parameters[index][at] += step;
                    loss(&parameters)
                };
                let difference = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                assert!((difference - ours).abs() < 1e-9, "{what}.{name}[{at}]: {ours}, by differences {difference}");
            }
        }
    }
}

#[test]
fn phases_leave_their_states_and_the_summary_says_how_they_ended() {
    let bench = bench();
    let settled = ["inference.tolerance=1e-10", "inference.max_infer_iters=10000", "learning.nudge=1e-3"];
    let words = [&TANH[..], &settled, &["--json", "learning.nudging=symmetric"]].concat();
    let summary = parsed(&gradient(&bench, &words).expect(0));
    let phases = summary["phases"].as_array().expect("phases");
    let told: Vec<_> = phases.iter().map(|phase| (&phase["phase"], &phase["stop_reason"], &phase["nudge"])).collect();
    let (free, nudged) = (Json::from("free"), Json::from("nudged"));
    let (wave, settled, plus, minus) = ("wave".into(), "settled".into(), 1e-3.into(), (-1e-3).into());
    assert_eq!(told, [(&free, &wave, &Json::Null), (&nudged, &settled, &plus), (&nudged, &settled, &minus)]);
    assert!(summary["whole"]["relative_distance"].as_f64() < Some(1e-5), "O(λ²): {summary}");
    let out = out(&bench);
    // The free equilibrium of predictive coding is the forward pass (Eq. 20), rows are samples, the top is the logits.
    let ([w1, b1, ..], (x, _)) = (parameters(), data());
    for sample in 0..BATCH {
        for unit in 0..3 {
            let a: f64 = (0..4).map(|i| w1[4 * unit + i] * x[4 * sample + i]).sum::<f64>() + b1[unit];
            assert!((out["free.x1"].numbers[3 * sample + unit] - a.tanh()).abs() < 1e-14);
        }
    }
    let shapes = ["free.x1", "free.x2", "nudged.x1", "nudged.x2"].map(|name| out[name].shape.clone());
    assert_eq!(shapes, [[BATCH, 3], [BATCH, 2], [BATCH, 3], [BATCH, 2]].map(Vec::from));
    let mut total = 0.0;
    for (index, layer) in ["x1", "x2"].iter().enumerate() {
        let pairs = out[&format!("free.{layer}")].numbers.iter().zip(&out[&format!("nudged.{layer}")].numbers);
        let squared: f64 = pairs.map(|(free, nudged)| (free - nudged).powi(2)).sum();
        total += squared;
        let told = summary["layers"][index]["equilibrium_distance"].as_f64().expect("a distance");
        assert!(squared > 0.0 && (told - squared.sqrt()).abs() < 1e-15, "{layer}");
    }
    let told = summary["equilibrium_distance"].as_f64().expect("a distance");
    assert!((told - total.sqrt()).abs() < 1e-15);
}

#[test]
fn names_types_and_schedules_make_no_difference() {
    let bench = bench();
    let mut made = Vec::new();
    let mut run = |settings: &[&str]| {
        gradient(
            &bench,
            &[&TANH[..], &["inference.tolerance=1e-11", "inference.max_infer_iters=9999"], settings].concat(),
        )
        .expect(0);
        made.push(std::fs::read(bench.path("out.safetensors")).expect("the result"));
        out(&bench)
    };
    let first = run(&[]);
    run(&[]);
    let free_running = run(&["schedule.mode=free-running"]);
    let reference = run(&["schedule.mode=reference"]);
    put(&bench, "net.safetensors", &net(["1.weight", "1.bias", "10.weight", "10.bias"]));
    let gaps = run(&[]);
    put(&bench, "net.safetensors", &net(["W1", "b1", "W2", "b2"]));
    let layers = run(&[]);
    put(&bench, "net.safetensors", &net(SEQUENTIAL).into_iter().map(narrow).collect::<Vec<_>>());
    let (x, y) = data();
    let classes: Vec<u8> = y.chunks(2).flat_map(|row| i64::from(row[1] == 1.0).to_le_bytes()).collect();
    let of_classes = ("y".to_owned(), Dtype::I64, vec![BATCH], classes);
    put(&bench, "batch.safetensors", &[narrow(stored("x", &[BATCH, 4], &x)), of_classes]);
    let narrow = run(&[]);
    for other in [gaps, layers, narrow, reference] {
        assert!(other == first, "the same numbers, the same bits");
    }
    assert!(made[0] == made[1], "two runs leave the same file");
    for (name, tensor) in &first {
        let pairs = tensor.numbers.iter().zip(&free_running[name].numbers);
        assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-7), "{name} by free-running");
    }
}

#[test]
fn a_hopfield_network_approaches_recurrent_backpropagation() {
    let bench = bench();
    let hopfield = ["dtype=f64", "model.energy=hopfield", "model.act_fn=sigmoid", "learning.rule=ep", "--json"];
    let settled = ["inference.free_phase=relax", "inference.tolerance=1e-12", "inference.max_infer_iters=100000"];
    let distance = |nudge: &str| {
        let summary = parsed(&gradient(&bench, &[&hopfield[..], &settled, &[nudge]].concat()).expect(0));
        summary["whole"]["relative_distance"].as_f64().expect("a distance")
    };
    let ratio = distance("learning.nudge=0.02") / distance("learning.nudge=0.01");
    assert!((1.9..2.1).contains(&ratio), "the error is proportional to β: {ratio}");
}

#[test]
fn what_did_not_converge_is_said_and_written_all_the_same() {
    let bench = bench();
    let outcome = gradient(&bench, &["inference.tolerance=1e-6", "inference.max_infer_iters=3"]).expect(3);
    let outcome = outcome.says(&["phase 1 (nudged) did not converge in 3 steps", "inference.max_infer_iters"]);
    assert!(outcome.stdout.contains("step-budget") && bench.path("out.safetensors").is_file(), "{outcome}");
    gradient(&bench, &["inference.max_infer_iters=3"]).expect(0);
    // Read at the first arrival, a phase has no residual to bring down.
    for mode in ["reference", "lock-step", "free-running"] {
        let mode = format!("schedule.mode={mode}");
        let outcome =
            gradient(&bench, &["learning.rule=first-step", "inference.tolerance=1e-6", &mode, "--json"]).expect(0);
        assert!(parsed(&outcome)["whole"]["relative_distance"].as_f64() < Some(1e-6), "{outcome}");
    }
    let wild = [&TANH[..], &["inference.activity_lr=100", "inference.max_infer_iters=1000"]].concat();
    std::fs::remove_file(bench.path("out.safetensors")).expect("remove");
    gradient(&bench, &wild).expect(3).says(&["inference.activity_lr"]);
}

#[test]
fn settings_that_do_not_go_with_the_input_are_refused() {
    let bench = bench();
    let hopfield = ["model.energy=hopfield", "model.act_fn=sigmoid", "inference.free_phase=relax"];
    let clamped = [&hopfield[..], &["learning.rule=chl", "model.loss=squared-error"]].concat();
    let refused = |settings: &[&str], parts: &[&str]| {
        let outcome = gradient(&bench, settings).expect(2).says(parts);
        assert!(outcome.stdout.is_empty() && !bench.path("out.safetensors").exists(), "{outcome}");
    };
    refused(&["model.widths=[4,5,2]"], &["model.widths is [4, 5, 2] (command line, override 1)", "[4, 3, 2]"]);
    refused(&["tiny"], &["model.widths is [784, 32, 10] (preset tiny:", "add model.widths=[4, 3, 2]"]);
    refused(&["model.precision=[1,2,3]"], &["`model.precision` has 3 entries for 2 layers"]);
    refused(&["learning.nugde=1"], &["did you mean `learning.nudge`?"]);
    refused(
        &["model.energy=hopfield", "model.act_fn=hard-sigmoid", "learning.rule=ep", "inference.free_phase=relax"],
        &["hopfield", "smooth"],
    );
    let (x, mut y) = data();
    y[3] = 1.5;
    put(&bench, "batch.safetensors", &[stored("x", &[BATCH, 4], &x), stored("y", &[BATCH, 2], &y)]);
    refused(&[], &["batch.safetensors: tensor `y`: row 1 sums to 1.5", "squared-error"]);
    refused(&clamped, &["batch.safetensors: tensor `y`: a clamped output", "1.5", "[0, 1]"]);
    gradient(&bench, &["model.loss=squared-error"]).expect(0);
    // What goes with it: the same settings of presets, and a word about what does nothing.
    put(&bench, "batch.safetensors", &batch());
    gradient(&bench, &clamped).expect(0);
    let outcome = gradient(&bench, &["tiny", "model.widths=[4,3,2]", "learning.epochs=1"]).expect(0);
    outcome.says(&["warning: `learning.epochs` has no effect here"]);
    // Feedback weights of their own are drawn by model.init from the seed, and their estimate is another than that of tied ones.
    let estimate = |settings: &[&str]| {
        let outcome = gradient(&bench, settings).expect(0);
        assert!(
            outcome.stderr.contains("`model.init` has no effect") == settings.contains(&"model.feedback=tied"),
            "{outcome}"
        );
        out(&bench)["estimate.W1"].clone()
    };
    let drawn = |seed: &str| estimate(&["model.feedback=random", "model.init=he", seed]);
    assert!(drawn("seed=1") == drawn("seed=1") && drawn("seed=1") != drawn("seed=2"));
    let tied = |seed: &str| estimate(&["model.feedback=tied", "model.init=he", seed]);
    assert!(tied("seed=1") == tied("seed=2") && tied("seed=1") != drawn("seed=1"));
    let words = ["gradient", "--weights", "net.safetensors", "--data", "batch.safetensors", "--out"];
    bench.run(&[&words[..], &["net.safetensors"]].concat()).expect(2).says(&["is the input net.safetensors"]);
    bench.run(&[&words[..], &["nowhere/out.safetensors"]].concat()).expect(2).says(&["nowhere"]);
    assert!(std::fs::read(bench.path("net.safetensors")).is_ok_and(|bytes| !bytes.is_empty()));
}

/// One file in place of a good one, and what is said of it.
#[track_caller]
fn refused(bench: &Bench, file: &str, tensors: &[Stored], parts: &[&str]) {
    put(bench, file, tensors);
    let outcome = gradient(bench, &["model.loss=squared-error"]).expect(2).says(&[file]).says(parts);
    assert!(outcome.stdout.is_empty() && !bench.path("out.safetensors").exists(), "{outcome}");
}

#[test]
fn weights_that_make_no_network_are_named() {
    let bench = bench();
    let whole = net(SEQUENTIAL);
    let no = |tensors: &[Stored], parts: &[&str]| refused(&bench, "net.safetensors", tensors, parts);
    let with = |index: usize, tensor: Stored| {
        let mut tensors = whole.clone();
        tensors[index] = tensor;
        tensors
    };
    no(&with(2, stored("2.weight", &[2, 4], &numbers(8, 1))), &["`2.weight` has 4 columns", "`0.weight`", "3 rows"]);
    no(&with(1, stored("0.bias", &[4], &numbers(4, 1))), &["`0.bias` has shape [4]", "needs [3]"]);
    no(&with(0, stored("0.weight", &[12], &numbers(12, 1))), &["`0.weight` has shape [12]", "matrix"]);
    no(&with(0, stored("0.weight", &[3, 0], &[])), &["`0.weight` is empty"]);
    no(&whole[..3], &["no tensor `2.bias` for `2.weight`"]);
    no(&whole[1..], &["no tensor `0.weight` for `0.bias`"]);
    no(&net(["0.weight", "0.bias", "W2", "b2"]), &["mixes two ways of naming", "`W2`", "`2.weight`"]);
    no(&net(["W1", "b1", "W3", "b3"]), &["no tensor `W2`"]);
    no(&[&whole[..], &[stored("1.running_mean", &[3], &numbers(3, 1))]].concat(), &["`1.running_mean`"]);
    no(&net(["0.weight", "0.bias", "02.weight", "02.bias"]), &["`02.weight`"]);
    no(&[], &["no tensors"]);
    let mut bad = parameters()[2].clone();
    bad[4] = f64::NAN;
    no(&with(2, stored("2.weight", &[2, 3], &bad)), &["`2.weight` holds NaN at [1, 1]"]);
    bad[4] = 1e300;
    no(&with(2, stored("2.weight", &[2, 3], &bad)), &["`2.weight`", "f32 cannot hold", "dtype=f64"]);
    no(&with(3, ("2.bias".to_owned(), Dtype::I64, vec![2], vec![0; 16])), &["`2.bias` holds I64", "F32 or F64"]);
}

#[test]
fn batches_that_do_not_fit_are_named() {
    let bench = bench();
    let no = |tensors: &[Stored], parts: &[&str]| refused(&bench, "batch.safetensors", tensors, parts);
    let [x, y] = [batch()[0].clone(), batch()[1].clone()];
    let classes = |shape: &[usize], classes: &[i32]| {
        let bytes = classes.iter().flat_map(|class| class.to_le_bytes()).collect();
        ("y".to_owned(), Dtype::I32, shape.to_vec(), bytes)
    };
    no(std::slice::from_ref(&x), &["no tensor `y`", "it has `x`"]);
    no(std::slice::from_ref(&y), &["no tensor `x`"]);
    no(&[x.clone(), y.clone(), stored("z", &[1], &[0.0])], &["`z`"]);
    no(&[stored("x", &[BATCH, 3], &numbers(BATCH * 3, 1)), y.clone()], &["`x` has 3 columns", "`0.weight` takes 4"]);
    no(&[stored("x", &[0, 4], &[]), stored("y", &[0, 2], &[])], &["`x` is empty"]);
    no(&[stored("x", &[0, 1 << 60], &[]), y.clone()], &["`x` is empty"]);
    no(&[x.clone(), stored("y", &[BATCH, 3], &numbers(BATCH * 3, 1))], &["`y` has shape [5, 3]", "need [5, 2]"]);
    no(&[x.clone(), stored("y", &[4, 2], &numbers(8, 1))], &["`y` has shape [4, 2]", "5 samples"]);
    no(&[x.clone(), classes(&[BATCH], &[0, 1, 2, 0, 1])], &["class 2 at [2]", "there are 2"]);
    no(&[x.clone(), classes(&[BATCH], &[0, 1, 0, -1, 1])], &["class -1 at [3]"]);
    no(&[x.clone(), classes(&[BATCH, 1], &[0, 1, 0, 1, 1])], &["classes", "[5, 1]", "needs [5]"]);
    let mut bad = numbers(BATCH * 4, 5);
    bad[6] = f64::INFINITY;
    no(&[stored("x", &[BATCH, 4], &bad), y], &["`x` holds inf at [1, 2]"]);
}

#[test]
fn files_that_are_no_safetensors_are_refused_whatever_their_header_claims() {
    let bench = bench();
    let file = |header: &str| [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
    let claims = r#"{"0.weight":{"dtype":"F32","shape":[SHAPE],"data_offsets":[0,END]}}"#;
    let claim = |shape: &str, end: &str| file(&claims.replace("SHAPE", shape).replace("END", end));
    for bytes in [
        Vec::new(),
        b"text".to_vec(),
        u64::MAX.to_le_bytes().to_vec(),
        [&(99_000_000_u64).to_le_bytes()[..], b"{}"].concat(),
        file("{}{}"),
        file("[1]"),
        claim("4611686018427387904,4", "16"),
        claim("1000000,1000000", "4000000000000"),
        claim("2,2", "18446744073709551615"),
        claim("-1", "4"),
    ] {
        for name in ["net.safetensors", "batch.safetensors"] {
            let good = std::fs::read(bench.path(name)).expect("a good file");
            bench.put(name, &bytes);
            gradient(&bench, &[]).expect(2).says(&[name, "not a safetensors file"]);
            bench.put(name, good);
        }
    }
    let words = ["gradient", "--data", "batch.safetensors", "--out", "out.safetensors", "--weights"];
    bench
        .run(&[&words[..], &["nowhere.safetensors"]].concat())
        .expect(2)
        .says(&["nowhere.safetensors", "could not be read"]);
    bench.run(&[&words[..], &["."]].concat()).expect(2).says(&["is not a file"]);
    gradient(&bench, &[]).expect(0);
}
