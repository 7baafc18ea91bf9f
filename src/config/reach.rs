//! What a schedule can honour of clocks and links, and whether the layers and links that are named exist.
//!
//! Every key of `[clocks]` and `[links]`, whether it stands for all or in an override, is held against the mode: a delay that a
//! schedule would not impose is an error that names the link and the key, not a delay of zero.

use super::asynchrony::end_of;
use super::diagnostic::Diagnostic;
use super::gather::Gathered;
use super::keys::{SECTIONS, Section, keys_of};
use super::rules::groups_of;
use super::values::{Config, ScheduleMode};
use super::write::{parts_at, tree, value_at};

/// The keys of these tables that every schedule can honour, or that have a rule of their own.
const EVERYWHERE: &[&str] = &["links.message", "links.transport"];

/// The keys that no wall clock can honour: a mailbox holds the newest alone, and who holds a signal back has to know whether its layer
/// is about to rest.
const ON_THE_QUEUE_ONLY: &[&str] = &["links.delivery", "links.threshold"];

/// Everything that cannot be honoured.
pub(super) fn errors(config: &Config, gathered: &Gathered<'_>) -> Vec<Diagnostic> {
    let (tree, defaults) = (tree(config), tree(&Config::default()));
    let mut problems = Vec::new();
    for section in SECTIONS.iter().filter(|section| section.parts.is_some()) {
        for key in keys_of(section.name) {
            let changed = value_at(&tree, key.path) != value_at(&defaults, key.path);
            if changed && !EVERYWHERE.contains(&key.path) {
                problems.extend(unreachable(config, key.path, key.path, gathered));
            }
        }
        for (part, fields) in parts_at(&tree, section) {
            for leaf in fields.keys() {
                let path = format!("{}.{part}.{leaf}", section.name);
                let known = names_something(config, section, part);
                if known {
                    problems.extend(unreachable(config, &path, &format!("{}.{leaf}", section.name), gathered));
                } else {
                    problems.push(unknown(config, section, part, &path).at(gathered.place(&path)));
                }
            }
        }
    }
    problems
}

/// The problem of a key that the mode cannot honour.
fn unreachable(config: &Config, path: &str, key: &str, gathered: &Gathered<'_>) -> Option<Diagnostic> {
    let mode = match config.schedule.mode {
        ScheduleMode::VirtualTime => return None,
        ScheduleMode::Reference => "reference",
        ScheduleMode::LockStep => "lock-step",
        ScheduleMode::FreeRunning if config.schedule.time_unit_ms > 0.0 && !ON_THE_QUEUE_ONLY.contains(&key) => {
            return None;
        }
        ScheduleMode::FreeRunning => "free-running",
    };
    if gathered.is_refused("schedule.mode") || gathered.is_refused(path) {
        return None;
    }
    let title = format!("`{path}` cannot be honoured by the mode `{mode}`");
    let problem = Diagnostic::error(title).at(gathered.place(path)).at(gathered.place("schedule.mode"));
    let what = if key.starts_with("clocks.") { "clocks" } else { "delays and losses" };
    let free = config.schedule.mode == ScheduleMode::FreeRunning;
    let help = if free && ON_THE_QUEUE_ONLY.contains(&key) {
        "the wall clock can't honour it: set schedule.mode = \"virtual-time\", or leave the key out".to_owned()
    } else if free {
        format!(
            "{what} need a unit there: set schedule.time_unit_ms to the milliseconds of one unit of model time, or \
             schedule.mode = \"virtual-time\", or leave the key out"
        )
    } else {
        format!(
            "{what} are imposed in virtual time and free-running: set schedule.mode = \"virtual-time\", or \"free-running\" with \
             schedule.time_unit_ms, or leave the key out"
        )
    };
    Some(problem.label("because of `schedule.mode`").help(help))
}

fn depth(config: &Config) -> usize {
    config.model.widths.len().saturating_sub(1)
}

/// True if the name of a part is that of a layer, or of one direction between neighbours, or of groups where layers are cut.
fn names_something(config: &Config, section: &Section, part: &str) -> bool {
    // A layer that is whole has no second name.
    let layer = |text: &str| {
        let (layer, group) = end_of(text).filter(|(layer, _)| *layer <= depth(config))?;
        let groups = groups_of(config, layer);
        group.is_none_or(|group| groups > 1 && group < groups).then_some(layer)
    };
    match section.name {
        "clocks" => layer(part).is_some(),
        _ => part
            .split_once("->")
            .is_some_and(|(from, to)| layer(from).zip(layer(to)).is_some_and(|(from, to)| from.abs_diff(to) == 1)),
    }
}

fn unknown(config: &Config, section: &Section, part: &str, path: &str) -> Diagnostic {
    let depth = depth(config);
    if part.contains('.') {
        let layers = (0..=depth).filter(|&layer| groups_of(config, layer) > 1);
        let names = layers.map(|layer| format!("{layer}.0 to {layer}.{}", groups_of(config, layer) - 1));
        let names = names.collect::<Vec<_>>().join(", ");
        let help = if names.is_empty() {
            "layers are whole; set model.groups to cut them".to_owned()
        } else {
            format!("the groups are {names}, and links join those of neighbours: \"0.0->1\" leads to all of layer 1")
        };
        let what = if section.name == "clocks" { "group" } else { "link between groups" };
        return Diagnostic::error(format!("`{path}`: there is no {what} `{part}`")).help(help);
    }
    let (what, help) = if section.name == "clocks" {
        ("layer", format!("the layers are 0 to {depth}"))
    } else {
        ("link", format!("links join neighbours: 0->1, 1->0 to {}->{depth}, {depth}->{}", depth - 1, depth - 1))
    };
    Diagnostic::error(format!("`{path}`: there is no {what} `{part}`")).help(help)
}
