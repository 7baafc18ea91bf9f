//! Every kind of problem points at its line and column and names a way out. Unknown names are in `names.rs`.

use super::super::load;
use super::{assert_helps, marked, only, position, problems};

#[test]
fn the_gutter_is_as_wide_as_the_line_number() {
    let text = format!("{}sed = 1\n", "\n".repeat(11));
    let shown = only(&text, &[]).to_string();
    assert!(shown.contains("\n  --> mine.toml:12:1\n   |\n12 | sed = 1\n   | ^^^\n   = help"), "{shown}");
}

#[test]
fn a_value_of_the_wrong_type_is_marked() {
    let problem = only("[learning]\n  nudge = \"0.1\"", &[]);
    assert_eq!(problem.title, "`learning.nudge` must be a number ≥ 0");
    assert_eq!(position(&problem), (Some(2), 11));
    assert_eq!(marked(&problem), "\"0.1\"");
    assert_eq!(problem.marks[0].label, "found the text `0.1`");
    assert_helps(&problem, "write it without quotes: 0.1");

    let problem = only("[learning]\nepochs = 3.0", &[]);
    assert_helps(&problem, "write it without a decimal point: 3");
    assert_eq!(only("seed = 2024-05-01", &[]).marks[0].label, "found the date `2024-05-01`");
    assert_eq!(only("[data]\nshuffle = 1", &[]).title, "`data.shuffle` must be `true` or `false`");
    assert_eq!(only("[data]\ndir = 1", &[]).title, "`data.dir` must be text");
    assert_eq!(only("", &["learning.nudge="]).marks[0].label, "found nothing");
    assert_helps(&only("", &["model.widths=[784,10"]), "cannot be read as TOML");
}

#[test]
fn a_number_outside_its_limits_is_marked() {
    let problem = only("[data]\nbatch_size = 0", &[]);
    assert_eq!(problem.title, "`data.batch_size` must be an integer from 1 to 65536");
    assert_eq!((position(&problem), marked(&problem)), ((Some(2), 14), "0".to_owned()));
    for wrong in [
        "seed = -1",
        "seed = 18446744073709551616",
        "seed = 999999999999999999999999999999999999999999",
        "model.widths = [784]",
        "model.widths = []",
        "model.widths = [784, 1_000_001]",
        "model.precision = 0",
        "model.precision = []",
        "model.precision = [1, 1, nan]",
        "inference.activity_lr = inf",
        "inference.activity_lr = 1e999",
        "inference.activity_lr = 0.0",
        "inference.tolerance = -1e-9",
        "inference.max_infer_iters = 10_000_001",
        "inference.check_every = 0",
        "learning.nudge = -1e-9",
        "learning.beta1 = 1.0",
        "learning.momentum = -0.1",
        "learning.epochs = 0",
        "schedule.stall_seconds = 0",
    ] {
        let problem = only(wrong, &[]);
        let key = wrong.split(' ').next().expect("a key");
        assert!(problem.title.starts_with(&format!("`{key}` must be a")), "{problem}");
        assert_eq!(position(&problem).0, Some(1));
    }
}

#[test]
fn a_number_format_is_read_and_another_refused() {
    let problem = only("[numerics]\nstates = \"fixed:99\"", &[]);
    assert!(problem.title.starts_with("`numerics.states` must be one of `exact`, `bf16`"), "{problem}");
    assert_eq!(marked(&problem), "\"fixed:99\"");
    assert_helps(&problem, "N bits from 2 to 24");
    let numerics = super::config("", &["numerics.states=fixed:8", "numerics.messages=fp8-e4m3"]).numerics;
    assert_eq!((numerics.states.to_string(), numerics.messages.to_string()), ("fixed:8:4".into(), "fp8-e4m3".into()));
}

#[test]
fn a_cut_that_has_no_lookahead_is_refused_by_link_and_key() {
    let virtual_time = ["schedule.mode=virtual-time", "schedule.shards=3"];
    assert_helps(&only("", &virtual_time), "the link 0->1 may deliver at once (`links.delay`)");
    let special = ["links.delay=1", "links.2->1.delay={ law = \"exponential\", mean = 2.0 }", "schedule.shards=4"];
    let problem = only("", &[&special[..], &virtual_time[..1]].concat());
    assert_eq!(problem.title, "`schedule.shards` must be at most 3 here");
    assert_helps(&problem, "the link 2->1 may deliver at once (`links.\"2->1\".delay`)");
}

#[test]
fn the_wrong_item_of_a_list_is_marked() {
    let problem = only("[model]\nwidths = [784,\n  0, 10]", &[]);
    assert_eq!((position(&problem), marked(&problem)), ((Some(3), 3), "0".to_owned()));
    let problem = only("", &["model.precision=[1.0, -2.0, 1.0]"]);
    assert_eq!((position(&problem), marked(&problem)), ((None, 23), "-2.0".to_owned()));
}

#[test]
fn an_unknown_word_gets_the_nearest_and_the_list() {
    let problem = only("[model]\nact_fn = \"ReLUU\"", &[]);
    assert_eq!(problem.title, "unknown value `ReLUU` for `model.act_fn`");
    assert_eq!((position(&problem), marked(&problem)), ((Some(2), 10), "\"ReLUU\"".to_owned()));
    assert_helps(&problem, "did you mean `relu`?");
    assert_helps(&problem, "allowed: `identity`, `relu`, `leaky-relu`");
    assert_helps(&only("", &["schedule.mode=free_running"]), "did you mean `free-running`?");
    let problem = only("", &["schedule.mode=virtual-tim"]);
    assert_eq!(marked(&problem), "virtual-tim");
    assert_eq!(only("", &["dtype=32"]).title, "unknown value `32` for `dtype`");
}

#[test]
fn syntax_errors_are_marked() {
    let problem = only("seed = 1\n[model\n", &[]);
    assert_eq!(problem.title, "this is not TOML");
    assert_eq!(position(&problem), (Some(2), 7));
    let problem = only("[data]\nseed = 1\nseed = 2\n", &[]);
    assert_eq!((position(&problem), marked(&problem)), ((Some(3), 1), "seed".to_owned()));
    assert_eq!(problem.marks[0].label, "duplicate key");
    let problem = only("seed = \n", &[]);
    assert_eq!(problem.marks[0].label, "a value is missing");
    let lines: Vec<_> = problems("seed = \n[model\nx = [1,,2]\n", &[]).iter().map(position).collect();
    assert_eq!(lines.iter().map(|(line, _)| line.expect("a line")).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn an_override_needs_a_key_and_a_value() {
    let problem = only("", &["learning.nudge"]);
    assert_eq!(problem.title, "override `learning.nudge` is not of the form key=value");
    for wrong in ["=1", ".seed=1", "learning.=1", "a..b=1", ""] {
        assert!(only("", &[wrong]).title.starts_with(&format!("override `{wrong}`")));
    }
}

#[test]
fn all_problems_are_reported_at_once() {
    let text = "sed = 1\n[model]\nact_fn = 3\nwidth = [1]\n[inference]\ntolerance = 1e-9\n";
    let problems = problems(text, &["foo", "data.batch_size=0", "links.message=state"]);
    let places: Vec<String> = problems.iter().map(marked).collect();
    assert_eq!(places, ["sed", "3", "width", "foo", "0", "1e-9", "state"]);
    let error = load(Some("tiny"), &["a=1".to_owned(), "b=2".to_owned()]).expect_err("two problems");
    assert!(error.to_string().ends_with("\n\nerror: the configuration has 2 problems"));
}

#[test]
fn very_many_problems_are_cut_short() {
    let text: String = (0..1000).map(|n| format!("key{n} = 1\n")).collect();
    let problems = problems(&text, &[]);
    assert_eq!(problems.len(), 51);
    assert!(problems[50].title.contains("more than 50 problems"));
}

#[test]
fn long_lines_and_control_characters_do_not_reach_the_terminal() {
    let text = format!("x = [{}]\n\"\\u001b[31m\u{202e}\" = 1\n", "1, ".repeat(10_000));
    for problem in problems(&text, &[]) {
        let shown = problem.to_string();
        assert!(shown.lines().all(|line| line.chars().count() < 250), "{shown}");
        assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown}");
    }
    let problem = only(&format!("output.dir = \"{}\"; x", "é".repeat(500)), &[]);
    let shown = problem.to_string();
    let caret = shown.lines().nth(4).and_then(|line| line.chars().position(|c| c == '^'));
    let line: Vec<char> = shown.lines().nth(3).map(|line| line.chars().collect()).unwrap_or_default();
    assert_eq!(caret.and_then(|column| line.get(column)), Some(&';'), "{shown}");
}

#[test]
fn marks_and_line_endings_do_not_count() {
    let problem = only("\u{feff}sed = 1\r\n", &[]);
    let place = problem.place().expect("a place");
    assert_eq!((position(&problem), place.text.as_str()), ((Some(1), 1), "sed = 1"));
}

#[test]
fn tabs_and_wide_letters_keep_the_caret_in_its_column() {
    let problem = only("[output]\n\tname = \"é\"\n\tnam = \"é\"", &[]);
    assert_eq!(position(&problem), (Some(3), 2));
    assert!(problem.to_string().contains("\n3 |     nam = \"é\"\n  |     ^^^\n"), "{problem}");
}
