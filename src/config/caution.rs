//! Settings that are honoured to the letter and can surprise all the same: warnings, like those of `idle.rs`.

use super::diagnostic::{Diagnostic, Level};
use super::gather::Gathered;
use super::rules::{loses_for_good, placed};
use super::values::Config;
use super::{RuleName, ScheduleMode};

/// In virtual time a link may lose signals for good; on the wall clock that is refused.
pub(super) fn warning(config: &Config, gathered: &Gathered<'_>) -> Option<Diagnostic> {
    if config.schedule.mode != ScheduleMode::VirtualTime || config.learning.rule == RuleName::Backprop {
        return None;
    }
    let link = loses_for_good(config)?;
    let problem = Diagnostic::error(format!("`links.resend` is 0: what the link {link} loses is never said again"))
        .help("the forward wave of a phase is said once: a layer that misses it has nothing to answer and nothing to learn; set links.resend, \
               the time-out in units of model time, unless that is what you study");
    Some(placed(Diagnostic { level: Level::Warning, ..problem }, &["links.resend", "links.loss"], gathered))
}
