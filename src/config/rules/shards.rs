//! What only virtual time has: shards, and a log of events. Into how many shards layers can be cut is decided here as in
//! `crate::engine::virtual_time::shard`.
//!
//! A cut needs a lookahead: both links across it have a least delay above zero, counted in ticks of virtual time.

use std::collections::BTreeSet;

use super::broken;
use super::groups::groups_of;
use crate::config::RuleName;
use crate::config::asynchrony::Links;
use crate::config::diagnostic::Diagnostic;
use crate::config::values::{Config, Placing, ScheduleMode};
use crate::engine::virtual_time::kernel::Time;
use crate::network::Grouping;
use crate::process::placement::Placement;

/// The links that may deliver at once: the lower of the two layers, the name of the link, and the key that says so.
fn immediate(config: &Config) -> Vec<(usize, String, String)> {
    let is_immediate =
        |links: &Links| Time::of(links.delay.least()) + Time::of(links.jitter.least()) == Time::default();
    let depth = config.model.widths.len().saturating_sub(1);
    let of_layers = (0..depth).flat_map(|lower| [(lower, lower + 1), (lower + 1, lower)]).map(|(from, to)| {
        let name = format!("{from}->{to}");
        let special = config.links.of_link.get(&name).is_some_and(|link| link.delay.is_some());
        let key = if special { format!("links.\"{name}\".delay") } else { "links.delay".to_owned() };
        (from.min(to), name, key, config.links.of(from, to))
    });
    let between =
        config.links.between_groups(|layer| groups_of(config, layer)).into_iter().map(|([from, to], links)| {
            let name = format!("{}.{}->{}.{}", from.0, from.1, to.0, to.1);
            (from.0.min(to.0), name, "links.delay".to_owned(), links)
        });
    let all = of_layers.chain(between).filter(|(.., links)| is_immediate(links));
    all.map(|(gap, name, key, _)| (gap, name, key)).collect()
}

/// Most shards there can be: one, and one more for every place between two nodes that is crossed by no link that may deliver at once.
fn most(config: &Config) -> usize {
    let gaps: BTreeSet<usize> = immediate(config).into_iter().map(|(gap, ..)| gap).collect();
    let depth = config.model.widths.len().saturating_sub(1);
    let places = |layer: usize| {
        let is_open = |gap: usize| !gaps.contains(&gap);
        let below = layer.checked_sub(1).is_none_or(is_open);
        // Before its first group only links from below pass, between its groups those from above, too.
        let inside = below && (layer == depth || is_open(layer));
        usize::from(layer > 0 && below) + if inside { groups_of(config, layer) - 1 } else { 0 }
    };
    1 + (0..=depth).map(places).sum::<usize>()
}

pub(super) fn shards_are_apart(config: &Config) -> Option<Diagnostic> {
    let wanted = config.schedule.shards;
    let most = most(config);
    if config.schedule.mode != ScheduleMode::VirtualTime || wanted <= most {
        return None;
    }
    let title = format!("`schedule.shards` must be at most {most} here");
    let Some((_, name, key)) = immediate(config).into_iter().next() else {
        return broken(title, format!("a shard has one layer or group at least, and there are {most}"));
    };
    broken(
        title,
        format!(
            "the link {name} may deliver at once (`{key}`), and across a cut everything takes some time: \
             give its law a `min`, or leave schedule.shards out"
        ),
    )
}

/// Layers of several processes in virtual time: there each worker is a shard.
fn workers_are_shards(config: &Config) -> bool {
    let virtual_time = config.schedule.mode == ScheduleMode::VirtualTime;
    config.workers > 1 && virtual_time && config.learning.rule != RuleName::Backprop
}

pub(super) fn workers_are_apart(config: &Config) -> Option<Diagnostic> {
    let most = most(config);
    let is_auto = matches!(config.schedule.placement, Placing::Word(_));
    if !workers_are_shards(config) || !is_auto || config.workers <= most {
        return None;
    }
    let title = format!("`workers` must be at most {most} here, with the mode `virtual-time`");
    let Some((_, name, key)) = immediate(config).into_iter().next() else {
        return broken(title, format!("a worker has one layer or group at least, and there are {most}"));
    };
    broken(title, at_once(&name, &key))
}

fn at_once(name: &str, key: &str) -> String {
    format!(
        "the link {name} may deliver at once (`{key}`), and between two workers everything takes some time: give its law a `min`"
    )
}

pub(super) fn workers_have_neighbours(config: &Config) -> Option<Diagnostic> {
    let Placing::Lists(lists) = &config.schedule.placement else { return None };
    let groups = Grouping::from(config.model.groups).counts(&config.model.widths);
    // What is no placement is refused elsewhere.
    let placement = Placement::named(lists, &groups).ok().filter(|_| workers_are_shards(config))?;
    let runs = match placement.runs() {
        Ok(runs) => runs,
        Err(problem) => {
            let help = "only then is a worker one shard, which looks ahead as far as its borders allow";
            return broken(format!("`schedule.placement`: {problem}"), help);
        }
    };
    let immediate = immediate(config);
    let starts: Vec<usize> = runs.iter().map(|run| run.start).collect();
    let mut node = 0;
    for (layer, &of_layer) in groups.iter().enumerate() {
        for group in 0..of_layer {
            // Before its first group only links from below pass, between its groups those from above, too.
            let crossed = |gap: usize| gap + 1 == layer || gap == layer && group > 0;
            let fast = immediate.iter().find(|(gap, ..)| node > 0 && crossed(*gap));
            if let (true, Some((_, name, key))) = (starts.contains(&node), fast) {
                let place = if of_layer > 1 { format!("{layer}.{group}") } else { layer.to_string() };
                return broken(format!("`schedule.placement` has a border before layer {place}"), at_once(name, key));
            }
            node += 1;
        }
    }
    None
}

pub(super) fn shards_are_workers(config: &Config) -> Option<Diagnostic> {
    let (workers, shards) = (config.workers, config.schedule.shards);
    if !workers_are_shards(config) || shards == 0 || shards == workers {
        return None;
    }
    broken(
        format!("`schedule.shards` must be {workers}, as many as `workers`, or 0"),
        "in several processes every worker is one shard; leave schedule.shards out",
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
    if workers_are_shards(config) {
        return false;
    }
    let shards = if config.schedule.shards == 0 { most(config) } else { config.schedule.shards };
    config.schedule.mode == ScheduleMode::VirtualTime && shards == 1
}

/// True if more threads have nothing to do, because every worker has one shard.
pub(in crate::config) fn threads_have_one_worker(config: &Config) -> bool {
    workers_are_shards(config)
}
