//! What only virtual time has: shards, and a log of events. Into how many shards layers can be cut is decided here as in
//! `crate::engine::virtual_time::shard`.
//!
//! A cut needs a lookahead: both links across it have a least delay above zero, counted in ticks of virtual time.

use super::broken;
use crate::config::RuleName;
use crate::config::asynchrony::Links;
use crate::config::diagnostic::Diagnostic;
use crate::config::values::{Config, ScheduleMode};
use crate::engine::virtual_time::kernel::Time;

/// The links that may deliver at once, as `(from, to)`.
fn immediate(config: &Config) -> Vec<(usize, usize)> {
    let is_immediate = |&(from, to): &(usize, usize)| {
        let Links { delay, jitter, .. } = config.links.of(from, to);
        Time::of(delay.least()) + Time::of(jitter.least()) == Time::default()
    };
    let depth = config.model.widths.len().saturating_sub(1);
    (0..depth).flat_map(|lower| [(lower, lower + 1), (lower + 1, lower)]).filter(is_immediate).collect()
}

/// Most shards there can be.
fn most(config: &Config) -> usize {
    let mut gaps: Vec<usize> = immediate(config).into_iter().map(|(from, to)| from.min(to)).collect();
    gaps.dedup();
    config.model.widths.len().saturating_sub(gaps.len()).max(1)
}

pub(super) fn shards_are_apart(config: &Config) -> Option<Diagnostic> {
    let wanted = config.schedule.shards;
    let most = most(config);
    if config.schedule.mode != ScheduleMode::VirtualTime || wanted <= most {
        return None;
    }
    let title = format!("`schedule.shards` must be at most {most} here");
    let Some((from, to)) = immediate(config).first().copied() else {
        return broken(title, format!("a shard has one layer at least, and `model.widths` lists {most}"));
    };
    let special = config.links.of_link.get(&format!("{from}->{to}")).is_some_and(|link| link.delay.is_some());
    let key = if special { format!("links.\"{from}->{to}\".delay") } else { "links.delay".to_owned() };
    broken(
        title,
        format!(
            "the link {from}->{to} may deliver at once (`{key}`), and across a cut everything takes some time: \
             give its law a `min`, or leave schedule.shards out"
        ),
    )
}

pub(super) fn events_are_of_virtual_time(config: &Config) -> Option<Diagnostic> {
    let has_events = config.schedule.mode == ScheduleMode::VirtualTime && config.learning.rule != RuleName::Backprop;
    if config.record.event_log == 0 || has_events {
        return None;
    }
    broken(
        "`record.event_log` must be 0 but with the mode `virtual-time` and a rule that has phases",
        "only virtual time has an order of events; leave the key out, or set schedule.mode = \"virtual-time\"",
    )
}

/// True if more threads have nothing to do, because there is one shard.
pub(in crate::config) fn threads_have_one_shard(config: &Config) -> bool {
    let shards = if config.schedule.shards == 0 { most(config) } else { config.schedule.shards };
    config.schedule.mode == ScheduleMode::VirtualTime && shards == 1
}
