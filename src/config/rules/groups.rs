//! What layers that are cut into groups of neurons can do (`model.groups`).

use super::broken;
use super::simulation::is_plain;
use crate::config::diagnostic::Diagnostic;
use crate::config::values::{Config, Groups};
use crate::config::{Message, RuleName, ScheduleMode, UpdateTime};

fn cuts(config: &Config) -> bool {
    config.model.groups != Groups::Count(1) && config.learning.rule != RuleName::Backprop
}

fn run_free(config: &Config) -> bool {
    cuts(config) && config.schedule.mode == ScheduleMode::FreeRunning
}

pub(super) fn groups_have_no_clocks(config: &Config) -> Option<Diagnostic> {
    if config.model.groups == Groups::Count(1) || config.schedule.mode != ScheduleMode::VirtualTime {
        return None;
    }
    broken(
        "`model.groups` must be 1 with the mode `virtual-time`",
        "there clocks and delays are those of layers; use schedule.mode = \"lock-step\" or \"free-running\"",
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

pub(super) fn free_groups_have_no_laws(config: &Config) -> Option<Diagnostic> {
    if !run_free(config) || config.schedule.time_unit_ms == 0.0 {
        return None;
    }
    broken(
        "`model.groups` must be 1 with clocks and links on the wall clock",
        "they are those of layers; leave schedule.time_unit_ms out, or do not cut the layers",
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
