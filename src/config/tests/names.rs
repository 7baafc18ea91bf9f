//! Names that do not exist: keys, tables, presets, files. Each is shown in its place, with the one that was meant.

use super::super::{Level, load};
use super::{assert_helps, marked, only, position};

#[test]
fn an_unknown_key_looks_like_an_error_of_rustc() {
    let text = "seed = 1\n\n[inference]\nactivity_rate = 0.1\n";
    let expected = "\
error: unknown key `inference.activity_rate`
 --> mine.toml:4:1
  |
4 | activity_rate = 0.1
  | ^^^^^^^^^^^^^
  = help: did you mean `activity_lr`?
  = help: known keys of [inference]: `activity_lr`, `max_infer_iters`, `tolerance`, `check_every`, \
          `plateau`, `free_phase`, `variables`";
    assert_eq!(only(text, &[]).to_string(), expected);
}

#[test]
fn a_key_of_another_table_is_found() {
    let problem = only("nudge = 0.1", &[]);
    assert_eq!(problem.title, "unknown key `nudge`");
    assert_helps(&problem, "did you mean `learning.nudge`?");
    assert_helps(&only("[learning]\nactivity_lr = 0.1", &[]), "did you mean `inference.activity_lr`?");
    assert_helps(&only("[schedule]\nevery = 1", &[]), "did you mean `record.every`?");
    assert_helps(&only("[model]\nname = \"x\"", &[]), "did you mean `data.name` or `output.name`?");
}

#[test]
fn the_words_of_the_field_are_understood() {
    assert_helps(&only("learning_nudge = 0.1", &[]), "did you mean `learning.nudge`?");
    assert_helps(&only("[learning]\nlr = 0.1", &[]), "did you mean `param_lr`?");
    assert_helps(&only("[learning]\nbeta = 0.1", &[]), "did you mean `nudge` or `beta1`?");
    assert_helps(&only("lambda = 0.1", &[]), "did you mean `learning.nudge`?");
    assert_helps(&only("[model]\nhidden = 1", &[]), "did you mean `widths`?");
}

#[test]
fn an_unknown_key_of_an_override_is_shown_in_the_override() {
    let problem = only("", &["seed=1", "learning.nudg = 0.1"]);
    let place = problem.place().expect("a place");
    assert_eq!(place.origin, "command line, override 2");
    assert_eq!(position(&problem), (None, 1));
    assert_eq!(marked(&problem), "learning.nudg");
    assert_helps(&problem, "did you mean `learning.nudge`?");
    assert_helps(&only("", &["lerning.nudge=1"]), "did you mean `learning.nudge`?");
    assert_helps(&only("", &["epochs=1"]), "did you mean `learning.epochs`?");
}

#[test]
fn a_name_like_no_other_gets_the_list_only() {
    let problem = only("[links]\nzzz = 1", &[]);
    assert_eq!(
        problem.help,
        [
            "known keys of [links]: `message`, `transport`, `delay`, `jitter`, `loss`, `duplicate`, `reorder`, `bandwidth`, `delivery`, `threshold`, `resend`"
        ]
    );
}

#[test]
fn an_unknown_table_is_one_problem() {
    let problem = only("[lerning]\nnudge = 0.1\nepochs = 3", &[]);
    assert_eq!(problem.title, "unknown table `[lerning]`");
    assert_eq!(position(&problem), (Some(1), 2));
    assert_eq!(marked(&problem), "lerning");
    assert_helps(&problem, "did you mean `[learning]`?");
}

#[test]
fn a_table_is_not_a_value_and_a_value_is_not_a_table() {
    let problem = only("model = 3", &[]);
    assert_eq!(problem.title, "`model` is a table of keys, not a value");
    assert_eq!(position(&problem), (Some(1), 9));
    assert_helps(&problem, "keys of [model]: `widths`");
    assert_eq!(only("[[model]]\ngroups = 1", &[]).title, problem.title);
    assert_eq!(only("", &["model=3"]).title, problem.title);
    let problem = only("[seed]\nx = 1", &[]);
    assert_eq!(problem.title, "`seed` must be an integer ≥ 0");
    assert_eq!(problem.marks[0].label, "found a table");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/configs");
    let message = |target: &str| load(Some(target), &[]).expect_err("no such file").to_string();
    let text = message("no/such/mnist.toml");
    assert!(text.starts_with("error: cannot read `no/such/mnist.toml`: "), "{text}");
    assert!(text.contains("did you mean the preset `mnist`?"), "{text}");
    assert!(message(folder).contains("cannot read `"), "a folder is no file");
    let path = std::env::temp_dir().join(format!("asynapse-config-{}.toml", std::process::id()));
    for (bytes, reason) in [(&b"seed = 1\nx = \"\xff\""[..], "line 2 is not UTF-8"), (&[b' '; 1 << 21], "longer than")]
    {
        std::fs::write(&path, bytes).expect("a file for the test");
        assert!(message(&path.to_string_lossy()).contains(reason));
    }
    std::fs::remove_file(&path).expect("removal of the file for the test");
}

#[test]
fn an_unknown_preset_gets_the_nearest() {
    let error = load(Some("mnits"), &[]).expect_err("no such preset");
    let problem = &error.diagnostics[0];
    assert_eq!((problem.level, problem.place()), (Level::Error, None));
    assert_helps(problem, "did you mean the preset `mnist`?");
    assert_helps(
        problem,
        "presets: `digits`, `mnist`, `mnist-paper`, `authors-mnist`, `ep-mnist`, `chl-mnist`, `wb-mnist`, `prospective`, `delay`, `study`, `study-training`, `study-border`, `delay-wall`, `tiny`",
    );
}
