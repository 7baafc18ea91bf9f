//! What goes where. Oracles: data on stdout, everything else on stderr; and a reader that goes away (`| head -1`) is no error.

use std::path::Path;

use super::program::{Bench, SMALL};

#[test]
fn help_is_output_and_not_an_error() {
    let bench = Bench::new();
    for words in [
        &[][..],
        &["train"],
        &["compare"],
        &["config"],
        &["config", "show"],
        &["config", "check"],
        &["config", "schema"],
        &["config", "keys"],
        &["config", "list"],
        &["data"],
        &["data", "list"],
        &["data", "fetch"],
        &["data", "verify"],
    ] {
        let outcome = bench.run(&[words, &["--help"]].concat()).expect(0);
        assert!(outcome.stdout.contains("Usage: asynapse") && outcome.stderr.is_empty(), "{outcome}");
    }
    let outcome = bench.run(&["--version"]).expect(0);
    assert_eq!(outcome.stdout, format!("asynapse {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_reader_that_went_away_is_no_error() {
    let bench = Bench::new();
    for words in [
        &["config", "keys"][..],
        &["config", "schema"],
        &["config", "show"],
        &["config", "list"],
        &["data", "list"],
        &["--help"],
        &["compare", "--json", "tiny", "data.train=32", "data.test=1", "model.widths=[784,8,10]"],
    ] {
        for stderr_too in [false, true] {
            let process = if stderr_too { bench.start_unheard(words) } else { bench.start_unread(words) };
            process.wait().expect(0);
        }
    }
}

#[test]
fn a_run_that_nobody_listens_to_is_made_all_the_same() {
    let bench = Bench::new();
    let words = [&["train"], &SMALL[..], &["output.name=a"]].concat();
    bench.start_unheard(&words).wait().expect(0);
    assert_eq!(bench.run_directory("a").status(), "done");
    // The exit code needs no reader.
    bench.start_unheard(&words).wait().expect(2);
}

#[test]
fn a_full_disk_is_an_error() {
    let full = Path::new("/dev/full");
    if !full.exists() {
        eprintln!("skipped: {} is not there", full.display());
        return;
    }
    let bench = Bench::new();
    for words in [&["config", "show"][..], &["config", "schema"], &["data", "list"]] {
        bench.start_into(full, words).wait().expect(2).says(&["stdout could not be written"]);
    }
}
