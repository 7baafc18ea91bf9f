//! `config show|check|schema|keys|list`. Oracles: the library's own tables of keys and presets, and the fixed point: what is
//! shown, shown again, is the same, and trains to the same bits.

use asynapse::config::{KEYS, presets};
use serde_json::Value as Json;

use super::program::{Bench, SMALL};

#[test]
fn what_is_shown_is_a_fixed_point() {
    let bench = Bench::new();
    for preset in presets() {
        let shown = bench.run(&["config", "show", preset.name, "data.dir=x", "learning.nudge=0.25"]).expect(0);
        assert!(shown.stdout.contains("nudge = 0.25"), "{shown}");
        bench.put("shown.toml", &shown.stdout);
        let again = bench.run(&["config", "show", "shown.toml"]).expect(0);
        assert_eq!(shown.stdout, again.stdout, "{}", preset.name);
        let leaves = |text: &str| text.lines().filter(|line| line.contains(" = ")).count();
        assert_eq!(leaves(&shown.stdout), KEYS.len(), "every key once: {shown}");
    }
}

#[test]
fn what_is_shown_trains_to_the_same_bits() {
    let bench = Bench::new();
    let shown = bench.run(&[&["config", "show"], &SMALL[..]].concat()).expect(0);
    bench.put("shown.toml", &shown.stdout);
    bench.run(&["train", "shown.toml", "output.name=shown"]).expect(0);
    bench.train("typed", &[]).expect(0);
    assert!(bench.run_directory("shown").learnt() == bench.run_directory("typed").learnt());
}

#[test]
fn a_check_says_what_was_checked() {
    let bench = Bench::new();
    for preset in presets() {
        let outcome = bench.run(&["config", "check", preset.name, "data.dir=x"]).expect(0);
        assert_eq!(outcome.stdout, format!("preset {}: ok\n", preset.name));
    }
    bench.put("mine.toml", "[learning]\nmomentum = 0.5\n");
    let outcome = bench.run(&["config", "check", "mine.toml"]).expect(0);
    assert_eq!(outcome.stdout, "mine.toml: ok\n");
    // Without effect on Adam: a warning, no error.
    outcome.says(&["warning", "mine.toml:2:", "`learning.momentum`"]);
    bench.run(&["config", "check", "tiny", "learning.nudge=2"]).expect(2).says(&["`learning.nudge`"]);
    assert_eq!(bench.names(), ["mine.toml"]);
}

#[test]
fn the_schema_describes_every_key() {
    let bench = Bench::new();
    let schema: Json = serde_json::from_str(&bench.run(&["config", "schema"]).expect(0).stdout).expect("JSON");
    for key in KEYS {
        let described = match key.path.split_once('.') {
            Some((section, leaf)) => &schema["properties"][section]["properties"][leaf],
            None => &schema["properties"][key.path],
        };
        assert!(described["description"].as_str().is_some_and(|text| text.contains(key.meaning)), "{}", key.path);
        assert!(!described["default"].is_null(), "{}", key.path);
    }
}

#[test]
fn keys_and_presets_are_listed() {
    let bench = Bench::new();
    let keys = bench.run(&["config", "keys"]).expect(0);
    for key in KEYS {
        let row = format!("| `{}` |", key.path);
        assert_eq!(keys.stdout.lines().filter(|line| line.starts_with(&row)).count(), 1, "{}", key.path);
    }
    let list = bench.run(&["config", "list"]).expect(0);
    assert_eq!(list.stdout.lines().count(), presets().len());
    for (line, preset) in list.stdout.lines().zip(presets()) {
        assert!(line.starts_with(preset.name) && line.ends_with(preset.summary), "{line}");
    }
    assert!(list.stderr.is_empty() && keys.stderr.is_empty());
}
