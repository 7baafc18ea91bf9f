//! Every rule between keys fires where it is broken and is silent beside it.

use std::collections::BTreeSet;

use super::super::rules::RULES;
use super::{config, marked, only, problems};

/// Groups of neurons on the wall clock.
const FREE: [&str; 4] =
    ["model.groups=4", "schedule.mode=free-running", "schedule.time_unit_ms=1", "links.message=error"];

/// Key at fault, overrides that break the rule, overrides beside it that do not.
const CASES: &[(&str, &[&str], &[&str])] = &[
    ("workers", &["workers=2", "learning.rule=backprop"], &["workers=2"]),
    ("workers", &["workers=2", "schedule.mode=reference"], &["workers=2", "schedule.mode=free-running"]),
    ("workers", &["workers=2", "schedule.mode=virtual-time"], &["schedule.mode=virtual-time"]),
    (
        "workers",
        &["workers=4", "schedule.mode=virtual-time", "links.delay=1", "links.2->1.delay=0"],
        &["workers=3", "schedule.mode=virtual-time", "links.delay=1", "links.2->1.delay=0"],
    ),
    (
        "schedule.shards",
        &["workers=2", "schedule.mode=virtual-time", "links.delay=1", "schedule.shards=3"],
        &["workers=2", "schedule.mode=virtual-time", "links.delay=1", "schedule.shards=2"],
    ),
    (
        "schedule.placement",
        &["workers=2", "schedule.mode=virtual-time", "links.delay=1", "schedule.placement=[[0,2],[1,3]]"],
        &["workers=2", "schedule.mode=virtual-time", "links.delay=1", "schedule.placement=[[2,3],[0,1]]"],
    ),
    (
        "schedule.placement",
        &[
            "workers=2",
            "schedule.mode=virtual-time",
            "links.delay=1",
            "links.2->1.delay=0",
            "schedule.placement=[[0,1],[2,3]]",
        ],
        &[
            "workers=2",
            "schedule.mode=virtual-time",
            "links.delay=1",
            "links.2->1.delay=0",
            "schedule.placement=[[0,1,2],[3]]",
        ],
    ),
    (
        "links.transport",
        &["links.transport=unix", "schedule.mode=virtual-time", "links.delay=1"],
        &["links.transport=unix", "schedule.mode=virtual-time", "links.delay=1", "workers=2"],
    ),
    ("workers", &["workers=5"], &["workers=4"]),
    (
        "workers",
        &["workers=2", "model.groups=4", "schedule.mode=free-running", "links.message=error"],
        &["workers=2", "model.groups=4"],
    ),
    ("schedule.placement", &["workers=9", "model.groups=4"], &["workers=4", "model.groups=4"]),
    (
        "schedule.placement",
        &["workers=2", "model.groups=2", "model.widths=[784,8,10]", "schedule.placement=[[0,\"1.0\"],[2]]"],
        &["workers=2", "model.groups=2", "model.widths=[784,8,10]", "schedule.placement=[[0,\"1.0\"],[2,\"1.1\"]]"],
    ),
    (
        "links.transport",
        &["links.transport=bytes", "model.groups=2"],
        &["links.transport=in-process", "model.groups=2"],
    ),
    ("schedule.placement", &["schedule.placement=[[0,1],[2,3]]"], &["workers=2", "schedule.placement=[[0,1],[2,3]]"]),
    ("schedule.placement", &["workers=2", "schedule.placement=[[0,1],[1,2,3]]"], &["schedule.placement=[[3,2,1,0]]"]),
    ("schedule.placement", &["workers=2", "schedule.placement=[[0,1],[3]]"], &["schedule.placement=auto"]),
    ("links.transport", &["workers=2", "links.transport=bytes"], &["links.transport=bytes"]),
    ("links.transport", &["workers=2", "links.transport=in-process"], &["workers=2", "links.transport=tcp"]),
    ("links.transport", &["links.transport=unix", "schedule.mode=reference"], &["links.transport=unix"]),
    ("links.transport", &["links.transport=tcp", "schedule.mode=virtual-time"], &["links.transport=tcp"]),
    ("data.dir", &["data.name=idx"], &["data.name=idx", "data.dir=x"]),
    ("data.dir", &["data.name=digits", "data.dir=x"], &["data.dir=x"]),
    ("data.train", &["data.train=0"], &["data.train=0", "data.dir=x"]),
    ("data.train", &["data.train=1000001"], &["data.train=1000001", "data.dir=x"]),
    ("data.test", &["data.test=0"], &["data.test=0", "data.dir=x"]),
    ("data.validation", &["data.validation=12000"], &["data.validation=11999"]),
    ("data.validation", &["data.dir=x", "data.train=5", "data.validation=5"], &["data.dir=x", "data.validation=5"]),
    ("model.output_act_fn", &["model.output_act_fn=tanh"], &["model.output_act_fn=tanh", "model.loss=squared-error"]),
    ("model.precision", &["model.precision=[[1],[1]]"], &["model.precision=[1,1,1]"]),
    (
        "model.precision",
        &["model.widths=[784,2,10]", "model.precision=[[1],[1]]"],
        &["model.widths=[784,2,1]", "model.precision=[[1,2],[1]]"],
    ),
    (
        "learning.precision_lr",
        &["learning.precision_lr=0.1", "schedule.mode=free-running"],
        &["learning.precision_lr=0.1", "schedule.mode=free-running", "links.message=error"],
    ),
    ("learning.precision_lr", &["learning.precision_lr=0.1", "model.energy=hopfield"], &["learning.precision_lr=0.1"]),
    ("model.precision", &["model.precision=[1,1]"], &["model.precision=[1,1,1]"]),
    (
        "model.feedback",
        &["model.feedback=kolen-pollack", "learning.optimizer=sgd"],
        &["model.feedback=kolen-pollack", "learning.optimizer=sgd", "learning.weight_decay=1e-3"],
    ),
    (
        "model.feedback",
        &["model.feedback=kolen-pollack", "learning.weight_decay=1e-3"],
        &["model.feedback=kolen-pollack", "learning.weight_decay=1e-3", "learning.optimizer=adamw"],
    ),
    (
        "model.groups",
        &["model.groups=neuron", "model.widths=[784,12000,10]", "schedule.mode=virtual-time"],
        &["model.groups=neuron", "model.widths=[784,12000,10]"],
    ),
    (
        "model.groups",
        &["model.groups=4", "schedule.mode=virtual-time", "links.delay=1"],
        &["model.groups=4", "schedule.mode=virtual-time", "links.delay=1", "links.message=error"],
    ),
    (
        "model.groups",
        &["model.groups=4", "schedule.mode=virtual-time", "clocks.\"1.3\".offset=1", "links.message=state"],
        &["model.groups=4", "schedule.mode=virtual-time", "clocks.\"1.3\".offset=0"],
    ),
    (
        "model.groups",
        &[
            "model.groups=4",
            "schedule.mode=virtual-time",
            "links.delay=1",
            "links.message=error",
            "learning.rule=first-step",
        ],
        &["model.groups=4", "schedule.mode=virtual-time", "learning.rule=first-step"],
    ),
    (
        "model.groups",
        &["model.groups=4", "schedule.mode=free-running"],
        &["model.groups=4", "schedule.mode=free-running", "links.message=error"],
    ),
    (
        "model.groups",
        &["model.groups=neuron", "schedule.mode=free-running", "links.message=error", "learning.rule=first-step"],
        &["model.groups=neuron", "schedule.mode=free-running", "links.message=error"],
    ),
    ("model.groups", &["model.groups=4", "model.feedback=random"], &["model.feedback=random"]),
    ("model.groups", &["model.groups=4", "learning.precision_lr=0.1"], &["learning.precision_lr=0.1"]),
    (
        "model.groups",
        &["model.groups=2", "model.widths=[784,2,1]", "model.precision=[[1,2],[1]]"],
        &["model.groups=2", "model.widths=[784,2,1]", "model.precision=[1,2]"],
    ),
    ("inference.tolerance", &["inference.tolerance=0.99e-7"], &["inference.tolerance=1e-7"]),
    ("inference.tolerance", &["inference.tolerance=1e-9"], &["inference.tolerance=1e-9", "dtype=f64"]),
    (
        "model.groups",
        &["model.groups=2", "inference.variables=deviation"],
        &["model.groups=2", "inference.variables=deviation", "learning.rule=backprop"],
    ),
    (
        "inference.variables",
        &["inference.variables=deviation", "schedule.mode=virtual-time"],
        &["inference.variables=deviation", "schedule.mode=free-running"],
    ),
    ("model.groups", &["model.groups=2", "numerics.states=bf16"], &["model.groups=2"]),
    (
        "schedule.order",
        &["schedule.order=gauss-seidel", "schedule.mode=reference", "numerics.message_noise=0.1"],
        &["schedule.order=gauss-seidel", "schedule.mode=reference"],
    ),
    (
        "inference.variables",
        &["inference.variables=deviation", "learning.rule=spelt-out"],
        &["inference.variables=deviation"],
    ),
    (
        "inference.variables",
        &["inference.variables=deviation", "model.energy=rate"],
        &["inference.variables=deviation", "model.energy=rate", "learning.rule=backprop"],
    ),
    (
        "inference.variables",
        &["inference.variables=deviation", "inference.free_phase=relax"],
        &["inference.variables=deviation"],
    ),
    (
        "inference.variables",
        &["inference.variables=deviation", "learning.rule=first-step"],
        &["inference.variables=deviation", "learning.rule=pc-clamped"],
    ),
    (
        "inference.variables",
        &["inference.variables=deviation", "model.feedback=random"],
        &["inference.variables=deviation", "model.feedback=tied"],
    ),
    (
        "inference.variables",
        &["inference.variables=deviation", "model.widths=[784,2,1]", "model.precision=[[1,2],[1]]"],
        &["inference.variables=deviation", "model.widths=[784,2,1]", "model.precision=[2,1]"],
    ),
    (
        "inference.variables",
        &["inference.variables=deviation", "learning.precision_lr=0.1"],
        &["learning.precision_lr=0.1"],
    ),
    (
        "inference.variables",
        &["inference.variables=deviation", "learning.update=continual"],
        &["inference.variables=deviation", "learning.update=at-end"],
    ),
    ("learning.nudge", &["learning.nudge=0"], &["learning.nudge=0", "inference.variables=deviation"]),
    (
        "learning.nudge",
        &["learning.nudge=0", "inference.variables=deviation", "learning.nudging=symmetric"],
        &["learning.nudge=0", "learning.rule=pc-clamped"],
    ),
    ("learning.nudge", &["learning.nudge=1.5"], &["learning.nudge=1"]),
    ("learning.nudge", &["learning.nudge=1.5"], &["learning.nudge=1.5", "learning.rule=backprop"]),
    ("schedule.threads", &["schedule.threads=2", "schedule.mode=reference"], &["schedule.threads=2"]),
    ("schedule.threads", &["schedule.threads=0", "schedule.mode=reference"], &["schedule.mode=reference"]),
    ("record.event_log", &["record.event_log=2"], &["record.event_log=2", "schedule.mode=virtual-time"]),
    (
        "record.event_log",
        &["record.event_log=2", "schedule.mode=virtual-time", "learning.rule=backprop"],
        &["schedule.mode=virtual-time", "learning.rule=backprop"],
    ),
    (
        "schedule.shards",
        &["schedule.shards=2", "schedule.mode=virtual-time"],
        &["schedule.shards=2", "schedule.mode=virtual-time", "links.delay=1", "links.1->2.delay=0"],
    ),
    (
        "schedule.shards",
        &["schedule.shards=4", "schedule.mode=virtual-time", "links.jitter=1", "links.1->2.jitter=0"],
        &["schedule.shards=3", "schedule.mode=virtual-time", "links.jitter=1", "links.1->2.jitter=0"],
    ),
    (
        "schedule.shards",
        &["schedule.shards=5", "schedule.mode=virtual-time", "links.delay=1"],
        &["schedule.shards=4", "schedule.mode=virtual-time", "links.delay=1"],
    ),
    ("schedule.order", &["schedule.order=gauss-seidel"], &["schedule.order=gauss-seidel", "schedule.mode=reference"]),
    (
        "schedule.order",
        &["schedule.order=gauss-seidel", "schedule.mode=reference", "model.energy=hopfield"],
        &["schedule.mode=reference", "model.energy=hopfield"],
    ),
    (
        "schedule.stall_seconds",
        &["schedule.mode=free-running", "schedule.time_unit_ms=1", "links.2->1.delay=20000"],
        &["schedule.mode=free-running", "schedule.time_unit_ms=1", "links.2->1.delay=9000"],
    ),
    (
        "links.loss",
        &["links.loss=0.1", "schedule.mode=free-running", "schedule.time_unit_ms=1"],
        &["links.loss=0.1", "links.resend=9", "schedule.mode=free-running", "schedule.time_unit_ms=1"],
    ),
    (
        "links.loss",
        &[FREE[0], FREE[1], FREE[2], FREE[3], "links.\"1.3->2.0\".loss=0.1"],
        &[FREE[0], FREE[1], FREE[2], FREE[3], "links.\"1.3->2.0\".loss=0.1", "links.\"1.3->2\".resend=9"],
    ),
    (
        "schedule.stall_seconds",
        &[FREE[0], FREE[1], FREE[2], FREE[3], "clocks.\"1.3\".period=20000"],
        &[FREE[0], FREE[1], FREE[2], FREE[3], "clocks.\"1.3\".period=9000"],
    ),
    (
        "model.groups",
        &["model.groups=neuron", "model.widths=[784,6000,10]", FREE[1], FREE[2], FREE[3]],
        &["model.groups=neuron", "model.widths=[784,6000,10]", FREE[1], FREE[3]],
    ),
    ("links.message", &["links.message=state"], &["links.message=state", "schedule.mode=free-running"]),
    ("links.message", &["links.message=state", "schedule.mode=reference"], &["links.message=error"]),
    ("inference.activity_lr", &["inference.activity_lr=1e300"], &["inference.activity_lr=1e300", "dtype=f64"]),
    ("learning.nudge", &["learning.nudge=1e-60"], &["learning.nudge=1e-30"]),
    ("learning.param_lr", &["learning.param_lr=1e-60"], &["learning.param_lr=1e-60", "dtype=f64"]),
    ("learning.epsilon", &["learning.epsilon=1e-60"], &["learning.epsilon=1e-60", "dtype=f64"]),
    ("model.precision", &["model.precision=[1,1,1e-60]"], &["model.precision=[1,1,1e-30]"]),
    ("model.precision", &["model.precision=1e60"], &["model.precision=1e30"]),
    (
        "model.precision_ratio",
        &["model.precision_ratio=1e-20"],
        &["model.precision_ratio=1e-20", "model.precision=1e20", "dtype=f64"],
    ),
    (
        "numerics.message_noise",
        &["numerics.message_noise=0.1", "learning.rule=first-step"],
        &["numerics.message_noise=0.1", "schedule.mode=virtual-time", "links.delay=2"],
    ),
    (
        "numerics.state_noise",
        &["numerics.state_noise=0.1", "learning.rule=first-step"],
        &["numerics.state_noise=0.1", "numerics.messages=bf16", "schedule.mode=virtual-time"],
    ),
    ("output.dir", &["output.dir="], &["output.dir=."]),
    ("output.name", &["output.name=a/b"], &["output.name=a b-3.x"]),
    ("output.name", &["output.name=.."], &["output.name=..."]),
    ("output.name", &["output.name=a\nb"], &["output.name=a"]),
];

#[test]
fn every_rule_fires_where_it_is_broken_and_only_there() {
    for (key, broken, whole) in CASES {
        let problem = only("", broken);
        assert!(problem.title.contains(&format!("`{key}`")), "{problem}");
        assert!(!problem.help.is_empty(), "{problem}");
        config("", whole);
    }
}

#[test]
fn every_rule_has_a_case() {
    let cases: BTreeSet<&str> = CASES.iter().map(|(key, ..)| *key).collect();
    let rules: BTreeSet<&str> = RULES.iter().map(|rule| rule.keys[0]).collect();
    assert_eq!(cases, rules);
    let known = |path: &&&str| super::super::KEYS.iter().all(|key| key.path != **path);
    let unknown: Vec<_> = RULES.iter().flat_map(|rule| rule.keys).filter(known).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn a_broken_rule_points_at_the_file_the_override_and_the_defaults() {
    let problem = only("[links]\nmessage = \"state\"\n", &["schedule.mode=lock-step"]);
    assert_eq!(marked(&problem), "\"state\"");
    let origins: Vec<&str> = problem.marks.iter().map(|mark| mark.place.origin.as_str()).collect();
    assert_eq!(origins, ["mine.toml", "command line, override 1"]);
    assert!(problem.title.contains("`lock-step`") && problem.help[0].contains("stale"), "{problem}");

    let expected = "\
error: `data.dir` must name the folder of the IDX files
 --> in the defaults
  |
  | data.dir = \"\"
  |            ^^
 ::: mine.toml:1:13
  |
1 | data.name = \"idx\"
  |             ----- because of `data.name`
  = help: give data.dir=FOLDER, or run `asynapse data fetch mnist` to get the files of MNIST";
    assert_eq!(only("data.name = \"idx\"", &[]).to_string(), expected);
}

#[test]
fn all_broken_rules_are_reported_at_once() {
    let overrides = ["workers=9", "model.precision=[1]", "inference.tolerance=1e-12", "output.name=/"];
    let titles: Vec<String> = problems("", &overrides).into_iter().map(|problem| problem.title).collect();
    assert_eq!(titles.len(), 4, "{titles:?}");
}

#[test]
fn a_refused_value_is_not_judged_a_second_time() {
    let problem = only("", &["schedule.mode=free", "links.message=state"]);
    assert!(problem.title.contains("unknown value `free`"), "{problem}");
}
