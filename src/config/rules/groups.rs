//! What layers that are cut into groups of neurons can do (`model.groups`).

use super::broken;
use super::simulation::is_plain;
use crate::config::asynchrony::{Clocks, Links};
use crate::config::diagnostic::Diagnostic;
use crate::config::values::{Config, Groups};
use crate::config::{Message, RuleName, ScheduleMode, UpdateTime};
use crate::engine::virtual_time::wiring::LINKS_MOST;
use crate::network::Grouping;

fn cuts(config: &Config) -> bool {
    config.model.groups != Groups::Count(1) && config.learning.rule != RuleName::Backprop
}

fn run_free(config: &Config) -> bool {
    cuts(config) && config.schedule.mode == ScheduleMode::FreeRunning
}

/// Groups of a layer, as `NetworkSpec::groups` counts them.
pub(in crate::config) fn groups_of(config: &Config, layer: usize) -> usize {
    let widths = &config.model.widths;
    let is_hidden = layer + 1 < widths.len();
    if is_hidden { Grouping::from(config.model.groups).of_width(widths[layer]) } else { 1 }
}

/// In virtual time, with clocks that differ or links that take their time.
fn out_of_step(config: &Config) -> bool {
    if !cuts(config) || config.schedule.mode != ScheduleMode::VirtualTime {
        return false;
    }
    let depth = config.model.widths.len().saturating_sub(1);
    let of_layers = (0..=depth).map(|layer| config.clocks.of(layer));
    let clocks: Vec<Clocks> = of_layers.chain(config.clocks.of_groups().into_values()).collect();
    let even = |clock: &Clocks| clock.period.constant().is_some() && clock.offset.constant().is_some();
    let pairs = (0..depth).flat_map(|lower| [(lower, lower + 1), (lower + 1, lower)]);
    let special = config.links.between_groups(|layer| groups_of(config, layer)).into_values();
    let mut links = pairs.map(|(from, to)| config.links.of(from, to)).chain(special);
    let ideal = |link: Links| {
        let none = [link.loss, link.duplicate, link.bandwidth, link.threshold, link.resend] == [0.0; 5];
        none && [link.delay, link.jitter].iter().all(|law| law.constant() == Some(0.0))
    };
    !(clocks.iter().all(even) && clocks.windows(2).all(|pair| pair[0] == pair[1]) && links.all(ideal))
}

pub(super) fn late_groups_say_errors(config: &Config) -> Option<Diagnostic> {
    if !out_of_step(config) || config.links.message == Message::Error {
        return None;
    }
    broken(
        "`model.groups` must be 1 with the mode `virtual-time`, clocks and links, unless `links.message` is `error`",
        "an echo or a state is worked out from the whole current, and a group knows its own share; use links.message = \"error\"",
    )
}

pub(super) fn late_groups_are_read_at_the_end(config: &Config) -> Option<Diagnostic> {
    let at_end = config.learning.rule != RuleName::FirstStep && config.learning.update == UpdateTime::AtEnd;
    if !out_of_step(config) || at_end {
        return None;
    }
    broken(
        "`model.groups` must be 1 in a phase that is read before its end with the mode `virtual-time`, clocks and links",
        "what arrives first, and what changes between two arrivals, is the error of some groups; use schedule.mode = \"lock-step\"",
    )
}

/// Every link has counts and draws of its own, and a number that fits into the key of a draw; on the wall clock that of its
/// acknowledgements, too.
pub(super) fn links_can_be_counted(config: &Config) -> Option<Diagnostic> {
    let imposed = run_free(config) && config.schedule.time_unit_ms > 0.0;
    let (most, who) = if imposed { (LINKS_MOST / 2, "the wall clock") } else { (LINKS_MOST, "virtual time") };
    if !imposed && (!cuts(config) || config.schedule.mode != ScheduleMode::VirtualTime) {
        return None;
    }
    let depth = config.model.widths.len().saturating_sub(1);
    let of_gap = |lower| groups_of(config, lower).saturating_mul(groups_of(config, lower + 1)).saturating_mul(2);
    let links = (0..depth).map(of_gap).fold(0, usize::saturating_add);
    if links <= most {
        return None;
    }
    broken(
        format!("`model.groups` makes {links} links, more than the {most} that {who} can number"),
        "cut the layers into fewer groups, or use schedule.mode = \"lock-step\", or \"free-running\" without schedule.time_unit_ms",
    )
}

pub(super) fn free_groups_say_errors(config: &Config) -> Option<Diagnostic> {
    if !run_free(config) || config.links.message == Message::Error {
        return None;
    }
    broken(
        "`model.groups` must be 1 with the mode `free-running`, unless `links.message` is `error`",
        "an echo or a state is worked out from the whole current, and a group knows its own share; use links.message = \"error\"",
    )
}

pub(super) fn free_groups_are_read_at_the_end(config: &Config) -> Option<Diagnostic> {
    let at_end = config.learning.rule != RuleName::FirstStep && config.learning.update == UpdateTime::AtEnd;
    if !run_free(config) || at_end {
        return None;
    }
    broken(
        "`model.groups` must be 1 in a phase that is read before its end with the mode `free-running`",
        "what arrives first, and what changes between two arrivals, is the error of some groups; use schedule.mode = \"lock-step\"",
    )
}

/// Some things belong to whole layers only.
pub(super) fn groups_have_parts(config: &Config, whole: bool) -> Option<Diagnostic> {
    if !whole || !cuts(config) {
        return None;
    }
    broken(
        "`model.groups` must be 1 with feedback weights or precisions that are not cut",
        "groups have tied feedback and one precision per layer, which is not learned",
    )
}

pub(super) fn groups_are_plain(config: &Config) -> Option<Diagnostic> {
    if config.model.groups == Groups::Count(1) || is_plain(config) {
        return None;
    }
    broken(
        "`model.groups` must be 1 with deviation variables and with limited precision",
        "both are defined for the signals of whole layers; leave out `inference.variables` and `[numerics]`, or the groups",
    )
}
