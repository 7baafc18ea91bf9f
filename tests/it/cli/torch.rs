//! `gradient` held against PyTorch. Oracle: autograd on the CPU, a program that shares no line with this one
//! (`tests/torch/autograd.py`). Runs where a Python with torch and safetensors is found; `ASYNAPSE_PYTHON` may name it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value as Json;

use super::artefacts::{Tensor, tensors};
use super::program::Bench;

/// The interpreter, if it has what the script imports.
fn python() -> Option<String> {
    let python = std::env::var("ASYNAPSE_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let imports = Command::new(&python).args(["-c", "import torch, safetensors.torch"]).output();
    let problem = match imports {
        Ok(output) if output.status.success() => return Some(python),
        Ok(output) => String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned(),
        Err(error) => error.to_string(),
    };
    eprintln!("skipped: {python} can't import torch and safetensors ({problem}); ASYNAPSE_PYTHON may name another");
    None
}

/// ‖a − b‖ / ‖b‖.
fn relative_distance(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.shape, b.shape);
    let norm = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|number| number * number).sum::<f64>().sqrt();
    let apart = norm(&mut a.numbers.iter().zip(&b.numbers).map(|(a, b)| a - b));
    apart / norm(&mut b.numbers.iter().copied())
}

/// Runs one case, and gives the largest relative distance of any tensor of `what` from autograd's, and the loss.
fn run(bench: &Bench, name: &str, what: &str, settings: &[&str]) -> (f64, f64) {
    let [net, batch] = ["net", "batch"].map(|file| format!("{name}.{file}.safetensors"));
    let words = ["gradient", "--weights", &net, "--data", &batch, "--out", "out.safetensors", "--json"];
    let outcome = bench.run(&[&words[..], settings].concat()).expect(0);
    let loss: Json = serde_json::from_str(&outcome.stdout).expect("JSON");
    let ours = tensors(&bench.path("out.safetensors"));
    let theirs = tensors(&bench.path(&format!("{name}.grad.safetensors")));
    let worst = (1..=3).flat_map(|layer| {
        let module = 2 * (layer - 1);
        [
            (format!("{what}.W{layer}"), format!("{module}.weight")),
            (format!("{what}.b{layer}"), format!("{module}.bias")),
        ]
    });
    let worst = worst.map(|(ours_name, name)| relative_distance(&ours[&ours_name], &theirs[&name])).fold(0.0, f64::max);
    (worst, (loss["loss"].as_f64().expect("a loss") - theirs["loss"].numbers[0]).abs())
}

fn cases(bench: &Bench, python: &str) -> Vec<(String, String, Vec<String>)> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torch/autograd.py");
    let output = Command::new(python).arg(script).arg(bench.path("")).output().expect("start Python");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(bench.path("cases.json")).expect("the list of cases");
    let list: Json = serde_json::from_str(&text).expect("JSON");
    let word = |json: &Json| json.as_str().expect("text").to_owned();
    let case = |case: &Json| {
        let settings = case["settings"].as_array().expect("settings").iter().map(word).collect();
        (word(&case["name"]), word(&case["dtype"]), settings)
    };
    list["cases"].as_array().expect("cases").iter().map(case).collect()
}

#[test]
fn backpropagation_is_autograd() {
    let Some(python) = python() else { return };
    let bench = Bench::new();
    let mut worst: BTreeMap<String, f64> = BTreeMap::new();
    for (name, dtype, settings) in cases(&bench, &python) {
        let mut settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        settings.push("learning.rule=backprop");
        let bar = if dtype == "f32" { 1e-6 } else { 1e-12 };
        for what in ["reference", "estimate"] {
            let (distance, loss) = run(&bench, &name, what, &settings);
            assert!(distance <= bar, "{name}: {what} is {distance:e} from autograd, {bar:e} is allowed");
            assert!(loss <= bar * 10.0, "{name}: the loss is {loss:e} off");
            let so_far = worst.entry(dtype.clone()).or_default();
            *so_far = so_far.max(distance);
        }
    }
    assert_eq!(worst.keys().collect::<Vec<_>>(), ["f32", "f64"], "both were compared");
    eprintln!("largest relative distance of any tensor from autograd: {worst:?}");
}

#[test]
fn estimates_approach_autograd_with_the_nudge() {
    let Some(python) = python() else { return };
    let bench = Bench::new();
    // Smooth activations in f64: the error of a one-sided nudge is proportional to λ, of a symmetric one to λ².
    let smooth = |name: &str| name.starts_with("tanh") || name.starts_with("softplus");
    let cases = cases(&bench, &python).into_iter().filter(|(name, dtype, _)| smooth(name) && dtype == "f64");
    let mut compared = 0;
    for (name, _, settings) in cases {
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let settled = ["inference.tolerance=1e-12", "inference.max_infer_iters=100000"];
        let distance = |nudging: &str, nudge: &str| {
            run(&bench, &name, "estimate", &[&settings[..], &settled, &[nudging, nudge]].concat()).0
        };
        for (nudging, order) in [("one-sided", 1), ("symmetric", 2)] {
            let nudging = format!("learning.nudging={nudging}");
            let [wide, tight] = ["0.02", "0.01"].map(|nudge| distance(&nudging, &format!("learning.nudge={nudge}")));
            let slope = (wide / tight).log2();
            assert!((slope - f64::from(order)).abs() < 0.1, "{name}, {nudging}: {wide:e} to {tight:e}, slope {slope}");
        }
        let first = run(&bench, &name, "estimate", &[&settings[..], &["learning.rule=first-step"]].concat()).0;
        assert!(first <= 1e-12, "{name}: first-step is backpropagation, {first:e}");
        compared += 1;
    }
    assert!(compared >= 5, "{compared} cases");
}
