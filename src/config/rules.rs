//! What must hold between keys.
//!
//! An option that cannot be honoured is an error, never ignored: every [`Rule`] that is broken is reported, at its own
//! key, with the other keys that play a part. Settings without effect are in `idle.rs`, limits of a single key in
//! `kind.rs`.

mod data;
mod groups;
mod model;
mod processes;
mod shards;
mod simulation;
mod wall_clock;

pub(super) use wall_clock::loses_for_good;

use data::{data_have_a_folder, digits_are_counted, digits_need_no_folder, validation_leaves_some};
pub(super) use groups::groups_of;
use groups::{
    free_groups_are_read_at_the_end, free_groups_say_errors, groups_are_plain, groups_have_parts,
    late_groups_are_read_at_the_end, late_groups_say_errors, links_can_be_counted,
};
use model::{
    feedback_can_meet_the_weights, feedback_gets_the_same_updates, precision_is_known_below,
    precision_is_there_to_learn, precision_per_layer, softmax_is_in_the_loss, the_last_precision_is_resolved,
};
use processes::{
    every_worker_has_a_layer, free_groups_live_together, groups_share_memory, one_loop_has_no_links,
    placement_is_whole, processes_have_a_schedule, processes_run_layers, processes_share_no_memory,
};
pub(super) use shards::{threads_have_one_shard, threads_have_one_worker};
use simulation::{
    arrivals_are_silent_before, deviations_are_of_one_phase, deviations_are_of_predictive_coding,
    deviations_come_down_through_the_weights, deviations_have_given_precisions,
    deviations_have_one_precision_per_layer, deviations_have_resting_weights, deviations_start_without_errors,
    first_step_has_no_nudge, sequence_is_plain, zero_is_a_limit,
};

use super::diagnostic::Diagnostic;
use super::gather::Gathered;
use super::values::{Config, Precision};
use super::{Dtype, EnergyKind, FeedbackKind, Message, Order, RuleName, ScheduleMode};

/// A condition on a configuration.
pub(super) struct Rule {
    /// The key that is at fault, then the others that play a part.
    pub(super) keys: &'static [&'static str],
    /// The problem where the condition does not hold, without its places.
    broken: fn(&Config) -> Option<Diagnostic>,
}

const fn rule(keys: &'static [&'static str], broken: fn(&Config) -> Option<Diagnostic>) -> Rule {
    Rule { keys, broken }
}

/// The conditions, in the order of their keys. Each is a function below, named for what must hold.
pub(super) const RULES: &[Rule] = &[
    rule(&["workers", "learning.rule"], processes_run_layers),
    rule(&["workers", "schedule.mode"], processes_have_a_schedule),
    rule(&["workers", "model.widths"], every_worker_has_a_layer),
    rule(&["workers", "links.delay", "links.jitter", "schedule.mode"], shards::workers_are_apart),
    rule(&["workers", "model.groups", "schedule.mode"], free_groups_live_together),
    rule(&["data.dir", "data.name"], data_have_a_folder),
    rule(&["data.dir", "data.name"], digits_need_no_folder),
    rule(&["data.train", "data.name"], |c| digits_are_counted(c, "data.train", c.data.train)),
    rule(&["data.test", "data.name"], |c| digits_are_counted(c, "data.test", c.data.test)),
    rule(&["data.validation", "data.train"], validation_leaves_some),
    rule(&["model.output_act_fn", "model.loss"], softmax_is_in_the_loss),
    rule(&["model.precision", "model.widths"], precision_per_layer),
    rule(&["model.feedback", "learning.weight_decay", "learning.rule"], feedback_can_meet_the_weights),
    rule(&["model.feedback", "learning.optimizer", "learning.rule"], feedback_gets_the_same_updates),
    rule(&["model.groups", "schedule.mode", "model.widths"], links_can_be_counted),
    rule(&["model.groups", "links.message", "links.delay"], late_groups_say_errors),
    rule(&["model.groups", "learning.rule", "learning.update", "links.delay"], late_groups_are_read_at_the_end),
    rule(&["model.groups", "links.message", "schedule.mode"], free_groups_say_errors),
    rule(&["model.groups", "learning.rule", "learning.update", "schedule.mode"], free_groups_are_read_at_the_end),
    rule(&["model.groups", "model.feedback"], |c| groups_have_parts(c, c.model.feedback != FeedbackKind::Tied)),
    rule(&["model.groups", "model.precision"], |c| {
        groups_have_parts(c, matches!(c.model.precision, Precision::PerUnit(_)))
    }),
    rule(&["model.groups", "learning.precision_lr"], |c| groups_have_parts(c, c.learning.precision_lr > 0.0)),
    rule(&["inference.tolerance", "dtype"], tolerance_is_resolved),
    rule(&["model.groups", "inference.variables", "numerics.states", "numerics.messages"], groups_are_plain),
    rule(&["schedule.order", "inference.variables", "numerics.states", "numerics.messages"], sequence_is_plain),
    rule(&["inference.variables", "schedule.mode"], deviations_are_of_one_phase),
    rule(&["inference.variables", "model.energy"], deviations_are_of_predictive_coding),
    rule(&["inference.variables", "inference.free_phase"], deviations_start_without_errors),
    rule(&["inference.variables", "learning.rule"], first_step_has_no_nudge),
    rule(&["inference.variables", "model.feedback"], deviations_come_down_through_the_weights),
    rule(&["inference.variables", "model.precision"], deviations_have_one_precision_per_layer),
    rule(&["inference.variables", "learning.precision_lr"], deviations_have_given_precisions),
    rule(&["inference.variables", "learning.update"], deviations_have_resting_weights),
    rule(&["learning.nudge", "learning.rule"], nudge_is_at_most_one),
    rule(&["learning.nudge", "inference.variables", "learning.nudging"], zero_is_a_limit),
    rule(&["schedule.threads", "schedule.mode"], reference_is_one_loop),
    rule(&["record.event_log", "schedule.mode", "learning.rule"], shards::events_are_of_virtual_time),
    rule(&["schedule.shards", "links.delay", "links.jitter"], shards::shards_are_apart),
    rule(&["schedule.shards", "workers", "schedule.mode"], shards::shards_are_workers),
    rule(&["schedule.order", "schedule.mode", "model.energy"], sequence_needs_one_loop),
    rule(&["schedule.placement", "workers", "model.widths", "model.groups"], placement_is_whole),
    rule(&["schedule.placement", "links.delay", "schedule.mode"], shards::workers_have_neighbours),
    rule(
        &["schedule.stall_seconds", "schedule.time_unit_ms", "schedule.mode"],
        wall_clock::the_watchdog_outlasts_the_laws,
    ),
    rule(&["links.loss", "links.resend", "schedule.time_unit_ms"], wall_clock::losses_are_made_good),
    rule(&["links.message", "schedule.mode"], states_need_staleness),
    rule(&["links.transport", "workers"], processes_share_no_memory),
    rule(&["links.transport", "schedule.mode"], one_loop_has_no_links),
    rule(&["links.transport", "model.groups", "workers"], groups_share_memory),
    rule(&["inference.activity_lr", "dtype"], |c| in_f32(c, "inference.activity_lr", &[c.inference.activity_lr])),
    rule(&["learning.nudge", "dtype"], |c| in_f32(c, "learning.nudge", &[c.learning.nudge])),
    rule(&["learning.param_lr", "dtype"], |c| in_f32(c, "learning.param_lr", &[c.learning.param_lr])),
    rule(&["learning.epsilon", "dtype"], |c| in_f32(c, "learning.epsilon", &[c.learning.epsilon])),
    rule(&["model.precision", "dtype"], |c| in_f32(c, "model.precision", &c.model.precision.numbers())),
    rule(&["model.precision_ratio", "model.precision", "dtype"], the_last_precision_is_resolved),
    rule(&["learning.precision_lr", "links.message", "schedule.mode"], precision_is_known_below),
    rule(&["learning.precision_lr", "model.energy"], precision_is_there_to_learn),
    rule(&["numerics.message_noise", "learning.rule"], |c| arrivals_are_silent_before(c, "numerics.message_noise")),
    rule(&["numerics.state_noise", "learning.rule"], |c| arrivals_are_silent_before(c, "numerics.state_noise")),
    rule(&["output.dir"], output_has_a_folder),
    rule(&["output.name"], name_is_plain),
];

/// Every broken rule, each at its own key. Rules about a key whose value was refused are left out: they would judge
/// the default that stands in for it.
pub(super) fn errors(config: &Config, gathered: &Gathered<'_>) -> Vec<Diagnostic> {
    let judged = RULES.iter().filter(|rule| !rule.keys.iter().any(|key| gathered.is_refused(key)));
    judged.filter_map(|rule| Some(placed((rule.broken)(config)?, rule.keys, gathered))).collect()
}

/// The problem, at its key, with the places of the other keys.
pub(super) fn placed(problem: Diagnostic, keys: &[&'static str], gathered: &Gathered<'_>) -> Diagnostic {
    let Some((culprit, others)) = keys.split_first() else {
        return problem;
    };
    // The data set is deduced when it is not set, so the defaults would show the wrong one.
    let shown = others.iter().filter(|path| gathered.is_set(path) || !path.starts_with("data."));
    shown.fold(problem.at(gathered.place(culprit)), |problem, path| {
        problem.at(gathered.place(path)).label(format!("because of `{path}`"))
    })
}

fn broken(title: impl Into<String>, help: impl Into<String>) -> Option<Diagnostic> {
    Some(Diagnostic::error(title).help(help))
}

fn tolerance_is_resolved(config: &Config) -> Option<Diagnostic> {
    let tolerance = config.inference.tolerance;
    if config.dtype != Dtype::F32 || tolerance == 0.0 || tolerance >= 1e-7 {
        return None;
    }
    broken(
        "`inference.tolerance` is below 1e-7, which f32 cannot resolve",
        "use dtype = \"f64\", or a larger tolerance; f32 has about 7 digits",
    )
}

fn nudge_is_at_most_one(config: &Config) -> Option<Diagnostic> {
    if config.learning.rule != RuleName::PcNudge || config.learning.nudge <= 1.0 {
        return None;
    }
    broken(
        "`learning.nudge` must be at most 1 with the rule `pc-nudge`",
        "the estimate is off by O(nudge): 0.01 is usual, and 1 is a fully clamped output at precision 1",
    )
}

fn reference_is_one_loop(config: &Config) -> Option<Diagnostic> {
    if config.schedule.mode != ScheduleMode::Reference || config.schedule.threads == 1 {
        return None;
    }
    broken(
        "`schedule.threads` must be 1 with the mode `reference`",
        "it is one loop; `lock-step` computes the same numbers as `reference` on any number of threads",
    )
}

fn sequence_needs_one_loop(config: &Config) -> Option<Diagnostic> {
    let sequence = config.schedule.order == Order::GaussSeidel;
    if sequence && config.model.energy != EnergyKind::PredictiveCoding {
        return broken(
            "`schedule.order` can be `gauss-seidel` for predictive coding only",
            "the other energies are updated all at once; use `jacobi`",
        );
    }
    if !sequence || config.schedule.mode == ScheduleMode::Reference {
        return None;
    }
    broken(
        "`schedule.order` can be `gauss-seidel` with the mode `reference` only",
        "one layer after another needs a clock that all of them share, which actors do not have; use `jacobi`",
    )
}

fn states_need_staleness(config: &Config) -> Option<Diagnostic> {
    let mode = match config.schedule.mode {
        ScheduleMode::Reference => "reference",
        ScheduleMode::LockStep => "lock-step",
        _ => return None,
    };
    (config.links.message == Message::State).then(|| {
        Diagnostic::error(format!("`links.message` cannot be `state` with the mode `{mode}`")).help(
            "states are sent against staleness, and here no signal is ever stale; \
             use `error+echo`, or schedule.mode = \"free-running\"",
        )
    })
}

/// Positive numbers that f32 turns into zero or infinity cannot be honoured.
fn in_f32(config: &Config, path: &str, values: &[f64]) -> Option<Diagnostic> {
    let lost = values.iter().find(|value| **value != 0.0 && !(**value as f32).is_normal())?;
    if config.dtype != Dtype::F32 {
        return None;
    }
    broken(
        format!("`{path}` is {lost:?}, which f32 cannot hold"),
        format!("use dtype = \"f64\", or a number from {:e} to {:e}", f32::MIN_POSITIVE, f32::MAX),
    )
}

fn output_has_a_folder(config: &Config) -> Option<Diagnostic> {
    if !config.output.dir.is_empty() {
        return None;
    }
    broken("`output.dir` must not be empty", "the current folder is `.`")
}

fn name_is_plain(config: &Config) -> Option<Diagnostic> {
    let name = config.output.name.as_str();
    let is_odd = |c: char| c.is_control() || matches!(c, '/' | '\\' | ':');
    if name.len() <= 200 && !name.contains(is_odd) && name != "." && name != ".." {
        return None;
    }
    broken("`output.name` must be a plain file name", "the folder is `output.dir`; the name has no `/`, `\\` or `:`")
}
