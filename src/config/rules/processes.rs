//! What must hold between keys where layers live in several processes, or are joined by links that carry bytes.

use super::broken;
use crate::config::diagnostic::Diagnostic;
use crate::config::values::{Config, Groups, LinkTransport, Placing};
use crate::config::{RuleName, ScheduleMode, write};
use crate::process::placement::Placement;

pub(super) fn processes_run_layers(config: &Config) -> Option<Diagnostic> {
    (config.workers > 1 && config.learning.rule == RuleName::Backprop).then(|| {
        Diagnostic::error("`workers` must be 1 with the rule `backprop`")
            .help("backpropagation is one loop over the whole network; it has no layers that could live apart")
    })
}

pub(super) fn processes_have_a_schedule(config: &Config) -> Option<Diagnostic> {
    let apart = matches!(config.schedule.mode, ScheduleMode::LockStep | ScheduleMode::FreeRunning);
    if config.workers == 1 || apart || config.learning.rule == RuleName::Backprop {
        return None;
    }
    let mode = write::literal(&serde_json::to_value(config.schedule.mode).unwrap_or_default()).replace('"', "`");
    broken(
        format!("`workers` must be 1 with the mode {mode}"),
        "only the schedules `lock-step` and `free-running` run layers in several processes",
    )
}

pub(super) fn every_worker_has_a_layer(config: &Config) -> Option<Diagnostic> {
    let (workers, layers) = (config.workers, config.model.widths.len());
    if workers <= layers {
        return None;
    }
    broken(
        format!("`workers` is {workers}, and the network has {layers} layers"),
        "a layer is the smallest part: every worker needs one of its own",
    )
}

pub(super) fn groups_live_together(config: &Config, key: &str, apart: bool) -> Option<Diagnostic> {
    if !apart || config.model.groups == Groups::Count(1) || config.learning.rule == RuleName::Backprop {
        return None;
    }
    broken(
        format!("`{key}` wants whole layers, and `model.groups` cuts them"),
        "groups of neurons live in one process and share mailboxes; use workers = 1 with the transport `auto`, or groups = 1",
    )
}

pub(super) fn placement_is_whole(config: &Config) -> Option<Diagnostic> {
    let Placing::Lists(lists) = &config.schedule.placement else { return None };
    if lists.len() != config.workers {
        let (lists, workers) = (lists.len(), config.workers);
        return broken(
            format!("`schedule.placement` has {lists} lists of layers for {workers} workers"),
            "give every worker a list of its own, or say `auto`",
        );
    }
    let problem = Placement::explicit(lists, config.model.widths.len()).err()?;
    broken(format!("`schedule.placement`: {problem}"), "every layer, 0 to L, belongs in exactly one of the lists")
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
    if config.links.transport == LinkTransport::Auto {
        return None;
    }
    broken(format!("`links.transport` must be `auto` with the mode `{mode}`"), help)
}
