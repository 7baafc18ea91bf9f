//! What must hold where clocks and links are imposed on the wall clock (`crate::engine::wall_clock`).

use std::collections::BTreeMap;

use super::broken;
use super::groups::groups_of;
use crate::config::asynchrony::{Clocks, Links};
use crate::config::diagnostic::Diagnostic;
use crate::config::values::Config;
use crate::config::{RuleName, ScheduleMode};

/// The links that are different for single groups.
fn between_groups(config: &Config) -> BTreeMap<[(usize, usize); 2], Links> {
    config.links.between_groups(|layer| groups_of(config, layer))
}

/// The first link that loses signals and never sends them again, as it is called.
pub(in crate::config) fn loses_for_good(config: &Config) -> Option<String> {
    let depth = config.model.widths.len().saturating_sub(1);
    let links = (0..depth).flat_map(|lower| [(lower, lower + 1), (lower + 1, lower)]);
    let of_layers = links.map(|(from, to)| (format!("{from}->{to}"), config.links.of(from, to)));
    let of_groups = between_groups(config)
        .into_iter()
        .map(|([from, to], laws)| (format!("{}.{}->{}.{}", from.0, from.1, to.0, to.1), laws));
    let mut lossy = of_layers.chain(of_groups).filter(|(_, laws)| laws.loss > 0.0 && laws.resend == 0.0);
    lossy.next().map(|(name, _)| name)
}

/// A phase on the wall clock is over when everything spoken has been heard, and nobody can know that the newest was lost.
pub(super) fn losses_are_made_good(config: &Config) -> Option<Diagnostic> {
    // Without a unit no loss is imposed at all, which is refused elsewhere.
    let imposed = config.schedule.mode == ScheduleMode::FreeRunning && config.schedule.time_unit_ms > 0.0;
    if !imposed || config.learning.rule == RuleName::Backprop {
        return None;
    }
    let name = loses_for_good(config)?;
    broken(
        format!("`links.loss` needs `links.resend` with the mode `free-running` (link {name})"),
        "there a phase ends when everything spoken was heard; a signal that is lost for good would hold it up for ever",
    )
}

/// While a signal is held or a clock waits, nothing moves, and the watchdog must not take that for a stall.
pub(super) fn the_watchdog_outlasts_the_laws(config: &Config) -> Option<Diagnostic> {
    let unit = config.schedule.time_unit_ms * 1e-3;
    if config.schedule.mode != ScheduleMode::FreeRunning || unit == 0.0 || config.learning.rule == RuleName::Backprop {
        return None;
    }
    let depth = config.model.widths.len().saturating_sub(1);
    let of_link = |laws: Links| (laws.delay.mean() + laws.jitter.mean()).max(laws.resend);
    let of_clock = |laws: Clocks| laws.period.mean().max(laws.offset.mean());
    let links = (0..depth).flat_map(|lower| [(lower, lower + 1), (lower + 1, lower)]);
    let links = links.map(|(from, to)| config.links.of(from, to)).chain(between_groups(config).into_values());
    let clocks = (0..=depth).map(|layer| config.clocks.of(layer)).chain(config.clocks.of_groups().into_values());
    let longest = links.map(of_link).chain(clocks.map(of_clock)).fold(0.0, f64::max) * unit;
    if longest < config.schedule.stall_seconds {
        return None;
    }
    broken(
        format!("`schedule.stall_seconds` must be above the {longest} s that a signal or a layer waits in the mean"),
        "raise it, or lower schedule.time_unit_ms: what is held would be taken for a network in which nothing moves",
    )
}
