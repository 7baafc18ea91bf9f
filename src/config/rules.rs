//! What must hold between keys.
//!
//! An option that cannot be honoured is an error, never ignored: every [`Rule`] that is broken is reported, at its own
//! key, with the other keys that play a part. Settings without effect are in `idle.rs`, limits of a single key in
//! `kind.rs`.

mod processes;
mod simulation;

use processes::{
    every_worker_has_a_layer, groups_live_together, one_loop_has_no_links, placement_is_whole,
    processes_have_a_schedule, processes_run_layers, processes_share_no_memory,
};
use simulation::{
    arrivals_are_silent_before, deviations_are_of_one_phase, deviations_are_of_predictive_coding,
    deviations_come_down_through_the_weights, deviations_have_given_precisions,
    deviations_have_one_precision_per_layer, deviations_have_resting_weights, deviations_start_without_errors,
    first_step_has_no_nudge, groups_are_plain, noise_has_steps, sequence_is_plain, zero_is_a_limit,
};

use super::diagnostic::Diagnostic;
use super::gather::Gathered;
use super::values::{Config, DataName, Groups, LinkTransport, Precision};
use super::{Activation, Dtype, EnergyKind, FeedbackKind, Loss, Message, OptimizerKind, Order, RuleName, ScheduleMode};

/// A condition on a configuration.
pub(super) struct Rule {
    /// The key that is at fault, then the others that play a part.
    pub(super) keys: &'static [&'static str],
    /// The problem where the condition does not hold, without its places.
    broken: fn(&Config) -> Option<Diagnostic>,
}

/// More digits than this would ask for more memory than a machine is sure to have.
const DIGITS_MOST: usize = 1_000_000;

const fn rule(keys: &'static [&'static str], broken: fn(&Config) -> Option<Diagnostic>) -> Rule {
    Rule { keys, broken }
}

/// The conditions, in the order of their keys. Each is a function below, named for what must hold.
pub(super) const RULES: &[Rule] = &[
    rule(&["workers", "learning.rule"], processes_run_layers),
    rule(&["workers", "schedule.mode"], processes_have_a_schedule),
    rule(&["workers", "model.widths"], every_worker_has_a_layer),
    rule(&["workers", "model.groups"], |c| groups_live_together(c, "workers", c.workers > 1)),
    rule(&["data.dir", "data.name"], data_have_a_folder),
    rule(&["data.dir", "data.name"], digits_need_no_folder),
    rule(&["data.train", "data.name"], |c| digits_are_counted(c, "data.train", c.data.train)),
    rule(&["data.test", "data.name"], |c| digits_are_counted(c, "data.test", c.data.test)),
    rule(&["data.validation", "data.train"], validation_leaves_some),
    rule(&["model.output_act_fn", "model.loss"], softmax_is_in_the_loss),
    rule(&["model.precision", "model.widths"], precision_per_layer),
    rule(&["model.feedback", "learning.weight_decay", "learning.rule"], feedback_can_meet_the_weights),
    rule(&["model.feedback", "learning.optimizer", "learning.rule"], feedback_gets_the_same_updates),
    rule(&["model.groups", "schedule.mode"], groups_need_steps),
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
    rule(&["schedule.order", "schedule.mode", "model.energy"], sequence_needs_one_loop),
    rule(&["schedule.placement", "workers", "model.widths"], placement_is_whole),
    rule(&["links.message", "schedule.mode"], states_need_staleness),
    rule(&["links.transport", "workers"], processes_share_no_memory),
    rule(&["links.transport", "schedule.mode"], one_loop_has_no_links),
    rule(&["links.transport", "model.groups", "workers"], |c| {
        let shared = matches!(c.links.transport, LinkTransport::Auto | LinkTransport::InProcess);
        groups_live_together(c, "links.transport", !shared && c.workers == 1)
    }),
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
    rule(&["numerics.message_noise", "schedule.mode"], |c| noise_has_steps(c, "numerics.message_noise")),
    rule(&["numerics.state_noise", "schedule.mode"], |c| noise_has_steps(c, "numerics.state_noise")),
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

fn groups_need_steps(config: &Config) -> Option<Diagnostic> {
    let mode = match config.schedule.mode {
        ScheduleMode::FreeRunning => "free-running",
        ScheduleMode::VirtualTime => "virtual-time",
        ScheduleMode::Reference | ScheduleMode::LockStep => return None,
    };
    if config.model.groups == Groups::Count(1) {
        return None;
    }
    broken(
        format!("`model.groups` must be 1 with the mode `{mode}`"),
        "there the settling protocol compares versions layer by layer; use schedule.mode = \"lock-step\"",
    )
}

/// Some things belong to whole layers only.
fn groups_have_parts(config: &Config, whole: bool) -> Option<Diagnostic> {
    if !whole || config.model.groups == Groups::Count(1) || config.learning.rule == RuleName::Backprop {
        return None;
    }
    broken(
        "`model.groups` must be 1 with feedback weights or precisions that are not cut",
        "groups have tied feedback and one precision per layer, which is not learned",
    )
}

fn data_have_a_folder(config: &Config) -> Option<Diagnostic> {
    let missing = config.data.name == DataName::Idx && config.data.dir.is_empty();
    missing.then(|| {
        Diagnostic::error("`data.dir` must name the folder of the IDX files")
            .help("give data.dir=FOLDER, or run `asynapse data fetch mnist` to get the files of MNIST")
    })
}

fn digits_need_no_folder(config: &Config) -> Option<Diagnostic> {
    if config.data.name != DataName::Digits || config.data.dir.is_empty() {
        return None;
    }
    broken(
        "`data.dir` cannot be used with the digits of the generator",
        "leave `data.name` out or set it to `idx` to read the folder; leave `data.dir` out to have the digits",
    )
}

fn digits_are_counted(config: &Config, path: &str, samples: usize) -> Option<Diagnostic> {
    if config.data.name != DataName::Digits {
        return None;
    }
    if samples > DIGITS_MOST {
        let title = format!("`{path}` must be at most {DIGITS_MOST} for the digits of the generator");
        return broken(title, "all of them are drawn before training, 784 bytes each");
    }
    if samples > 0 {
        return None;
    }
    broken(
        format!("`{path}` must be at least 1 for the digits of the generator"),
        "0 means all of a set, and the generator has no end",
    )
}

fn validation_leaves_some(config: &Config) -> Option<Diagnostic> {
    let data = &config.data;
    if data.train == 0 || data.validation < data.train {
        return None;
    }
    broken(
        format!("`data.validation` takes all {} training samples", data.train),
        "the validation samples are taken from the end of the training samples; some must be left",
    )
}

fn softmax_is_in_the_loss(config: &Config) -> Option<Diagnostic> {
    let model = &config.model;
    if model.loss != Loss::CrossEntropy || model.output_act_fn == Activation::Identity {
        return None;
    }
    broken(
        "`model.output_act_fn` must be `identity` with the loss `cross-entropy`",
        "the softmax is part of the loss; another activation needs `model.loss = \"squared-error\"`",
    )
}

fn precision_per_layer(config: &Config) -> Option<Diagnostic> {
    let layers = config.model.widths.len().saturating_sub(1);
    match &config.model.precision {
        Precision::PerLayer(values) if values.len() != layers => broken(
            format!("`model.precision` has {} entries for {layers} layers", values.len()),
            "give one number for all layers, or one for each of the layers 1 to L; layer 0 is the data",
        ),
        Precision::PerUnit(lists) if lists.len() != layers => broken(
            format!("`model.precision` has lists for {} layers, there are {layers}", lists.len()),
            "give one list for each of the layers 1 to L; layer 0 is the data",
        ),
        Precision::PerUnit(lists) => {
            let widths = &config.model.widths[1..];
            let (layer, (list, width)) =
                (1..).zip(lists.iter().zip(widths)).find(|(_, (list, width))| list.len() != **width)?;
            broken(
                format!("`model.precision` has {} numbers for the {width} units of layer {layer}", list.len()),
                "give one number for each unit, or one for the whole layer in a list without inner lists",
            )
        }
        _ => None,
    }
}

fn precision_is_known_below(config: &Config) -> Option<Diagnostic> {
    let mode = match config.schedule.mode {
        ScheduleMode::FreeRunning => "free-running",
        ScheduleMode::VirtualTime => "virtual-time",
        ScheduleMode::Reference | ScheduleMode::LockStep => return None,
    };
    let answers = config.links.message != Message::Error;
    if config.learning.precision_lr == 0.0 || !answers || config.learning.rule == RuleName::Backprop {
        return None;
    }
    broken(
        format!("`learning.precision_lr` needs `links.message = \"error\"` with the mode `{mode}`"),
        "an error that is worked out anew from its echo, or from a state, needs the precision of the layer above, and a learned \
         one is known only where it is learned",
    )
}

fn precision_is_there_to_learn(config: &Config) -> Option<Diagnostic> {
    let coding = config.model.energy == EnergyKind::PredictiveCoding;
    if config.learning.precision_lr == 0.0 || coding || config.learning.rule == RuleName::Backprop {
        return None;
    }
    broken(
        "`learning.precision_lr` must be 0 but with the energy `predictive-coding`",
        "the other energies have no precisions",
    )
}

fn learns_feedback(config: &Config) -> bool {
    config.model.feedback == FeedbackKind::KolenPollack && config.learning.rule != RuleName::Backprop
}

fn feedback_can_meet_the_weights(config: &Config) -> Option<Diagnostic> {
    if !learns_feedback(config) || config.learning.weight_decay > 0.0 {
        return None;
    }
    broken(
        "`model.feedback` cannot be `kolen-pollack` without weight decay",
        "W and B get the same updates, so only decay brings them together; set learning.weight_decay, 1e-3 for example",
    )
}

fn feedback_gets_the_same_updates(config: &Config) -> Option<Diagnostic> {
    if !learns_feedback(config) || config.learning.optimizer != OptimizerKind::Adam {
        return None;
    }
    broken(
        "`model.feedback` cannot be `kolen-pollack` with the optimizer `adam`",
        "adam scales the decay of W and of B by moments of their own, so they need not meet; use `sgd`, `momentum` or `adamw`",
    )
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
    let mode = match config.schedule.mode {
        ScheduleMode::Reference => "reference",
        ScheduleMode::VirtualTime => "virtual-time",
        ScheduleMode::LockStep | ScheduleMode::FreeRunning => return None,
    };
    if config.schedule.threads == 1 {
        return None;
    }
    broken(
        format!("`schedule.threads` must be 1 with the mode `{mode}`"),
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

fn the_last_precision_is_resolved(config: &Config) -> Option<Diagnostic> {
    let model = &config.model;
    if model.precision_ratio == 1.0 {
        return None;
    }
    let power = i32::try_from(model.widths.len() - 1).unwrap_or(i32::MAX);
    let least = match &model.precision {
        Precision::PerUnit(_) => {
            let numbers = model.precision.numbers().into_iter();
            numbers.fold(f64::INFINITY, f64::min) * model.precision_ratio.powi(power)
        }
        _ => (1..model.widths.len()).filter_map(|layer| model.precision_of(layer)).fold(f64::INFINITY, f64::min),
    };
    let holds = if config.dtype == Dtype::F32 { (least as f32).is_normal() } else { least.is_normal() };
    if holds {
        return None;
    }
    broken(
        format!("`model.precision_ratio` makes the smallest precision {least:e}, which the number format cannot hold"),
        "choose a larger ratio, a larger model.precision (1/γ makes Π_1 one), or dtype = \"f64\"",
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
