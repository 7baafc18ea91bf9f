//! Checkpoints damaged in every place. Oracle: the checkpoint before, which is what must be loaded; and the bytes that were written,
//! of which no other may be believed.

use std::fs;
use std::path::{Path, PathBuf};

use asynapse::energy::{Activation, Loss};
use asynapse::math::optimizer::OptimizerState;
use asynapse::network::{Init, NetworkSpec};
use asynapse::run::RunDirectory;
use asynapse::run::checkpoint::{self, Found, Position, Snapshot};
use ndarray::Array2;

fn network() -> NetworkSpec {
    NetworkSpec::new(&[2, 2], Activation::Tanh, Loss::SquaredError).expect("a network")
}

fn snapshot(seed: u64) -> Snapshot<f32> {
    let weights = network().initial_weights::<f32>(Init::TorchLinear, seed);
    let state = |size| OptimizerState { updates: seed, first: vec![0.5; size], second: vec![0.25; size] };
    let states = (0..2_u8).map(|layer| Array2::from_elem((2, 3), f32::from(layer) + 0.5)).collect();
    Snapshot { weights, optimizers: vec![[state(4), state(2)]], feedback: Vec::new(), precisions: Vec::new(), states }
}

fn position(step: u64) -> Position {
    Position { step, epoch: 0, batch: step, wall_s: 0.0, links: Vec::new() }
}

/// A run with a checkpoint after the first and the second step.
fn run() -> (tempfile::TempDir, RunDirectory, PathBuf) {
    let parent = tempfile::tempdir().expect("a temporary folder");
    let run = RunDirectory::create(parent.path(), "run", "", &[]).expect("a run directory");
    checkpoint::write(&run, &snapshot(1), &position(1), 3).expect("a checkpoint");
    let newest = checkpoint::write(&run, &snapshot(2), &position(2), 3).expect("a checkpoint");
    (parent, run, newest)
}

fn found(run: &RunDirectory) -> Found<f32> {
    checkpoint::newest::<f32>(run.path(), &network()).expect("a whole checkpoint")
}

/// What is loaded is the one before; what is said names the file and, of a file that can be read, what it is and should be.
#[track_caller]
fn is_passed_over(run: &RunDirectory, path: &Path, what: &str) {
    let found = found(run);
    assert_eq!(found.position.step, 1, "{what}");
    assert!(found.snapshot == snapshot(1), "{what}");
    let said: Vec<String> = found.passed_over.iter().map(ToString::to_string).collect();
    assert!(said.len() == 1 && said[0].contains(&*path.to_string_lossy()), "{what}: {said:?}");
    assert!(said[0].contains("SHA-256") || said[0].contains("UTF-8") || said[0].contains("format"), "{what}: {said:?}");
}

#[test]
fn no_damaged_checkpoint_is_ever_loaded() {
    let (_parent, run, newest) = run();
    assert!(found(&run).snapshot == snapshot(2) && found(&run).passed_over.is_empty());
    for file in ["model.safetensors", "optimizer.safetensors", "state.json"] {
        let path = newest.join(file);
        let whole = fs::read(&path).expect("a file of the checkpoint");
        assert!(whole.len() > 100, "{file} is worth damaging");
        for place in 0..whole.len() {
            for mask in [0x01, 0x20, 0x80, 0xff] {
                let mut damaged = whole.clone();
                damaged[place] ^= mask;
                fs::write(&path, damaged).expect("write");
                is_passed_over(&run, &path, &format!("{file}, byte {place} ^ {mask:#x}"));
            }
        }
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).expect("write");
            is_passed_over(&run, &path, &format!("{file}, {length} bytes of {}", whole.len()));
        }
        fs::write(&path, [&whole[..], b" "].concat()).expect("write");
        is_passed_over(&run, &path, &format!("{file} and a blank"));
        fs::write(&path, whole).expect("write");
    }
    assert!(found(&run).snapshot == snapshot(2), "undamaged it is loaded again");
}

#[test]
fn a_checkpoint_that_is_replaced_stands_aside_until_the_new_one_is_there() {
    let (_parent, run, newest) = run();
    // A death between the two renamings leaves this.
    let aside = newest.with_file_name(".step-00000002.aside");
    fs::rename(&newest, &aside).expect("rename");
    assert_eq!((found(&run).position.step, &found(&run).path), (2, &aside), "it still counts");
    // The next one of that step, or a later one, is made, and the old one goes.
    checkpoint::write(&run, &snapshot(3), &position(2), 1).expect("a checkpoint");
    assert!(!aside.exists());
    assert!(found(&run).snapshot == snapshot(3));
    assert_eq!(checkpoint::list(run.path()).expect("a list"), [newest]);
}

#[test]
fn a_generation_is_counted_on_the_disk_and_never_guessed() {
    let (_parent, run, _) = run();
    assert_eq!([(); 3].map(|()| run.next_generation().expect("a number")), [1, 2, 3]);
    fs::write(run.file("generation"), "4x").expect("write");
    let problem = run.next_generation().expect_err("no number").to_string();
    assert!(problem.contains("generation") && problem.contains("number"), "{problem}");
}

#[test]
fn the_last_generation_there_is_has_no_next_one() {
    let (_parent, run, _) = run();
    let write = |number: u64| fs::write(run.file("generation"), format!("{number}\n")).expect("write");
    write(u64::MAX - 1);
    assert_eq!(run.next_generation().expect("one is left"), u64::MAX);
    let refused = run.next_generation().expect_err("none is left").to_string();
    assert!(refused.contains("generation: holds the last number"), "{refused}");
}
