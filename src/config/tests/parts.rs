//! Tables inside tables: clocks of single layers, laws of single links, and what a schedule cannot honour of them.

use super::super::{ScheduleMode, to_toml};
use super::{assert_helps, config, marked, only, position};
use crate::math::law::{Drawn, Law};

const TEXT: &str = "\
schedule.mode = \"virtual-time\"
[clocks]
period = 2
[clocks.\"2\"]
period = { law = \"uniform\", low = 0.5, high = 1.5 }
[links]
delay = 3.0
loss = 0.1
[links.\"2->1\"]
delay = { law = \"gamma\", mean = 2.0, shape = 3.0, min = 0.5 }
delivery = \"queue\"
";

#[test]
fn parts_override_their_table_and_leave_the_rest() {
    let config = config(
        TEXT,
        &["links.1->2.loss=0.25", "links.\"0->1\".delay={law=\"exponential\",mean=1}", "clocks.0.offset=0.5"],
    );
    assert_eq!(config.schedule.mode, ScheduleMode::VirtualTime);
    assert_eq!(config.clocks.of(1).period, Law::Always(2.0));
    assert_eq!(config.clocks.of(2).period, Law::Drawn(Drawn::Uniform { low: 0.5, high: 1.5 }));
    assert_eq!((config.clocks.of(0).period, config.clocks.of(0).offset), (Law::Always(2.0), Law::Always(0.5)));
    let down = config.links.of(2, 1);
    assert_eq!(down.delay, Law::Drawn(Drawn::Gamma { mean: 2.0, shape: 3.0, min: Some(0.5) }));
    assert_eq!((down.loss, config.links.of(1, 2).loss), (0.1, 0.25));
    assert_eq!(config.links.of(1, 2).delay, Law::Always(3.0), "the other direction is not meant");
    assert_eq!(config.links.of(0, 1).delay, Law::Drawn(Drawn::Exponential { mean: 1.0, min: None }));
    assert_ne!(down.delivery, config.links.of(1, 2).delivery);
}

#[test]
fn a_configuration_with_parts_survives_writing_and_reading() {
    let written = config(TEXT, &["links.1->2.reorder=true", "links.1->0.threshold=0.125"]);
    assert_eq!(config(&to_toml(&written), &[]), written, "{}", to_toml(&written));
}

#[test]
fn layers_and_links_that_do_not_exist_are_named() {
    for (text, name, help) in [
        ("[clocks.\"7\"]\nperiod = 1.0", "`clocks.7.period`: there is no layer `7`", "0 to 3"),
        ("[clocks.\"01\"]\nperiod = 1.0", "there is no layer `01`", "0 to 3"),
        ("[links.\"0->2\"]\ndelay = 1.0", "`links.0->2.delay`: there is no link `0->2`", "neighbours"),
        ("[links.\"3->4\"]\ndelay = 1.0", "there is no link `3->4`", "2->3, 3->2"),
        ("[links.up]\ndelay = 1.0", "there is no link `up`", "neighbours"),
    ] {
        let problem = only(text, &["schedule.mode=virtual-time"]);
        assert!(problem.title.contains(name), "{problem}");
        assert_helps(&problem, help);
        assert_eq!(position(&problem).0, Some(2));
    }
    let problem = only("[links.\"2->1\"]\nmessage = \"error\"", &["schedule.mode=virtual-time"]);
    assert_eq!(problem.title, "unknown key `links.2->1.message`");
    assert_helps(&problem, "`delay`, `jitter`");
    let problem = only("[clocks.\"2\"]\nperid = 1.0", &["schedule.mode=virtual-time"]);
    assert_eq!((problem.title.as_str(), marked(&problem)), ("unknown key `clocks.2.perid`", "perid".to_owned()));
}

/// Each error names the link or layer and the key.
#[test]
fn laws_that_cannot_be_are_refused_by_link_and_key() {
    for (given, title) in [
        ("links.2->1.delay=-1", "`links.2->1.delay` must be a number ≥ 0"),
        (
            "links.2->1.delay={law=\"uniform\",low=-1,high=2}",
            "`links.2->1.delay` is not a law of times: low = -1 is negative",
        ),
        (
            "links.delay={law=\"uniform\",low=3,high=2}",
            "`links.delay` is not a law of times: low = 3 is above high = 2",
        ),
        ("links.2->1.jitter={law=\"gama\",mean=1}", "`links.2->1.jitter` is not a law of times: `gama` is none of"),
        ("links.delay={law=\"gamma\",mean=1}", "missing field `shape`"),
        ("links.delay={law=\"exponential\",mean=1,sd=2}", "unknown field `sd`"),
        ("links.delay={mean=1}", "it needs law = one of"),
        ("links.delay=1e-9", "`links.delay` must be"),
        ("clocks.2.period=0", "`clocks.2.period` must be a number > 0"),
        ("clocks.period={law=\"constant\",value=0}", "`clocks.period` is not a law of times: no time passes by it"),
        ("links.2->1.loss=1", "`links.2->1.loss` must be a number ≥ 0 and < 1"),
        ("links.0->1.delivery=newest", "unknown value `newest` for `links.0->1.delivery`"),
    ] {
        let problem = only("", &["schedule.mode=virtual-time", given]);
        assert!(problem.title.contains(title), "{given}: {problem}");
    }
}

#[test]
fn a_schedule_that_cannot_honour_a_link_or_a_clock_says_which() {
    for mode in ["reference", "lock-step", "free-running"] {
        for given in
            ["links.2->1.delay=1", "links.loss=0.5", "links.reorder=true", "clocks.3.period=2", "clocks.offset=1"]
        {
            let key = given.split_once('=').map_or("", |(key, _)| key);
            let problem = only("", &[&format!("schedule.mode={mode}"), given]);
            assert_eq!(problem.title, format!("`{key}` cannot be honoured by the mode `{mode}`"));
            assert_helps(&problem, "virtual-time");
            config("", &["schedule.mode=virtual-time", given]);
        }
    }
}

/// With a unit of time the wall clock honours what it can, for all and for single links; what it can't is named.
#[test]
fn the_wall_clock_honours_what_it_can() {
    let free = ["schedule.mode=free-running", "schedule.time_unit_ms=0.5"];
    for given in [
        "links.2->1.delay=1",
        "links.jitter={law=\"exponential\",mean=1}",
        "links.duplicate=0.5",
        "links.reorder=true",
        "links.1->2.bandwidth=10",
        "links.resend=4",
        "clocks.3.period=2",
        "clocks.offset=1",
    ] {
        config("", &[&free[..], &[given]].concat());
        let problem = only("", &[free[0], given]);
        assert_helps(&problem, "schedule.time_unit_ms");
    }
    for key in ["links.2->1.threshold", "links.threshold"] {
        let problem = only("", &[&free[..], &[&format!("{key}=0.5")]].concat());
        assert_eq!(problem.title, format!("`{key}` cannot be honoured by the mode `free-running`"));
    }
    let problem = only("", &[&free[..], &["links.3->2.delivery=queue"]].concat());
    assert_eq!(problem.title, "`links.3->2.delivery` cannot be honoured by the mode `free-running`");
}
