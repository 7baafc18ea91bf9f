//! What must hold between keys where layers live in several processes, or are joined by links that carry bytes.

use super::broken;
use crate::config::diagnostic::Diagnostic;
use crate::config::values::{Config, Groups, LinkTransport, Placing};
use crate::config::{RuleName, ScheduleMode};
use crate::network::Grouping;
use crate::process::placement::Placement;

pub(super) fn processes_run_layers(config: &Config) -> Option<Diagnostic> {
    (config.workers > 1 && config.learning.rule == RuleName::Backprop).then(|| {
        Diagnostic::error("`workers` must be 1 with the rule `backprop`")
            .help("backpropagation is one loop over the whole network; it has no layers that could live apart")
    })
}

pub(super) fn processes_have_a_schedule(config: &Config) -> Option<Diagnostic> {
    let is_loop = config.schedule.mode == ScheduleMode::Reference;
    if config.workers == 1 || !is_loop || config.learning.rule == RuleName::Backprop {
        return None;
    }
    broken(
        "`workers` must be 1 with the mode `reference`",
        "the reference is one loop over whole matrices; all other schedules run layers in several processes",
    )
}

pub(super) fn every_worker_has_a_layer(config: &Config) -> Option<Diagnostic> {
    let (workers, layers) = (config.workers, config.model.widths.len());
    if workers <= layers || config.model.groups != Groups::Count(1) {
        return None;
    }
    broken(
        format!("`workers` is {workers}, and the network has {layers} layers"),
        "a layer is the smallest part: every worker needs one of its own",
    )
}

pub(super) fn free_groups_live_together(config: &Config) -> Option<Diagnostic> {
    let cut = config.model.groups != Groups::Count(1) && config.learning.rule != RuleName::Backprop;
    if !cut || config.workers == 1 || config.schedule.mode != ScheduleMode::FreeRunning {
        return None;
    }
    broken(
        "`workers` must be 1 for groups of neurons with the mode `free-running`",
        "what is outstanding among groups that run free is counted in memory they share; use schedule.mode = \"lock-step\"",
    )
}

pub(super) fn groups_share_memory(config: &Config) -> Option<Diagnostic> {
    let shared = matches!(config.links.transport, LinkTransport::Auto | LinkTransport::InProcess);
    let cut = config.model.groups != Groups::Count(1) && config.learning.rule != RuleName::Backprop;
    if shared || !cut || config.workers > 1 {
        return None;
    }
    broken(
        "`links.transport` joins whole layers within one process, and `model.groups` cuts them",
        "groups of neurons in one process share memory; leave it at `auto`, or use more workers",
    )
}

pub(super) fn placement_is_whole(config: &Config) -> Option<Diagnostic> {
    let widths = &config.model.widths;
    let groups = Grouping::from(config.model.groups).counts(widths);
    let lists = match &config.schedule.placement {
        Placing::Lists(lists) => lists,
        // Whole layers: see above.
        Placing::Word(_) if config.model.groups == Groups::Count(1) || config.workers == 1 => return None,
        // Cut as shards are: see there.
        Placing::Word(_) if config.schedule.mode == ScheduleMode::VirtualTime => return None,
        Placing::Word(_) => {
            let problem = Placement::automatic(widths, &groups, config.workers).err()?;
            return broken(
                format!("`schedule.placement`: {problem}"),
                "use fewer workers or more groups, or say in `schedule.placement` who lives where",
            );
        }
    };
    if lists.len() != config.workers {
        let (lists, workers) = (lists.len(), config.workers);
        return broken(
            format!("`schedule.placement` has {lists} lists of layers for {workers} workers"),
            "give every worker a list of its own, or say `auto`",
        );
    }
    let problem = Placement::named(lists, &groups).err()?;
    broken(
        format!("`schedule.placement`: {problem}"),
        "every layer, 0 to L, belongs in exactly one of the lists, as a whole or group by group",
    )
}

pub(super) fn processes_share_no_memory(config: &Config) -> Option<Diagnostic> {
    let word = match config.links.transport {
        LinkTransport::InProcess => "in-process",
        LinkTransport::Bytes => "bytes",
        _ => return None,
    };
    if config.workers == 1 {
        return None;
    }
    broken(
        format!("`links.transport` cannot be `{word}` with several workers"),
        "it connects layers within one process; use `unix` or `tcp`, or leave it at `auto`",
    )
}

pub(super) fn one_loop_has_no_links(config: &Config) -> Option<Diagnostic> {
    let (mode, help) = match config.schedule.mode {
        ScheduleMode::Reference => (
            "reference",
            "the reference is one loop without links; `lock-step` computes the same numbers by way of them",
        ),
        ScheduleMode::VirtualTime => {
            ("virtual-time", "virtual time simulates its links; `lock-step` and `free-running` have real ones")
        }
        ScheduleMode::LockStep | ScheduleMode::FreeRunning => return None,
    };
    let of_processes = matches!(config.links.transport, LinkTransport::Unix | LinkTransport::Tcp)
        && config.schedule.mode == ScheduleMode::VirtualTime
        && config.workers > 1;
    if config.links.transport == LinkTransport::Auto || of_processes {
        return None;
    }
    broken(format!("`links.transport` must be `auto` with the mode `{mode}`"), help)
}
