//! `data list|verify|fetch`. Oracles: the published SHA-256 of MNIST, held against the real files and against a copy in which
//! one bit differs. Nothing leaves this machine.

use std::fs;

use asynapse::data::catalogue::KNOWN;

use super::super::data::{mnist_folder, samples};
use super::program::Bench;

#[test]
fn every_known_set_is_listed() {
    let list = Bench::new().run(&["data", "list"]).expect(0);
    assert_eq!(list.stdout.lines().count(), KNOWN.len());
    for (line, set) in list.stdout.lines().zip(&KNOWN) {
        assert!(line.starts_with(set.name) && line.contains("MB") && line.contains(set.mirrors[0]), "{line}");
    }
}

#[test]
fn the_real_files_are_verified_and_a_changed_bit_is_found() {
    let real = mnist_folder();
    if !real.is_dir() {
        eprintln!("skipped: {} is not there (set ASYNAPSE_MNIST)", real.display());
        return;
    }
    let bench = Bench::new();
    let outcome = bench.run(&["data", "verify", "mnist", "--dir", &real.to_string_lossy()]).expect(0);
    assert_eq!(outcome.stdout.lines().filter(|line| line.contains("  ok: ")).count(), 4, "{outcome}");

    // The large files as they are; the smallest one with a bit changed in its last label.
    let (name, raw) = ("t10k-labels-idx1-ubyte.gz", "t10k-labels-idx1-ubyte");
    fs::create_dir(bench.path("copy")).expect("a folder");
    for entry in fs::read_dir(&real).expect("the real files") {
        let entry = entry.expect("an entry");
        if !entry.file_name().to_string_lossy().starts_with(raw) {
            fs::copy(entry.path(), bench.path("copy").join(entry.file_name())).expect("copy");
        }
    }
    let label_path = real.join(name);
    let labels = asynapse::data::idx::read_labels(&label_path).expect("the labels");
    let mut changed = samples::idx(&[10_000], &labels);
    bench.put(&format!("copy/{raw}"), &changed);
    bench.run(&["data", "verify", "mnist", "--dir", "copy"]).expect(0);
    *changed.last_mut().expect("a label") ^= 1;
    bench.put(&format!("copy/{raw}"), &changed);
    let outcome = bench.run(&["data", "verify", "mnist", "--dir", "copy"]).expect(2).says(&["not as published", name]);
    assert_eq!(outcome.stdout.lines().filter(|line| line.contains("  ok: ")).count(), 3, "{outcome}");
    fs::remove_file(bench.path("copy").join(raw)).expect("remove");
    let outcome = bench.run(&["data", "verify", "mnist", "--dir", "copy"]).expect(2).says(&[name]);
    assert!(outcome.stdout.contains("missing"), "{outcome}");
}

#[test]
fn the_real_files_can_be_trained_on() {
    let real = mnist_folder();
    if !real.is_dir() {
        eprintln!("skipped: {} is not there (set ASYNAPSE_MNIST)", real.display());
        return;
    }
    let bench = Bench::new();
    let dir = format!("data.dir={}", real.display());
    bench.train("a", &["mnist", &dir]).expect(2).says(&["one configuration at a time"]);
    bench.train("a", &[&dir]).expect(0);
    let run = bench.run_directory("a");
    assert_eq!(run.meta()["samples"], serde_json::json!([200, 0, 100]));
    assert_eq!(run.meta()["data"].as_array().map(Vec::len), Some(4));
    let wrong = bench.train("b", &[&dir, "model.widths=[784,8,9]"]).expect(2);
    wrong.says(&["model.widths ends with 9", "10 classes", &real.to_string_lossy()]);
}

#[test]
fn what_cannot_be_verified_or_fetched_is_said() {
    let bench = Bench::new();
    bench.run(&["data", "verify", "mnsit"]).expect(2).says(&["`mnsit`", "mnist, fashion-mnist, kmnist"]);
    bench.run(&["data", "verify", "kmnist"]).expect(2).says(&["data/kmnist", "not a folder"]);
    bench.run(&["data", "fetch", "mnsit"]).expect(2).says(&["`mnsit`"]);
    assert!(bench.names().is_empty(), "nothing is made");
    // Nobody listens on the first port, and nobody is ever given it.
    let mirror = "http://127.0.0.1:1/";
    let outcome = bench.run(&["data", "fetch", "mnist", "--mirror", mirror]).expect(2);
    outcome.says(&["cannot download train-images-idx3-ubyte.gz", mirror]);
}
