//! Settings that have no effect, such as the momentum of Adam.
//!
//! They belong to a choice that was not taken. That is no contradiction (a run with `learning.rule=backprop` may well
//! keep the nudge of its preset), so they are warnings, unlike the rules of `rules.rs`; and only settings that
//! somebody changed from their default are worth a word.

use super::diagnostic::{Diagnostic, Level};
use super::gather::Gathered;
use super::rules::{placed, threads_have_one_shard, threads_have_one_worker};
use super::values::{Config, DataName, ScheduleMode};
use super::write::differing;
use super::{EnergyKind, OptimizerKind, ReadOut, RuleName};

/// A key that does nothing under some choice.
pub(super) struct Idle {
    pub(super) keys: &'static [&'static str],
    idle: fn(&Config) -> bool,
    reason: &'static str,
}

/// The keys that may do nothing.
pub(super) const IDLE: &[Idle] = &[
    Idle {
        keys: &["data.seed", "data.name", "data.dir"],
        idle: |c| c.data.name == DataName::Idx,
        reason: "it seeds the generator of digits; the order of an IDX set follows `seed`",
    },
    Idle {
        keys: &["inference.check_every", "inference.tolerance"],
        idle: runs_every_step,
        reason: "with a tolerance of 0 every phase runs all its steps and nobody looks in between",
    },
    Idle {
        keys: &["inference.plateau", "inference.tolerance"],
        idle: runs_every_step,
        reason: "with a tolerance of 0 every phase runs all its steps and nobody looks in between",
    },
    Idle {
        keys: &["learning.nudge", "learning.rule"],
        idle: does_not_nudge,
        reason: "only the rules `pc-nudge` and `ep` nudge, and phases that are spelt out as `nudged`",
    },
    Idle {
        keys: &["learning.nudging", "learning.rule"],
        idle: |c| !matches!(c.learning.rule, RuleName::PcNudge | RuleName::Ep),
        reason: "only the rules `pc-nudge` and `ep` have it",
    },
    Idle {
        keys: &["inference.free_phase", "learning.rule"],
        idle: |c| c.learning.rule == RuleName::SpeltOut,
        reason: "the rule `spelt-out` says in its phases how the free equilibrium is found",
    },
    Idle {
        keys: &["learning.phases", "learning.rule"],
        idle: |c| c.learning.rule != RuleName::SpeltOut,
        reason: "only the rule `spelt-out` has it",
    },
    Idle {
        keys: &["learning.read_out", "learning.rule"],
        idle: |c| c.learning.rule != RuleName::SpeltOut,
        reason: "only the rule `spelt-out` has it",
    },
    Idle {
        keys: &["learning.coefficients", "learning.read_out", "learning.rule"],
        idle: |c| c.learning.rule != RuleName::SpeltOut || c.learning.read_out != ReadOut::Coefficients,
        reason: "only the read-out `coefficients` of the rule `spelt-out` has them",
    },
    Idle {
        keys: &["model.feedback_gain", "model.energy"],
        idle: |c| c.model.energy != EnergyKind::Rate,
        reason: "only the energy `rate` has a feedback gain",
    },
    Idle {
        keys: &["model.feedback", "learning.rule"],
        idle: |c| c.learning.rule == RuleName::Backprop,
        reason: "backpropagation takes its errors down through the weights; only rules with phases have feedback",
    },
    Idle {
        keys: &["learning.precision_lr", "learning.rule"],
        idle: |c| c.learning.rule == RuleName::Backprop,
        reason: "backpropagation has no precisions",
    },
    Idle {
        keys: &["learning.update", "learning.rule"],
        idle: |c| c.learning.rule == RuleName::Backprop,
        reason: "backpropagation has no phases during which weights could move",
    },
    Idle {
        keys: &["learning.momentum", "learning.optimizer"],
        idle: |c| c.learning.optimizer != OptimizerKind::Momentum,
        reason: "only the optimizer `momentum` has one",
    },
    Idle { keys: &["learning.beta1", "learning.optimizer"], idle: has_no_moments, reason: MOMENTS },
    Idle { keys: &["learning.beta2", "learning.optimizer"], idle: has_no_moments, reason: MOMENTS },
    Idle { keys: &["learning.epsilon", "learning.optimizer"], idle: has_no_moments, reason: MOMENTS },
    Idle {
        keys: &["schedule.events_max", "schedule.mode"],
        idle: |c| c.schedule.mode != ScheduleMode::VirtualTime,
        reason: "only virtual time counts events",
    },
    Idle {
        keys: &["schedule.shards", "schedule.mode"],
        idle: |c| c.schedule.mode != ScheduleMode::VirtualTime,
        reason: "only virtual time has shards",
    },
    Idle {
        keys: &["schedule.threads", "schedule.shards", "links.delay"],
        idle: threads_have_one_shard,
        reason: "all layers are in one shard, which one thread runs: layers are cut apart only where every link takes some time, so \
                 give links.delay a `min` (and schedule.shards more than 1, if it is set)",
    },
    Idle {
        keys: &["schedule.threads", "workers", "schedule.mode"],
        idle: threads_have_one_worker,
        reason: "in virtual time every worker is one shard, which one thread runs",
    },
    Idle {
        keys: &["schedule.time_unit_ms", "schedule.mode"],
        idle: |c| c.schedule.mode != ScheduleMode::FreeRunning,
        reason: "only the mode `free-running` lives by the wall clock; virtual time has its own",
    },
    Idle { keys: &["numerics.states", "learning.rule"], idle: has_no_phases, reason: PHASES },
    Idle { keys: &["numerics.messages", "learning.rule"], idle: has_no_phases, reason: PHASES },
    Idle { keys: &["numerics.state_noise", "learning.rule"], idle: has_no_phases, reason: PHASES },
    Idle { keys: &["numerics.message_noise", "learning.rule"], idle: has_no_phases, reason: PHASES },
];

const MOMENTS: &str = "only the optimizers `adam` and `adamw` have it";

const PHASES: &str = "the rule `backprop` has no states that move and sends no signals";

/// Every setting that has no effect.
pub(super) fn warnings(config: &Config, gathered: &Gathered<'_>) -> Vec<Diagnostic> {
    let changed = differing(config, &Config::default());
    let mut warnings = Vec::new();
    for Idle { keys, idle, reason } in IDLE {
        let [path, ..] = keys else { continue };
        if changed.contains(path) && idle(config) {
            let problem = Diagnostic::error(format!("`{path}` has no effect here")).help(*reason);
            warnings.push(placed(Diagnostic { level: Level::Warning, ..problem }, keys, gathered));
        }
    }
    warnings
}

fn does_not_nudge(config: &Config) -> bool {
    match config.learning.rule {
        RuleName::PcNudge | RuleName::Ep => false,
        RuleName::SpeltOut => !config.learning.phases.iter().any(|phase| phase.contains("nudged")),
        _ => true,
    }
}

fn has_no_phases(config: &Config) -> bool {
    config.learning.rule == RuleName::Backprop
}

fn runs_every_step(config: &Config) -> bool {
    config.inference.tolerance == 0.0
}

fn has_no_moments(config: &Config) -> bool {
    !matches!(config.learning.optimizer, OptimizerKind::Adam | OptimizerKind::Adamw)
}
