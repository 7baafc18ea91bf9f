//! Tests of the configuration, by what they hold: the messages, the names in them, the reading of values, the rules
//! between keys, the tables that describe the keys, and that no text whatever can bring the reader down.

mod garbage;
mod idle;
mod messages;
mod names;
mod parts;
mod reading;
mod rules;
mod tables;

use super::{Config, Diagnostic, Loaded, load, load_text};

/// What a file `mine.toml` with this text and these overrides gives.
fn read(text: &str, overrides: &[&str]) -> Result<Loaded, Vec<Diagnostic>> {
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    load_text("mine.toml", text, &overrides).map_err(|error| error.diagnostics)
}

/// The configuration, where there must be one.
fn config(text: &str, overrides: &[&str]) -> Config {
    match read(text, overrides) {
        Ok(loaded) => loaded.config,
        Err(problems) => panic!("{text:?} with {overrides:?} is refused: {problems:?}"),
    }
}

/// The problems, where there must be some.
fn problems(text: &str, overrides: &[&str]) -> Vec<Diagnostic> {
    match read(text, overrides) {
        Ok(_) => panic!("{text:?} with {overrides:?} is accepted"),
        Err(problems) => problems,
    }
}

/// The problem, where there must be exactly one.
fn only(text: &str, overrides: &[&str]) -> Diagnostic {
    let mut problems = problems(text, overrides);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    problems.remove(0)
}

/// What stands above the carets of the first place.
fn marked(problem: &Diagnostic) -> String {
    let place = problem.place().expect("a place");
    place.text.chars().skip(place.column - 1).take(place.width).collect()
}

/// Line and column of the first place.
fn position(problem: &Diagnostic) -> (Option<usize>, usize) {
    let place = problem.place().expect("a place");
    (place.line, place.column)
}

/// Asserts that some line of help contains these words.
fn assert_helps(problem: &Diagnostic, words: &str) {
    assert!(problem.help.iter().any(|help| help.contains(words)), "no {words:?} in {problem:#?}");
}

/// A preset with overrides.
fn preset(name: &str, overrides: &[&str]) -> Loaded {
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    match load(Some(name), &overrides) {
        Ok(loaded) => loaded,
        Err(error) => panic!("{error}"),
    }
}
