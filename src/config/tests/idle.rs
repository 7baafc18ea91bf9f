//! What has no effect, or may not have the one that is wanted, is a warning, and only that.

use super::super::idle::IDLE;
use super::super::{Level, Mark};
use super::{config, read};

/// Overrides of which the first has no effect, and the same without the choice that makes it so.
const IDLE_CASES: &[(&[&str], &[&str])] = &[
    (&["data.seed=1", "data.dir=x"], &["data.seed=1"]),
    (&["inference.check_every=5"], &["inference.check_every=5", "inference.tolerance=1e-3"]),
    (&["inference.plateau=0"], &["inference.plateau=0", "inference.tolerance=1e-3"]),
    (&["learning.nudge=0.5", "learning.rule=pc-clamped"], &["learning.nudge=0.5"]),
    (&["learning.nudging=symmetric", "learning.rule=pc-clamped"], &["learning.nudging=symmetric"]),
    (&["inference.free_phase=relax", "learning.rule=spelt-out"], &["inference.free_phase=relax"]),
    (&["learning.phases=['free','clamped']"], &["learning.phases=['free','clamped']", "learning.rule=spelt-out"]),
    (&["learning.read_out=last"], &["learning.read_out=last", "learning.rule=spelt-out"]),
    (
        &["learning.coefficients=[0,1]", "learning.rule=spelt-out"],
        &["learning.coefficients=[0,1]", "learning.rule=spelt-out", "learning.read_out=coefficients"],
    ),
    (
        &["model.feedback_gain=0.5"],
        &["model.feedback_gain=0.5", "model.energy=rate", "learning.rule=chl", "inference.free_phase=relax"],
    ),
    (&["model.feedback=random", "learning.rule=backprop"], &["model.feedback=random"]),
    (&["learning.precision_lr=0.1", "learning.rule=backprop"], &["learning.precision_lr=0.1"]),
    (&["learning.update=continual", "learning.rule=backprop"], &["learning.update=continual", "learning.rule=ep"]),
    (&["learning.momentum=0.5"], &["learning.momentum=0.5", "learning.optimizer=momentum"]),
    (&["learning.beta1=0.5", "learning.optimizer=sgd"], &["learning.beta1=0.5"]),
    (&["learning.beta2=0.5", "learning.optimizer=sgd"], &["learning.beta2=0.5", "learning.optimizer=adamw"]),
    (&["learning.epsilon=0.5", "learning.optimizer=momentum"], &["learning.epsilon=0.5"]),
    (&["schedule.events_max=5"], &["schedule.events_max=5", "schedule.mode=virtual-time"]),
    (&["schedule.shards=2"], &["schedule.shards=2", "schedule.mode=virtual-time", "links.delay=1"]),
    (
        &["schedule.threads=2", "schedule.mode=virtual-time"],
        &["schedule.threads=2", "schedule.mode=virtual-time", "links.delay=1"],
    ),
    (
        &["schedule.threads=2", "schedule.mode=virtual-time", "links.delay=1", "workers=2"],
        &["schedule.threads=2", "schedule.mode=virtual-time", "links.delay=1"],
    ),
    (&["schedule.time_unit_ms=2"], &["schedule.time_unit_ms=2", "schedule.mode=free-running"]),
    (&["numerics.states=bf16", "learning.rule=backprop"], &["numerics.states=bf16"]),
    (&["numerics.messages=fixed:8", "learning.rule=backprop"], &["numerics.messages=fixed:8"]),
    (&["numerics.state_noise=0.1", "learning.rule=backprop"], &["numerics.state_noise=0.1"]),
    (&["numerics.message_noise=0.1", "learning.rule=backprop"], &["numerics.message_noise=0.1"]),
];

#[test]
fn settings_without_effect_are_warnings() {
    for (idle, used) in IDLE_CASES {
        let warnings = read("", idle).expect("a configuration").warnings;
        let key = idle[0].split('=').next().unwrap_or_default();
        assert_eq!(warnings.len(), 1, "{idle:?}");
        assert_eq!(warnings[0].level, Level::Warning);
        assert_eq!(warnings[0].title, format!("`{key}` has no effect here"));
        assert_eq!(warnings[0].marks.first().map(|mark: &Mark| mark.place.text.as_str()), Some(idle[0]));
        assert_eq!(read("", used).expect("a configuration").warnings, []);
    }
    let keys: Vec<&str> = IDLE.iter().map(|idle| idle.keys[0]).collect();
    let cases: Vec<&str> = IDLE_CASES.iter().filter_map(|(idle, _)| idle[0].split('=').next()).collect();
    assert_eq!(keys, cases, "every entry has a case");
}

#[test]
fn losses_that_nothing_makes_good_are_a_warning() {
    let lossy = ["schedule.mode=virtual-time", "links.\"2->1\".loss=0.1"];
    let warnings = read("", &lossy).expect("a configuration").warnings;
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].level, Level::Warning);
    assert!(warnings[0].title.contains("2->1"), "{}", warnings[0]);
    let of_groups =
        ["schedule.mode=virtual-time", "model.groups=2", "links.message=error", "links.\"1.0->2.1\".loss=0.1"];
    let warnings_of_groups = read("", &of_groups).expect("a configuration").warnings;
    assert!(warnings_of_groups.iter().any(|found| found.title.contains("1.0->2.1")), "{warnings_of_groups:?}");
    for more in ["links.resend=4", "learning.rule=backprop", "links.\"2->1\".resend=4"] {
        let used = [&lossy[..], &[more]].concat();
        assert!(
            read("", &used).expect("a configuration").warnings.iter().all(|found| found.title != warnings[0].title)
        );
    }
}

#[test]
fn a_default_that_is_written_out_is_no_warning() {
    let text = super::super::to_toml(&config("", &["learning.optimizer=sgd", "data.dir=x"]));
    assert_eq!(read(&text, &[]).expect("a configuration").warnings, []);
}
