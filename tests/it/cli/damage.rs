//! Checkpoints that were damaged after they were written. Oracle: the run that was never damaged; the checkpoint before the
//! damaged one leads to the same bits.

use std::fs;
use std::path::Path;

use super::artefacts::Run;
use super::program::Bench;
use super::resumed::assert_same;

/// Three epochs of seven steps, a checkpoint after each.
fn three_checkpoints() -> (Bench, Run) {
    let bench = Bench::new();
    bench.train("whole", &["learning.epochs=3"]).expect(0);
    let run = bench.run_directory("whole");
    assert_eq!(run.checkpoints(), ["step-00000007", "step-00000014", "step-00000021"]);
    (bench, run)
}

/// Flips one bit of the byte that stands at this share of the file.
fn flip(path: &Path, share: f64) {
    let mut bytes = fs::read(path).expect("a file of the checkpoint");
    let place = ((bytes.len() - 1) as f64 * share) as usize;
    bytes[place] ^= 1;
    fs::write(path, bytes).expect("write");
}

fn cut(path: &Path, length: usize) {
    let bytes = fs::read(path).expect("a file of the checkpoint");
    fs::write(path, &bytes[..length]).expect("write");
}

/// The damage is noticed, named, and made good from the checkpoint before.
fn is_passed_over(bench: &Bench, whole: &Run, number: usize, file: &str, spoil: &dyn Fn(&Path)) {
    let name = format!("damaged-{number}");
    let run = whole.copy(&name);
    // The copy is a run of its own, so its configuration has its own name.
    let config = run.text("config.toml").replace("\"whole\"", &format!("\"{name}\""));
    fs::write(run.file("config.toml"), config).expect("write");
    let named = format!("runs/{name}/checkpoints/step-00000021/{file}");
    spoil(&run.newest(file));
    bench.resume(&name, &[]).expect(0).says(&["passed over", &named, "steps 14 to 21"]);
    assert!(run.text("run.log").contains(&named), "the log says it too");
    assert_same(&run, whole);
}

#[test]
fn a_damaged_checkpoint_is_passed_over() {
    let (bench, whole) = three_checkpoints();
    let mut number = 0;
    for file in ["model.safetensors", "optimizer.safetensors", "state.json"] {
        let spoilers: [&dyn Fn(&Path); 6] = [
            &|path| flip(path, 0.0),
            &|path| flip(path, 0.5),
            &|path| flip(path, 1.0),
            &|path| cut(path, 100),
            &|path| cut(path, 0),
            &|path| fs::remove_file(path).expect("remove"),
        ];
        for spoil in spoilers {
            number += 1;
            is_passed_over(&bench, &whole, number, file, spoil);
        }
    }
}

#[test]
fn a_state_that_still_reads_as_one_is_not_believed() {
    let (bench, whole) = three_checkpoints();
    let lies = [
        ("\"step\": 21", "\"step\": 20"),
        ("\"epoch\": 3", "\"epoch\": 2"),
        ("\"batch\": 0", "\"batch\": 1"),
        ("      21", "      12"),
    ];
    for (number, (truth, lie)) in lies.into_iter().enumerate() {
        is_passed_over(&bench, &whole, number, "state.json", &|path| {
            let text = fs::read_to_string(path).expect("the state");
            assert!(text.contains(truth), "{truth} in {text}");
            fs::write(path, text.replacen(truth, lie, 1)).expect("write");
        });
    }
}

#[test]
fn without_a_whole_checkpoint_nothing_is_touched() {
    let (bench, whole) = three_checkpoints();
    for name in whole.checkpoints() {
        flip(&whole.file("checkpoints").join(name).join("model.safetensors"), 0.7);
    }
    let before = whole.files();
    bench.resume("whole", &[]).expect(2).says(&["step-00000021/model.safetensors", "damaged"]);
    bench.resume("whole", &["learning.epochs=5"]).expect(2).says(&["model.safetensors"]);
    assert!(whole.files() == before, "nothing is written");
}

#[test]
fn a_damaged_checkpoint_does_not_push_out_a_whole_one() {
    let (bench, run) = three_checkpoints();
    for step in ["step-00000014", "step-00000021"] {
        flip(&run.file("checkpoints").join(step).join("model.safetensors"), 0.7);
    }
    // One is kept, and that has to be the one just written, not the later one that nobody can read.
    let outcome = bench.resume("whole", &["learning.epochs=2", "record.keep=1"]).expect(0);
    assert!(outcome.stdout.contains("step-00000014/model.safetensors"), "{outcome}");
    assert_eq!(run.checkpoints(), ["step-00000014", "step-00000021"]);
    bench.resume("whole", &["learning.epochs=3"]).expect(0).says(&["step-00000021", "steps 14 to 21"]);
    assert_eq!(run.checkpoints(), ["step-00000021"]);
    bench.train("other", &["learning.epochs=3", "record.keep=1"]).expect(0);
    let other = bench.run_directory("other").learnt();
    assert!(run.learnt() == other, "and it leads to the same bits");
}
