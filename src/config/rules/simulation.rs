//! What must hold where something else than exact states is simulated: deviation variables (`inference.variables`) and limited
//! precision (`[numerics]`).
//!
//! The equations are in `crate::energy::deviation` and `crate::math::Numerics`.

use super::broken;
use crate::config::diagnostic::Diagnostic;
use crate::config::values::{Config, Numerics, Precision};
use crate::config::{
    EnergyKind, FeedbackKind, FreePhase, Nudging, Order, RuleName, ScheduleMode, UpdateTime, Variables,
};

fn deviates(config: &Config) -> bool {
    config.inference.variables == Variables::Deviation && config.learning.rule != RuleName::Backprop
}

/// Neither deviation variables nor limited precision, which only whole layers that move at once have.
pub(super) fn is_plain(config: &Config) -> bool {
    !deviates(config) && config.numerics == Numerics::default()
}

pub(super) fn sequence_is_plain(config: &Config) -> Option<Diagnostic> {
    if config.schedule.order == Order::Jacobi || is_plain(config) {
        return None;
    }
    broken(
        "`schedule.order` must be `jacobi` with deviation variables and with limited precision",
        "both are programmed for layers that move all at once; leave out `inference.variables` and `[numerics]`, or the order",
    )
}

pub(super) fn deviations_are_of_one_phase(config: &Config) -> Option<Diagnostic> {
    if !deviates(config) || config.schedule.mode != ScheduleMode::VirtualTime {
        return None;
    }
    broken(
        "`inference.variables` cannot be `deviation` with the mode `virtual-time`",
        "there signals of an earlier phase may still be under way, and they are not deviations from where this phase begins",
    )
}

pub(super) fn deviations_are_of_predictive_coding(config: &Config) -> Option<Diagnostic> {
    if !deviates(config) || config.model.energy == EnergyKind::PredictiveCoding {
        return None;
    }
    broken(
        "`inference.variables` can be `deviation` with the energy `predictive-coding` only",
        "they measure errors from a free equilibrium at which all errors are zero, which other energies do not have",
    )
}

pub(super) fn deviations_start_without_errors(config: &Config) -> Option<Diagnostic> {
    if !deviates(config) || config.inference.free_phase == FreePhase::Forward {
        return None;
    }
    broken(
        "`inference.variables` can be `deviation` with the free phase `forward` only",
        "a relaxed free phase leaves errors of the size of its tolerance, and they would be divided by the nudge",
    )
}

pub(super) fn first_step_has_no_nudge(config: &Config) -> Option<Diagnostic> {
    if deviates(config) && config.learning.rule == RuleName::SpeltOut {
        return broken(
            "`inference.variables` cannot be `deviation` with the rule `spelt-out`",
            "its words say what the states do; use the rule `pc-nudge` or `pc-clamped`",
        );
    }
    if !deviates(config) || config.learning.rule != RuleName::FirstStep {
        return None;
    }
    broken(
        "`inference.variables` cannot be `deviation` with the rule `first-step`",
        "its read-out divides by no nudge and is exact already",
    )
}

pub(super) fn deviations_come_down_through_the_weights(config: &Config) -> Option<Diagnostic> {
    if !deviates(config) || config.model.feedback == FeedbackKind::Tied {
        return None;
    }
    broken(
        "`inference.variables` can be `deviation` with `model.feedback = \"tied\"` only",
        "u = (x − x̄)/λ goes down an energy of its own, and through other feedback weights the states go down none",
    )
}

fn scalar_precisions(title: &str) -> Option<Diagnostic> {
    broken(
        title,
        "in units of λ the errors of a layer are weighed by one number that is given; use inference.variables = \"state\"",
    )
}

pub(super) fn deviations_have_one_precision_per_layer(config: &Config) -> Option<Diagnostic> {
    if !deviates(config) || !matches!(config.model.precision, Precision::PerUnit(_)) {
        return None;
    }
    scalar_precisions("`inference.variables` cannot be `deviation` with precisions of single units")
}

pub(super) fn deviations_have_given_precisions(config: &Config) -> Option<Diagnostic> {
    if !deviates(config) || config.learning.precision_lr == 0.0 {
        return None;
    }
    scalar_precisions("`inference.variables` cannot be `deviation` with precisions that are learned")
}

pub(super) fn deviations_have_resting_weights(config: &Config) -> Option<Diagnostic> {
    if !deviates(config) || config.learning.update == UpdateTime::AtEnd {
        return None;
    }
    broken(
        "`inference.variables` can be `deviation` with `learning.update = \"at-end\"` only",
        "deviations are measured from the equilibrium of weights that rest, and `continual` moves them at every step",
    )
}

/// A nudge of zero is the linearised network, which only deviation variables can express, and which has no sides.
pub(super) fn zero_is_a_limit(config: &Config) -> Option<Diagnostic> {
    let nudges = matches!(config.learning.rule, RuleName::PcNudge | RuleName::Ep | RuleName::SpeltOut);
    if !nudges || config.learning.nudge != 0.0 || (deviates(config) && config.learning.nudging == Nudging::OneSided) {
        return None;
    }
    broken(
        "`learning.nudge` can be 0 in deviation variables and one-sided only",
        "the estimate is divided by it; the limit is inference.variables = \"deviation\" with learning.nudging = \"one-sided\"",
    )
}

fn noise(config: &Config, path: &str) -> f64 {
    if path.ends_with("state_noise") { config.numerics.state_noise } else { config.numerics.message_noise }
}

/// With noise every signal is an arrival.
pub(super) fn arrivals_are_silent_before(config: &Config, path: &str) -> Option<Diagnostic> {
    if config.learning.rule != RuleName::FirstStep || noise(config, path) == 0.0 {
        return None;
    }
    broken(
        format!("`{path}` must be 0 with the rule `first-step`"),
        "a layer reads its error when the first one arrives that is not zero, and noise is never zero",
    )
}
