//! What must hold between the keys of the network: its losses, precisions and feedback weights.

use super::broken;
use crate::config::diagnostic::Diagnostic;
use crate::config::values::{Config, Precision};
use crate::config::{
    Activation, Dtype, EnergyKind, FeedbackKind, Loss, Message, OptimizerKind, RuleName, ScheduleMode,
};

pub(super) fn softmax_is_in_the_loss(config: &Config) -> Option<Diagnostic> {
    let model = &config.model;
    if model.loss != Loss::CrossEntropy || model.output_act_fn == Activation::Identity {
        return None;
    }
    broken(
        "`model.output_act_fn` must be `identity` with the loss `cross-entropy`",
        "the softmax is part of the loss; another activation needs `model.loss = \"squared-error\"`",
    )
}

pub(super) fn precision_per_layer(config: &Config) -> Option<Diagnostic> {
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

pub(super) fn precision_is_known_below(config: &Config) -> Option<Diagnostic> {
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

pub(super) fn precision_is_there_to_learn(config: &Config) -> Option<Diagnostic> {
    let coding = config.model.energy == EnergyKind::PredictiveCoding;
    if config.learning.precision_lr == 0.0 || coding || config.learning.rule == RuleName::Backprop {
        return None;
    }
    broken(
        "`learning.precision_lr` must be 0 but with the energy `predictive-coding`",
        "the other energies have no precisions",
    )
}

pub(super) fn the_last_precision_is_resolved(config: &Config) -> Option<Diagnostic> {
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

fn learns_feedback(config: &Config) -> bool {
    config.model.feedback == FeedbackKind::KolenPollack && config.learning.rule != RuleName::Backprop
}

pub(super) fn feedback_can_meet_the_weights(config: &Config) -> Option<Diagnostic> {
    if !learns_feedback(config) || config.learning.weight_decay > 0.0 {
        return None;
    }
    broken(
        "`model.feedback` cannot be `kolen-pollack` without weight decay",
        "W and B get the same updates, so only decay brings them together; set learning.weight_decay, 1e-3 for example",
    )
}

pub(super) fn feedback_gets_the_same_updates(config: &Config) -> Option<Diagnostic> {
    if !learns_feedback(config) || config.learning.optimizer != OptimizerKind::Adam {
        return None;
    }
    broken(
        "`model.feedback` cannot be `kolen-pollack` with the optimizer `adam`",
        "adam scales the decay of W and of B by moments of their own, so they need not meet; use `sgd`, `momentum` or `adamw`",
    )
}
